/* Encapsulated requests (spec: DSP0274, GET_ENCAPSULATED_REQUEST and
 * DELIVER_ENCAPSULATED_RESPONSE): the responder sends requests inside its responses. It asks for
 * the requester's chain in a handshake; for the chain and a CHALLENGE in 1.2's basic mutual
 * authentication; and for KEY_UPDATE. */
#include "spdm/chain.h"
#include "spdm/messages.h"
#include "spdm/session.h"
#include "spdm/table.h"
#include "spdm/transcript.h"

enum { PAYLOAD_NONE, PAYLOAD_REQUEST, PAYLOAD_SLOT };
#define OUTER 4 /* header around an inner message */

/* -- responder -- */

static const uint8_t response_code[] = {
    [PST_INNER_NONE] = 0,
    [PST_INNER_DIGESTS] = PST_DIGESTS,
    [PST_INNER_CERTIFICATE] = PST_CERTIFICATE,
    [PST_INNER_CHALLENGE] = PST_CHALLENGE_AUTH,
    [PST_INNER_UPDATE] = PST_KEY_UPDATE_ACK,
    [PST_INNER_VERIFY] = PST_KEY_UPDATE_ACK,
};

static size_t portion_asked(const struct pst_spdm *c)
{
    size_t fits = c->config->transfer_size - OUTER - 8;
    uint16_t wanted = c->config->certificate_portion;

    return wanted != 0 && wanted < fits ? wanted : fits;
}

/* Appends the inner request of this step. */
static pst_err put_inner(struct pst_exchange *x, enum pst_inner step)
{
    struct pst_spdm *c = x->c;
    struct pst_responder_state *st = &x->r->state;
    const struct pst_crypto *crypto = c->config->crypto;
    size_t at = x->out.used;

    st->encap_step = (uint8_t)step;
    if (step == PST_INNER_DIGESTS) {
        psti_put_header(x, PST_GET_DIGESTS, 0, 0);
    } else if (step == PST_INNER_CERTIFICATE) {
        psti_put_get_certificate(x, c->chain.slot, portion_asked(c));
    } else if (step == PST_INNER_CHALLENGE) {
        PST_TRY(psti_put_challenge_request(x, c->chain.slot, 0));
    } else {
        PST_TRY(crypto->random(crypto->ctx, &st->encap_tag, 1));
        psti_put_header(x, PST_KEY_UPDATE,
                        step == PST_INNER_UPDATE ? PST_UPDATE_KEY : PST_VERIFY_NEW_KEY,
                        st->encap_tag);
    }
    if (x->out.failed) {
        return PST_ERR_SPACE;
    }
    if (st->encap != PST_ENCAP_CHALLENGE) {
        return PST_OK;
    }
    return psti_m_add(c, x->out.start + at, x->out.used - at);
}

static pst_err nothing_pending(struct pst_exchange *x)
{
    return psti_refuse(x, x->c->minor >= 3 ? PST_SPDM_NO_PENDING_REQUESTS
                                           : PST_SPDM_UNEXPECTED_REQUEST);
}

pst_err psti_rsp_get_encapsulated(struct pst_exchange *x)
{
    struct pst_responder_state *st = &x->r->state;

    if (st->encap == PST_ENCAP_NONE && x->context != PST_SPDM_CLEAR &&
        st->want_update == x->context && x->session->phase == PST_SESSION_APPLICATION) {
        psti_encap_arm(x->r, PST_ENCAP_UPDATE, x->session);
    }
    if (st->encap == PST_ENCAP_NONE || st->encap_context != x->context) {
        return nothing_pending(x);
    }
    if (st->encap_step != PST_INNER_NONE) {
        return psti_refuse(x, PST_SPDM_REQUEST_IN_FLIGHT);
    }
    st->encap_id++;
    psti_put_header(x, PST_ENCAPSULATED_REQUEST, st->encap_id, 0);
    return put_inner(x, st->encap == PST_ENCAP_UPDATE ? PST_INNER_UPDATE : PST_INNER_DIGESTS);
}

/* The requester's chain is verified. Sets the next step: NONE when the flow is complete. */
static void complete(struct pst_exchange *x)
{
    struct pst_responder_state *st = &x->r->state;

    if (st->encap == PST_ENCAP_CHALLENGE) {
        st->encap_next = PST_INNER_CHALLENGE;
        return;
    }
    x->session->authenticated = true;
    x->session->req_slot = x->c->chain.slot;
    st->encap_next = PST_INNER_NONE;
}

static pst_err on_chain(struct pst_exchange *x);

