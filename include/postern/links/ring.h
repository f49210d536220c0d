/* Two rings of bytes in memory that two machines share: a PCIe device's BAR, seen by the host that
 * plugs it and by what is behind it.
 *
 * Each side has a block of words and a ring that it alone writes, and the other side alone reads
 * (mipi_profile.h: PST_RING_..., provisional). A side that appears draws a generation at random;
 * a connection is there when each has seen the other's and says so. So nothing that a dead or
 * restarted side left behind is taken for the living one's. There are no interrupts: both sides
 * look, again and again, and each turn moves a beat that tells the other side of it.
 *
 * The other side can write anything anywhere at any time. Every word is read once, checked, and
 * kept; our own place is never read back from there (but for the generation, to see that another
 * one took it); bytes are copied out once. What contradicts itself ends the connection.
 *
 * Sans-I/O: the memory is behind four functions, which also know about its ordering: a load is
 * followed by what comes after it, a store by nothing that comes before it.
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
 * PST_ERR_UNEXPECTED: it began anew, or somebody took our place; PST_ERR_TIMEOUT: it is silent;
 * PST_ERR_PROFILE; PST_ERR_DECODE: its words contradict themselves, or its memory has another
 * size. */
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
