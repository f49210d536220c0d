/* The port's table of functions, and random bytes. */
#include "internal.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "openssl_port.h"

static pst_err random_bytes(void *ctx, void *out, size_t len)
{
    (void)ctx;
    if (len > INT_MAX) {
        return PST_ERR_ARGUMENT;
    }
    if (RAND_bytes(out, (int)len) == 1) {
        return PST_OK;
    }
    ERR_clear_error();
    return PST_ERR_RANDOM;
}

static const struct pst_crypto openssl_crypto = {
    .bytes = {.hash = sizeof(SHA512_CTX), .aead = 8, .dh_key = 16, .public_key = 8},
    .random = random_bytes,
    .hash_init = pst_ossl_hash_init,
    .hash_update = pst_ossl_hash_update,
    .hash_final = pst_ossl_hash_final,
    .hash_clone = pst_ossl_hash_clone,
    .hash_abort = pst_ossl_hash_abort,
    .hmac = pst_ossl_hmac,
    .dh_generate = pst_ossl_dh_generate,
    .dh_shared = pst_ossl_dh_shared,
    .dh_wipe = pst_ossl_dh_wipe,
    .aead_init = pst_ossl_aead_init,
    .aead_seal = pst_ossl_aead_seal,
    .aead_open = pst_ossl_aead_open,
    .aead_wipe = pst_ossl_aead_wipe,
    .public_key = pst_ossl_public_key,
    .verify = pst_ossl_verify,
    .public_key_wipe = pst_ossl_public_key_wipe,
};

const struct pst_crypto *pst_openssl_crypto(void)
{
    return &openssl_crypto;
}
