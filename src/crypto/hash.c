#include "postern/crypto.h"

pst_err pst_hash_once(const struct pst_crypto *c, pst_hash_id id, const void *data, size_t len,
                      uint8_t *digest)
{
    struct pst_hash h = {0};

    PST_TRY(c->hash_init(c->ctx, &h, id));
    PST_TRY(c->hash_update(c->ctx, &h, data, len));
    return c->hash_final(c->ctx, &h, digest);
}

pst_err pst_hash_peek(const struct pst_crypto *c, const struct pst_hash *h, uint8_t *digest)
{
    struct pst_hash copy = *h;

    return c->hash_final(c->ctx, &copy, digest);
}
