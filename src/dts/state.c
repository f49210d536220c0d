/* The ground that the other files of the DTS stand on: its state, the operations that wait, and
 * the one way a session ends. */
#include "dts/dts.h"

uint64_t psti_dts_now(const struct pst_debugger *d)
{
    return d->spdm.now_ms(d->spdm.now_ctx);
}

void psti_dts_set_state(struct pst_debugger *d, pst_debugger_state_id state)
{
    d->state = state;
    d->step = 0;
    if (d->config->changed != NULL) {
        d->config->changed(d->config->ctx);
    }
}

void psti_dts_submit(struct pst_debugger *d, struct pst_spp_op *op)
{
    if (op->opcode == PST_SPP_WRITE && op->space == PST_AS_RUN && op->address == PST_RUN_RESUME) {
        d->native.running = true;
    }
    pst_spp_client_submit(&d->client, op);
}

void psti_dts_release_waiting(struct pst_debugger *d)
{
    while (d->waiting != NULL) {
        struct pst_spp_op *op = d->waiting;
        d->waiting = op->next;
        psti_dts_submit(d, op);
    }
    d->waiting_end = &d->waiting;
}

void psti_dts_fail_waiting(struct pst_debugger *d, pst_err why)
{
    struct pst_spp_op *op = d->waiting;
    d->waiting = NULL;
    d->waiting_end = &d->waiting;
    while (op != NULL) {
        struct pst_spp_op *next = op->next;
        op->result = why;
        if (op->done != NULL) {
            op->done(op->ctx, op);
        }
        op = next;
    }
}

void psti_dts_close(struct pst_debugger *d, pst_err why)
{
    if (d->state == PST_DEBUGGER_CLOSED) {
        return;
    }
    d->why = why;
    d->exchanging = d->rekeying = false;
    if (d->spdm.crypto != NULL) { /* the peer's identity stays readable; secrets are wiped */
        pst_requester_cancel(&d->requester, why);
        pst_requester_end(&d->requester, pst_requester_session(&d->requester), why);
    }
    if (d->record.config.crypto != NULL) {
        pst_record_wipe(&d->record);
    }
    pst_data_wipe(&d->data.records);
    pst_wipe(d->request, d->half);
    psti_dts_set_state(d, PST_DEBUGGER_CLOSED);
    pst_spp_client_abort(&d->client, PST_ERR_CLOSED);
    psti_dts_fail_waiting(d, PST_ERR_CLOSED);
}

pst_err psti_dts_open_record(struct pst_debugger *d, uint8_t *msg, size_t len,
                             struct pst_bytes *payload)
{
    pst_key_phase phase;
    pst_err err = pst_record_open(&d->record, msg, len, payload, &phase);
    if (err == PST_OK) {
        d->heard_ms = psti_dts_now(d);
    }
    /* spec: design, "A bad tag" */
    bool tolerated = (d->traits->shared || d->traits->lossy) && err != PST_ERR_LIMIT;
    return err != PST_OK && tolerated ? PST_WANT_MORE : err;
}
