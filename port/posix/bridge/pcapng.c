#include "posix/bridge/pcapng.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "postern/mipi_profile.h"

#define BLOCK_SECTION 0x0A0D0D0A
#define BLOCK_INTERFACE 1
#define BLOCK_PACKET 6
#define LINKTYPE_RAW 101 /* begins with the IP header */
#define IP_TCP 40        /* bytes of IPv4 and TCP headers */
#define MAX_SEGMENT (65535 - IP_TCP)

static pst_err put(struct pst_pcapng *p, const void *at, size_t len)
{
    return fwrite(at, 1, len, p->file) == len ? PST_OK : PST_ERR_IO;
}

static pst_err put_block(struct pst_pcapng *p, uint32_t type, const uint8_t *body, size_t len)
{
    uint8_t head[8], tail[4];
    uint32_t total = (uint32_t)len + 12;
    pst_poke_u32(head, type);
    pst_poke_u32(head + 4, total);
    pst_poke_u32(tail, total);
    PST_TRY(put(p, head, sizeof head));
    PST_TRY(put(p, body, len));
    return put(p, tail, sizeof tail);
}

static pst_err put_preamble(struct pst_pcapng *p)
{
    uint8_t section[16], interface[16];
    struct pst_writer w = pst_writer_of(section, sizeof section);
    pst_put_u32(&w, 0x1A2B3C4D);
    pst_put_u16(&w, 1);
    pst_put_u16(&w, 0);
    pst_put_u64(&w, UINT64_MAX); /* section length: not specified */
    PST_TRY(put_block(p, BLOCK_SECTION, section, w.used));

    w = pst_writer_of(interface, sizeof interface);
    pst_put_u16(&w, LINKTYPE_RAW);
    pst_put_u16(&w, 0);
    pst_put_u32(&w, 0); /* no limit on packets */
    pst_put_u16(&w, 9); /* if_tsresol: nanoseconds */
    pst_put_u16(&w, 1);
    pst_put_u32(&w, 9);
    return put_block(p, BLOCK_INTERFACE, interface, w.used);
}

pst_err pst_pcapng_open(struct pst_pcapng *p, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat st;
    /* An existing file keeps its mode. */
    bool ours = fd >= 0 && fstat(fd, &st) == 0 && (!S_ISREG(st.st_mode) || fchmod(fd, 0600) == 0);
    p->file = ours ? fdopen(fd, "wb") : NULL;
    if (p->file == NULL) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return PST_ERR_IO;
    }
    return put_preamble(p);
}

static void put_headers(struct pst_writer *w, const struct pst_pcapng_flow *flow, bool from_caller,
                        size_t len)
{
    const uint32_t caller = 0x7F000001, called = 0x7F000002;
    pst_put_u8(w, 0x45);
    pst_put_u8(w, 0);
    pst_put_be16(w, (uint16_t)(IP_TCP + len));
    pst_put_be32(w, 0); /* id, fragment */
    pst_put_u8(w, 64);
    pst_put_u8(w, 6);
    pst_put_be16(w, 0); /* checksum: not computed, as with offloading */
    pst_put_be32(w, from_caller ? caller : called);
    pst_put_be32(w, from_caller ? called : caller);
    pst_put_be16(w, from_caller ? flow->port : PST_LINK_PORT);
    pst_put_be16(w, from_caller ? PST_LINK_PORT : flow->port);
    pst_put_be32(w, flow->sequence[from_caller ? 0 : 1]);
    pst_put_be32(w, flow->sequence[from_caller ? 1 : 0]);
    pst_put_be16(w, 0x5018); /* 20 bytes, PSH and ACK */
    pst_put_be16(w, 65535);
    pst_put_be32(w, 0);
}

static pst_err put_segment(struct pst_pcapng *p, struct pst_pcapng_flow *flow, bool from_caller,
                           const uint8_t *data, size_t len)
{
    uint8_t head[8 + 20 + IP_TCP], tail[8] = {0};
    size_t packet = IP_TCP + len;
    size_t pad = (4 - packet % 4) % 4;
    uint32_t total = (uint32_t)(12 + 20 + packet + pad);
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    uint64_t ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    struct pst_writer w = pst_writer_of(head, sizeof head);
    pst_put_u32(&w, BLOCK_PACKET);
    pst_put_u32(&w, total);
    pst_put_u32(&w, 0); /* the one interface */
    pst_put_u32(&w, (uint32_t)(ns >> 32));
    pst_put_u32(&w, (uint32_t)ns);
    pst_put_u32(&w, (uint32_t)packet);
    pst_put_u32(&w, (uint32_t)packet);
    put_headers(&w, flow, from_caller, len);
    flow->sequence[from_caller ? 0 : 1] += (uint32_t)len;
    pst_poke_u32(tail + pad, total);
    PST_TRY(put(p, head, w.used));
    PST_TRY(put(p, data, len));
    return put(p, tail, pad + 4);
}

pst_err pst_pcapng_data(struct pst_pcapng *p, struct pst_pcapng_flow *flow, bool from_caller,
                        const uint8_t *data, size_t len)
{
    while (len > 0) {
        size_t n = len < MAX_SEGMENT ? len : MAX_SEGMENT;
        PST_TRY(put_segment(p, flow, from_caller, data, n));
        data += n;
        len -= n;
    }
    return fflush(p->file) == 0 ? PST_OK : PST_ERR_IO;
}

pst_err pst_pcapng_close(struct pst_pcapng *p)
{
    FILE *file = p->file;
    p->file = NULL;
    return file == NULL || fclose(file) == 0 ? PST_OK : PST_ERR_IO;
}
