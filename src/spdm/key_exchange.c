/* KEY_EXCHANGE, KEY_EXCHANGE_RSP (spec: DSP0274): creates the session.
 *
 * Randomness is drawn in this order. Requester: 2 bytes of ReqSessionID, 32 of RandomData, the
 * ephemeral key. Responder: 2 bytes of RspSessionID, 32 of RandomData, the ephemeral key. */
#include "spdm/chain.h"
#include "spdm/messages.h"
#include "spdm/session.h"

#define RANDOM_LEN 32
#define EVENT_ALL 2u
#define HANDSHAKE_MS 10000u /* until FINISH must come, plus the time for cryptography */

static size_t exchange_len(const struct pst_spdm *c)
{
    const struct pst_algorithm *row = pst_dh_row((pst_dh_id)c->dh);

    return row == NULL ? 0 : row->size;
}

static pst_err random_id(struct pst_spdm *c, uint16_t *id)
{
    const struct pst_crypto *crypto = c->config->crypto;
    uint8_t bytes[2];

    PST_TRY(crypto->random(crypto->ctx, bytes, sizeof bytes));
    *id = pst_peek_u16(bytes);
    if (*id == 0) {
        *id = UINT16_MAX; /* PST_SPDM_CLEAR is no session id */
    }
    return PST_OK;
}

/* -- responder -- */

struct ask {
    uint16_t req_id, version;
    uint8_t summary, slot;
    struct pst_bytes exchange;
};

static pst_err read_ask(struct pst_exchange *x, struct ask *a)
{
    struct pst_spdm *c = x->c;
    struct pst_reader r = psti_body(x);
    const struct pst_slot *s = psti_own_slot(c, x->in[3]);

    a->summary = x->in[2];
    a->slot = x->in[3];
    a->req_id = pst_get_u16(&r);
    uint8_t policy = pst_get_u8(&r);
    pst_skip(&r, 1 + RANDOM_LEN);
    a->exchange = pst_get_block(&r, exchange_len(c));
    struct pst_bytes opaque = psti_get_opaque(&r, c);
    pst_require(&r, psti_summary_valid(c, a->summary));
    pst_require(&r, s != NULL && psti_own_may(c, s, PST_USE_KEY_EXCHANGE));
    pst_require(&r, c->minor < 3 || (policy & EVENT_ALL) == 0); /* events are not supported */
    PST_TRY(psti_close(x, &r));
    return psti_opaque_pick(opaque, &a->version);
}

/* Verifies the configured chain of the requester as if it had arrived. If it is refused, the
 * requester is asked for one. PST_PENDING: the verifier needs time. */
static pst_err take_known(struct pst_spdm *c)
{
    const struct pst_slot *s = c->config->known_peer;
    uint8_t head[4 + PST_MAX_HASH];
    struct pst_bytes part = {head, 4 + psti_hash_len(c)};

    if (s == NULL || c->chain.known || s->certs_len > PST_MAX_CHAIN - sizeof head) {
        return PST_OK;
    }
    if (c->wait.step == NULL &&
        (psti_own_chain_read(c, s, 0, head, part.len) != PST_OK ||
         psti_chain_begin(c, 0, NULL) != PST_OK ||
         psti_chain_feed(c, part, (uint16_t)s->certs_len) != PST_WANT_MORE)) {
        return PST_OK;
    }
    part = (struct pst_bytes){s->certs, s->certs_len};
    return psti_chain_feed(c, part, 0) == PST_PENDING ? PST_PENDING : PST_OK;
}

/* The form of mutual authentication of this session. */
static pst_mutual mutual_of(const struct pst_spdm *c)
{
    bool encap = psti_both(c, PST_CAP_ENCAP) && (c->theirs & PST_CAP_CERT) != 0;
    pst_mutual ask = c->config->mutual;

    if (!psti_both(c, PST_CAP_MUT_AUTH) || c->req_sig == 0) {
        return PST_MUTUAL_NONE;
    }
    if (ask == PST_MUTUAL_PLAIN && !c->chain.known) {
        ask = PST_MUTUAL_ENCAP;
    }
    if (ask == PST_MUTUAL_PLAIN || encap) {
        return ask;
    }
    return PST_MUTUAL_NONE;
}

static bool by_encap(pst_mutual mutual)
{
    return mutual == PST_MUTUAL_ENCAP || mutual == PST_MUTUAL_DIGESTS;
}

