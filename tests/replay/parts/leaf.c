/* Public keys out of recorded chains. */
#include "leaf.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "openssl/openssl_port.h"

static bool convert(const EVP_PKEY *pkey, pst_sig_id id, struct pst_public_key *key)
{
    uint8_t point[1 + PST_MAX_SIGNATURE];
    size_t len = 0;

    if (id == PST_ED25519) {
        len = sizeof point;
        return EVP_PKEY_get_raw_public_key(pkey, point, &len) == 1 && len == 32 &&
               pst_openssl_crypto()->public_key(NULL, key, id, point) == PST_OK;
    }
    return EVP_PKEY_get_octet_string_param(pkey, "encoded-pub-key", point, sizeof point, &len) ==
               1 &&
           len == 1u + pst_sig_row(id)->size && point[0] == 4 &&
           pst_openssl_crypto()->public_key(NULL, key, id, point + 1) == PST_OK;
}

bool leaf_of_key(struct pst_bytes info, pst_sig_id id, struct pst_public_key *key)
{
    const uint8_t *at = info.at;
    EVP_PKEY *pkey = d2i_PUBKEY(NULL, &at, (long)info.len);
    bool good = pkey != NULL && convert(pkey, id, key);

    EVP_PKEY_free(pkey);
    return good;
}

bool leaf_of_chain(struct pst_bytes chain, size_t hash_len, pst_sig_id id,
                   struct pst_public_key *key)
{
    const uint8_t *at = chain.at + 4 + hash_len;
    const uint8_t *end = chain.at + chain.len;
    X509 *leaf = NULL;

    if (chain.len < 4 + hash_len) {
        return false;
    }
    while (at < end) {
        X509_free(leaf);
        leaf = d2i_X509(NULL, &at, (long)(end - at));
        if (leaf == NULL) {
            return false;
        }
    }
    bool good = leaf != NULL && convert(X509_get0_pubkey(leaf), id, key);
    X509_free(leaf);
    return good;
}
