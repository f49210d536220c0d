/* OpenSSL's verdict on a chain under the rules that Postern must keep: the first certificate is the
 * only trust anchor, strict checks, no partial chains, and the usage of the leaf. Where OpenSSL
 * does not know an extension of Postern, or requires more than SPDM (key identifiers), its error is
 * ignored. */
#ifndef PST_CERT_REFERENCE_H
#define PST_CERT_REFERENCE_H

#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "openssl/oids.h"
#include "openssl/openssl_port.h"
#include "postern/mipi_profile.h"

#define REFERENCE_MAX 16

static inline bool reference_is(const ASN1_OBJECT *object, const char *oid)
{
    char text[80];

    return OBJ_obj2txt(text, sizeof text, object, 1) > 0 && strcmp(text, oid) == 0;
}

/* Returns whether Postern knows all critical extensions that OpenSSL does not know. */
static inline bool reference_knows_critical(X509 *x)
{
    for (int i = 0; i < X509_get_ext_count(x); i++) {
        X509_EXTENSION *e = X509_get_ext(x, i);
        const ASN1_OBJECT *object = X509_EXTENSION_get_object(e);
        if (X509_EXTENSION_get_critical(e) && X509_supported_extension(e) != 1 &&
            !reference_is(object, PST_OID_GRANT) && !reference_is(object, PST_OID_SPDM_EXTENSION)) {
            return false;
        }
    }
    return true;
}

static inline int reference_overrule(int ok, X509_STORE_CTX *ctx)
{
    int error = X509_STORE_CTX_get_error(ctx);

    if (!ok && (error == X509_V_ERR_MISSING_AUTHORITY_KEY_IDENTIFIER ||
                error == X509_V_ERR_MISSING_SUBJECT_KEY_IDENTIFIER ||
                (error == X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION &&
                 reference_knows_critical(X509_STORE_CTX_get_current_cert(ctx))))) {
        X509_STORE_CTX_set_error(ctx, X509_V_OK);
        return 1;
    }
    return ok;
}

/* Splits a chain. Returns the number of certificates; 0 if one cannot be decoded or if there are
 * too many. */
static inline int reference_split(const uint8_t *der, size_t len, X509 *out[REFERENCE_MAX])
{
    const unsigned char *at = der, *end = der + len;
    int n = 0;

    while (at < end && n < REFERENCE_MAX) {
        out[n] = d2i_X509(NULL, &at, end - at);
        if (out[n] == NULL) {
            break;
        }
        n++;
    }
    if (at == end) {
        return n;
    }
    while (n > 0) {
        X509_free(out[--n]);
    }
    return 0;
}

static inline bool reference_has_usage(X509 *leaf, const char *oid)
{
    EXTENDED_KEY_USAGE *usage = X509_get_ext_d2i(leaf, NID_ext_key_usage, NULL, NULL);
    bool found = false;

    for (int i = 0; i < sk_ASN1_OBJECT_num(usage); i++) {
        found = found || reference_is(sk_ASN1_OBJECT_value(usage, i), oid);
    }
    sk_ASN1_OBJECT_pop_free(usage, ASN1_OBJECT_free);
    return found;
}

static inline bool reference_leaf_fits(X509 *leaf, pst_role role)
{
    bool requester = reference_has_usage(leaf, PST_OID_REQUESTER_AUTH);

    return (X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE) != 0 &&
           (X509_get_extension_flags(leaf) & EXFLAG_KUSAGE) != 0 && X509_check_ca(leaf) == 0 &&
           X509_get_version(leaf) == X509_VERSION_3 && requester == (role == PST_ROLE_REQUESTER);
}

/* Malformed extensions that neither of us needs: RFC 5280 lets an implementation ignore what is not
 * critical, OpenSSL looks into some all the same. And certificates whose names differ only in case
 * or spaces, which OpenSSL takes for self-signed. */
static inline bool reference_is_excused(X509 *x, bool root)
{
    static const int ours[] = {NID_basic_constraints,      NID_key_usage,
                               NID_ext_key_usage,          NID_subject_alt_name,
                               NID_subject_key_identifier, NID_authority_key_identifier};

    if (!root && X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) == 0) {
        return true;
    }
    for (int i = 0; i < X509_get_ext_count(x); i++) {
        X509_EXTENSION *e = X509_get_ext(x, i);
        int nid = OBJ_obj2nid(X509_EXTENSION_get_object(e));
        bool known = false;
        for (size_t k = 0; k < sizeof ours / sizeof ours[0]; k++) {
            known = known || ours[k] == nid;
        }
        void *value = known || X509V3_EXT_get(e) == NULL ? NULL : X509V3_EXT_d2i(e);
        if (!known && X509V3_EXT_get(e) != NULL && value == NULL) {
            return true;
        }
        const X509V3_EXT_METHOD *method = value == NULL ? NULL : X509V3_EXT_get(e);
        if (method != NULL && method->it != NULL) {
            ASN1_item_free(value, ASN1_ITEM_ptr(method->it));
        } else if (method != NULL) {
            method->ext_free(value);
        }
    }
    return false;
}

