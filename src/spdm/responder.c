/* The responder's engine: one request in, one response out. */
#include "spdm/chain.h"
#include "spdm/config.h"
#include "spdm/messages.h"
#include "spdm/session.h"
#include "spdm/table.h"

/* A deferred response may be asked for every 2^17 us (131 ms), for about 33 seconds. */
#define RDT_EXPONENT 17
#define RDT_TIMES 255

pst_err pst_responder_init(struct pst_responder *r, const struct pst_spdm_config *config)
{
    if (psti_config_rule(config, PST_ROLE_RESPONDER) != 0) {
        return PST_ERR_CONFIG;
    }
    memset(r, 0, sizeof *r);
    psti_spdm_start(&r->spdm, config, PST_ROLE_RESPONDER);
    return PST_OK;
}

void pst_responder_wipe(struct pst_responder *r)
{
    if (r->spdm.config != NULL) {
        psti_responder_forget(r);
    }
    pst_wipe(r, sizeof *r);
}

void pst_responder_end(struct pst_responder *r, uint32_t session_id, pst_err why)
{
    struct pst_responder_state *st = &r->state;
    struct pst_spdm_session *s = psti_session_find(&r->spdm, session_id);

    if (s == NULL) {
        return;
    }
    if (st->encap_session == session_id && st->encap != PST_ENCAP_NONE) {
        st->encap = PST_ENCAP_NONE;
        /* a chain that was still arriving belongs to nobody */
        if (psti_chain_arrives(&r->spdm)) {
            psti_chain_forget(&r->spdm);
        }
    }
    if (st->want_update == session_id) {
        st->want_update = 0;
    }
    psti_session_end(&r->spdm, s, why);
}

void pst_responder_sent(struct pst_responder *r)
{
    struct pst_responder_state *st = &r->state;
    struct pst_spdm_session *s = psti_session_find(&r->spdm, st->after_session);
    enum pst_after after = (enum pst_after)st->after;
    pst_err why = (pst_err)st->after_why;

    st->after = PST_AFTER_NONE;
    if (after == PST_AFTER_NONE || s == NULL) {
        return;
    }
    if (after == PST_AFTER_ESTABLISH) {
        why = psti_session_establish(&r->spdm, s);
        if (why == PST_OK) {
            return;
        }
    }
    pst_responder_end(r, s->id, why);
}

static bool version_fits(const struct pst_spdm *c, const struct pst_exchange *x)
{
    const struct pst_spdm_config *config = c->config;
    uint8_t version = x->in[0];

    if (x->code == PST_GET_VERSION) {
        return version == 0x10;
    }
    if (c->minor != 0) {
        return version == (0x10 | c->minor);
    }
    /* GET_CAPABILITIES chooses */
    return c->phase == PST_AT_START ||
           (version >= (0x10 | config->min_minor) && version <= (0x10 | config->max_minor));
}

static struct pst_spdm_session *session_of(struct pst_spdm *c, uint32_t context)
{
    return context == PST_SPDM_CLEAR ? psti_session_clear(c) : psti_session_find(c, context);
}

/* Another request came instead of RESPOND_IF_READY: the message that waited fails, and the session
 * that it would have created or completed ends. True: that was the session of this request. */
static bool drop_waiting(struct pst_responder *r, struct pst_exchange *x)
{
    const struct pst_wait *w = &r->spdm.wait;
    struct pst_exchange old = {
        .c = &r->spdm,
        .r = r,
        .context = w->context,
        .session = psti_session_find(&r->spdm, w->session_id),
        .code = w->code,
        .end = w->end,
    };

    if (w->step == NULL) {
        return false;
    }
    psti_wait_cancel(&r->spdm);
    r->state.deferred = r->state.token_given = false;
    (void)!psti_ended(&old, PST_ERR_CLOSED);
    pst_responder_sent(r);
    bool gone = x->session != session_of(&r->spdm, x->context);
    x->session = session_of(&r->spdm, x->context);
    return gone;
}

static pst_err gate(const struct pst_row *row, struct pst_exchange *x)
{
    uint8_t refusal = psti_row_gate(row, x->c->minor, x);

    return refusal == 0 ? PST_OK : psti_refuse(x, refusal);
}

