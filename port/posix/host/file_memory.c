#include "posix/host/file_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static pst_err find_size(int fd, uint64_t offset, uint64_t *size)
{
    struct stat info;
    if (fstat(fd, &info) != 0) {
        return PST_ERR_IO;
    }
    if (!S_ISREG(info.st_mode)) {
        return *size > 0 ? PST_OK : PST_ERR_ARGUMENT; /* the size of a device is not known */
    }
    uint64_t whole = (uint64_t)info.st_size;
    if (offset >= whole || *size > whole - offset) {
        return PST_ERR_ARGUMENT;
    }
    *size = *size > 0 ? *size : whole - offset;
    return PST_OK;
}

static pst_err map(struct pst_file_memory *m, int fd, uint64_t offset)
{
    uint64_t last;
    PST_TRY(find_size(fd, offset, &m->size));
    m->skip = (size_t)(offset % (uint64_t)sysconf(_SC_PAGESIZE));
    if (m->size > SIZE_MAX - m->skip || !pst_add_u64(m->base, m->size - 1, &last)) {
        return PST_ERR_ARGUMENT;
    }
    m->mapped = (size_t)m->size + m->skip;
    void *at = mmap(NULL, m->mapped, m->read_only ? PROT_READ : PROT_READ | PROT_WRITE, MAP_SHARED,
                    fd, (off_t)(offset - m->skip));
    if (at == MAP_FAILED) {
        return PST_ERR_IO;
    }
    m->at = at;
    return PST_OK;
}

pst_err pst_file_memory_open(struct pst_file_memory *m, const char *path, uint64_t base,
                             uint64_t size, uint64_t offset, bool read_only)
{
    *m = (struct pst_file_memory){.base = base, .size = size, .read_only = read_only};
    int fd = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    if (fd < 0) {
        return PST_ERR_IO;
    }
    pst_err err = map(m, fd, offset);
    int why = errno;
    close(fd);
    errno = why;
    return err;
}

void pst_file_memory_close(struct pst_file_memory *m)
{
    if (m->at != NULL) {
        munmap(m->at, m->mapped);
    }
    m->at = NULL;
}

/* A device register must see one access of the requested width. */
static bool move_word(volatile void *device, void *ours, uint32_t len, bool write)
{
    if ((uintptr_t)device % len != 0) {
        return false;
    }
/* NOLINTBEGIN(bugprone-macro-parentheses): a type in parentheses declares nothing */
#define MOVE(type)                                                                                 \
    do {                                                                                           \
        type word;                                                                                 \
        if (write) {                                                                               \
            memcpy(&word, ours, sizeof word);                                                      \
            *(volatile type *)device = word;                                                       \
        } else {                                                                                   \
            word = *(volatile type *)device;                                                       \
            memcpy(ours, &word, sizeof word);                                                      \
        }                                                                                          \
    } while (0)
    /* NOLINTEND(bugprone-macro-parentheses) */
    switch (len) {
    case 1:
        MOVE(uint8_t);
        return true;
    case 2:
        MOVE(uint16_t);
        return true;
    case 4:
        MOVE(uint32_t);
        return true;
    case 8:
        MOVE(uint64_t);
        return true;
    default:
        return false;
    }
#undef MOVE
}

static uint8_t right(void *ctx, uint64_t address, bool write)
{
    (void)ctx;
    (void)address;
    return write ? PST_RIGHT_WRITE : PST_RIGHT_READ;
}

static pst_err perform(void *ctx, struct pst_access *a)
{
    struct pst_file_memory *m = ctx;
    if (m->at == NULL || a->address < m->base || a->address - m->base >= m->size) {
        return PST_ERR_FAULT;
    }
    if (a->write && m->read_only) {
        return PST_ERR_DENIED;
    }
    uint64_t place = a->address - m->base;
    if (a->len > m->size - place) {
        if (a->write) {
            return PST_ERR_FAULT;
        }
        a->len = (uint32_t)(m->size - place);
    }
    uint8_t *at = m->at + m->skip + place;
    if (a->len == 0 || move_word(at, a->data, a->len, a->write)) {
        return PST_OK;
    }
    if (a->write) {
        memcpy(at, a->data, a->len);
    } else {
        memcpy(a->data, at, a->len);
    }
    return PST_OK;
}

struct pst_space pst_file_memory_space(struct pst_file_memory *m)
{
    return (struct pst_space){
        .ctx = m,
        .right = right,
        .perform = perform,
        .urgent_first = 1,
        .urgent_last = 0,
    };
}
