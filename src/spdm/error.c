/* ERROR (spec: DSP0274): which code stands for what, writing one, and what the requester does about
 * one. */
#include "spdm/messages.h"
#include "spdm/session.h"
#include "spdm/transcript.h"

pst_err psti_refuse(struct pst_exchange *x, uint8_t error_code)
{
    x->refusal = error_code;
    return PST_ERR_DENIED;
}

uint8_t psti_error_code(pst_err err)
{
    static const struct {
        int8_t err;
        uint8_t code;
    } rows[] = {
        {PST_ERR_DECODE,      PST_SPDM_INVALID_REQUEST    },
        {PST_ERR_VERSION,     PST_SPDM_INVALID_REQUEST    },
        {PST_ERR_ALGORITHM,   PST_SPDM_INVALID_REQUEST    },
        {PST_ERR_UNEXPECTED,  PST_SPDM_UNEXPECTED_REQUEST },
        {PST_ERR_UNSUPPORTED, PST_SPDM_UNSUPPORTED_REQUEST},
        {PST_ERR_AUTH,        PST_SPDM_DECRYPT_ERROR      },
        {PST_ERR_LIMIT,       PST_SPDM_SESSION_LIMIT      },
        {PST_ERR_BUSY,        PST_SPDM_BUSY               },
        {PST_ERR_SPACE,       PST_SPDM_RESPONSE_TOO_LARGE },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].err == err) {
            return rows[i].code;
        }
    }
    return PST_SPDM_UNSPECIFIED;
}

void psti_write_error(struct pst_exchange *x, uint8_t code, uint8_t data)
{
    struct pst_writer *w = &x->out;

    w->used = x->base;
    w->failed = false;
    psti_put_header(x, PST_ERROR, code, data);
    if (code == PST_SPDM_RESPONSE_TOO_LARGE) {
        pst_put_u32(w, x->refusal_size);
    }
    if (w->failed) {
        w->used = 0;
        w->failed = false;
    }
}

/* -- requester -- */

#define BUSY_WAIT_MS 50
#define BUSY_RETRIES 20
#define RDT_EXPONENT_MAX 24 /* 17 seconds: longer is not patience but a hung peer */

static pst_err be_patient(struct pst_exchange *x)
{
    struct pst_requester_state *s = &x->q->state;

    /* an encapsulated response is made once; it cannot be repeated byte for byte */
    if (s->request_len == 0 || s->not_ready || s->retries >= BUSY_RETRIES) {
        return PST_ERR_PEER;
    }
    s->retries++;
    s->repeat = true;
    s->wait_until_ms = psti_now(x->c) + BUSY_WAIT_MS;
    return PST_OK;
}

static pst_err come_back(struct pst_exchange *x)
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
        return be_patient(x);
    }
    if (code == PST_SPDM_RESPONSE_NOT_READY) {
        return come_back(x);
    }
    if (s->step == PST_STEP_MEASUREMENTS) {
        psti_l_clear(x->c, x->context == PST_SPDM_CLEAR ? NULL : x->session);
    }
    bool idle = code == PST_SPDM_NO_PENDING_REQUESTS ||
                (x->c->minor == 2 && code == PST_SPDM_UNEXPECTED_REQUEST);
    if (s->op.kind == PST_OP_ENCAPSULATED && s->step == PST_STEP_GET_ENCAPSULATED && idle) {
        psti_requester_done(x->q); /* the responder has nothing to ask */
        return PST_OK;
    }
    if (code == PST_SPDM_DECRYPT_ERROR && x->session != NULL && x->context != PST_SPDM_CLEAR) {
        psti_session_end(x->c, x->session, PST_ERR_AUTH);
    }
    return PST_ERR_PEER;
}
