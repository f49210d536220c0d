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

    /* The hash takes the place of what it is made of: it is begun in L's. */
    PST_TRY(crypto->hash_init(crypto->ctx, &t->l, (pst_hash_id)c->hash));
    pst_err err = crypto->hash_update(crypto->ctx, &t->l, t->u.raw, t->raw_len);
    if (err == PST_OK) {
        memset(&t->u, 0, sizeof t->u);
        t->hashed = true;
        err = crypto->hash_clone(crypto->ctx, &t->u.hash.vca, &t->l);
    }
    crypto->hash_abort(crypto->ctx, &t->l);
    return err;
}

void psti_transcript_end(struct pst_spdm *c)
{
    const struct pst_crypto *crypto = c->config->crypto;
    struct pst_transcript *t = &c->transcript;

    if (t->hashed) {
        crypto->hash_abort(crypto->ctx, &t->u.hash.vca);
        crypto->hash_abort(crypto->ctx, &t->u.hash.m);
    }
    crypto->hash_abort(crypto->ctx, &t->l);
    t->hashed = t->m_on = t->l_on = false;
}

static pst_err add(struct pst_spdm *c, struct pst_hash *h, bool *on, const uint8_t *at, size_t len)
{
    const struct pst_crypto *crypto = c->config->crypto;

    if (!*on) {
        PST_TRY(crypto->hash_clone(crypto->ctx, h, &c->transcript.u.hash.vca));
        *on = true;
    }
    return crypto->hash_update(crypto->ctx, h, at, len);
}

static void clear(struct pst_spdm *c, struct pst_hash *h, bool *on)
{
    const struct pst_crypto *crypto = c->config->crypto;

    if (*on) {
        crypto->hash_abort(crypto->ctx, h);
    }
    *on = false;
}

pst_err psti_m_add(struct pst_spdm *c, const uint8_t *at, size_t len)
{
    return add(c, &c->transcript.u.hash.m, &c->transcript.m_on, at, len);
}

void psti_m_clear(struct pst_spdm *c)
{
    clear(c, &c->transcript.u.hash.m, &c->transcript.m_on);
}

pst_err psti_l_add(struct pst_spdm *c, struct pst_spdm_session *s, const uint8_t *at, size_t len)
{
    if (s != NULL) {
        return add(c, &s->u.hash, &s->l_on, at, len);
    }
    return add(c, &c->transcript.l, &c->transcript.l_on, at, len);
}

void psti_l_clear(struct pst_spdm *c, struct pst_spdm_session *s)
{
    if (s != NULL) {
        clear(c, &s->u.hash, &s->l_on);
    } else {
        clear(c, &c->transcript.l, &c->transcript.l_on);
    }
}

pst_err psti_m_digest(struct pst_spdm *c, uint8_t *digest)
{
    return pst_hash_peek(c->config->crypto, &c->transcript.u.hash.m, digest);
}

pst_err psti_l_digest(struct pst_spdm *c, struct pst_spdm_session *s, uint8_t *digest)
{
    return pst_hash_peek(c->config->crypto, s != NULL ? &s->u.hash : &c->transcript.l, digest);
}
