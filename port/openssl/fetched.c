/* OpenSSL algorithms that are fetched once, and the handles in the storage of crypto objects. */
#include "internal.h"

#include <openssl/err.h>
#include <stdint.h>

_Static_assert(sizeof(void *) <= sizeof(uint64_t), "a handle fits");

static struct {
    CRYPTO_ONCE once;
    EVP_MD *md[3];
    EVP_CIPHER *cipher[4];
    EC_GROUP *group[3];
} fetched = {.once = CRYPTO_ONCE_STATIC_INIT};

static void fetch(void)
{
    fetched.md[PST_SHA256] = EVP_MD_fetch(NULL, "SHA256", NULL);
    fetched.md[PST_SHA384] = EVP_MD_fetch(NULL, "SHA384", NULL);
    fetched.cipher[PST_AES_128_GCM] = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
    fetched.cipher[PST_AES_256_GCM] = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    fetched.cipher[PST_CHACHA20_POLY1305] = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
    fetched.group[PST_SECP256R1] = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    fetched.group[PST_SECP384R1] = EC_GROUP_new_by_curve_name(NID_secp384r1);
    ERR_clear_error();
}

static bool ready(void)
{
    return CRYPTO_THREAD_run_once(&fetched.once, fetch) == 1;
}

const EVP_MD *pst_ossl_md(pst_hash_id id)
{
    return ready() && id <= PST_SHA384 ? fetched.md[id] : NULL;
}

const EVP_CIPHER *pst_ossl_cipher(pst_aead_id id)
{
    return ready() && id <= PST_CHACHA20_POLY1305 ? fetched.cipher[id] : NULL;
}

const EC_GROUP *pst_ossl_group(pst_dh_id id)
{
    return ready() && id <= PST_SECP384R1 ? fetched.group[id] : NULL;
}

void pst_ossl_keep(uint64_t *store, void *handle)
{
    store[0] = (uint64_t)(uintptr_t)handle;
}

void *pst_ossl_handle(const uint64_t *store)
{
    return (void *)(uintptr_t)store[0];
}
