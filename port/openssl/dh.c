/* Ephemeral Diffie-Hellman on P-256 and P-384. */
#include "internal.h"

#include <openssl/ecdh.h>
#include <openssl/err.h>
#include <string.h>

#define POINT_MAX (1 + PST_MAX_DH) /* 0x04, X, Y */

pst_err pst_ossl_dh_generate(void *ctx, pst_dh_id id, struct pst_dh_key *key, uint8_t *public_value)
{
    const EC_GROUP *group = pst_ossl_group(id);
    uint8_t point[POINT_MAX];

    (void)ctx;
    if (group == NULL) {
        return PST_ERR_UNSUPPORTED;
    }
    size_t len = 1 + (size_t)pst_dh_row(id)->size;
    EC_KEY *ec = EC_KEY_new();
    if (ec == NULL || EC_KEY_set_group(ec, group) != 1 || EC_KEY_generate_key(ec) != 1 ||
        EC_POINT_point2oct(group, EC_KEY_get0_public_key(ec), POINT_CONVERSION_UNCOMPRESSED, point,
                           len, NULL) != len) {
        EC_KEY_free(ec);
        ERR_clear_error();
        return PST_ERR_CRYPTO;
    }
    memcpy(public_value, point + 1, len - 1);
    pst_ossl_keep(key->store, ec);
    key->store[1] = id;
    return PST_OK;
}

pst_err pst_ossl_dh_shared(void *ctx, const struct pst_dh_key *key, const uint8_t *peer_value,
                           uint8_t *secret)
{
    pst_dh_id id = (pst_dh_id)key->store[1];
    const EC_GROUP *group = pst_ossl_group(id);
    EC_KEY *ec = pst_ossl_handle(key->store);
    uint8_t point[POINT_MAX] = {POINT_CONVERSION_UNCOMPRESSED};

    (void)ctx;
    if (ec == NULL || group == NULL) {
        return PST_ERR_STATE;
    }
    size_t size = pst_dh_row(id)->size;
    size_t width = pst_dh_row(id)->secret;
    memcpy(point + 1, peer_value, size);
    EC_POINT *peer = EC_POINT_new(group);
    pst_err err = PST_ERR_CRYPTO;
    /* Refuses coordinates that are not reduced and points that are not on the curve; the point at
     * infinity has no such encoding, and both curves have cofactor 1. */
    if (peer != NULL && EC_POINT_oct2point(group, peer, point, 1 + size, NULL) != 1) {
        err = PST_ERR_DECODE;
    } else if (peer != NULL && ECDH_compute_key(secret, width, peer, ec, NULL) == (int)width) {
        err = PST_OK;
    }
    EC_POINT_free(peer);
    ERR_clear_error();
    return err;
}

void pst_ossl_dh_wipe(void *ctx, struct pst_dh_key *key)
{
    (void)ctx;
    EC_KEY_free(pst_ossl_handle(key->store));
    pst_wipe(key, sizeof *key);
}
