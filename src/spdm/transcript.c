#include "spdm/transcript.h"

pst_err psti_vca_add(struct pst_spdm *c, const uint8_t *at, size_t len)
{
    struct pst_transcript *t = &c->transcript;

    if (t->hashed || len > PST_VCA_MAX - (size_t)t->raw_len) {
        return PST_ERR_SPACE;
    }
    memcpy(t->u.raw + t->raw_len, at, len);
    t->raw_len = (uint16_t)(t->raw_len + len);
    return PST_OK;
}

pst_err psti_vca_close(struct pst_spdm *c)
{
    const struct pst_crypto *crypto = c->config->crypto;
    struct pst_transcript *t = &c->transcript;
    struct pst_hash h;

    PST_TRY(crypto->hash_init(crypto->ctx, &h, (pst_hash_id)c->hash));
    PST_TRY(crypto->hash_update(crypto->ctx, &h, t->u.raw, t->raw_len));
    t->u.hash.vca = h;
    t->hashed = true;
    return PST_OK;
}

static pst_err add(struct pst_spdm *c, struct pst_hash *h, bool *on, const uint8_t *at, size_t len)
{
    const struct pst_crypto *crypto = c->config->crypto;

    if (!*on) {
        *h = c->transcript.u.hash.vca;
        *on = true;
    }
    return crypto->hash_update(crypto->ctx, h, at, len);
}

pst_err psti_m_add(struct pst_spdm *c, const uint8_t *at, size_t len)
{
    return add(c, &c->transcript.u.hash.m, &c->transcript.m_on, at, len);
}

void psti_m_clear(struct pst_spdm *c)
{
    c->transcript.m_on = false;
}

pst_err psti_l_add(struct pst_spdm *c, struct pst_spdm_session *s, const uint8_t *at, size_t len)
{
    if (s != NULL) {
        return add(c, &s->hash, &s->l_on, at, len);
    }
    return add(c, &c->transcript.l, &c->transcript.l_on, at, len);
}

void psti_l_clear(struct pst_spdm *c, struct pst_spdm_session *s)
{
    if (s != NULL) {
        s->l_on = false;
    } else {
        c->transcript.l_on = false;
    }
}

pst_err psti_m_digest(struct pst_spdm *c, uint8_t *digest)
{
    return pst_hash_peek(c->config->crypto, &c->transcript.u.hash.m, digest);
}

pst_err psti_l_digest(struct pst_spdm *c, struct pst_spdm_session *s, uint8_t *digest)
{
    return pst_hash_peek(c->config->crypto, s != NULL ? &s->hash : &c->transcript.l, digest);
}
