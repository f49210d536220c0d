/* Hashes and HMAC. */
#include "internal.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <string.h>

_Static_assert(sizeof(SHA256_CTX) <= sizeof((struct pst_hash *)0)->store, "SHA-256 state fits");
_Static_assert(sizeof(SHA512_CTX) <= sizeof((struct pst_hash *)0)->store, "SHA-384 state fits");

/* The state lives in the caller's `store`, which is aligned for it and has no pointers. */
static SHA256_CTX *sha256_of(struct pst_hash *h)
{
    return (SHA256_CTX *)(void *)h->store;
}

static SHA512_CTX *sha384_of(struct pst_hash *h)
{
    return (SHA512_CTX *)(void *)h->store;
}

pst_err pst_ossl_hash_init(void *ctx, struct pst_hash *h, pst_hash_id id)
{
    (void)ctx;
    memset(h, 0, sizeof *h);
    int ok = id == PST_SHA256   ? SHA256_Init(sha256_of(h))
             : id == PST_SHA384 ? SHA384_Init(sha384_of(h))
                                : -1;
    if (ok < 0) {
        return PST_ERR_UNSUPPORTED;
    }
    if (ok == 0) {
        return PST_ERR_CRYPTO;
    }
    h->id = (uint8_t)id;
    return PST_OK;
}

pst_err pst_ossl_hash_update(void *ctx, struct pst_hash *h, const void *data, size_t len)
{
    (void)ctx;
    if (h->id == PST_HASH_NONE) {
        return PST_ERR_STATE;
    }
    if (len == 0) {
        return PST_OK;
    }
    int ok = h->id == PST_SHA256 ? SHA256_Update(sha256_of(h), data, len)
                                 : SHA384_Update(sha384_of(h), data, len);
    return ok == 1 ? PST_OK : PST_ERR_CRYPTO;
}

pst_err pst_ossl_hash_final(void *ctx, struct pst_hash *h, uint8_t *digest)
{
    (void)ctx;
    if (h->id == PST_HASH_NONE) {
        return PST_ERR_STATE;
    }
    int ok = h->id == PST_SHA256 ? SHA256_Final(digest, sha256_of(h))
                                 : SHA384_Final(digest, sha384_of(h));
    pst_wipe(h, sizeof *h);
    return ok == 1 ? PST_OK : PST_ERR_CRYPTO;
}

pst_err pst_ossl_hash_clone(void *ctx, struct pst_hash *to, const struct pst_hash *from)
{
    (void)ctx;
    if (from->id == PST_HASH_NONE) {
        memset(to, 0, sizeof *to);
        return PST_ERR_STATE;
    }
    *to = *from; /* the state has no pointers */
    return PST_OK;
}

void pst_ossl_hash_abort(void *ctx, struct pst_hash *h)
{
    (void)ctx;
    pst_wipe(h, sizeof *h);
}

pst_err pst_ossl_digest(pst_hash_id id, const void *data, size_t len, uint8_t *digest)
{
    struct pst_hash h;

    PST_TRY(pst_ossl_hash_init(NULL, &h, id));
    pst_err err = pst_ossl_hash_update(NULL, &h, data, len);
    if (err != PST_OK) {
        pst_ossl_hash_abort(NULL, &h);
        return err;
    }
    return pst_ossl_hash_final(NULL, &h, digest);
}

/* HMAC_CTX with a fetched digest takes 0.9 µs. HMAC() and EVP_Q_mac look up everything each time.
 */
pst_err pst_ossl_hmac(void *ctx, pst_hash_id id, const void *key, size_t key_len, const void *data,
                      size_t len, uint8_t *out)
{
    const EVP_MD *md = pst_ossl_md(id);

    (void)ctx;
    if (key_len > INT_MAX) {
        return PST_ERR_ARGUMENT;
    }
    if (md == NULL) {
        return PST_ERR_UNSUPPORTED;
    }
    HMAC_CTX *h = HMAC_CTX_new();
    /* An empty key must not be NULL: OpenSSL takes NULL for the previous key. */
    bool ok = h != NULL && HMAC_Init_ex(h, key_len > 0 ? key : "", (int)key_len, md, NULL) == 1 &&
              HMAC_Update(h, data, len) == 1 && HMAC_Final(h, out, NULL) == 1;
    HMAC_CTX_free(h);
    if (ok) {
        return PST_OK;
    }
    ERR_clear_error();
    return PST_ERR_CRYPTO;
}