static inline int reference_verify(X509 *certs[], int n, uint64_t now)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    STACK_OF(X509) *between = sk_X509_new_null();
    unsigned long flags = X509_V_FLAG_X509_STRICT;
    int error = X509_V_ERR_UNSPECIFIED;

    for (int i = 1; i < n - 1; i++) {
        sk_X509_push(between, certs[i]);
    }
    if (store != NULL && ctx != NULL && X509_STORE_add_cert(store, certs[0]) == 1 &&
        X509_STORE_CTX_init(ctx, store, certs[n - 1], between) == 1) {
        X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
        if (now != 0) {
            X509_VERIFY_PARAM_set_time(param, (time_t)now);
        } else {
            flags |= X509_V_FLAG_NO_CHECK_TIME;
        }
        X509_VERIFY_PARAM_set_flags(param, flags);
        X509_STORE_CTX_set_verify_cb(ctx, reference_overrule);
        bool ok = X509_verify_cert(ctx) == 1;
        error = ok ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
        error = !ok && error == X509_V_OK ? X509_V_ERR_UNSPECIFIED : error;
    }
    sk_X509_free(between);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return error;
}

struct reference {
    bool accepted;
    bool excused;    /* refused for a reason that Postern need not share */
    const char *why; /* when it is refused */
};

/* The first certificate of `der` is the trust anchor. */
static inline struct reference reference_check(const uint8_t *der, size_t len, pst_role role,
                                               uint64_t now)
{
    X509 *certs[REFERENCE_MAX];
    struct reference r = {.why = "cannot be decoded"};
    int n = reference_split(der, len, certs);

    if (n == 1) {
        r.why = "has no leaf";
    }
    if (n > 1) {
        int error = reference_verify(certs, n, now);
        bool fits = reference_leaf_fits(certs[n - 1], role);
        r.accepted = error == X509_V_OK && fits;
        r.why = error != X509_V_OK ? X509_verify_cert_error_string(error) : "the leaf does not fit";
        for (int i = 0; i < n && error != X509_V_OK; i++) {
            r.excused = r.excused || reference_is_excused(certs[i], i == 0);
        }
    }
    for (int i = 0; i < n; i++) {
        X509_free(certs[i]);
    }
    ERR_clear_error();
    return r;
}

/* Postern's verdict with the same anchor. `text` gets the reason of a refusal. */
static inline bool ours_check(const uint8_t *der, size_t len, size_t root_len, pst_role role,
                              uint64_t now, char text[PST_MAX_REFUSAL])
{
    static uint8_t buffer[PST_MAX_CERT];
    static struct pst_chain chain;
    const struct pst_crypto *crypto = pst_openssl_crypto();
    const struct pst_bytes anchor = {der, root_len};
    struct pst_chain_config config = {.crypto = crypto, .anchors = &anchor, .anchor_count = 1};
    uint8_t root_hash[PST_MAX_HASH];
    struct pst_peer peer = {0};

    if (pst_hash_once(crypto, PST_SHA256, der, root_len, root_hash) != PST_OK ||
        pst_chain_begin(&chain, &config, buffer, sizeof buffer, role, PST_SHA256, root_hash) !=
            PST_OK) {
        return false;
    }
    chain.now = now; /* instead of a clock function */
    pst_err err = pst_chain_feed(&chain, der, len);
    if (err == PST_OK) {
        err = pst_chain_finish(&chain, &peer);
    }
    pst_cert_refusal_text(&chain.refusal, text, PST_MAX_REFUSAL);
    pst_chain_abort(&chain);
    crypto->public_key_wipe(crypto->ctx, &peer.key);
    return err == PST_OK;
}

/* --- certificates made of any bytes --- */

static inline size_t der_head(uint8_t *out, uint8_t tag, size_t len)
{
    out[0] = tag;
    if (len < 0x80) {
        out[1] = (uint8_t)len;
        return 2;
    }
    if (len < 0x100) {
        out[1] = 0x81;
        out[2] = (uint8_t)len;
        return 3;
    }
    out[1] = 0x82;
    out[2] = (uint8_t)(len >> 8);
    out[3] = (uint8_t)len;
    return 4;
}

/* A certificate around `tbs`, signed with Ed25519; its length. `out` has room for 128 bytes more.
 */
static inline size_t reference_sign(EVP_PKEY *key, const uint8_t *tbs, size_t len, uint8_t *out)
{
    static const uint8_t algorithm[] = {0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70};
    uint8_t signature[64];
    size_t size = sizeof signature;
    EVP_MD_CTX *md = EVP_MD_CTX_new();

    if (md == NULL || EVP_DigestSignInit(md, NULL, NULL, NULL, key) != 1 ||
        EVP_DigestSign(md, signature, &size, tbs, len) != 1) {
        EVP_MD_CTX_free(md);
        return 0;
    }
    EVP_MD_CTX_free(md);
    size_t at = der_head(out, 0x30, len + sizeof algorithm + 3 + sizeof signature);
    memcpy(out + at, tbs, len);
    at += len;
    memcpy(out + at, algorithm, sizeof algorithm);
    at += sizeof algorithm;
    memcpy(out + at, "\x03\x41\x00", 3);
    memcpy(out + at + 3, signature, sizeof signature);
    return at + 3 + sizeof signature;
}

#endif
