/* Two rings of bytes in memory that two machines share: the BAR of a PCIe device, seen by the host
 * and by what is behind the device.
 *
 * Each side has a block of words and a ring. Only this side writes them, and only the other side
 * reads them (mipi_profile.h: PST_RING_..., provisional). A side that starts draws a random
 * generation. The two are connected once each has confirmed the other's generation. So what a dead
 * or restarted side left behind is never taken for the present one. There are no interrupts: both
 * sides poll, and each poll increments a beat, which shows the other side that this one is alive.
 *
 * The other side can write anything anywhere at any time. Every word is read once, checked, and
 * kept. Our own words are never read back (except the generation, to see that another process took
 * our place). Bytes are copied out once. A contradiction ends the connection.
 *
 * Sans-I/O: four functions access the memory. They also order the accesses: a load acquires, a
 * store releases. */
#ifndef POSTERN_LINKS_RING_H
#define POSTERN_LINKS_RING_H

#include "postern/mipi_profile.h"
#include "postern/parts/wire.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_RING_SILENCE_MS 10000 /* without a beat for so long the other side is gone */
#define PST_RING_LEAST 256        /* bytes of a ring */
#define PST_RING_MOST 0x1000000

struct pst_ring_port { /* `at`: offset in the memory; words are little-endian */
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
    uint32_t head, acked; /* of our ring: bytes written by us, taken by them */
    uint32_t tail, known; /* of their ring: bytes taken by us, written by them */
    uint32_t beat, heard;
    uint64_t heard_ms;
    bool listens, up, finished;
    pst_err ended;
};
/* The memory has `len` bytes for both sides; exactly one side listens. `generation` is random, not
 * 0, and new each time. PST_ERR_ARGUMENT: too little memory, or `generation` is 0. */
PST_MUST_CHECK pst_err pst_ring_open(struct pst_ring *r, const struct pst_ring_port *port,
                                     size_t len, bool listens, uint32_t generation,
                                     uint64_t now_ms);
/* Polls the other side. PST_PENDING: it is not there. PST_OK: connected. Otherwise why the
 * connection ended; later calls return the same. PST_ERR_CLOSED: the other side closed it in order;
 * PST_ERR_UNEXPECTED: the peer restarted, or another process replaced it or us; PST_ERR_TIMEOUT: it
 * is silent; PST_ERR_PROFILE: incompatible wire profile; PST_ERR_DECODE: its words are
 * inconsistent, or its memory has another size. */
PST_MUST_CHECK pst_err pst_ring_turn(struct pst_ring *r, uint64_t now_ms);
/* Write to our ring, and read from theirs. Return how many bytes were moved; 0 before and after a
 * connection. */
size_t pst_ring_write(struct pst_ring *r, const uint8_t *bytes, size_t len);
size_t pst_ring_read(struct pst_ring *r, uint8_t *out, size_t cap);
/* Declares that nothing more will be written. Once the other side has read everything, its
 * connection ends with PST_ERR_CLOSED. */
void pst_ring_finish(struct pst_ring *r);
/* True if the other side has taken everything that was written. */
bool pst_ring_is_drained(struct pst_ring *r);
/* Ends the connection. The memory is not accessed any more. */
void pst_ring_close(struct pst_ring *r);

#ifdef __cplusplus
}
#endif

#endif
