/* The crypto port with recorded values instead of random ones. */
#include "openssl/internal.h"

#include <string.h>

#include "fakes.h"

/* Returns the random value of `len` bytes in a message, or NULL. For an encapsulating message it is
 * the value of the inner message. */
static const uint8_t *value_in(const struct fakes *f, struct pst_bytes m, size_t len)
{
    size_t hash = pst_hash_row(f->c->hash)->size;
    size_t at = 0;

    if (m.len < 4) {
        return NULL;
    }
    switch (m.at[1]) {
    case 0x6A: /* ENCAPSULATED_REQUEST */
    case 0xEB: /* DELIVER_ENCAPSULATED_RESPONSE */
        return value_in(f, (struct pst_bytes){m.at + 4, m.len - 4}, len);
    case 0x6B: /* ENCAPSULATED_RESPONSE_ACK */
        return m.len < 8 ? NULL : value_in(f, (struct pst_bytes){m.at + 8, m.len - 8}, len);
    case 0xE4: /* KEY_EXCHANGE */
    case 0x64: /* KEY_EXCHANGE_RSP */
        at = len == 2 ? 4 : 8;
        break;
    case 0x83: /* CHALLENGE */
        at = len == 8 ? 36 : 4;
        break;
    case 0x03: /* CHALLENGE_AUTH */
        at = 4 + hash;
        break;
    case 0xE0: /* GET_MEASUREMENTS */
        at = len == 8 && (m.at[2] & 1) != 0 ? 37 : 4;
        break;
    case 0x60: /* MEASUREMENTS */
        at = m.len < 8 ? 0 : 8 + (size_t)pst_peek_u16(m.at + 5) + ((size_t)m.at[7] << 16);
        break;
    case 0xE9: /* KEY_UPDATE */
        at = 3;
        break;
    default:
        break;
    }
    return at == 0 || m.len < at + len ? NULL : m.at + at;
}

static pst_err recorded_random(void *ctx, void *out, size_t len)
{
    const struct fakes *f = ctx;
    const uint8_t *value = f->outgoing != NULL ? value_in(f, f->outgoing->spdm, len) : NULL;

    memset(out, 0, len);
    if (value != NULL) {
        memcpy(out, value, len);
    }
    return PST_OK;
}

/* An exchange key of the port, from its recorded private integer. */
static EC_KEY *key_from(pst_dh_id id, struct pst_bytes scalar)
{
    const EC_GROUP *group = pst_ossl_group(id);
    EC_KEY *key = EC_KEY_new();
    BIGNUM *number = BN_bin2bn(scalar.at, (int)scalar.len, NULL);
    EC_POINT *point = EC_POINT_new(group);
    bool good = key != NULL && number != NULL && point != NULL &&
                EC_KEY_set_group(key, group) == 1 &&
                EC_POINT_mul(group, point, number, NULL, NULL, NULL) == 1 &&
                EC_KEY_set_private_key(key, number) == 1 && EC_KEY_set_public_key(key, point) == 1;

    BN_free(number);
    EC_POINT_free(point);
    if (good) {
        return key;
    }
    EC_KEY_free(key);
    return NULL;
}

static pst_err recorded_generate(void *ctx, pst_dh_id id, struct pst_dh_key *key,
                                 uint8_t *public_value)
{
    struct fakes *f = ctx;
    struct secret *scalar = case_secret(
        f->c, f->sessions++,
        f->responder ? "responder_exchange_private_key" : "requester_exchange_private_key", 0);
    size_t size = pst_dh_row(id)->size;
    uint8_t point[1 + PST_MAX_DH];

    f->placed[0] = f->placed[1] = 0;
    if (scalar == NULL) {
        return PST_ERR_CRYPTO;
    }
    EC_KEY *made = key_from(id, scalar->value);
    if (made == NULL ||
        EC_POINT_point2oct(pst_ossl_group(id), EC_KEY_get0_public_key(made),
                           POINT_CONVERSION_UNCOMPRESSED, point, 1 + size, NULL) != 1 + size) {
        return PST_ERR_CRYPTO;
    }
    memcpy(public_value, point + 1, size);
    pst_ossl_keep(key->store, made);
    key->store[1] = id; /* as the port does */
    return PST_OK;
}

static pst_err substituting_final(void *ctx, struct pst_hash *h, uint8_t *digest)
{
    struct fakes *f = ctx;
    pst_hash_id id = (pst_hash_id)h->id;
    pst_err err = f->real->hash_final(f->real->ctx, h, digest);
    size_t len = pst_hash_row(f->c->hash)->size;

    if (err == PST_OK && f->substitute && id == f->c->hash &&
        memcmp(digest, f->summary_made, len) == 0) {
        memcpy(digest, f->summary_recorded, len);
    }
    return err;
}

void chance_init(struct fakes *f)
{
    f->real = pst_openssl_crypto();
    f->crypto = *f->real; /* which keeps no state behind `ctx` */
    f->crypto.ctx = f;
    f->crypto.random = recorded_random;
    f->crypto.dh_generate = recorded_generate;
    f->crypto.hash_final = substituting_final;
}
