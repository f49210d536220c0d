/* The DTS's data link, beside the one on which the session is managed. */
#include "dts/dts.h"

#define QUIET_MS 15000 /* silence after which the link is polled */
#define ANSWER_MS                                                                                  \
    45000 /* longest wait for the answer: a long record may take long on a slow link */

static pst_err exported(void *ctx, uint32_t session_id, const struct pst_export *e)
{
    struct pst_debugger *d = ctx;
    const struct pst_record_config record = {
        .crypto = d->spdm.crypto,
        .sends = PST_TO_RESPONDER,
        .sequence_len = d->data.traits->sequence_len,
    };

    return pst_data_init(&d->data.records, &record, session_id, e);
}

pst_err pst_debugger_start_data(struct pst_debugger *d, const struct pst_link_traits *management,
                                const struct pst_link_traits *data)
{
    if (data->lossy || data->inner != 0) {
        return PST_ERR_ARGUMENT;
    }
    d->data.traits = data;
    d->spdm.keys.exported = exported;
    return psti_dts_start(d, management, true);
}

static bool is_open(const struct pst_debugger *d)
{
    return d->data.traits != NULL &&
           (d->state == PST_DEBUGGER_ENABLING || d->state == PST_DEBUGGER_READY);
}

pst_err pst_debugger_receive_data(struct pst_debugger *d, uint8_t kind, uint8_t *msg, size_t len)
{
    struct pst_bytes batch;

    if (d->state == PST_DEBUGGER_IDLE || d->state == PST_DEBUGGER_CLOSED) {
        return PST_ERR_CLOSED;
    }
    if (!is_open(d) || kind != PST_LINK_RECORD) {
        return PST_OK;
    }
    pst_err err = pst_data_open(&d->data.records, msg, len, &batch);
    if (err != PST_OK && err != PST_ERR_LIMIT && d->data.traits->shared) {
        return PST_OK; /* spec: design, "A bad tag" */
    }
    if (err == PST_OK) {
        d->data.heard_ms = psti_dts_now(d);
        err = pst_spp_client_receive(&d->client, batch.at, batch.len);
    }
    if (err != PST_OK) {
        psti_dts_close(d, err);
        return err;
    }
    psti_dts_run(d);
    return PST_OK;
}

/* Heartbeats on the management link do not show that the data link is dead, or that it lost a
 * record, after which no further record opens. */
void psti_dts_data_watch(struct pst_debugger *d)
{
    struct pst_spp_op *ask = &d->data.ask;
    const uint64_t now = psti_dts_now(d);

    if (d->data.traits == NULL || d->state != PST_DEBUGGER_READY ||
        now - d->data.heard_ms < QUIET_MS) {
        return;
    }
    if (ask->result != PST_PENDING) {
        *ask = (struct pst_spp_op){.opcode = PST_SPP_READ,
                                   .space = PST_AS_SCM,
                                   .address = PST_SCM_WHO,
                                   .data = d->data.answer,
                                   .len = sizeof d->data.answer};
        d->data.asked_ms = now;
        pst_spp_client_submit(&d->client, ask);
    } else if (now - d->data.asked_ms >= ANSWER_MS && now - d->data.heard_ms >= ANSWER_MS) {
        psti_dts_close(d, PST_ERR_TIMEOUT);
    }
}

size_t pst_debugger_output_data(struct pst_debugger *d, uint8_t *kind, uint8_t *out, size_t cap)
{
    psti_dts_run(d);
    if (!is_open(d)) {
        return 0;
    }
    const size_t head = pst_data_head(&d->data.records);
    cap = cap < d->data.traits->mtu ? cap : d->data.traits->mtu;
    if (cap <= head + PST_TAG_LEN) {
        return 0;
    }
    size_t room = cap - head - PST_TAG_LEN;
    if (room > PST_RECORD_MAX_PAYLOAD) {
        room = PST_RECORD_MAX_PAYLOAD;
    }
    size_t len = pst_spp_client_batch(&d->client, out + head, room);
    if (len == 0) {
        return 0;
    }
    pst_err err = pst_data_seal(&d->data.records, out, cap, len, &len);
    if (err != PST_OK) {
        psti_dts_close(d, err);
        return 0;
    }
    *kind = PST_LINK_RECORD;
    return len;
}
