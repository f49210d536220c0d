/* The audit log: what happens on a target, written before it happens.
 *
 * The target composes each event as one JSON line and hands it to a sink, in pieces of at most 128
 * bytes, so that neither needs memory for a whole line. With the last piece it says what must be
 * true when the sink returns: PST_AUDIT_DURABLE, that the line has reached stable storage (required
 * for the opening of a session, and for every line that announces an effect). A sink that fails
 * stops the effect: no log, no effects. A line has at most PST_AUDIT_LINE bytes and no newline.
 * Nothing in it is secret.
 *
 * Every line has "line" (its number since the target began), "time" (seconds since 1970, 0: no
 * trusted clock), "event", "session" and "engineer". What else it has depends on the event:
 *
 *     open     "fingerprint" of the engineer's certificate, "observer" (true: may only read),
 *              "time_checked":false when there is no trusted clock, "grants" that are effective
 *     effect   "effects": what the batch changes, each with space, address and length, as in
 *              "memory 0x80000000+4", or a breakpoint as gdb writes it: "Z0 0x80000204,2" is set,
 *              "z0 0x80000204,2" is removed
 *     denied   "space", "rights" ("open": the space was to be opened), "address", "bytes"
 *     refused  "link", "reason": a peer was not let in
 *     end      "reason", "read_count", "read_bytes", "effect_count" of the session
 *
 * At most five lines of refusals and denials are written each second; "suppressed" in the next one
 * counts the others.
 *
 * Stepping repeats the same few batches of run control. When a batch is repeated, its line may
 * announce more of them: "announces":60 says that up to 60 batches may follow within
 * PST_AUDIT_AHEAD_MS, each with the effects of this line or of one entry of "alternatives". Each of
 * them still gets a line, with "announced_by" and the number of the announcing line, but no sync of
 * its own, and a sink may keep it back for PST_AUDIT_KEEP_MS. So after a power failure or a killed
 * agent the log may not say which of the announced batches ran, but it always says that they were
 * announced. Other breakpoints and writes are never announced ahead. `audit_ahead` of
 * pst_target_config is the largest number; 0: every line is durable. */
#ifndef POSTERN_AUDIT_H
#define POSTERN_AUDIT_H

#include "postern/policy.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_AUDIT_LINE 1024 /* fits the longest name and grants with every character escaped */
#define PST_AUDIT_AHEAD_MS 1000
#define PST_AUDIT_KEEP_MS 100

enum pst_audit_when {
    PST_AUDIT_MORE,      /* more pieces of this line follow */
    PST_AUDIT_ANNOUNCED, /* a durable line has announced it: it may be delayed, but must be written
                            before the next line that is not announced */
    PST_AUDIT_WRITTEN,   /* other processes can read it */
    PST_AUDIT_DURABLE,   /* it survives a power failure */
};

struct pst_audit_sink {
    void *ctx;
    /* Takes the next piece of a line. After an error the rest of that line is not sent: the next
     * piece begins another line. */
    pst_err (*line)(void *ctx, const char *piece, size_t len, enum pst_audit_when when);
    uint64_t (*wall_s)(void *ctx); /* seconds since 1970, 0: no trusted clock */
};

#ifdef __cplusplus
}
#endif

#endif
