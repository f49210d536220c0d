/* Shared by the files of the OpenSSL port only.
 *
 * OpenSSL 3 looks up an algorithm by name unless the caller passes one that was fetched before. Its
 * generic key objects cost more time than a P-256 key generation. So the port fetches algorithms
 * once, and uses the EC_KEY interface of OpenSSL 1.1 for elliptic curves (deprecated, but in
 * every 3.x). */
#ifndef POSTERN_OPENSSL_INTERNAL_H
#define POSTERN_OPENSSL_INTERNAL_H

#define OPENSSL_API_COMPAT 0x10100000L

#include <openssl/ec.h>
#include <openssl/evp.h>

#include "postern/crypto.h"

/* Fetched once per process, never freed. NULL: this OpenSSL lacks the algorithm. */
const EVP_MD *pst_ossl_md(pst_hash_id id);
const EVP_CIPHER *pst_ossl_cipher(pst_aead_id id);
const EC_GROUP *pst_ossl_group(pst_dh_id id);

/* Put a pointer into the storage of a crypto object, and get it back. */
void pst_ossl_keep(uint64_t *store, void *handle);
void *pst_ossl_handle(const uint64_t *store);

/* The pst_crypto functions, by file. */
pst_err pst_ossl_hash_init(void *ctx, struct pst_hash *h, pst_hash_id id);
pst_err pst_ossl_hash_update(void *ctx, struct pst_hash *h, const void *data, size_t len);
pst_err pst_ossl_hash_final(void *ctx, struct pst_hash *h, uint8_t *digest);
pst_err pst_ossl_hash_clone(void *ctx, struct pst_hash *to, const struct pst_hash *from);
void pst_ossl_hash_abort(void *ctx, struct pst_hash *h);
pst_err pst_ossl_hmac(void *ctx, pst_hash_id id, const void *key, size_t key_len, const void *data,
                      size_t len, uint8_t *out);
pst_err pst_ossl_aead_init(void *ctx, struct pst_aead *a, pst_aead_id id, const uint8_t *key);
pst_err pst_ossl_aead_seal(void *ctx, struct pst_aead *a, const uint8_t iv[PST_IV_LEN],
                           const void *aad, size_t aad_len, void *data, size_t len,
                           uint8_t tag[PST_TAG_LEN]);
pst_err pst_ossl_aead_open(void *ctx, struct pst_aead *a, const uint8_t iv[PST_IV_LEN],
                           const void *aad, size_t aad_len, void *data, size_t len,
                           const uint8_t tag[PST_TAG_LEN]);
void pst_ossl_aead_wipe(void *ctx, struct pst_aead *a);
pst_err pst_ossl_dh_generate(void *ctx, pst_dh_id id, struct pst_dh_key *key,
                             uint8_t *public_value);
pst_err pst_ossl_dh_shared(void *ctx, const struct pst_dh_key *key, const uint8_t *peer_value,
                           uint8_t *secret);
void pst_ossl_dh_wipe(void *ctx, struct pst_dh_key *key);
pst_err pst_ossl_public_key(void *ctx, struct pst_public_key *key, pst_sig_id id,
                            const uint8_t *bytes);
pst_err pst_ossl_verify(void *ctx, const struct pst_public_key *key, pst_hash_id hash,
                        const void *message, size_t len, const uint8_t *signature);
void pst_ossl_public_key_wipe(void *ctx, struct pst_public_key *key);

/* Computes the digest of one piece of data with the port's own hash. */
pst_err pst_ossl_digest(pst_hash_id id, const void *data, size_t len, uint8_t *digest);

/* Returns the signature algorithm of a private or public key; 0: none that Postern supports. */
pst_sig_id pst_ossl_sig_of(const EVP_PKEY *key);
/* Signs in SPDM's form with a private key of the given algorithm. */
pst_err pst_ossl_sign(EVP_PKEY *key, pst_sig_id id, pst_hash_id hash, const void *message,
                      size_t len, uint8_t *signature);

#endif
