/* CHALLENGE, CHALLENGE_AUTH (spec: DSP0274). A responder challenges the requester only in the basic
 * mutual authentication of 1.2. */
#include "spdm/chain.h"
#include "spdm/messages.h"
#include "spdm/transcript.h"

#define BASIC_MUTUAL 0x80u

static bool basic_mutual(const struct pst_spdm *c)
{
    return c->role == PST_ROLE_RESPONDER && c->config->basic_mutual && c->minor == 2 &&
           psti_both(c, PST_CAP_MUT_AUTH) && psti_both(c, PST_CAP_ENCAP) &&
           (c->theirs & PST_CAP_CERT) != 0 && (c->theirs & PST_CAP_CHAL) != 0;
}

static pst_err signed_auth(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;

    psti_m_clear(c);
    c->challenged = true;
    if (basic_mutual(c)) {
        psti_encap_arm(x->r, PST_ENCAP_CHALLENGE, NULL);
    }
    return PST_OK;
}

static pst_err write_auth(struct pst_exchange *x, unsigned slot, uint8_t summary,
                          struct pst_bytes context)
{
    struct pst_spdm *c = x->c;
    struct pst_writer *w = &x->out;
    unsigned param1 = slot | (basic_mutual(c) ? BASIC_MUTUAL : 0);

    psti_put_header(x, PST_CHALLENGE_AUTH, (uint8_t)param1, psti_own_mask(c));
    uint8_t *digest = pst_put_room(w, psti_hash_len(c));
    if (digest == NULL) {
        return PST_ERR_SPACE;
    }
    PST_TRY(psti_own_digest(c, slot, digest));
    PST_TRY(psti_put_random(x, PST_NONCE_LEN));
    PST_TRY(psti_put_summary(x, summary));
    pst_put_u16(w, 0);
    pst_put_bytes(w, context.at, context.len);
    return w->failed ? PST_ERR_SPACE : PST_OK;
}

pst_err psti_serve_challenge(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    struct pst_reader r = psti_body(x);
    unsigned slot = x->in[2];
    uint8_t summary = x->in[3], digest[PST_MAX_HASH];
    const struct pst_slot *s = psti_own_slot(c, slot);

    pst_skip(&r, PST_NONCE_LEN);
    struct pst_bytes context = pst_get_block(&r, c->minor >= 3 ? PST_CONTEXT_LEN : 0);
    pst_require(&r, psti_summary_valid(c, summary));
    pst_require(&r, s != NULL && psti_own_may(c, s, PST_USE_CHALLENGE));
    PST_TRY(psti_close(x, &r));
    PST_TRY(write_auth(x, slot, summary, context));
    PST_TRY(psti_m_add(c, x->in, x->in_len));
    PST_TRY(psti_m_add(c, psti_out_bytes(x).at, psti_out_bytes(x).len));
    PST_TRY(psti_m_digest(c, digest));
    return psti_sign(x, slot, PST_SIGN_CHALLENGE, digest, signed_auth);
}

pst_err psti_put_challenge_request(struct pst_exchange *x, unsigned slot, uint8_t summary)
{
    psti_put_header(x, PST_CHALLENGE, (uint8_t)slot, summary);
    PST_TRY(psti_put_random(x, PST_NONCE_LEN));
    if (x->c->minor >= 3) {
        PST_TRY(psti_put_random(x, PST_CONTEXT_LEN));
    }
    return PST_OK;
}

static pst_err read_auth(struct pst_exchange *x, uint8_t summary, const uint8_t **signature,
                         uint8_t *digest)
{
    struct pst_spdm *c = x->c;
    pst_role peer = c->role == PST_ROLE_RESPONDER ? PST_ROLE_REQUESTER : PST_ROLE_RESPONDER;
    struct pst_reader r = psti_body(x);
    size_t h = psti_hash_len(c);

    struct pst_bytes chain = pst_get_block(&r, h);
    pst_skip(&r, PST_NONCE_LEN + (summary != 0 ? h : 0));
    (void)psti_get_opaque(&r, c);
    pst_skip(&r, c->minor >= 3 ? PST_CONTEXT_LEN : 0);
    *signature = pst_get_block(&r, psti_signature_len(c, peer)).at;
    pst_require(&r, (x->in[2] & 0xf) == c->chain.slot);
    PST_TRY(psti_close(x, &r));
    if (!c->chain.known || !pst_equal_ct(chain.at, c->chain.digest, h)) {
        return PST_ERR_AUTH;
    }
    PST_TRY(psti_m_add(c, x->in, (size_t)(*signature - x->in)));
    return psti_m_digest(c, digest);
}

pst_err psti_challenge_auth_read(struct pst_exchange *x, uint8_t summary, pst_handler *done)
{
    const uint8_t *signature;
    uint8_t digest[PST_MAX_HASH];
    pst_err err = read_auth(x, summary, &signature, digest);

    psti_m_clear(x->c);
    return err != PST_OK ? err : psti_verify(x, PST_SIGN_CHALLENGE, digest, signature, done);
}

pst_err psti_put_challenge(struct pst_exchange *x)
{
    const struct pst_op *op = &x->q->state.op;

    if (!x->c->chain.known || x->c->chain.slot != op->slot) {
        return PST_ERR_STATE;
    }
    return psti_put_challenge_request(x, op->slot, op->summary);
}

/* In 1.3 RequesterContext comes back unchanged, in front of the signature. */
static bool context_echoed(struct pst_exchange *x)
{
    size_t tail = psti_signature_len(x->c, PST_ROLE_RESPONDER) + PST_CONTEXT_LEN;
    const uint8_t *sent = x->q->state.request + 4 + PST_NONCE_LEN;

    return x->c->minor < 3 ||
           (x->in_len >= tail && memcmp(x->in + x->in_len - tail, sent, PST_CONTEXT_LEN) == 0);
}

static pst_err challenged(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    struct pst_requester_state *s = &x->q->state;

    if (!context_echoed(x)) {
        return PST_ERR_AUTH;
    }
    c->challenged = true;
    if ((x->in[2] & BASIC_MUTUAL) == 0) {
        psti_requester_done(x->q);
        return PST_OK;
    }
    if (c->minor != 2 || !psti_both(c, PST_CAP_MUT_AUTH)) {
        return PST_ERR_DECODE;
    }
    s->encap = PST_ENCAP_CHALLENGE;
    s->step = PST_STEP_GET_ENCAPSULATED;
    return PST_OK;
}

pst_err psti_take_challenge(struct pst_exchange *x)
{
    const struct pst_requester_state *s = &x->q->state;

    PST_TRY(psti_m_add(x->c, s->request, s->request_len));
    return psti_challenge_auth_read(x, s->op.summary, challenged);
}
