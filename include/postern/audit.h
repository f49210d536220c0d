/* The audit log: what happens on a target, written before it happens.
 *
 * The target composes each event as one JSON line and hands it to a sink, in pieces of at most 128
 * bytes, so that neither needs memory for a whole line. With the last piece it says what must be
 * true when the sink returns: PST_AUDIT_DURABLE, that the line has reached stable storage (the
 * opening of a session, and every line that announces an effect). A sink that fails stops the
 * effect: no log, no effects. A line has at most PST_AUDIT_LINE bytes and no newline. Nothing in it
 * is secret.
 *
 * `"do"` lists the effects of a batch: space, address and length, or a breakpoint as debuggers
 * write it, `"Z0 0x80000204,2"` set, `"z0 ..."` removed.
 *
 * Stepping is the same few batches of run control over and over. When one comes again, its line may
 * announce more of them: `"and_again":60` says that up to that many may follow within
 * PST_AUDIT_AHEAD_MS, each with the same effects as this line or as one of those in `"or"`. Each
 * that does still gets a line of its own, `"announced":N` with the number of that line, but not a
 * sync of its own, and a sink may keep it for PST_AUDIT_KEEP_MS: what a power failure or a killed
 * agent can lose of the log is which of the announced ones came to pass, never that they were to be
 * expected. A breakpoint elsewhere, or
 * anything that writes, is never among them. `audit_ahead` of pst_target_config says how many; 0:
 * none, each line is durable.
 */
#ifndef POSTERN_AUDIT_H
#define POSTERN_AUDIT_H

#include "postern/policy.h"

#define PST_AUDIT_LINE 1024 /* the longest name and grants, every character escaped */
#define PST_AUDIT_AHEAD_MS 1000
#define PST_AUDIT_KEEP_MS 100

enum pst_audit_when {
    PST_AUDIT_MORE,      /* the line goes on with the next piece */
    PST_AUDIT_ANNOUNCED, /* a durable line has announced it: soon, before the next line of others */
    PST_AUDIT_WRITTEN,   /* another process sees it */
    PST_AUDIT_DURABLE,   /* a power failure does not take it */
};

struct pst_audit_sink {
    void *ctx;
    /* Takes the next piece of a line. After an error the rest of that line does not come: the next
     * piece begins another one. */
    pst_err (*line)(void *ctx, const char *piece, size_t len, enum pst_audit_when when);
    uint64_t (*wall_s)(void *ctx); /* seconds since 1970, 0: no trusted clock */
};

#endif