static pst_err on_digests(struct pst_exchange *inner)
{
    struct pst_spdm *c = inner->c;
    struct pst_digests d;
    unsigned slot = 0;
    bool in_session = inner->r->state.encap == PST_ENCAP_SESSION;

    PST_TRY(psti_digests_read(inner, c->multi_req, &d));
    if (in_session && c->multi_req) {
        PST_TRY(psti_th_add(c, inner->session, inner->in, inner->in_len));
    }
    uint16_t usage = in_session ? PST_USE_KEY_EXCHANGE : PST_USE_CHALLENGE;
    while (slot < PST_MAX_SLOTS &&
           ((d.mask >> slot & 1) == 0 || !psti_digests_may(&d, slot, usage))) {
        slot++;
    }
    const uint8_t *digest = psti_digests_of(&d, slot, psti_hash_len(c));
    if (digest == NULL) {
        return PST_ERR_CERT;
    }
    if (psti_chain_is(c, slot, digest)) { /* verified before in this connection */
        PST_TRY(psti_chain_accept(c));
        complete(inner);
        return PST_OK;
    }
    inner->r->state.encap_next = PST_INNER_CERTIFICATE;
    return psti_chain_begin(c, slot, digest);
}

static pst_err on_certificate(struct pst_exchange *inner)
{
    pst_err err = psti_await(inner, psti_certificate_read(inner), on_chain, psti_chain_forget);

    inner->r->state.encap_next = PST_INNER_CERTIFICATE;
    if (err == PST_WANT_MORE) {
        return PST_OK;
    }
    if (err == PST_OK) {
        complete(inner);
    }
    return err;
}

static pst_err on_key_update(struct pst_exchange *inner)
{
    struct pst_responder_state *st = &inner->r->state;
    bool update = st->encap_step == PST_INNER_UPDATE;

    if (inner->in_len != 4 || inner->in[2] != (update ? PST_UPDATE_KEY : PST_VERIFY_NEW_KEY) ||
        inner->in[3] != st->encap_tag) {
        return PST_ERR_DECODE;
    }
    st->want_update = 0;
    st->encap_next = update ? PST_INNER_VERIFY : PST_INNER_NONE;
    return update ? psti_session_update(inner->c, inner->session, PST_TO_REQUESTER) : PST_OK;
}

static pst_err challenged(struct pst_exchange *x)
{
    (void)x;
    return PST_OK;
}

static pst_err on_chain(struct pst_exchange *x)
{
    bool digests = x->r->state.encap_step == PST_INNER_DIGESTS;

    PST_TRY(digests ? on_digests(x) : on_certificate(x));
    return x->r->state.encap == PST_ENCAP_CHALLENGE ? psti_m_add(x->c, x->in, x->in_len) : PST_OK;
}

static pst_err on_inner(struct pst_exchange *x)
{
    struct pst_responder_state *st = &x->r->state;

    st->encap_next = PST_INNER_NONE;
    switch (st->encap_step) {
    case PST_INNER_UPDATE:
    case PST_INNER_VERIFY:
        return on_key_update(x);
    case PST_INNER_CHALLENGE:
        return psti_challenge_auth_read(x, 0, challenged);
    default:
        return on_chain(x);
    }
}

/* The flow failed. The handshake that it was for fails too, and so does a session of whose keys
 * only some were updated. */
static pst_err break_off(struct pst_exchange *x, pst_err why)
{
    struct pst_responder_state *st = &x->r->state;

    if (st->encap == PST_ENCAP_SESSION || st->encap_step == PST_INNER_VERIFY) {
        psti_responder_after(x->r, PST_AFTER_END, st->encap_session, why);
    }
    if (st->encap == PST_ENCAP_CHALLENGE || psti_chain_arrives(x->c)) {
        psti_chain_forget(x->c);
    }
    st->encap = PST_ENCAP_NONE;
    st->want_update = 0;
    return why;
}

static pst_err acknowledge(struct pst_exchange *x, enum pst_inner next)
{
    struct pst_responder_state *st = &x->r->state;
    uint8_t acked = st->encap_id, slot = x->c->chain.slot, payload = PAYLOAD_REQUEST;

    if (next == PST_INNER_NONE) {
        payload = st->encap == PST_ENCAP_SESSION && slot != 0 ? PAYLOAD_SLOT : PAYLOAD_NONE;
    } else {
        st->encap_id++;
    }
    psti_put_header(x, PST_ENCAPSULATED_RESPONSE_ACK, next == PST_INNER_NONE ? 0 : st->encap_id,
                    payload);
    pst_put_u8(&x->out, acked);
    pst_put_zeros(&x->out, 3);
    if (payload == PAYLOAD_SLOT) {
        pst_put_u8(&x->out, slot);
    }
    if (next != PST_INNER_NONE) {
        return put_inner(x, next);
    }
    st->encap = PST_ENCAP_NONE;
    return x->out.failed ? PST_ERR_SPACE : PST_OK;
}

static pst_err ended(struct pst_exchange *x, pst_err err)
{
    if (err == PST_OK) {
        err = acknowledge(x, (enum pst_inner)x->r->state.encap_next);
    }
    return err == PST_OK ? PST_OK : break_off(x, err);
}

