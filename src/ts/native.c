/* Native links: SPDM messages are link messages, one request and one answer at a time, and debug
 * data travels in VENDOR_DEFINED messages inside a session. Such a batch is decided like any other:
 * by the engine of the session and its gate. */
#include <string.h>

#include "ts/ts.h"

static const uint8_t vendor_id[PST_VENDOR_ID_LEN] = PST_VENDOR_ID;

/* A request that comes while the responder works on another one is dropped. A request that comes
 * while an answer waits to be fetched replaces that answer. It runs when there is room for its own.
 */
static void receive(struct pst_target_context *c, const uint8_t *msg, size_t len)
{
    struct pst_mailbox *m = &c->mailbox;

    if (m->running || m->request_len > 0 || len > m->half) {
        return;
    }
    m->answer_len = 0;
    memcpy(m->request, msg, len);
    m->request_len = len;
}

static pst_err run(struct pst_target_context *c, size_t cap)
{
    struct pst_mailbox *m = &c->mailbox;
    const uint32_t context = c->protected_ ? c->session_id : PST_SPDM_CLEAR;
    const size_t len = m->request_len;

    if (m->running) {
        return pst_responder_resume(&c->responder, m->answer, cap, &m->answer_len);
    }
    if (len == 0) {
        return PST_PENDING;
    }
    m->running = true;
    m->request_len = 0;
    return pst_responder_handle(&c->responder, context, m->request, len, m->answer, cap,
                                &m->answer_len);
}

static size_t output(struct pst_target_context *c, uint8_t *out, size_t cap)
{
    struct pst_mailbox *m = &c->mailbox;
    size_t len = 0;

    if (run(c, cap < m->half ? cap : m->half) == PST_PENDING) {
        return 0;
    }
    m->running = false;
    len = m->answer_len;
    m->answer_len = 0;
    m->delivered = len > 0;
    if (len > 0) {
        memcpy(out, m->answer, len);
    }
    return len;
}

static bool is_ours(uint16_t standard, struct pst_bytes id)
{
    return standard == PST_VENDOR_STANDARD && id.len == sizeof vendor_id &&
           memcmp(id.at, vendor_id, sizeof vendor_id) == 0;
}

/* The rule: only an established session, in a record of its own, reaches an engine, and only on one
 * way: here, or on its data link. */
static bool may_debug(const struct pst_target_context *c, uint32_t context)
{
    return c->protected_ && context != PST_SPDM_CLEAR && context == c->session_id &&
           (c->phase == PST_CONTEXT_LIVE || c->phase == PST_CONTEXT_REFUSED) &&
           (c->data == NULL || !c->data->bound);
}

static pst_err vendor(void *ctx, uint32_t context, uint16_t standard, struct pst_bytes id,
                      struct pst_bytes payload, uint8_t *out, size_t cap, size_t *out_len)
{
    struct pst_target_context *c = ctx;

    if (!is_ours(standard, id)) {
        return PST_ERR_UNSUPPORTED;
    }
    if (!may_debug(c, context)) {
        return PST_ERR_UNEXPECTED;
    }
    if (payload.len > 0) {
        pst_err err = psti_ts_take_batch(c, payload.at, payload.len);
        if (err != PST_OK) {
            c->closing = err; /* later: the responder is running */
            return err;
        }
    }
    *out_len = pst_spp_engine_output(&c->engine, out, cap);
    return PST_OK;
}

const struct pst_target_native pst_target_native = {
    .receive = receive,
    .output = output,
    .vendor = vendor,
};
