/* ERROR (spec: DSP0274), requester: waits, retries, or ends the operation. */
#include "spdm/messages.h"
#include "spdm/session.h"
#include "spdm/transcript.h"

#define BUSY_WAIT_MS 50
#define BUSY_RETRIES 20
#define RDT_EXPONENT_MAX 24 /* 17 seconds: a peer that asks for more hangs */

static pst_err retry_later(struct pst_exchange *x)
{
    struct pst_requester_state *s = &x->q->state;

    /* an encapsulated response is made once and cannot be repeated */
    if (s->request_len == 0 || s->not_ready || s->retries >= BUSY_RETRIES) {
        return PST_ERR_PEER;
    }
    s->retries++;
    s->repeat = true;
    s->wait_until_ms = psti_now(x->c) + BUSY_WAIT_MS;
    return PST_OK;
}

static pst_err poll_later(struct pst_exchange *x)
{
    struct pst_requester_state *s = &x->q->state;
    struct pst_reader r = psti_body(x);
    uint8_t exponent = pst_get_u8(&r);
    uint8_t code = pst_get_u8(&r);
    uint8_t token = pst_get_u8(&r);
    uint8_t times = pst_get_u8(&r);

    pst_require(&r, exponent <= RDT_EXPONENT_MAX && times > 1 && code == x->code);
    pst_require(&r, code != PST_GET_VERSION && code != PST_DELIVER_ENCAPSULATED_RESPONSE);
    PST_TRY(psti_close(x, &r));
    if (!s->not_ready) {
        s->not_ready_left = times;
    } else if (token != s->token || --s->not_ready_left == 0) {
        return PST_ERR_TIMEOUT;
    }
    s->token = token;
    s->not_ready = true;
    s->wait_until_ms = psti_now(x->c) + psti_exponent_ms(exponent);
    return PST_OK;
}

pst_err psti_take_error(struct pst_exchange *x)
{
    struct pst_requester_state *s = &x->q->state;
    uint8_t code = x->in[2];

    s->error_code = code;
    if (code == PST_SPDM_BUSY) {
        return retry_later(x);
    }
    if (code == PST_SPDM_RESPONSE_NOT_READY) {
        return poll_later(x);
    }
    if (s->step == PST_STEP_MEASUREMENTS) {
        psti_l_clear(x->c, x->context == PST_SPDM_CLEAR ? NULL : x->session);
    }
    bool idle = code == PST_SPDM_NO_PENDING_REQUESTS ||
                (x->c->minor == 2 && code == PST_SPDM_UNEXPECTED_REQUEST);
    if (s->op.kind == PST_OP_ENCAPSULATED && s->step == PST_STEP_GET_ENCAPSULATED && idle) {
        psti_requester_done(x->q); /* the responder has no request */
        return PST_OK;
    }
    if (code == PST_SPDM_DECRYPT_ERROR && x->session != NULL && x->context != PST_SPDM_CLEAR) {
        psti_session_end(x->c, x->session, PST_ERR_AUTH);
    }
    return PST_ERR_PEER;
}
