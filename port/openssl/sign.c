/* Signatures in SPDM's format. ECDSA's r and s are passed as numbers, so there is no DER. */
#include "internal.h"

#include <limits.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <string.h>

static pst_dh_id curve_of(pst_sig_id id)
{
    return id == PST_ECDSA_P256   ? PST_SECP256R1
           : id == PST_ECDSA_P384 ? PST_SECP384R1
                                  : PST_DH_NONE;
}

static pst_err ec_public_key(struct pst_public_key *key, pst_sig_id id, const uint8_t *bytes)
{
    const EC_GROUP *group = pst_ossl_group(curve_of(id));
    uint8_t point[1 + PST_MAX_DH] = {POINT_CONVERSION_UNCOMPRESSED};
    size_t size = pst_dh_row(curve_of(id))->size;

    memcpy(point + 1, bytes, size);
    EC_KEY *ec = EC_KEY_new();
    EC_POINT *p = group == NULL ? NULL : EC_POINT_new(group);
    if (ec == NULL || p == NULL || EC_KEY_set_group(ec, group) != 1 ||
        EC_POINT_oct2point(group, p, point, 1 + size, NULL) != 1 ||
        EC_KEY_set_public_key(ec, p) != 1) {
        EC_KEY_free(ec);
        EC_POINT_free(p);
        ERR_clear_error();
        return PST_ERR_DECODE;
    }
    EC_POINT_free(p);
    pst_ossl_keep(key->store, ec);
    return PST_OK;
}

pst_err pst_ossl_public_key(void *ctx, struct pst_public_key *key, pst_sig_id id,
                            const uint8_t *bytes)
{
    struct pst_public_key fresh = {.sig_id = (uint8_t)id};

    (void)ctx;
    if (pst_sig_row(id) == NULL) {
        return PST_ERR_UNSUPPORTED;
    }
    if (id == PST_ED25519) {
        EVP_PKEY *ed = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, bytes, 32);
        if (ed == NULL) {
            ERR_clear_error();
            return PST_ERR_DECODE;
        }
        pst_ossl_keep(fresh.store, ed);
    } else {
        PST_TRY(ec_public_key(&fresh, id, bytes));
    }
    *key = fresh;
    return PST_OK;
}

void pst_ossl_public_key_wipe(void *ctx, struct pst_public_key *key)
{
    (void)ctx;
    if (key->sig_id == PST_ED25519) {
        EVP_PKEY_free(pst_ossl_handle(key->store));
    } else {
        EC_KEY_free(pst_ossl_handle(key->store));
    }
    pst_wipe(key, sizeof *key);
}

static int ec_verify(const struct pst_public_key *key, const uint8_t *digest, int digest_len,
                     const uint8_t *signature)
{
    int half = pst_sig_row((pst_sig_id)key->sig_id)->size / 2;
    BIGNUM *r = BN_bin2bn(signature, half, NULL);
    BIGNUM *s = BN_bin2bn(signature + half, half, NULL);
    ECDSA_SIG *sig = ECDSA_SIG_new();
    int ok = -1;

    if (r == NULL || s == NULL || sig == NULL || ECDSA_SIG_set0(sig, r, s) != 1) {
        BN_free(r);
        BN_free(s);
    } else {
        ok = ECDSA_do_verify(digest, digest_len, sig, pst_ossl_handle(key->store));
    }
    ECDSA_SIG_free(sig);
    return ok;
}

static int ed_verify(const struct pst_public_key *key, const void *message, size_t len,
                     const uint8_t *signature)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    int ok = -1;

    if (md != NULL &&
        EVP_DigestVerifyInit(md, NULL, NULL, NULL, pst_ossl_handle(key->store)) == 1) {
        ok = EVP_DigestVerify(md, signature, pst_sig_row(PST_ED25519)->size, message, len);
    }
    EVP_MD_CTX_free(md);
    return ok;
}

pst_err pst_ossl_verify(void *ctx, const struct pst_public_key *key, pst_hash_id hash,
                        const void *message, size_t len, const uint8_t *signature)
{
    uint8_t digest[PST_MAX_HASH];
    int ok;

    (void)ctx;
    if (key->sig_id == PST_SIG_NONE || pst_ossl_handle(key->store) == NULL) {
        return PST_ERR_STATE;
    }
    if (key->sig_id == PST_ED25519) {
        ok = ed_verify(key, message, len, signature);
    } else {
        PST_TRY(pst_ossl_digest(hash, message, len, digest));
        ok = ec_verify(key, digest, pst_hash_row(hash)->size, signature);
    }
    ERR_clear_error();
    /* OpenSSL reports r or s out of range as an error. Here that is a signature that does not
     * match. */
    return ok == 1 ? PST_OK : PST_ERR_AUTH;
}

pst_sig_id pst_ossl_sig_of(const EVP_PKEY *key)
{
    char group[32] = "";

    if (EVP_PKEY_is_a(key, "ED25519")) {
        return PST_ED25519;
    }
    if (!EVP_PKEY_is_a(key, "EC") || EVP_PKEY_get_group_name(key, group, sizeof group, NULL) != 1) {
        return PST_SIG_NONE;
    }
    int nid = OBJ_sn2nid(group);
    return nid == NID_X9_62_prime256v1 ? PST_ECDSA_P256
           : nid == NID_secp384r1      ? PST_ECDSA_P384
                                       : PST_SIG_NONE;
}

static int ec_sign(EVP_PKEY *key, pst_sig_id id, const uint8_t *digest, int digest_len,
                   uint8_t *signature)
{
    int half = pst_sig_row(id)->size / 2;
    EC_KEY *own = EVP_PKEY_get1_EC_KEY(key);
    ECDSA_SIG *sig = own == NULL ? NULL : ECDSA_do_sign(digest, digest_len, own);
    int ok = sig != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(sig), signature, half) == half &&
             BN_bn2binpad(ECDSA_SIG_get0_s(sig), signature + half, half) == half;

    ECDSA_SIG_free(sig);
    EC_KEY_free(own);
    return ok;
}

static int ed_sign(EVP_PKEY *key, const void *message, size_t len, uint8_t *signature)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    size_t signature_len = pst_sig_row(PST_ED25519)->size;
    int ok = md != NULL && EVP_DigestSignInit(md, NULL, NULL, NULL, key) == 1 &&
             EVP_DigestSign(md, signature, &signature_len, message, len) == 1;

    EVP_MD_CTX_free(md);
    return ok;
}

pst_err pst_ossl_sign(EVP_PKEY *key, pst_sig_id id, pst_hash_id hash, const void *message,
                      size_t len, uint8_t *signature)
{
    uint8_t digest[PST_MAX_HASH];
    int ok;

    if (id == PST_ED25519) {
        ok = ed_sign(key, message, len, signature);
    } else {
        PST_TRY(pst_ossl_digest(hash, message, len, digest));
        ok = ec_sign(key, id, digest, pst_hash_row(hash)->size, signature);
    }
    ERR_clear_error();
    return ok == 1 ? PST_OK : PST_ERR_CRYPTO;
}