static pst_err dispatch(struct pst_responder *r, struct pst_exchange *x)
{
    struct pst_spdm *c = &r->spdm;
    const struct pst_row *row =
        psti_row_find(psti_responder_rows, psti_responder_row_count, x->code);

    if (row == NULL) {
        return PST_ERR_UNSUPPORTED;
    }
    if (!version_fits(c, x)) {
        return psti_refuse(x, PST_SPDM_VERSION_MISMATCH);
    }
    PST_TRY(gate(row, x));
    if (x->in_len > c->config->transfer_size) {
        return psti_refuse(x, PST_SPDM_REQUEST_TOO_LARGE);
    }
    if (!psti_row_fits(row, x)) {
        return PST_ERR_DECODE;
    }
    if ((row->flags & PST_ROW_IN_FLOW) == 0 && psti_encap_in_flight(r, x->context)) {
        return psti_refuse(x, PST_SPDM_REQUEST_IN_FLIGHT);
    }
    if (x->code != PST_RESPOND_IF_READY && drop_waiting(r, x)) {
        if (x->context != PST_SPDM_CLEAR) {
            x->out.cap = 0; /* its keys are gone: no answer is possible */
            return PST_ERR_CLOSED;
        }
        PST_TRY(gate(row, x));
    }
    psti_row_note(row, c, x->context == PST_SPDM_CLEAR ? NULL : x->session);
    return psti_ended(x, row->run(x));
}

/* ResponseNotReady is possible: the message fits into `defer`, and did not come in an encapsulated
 * response, for which SPDM has no such answer. */
static bool may_defer(const struct pst_responder *r, const struct pst_exchange *x)
{
    const struct pst_responder_state *st = &r->state;
    const struct pst_wait *w = &r->spdm.wait;
    size_t in_len = w->reads ? x->in_len : 0;

    return !r->spdm.config->caller_waits && w->code != PST_DELIVER_ENCAPSULATED_RESPONSE &&
           st->defer != NULL && in_len <= UINT16_MAX && x->out.used <= UINT16_MAX &&
           in_len + x->out.used <= st->defer_cap;
}

static void write_not_ready(struct pst_responder *r, struct pst_exchange *x)
{
    struct pst_responder_state *st = &r->state;
    const struct pst_wait *w = &r->spdm.wait;

    if (!st->token_given) {
        st->token++;
    }
    st->token_given = true;
    if (w->reads && x->in != st->defer) {
        memcpy(st->defer, x->in, x->in_len);
    }
    st->deferred = true;
    st->deferred_in = w->reads ? (uint16_t)x->in_len : 0;
    st->deferred_out = (uint16_t)x->out.used;
    memcpy(st->defer + st->deferred_in, x->out.start, x->out.used);
    psti_write_error(x, PST_SPDM_RESPONSE_NOT_READY, 0);
    pst_put_u8(&x->out, RDT_EXPONENT);
    pst_put_u8(&x->out, w->code);
    pst_put_u8(&x->out, st->token);
    pst_put_u8(&x->out, RDT_TIMES);
}

static void write_refusal(struct pst_exchange *x, pst_err err)
{
    uint8_t code = x->refusal != 0 ? x->refusal : psti_error_code(err);

    psti_write_error(x, code, code == PST_SPDM_UNSUPPORTED_REQUEST ? x->code : 0);
}

static pst_err conclude(struct pst_responder *r, struct pst_exchange *x, pst_err err,
                        size_t *out_len)
{
    struct pst_responder_state *st = &r->state;

    if (err == PST_OK && x->out.failed) {
        err = PST_ERR_SPACE;
    }
    if (err == PST_PENDING && !may_defer(r, x)) {
        st->deferred = false;
        st->request = x->in - x->in_at;
        st->request_len = x->in_len + x->in_at;
        return PST_PENDING;
    }
    if (err == PST_PENDING) {
        write_not_ready(r, x);
    } else if (r->spdm.wait.step == NULL) {
        st->deferred = st->token_given = false;
    }
    if (err != PST_OK && err != PST_PENDING) {
        write_refusal(x, err);
    }
    *out_len = x->out.used;
    return PST_OK;
}

