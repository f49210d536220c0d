/* What the files of a target share. Each may call those that stand above it, never below:
 * contexts.c and text.c; log.c and mailbox.c; session.c; gate.c; teardown.c; native.c and
 * data.c; target.c.
 *
 * The rule of target.h is kept here. An access space is reached only through an engine that
 * `open_session_engine` (session.c) made. That is called for an established session only, and the
 * gate of that engine asks the grants of that session and nothing else.
 */
#ifndef PST_TS_TS_H
#define PST_TS_TS_H

#include "postern/target.h"
#include "ts/text.h"

/* contexts.c: lookups and clocks. */
/* NULL: no link of this number is up. */
struct pst_target_link *psti_ts_link(struct pst_target *t, uint32_t id);
/* The context that controls the target, live or still being released; NULL: nobody does. */
struct pst_target_context *psti_ts_holder(struct pst_target *t);
/* The context uses this link: for its SPDM messages or for its debug data. */
bool psti_ts_runs_over(const struct pst_target_context *c, uint32_t link);
/* Monotonic milliseconds. */
uint64_t psti_ts_now(const struct pst_target *t);
/* Seconds since 1970; 0: there is no trusted clock. */
uint64_t psti_ts_wall(const struct pst_target *t);

/* gate.c */
void psti_ts_gate_init(struct pst_target_context *c);
/* Gives a batch to the context's engine, which asks the gate. PST_ERR_AUDIT: the log cannot be
 * written; PST_ERR_DECODE: malformed, or more than the credit. The caller then ends the context,
 * now or by `closing`. */
PST_MUST_CHECK pst_err psti_ts_take_batch(struct pst_target_context *c, const uint8_t *batch,
                                          size_t len);

/* mailbox.c: the SCM access space of a context. */
void psti_ts_mailbox_init(struct pst_target_context *c, const struct pst_target_buffers *b);
void psti_ts_mailbox_clear(struct pst_target_context *c);

/* config.c: what pst_target_config_check says, without its texts: true: nothing is wrong. */
bool psti_ts_config_fits(const struct pst_target_config *config,
                         const struct pst_target_buffers *buffers, size_t count);

/* session.c: from an SPDM connection to a session with rights. */
void psti_ts_spdm_init(struct pst_target_context *c);
PST_MUST_CHECK pst_err psti_ts_open_bootstrap(struct pst_target_context *c);
/* Accesses that the holder's spaces perform for observers are given up: the holder ends, or needs
 * the spaces itself. */
void psti_ts_stop_watching(struct pst_target *t);

/* teardown.c: the one way a context ends, whatever the cause. Safe to call again. */
void psti_ts_teardown(struct pst_target_context *c, pst_err why);
/* Moves an ENDING context on; FREE when its spaces are released. */
void psti_ts_teardown_poll(struct pst_target_context *c);
/* A record that did not open. It ends the session on a private ordered link; on a link that is
 * shared or lossy it is dropped, and counted until PST_ERR_LIMIT. */
void psti_ts_bad_record(struct pst_target_context *c, const struct pst_link_traits *traits,
                        pst_err err);

/* log.c: audit lines. PST_ERR_AUDIT: the sink failed. */
/* The name of an access space: "memory". */
void psti_ts_put_space(struct psti_text *s, uint8_t space);
PST_MUST_CHECK pst_err psti_ts_log_open(struct pst_target_context *c, const char *grants);
void psti_ts_log_refused(struct pst_target_context *c, const char *why);
void psti_ts_log_denied(struct pst_target_context *c, uint8_t space, uint8_t rights,
                        uint64_t address, uint64_t len);
void psti_ts_log_end(struct pst_target_context *c, pst_err why);
/* `run`: it is only run control, which may be announced ahead. */
PST_MUST_CHECK pst_err psti_ts_log_effect(struct pst_target_context *c, const char *what,
                                          size_t len, bool run);

/* native.c, through the configuration: SPDM messages as link messages. */
struct pst_target_native {
    void (*receive)(struct pst_target_context *c, const uint8_t *msg, size_t len);
    /* The answer to the last request, at most `cap` bytes; 0: there is none yet. */
    size_t (*output)(struct pst_target_context *c, uint8_t *out, size_t cap);
    /* hooks.vendor of such a context */
    pst_err (*vendor)(void *ctx, uint32_t context, uint16_t standard, struct pst_bytes vendor_id,
                      struct pst_bytes payload, uint8_t *out, size_t cap, size_t *out_len);
};

/* data.c, through the configuration: sessions whose debug has a link of its own. */
struct pst_target_data {
    /* keys.exported of every context */
    pst_err (*exported)(void *ctx, uint32_t session_id, const struct pst_export *e);
    /* A record that belongs to no session managed on this link. */
    void (*receive)(struct pst_target *t, const struct pst_target_link *link, uint32_t session_id,
                    uint8_t *msg, size_t len);
    size_t (*output)(struct pst_target *t, const struct pst_target_link *link, uint8_t *out,
                     size_t cap);
    /* The context has no data link from now on. */
    void (*release)(struct pst_target_context *c);
};

#endif
