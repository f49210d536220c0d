/* The audit log: what happened on a target, before it happens.
 *
 * The SCM composes each event as one JSON line and hands it to a sink. `durable` asks that the line
 * has reached stable storage before return; it is set for the opening of a session and for every
 * line that announces an effect. A sink that fails stops the effect: no log, no effects. Lines are
 * at most PST_AUDIT_LINE bytes. Nothing in a line is secret.
 *
 * `"do"` lists the effects of a batch: space, address and length, or a breakpoint as debuggers
 * write it, `"Z0 0x80000204,2"` set, `"z0 ..."` removed.
 *
 * Stepping is the same few batches of run control over and over. When one comes again, its line may
 * announce more of them: `"and_again":15` says that up to that many may follow within
 * PST_AUDIT_AHEAD_MS, each with the same effects as this line or as one of those in `"or"`. Each
 * that does still gets a line of its own before it runs, `"announced":N` with the number of that
 * line, but not a sync of its own: what a power failure can lose of the log is which of the
 * announced ones came to pass, never that they were to be expected. A breakpoint elsewhere, or
 * anything that writes, is never among them. `audit_ahead` of pst_target_config says how many; 0:
 * none, each line is durable.
 */
#ifndef POSTERN_AUDIT_H
#define POSTERN_AUDIT_H

#include "postern/policy.h"

#define PST_AUDIT_LINE 1024 /* the longest name and grants, every character escaped */
#define PST_AUDIT_AHEAD_MS 1000

struct pst_audit_sink {
    void *ctx;
    pst_err (*line)(void *ctx, const char *line, size_t len, bool durable);
    uint64_t (*wall_s)(void *ctx); /* seconds since 1970, 0: no trusted clock */
};

#endif