static struct pst_exchange exchange_of(struct pst_responder *r, uint32_t context, uint8_t *out,
                                       size_t cap)
{
    struct pst_spdm *c = &r->spdm;
    size_t room = c->peer_transfer != 0 && c->peer_transfer < cap ? c->peer_transfer : cap;

    return (struct pst_exchange){
        .c = c,
        .r = r,
        .out = pst_writer_of(out, room),
        .context = context,
        .session = session_of(c, context),
    };
}

void pst_responder_heard(struct pst_responder *r, uint32_t session_id)
{
    struct pst_spdm_session *s = psti_session_find(&r->spdm, session_id);

    if (s != NULL && s->phase == PST_SESSION_APPLICATION && s->heartbeat_s != 0) {
        s->deadline_ms = psti_now(&r->spdm) + UINT64_C(2000) * s->heartbeat_s;
    }
}

pst_err pst_responder_handle(struct pst_responder *r, uint32_t context, const uint8_t *req,
                             size_t len, uint8_t *out, size_t cap, size_t *out_len)
{
    pst_responder_sent(r);
    struct pst_exchange x = exchange_of(r, context, out, cap);

    *out_len = 0;
    /* spec: DSP0277: a record of no session is dropped, silently */
    if (context != PST_SPDM_CLEAR && x.session == NULL) {
        return PST_OK;
    }
    pst_responder_heard(r, context);
    if (len < 4) {
        return conclude(r, &x, PST_ERR_DECODE, out_len);
    }
    x.in = req;
    x.in_len = len;
    x.code = req[1];
    return conclude(r, &x, dispatch(r, &x), out_len);
}

pst_err pst_responder_resume(struct pst_responder *r, uint8_t *out, size_t cap, size_t *out_len)
{
    const struct pst_wait *w = &r->spdm.wait;
    struct pst_exchange x = exchange_of(r, w->context, out, cap);

    *out_len = 0;
    if (w->step == NULL) {
        return PST_OK; /* its session ended meanwhile */
    }
    x.in = r->state.request;
    x.in_len = r->state.request_len;
    x.session = psti_session_find(&r->spdm, w->session_id);
    return conclude(r, &x, psti_wait_again(&x), out_len);
}

pst_err pst_responder_bad_record(struct pst_responder *r, uint32_t session_id, uint8_t *out,
                                 size_t cap, size_t *out_len)
{
    struct pst_exchange x = exchange_of(r, session_id, out, cap);

    *out_len = 0;
    if (session_id == PST_SPDM_CLEAR || x.session == NULL) {
        return PST_OK;
    }
    psti_responder_after(r, PST_AFTER_END, session_id, PST_ERR_AUTH);
    return conclude(r, &x, PST_ERR_AUTH, out_len);
}

uint64_t pst_responder_poll(struct pst_responder *r)
{
    uint64_t now = psti_now(&r->spdm), wait = UINT64_MAX;

    for (size_t i = 0; i < PST_SPDM_SESSIONS; i++) {
        const struct pst_spdm_session *s = &r->spdm.sessions[i];

        if (s->phase == PST_SESSION_FREE || s->deadline_ms == 0) {
            continue;
        }
        if (now >= s->deadline_ms) {
            pst_responder_end(r, s->id, PST_ERR_TIMEOUT);
        } else if (s->deadline_ms - now < wait) {
            wait = s->deadline_ms - now;
        }
    }
    return wait;
}

pst_err pst_responder_want_key_update(struct pst_responder *r, uint32_t session_id)
{
    struct pst_spdm *c = &r->spdm;
    struct pst_spdm_session *s = psti_session_find(c, session_id);

    if (s == NULL || s->phase != PST_SESSION_APPLICATION || r->state.want_update != 0 ||
        !psti_both(c, PST_CAP_ENCAP) || !psti_both(c, PST_CAP_KEY_UPD)) {
        return PST_ERR_STATE;
    }
    r->state.want_update = session_id;
    return PST_OK;
}