pst_err psti_rsp_deliver(struct pst_exchange *x)
{
    struct pst_responder_state *st = &x->r->state;
    const uint8_t *inner = x->in + OUTER;

    if (st->encap == PST_ENCAP_NONE || st->encap_context != x->context ||
        st->encap_step == PST_INNER_NONE) {
        return PST_ERR_UNEXPECTED;
    }
    bool refused = inner[1] == PST_ERROR;
    if (inner[0] != (0x10 | x->c->minor) || x->in[2] != st->encap_id ||
        (!refused && inner[1] != response_code[st->encap_step])) {
        return psti_refuse(x, PST_SPDM_INVALID_RESPONSE_CODE);
    }
    if (refused && st->encap == PST_ENCAP_UPDATE && st->encap_step == PST_INNER_UPDATE) {
        /* no key has changed yet: the flow ends and the session goes on */
        st->want_update = 0;
        return acknowledge(x, PST_INNER_NONE);
    }
    x->end = ended;
    x->in = inner;
    x->in_len -= OUTER;
    x->in_at = OUTER;
    return refused ? PST_ERR_PEER : on_inner(x);
}

/* -- requester -- */

pst_err psti_put_get_encapsulated(struct pst_exchange *x)
{
    psti_put_header(x, PST_GET_ENCAPSULATED_REQUEST, 0, 0);
    return PST_OK;
}

static pst_err keep_inner(struct pst_exchange *x, size_t offset, uint8_t id)
{
    struct pst_requester_state *s = &x->q->state;
    size_t len = x->in_len - offset;

    if (len < 4 || len > sizeof s->inner) {
        return PST_ERR_DECODE;
    }
    memcpy(s->inner, x->in + offset, len);
    s->inner_len = (uint8_t)len;
    s->encap_id = id;
    s->step = PST_STEP_DELIVER;
    return PST_OK;
}

pst_err psti_take_encapsulated(struct pst_exchange *x)
{
    return keep_inner(x, OUTER, x->in[2]);
}

static pst_err serve(struct pst_exchange *y)
{
    struct pst_spdm *c = y->c;
    const struct pst_requester_state *s = &y->q->state;
    const struct pst_row *row = psti_row_find(psti_encap_rows, psti_encap_row_count, y->code);
    uint8_t refusal = PST_SPDM_UNSUPPORTED_REQUEST;

    if (row != NULL) {
        refusal = psti_row_gate(row, c->minor, y);
    }
    if (refusal == 0 && y->in[0] != (0x10 | c->minor)) {
        refusal = PST_SPDM_VERSION_MISMATCH;
    }
    /* spec: DSP0274, mutual authentication: any other inner request ends the session */
    if (refusal != 0 && s->encap == PST_ENCAP_SESSION) {
        return PST_ERR_UNEXPECTED;
    }
    pst_err err = PST_OK;
    if (refusal == 0) {
        err = psti_row_fits(row, y) ? row->run(y) : PST_ERR_DECODE;
    }
    if (refusal != 0 || (err != PST_OK && err != PST_PENDING)) {
        if (refusal == 0) {
            refusal = y->refusal != 0 ? y->refusal : psti_error_code(err);
        }
        psti_write_error(y, refusal, refusal == PST_SPDM_UNSUPPORTED_REQUEST ? y->code : 0);
        err = PST_OK;
    }
    return err;
}

pst_err psti_put_deliver(struct pst_exchange *x)
{
    struct pst_requester_state *s = &x->q->state;

    psti_put_header(x, PST_DELIVER_ENCAPSULATED_RESPONSE, s->encap_id, 0);
    if (x->out.failed) {
        return PST_ERR_SPACE;
    }
    struct pst_exchange y = *x;
    y.base = x->out.used;
    y.in = s->inner;
    y.in_len = s->inner_len;
    y.code = s->inner[1];
    pst_err err = serve(&y);
    x->out = y.out;
    return err;
}

static pst_err flow_complete(struct pst_exchange *x, unsigned slot)
{
    struct pst_requester_state *s = &x->q->state;
    struct pst_spdm_session *session = x->session;

    if (session != NULL && session->update != 0) {
        return PST_ERR_DECODE; /* our new receive key was not verified */
    }
    if (s->encap != PST_ENCAP_SESSION) {
        psti_requester_done(x->q);
        return PST_OK;
    }
    if (session == NULL || psti_own_slot(x->c, slot) == NULL) {
        return PST_ERR_DECODE;
    }
    session->req_slot = (uint8_t)slot;
    session->authenticated = true;
    s->encap = PST_ENCAP_NONE;
    s->step = PST_STEP_FINISH;
    return PST_OK;
}

pst_err psti_take_ack(struct pst_exchange *x)
{
    struct pst_reader r = psti_body(x);
    uint8_t acked = pst_get_u8(&r);
    uint8_t payload = x->in[3], slot = 0;

    pst_skip(&r, 3);
    if (acked != x->q->state.encap_id) {
        return PST_ERR_DECODE;
    }
    if (payload == PAYLOAD_REQUEST) {
        return keep_inner(x, 8, x->in[2]);
    }
    if (payload == PAYLOAD_SLOT) {
        slot = pst_get_u8(&r);
    }
    pst_require(&r, payload <= PAYLOAD_SLOT);
    PST_TRY(psti_close(x, &r));
    return flow_complete(x, slot);
}
