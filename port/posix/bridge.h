/* A bridge: copies bytes between two stream links, without keys and without looking inside.
 *
 * Each peer that arrives at the listening side gets a connection of its own to the other side. A
 * direction holds at most one buffer: while it is being written on one side nothing is read on the
 * other, so neither a slow peer nor a flood makes the bridge grow.
 */
#ifndef POSTERN_POSIX_BRIDGE_H
#define POSTERN_POSIX_BRIDGE_H

#include "posix/address.h"
#include "posix/pcapng.h"

struct pst_bridge_config {
    struct pst_address a, b;                   /* exactly one of them listens */
    struct pst_pcapng *capture;                /* NULL: none */
    void (*note)(void *ctx, const char *text); /* connections and what goes wrong, for people */
    void *ctx;
};

/* Runs on `loop` until uv_stop or a failure to listen. PST_ERR_ARGUMENT: both or neither listen.
 * PST_ERR_IO with `why`. */
PST_MUST_CHECK pst_err pst_bridge_run(uv_loop_t *loop, const struct pst_bridge_config *config,
                                      char *why, size_t why_cap);

#endif
