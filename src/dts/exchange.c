/* SPDM messages of the DTS, one request and its response at a time: through the mailbox of the SCM
 * access space, or on a native link as link messages (native.c). */
#include "dts/dts.h"

static void exchange_done(void *ctx, struct pst_spp_op *op)
{
    struct pst_debugger *d = ctx;
    d->exchange_left--;
    if (op->result != PST_OK && d->exchange_err == PST_OK) {
        d->exchange_err = op->result;
    }
}

static struct pst_spp_op mailbox_op(struct pst_debugger *d, bool write, uint64_t address,
                                    uint8_t *data, size_t len)
{
    return (struct pst_spp_op){
        .opcode = write ? PST_SPP_WRITE : PST_SPP_READ,
        .space = PST_AS_SCM,
        .address = address,
        .data = data,
        .len = (uint32_t)len,
        .result = PST_PENDING,
        .done = exchange_done,
        .ctx = d,
    };
}

/* One packet at a time: the end of the answer may change the keys, so no further read may be sent
 * before it was seen. */
static void read_answer(struct pst_debugger *d)
{
    size_t left = d->half - d->answer_len;
    size_t len = left < d->client.max_data ? left : d->client.max_data;
    d->spdm_read =
        mailbox_op(d, false, PST_SCM_RESPONSE + d->answer_len, d->answer + d->answer_len, len);
    pst_spp_client_submit(&d->client, &d->spdm_read);
}

/* True if the answer is longer than what was read; the next read is then on its way. */
static bool read_on(struct pst_debugger *d)
{
    d->answer_len += d->spdm_read.moved;
    if (d->spdm_read.moved < d->spdm_read.len || d->answer_len == d->half) {
        return false;
    }
    d->exchange_left = 1;
    read_answer(d);
    return true;
}

static void begin(struct pst_debugger *d, uint32_t context, size_t len)
{
    d->exchanging = true;
    d->handed = false;
    d->exchange_left = 3;
    d->answer_len = 0;
    d->exchange_err = PST_OK;
    d->protected_ = context != PST_SPDM_CLEAR;
    d->asked_ms = psti_dts_now(d);
    if (d->native.on) {
        d->exchange_left = 1;
        d->native.waiting = len;
        return;
    }
    pst_poke_u32(d->go, (uint32_t)len);
    d->spdm_data = mailbox_op(d, true, PST_SCM_DATA, d->request, len);
    d->spdm_go = mailbox_op(d, true, PST_SCM_GO, d->go, sizeof d->go);
    pst_spp_client_submit(&d->client, &d->spdm_data);
    pst_spp_client_submit(&d->client, &d->spdm_go);
    read_answer(d);
}

/* Hands a complete answer to the requester. False: it is not complete, or the session has ended. */
static bool finish(struct pst_debugger *d, bool *running)
{
    *running = false;
    if (d->exchange_err != PST_OK) {
        psti_dts_close(d, d->exchange_err);
        return false;
    }
    /* A TS may answer the three mailbox operations in any order. */
    if (d->exchange_left > 0 || (!d->native.on && read_on(d))) {
        *running = true;
        return false;
    }
    d->exchanging = false;
    uint32_t context = d->protected_ ? d->record.session_id : PST_SPDM_CLEAR;
    if (pst_requester_receive(&d->requester, context, d->answer, d->answer_len) != PST_OK) {
        /* The operation's result tells what went wrong. */
    }
    psti_dts_native_finish(d);
    return d->state != PST_DEBUGGER_CLOSED;
}

bool psti_dts_pump(struct pst_debugger *d)
{
    uint32_t context;
    size_t len;
    bool running;

    if (d->exchanging && !finish(d, &running)) {
        return running;
    }
    size_t room = d->native.on ? d->native.room : d->half;
    pst_err err = pst_requester_next(&d->requester, &context, d->request, room, &len);
    if (err == PST_OK) {
        begin(d, context, len);
        return true;
    }
    return err == PST_PENDING;
}
