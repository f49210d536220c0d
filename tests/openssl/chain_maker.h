/* Makes certificate chains for tests: valid ones, and ones with exactly one error. */
#ifndef PST_CHAIN_MAKER_H
#define PST_CHAIN_MAKER_H

#include "pst_test.h"

#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "openssl/internal.h"
#include "openssl/oids.h"
#include "openssl/openssl_port.h"
#include "postern/mipi_profile.h"

#define MAKER_MAX 40
#define MAKER_NOW 1800000000 /* "now" in these tests, seconds since 1970 */
#define MAKER_YEAR 31536000

/* One certificate to be made. NULL leaves an extension out. */
struct maker_cert {
    const char *subject, *issuer; /* issuer NULL: the one before */
    const char *basic, *usage, *extended, *alt_name, *spdm, *grant;
    const char *extra_oid, *extra; /* one more extension */
    const char *extra2_oid, *extra2;
    pst_sig_id algorithm; /* 0: P-256 */
    long version, serial;
    long from, until; /* seconds from MAKER_NOW */
    size_t padding;   /* bytes of an ignorable extension */
    int signer;       /* whose key signs: index, or -1 for the one before */
    bool flip_signature;
};

struct maker_chain {
    struct maker_cert certs[MAKER_MAX];
    size_t count;
    uint8_t der[80000];
    size_t at[MAKER_MAX + 1]; /* where each begins; at[count] is the length */
};

static inline EVP_PKEY *maker_key(size_t index, pst_sig_id id)
{
    static EVP_PKEY *keys[MAKER_MAX][4];

    if (id == PST_SIG_NONE) {
        id = PST_ECDSA_P256;
    }
    if (keys[index][id] == NULL) {
        keys[index][id] = id == PST_ED25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
                                            : EVP_EC_gen(id == PST_ECDSA_P256 ? "P-256" : "P-384");
    }
    CHECK(keys[index][id] != NULL);
    return keys[index][id];
}

static inline void maker_extension(X509 *x, const char *oid, const char *value)
{
    X509V3_CTX ctx;

    if (value == NULL) {
        return;
    }
    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf(NULL, &ctx, oid, value);
    CHECK(e != NULL && X509_add_ext(x, e, -1) == 1);
    X509_EXTENSION_free(e);
}

static inline void maker_pad(X509 *x, size_t len)
{
    static const uint8_t zeros[17000];
    ASN1_OBJECT *object = OBJ_txt2obj("1.3.6.1.4.1.99999.7", 1);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    X509_EXTENSION *e = NULL;

    CHECK(ASN1_OCTET_STRING_set(value, zeros, (int)len) == 1);
    CHECK(X509_EXTENSION_create_by_OBJ(&e, object, 0, value) != NULL);
    CHECK(X509_add_ext(x, e, -1) == 1);
    X509_EXTENSION_free(e);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(object);
}

static inline void maker_name(X509_NAME *name, const char *text)
{
    if (text[0] != '\0') {
        CHECK(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)text, -1,
                                         -1, 0) == 1);
    }
}

static inline size_t maker_make_one(const struct maker_chain *chain, size_t i, uint8_t *out)
{
    const struct maker_cert *c = &chain->certs[i];
    size_t before = i == 0 ? 0 : i - 1;
    size_t signer = c->signer < 0 ? before : (size_t)c->signer;
    time_t now = MAKER_NOW;
    X509 *x = X509_new();

    CHECK(X509_set_version(x, c->version) == 1);
    CHECK(ASN1_INTEGER_set(X509_get_serialNumber(x), c->serial) == 1);
    maker_name(X509_get_subject_name(x), c->subject);
    maker_name(X509_get_issuer_name(x),
               c->issuer != NULL ? c->issuer : chain->certs[before].subject);
    CHECK(X509_time_adj_ex(X509_getm_notBefore(x), 0, c->from, &now) != NULL);
    CHECK(X509_time_adj_ex(X509_getm_notAfter(x), 0, c->until, &now) != NULL);
    CHECK(X509_set_pubkey(x, maker_key(i, c->algorithm)) == 1);
    maker_extension(x, "basicConstraints", c->basic);
    maker_extension(x, "keyUsage", c->usage);
    maker_extension(x, "extendedKeyUsage", c->extended);
    maker_extension(x, "subjectAltName", c->alt_name);
    maker_extension(x, PST_OID_SPDM_EXTENSION, c->spdm);
    maker_extension(x, PST_OID_GRANT, c->grant);
    maker_extension(x, c->extra_oid, c->extra);
    maker_extension(x, c->extra2_oid, c->extra2);
    if (c->padding > 0) {
        maker_pad(x, c->padding);
    }
    pst_sig_id id = chain->certs[signer].algorithm;
    CHECK(X509_sign(x, maker_key(signer, id), id == PST_ED25519 ? NULL : EVP_sha256()) > 0);
    int len = i2d_X509(x, &out);
    CHECK(len > 0);
    if (c->flip_signature) {
        out[-1] ^= 1;
    }
    X509_free(x);
    return (size_t)len;
}

static inline void maker_make(struct maker_chain *chain)
{
    chain->at[0] = 0;
    for (size_t i = 0; i < chain->count; i++) {
        CHECK(chain->at[i] + 18000 < sizeof chain->der);
        chain->at[i + 1] = chain->at[i] + maker_make_one(chain, i, chain->der + chain->at[i]);
    }
}

static inline struct maker_cert maker_ca(const char *subject)
{
    return (struct maker_cert){
        .subject = subject,
        .basic = "critical,CA:TRUE",
        .usage = "critical,keyCertSign",
        .version = 2,
        .serial = 17,
        .from = -MAKER_YEAR,
        .until = MAKER_YEAR,
        .signer = -1,
    };
}

static inline struct maker_cert maker_leaf(pst_role role)
{
    struct maker_cert c = maker_ca(role == PST_ROLE_REQUESTER ? "ada" : "Acme:Pump:0042");

    c.basic = "critical,CA:FALSE";
    c.usage = "critical,digitalSignature";
    if (role == PST_ROLE_REQUESTER) {
        c.extended = PST_OID_REQUESTER_AUTH;
        c.grant = "DER:04056465627567";
    } else {
        c.extended = PST_OID_RESPONDER_AUTH;
        c.alt_name = "otherName:" PST_OID_DEVICE_INFO ";UTF8:Acme:Pump:0042";
        /* SEQUENCE OF SEQUENCE { hardware identity } */
        c.spdm = "DER:300e300c060a2b06010401831c821202";
    }
    return c;
}

/* A valid chain: root, intermediate, leaf. */
static inline void maker_good(struct maker_chain *chain, pst_role role)
{
    chain->count = 3;
    chain->certs[0] = maker_ca("root");
    chain->certs[1] = maker_ca("middle");
    chain->certs[2] = maker_leaf(role);
}

#endif
