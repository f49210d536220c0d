/* The one way a context ends, whatever the cause: END_SESSION, heartbeat lost, a bad tag, a limit,
 * revocation, link down, shutdown. First the keys are wiped, then the end is logged, then the
 * access spaces are released, which removes breakpoints and leaves the CPU as the policy says. */
#include <string.h>

#include "ts/ts.h"

/* A link is closed with the last context on it, so a failing newcomer never closes the link of a
 * live session. */
static void close_link(struct pst_target_context *c)
{
    struct pst_target *t = c->target;
    struct pst_target_link *link = psti_ts_link(t, c->link);
    for (size_t i = 0; i < t->count; i++) {
        const struct pst_target_context *other = &t->contexts[i];
        if (other != c && other->phase != PST_CONTEXT_FREE && psti_ts_runs_over(other, c->link)) {
            return;
        }
    }
    if (link != NULL && !c->orphan) {
        link->close = !link->traits->shared;
    }
}

static void release(struct pst_target_context *c)
{
    close_link(c);
    pst_wipe(c->queue, c->queue_len); /* it holds what was written to the device */
    c->phase = PST_CONTEXT_FREE;
    c->session_id = PST_SPDM_CLEAR;
    memset(&c->grants, 0, sizeof c->grants);
    c->name[0] = '\0';
}

void psti_ts_teardown(struct pst_target_context *c, pst_err why)
{
    if (c->phase == PST_CONTEXT_FREE || c->phase == PST_CONTEXT_ENDING) {
        return;
    }
    bool was_live = c->phase == PST_CONTEXT_LIVE;
    bool was_pending = c->phase == PST_CONTEXT_PENDING;

    c->phase = PST_CONTEXT_ENDING; /* from here the gate refuses everything */
    c->closing = why;
    if (c->data != NULL) {
        c->target->config->data->release(c);
    }
    pst_record_wipe(&c->record);
    pst_responder_wipe(&c->responder);
    pst_wipe(c->mailbox.request, c->mailbox.half);
    pst_wipe(c->mailbox.answer, c->mailbox.half);
    psti_ts_mailbox_clear(c);
    if (was_live && !c->observer) {
        psti_ts_stop_watching(c->target);
    }
    if (was_live) {
        psti_ts_log_end(c, why == PST_ERR_CLOSED ? PST_OK : why);
    } else if (was_pending && c->session_id != PST_SPDM_CLEAR && !c->refused) {
        psti_ts_log_refused(c, pst_err_text(why)); /* it had reached KEY_EXCHANGE */
    }
    psti_ts_teardown_poll(c);
}

void psti_ts_teardown_poll(struct pst_target_context *c)
{
    if (c->phase == PST_CONTEXT_ENDING && pst_spp_engine_stop(&c->engine) != PST_PENDING) {
        release(c);
    }
}

void psti_ts_bad_record(struct pst_target_context *c, const struct pst_link_traits *traits,
                        pst_err err)
{
    if (err == PST_ERR_LIMIT || (!traits->shared && !traits->lossy)) {
        psti_ts_teardown(c, err);
    }
}
