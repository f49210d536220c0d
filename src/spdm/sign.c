/* Signatures of SPDM 1.2 and later: the prefix, the context string, the hash of the transcript
 * (spec: DSP0274, signature generation). */
#include "spdm/engine.h"

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

static void give_up_signing(struct pst_spdm *c)
{
    const struct pst_slot *slot = psti_own_slot(c, c->wait.slot);

    if (slot != NULL && slot->signer->cancel != NULL) {
        slot->signer->cancel(slot->signer->ctx);
    }
}

static pst_err sign(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    struct pst_wait *w = &c->wait;
    const struct pst_slot *slot = psti_own_slot(c, w->slot);
    uint8_t message[TO_SIGN_MAX];

    if (slot == NULL) {
        return PST_ERR_STATE;
    }
    uint8_t *room = pst_put_room(&x->out, psti_signature_len(c, (pst_role)c->role));
    if (room == NULL) {
        return PST_ERR_SPACE;
    }
    size_t len =
        make_message(c, (pst_role)c->role, (enum pst_purpose)w->purpose, w->digest, message);
    pst_err err = slot->signer->sign(slot->signer->ctx, (pst_hash_id)c->hash, message, len, room);
    if (err == PST_PENDING) {
        x->out.used = w->at;
    }
    err = psti_await(x, err, sign, give_up_signing);
    if (err == PST_PENDING) {
        w->reads = false; /* what was received is in the digest */
    }
    return err == PST_OK ? w->done(x) : err;
}

pst_err psti_sign(struct pst_exchange *x, unsigned slot, enum pst_purpose purpose,
                  const uint8_t *digest, pst_handler *done)
{
    struct pst_wait *w = &x->c->wait;

    if (x->out.failed || x->out.used > UINT16_MAX) {
        return PST_ERR_SPACE;
    }
    memcpy(w->digest, digest, psti_hash_len(x->c));
    w->done = done;
    w->at = (uint16_t)x->out.used;
    w->slot = (uint8_t)slot;
    w->purpose = (uint8_t)purpose;
    return sign(x);
}

static void give_up_verifying(struct pst_spdm *c)
{
    const struct pst_crypto *crypto = c->config->crypto;

    if (crypto->verify_cancel != NULL) {
        crypto->verify_cancel(crypto->ctx, &c->chain.u.peer.key);
    }
}

static pst_err verify(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    struct pst_wait *w = &c->wait;
    const struct pst_crypto *crypto = c->config->crypto;
    pst_role peer = c->role == PST_ROLE_RESPONDER ? PST_ROLE_REQUESTER : PST_ROLE_RESPONDER;
    uint8_t message[TO_SIGN_MAX];

    if (!c->chain.known) {
        return PST_ERR_AUTH;
    }
    size_t len = make_message(c, peer, (enum pst_purpose)w->purpose, w->digest, message);
    pst_err err = crypto->verify(crypto->ctx, &c->chain.u.peer.key, (pst_hash_id)c->hash, message,
                                 len, x->in + w->signature);
    err = psti_await(x, err, verify, give_up_verifying);
    if (err == PST_OK) {
        return w->done(x);
    }
    return err == PST_PENDING ? err : PST_ERR_AUTH;
}

pst_err psti_verify(struct pst_exchange *x, enum pst_purpose purpose, const uint8_t *digest,
                    const uint8_t *signature, pst_handler *done)
{
    struct pst_wait *w = &x->c->wait;

    if (signature == NULL) {
        return PST_ERR_AUTH;
    }
    memcpy(w->digest, digest, psti_hash_len(x->c));
    w->done = done;
    w->signature = (uint32_t)(signature - x->in);
    w->purpose = (uint8_t)purpose;
    return verify(x);
}
