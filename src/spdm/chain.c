#include "spdm/chain.h"

/* What the verifier works on. */
enum { NOTHING, FEED, FINISH };

static void stop_checking(struct pst_spdm *c)
{
    const struct pst_cert_verifier *v = c->config->verifier;

    if (c->chain.checking) {
        v->abort(v->ctx, &c->chain.check);
    }
    c->chain.checking = false;
}

void psti_chain_forget(struct pst_spdm *c)
{
    const struct pst_crypto *crypto = c->config->crypto;

    stop_checking(c);
    if (c->chain.fetching) {
        crypto->hash_abort(crypto->ctx, &c->chain.u.arriving.hash);
    }
    if (c->chain.known || c->chain.wait == FINISH) { /* its key is there, or being made */
        crypto->public_key_wipe(crypto->ctx, &c->chain.u.peer.key);
    }
    pst_wipe(&c->chain, sizeof c->chain);
}

pst_err psti_chain_begin(struct pst_spdm *c, unsigned slot, const uint8_t *digest)
{
    const struct pst_crypto *crypto = c->config->crypto;
    struct pst_peer_chain *p = &c->chain;

    psti_chain_forget(c);
    if (c->config->verifier == NULL) {
        return PST_ERR_CERT;
    }
    p->slot = (uint8_t)slot;
    if (digest != NULL) {
        memcpy(p->digest, digest, psti_hash_len(c));
        p->announced = true;
    }
    PST_TRY(crypto->hash_init(crypto->ctx, &p->u.arriving.hash, (pst_hash_id)c->hash));
    p->fetching = true;
    return PST_OK;
}

static pst_err begin_check(struct pst_spdm *c)
{
    const struct pst_cert_verifier *v = c->config->verifier;
    struct pst_peer_chain *p = &c->chain;
    const uint8_t *head = p->u.arriving.head;
    pst_role peer = c->role == PST_ROLE_RESPONDER ? PST_ROLE_REQUESTER : PST_ROLE_RESPONDER;

    if (pst_peek_u16(head) != p->total || pst_peek_u16(head + 2) != 0) {
        return PST_ERR_CERT;
    }
    PST_TRY(v->begin(v->ctx, &p->check, peer, (pst_hash_id)c->hash, head + 4));
    p->checking = true;
    return PST_OK;
}

/* How many bytes of a portion that is counted in `offset` belong to the header. */
static size_t head_part(const struct pst_spdm *c, struct pst_bytes b)
{
    size_t head = 4 + psti_hash_len(c), start = c->chain.offset - b.len;

    if (start >= head) {
        return 0;
    }
    return b.len < head - start ? b.len : head - start;
}

/* Keeps the header's bytes; the check begins when they are complete. */
static pst_err take_head(struct pst_spdm *c, struct pst_bytes b)
{
    struct pst_peer_chain *p = &c->chain;
    size_t start = p->offset - b.len, part = head_part(c, b);

    memcpy(p->u.arriving.head + start, b.at, part);
    return part > 0 && start + part == 4 + psti_hash_len(c) ? begin_check(c) : PST_OK;
}

pst_err psti_chain_accept(struct pst_spdm *c)
{
    const struct pst_spdm_hooks *hooks = &c->config->hooks;

    if (!c->chain.known) {
        return PST_ERR_STATE;
    }
    return hooks->peer == NULL ? PST_OK : hooks->peer(hooks->ctx, &c->chain.u.peer);
}

/* The whole chain has arrived: its digest is the one that was announced. */
static pst_err conclude_digest(struct pst_spdm *c)
{
    const struct pst_crypto *crypto = c->config->crypto;
    struct pst_peer_chain *p = &c->chain;
    uint8_t digest[PST_MAX_HASH];

    if (!p->checking) {
        return PST_ERR_CERT;
    }
    p->fetching = false;
    PST_TRY(crypto->hash_final(crypto->ctx, &p->u.arriving.hash, digest));
    if (p->announced && !pst_equal_ct(digest, p->digest, psti_hash_len(c))) {
        return PST_ERR_AUTH;
    }
    memcpy(p->digest, digest, psti_hash_len(c));
    memset(&p->u.peer, 0, sizeof p->u.peer);
    return PST_OK;
}

