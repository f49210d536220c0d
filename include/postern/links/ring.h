/* Two rings of bytes in memory that two machines share: the BAR of a PCIe device, seen by the host
 * and by what is behind the device.
 *
 * Each side has a block of words and a ring that it alone writes, and the other side alone reads
 * (mipi_profile.h: PST_RING_..., provisional). A side that starts draws a random generation. They
 * are connected once each has seen the other's generation and confirmed it. So nothing that a dead
 * or restarted side left behind is mistaken for the present one. There are no interrupts: both
 * sides poll, and each poll advances a beat that shows the other side that this one lives.
 *
 * The other side can write anything anywhere at any time. Every word is read once, checked, and
 * kept. Our own words are never read back (except the generation, to see that another process took
 * our place). Bytes are copied out once. A contradiction ends the connection.
 *
 * Sans-I/O: the memory is behind four functions, which also order the accesses: a load acquires, a
 * store releases.
 */
#ifndef POSTERN_LINKS_RING_H
#define POSTERN_LINKS_RING_H

#include "postern/mipi_profile.h"
#include "postern/parts/wire.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_RING_SILENCE_MS 10000 /* without a beat the other side counts as gone */
#define PST_RING_LEAST 256        /* bytes of a ring */
#define PST_RING_MOST 0x1000000

struct pst_ring_port { /* `at`: from the memory's start; words are little-endian */
    void *ctx;
    uint32_t (*load)(void *ctx, size_t at);              /* acquires */
    void (*store)(void *ctx, size_t at, uint32_t value); /* releases */
    void (*take)(void *ctx, size_t at, uint8_t *out, size_t len);
    void (*put)(void *ctx, size_t at, const uint8_t *bytes, size_t len);
};

struct pst_ring { /* private */
    struct pst_ring_port port;
    size_t mine, theirs, ring_mine, ring_theirs;
    uint32_t size, generation, peer;
    uint32_t head, acked; /* of our ring: written, and taken by them */
    uint32_t tail, known; /* of theirs: taken by us, and written */
    uint32_t beat, heard;
    uint64_t heard_ms;
    bool listens, up, finished;
    pst_err ended;
};
/* The memory has `len` bytes, the same for both sides: one of them listens. `generation` is random
 * and not 0, a fresh one each time. PST_ERR_ARGUMENT: too little memory. */
PST_MUST_CHECK pst_err pst_ring_open(struct pst_ring *r, const struct pst_ring_port *port,
                                     size_t len, bool listens, uint32_t generation,
                                     uint64_t now_ms);
/* Looks at the other side. PST_PENDING: it is not there. PST_OK: connected. Otherwise why the
 * connection ended, now and ever after: PST_ERR_CLOSED: the other side closed it in order;
 * PST_ERR_UNEXPECTED: the peer restarted, or another process replaced it or us; PST_ERR_TIMEOUT: it
 * is silent; PST_ERR_PROFILE; PST_ERR_DECODE: its words contradict themselves, or its memory has
 * another size. */
PST_MUST_CHECK pst_err pst_ring_turn(struct pst_ring *r, uint64_t now_ms);
/* How many bytes were taken, or given; 0 before and after a connection. */
size_t pst_ring_write(struct pst_ring *r, const uint8_t *bytes, size_t len);
size_t pst_ring_read(struct pst_ring *r, uint8_t *out, size_t cap);
/* Nothing more is written; once the other side has read everything, it closes. */
void pst_ring_finish(struct pst_ring *r);
/* The other side took all that was written. */
bool pst_ring_is_drained(struct pst_ring *r);
/* Leaves. The memory is not touched any more. */
void pst_ring_close(struct pst_ring *r);

#ifdef __cplusplus
}
#endif

#endif
