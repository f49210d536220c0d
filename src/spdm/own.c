/* Our own certificate chains. A slot holds the certificates; the header in front of them is made
 * when it is read (spec: DSP0274, certificate chain format). */
#include "crypto/hash.h"
#include "spdm/engine.h"

static size_t head_len(const struct pst_spdm *c)
{
    return 4 + psti_hash_len(c);
}

static pst_sig_id own_sig(const struct pst_spdm *c)
{
    return (pst_sig_id)(c->role == PST_ROLE_RESPONDER ? c->rsp_sig : c->req_sig);
}

size_t psti_own_chain_len(const struct pst_spdm *c, const struct pst_slot *s)
{
    return head_len(c) + s->certs_len;
}

const struct pst_slot *psti_own_slot(const struct pst_spdm *c, unsigned slot)
{
    const struct pst_slot *s = slot < PST_MAX_SLOTS ? c->config->slots[slot] : NULL;

    if (s == NULL || s->certs_len == 0 || s->root_len > s->certs_len ||
        s->certs_len > PST_MAX_CHAIN - head_len(c) || s->signer == NULL ||
        s->signer->sig_id != own_sig(c)) {
        return NULL;
    }
    return s;
}

uint8_t psti_own_mask(const struct pst_spdm *c)
{
    unsigned mask = 0;

    for (unsigned i = 0; i < PST_MAX_SLOTS; i++) {
        if (psti_own_slot(c, i) != NULL) {
            mask |= 1u << i;
        }
    }
    return (uint8_t)mask;
}

bool psti_own_may(const struct pst_spdm *c, const struct pst_slot *s, uint16_t usage)
{
    bool multi = c->role == PST_ROLE_RESPONDER ? c->multi_rsp : c->multi_req;

    return !multi || (s->key_usage & usage) != 0;
}

static pst_err make_head(const struct pst_spdm *c, const struct pst_slot *s, uint8_t *head)
{
    pst_poke_u16(head, (uint16_t)psti_own_chain_len(c, s));
    pst_poke_u16(head + 2, 0);
    return pst_hash_once(c->config->crypto, (pst_hash_id)c->hash, s->certs, s->root_len, head + 4);
}

pst_err psti_own_chain_read(const struct pst_spdm *c, const struct pst_slot *s, size_t offset,
                            uint8_t *out, size_t len)
{
    size_t head = head_len(c);

    if (offset < head && len > 0) {
        uint8_t bytes[4 + PST_MAX_HASH];
        size_t part = len < head - offset ? len : head - offset;

        PST_TRY(make_head(c, s, bytes));
        memcpy(out, bytes + offset, part);
        out += part;
        len -= part;
        offset += part;
    }
    if (len > 0) {
        memcpy(out, s->certs + (offset - head), len);
    }
    return PST_OK;
}

static pst_err hash_chain(const struct pst_spdm *c, const struct pst_slot *s, uint8_t *digest)
{
    const struct pst_crypto *crypto = c->config->crypto;
    uint8_t head[4 + PST_MAX_HASH];
    struct pst_hash h;

    PST_TRY(make_head(c, s, head));
    PST_TRY(crypto->hash_init(crypto->ctx, &h, (pst_hash_id)c->hash));
    pst_err err = crypto->hash_update(crypto->ctx, &h, head, head_len(c));
    if (err == PST_OK) {
        err = crypto->hash_update(crypto->ctx, &h, s->certs, s->certs_len);
    }
    return psti_hash_end(crypto, &h, err, digest);
}

pst_err psti_own_digest(struct pst_spdm *c, unsigned slot, uint8_t *digest)
{
    const struct pst_slot *s = psti_own_slot(c, slot);

    if (s == NULL) {
        return PST_ERR_ARGUMENT;
    }
    if (c->own_digest_slot == slot + 1) {
        memcpy(digest, c->own_digest, psti_hash_len(c));
        return PST_OK;
    }
    PST_TRY(hash_chain(c, s, digest));
    /* the first one that is asked for is kept: usually there is no other */
    if (c->own_digest_slot == 0) {
        memcpy(c->own_digest, digest, psti_hash_len(c));
        c->own_digest_slot = (uint8_t)(slot + 1);
    }
    return PST_OK;
}
