/* A device's plug into a modelled I3C bus: it attaches, and attaches again after it lost the bus.

   If no process holds the bus at that path, this process creates and holds it, so that one target
   and one debugger need no third program. */
#ifndef POSTERN_POSIX_LINKS_I3C_PLUG_H
#define POSTERN_POSIX_LINKS_I3C_PLUG_H

#include "posix/links/i3c/host.h"

struct pst_i3c_plug;

struct pst_i3c_plug_events { /* const, outlives the plug; called from the loop only */
    void (*attached)(void *ctx);
    void (*frame)(void *ctx, uint8_t op, const uint8_t *payload, size_t len);
    void (*drained)(void *ctx); /* some of the queued output was sent */
    /* `text`, human-readable: the bus was lost, or the id is in use. The plug retries by itself. */
    void (*lost)(void *ctx, const char *text);
};

/* `id`, `khz` (of a bus that is made) and the path are of `at`. PST_ERR_IO with `why`. */
PST_MUST_CHECK pst_err pst_i3c_plug_open(uv_loop_t *loop, const struct pst_address *at,
                                         enum pst_i3c_kind kind,
                                         const struct pst_i3c_plug_events *events, void *ctx,
                                         struct pst_i3c_plug **plug, char *why, size_t why_cap);
/* NULL while it is not attached. */
struct pst_i3c_wire *pst_i3c_plug_wire(struct pst_i3c_plug *plug);
/* No event follows but `closed`, soon. */
void pst_i3c_plug_close(struct pst_i3c_plug *plug, void (*closed)(void *ctx));

#endif
