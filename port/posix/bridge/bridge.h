/* A bridge: copies bytes between carriers of any two links, without keys and without looking
 * inside.
 *
 * Where one side listens, each peer that arrives gets a connection of its own to the other side.
 * Where both listen, the peers of one are joined with those of the other as they come: so a TS that
 * calls out and a DTS that calls out meet. Where both call, the first is called, then the second,
 * and both again after an end.
 *
 * A direction holds at most one chunk: while that is not taken on one side nothing is read on the
 * other, so neither a slow peer nor a flood makes the bridge grow, and a slow link slows the peer
 * that talks to it.
 */
#ifndef POSTERN_POSIX_BRIDGE_BRIDGE_H
#define POSTERN_POSIX_BRIDGE_BRIDGE_H

#include "posix/bridge/pcapng.h"
#include "posix/loop/carrier.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_BRIDGE_CONNECTIONS 256 /* at once; what comes beyond them is closed */

struct pst_bridge_config {
    struct pst_address a, b;
    struct pst_pcapng *capture;                /* NULL: none */
    void (*note)(void *ctx, const char *text); /* connections and what goes wrong, for people */
    void *ctx;
};

/* Runs on `loop` until uv_stop, or a failure to listen: PST_ERR_IO with `why`. Then everything of
 * it is closed, and the loop has run until it is; the owner's own handles are to be closed or
 * unreferenced. */
PST_MUST_CHECK pst_err pst_bridge_run(uv_loop_t *loop, const struct pst_bridge_config *config,
                                      char *why, size_t why_cap);

#ifdef __cplusplus
}
#endif

#endif
