/* The audit log: what happened on a target, before it happens.
 *
 * The SCM composes each event as one JSON line and hands it to a sink. `durable` asks that the line
 * has reached stable storage before return; it is set for the opening of a session and for every
 * line that announces an effect. A sink that fails stops the effect: no log, no effects. Lines are
 * at most PST_AUDIT_LINE bytes. Nothing in a line is secret.
 */
#ifndef POSTERN_AUDIT_H
#define POSTERN_AUDIT_H

#include "postern/policy.h"

#define PST_AUDIT_LINE 640

struct pst_audit_sink {
    void *ctx;
    pst_err (*line)(void *ctx, const char *line, size_t len, bool durable);
    uint64_t (*wall_s)(void *ctx); /* seconds since 1970, 0: no trusted clock */
};

#endif
