/* The TS's end of i3c: a debug adaptor on a modelled bus. Each stream that a DTS opens is a
 * carrier; there is one at a time. */
#ifndef POSTERN_POSIX_LINKS_I3C_DEVICE_H
#define POSTERN_POSIX_LINKS_I3C_DEVICE_H

#include "posix/loop/carrier.h"

PST_MUST_CHECK pst_err pst_i3c_device_listen(uv_loop_t *loop, const struct pst_address *at,
                                             const struct pst_listener_events *events, void *ctx,
                                             struct pst_listener **listener, char *why,
                                             size_t why_cap);

#endif
