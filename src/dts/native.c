/* The DTS on a link that carries SPDM messages and records only: one request at a time, each with
 * its answer. Batches of the SPP client travel as VENDOR_DEFINED requests. Answers that are not
 * ready at once, and events, are polled for, at growing intervals. */
#include <string.h>

#include "dts/dts.h"

#define FIRST_PAUSE_MS 1
#define AWAITING_PAUSE_MS 50 /* while an answer or the stop of a CPU is awaited */
#define IDLE_PAUSE_MS 500

static const uint8_t vendor_id[PST_VENDOR_ID_LEN] = PST_VENDOR_ID;

void psti_dts_native_start(struct pst_debugger *d)
{
    size_t third = d->config->mailbox_len / 3;
    size_t room = d->traits->mtu - PST_RECORD_OVERHEAD;

    room = room < third ? room : third;
    d->native.on = true;
    d->native.room = room;
    d->native.pause_ms = FIRST_PAUSE_MS;
    d->half = third;
    d->answer = d->config->mailbox + third;
    d->native.batch = d->config->mailbox + 2 * third;
    if (d->spdm.transfer_size > room) {
        d->spdm.transfer_size = (uint32_t)room;
    }
    d->spdm.message_size = 0;
}

/* Takes an answer, if one is awaited and it is protected as its request was. */
static pst_err take_message(struct pst_debugger *d, const uint8_t *msg, size_t len)
{
    if (len > d->half) {
        return PST_ERR_SPACE;
    }
    if (len > 0) {
        memcpy(d->answer, msg, len);
    }
    d->answer_len = len;
    d->exchange_left = 0;
    return PST_OK;
}

pst_err psti_dts_native_receive(struct pst_debugger *d, uint8_t kind, uint8_t *msg, size_t len)
{
    bool awaited = d->exchanging && d->handed && d->exchange_left > 0;
    struct pst_bytes payload;

    if (kind == PST_LINK_SPDM) {
        /* In a session a clear message is ignored. */
        return awaited && !d->protected_ ? take_message(d, msg, len) : PST_OK;
    }
    if (kind != PST_LINK_RECORD) {
        return PST_OK;
    }
    pst_err err = psti_dts_open_record(d, msg, len, &payload);
    if (err == PST_WANT_MORE) {
        return PST_OK;
    }
    PST_TRY(err);
    if (d->traits->inner != 0) {
        if (payload.len == 0 || *payload.at != d->traits->inner) {
            return PST_ERR_DECODE;
        }
        payload.at++;
        payload.len--;
    }
    return awaited && d->protected_ ? take_message(d, payload.at, payload.len) : PST_ERR_UNEXPECTED;
}

size_t psti_dts_native_output(struct pst_debugger *d, uint8_t *kind, uint8_t *out, size_t cap)
{
    bool record = d->protected_;
    size_t inner = record && d->traits->inner != 0 ? 1 : 0;
    size_t head = (record ? pst_record_head(&d->record) : 0) + inner;
    size_t len = d->native.waiting;

    if (len == 0 || cap < head + len + (record ? PST_TAG_LEN : 0)) {
        return 0;
    }
    memcpy(out + head, d->request, len);
    if (record) {
        if (inner > 0) {
            out[head - 1] = d->traits->inner;
        }
        pst_err err = pst_record_seal(&d->record, out, cap, len + inner, 0, &len);
        if (err != PST_OK) {
            psti_dts_close(d, err);
            return 0;
        }
    }
    *kind = record ? PST_LINK_RECORD : PST_LINK_SPDM;
    d->native.waiting = 0;
    d->handed = true;
    d->sent_ms = psti_dts_now(d);
    pst_requester_sent(&d->requester);
    return len;
}

static bool is_awaiting(const struct pst_debugger *d)
{
    return d->client.flights > 0 || d->native.running;
}

bool psti_dts_native_begin(struct pst_debugger *d)
{
    const uint32_t session = d->record.session_id;

    if (d->stopping) {
        return false;
    }
    if (pst_record_left(&d->record) <= REKEY_SPARE) { /* nothing else is in flight here */
        psti_dts_start_op(
            d, &(struct pst_op){.kind = PST_OP_KEY_UPDATE, .context = session, .all = true});
        return true;
    }
    if (d->data.traits != NULL) {
        return false; /* batches travel on the data link */
    }
    size_t len = pst_spp_client_batch(&d->client, d->native.batch, psti_dts_native_room(d));
    if (len == 0 && psti_dts_now(d) < d->native.poll_ms) {
        return false;
    }
    d->native.vendor = true;
    psti_dts_start_op(d, &(struct pst_op){
                             .kind = PST_OP_VENDOR,
                             .context = session,
                             .standard = PST_VENDOR_STANDARD,
                             .vendor_id = {vendor_id,       sizeof vendor_id},
                             .payload = {d->native.batch, len             },
    });
    return true;
}

/* When to poll next: at once after an answer; an empty answer doubles the pause. */
static void plan(struct pst_debugger *d, bool answered)
{
    const bool awaiting = is_awaiting(d);
    const uint16_t most = awaiting ? AWAITING_PAUSE_MS : IDLE_PAUSE_MS;
    const uint32_t next = answered ? FIRST_PAUSE_MS : 2u * d->native.pause_ms;

    d->native.pause_ms = (uint16_t)(next < most ? next : most);
    d->native.poll_ms = psti_dts_now(d) + (answered && awaiting ? 0 : d->native.pause_ms);
}

void psti_dts_native_finish(struct pst_debugger *d)
{
    if (!d->native.vendor || pst_requester_result(&d->requester, NULL) == PST_PENDING) {
        return;
    }
    d->native.vendor = false;
    if (pst_requester_result(&d->requester, NULL) != PST_OK) {
        return; /* this ends the session */
    }
    const struct pst_bytes answer = pst_requester_answer(&d->requester);
    pst_err err = pst_spp_client_receive(&d->client, answer.at, answer.len);
    if (err != PST_OK) {
        psti_dts_close(d, err);
        return;
    }
    plan(d, answer.len > 0);
}
