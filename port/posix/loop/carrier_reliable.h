/* What carriers over the reliable link (postern/reliable.h) have in common: UDP, serial lines and
 * MCTP on them. Bytes in and out of the engine's buffers, backpressure, timers, and the end.
 *
 * A kind of carrier begins with struct pst_rcarrier and says in struct pst_rcarrier_hop how it
 * sends. It hands what arrives to its engine and then calls pst_rcarrier_turn, which does the rest:
 * it sends, tells the owner, and asks the timer to call again.
 */
#ifndef POSTERN_POSIX_LOOP_CARRIER_RELIABLE_H
#define POSTERN_POSIX_LOOP_CARRIER_RELIABLE_H

#include "posix/loop/carrier.h"
#include "postern/links/reliable.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_RCARRIER_TEXT 256
#define PST_RCARRIER_CALL_MS 4000 /* how long a call may stay without an answer */

struct pst_rcarrier;

struct pst_rcarrier_hop { /* const */
    /* Sends as much of the engine's output as possible now. Calls no event. */
    void (*flush)(struct pst_rcarrier *c);
    /* When to flush again if nothing happens, on the clock of pst_rcarrier_now; UINT64_MAX: never.
     */
    uint64_t (*wake)(const struct pst_rcarrier *c);
    /* The handshake has succeeded: tells the owner, or the listener. */
    void (*opened)(struct pst_rcarrier *c);
    /* The handshake got no answer: writes a text for people that says so. */
    void (*silence)(const struct pst_rcarrier *c, char *text, size_t cap);
    /* `down` was called. Releases everything else, then calls pst_rcarrier_free. */
    void (*release)(struct pst_rcarrier *c);
};

struct pst_rcarrier { /* the first member of each kind */
    struct pst_carrier base;
    /* private, but for the kind's own file */
    const struct pst_rcarrier_hop *hop;
    struct pst_reliable *link;
    uv_timer_t timer;
    uint8_t *memory;
    uint64_t finish_ms, call_ms;
    bool open, reading, full, finishing, ending, down, kicked;
    pst_err why;
    char text[PST_RCARRIER_TEXT];
};

/* Milliseconds, monotonic. */
uint64_t pst_rcarrier_now(void);
/* Buffers of the given sizes and fresh random numbers into `cfg`; mtu, timing and target are the
 * caller's. PST_ERR_IO: no memory or no random numbers; nothing is kept. */
PST_MUST_CHECK pst_err pst_rcarrier_buffers(struct pst_rcarrier *c, struct pst_reliable_config *cfg,
                                            size_t send, size_t receive);
/* Fresh numbers for another try with the same buffers. */
PST_MUST_CHECK pst_err pst_rcarrier_numbers(struct pst_reliable_config *cfg);
/* `c` is zeroed; `link` is opened before the loop runs next. PST_ERR_IO: there is no timer. */
PST_MUST_CHECK pst_err pst_rcarrier_init(struct pst_rcarrier *c, uv_loop_t *loop,
                                         const struct pst_rcarrier_hop *hop,
                                         struct pst_reliable *link,
                                         const struct pst_link_traits *traits);
/* Sends, gives out, ends, and sets the timer. From the loop only, never from an operation; the
 * memory is there until the loop goes on, whatever happened. */
void pst_rcarrier_turn(struct pst_rcarrier *c);
/* It calls: without an answer in PST_RCARRIER_CALL_MS it ends. */
void pst_rcarrier_calls(struct pst_rcarrier *c);
/* A turn soon. */
void pst_rcarrier_kick(struct pst_rcarrier *c);
/* It ends for a reason that the engine does not know of, at its next turn, which is soon. The first
 * reason counts. */
void pst_rcarrier_fail(struct pst_rcarrier *c, pst_err why, const char *text);
/* Frees all of it once its timer is closed. */
void pst_rcarrier_free(struct pst_rcarrier *c);

#ifdef __cplusplus
}
#endif

#endif
