/* A certificate of any bytes, signed by a trusted root: Postern must not accept what OpenSSL
 * refuses. The first byte selects the role, and whether the certificate is the leaf or issues one.
 * The rest is the signed part. */
#include "fuzz.h"

#include <stdio.h>

#include "cert/reference.h"

enum { MOST = 3000 };

static EVP_PKEY *key_of(uint8_t n)
{
    uint8_t seed[32] = {n};

    return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof seed);
}

/* A certificate of `subject` for `key`, issued by "root" or "middle". */
static size_t make(const char *subject, const char *issuer, EVP_PKEY *key, EVP_PKEY *by, bool ca,
                   uint8_t *out)
{
    X509 *x = X509_new();
    const char *const values[][2] = {
        {"basicConstraints", ca ? "critical,CA:TRUE" : "critical,CA:FALSE"            },
        {"keyUsage",         ca ? "critical,keyCertSign" : "critical,digitalSignature"},
        {"extendedKeyUsage", PST_OID_REQUESTER_AUTH                                   },
    };
    unsigned char *at = out;

    need(x != NULL && X509_set_version(x, X509_VERSION_3) == 1 &&
         ASN1_INTEGER_set(X509_get_serialNumber(x), 17) == 1 &&
         X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                                    (const unsigned char *)subject, -1, -1, 0) == 1 &&
         X509_NAME_add_entry_by_txt(X509_get_issuer_name(x), "CN", MBSTRING_UTF8,
                                    (const unsigned char *)issuer, -1, -1, 0) == 1 &&
         ASN1_TIME_set(X509_getm_notBefore(x), 1700000000) != NULL &&
         ASN1_TIME_set(X509_getm_notAfter(x), 1900000000) != NULL && X509_set_pubkey(x, key) == 1);
    for (size_t i = 0; i < (ca ? 2u : 3u); i++) {
        X509_EXTENSION *e = X509V3_EXT_conf(NULL, NULL, values[i][0], values[i][1]);
        need(e != NULL && X509_add_ext(x, e, -1) == 1);
        X509_EXTENSION_free(e);
    }
    need(X509_sign(x, by, NULL) > 0);
    int len = i2d_X509(x, &at);
    X509_free(x);
    need(len > 0);
    return (size_t)len;
}

/* The part that all inputs share, made once. */
struct fixed {
    EVP_PKEY *root_key;
    uint8_t root[1000], leaf[1000];
    size_t root_len, leaf_len;
};

static const struct fixed *fixed(void)
{
    static struct fixed f;

    if (f.root_key == NULL) {
        EVP_PKEY *middle = key_of(2);
        f.root_key = key_of(1);
        f.root_len = make("root", "root", f.root_key, f.root_key, true, f.root);
        f.leaf_len = make("leaf", "middle", middle, middle, false, f.leaf);
        EVP_PKEY_free(middle);
    }
    return &f;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t all[2 * MOST];
    const struct fixed *f = fixed();
    char text[PST_MAX_REFUSAL];

    if (size < 2 || size > MOST) {
        return 0;
    }
    bool issues = (data[0] & 2) != 0;
    pst_role role = issues || data[0] & 1 ? PST_ROLE_REQUESTER : PST_ROLE_RESPONDER;
    memcpy(all, f->root, f->root_len);
    size_t len = f->root_len;
    len += reference_sign(f->root_key, data + 1, size - 1, all + len);
    if (issues) {
        memcpy(all + len, f->leaf, f->leaf_len);
        len += f->leaf_len;
    }
    bool ours = ours_check(all, len, f->root_len, role, 1800000013, text);
    if (!ours) {
        return 0; /* Postern refuses it: OpenSSL's verdict does not matter */
    }
    struct reference theirs = reference_check(all, len, role, 1800000013);
    if (!theirs.accepted && !theirs.excused) {
        fprintf(stderr, "we accept; OpenSSL: %s\n", theirs.why);
        abort();
    }
    return 0;
}
