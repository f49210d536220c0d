#include "posix/links/pcie/device.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNPRIVILEGED 64 /* bytes readable without privilege */

pst_err pst_pcie_name(const char *place, char name[PST_PCIE_NAME])
{
    unsigned domain = 0, bus, device, function;
    int used = 0;

    if (sscanf(place, "%4x:%2x:%2x.%1x%n", &domain, &bus, &device, &function, &used) != 4 ||
        place[used] != '\0') {
        domain = 0;
        used = 0;
        if (sscanf(place, "%2x:%2x.%1x%n", &bus, &device, &function, &used) != 3 ||
            place[used] != '\0') {
            return PST_ERR_DECODE;
        }
    }
    if (device > 31 || function > 7 || strspn(place, "0123456789abcdefABCDEF:.") != strlen(place)) {
        return PST_ERR_DECODE;
    }
    snprintf(name, PST_PCIE_NAME, "%04x:%02x:%02x.%x", domain & 0xFFFF, bus & 0xFF, device & 31,
             function & 7);
    return PST_OK;
}

bool pst_pcie_each(const char *root, bool (*found)(void *ctx, const char *name), void *ctx)
{
    struct dirent **entries;
    char name[PST_PCIE_NAME];
    bool more = true;
    const int count = scandir(root, &entries, NULL, alphasort);

    if (count < 0) {
        return false;
    }
    for (int i = 0; i < count; i++) {
        if (more && pst_pcie_name(entries[i]->d_name, name) == PST_OK) {
            more = found(ctx, name);
        }
        free(entries[i]);
    }
    free(entries);
    return true;
}

int pst_pcie_open(const char *root, const char *name, const char *file, int flags)
{
    char path[PST_ADDRESS_TEXT + 64];

    if (snprintf(path, sizeof path, "%s/%s/%s", root, name, file) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return open(path, flags | O_CLOEXEC);
}

static uint32_t read_hex(const char *root, const char *name, const char *file)
{
    char text[32] = "";
    const int fd = pst_pcie_open(root, name, file, O_RDONLY);

    if (fd < 0) {
        return 0;
    }
    const ssize_t n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    return n > 0 ? (uint32_t)strtoul(text, NULL, 16) : 0;
}

uint32_t pst_pcie_id(const char *root, const char *name)
{
    return read_hex(root, name, "vendor") << 16 | (read_hex(root, name, "device") & 0xFFFF);
}

void pst_pcie_words(const char *root, const char *name, char *out, size_t cap)
{
    static const struct {
        uint32_t value;
        unsigned shift;
        const char *words;
    } classes[] = {
        {0x0108, 8,  "NVMe controller"   },
        {0x01,   16, "storage controller"},
        {0x02,   16, "network controller"},
        {0x03,   16, "display controller"},
        {0x0502, 8,  "CXL memory"        },
        {0x05,   16, "memory controller" },
        {0x0604, 8,  "bridge"            },
        {0x06,   16, "bridge"            },
        {0x12,   16, "accelerator"       },
    };
    const uint32_t class = read_hex(root, name, "class"), id = pst_pcie_id(root, name);
    const char *words = "device";

    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (class >> classes[i].shift == classes[i].value) {
            words = classes[i].words;
            break;
        }
    }
    snprintf(out, cap, "%s %04x:%04x", words, id >> 16, id & 0xFFFF);
}

/* --- configuration space --- */

static pst_err failed(ssize_t n, uint16_t at)
{
    if (n < 0) {
        return errno == ENODEV || errno == ENXIO   ? PST_ERR_CLOSED
               : errno == EACCES || errno == EPERM ? PST_ERR_DENIED
                                                   : PST_ERR_IO;
    }
    /* It reads as empty: no privilege, or not a PCI Express device. */
    return at >= UNPRIVILEGED ? PST_ERR_DENIED : PST_ERR_CLOSED;
}

static pst_err read_word(void *ctx, uint16_t at, uint32_t *word)
{
    const int *fd = ctx;
    uint8_t bytes[4];
    const ssize_t n = pread(*fd, bytes, sizeof bytes, at);

    if (n != (ssize_t)sizeof bytes) {
        return failed(n, at);
    }
    *word = pst_peek_u32(bytes);
    return PST_OK;
}

static pst_err write_word(void *ctx, uint16_t at, uint32_t word)
{
    const int *fd = ctx;
    uint8_t bytes[4];

    pst_poke_u32(bytes, word);
    const ssize_t n = pwrite(*fd, bytes, sizeof bytes, at);
    return n == (ssize_t)sizeof bytes ? PST_OK : failed(n, at);
}

struct pst_doe_port pst_pcie_port(int *fd)
{
    return (struct pst_doe_port){.ctx = fd, .read = read_word, .write = write_word};
}
