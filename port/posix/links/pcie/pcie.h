/* What both sides of pcie: share. */
#ifndef POSTERN_POSIX_LINKS_PCIE_PCIE_H
#define POSTERN_POSIX_LINKS_PCIE_PCIE_H

#include "posix/loop/carrier.h"
#include "postern/links/doe.h"

#define PST_PCIE_LEAST 512 /* bytes of the largest object: what makes no sense below or above */
#define PST_PCIE_MOST PST_DOE_MOST
#define PST_PCIE_PORT 2323 /* the emulators' */

PST_MUST_CHECK pst_err pst_pcie_listen(uv_loop_t *loop, const struct pst_address *at,
                                       const struct pst_listener_events *events, void *ctx,
                                       struct pst_listener **listener, char *why, size_t why_cap);

#endif
