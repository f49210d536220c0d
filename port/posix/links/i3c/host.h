/* A modelled I3C bus (model/i3c_model.h) that several processes share.
 *
 * Whoever holds it listens at a Unix socket; targets attach their devices and controllers look at
 * it (i3c_wire.h). Each debug adaptor on the bus, with the TS engine in it, lives here, as it would
 * be a block of its own in a chip; its owner reaches it by a stream of bytes. An MCTP device is the
 * same with packets.
 *
 * A bus with a speed answers as slowly as SCL would be (on average: the clock ticks in
 * milliseconds); without one it is as fast as the machine.
 */
#ifndef POSTERN_POSIX_LINKS_I3C_HOST_H
#define POSTERN_POSIX_LINKS_I3C_HOST_H

#include "posix/links/i3c/model.h"
#include "posix/links/i3c/wire.h"

struct pst_i3c_host;

/* PST_ERR_IO with `why`: cannot listen at `path`, for example since another one does. PST_ERR_BUSY
 * with `why`: another process is about to, or makes a bus in the same directory. `khz` 0: no speed.
 * The seed is that of the model. */
PST_MUST_CHECK pst_err pst_i3c_host_start(uv_loop_t *loop, const char *path, unsigned khz,
                                          uint64_t seed, struct pst_i3c_host **host, char *why,
                                          size_t why_cap);
/* The model, for faults, resets and counters. After a reset call pst_i3c_host_pump. */
struct pst_i3c_model *pst_i3c_host_model(struct pst_i3c_host *host);
/* Sends owners and controllers the model's news. */
void pst_i3c_host_pump(struct pst_i3c_host *host);
/* All clients lose the bus. Frees it, soon. */
void pst_i3c_host_stop(struct pst_i3c_host *host);

#endif
