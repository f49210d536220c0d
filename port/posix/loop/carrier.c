#include "posix/loop/carrier.h"

#include <stdio.h>

static pst_err cannot(const struct pst_address *a, const char *what, char *why, size_t why_cap)
{
    snprintf(why, why_cap, "link '%s': %s: links cannot %s", a->text, a->scheme->name, what);
    return PST_ERR_IO;
}

pst_err pst_carrier_connect(uv_loop_t *loop, const struct pst_address *to,
                            const struct pst_carrier_events *events, void *ctx,
                            struct pst_carrier **carrier, char *why, size_t why_cap)
{
    *carrier = NULL;
    return to->scheme->connect == NULL
               ? cannot(to, "connect to a peer", why, why_cap)
               : to->scheme->connect(loop, to, events, ctx, carrier, why, why_cap);
}

pst_err pst_carrier_listen(uv_loop_t *loop, const struct pst_address *at,
                           const struct pst_listener_events *events, void *ctx,
                           struct pst_listener **listener, char *why, size_t why_cap)
{
    *listener = NULL;
    return at->scheme->listen == NULL
               ? cannot(at, "listen", why, why_cap)
               : at->scheme->listen(loop, at, events, ctx, listener, why, why_cap);
}
