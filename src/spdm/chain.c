#include "spdm/chain.h"

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
    if (c->chain.known) {
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

/* Splits the header from the certificates. */
static pst_err feed_parts(struct pst_spdm *c, struct pst_bytes b)
{
    const struct pst_cert_verifier *v = c->config->verifier;
    struct pst_peer_chain *p = &c->chain;
    size_t head = 4 + psti_hash_len(c);

    if (p->offset < head) {
        size_t part = b.len < head - p->offset ? b.len : head - p->offset;

        memcpy(p->u.arriving.head + p->offset, b.at, part);
        p->offset = (uint16_t)(p->offset + part);
        b.at += part;
        b.len -= part;
        if (p->offset == head) {
            PST_TRY(begin_check(c));
        }
    }
    if (b.len == 0) {
        return PST_OK;
    }
    p->offset = (uint16_t)(p->offset + b.len);
    return v->feed(v->ctx, &p->check, b.at, b.len);
}

pst_err psti_chain_accept(struct pst_spdm *c)
{
    const struct pst_spdm_hooks *hooks = &c->config->hooks;

    if (!c->chain.known) {
        return PST_ERR_STATE;
    }
    return hooks->peer == NULL ? PST_OK : hooks->peer(hooks->ctx, &c->chain.u.peer);
}

static pst_err conclude(struct pst_spdm *c)
{
    const struct pst_crypto *crypto = c->config->crypto;
    const struct pst_cert_verifier *v = c->config->verifier;
    struct pst_peer_chain *p = &c->chain;
    uint8_t digest[PST_MAX_HASH];
    pst_sig_id sig = (pst_sig_id)(c->role == PST_ROLE_RESPONDER ? c->req_sig : c->rsp_sig);

    if (!p->checking) {
        return PST_ERR_CERT;
    }
    p->fetching = false;
    PST_TRY(crypto->hash_final(crypto->ctx, &p->u.arriving.hash, digest));
    if (p->announced && !pst_equal_ct(digest, p->digest, psti_hash_len(c))) {
        return PST_ERR_AUTH;
    }
    memcpy(p->digest, digest, psti_hash_len(c));
    p->checking = false;
    memset(&p->u.peer, 0, sizeof p->u.peer);
    PST_TRY(v->finish(v->ctx, &p->check, &p->u.peer));
    p->known = true;
    return p->u.peer.key.sig_id == (uint8_t)sig ? PST_OK : PST_ERR_CERT;
}

static pst_err feed(struct pst_spdm *c, struct pst_bytes b, uint16_t remainder)
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
    PST_TRY(crypto->hash_update(crypto->ctx, &p->u.arriving.hash, b.at, b.len));
    PST_TRY(feed_parts(c, b));
    return remainder > 0 ? PST_WANT_MORE : conclude(c);
}

pst_err psti_chain_feed(struct pst_spdm *c, struct pst_bytes portion, uint16_t remainder)
{
    pst_err err = feed(c, portion, remainder);

    if (err == PST_OK) {
        err = psti_chain_accept(c);
    }
    if (err != PST_OK && err != PST_WANT_MORE) {
        psti_chain_forget(c);
    }
    return err;
}

bool psti_chain_is(const struct pst_spdm *c, unsigned slot, const uint8_t *digest)
{
    return c->chain.known && c->chain.slot == slot &&
           pst_equal_ct(c->chain.digest, digest, psti_hash_len(c));
}