static pst_err take_portion(struct pst_spdm *c, struct pst_bytes b, uint16_t remainder)
{
    const struct pst_crypto *crypto = c->config->crypto;
    struct pst_peer_chain *p = &c->chain;
    size_t total = (size_t)p->offset + b.len + remainder;

    /* spec: DSP0274, CERTIFICATE: offset, portion and remainder add up to the same each time */
    if (!p->fetching || b.len == 0 || total > PST_MAX_CHAIN ||
        (p->offset != 0 && total != p->total)) {
        return PST_ERR_CERT;
    }
    p->total = (uint16_t)total;
    p->offset = (uint16_t)(p->offset + b.len);
    PST_TRY(crypto->hash_update(crypto->ctx, &p->u.arriving.hash, b.at, b.len));
    return take_head(c, b);
}

/* What the verifier has answered; a refusal is reported. */
static pst_err judged(const struct pst_spdm *c, pst_err err)
{
    const struct pst_cert_verifier *v = c->config->verifier;
    const struct pst_spdm_hooks *hooks = &c->config->hooks;

    if (err == PST_ERR_CERT && hooks->chain_refused != NULL) {
        hooks->chain_refused(hooks->ctx, v->refusal(v->ctx));
    }
    return err;
}

static pst_err check_portion(struct pst_spdm *c, struct pst_bytes b)
{
    const struct pst_cert_verifier *v = c->config->verifier;
    size_t head = head_part(c, b);

    return head == b.len ? PST_OK
                         : judged(c, v->feed(v->ctx, &c->chain.check, b.at + head, b.len - head));
}

static pst_err finish(struct pst_spdm *c)
{
    const struct pst_cert_verifier *v = c->config->verifier;
    struct pst_peer_chain *p = &c->chain;
    pst_sig_id sig = (pst_sig_id)(c->role == PST_ROLE_RESPONDER ? c->req_sig : c->rsp_sig);
    pst_err err = judged(c, v->finish(v->ctx, &p->check, &p->u.peer));

    if (err == PST_PENDING) {
        return err;
    }
    p->checking = false;
    PST_TRY(err);
    p->known = true;
    return p->u.peer.key.sig_id == (uint8_t)sig ? PST_OK : PST_ERR_CERT;
}

/* In steps, of which those of the verifier may have to be taken again. */
static pst_err feed(struct pst_spdm *c, struct pst_bytes b, uint16_t remainder)
{
    struct pst_peer_chain *p = &c->chain;

    if (p->wait == NOTHING) {
        PST_TRY(take_portion(c, b, remainder));
        p->wait = FEED;
    }
    if (p->wait == FEED) {
        PST_TRY(check_portion(c, b));
        p->wait = NOTHING;
        if (remainder > 0) {
            return PST_WANT_MORE;
        }
        PST_TRY(conclude_digest(c));
        p->wait = FINISH;
    }
    PST_TRY(finish(c));
    p->wait = NOTHING;
    return PST_OK;
}

pst_err psti_chain_feed(struct pst_spdm *c, struct pst_bytes portion, uint16_t remainder)
{
    pst_err err = feed(c, portion, remainder);

    if (err == PST_OK) {
        err = psti_chain_accept(c);
    }
    if (err != PST_OK && err != PST_WANT_MORE && err != PST_PENDING) {
        psti_chain_forget(c);
    }
    return err;
}

bool psti_chain_is(const struct pst_spdm *c, unsigned slot, const uint8_t *digest)
{
    return c->chain.known && c->chain.slot == slot &&
           pst_equal_ct(c->chain.digest, digest, psti_hash_len(c));
}

bool psti_chain_arrives(const struct pst_spdm *c)
{
    return c->chain.fetching || c->chain.checking;
}
