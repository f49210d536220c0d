/* One EVP_CIPHER_CTX for each key. A record sets only the IV, so the key schedule is computed once.
 */
#include "internal.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/err.h>

static EVP_CIPHER_CTX *cipher_of(const struct pst_aead *a)
{
    return pst_ossl_handle(a->store);
}

pst_err pst_ossl_aead_init(void *ctx, struct pst_aead *a, pst_aead_id id, const uint8_t *key)
{
    const EVP_CIPHER *cipher = pst_ossl_cipher(id);

    (void)ctx;
    if (cipher == NULL) {
        return PST_ERR_UNSUPPORTED;
    }
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    if (c == NULL || EVP_CipherInit_ex(c, cipher, NULL, key, NULL, 1) != 1) {
        EVP_CIPHER_CTX_free(c);
        ERR_clear_error();
        return PST_ERR_CRYPTO;
    }
    pst_ossl_keep(a->store, c);
    return PST_OK;
}

/* Processes the IV, the associated data and the data. The handling of the tag differs by direction.
 */
static bool run(EVP_CIPHER_CTX *c, int encrypt, const uint8_t *iv, const OSSL_PARAM *params,
                const void *aad, size_t aad_len, void *data, size_t len)
{
    int n;

    return EVP_CipherInit_ex2(c, NULL, NULL, iv, encrypt, params) == 1 &&
           (aad_len == 0 || EVP_CipherUpdate(c, NULL, &n, aad, (int)aad_len) == 1) &&
           (len == 0 || EVP_CipherUpdate(c, data, &n, data, (int)len) == 1);
}

pst_err pst_ossl_aead_seal(void *ctx, struct pst_aead *a, const uint8_t iv[PST_IV_LEN],
                           const void *aad, size_t aad_len, void *data, size_t len,
                           uint8_t tag[PST_TAG_LEN])
{
    EVP_CIPHER_CTX *c = cipher_of(a);
    uint8_t none[PST_TAG_LEN];
    int n;
    OSSL_PARAM get[] = {
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, PST_TAG_LEN),
        OSSL_PARAM_construct_end(),
    };

    (void)ctx;
    if (c == NULL) {
        return PST_ERR_STATE;
    }
    if (aad_len > INT_MAX || len > INT_MAX) {
        return PST_ERR_ARGUMENT;
    }
    if (run(c, 1, iv, NULL, aad, aad_len, data, len) && EVP_CipherFinal_ex(c, none, &n) == 1 &&
        EVP_CIPHER_CTX_get_params(c, get) == 1) {
        return PST_OK;
    }
    ERR_clear_error();
    return PST_ERR_CRYPTO;
}

pst_err pst_ossl_aead_open(void *ctx, struct pst_aead *a, const uint8_t iv[PST_IV_LEN],
                           const void *aad, size_t aad_len, void *data, size_t len,
                           const uint8_t tag[PST_TAG_LEN])
{
    EVP_CIPHER_CTX *c = cipher_of(a);
    uint8_t expected[PST_TAG_LEN];
    uint8_t none[PST_TAG_LEN];
    int n;
    OSSL_PARAM set[] = {
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, expected, PST_TAG_LEN),
        OSSL_PARAM_construct_end(),
    };

    (void)ctx;
    if (c == NULL) {
        return PST_ERR_STATE;
    }
    if (aad_len > INT_MAX || len > INT_MAX) {
        return PST_ERR_ARGUMENT;
    }
    for (size_t i = 0; i < PST_TAG_LEN; i++) {
        expected[i] = tag[i];
    }
    bool ran = run(c, 0, iv, set, aad, aad_len, data, len);
    if (ran && EVP_CipherFinal_ex(c, none, &n) == 1) {
        return PST_OK;
    }
    ERR_clear_error();
    /* EVP decrypts before it checks the tag. */
    pst_wipe(data, len);
    return ran ? PST_ERR_AUTH : PST_ERR_CRYPTO;
}

void pst_ossl_aead_wipe(void *ctx, struct pst_aead *a)
{
    (void)ctx;
    EVP_CIPHER_CTX_free(cipher_of(a));
    pst_wipe(a, sizeof *a);
}