static pst_err choose_mutual(struct pst_exchange *x, pst_mutual *mutual)
{
    struct pst_spdm *c = x->c;

    *mutual = mutual_of(c);
    if (*mutual == PST_MUTUAL_NONE && c->config->require_mutual) {
        return psti_refuse(x, c->minor >= 3 ? PST_SPDM_INVALID_POLICY : PST_SPDM_UNSPECIFIED);
    }
    if (by_encap(*mutual) && x->r->state.encap != PST_ENCAP_NONE) {
        return psti_refuse(x, PST_SPDM_BUSY);
    }
    return *mutual == PST_MUTUAL_PLAIN ? psti_chain_accept(c) : PST_OK;
}

static pst_err start_th(struct pst_exchange *x, unsigned slot)
{
    struct pst_spdm *c = x->c;
    uint8_t digest[PST_MAX_HASH];

    PST_TRY(psti_digests_start(c, x->session));
    PST_TRY(psti_own_digest(c, slot, digest));
    PST_TRY(psti_th_add(c, x->session, digest, psti_hash_len(c)));
    PST_TRY(psti_th_add(c, x->session, x->in, x->in_len));
    return psti_th_add(c, x->session, psti_out_bytes(x).at, psti_out_bytes(x).len);
}

/* What follows the signature. */
static pst_err signed_response(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    struct pst_spdm_session *s = x->session;
    uint16_t at = c->wait.at;
    size_t h = psti_hash_len(c);

    if (s == NULL) {
        return PST_ERR_STATE;
    }
    PST_TRY(psti_th_add(c, s, x->out.start + at, x->out.used - at));
    PST_TRY(psti_session_handshake(c, s));
    if (!s->clear_handshake) {
        uint8_t *room = pst_put_room(&x->out, h);
        if (room == NULL) {
            return PST_ERR_SPACE;
        }
        PST_TRY(psti_session_verify_data(c, s, PST_ROLE_RESPONDER, room));
        PST_TRY(psti_th_add(c, s, room, h));
    }
    if (by_encap((pst_mutual)s->mutual)) {
        psti_encap_arm(x->r, PST_ENCAP_SESSION, s);
    } else {
        s->authenticated = true;
    }
    uint8_t ct = c->config->ct_exponent > c->peer_ct ? c->config->ct_exponent : c->peer_ct;
    s->deadline_ms = psti_now(c) + HANDSHAKE_MS + 2 * psti_exponent_ms(ct);
    return PST_OK;
}

/* The shared secret is known. */
static pst_err agreed(struct pst_exchange *x, const struct ask *a)
{
    uint8_t digest[PST_MAX_HASH];

    PST_TRY(psti_put_summary(x, a->summary));
    psti_put_version_choice(&x->out, a->version);
    if (x->out.failed) {
        return PST_ERR_SPACE;
    }
    PST_TRY(start_th(x, a->slot));
    PST_TRY(psti_th_digest(x->c, x->session, digest));
    return psti_sign(x, a->slot, PST_SIGN_KEY_EXCHANGE, digest, signed_response);
}

static pst_err agree(struct pst_exchange *x)
{
    const struct pst_crypto *crypto = x->c->config->crypto;
    struct pst_spdm_session *s = x->session;
    struct ask a;

    PST_TRY(read_ask(x, &a));
    pst_err err = crypto->dh_shared(crypto->ctx, &s->u.dh, a.exchange.at, s->secret[0]);
    PST_TRY(psti_await(x, err, agree, NULL));
    crypto->dh_wipe(crypto->ctx, &s->u.dh);
    s->dh_live = false;
    return agreed(x, &a);
}

static pst_err generate(struct pst_exchange *x)
{
    const struct pst_crypto *crypto = x->c->config->crypto;
    struct pst_spdm_session *s = x->session;
    size_t at = x->out.used;
    uint8_t *room = pst_put_room(&x->out, exchange_len(x->c));

    if (room == NULL) {
        return PST_ERR_SPACE;
    }
    s->dh_live = true;
    pst_err err = crypto->dh_generate(crypto->ctx, (pst_dh_id)x->c->dh, &s->u.dh, room);
    if (err == PST_PENDING) {
        x->out.used = at;
    }
    PST_TRY(psti_await(x, err, generate, NULL));
    return agree(x);
}

