/* Signatures of SPDM 1.2 and later: the prefix, the context string, the hash of the transcript
 * (spec: DSP0274, signature generation). */
#include "spdm/engine.h"
#include "spdm/session.h"

#define PREFIX_LEN 100
#define TO_SIGN_MAX (PREFIX_LEN + PST_MAX_HASH)

static const char *const purposes[] = {
    [PST_SIGN_CHALLENGE] = "challenge_auth",
    [PST_SIGN_MEASUREMENTS] = "measurements",
    [PST_SIGN_KEY_EXCHANGE] = "key_exchange_rsp",
    [PST_SIGN_FINISH] = "finish",
};

static void put_text(struct pst_writer *w, const char *text)
{
    pst_put_bytes(w, text, strlen(text));
}

static void put_context(struct pst_writer *w, pst_role signer, enum pst_purpose purpose)
{
    put_text(w, signer == PST_ROLE_RESPONDER ? "responder-" : "requester-");
    put_text(w, purposes[purpose]);
    put_text(w, " signing");
}

static size_t make_message(const struct pst_spdm *c, pst_role signer, enum pst_purpose purpose,
                           const uint8_t *digest, uint8_t out[TO_SIGN_MAX])
{
    static const char context_around[] = "responder- signing";
    size_t context = sizeof context_around - 1 + strlen(purposes[purpose]);
    struct pst_writer w = pst_writer_of(out, TO_SIGN_MAX);

    for (int i = 0; i < 4; i++) {
        put_text(&w, "dmtf-spdm-v1.");
        pst_put_u8(&w, (uint8_t)('0' + c->minor));
        put_text(&w, ".*");
    }
    pst_put_zeros(&w, PREFIX_LEN - w.used - context);
    put_context(&w, signer, purpose);
    pst_put_bytes(&w, digest, psti_hash_len(c));
    return w.used;
}

size_t psti_signature_len(const struct pst_spdm *c, pst_role signer)
{
    const struct pst_algorithm *row =
        pst_sig_row((pst_sig_id)(signer == PST_ROLE_RESPONDER ? c->rsp_sig : c->req_sig));

    return row == NULL ? 0 : row->size;
}

pst_err psti_sign(struct pst_exchange *x, unsigned slot, enum pst_purpose purpose,
                  const uint8_t *digest, pst_handler *done)
{
    struct pst_signing *s = &x->c->signing;

    if (x->out.failed || x->out.used > UINT16_MAX) {
        return PST_ERR_SPACE;
    }
    memcpy(s->digest, digest, psti_hash_len(x->c));
    s->done = done;
    s->context = x->context;
    s->session_id = x->session != NULL ? x->session->id : 0;
    s->at = (uint16_t)x->out.used;
    s->code = x->code;
    s->slot = (uint8_t)slot;
    s->purpose = (uint8_t)purpose;
    s->active = true;
    return psti_sign_again(x);
}

pst_err psti_sign_again(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    struct pst_signing *s = &c->signing;
    const struct pst_slot *slot = psti_own_slot(c, s->slot);
    uint8_t message[TO_SIGN_MAX];

    if (slot == NULL) {
        return PST_ERR_STATE;
    }
    uint8_t *room = pst_put_room(&x->out, psti_signature_len(c, (pst_role)c->role));
    if (room == NULL) {
        psti_sign_cancel(c);
        return PST_ERR_SPACE;
    }
    size_t len =
        make_message(c, (pst_role)c->role, (enum pst_purpose)s->purpose, s->digest, message);
    pst_err err = slot->signer->sign(slot->signer->ctx, (pst_hash_id)c->hash, message, len, room);
    if (err == PST_PENDING) {
        x->out.used = s->at;
        return err;
    }
    s->active = false;
    return err == PST_OK ? s->done(x) : err;
}

void psti_sign_cancel(struct pst_spdm *c)
{
    struct pst_signing *s = &c->signing;
    const struct pst_slot *slot = s->active ? psti_own_slot(c, s->slot) : NULL;

    if (slot != NULL && slot->signer->cancel != NULL) {
        slot->signer->cancel(slot->signer->ctx);
    }
    s->active = false;
}

pst_err psti_check_signature(struct pst_spdm *c, enum pst_purpose purpose, const uint8_t *digest,
                             const uint8_t *signature)
{
    const struct pst_crypto *crypto = c->config->crypto;
    pst_role peer = c->role == PST_ROLE_RESPONDER ? PST_ROLE_REQUESTER : PST_ROLE_RESPONDER;
    uint8_t message[TO_SIGN_MAX];

    if (!c->chain.known || signature == NULL) {
        return PST_ERR_AUTH;
    }
    size_t len = make_message(c, peer, purpose, digest, message);
    pst_err err = crypto->verify(crypto->ctx, &c->chain.u.peer.key, (pst_hash_id)c->hash, message,
                                 len, signature);
    return err == PST_OK ? PST_OK : PST_ERR_AUTH;
}
