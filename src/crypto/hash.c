#include "crypto/hash.h"

pst_err psti_hash_end(const struct pst_crypto *c, struct pst_hash *h, pst_err err, uint8_t *digest)
{
    if (err == PST_OK) {
        return c->hash_final(c->ctx, h, digest);
    }
    c->hash_abort(c->ctx, h);
    return err;
}

pst_err pst_hash_once(const struct pst_crypto *c, pst_hash_id id, const void *data, size_t len,
                      uint8_t *digest)
{
    struct pst_hash h;

    PST_TRY(c->hash_init(c->ctx, &h, id));
    return psti_hash_end(c, &h, c->hash_update(c->ctx, &h, data, len), digest);
}

pst_err pst_hash_peek(const struct pst_crypto *c, const struct pst_hash *h, uint8_t *digest)
{
    struct pst_hash clone;

    PST_TRY(c->hash_clone(c->ctx, &clone, h));
    return c->hash_final(c->ctx, &clone, digest);
}