/* First the requester's chain, if the configuration has it; then the response up to the key. */
static pst_err respond(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    struct pst_spdm_session *s = x->session;
    pst_mutual mutual;

    if (c->config->mutual == PST_MUTUAL_PLAIN) {
        PST_TRY(psti_await(x, take_known(c), respond, psti_chain_forget));
    }
    PST_TRY(choose_mutual(x, &mutual));
    s->mutual = (uint8_t)mutual;
    s->req_slot = mutual == PST_MUTUAL_PLAIN ? c->chain.slot : 0;
    psti_put_header(x, PST_KEY_EXCHANGE_RSP, s->heartbeat_s, 0);
    pst_put_u16(&x->out, (uint16_t)(s->id >> 16));
    pst_put_u8(&x->out, s->mutual);
    pst_put_u8(&x->out, s->req_slot);
    PST_TRY(psti_put_random(x, RANDOM_LEN));
    return generate(x);
}

static pst_err ended(struct pst_exchange *x, pst_err err)
{
    if (err != PST_OK && x->session != NULL) {
        psti_session_end(x->c, x->session, err);
    }
    return err;
}

pst_err psti_rsp_key_exchange(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    uint16_t rsp_id;
    struct ask a;

    PST_TRY(read_ask(x, &a));
    x->session = psti_session_vacant(c);
    if (x->session == NULL) {
        return PST_ERR_LIMIT;
    }
    PST_TRY(random_id(c, &rsp_id));
    while (psti_session_find(c, (uint32_t)rsp_id << 16 | a.req_id) != NULL) {
        rsp_id = rsp_id == 1 ? UINT16_MAX : (uint16_t)(rsp_id - 1);
    }
    psti_session_create(c, x->session, (uint32_t)rsp_id << 16 | a.req_id);
    x->session->heartbeat_s = psti_both(c, PST_CAP_HBEAT) ? c->config->heartbeat_s : 0;
    x->end = ended;
    return respond(x);
}

/* -- requester -- */

static pst_err put_exchange(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    struct pst_requester_state *s = &x->q->state;
    const struct pst_crypto *crypto = c->config->crypto;
    size_t at = x->out.used;
    uint8_t *room = pst_put_room(&x->out, exchange_len(c));

    if (room == NULL) {
        return PST_ERR_SPACE;
    }
    s->dh_live = true;
    pst_err err = crypto->dh_generate(crypto->ctx, (pst_dh_id)c->dh, &s->dh, room);
    if (err == PST_PENDING) {
        x->out.used = at;
    }
    PST_TRY(psti_await(x, err, put_exchange, NULL));
    psti_put_version_list(&x->out);
    return PST_OK;
}

pst_err psti_put_key_exchange(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    struct pst_requester_state *s = &x->q->state;
    uint16_t id;

    if (!c->chain.known || c->chain.slot != s->op.slot || psti_session_vacant(c) == NULL) {
        return PST_ERR_STATE;
    }
    if (c->opaque == 0) {
        return PST_ERR_UNSUPPORTED;
    }
    PST_TRY(random_id(c, &id));
    psti_put_header(x, PST_KEY_EXCHANGE, s->op.summary, s->op.slot);
    pst_put_u16(&x->out, id);
    pst_put_u8(&x->out, c->config->session_policy);
    pst_put_u8(&x->out, 0);
    PST_TRY(psti_put_random(x, RANDOM_LEN));
    memset(&s->dh, 0, sizeof s->dh);
    return put_exchange(x);
}

struct answer {
    uint16_t rsp_id, version;
    uint8_t heartbeat, mutual, req_slot;
    const uint8_t *exchange, *signature, *verify_data, *end;
};

static bool mutual_valid(const struct pst_spdm *c, uint8_t mutual, uint8_t slot)
{
    if (mutual == PST_MUTUAL_NONE) {
        return true;
    }
    if (!psti_both(c, PST_CAP_MUT_AUTH) || c->req_sig == 0) {
        return false;
    }
    if (mutual == PST_MUTUAL_PLAIN) {
        return psti_own_slot(c, slot) != NULL;
    }
    return (mutual == PST_MUTUAL_ENCAP || mutual == PST_MUTUAL_DIGESTS) &&
           psti_both(c, PST_CAP_ENCAP);
}

