/* FINISH, FINISH_RSP (spec: DSP0274): completes the handshake. */
#include "spdm/chain.h"
#include "spdm/messages.h"
#include "spdm/session.h"

#define SIGNED 1u

/* -- responder -- */

struct ask {
    const uint8_t *signature, *verify_data;
};

static pst_err read_ask(struct pst_exchange *x, struct ask *a)
{
    struct pst_spdm *c = x->c;
    const struct pst_spdm_session *s = x->session;
    struct pst_reader r = psti_body(x);
    bool is_signed = (x->in[2] & SIGNED) != 0, mutual = s->mutual != PST_MUTUAL_NONE;

    a->signature = pst_get_block(&r, is_signed ? psti_signature_len(c, PST_ROLE_REQUESTER) : 0).at;
    a->verify_data = pst_get_block(&r, psti_hash_len(c)).at;
    pst_require(&r, is_signed == mutual && (!mutual || x->in[3] == s->req_slot));
    PST_TRY(psti_close(x, &r));
    /* A session that demands the requester's proof accepts nothing less, whatever was skipped. */
    bool known = c->chain.known && c->chain.slot == s->req_slot;
    return s->authenticated && (!mutual || known) ? PST_OK : PST_ERR_UNEXPECTED;
}

static pst_err respond(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    struct pst_spdm_session *s = x->session;
    size_t h = psti_hash_len(c);

    psti_put_header(x, PST_FINISH_RSP, 0, 0);
    if (x->out.failed) {
        return PST_ERR_SPACE;
    }
    PST_TRY(psti_th_add(c, s, psti_out_bytes(x).at, 4));
    if (s->clear_handshake) {
        uint8_t *room = pst_put_room(&x->out, h);
        if (room == NULL) {
            return PST_ERR_SPACE;
        }
        PST_TRY(psti_session_verify_data(c, s, PST_ROLE_RESPONDER, room));
        PST_TRY(psti_th_add(c, s, room, h));
    }
    return psti_session_master(c, s);
}

static pst_err check_verify_data(struct pst_exchange *x, const uint8_t *verify_data)
{
    struct pst_spdm *c = x->c;
    struct pst_spdm_session *s = x->session;
    uint8_t expected[PST_MAX_HASH];
    size_t h = psti_hash_len(c);

    PST_TRY(psti_session_verify_data(c, s, PST_ROLE_REQUESTER, expected));
    if (!pst_equal_ct(expected, verify_data, h)) {
        return PST_ERR_AUTH;
    }
    PST_TRY(psti_th_add(c, s, verify_data, h));
    return respond(x);
}

static pst_err verified(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    struct ask a;

    PST_TRY(read_ask(x, &a));
    PST_TRY(psti_th_add(c, x->session, a.signature, psti_signature_len(c, PST_ROLE_REQUESTER)));
    return check_verify_data(x, a.verify_data);
}

/* The transcript has changed, so FINISH cannot be tried again. */
static pst_err ended(struct pst_exchange *x, pst_err err)
{
    psti_responder_after(x->r, err == PST_OK ? PST_AFTER_ESTABLISH : PST_AFTER_END, x->session->id,
                         err);
    return err;
}

pst_err psti_rsp_finish(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    struct pst_spdm_session *s = x->session;
    uint8_t digest[PST_MAX_HASH];
    struct ask a;

    PST_TRY(read_ask(x, &a));
    x->end = ended;
    if (s->mutual == PST_MUTUAL_NONE) {
        PST_TRY(psti_th_add(c, s, x->in, 4));
        return check_verify_data(x, a.verify_data);
    }
    PST_TRY(psti_th_add(c, s, c->chain.digest, psti_hash_len(c)));
    PST_TRY(psti_th_add(c, s, x->in, 4));
    PST_TRY(psti_th_digest(c, s, digest));
    return psti_verify(x, PST_SIGN_FINISH, digest, a.signature, verified);
}

/* -- requester -- */

static pst_err append_verify_data(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    struct pst_spdm_session *s = x->session;
    size_t h = psti_hash_len(c);
    uint8_t *room = pst_put_room(&x->out, h);

    if (room == NULL) {
        return PST_ERR_SPACE;
    }
    PST_TRY(psti_session_verify_data(c, s, PST_ROLE_REQUESTER, room));
    return psti_th_add(c, s, room, h);
}

static pst_err signed_request(struct pst_exchange *x)
{
    uint16_t at = x->c->wait.at;

    if (x->session == NULL) {
        return PST_ERR_STATE;
    }
    PST_TRY(psti_th_add(x->c, x->session, x->out.start + at, x->out.used - at));
    return append_verify_data(x);
}

pst_err psti_put_finish(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    struct pst_spdm_session *s = x->session;
    bool mutual = s->mutual != PST_MUTUAL_NONE;
    uint8_t digest[PST_MAX_HASH];

    if (!s->authenticated) {
        return PST_ERR_STATE;
    }
    psti_put_header(x, PST_FINISH, mutual ? SIGNED : 0, mutual ? s->req_slot : 0);
    if (x->out.failed) {
        return PST_ERR_SPACE;
    }
    if (mutual) {
        PST_TRY(psti_own_digest(c, s->req_slot, digest));
        PST_TRY(psti_th_add(c, s, digest, psti_hash_len(c)));
    }
    PST_TRY(psti_th_add(c, s, psti_out_bytes(x).at, 4));
    if (!mutual) {
        return append_verify_data(x);
    }
    PST_TRY(psti_th_digest(c, s, digest));
    return psti_sign(x, s->req_slot, PST_SIGN_FINISH, digest, signed_request);
}

pst_err psti_take_finish(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    struct pst_spdm_session *s = x->session;
    struct pst_reader r = psti_body(x);
    size_t h = psti_hash_len(c);
    uint8_t expected[PST_MAX_HASH];

    struct pst_bytes verify_data = pst_get_block(&r, s->clear_handshake ? h : 0);
    PST_TRY(psti_close(x, &r));
    PST_TRY(psti_th_add(c, s, x->in, 4));
    if (s->clear_handshake) {
        PST_TRY(psti_session_verify_data(c, s, PST_ROLE_RESPONDER, expected));
        if (!pst_equal_ct(expected, verify_data.at, h)) {
            return PST_ERR_AUTH;
        }
        PST_TRY(psti_th_add(c, s, expected, h));
    }
    PST_TRY(psti_session_master(c, s));
    PST_TRY(psti_session_establish(c, s));
    psti_requester_done(x->q);
    return PST_OK;
}
