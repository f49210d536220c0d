/* A bridge copies bytes between carriers of any two links, without keys and without looking inside.
 *
 * If one side listens, each peer that arrives gets a connection of its own to the other side. If
 * both listen, the peers of one side are joined with those of the other in order of arrival: so a
 * TS and a DTS that both call out meet. If neither listens, the bridge calls the first, then the
 * second, and both again when the connection has ended.
 *
 * Each direction holds at most one chunk. While one side does not accept it, nothing is read from
 * the other. So neither a slow peer nor a flood makes the bridge grow, and a slow link slows down
 * the peer that sends to it.
 */
#ifndef POSTERN_POSIX_BRIDGE_BRIDGE_H
#define POSTERN_POSIX_BRIDGE_BRIDGE_H

#include "posix/bridge/pcapng.h"
#include "posix/loop/carrier.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_BRIDGE_CONNECTIONS 256 /* at once; more are closed */

struct pst_bridge_config {
    struct pst_address a, b;
    struct pst_pcapng *capture;                /* NULL: none */
    void (*note)(void *ctx, const char *text); /* connections and what goes wrong, for people */
    void *ctx;
};

/* Runs on `loop` until uv_stop, or until it cannot listen: PST_ERR_IO with `why`. When it returns,
 * the bridge has closed everything it opened. For that it runs the loop on, so the owner's own
 * handles must be closed or unreferenced by then. */
PST_MUST_CHECK pst_err pst_bridge_run(uv_loop_t *loop, const struct pst_bridge_config *config,
                                      char *why, size_t why_cap);

#ifdef __cplusplus
}
#endif

#endif