static pst_err read_answer(struct pst_exchange *x, struct answer *a)
{
    struct pst_spdm *c = x->c;
    struct pst_reader r = psti_body(x);
    size_t h = psti_hash_len(c);
    bool in_clear = psti_both(c, PST_CAP_CLEAR_HANDSHAKE);

    a->heartbeat = x->in[2];
    a->rsp_id = pst_get_u16(&r);
    a->mutual = pst_get_u8(&r);
    a->req_slot = pst_get_u8(&r) & 0xf;
    pst_skip(&r, RANDOM_LEN);
    a->exchange = pst_get_block(&r, exchange_len(c)).at;
    pst_skip(&r, x->q->state.op.summary != 0 ? h : 0);
    struct pst_bytes opaque = psti_get_opaque(&r, c);
    a->signature = pst_get_block(&r, psti_signature_len(c, PST_ROLE_RESPONDER)).at;
    a->verify_data = in_clear ? NULL : pst_get_block(&r, h).at;
    pst_require(&r, mutual_valid(c, a->mutual, a->req_slot));
    pst_require(&r, a->heartbeat == 0 || psti_both(c, PST_CAP_HBEAT));
    PST_TRY(psti_close(x, &r));
    return psti_opaque_chosen(opaque, &a->version);
}

/* The step after KEY_EXCHANGE_RSP. */
static void go_on(struct pst_requester *q, struct pst_spdm_session *s)
{
    struct pst_requester_state *st = &q->state;

    s->authenticated = s->mutual <= PST_MUTUAL_PLAIN;
    st->encap = s->authenticated ? PST_ENCAP_NONE : PST_ENCAP_SESSION;
    st->encap_d_taken = false;
    st->step = s->authenticated ? PST_STEP_FINISH : PST_STEP_GET_ENCAPSULATED;
    if (s->mutual == PST_MUTUAL_DIGESTS) {
        /* as if GET_DIGESTS had arrived */
        st->inner[0] = (uint8_t)(0x10 | q->spdm.minor);
        st->inner[1] = PST_GET_DIGESTS;
        st->inner[2] = 0;
        st->inner[3] = 0;
        st->inner_len = 4;
        st->encap_id = 0;
        st->step = PST_STEP_DELIVER;
    }
}

static pst_err verified(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    struct pst_spdm_session *s = x->session;
    uint8_t expected[PST_MAX_HASH];
    size_t h = psti_hash_len(c);
    struct answer a;

    PST_TRY(read_answer(x, &a));
    PST_TRY(psti_th_add(c, s, a.signature, psti_signature_len(c, PST_ROLE_RESPONDER)));
    PST_TRY(psti_session_handshake(c, s));
    if (!s->clear_handshake) {
        PST_TRY(psti_session_verify_data(c, s, PST_ROLE_RESPONDER, expected));
        if (!pst_equal_ct(expected, a.verify_data, h)) {
            return PST_ERR_AUTH;
        }
        PST_TRY(psti_th_add(c, s, a.verify_data, h));
    }
    go_on(x->q, s);
    return PST_OK;
}

static pst_err take_exchange(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    struct pst_requester_state *q = &x->q->state;
    const struct pst_crypto *crypto = c->config->crypto;
    struct pst_spdm_session *s = x->session;
    uint8_t digest[PST_MAX_HASH];
    struct answer a;

    PST_TRY(read_answer(x, &a));
    pst_err err = crypto->dh_shared(crypto->ctx, &q->dh, a.exchange, s->secret[0]);
    PST_TRY(psti_await(x, err, take_exchange, NULL));
    crypto->dh_wipe(crypto->ctx, &q->dh);
    q->dh_live = false;
    PST_TRY(psti_th_start(c, s, &q->ad));
    PST_TRY(psti_th_add(c, s, c->chain.digest, psti_hash_len(c)));
    PST_TRY(psti_th_add(c, s, q->request, q->request_len));
    PST_TRY(psti_th_add(c, s, x->in, (size_t)(a.signature - x->in)));
    PST_TRY(psti_th_digest(c, s, digest));
    return psti_verify(x, PST_SIGN_KEY_EXCHANGE, digest, a.signature, verified);
}

pst_err psti_take_key_exchange(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    struct pst_requester_state *q = &x->q->state;
    struct pst_spdm_session *s = psti_session_vacant(c);
    struct answer a;

    PST_TRY(read_answer(x, &a));
    uint32_t id = (uint32_t)a.rsp_id << 16 | pst_peek_u16(q->request + 4);
    if (s == NULL || id == PST_SPDM_CLEAR || psti_session_find(c, id) != NULL) {
        return PST_ERR_DECODE;
    }
    psti_session_create(c, s, id);
    x->session = s;
    q->session = id; /* from here on a failure of the operation ends it */
    s->mutual = a.mutual;
    s->req_slot = a.mutual == PST_MUTUAL_PLAIN ? a.req_slot : 0;
    s->heartbeat_s = a.heartbeat;
    return take_exchange(x);
}
