#include "certificate.h"

#include <openssl/asn1t.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "openssl_port.h"
#include "postern/mipi_profile.h"

#define MAX_EXTENSIONS 64

#ifndef static_ASN1_SEQUENCE_END /* an analyser that does not read OpenSSL's headers */
#define static_ASN1_SEQUENCE_END(name) ;
#endif

/* RFC 5280, 4.1 */
typedef struct {
    X509_ALGOR *algorithm;
    ASN1_BIT_STRING *bits;
} SPKI;

typedef struct {
    ASN1_INTEGER *version;
    ASN1_INTEGER *serial;
    X509_ALGOR *signature;
    X509_NAME *issuer;
    X509_VAL *validity;
    X509_NAME *subject;
    SPKI *key;
    ASN1_BIT_STRING *issuer_uid;
    ASN1_BIT_STRING *subject_uid;
    STACK_OF(X509_EXTENSION) * extensions;
} TBS;

typedef struct {
    TBS *tbs;
    X509_ALGOR *algorithm;
    ASN1_BIT_STRING *signature;
} CERT;

/* clang-format off */
ASN1_SEQUENCE(SPKI) = {
    ASN1_SIMPLE(SPKI, algorithm, X509_ALGOR),
    ASN1_SIMPLE(SPKI, bits, ASN1_BIT_STRING),
} static_ASN1_SEQUENCE_END(SPKI)

ASN1_SEQUENCE(TBS) = {
    ASN1_EXP_OPT(TBS, version, ASN1_INTEGER, 0),
    ASN1_SIMPLE(TBS, serial, ASN1_INTEGER),
    ASN1_SIMPLE(TBS, signature, X509_ALGOR),
    ASN1_SIMPLE(TBS, issuer, X509_NAME),
    ASN1_SIMPLE(TBS, validity, X509_VAL),
    ASN1_SIMPLE(TBS, subject, X509_NAME),
    ASN1_SIMPLE(TBS, key, SPKI),
    ASN1_IMP_OPT(TBS, issuer_uid, ASN1_BIT_STRING, 1),
    ASN1_IMP_OPT(TBS, subject_uid, ASN1_BIT_STRING, 2),
    ASN1_EXP_SEQUENCE_OF_OPT(TBS, extensions, X509_EXTENSION, 3),
} static_ASN1_SEQUENCE_END(TBS)

ASN1_SEQUENCE(CERT) = {
    ASN1_SIMPLE(CERT, tbs, TBS),
    ASN1_SIMPLE(CERT, algorithm, X509_ALGOR),
    ASN1_SIMPLE(CERT, signature, ASN1_BIT_STRING),
} static_ASN1_SEQUENCE_END(CERT)
    /* clang-format on */

    pst_err pst_der_extent(const uint8_t *at, size_t len, size_t *head, size_t *total)
{
    if (len < 1) {
        return PST_WANT_MORE;
    }
    if (at[0] != 0x30) {
        return PST_ERR_DECODE;
    }
    if (len < 2) {
        return PST_WANT_MORE;
    }
    size_t extra = at[1] < 0x80 ? 0 : at[1] & 0x7Fu;
    if (extra > 2 || at[1] == 0x80) {
        return PST_ERR_DECODE;
    }
    if (len < 2 + extra) {
        return PST_WANT_MORE;
    }
    size_t body = extra == 0 ? at[1] : 0;
    for (size_t i = 0; i < extra; i++) {
        body = body << 8 | at[2 + i];
    }
    /* DER: the shortest form that holds the length */
    if ((extra == 1 && body < 0x80) || (extra == 2 && body < 0x100)) {
        return PST_ERR_DECODE;
    }
    *head = 2 + extra;
    *total = *head + body;
    return *total > PST_MAX_CERT ? PST_ERR_DECODE : PST_OK;
}

static bool is_oid(const ASN1_OBJECT *object, const char *oid)
{
    char text[80];

    return OBJ_obj2txt(text, sizeof text, object, 1) > 0 && strcmp(text, oid) == 0;
}

/* Days since 1970 of a date of the proleptic Gregorian calendar. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = year / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool time_of(const ASN1_TIME *t, uint64_t *seconds)
{
    struct tm tm;

    if (t == NULL || ASN1_TIME_to_tm(t, &tm) != 1 || tm.tm_year < 70) {
        return false;
    }
    int64_t days = days_of(1900 + (int64_t)tm.tm_year, tm.tm_mon + 1, tm.tm_mday);
    *seconds = (uint64_t)(days * 86400 + tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec);
    return true;
}

/* What a terminal could obey: C0, DEL, and C1 in UTF-8. */
static bool is_control(const unsigned char *at)
{
    return at[0] < 0x20 || at[0] == 0x7F || (at[0] == 0xC2 && at[1] >= 0x80 && at[1] < 0xA0);
}

/* Text for people and for policy: neither control characters nor more than fits. */
static bool take_text(const ASN1_STRING *s, char out[PST_MAX_NAME])
{
    unsigned char *utf8 = NULL;
    int len = ASN1_STRING_to_UTF8(&utf8, s);
    bool ok = len > 0 && len < PST_MAX_NAME;

    for (int i = 0; ok && i < len; i++) {
        ok = !is_control(utf8 + i); /* a NUL follows the text */
    }
    if (ok) {
        memcpy(out, utf8, (size_t)len);
        out[len] = '\0';
    }
    OPENSSL_free(utf8);
    return ok;
}

static void take_common_name(struct pst_certificate *c)
{
    int at = X509_NAME_get_index_by_NID(c->subject, NID_commonName, -1);

    if (at < 0) {
        return;
    }
    /* Which of several would count is a matter of taste: none does. */
    if (X509_NAME_get_index_by_NID(c->subject, NID_commonName, at) >= 0) {
        c->bad_name = true;
        return;
    }
    const X509_NAME_ENTRY *entry = X509_NAME_get_entry(c->subject, at);
    c->bad_name = !take_text(X509_NAME_ENTRY_get_data(entry), c->name);
}

static void take_key(struct pst_certificate *c, const SPKI *spki)
{
    const ASN1_OBJECT *algorithm, *curve = NULL;
    const void *parameter;
    int type;
    const unsigned char *bits = ASN1_STRING_get0_data(spki->bits);
    int len = ASN1_STRING_length(spki->bits);
    pst_sig_id id = PST_SIG_NONE;

    X509_ALGOR_get0(&algorithm, &type, &parameter, spki->algorithm);
    if (OBJ_obj2nid(algorithm) == NID_ED25519 && type == V_ASN1_UNDEF && len == 32) {
        id = PST_ED25519;
    } else if (OBJ_obj2nid(algorithm) == NID_X9_62_id_ecPublicKey && type == V_ASN1_OBJECT) {
        curve = parameter;
        int nid = OBJ_obj2nid(curve);
        id = nid == NID_X9_62_prime256v1 ? PST_ECDSA_P256
             : nid == NID_secp384r1      ? PST_ECDSA_P384
                                         : PST_SIG_NONE;
        if (id == PST_SIG_NONE || len != 1 + pst_sig_row(id)->size || bits[0] != 0x04) {
            return;
        }
        bits++;
    }
    if (id != PST_SIG_NONE && pst_ossl_public_key(NULL, &c->key, id, bits) != PST_OK) {
        c->key = (struct pst_public_key){0};
    }
}

/* --- extensions --- */

static const unsigned char *value_of(X509_EXTENSION *e, long *len)
{
    const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(e);

    *len = ASN1_STRING_length(value);
    return ASN1_STRING_get0_data(value);
}

static void on_basic_constraints(struct pst_certificate *c, X509_EXTENSION *e)
{
    BASIC_CONSTRAINTS *basic = X509V3_EXT_d2i(e);

    if (basic == NULL) {
        c->bad_extension = true;
        return;
    }
    c->has_basic = true;
    c->is_ca = basic->ca != 0;
    if (basic->pathlen != NULL) {
        int64_t n;
        if (ASN1_INTEGER_get_int64(&n, basic->pathlen) != 1 || n < 0 || !c->is_ca) {
            c->bad_extension = true;
        } else {
            c->path_len = n > INT32_MAX ? INT32_MAX : (int32_t)n;
        }
    }
    BASIC_CONSTRAINTS_free(basic);
}

static void on_key_usage(struct pst_certificate *c, X509_EXTENSION *e)
{
    ASN1_BIT_STRING *bits = X509V3_EXT_d2i(e);

    if (bits == NULL) {
        c->bad_extension = true;
        return;
    }
    c->has_key_usage = true;
    c->key_usage = ASN1_STRING_length(bits) > 0 ? ASN1_STRING_get0_data(bits)[0] : 0;
    ASN1_BIT_STRING_free(bits);
}

static void on_extended_key_usage(struct pst_certificate *c, X509_EXTENSION *e)
{
    EXTENDED_KEY_USAGE *usage = X509V3_EXT_d2i(e);

    if (usage == NULL) {
        c->bad_extension = true;
        return;
    }
    c->has_eku = true;
    for (int i = 0; i < sk_ASN1_OBJECT_num(usage); i++) {
        const ASN1_OBJECT *oid = sk_ASN1_OBJECT_value(usage, i);
        if (is_oid(oid, PST_OID_REQUESTER_AUTH)) {
            c->eku_requester = true;
        } else if (is_oid(oid, PST_OID_RESPONDER_AUTH)) {
            c->eku_responder = true;
        } else {
            c->eku_other = true;
        }
    }
    EXTENDED_KEY_USAGE_free(usage);
}

bool pst_is_device_id(const char *id)
{
    const char *product = strchr(id, ':');
    const char *serial = product == NULL ? NULL : strchr(product + 1, ':');

    return serial != NULL && product != id && serial != product + 1 && serial[1] != '\0' &&
           strchr(serial + 1, ':') == NULL;
}

static void on_alt_name(struct pst_certificate *c, X509_EXTENSION *e)
{
    GENERAL_NAMES *names = X509V3_EXT_d2i(e);

    if (names == NULL) {
        c->bad_extension = true;
        return;
    }
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        ASN1_OBJECT *type;
        ASN1_TYPE *value;
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (GENERAL_NAME_get0_otherName(name, &type, &value) != 1 ||
            !is_oid(type, PST_OID_DEVICE_INFO)) {
            continue;
        }
        if (c->device[0] != '\0' || value->type != V_ASN1_UTF8STRING ||
            !take_text(value->value.utf8string, c->device) || !pst_is_device_id(c->device)) {
            c->bad_device = true;
        }
    }
    GENERAL_NAMES_free(names);
}

/* spec: DSP0274, SPDM certificate extension: SEQUENCE OF SEQUENCE { OID, ... } */
static void on_spdm_extension(struct pst_certificate *c, X509_EXTENSION *e)
{
    long len;
    const unsigned char *at = value_of(e, &len);
    ASN1_SEQUENCE_ANY *outer = d2i_ASN1_SEQUENCE_ANY(NULL, &at, len);

    for (int i = 0; i < sk_ASN1_TYPE_num(outer); i++) {
        const ASN1_TYPE *entry = sk_ASN1_TYPE_value(outer, i);
        if (entry->type != V_ASN1_SEQUENCE) {
            continue;
        }
        const unsigned char *in = ASN1_STRING_get0_data(entry->value.sequence);
        ASN1_SEQUENCE_ANY *inner =
            d2i_ASN1_SEQUENCE_ANY(NULL, &in, ASN1_STRING_length(entry->value.sequence));
        const ASN1_TYPE *first = sk_ASN1_TYPE_num(inner) > 0 ? sk_ASN1_TYPE_value(inner, 0) : NULL;
        if (first != NULL && first->type == V_ASN1_OBJECT &&
            is_oid(first->value.object, PST_OID_HARDWARE_IDENTITY)) {
            c->hardware_identity = true;
        }
        sk_ASN1_TYPE_pop_free(inner, ASN1_TYPE_free);
    }
    if (outer == NULL) {
        c->bad_extension = true;
    }
    sk_ASN1_TYPE_pop_free(outer, ASN1_TYPE_free);
}

static void on_grant(struct pst_certificate *c, X509_EXTENSION *e)
{
    long len;
    const unsigned char *at = value_of(e, &len);
    ASN1_OCTET_STRING *text = d2i_ASN1_OCTET_STRING(NULL, &at, len);
    int text_len = text == NULL ? -1 : ASN1_STRING_length(text);

    if (text_len <= 0 || text_len > PST_MAX_GRANT) {
        c->bad_grant = true;
    } else {
        memcpy(c->grant, ASN1_STRING_get0_data(text), (size_t)text_len);
        c->grant_len = (uint16_t)text_len;
    }
    ASN1_OCTET_STRING_free(text);
}

struct extension {
    int nid; /* or NID_undef and an OID */
    const char *oid;
    void (*take)(struct pst_certificate *c, X509_EXTENSION *e);
};

static const struct extension known[] = {
    {NID_basic_constraints, NULL,                   on_basic_constraints },
    {NID_key_usage,         NULL,                   on_key_usage         },
    {NID_ext_key_usage,     NULL,                   on_extended_key_usage},
    {NID_subject_alt_name,  NULL,                   on_alt_name          },
    {NID_undef,             PST_OID_SPDM_EXTENSION, on_spdm_extension    },
    {NID_undef,             PST_OID_GRANT,          on_grant             },
};

static const struct extension *find_known(const ASN1_OBJECT *object)
{
    int nid = OBJ_obj2nid(object);

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].nid != NID_undef ? known[i].nid == nid
                                      : nid == NID_undef && is_oid(object, known[i].oid)) {
            return &known[i];
        }
    }
    return NULL;
}

static void take_extensions(struct pst_certificate *c, const STACK_OF(X509_EXTENSION) * all)
{
    int count = sk_X509_EXTENSION_num(all);

    if (count > MAX_EXTENSIONS) {
        c->bad_extension = true;
        return;
    }
    for (int i = 0; i < count; i++) {
        X509_EXTENSION *e = sk_X509_EXTENSION_value(all, i);
        const ASN1_OBJECT *object = X509_EXTENSION_get_object(e);
        const struct extension *k = find_known(object);
        if (X509v3_get_ext_by_OBJ(all, object, i) >= 0) {
            c->bad_extension = true; /* twice */
        } else if (k != NULL) {
            k->take(c, e);
        } else if (X509_EXTENSION_get_critical(e)) {
            OBJ_obj2txt(c->unknown_critical, sizeof c->unknown_critical, object, 1);
        }
    }
}

/* Keys and signatures are whole bytes. DER's count of unused bits is not covered by a signature, so
 * that other values would make a second encoding of the same certificate. */
static bool is_whole_bytes(const ASN1_BIT_STRING *bits)
{
    return (bits->flags & 7) == 0;
}

pst_err pst_certificate_parse(struct pst_certificate *c, const uint8_t *der, size_t len)
{
    const unsigned char *at = der;
    size_t head, total;

    memset(c, 0, sizeof *c);
    c->path_len = -1;
    if (pst_der_extent(der, len, &head, &total) != PST_OK || total != len) {
        return PST_ERR_DECODE;
    }
    CERT *cert = (CERT *)ASN1_item_d2i(NULL, &at, (long)len, ASN1_ITEM_rptr(CERT));
    if (cert == NULL || at != der + len || !is_whole_bytes(cert->signature) ||
        !is_whole_bytes(cert->tbs->key->bits)) {
        ASN1_item_free((ASN1_VALUE *)cert, ASN1_ITEM_rptr(CERT));
        ERR_clear_error();
        return PST_ERR_DECODE;
    }
    const TBS *tbs = cert->tbs;
    c->asn1 = cert;
    c->subject = tbs->subject;
    c->issuer = tbs->issuer;
    c->v3 = tbs->version != NULL && ASN1_INTEGER_get(tbs->version) == 2;
    c->serial_positive =
        ASN1_STRING_type(tbs->serial) == V_ASN1_INTEGER && ASN1_STRING_length(tbs->serial) > 0 &&
        ASN1_STRING_get0_data(tbs->serial)[0] + ASN1_STRING_length(tbs->serial) > 1;
    c->algorithms_agree = X509_ALGOR_cmp(tbs->signature, cert->algorithm) == 0;
    c->dates_readable = time_of(tbs->validity->notBefore, &c->not_before) &&
                        time_of(tbs->validity->notAfter, &c->not_after);
    take_key(c, tbs->key);
    take_common_name(c);
    take_extensions(c, tbs->extensions);
    ERR_clear_error();
    return PST_OK;
}

void pst_certificate_free(struct pst_certificate *c)
{
    ASN1_item_free(c->asn1, ASN1_ITEM_rptr(CERT));
    pst_ossl_public_key_wipe(NULL, &c->key);
    memset(c, 0, sizeof *c);
}

/* --- signature --- */

static bool ecdsa_holds(const CERT *cert, int digest_nid, const uint8_t *tbs, size_t tbs_len,
                        const struct pst_public_key *issuer)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned digest_len;
    const EVP_MD *md = digest_nid == NID_sha256   ? pst_ossl_md(PST_SHA256)
                       : digest_nid == NID_sha384 ? pst_ossl_md(PST_SHA384)
                       : digest_nid == NID_sha512 ? EVP_sha512()
                                                  : NULL;

    if (md == NULL || issuer->sig_id == PST_ED25519 ||
        EVP_Digest(tbs, tbs_len, digest, &digest_len, md, NULL) != 1) {
        return false;
    }
    return ECDSA_verify(0, digest, (int)digest_len, ASN1_STRING_get0_data(cert->signature),
                        ASN1_STRING_length(cert->signature), pst_ossl_handle(issuer->store)) == 1;
}

bool pst_certificate_signed_by(const struct pst_certificate *c, const uint8_t *der, size_t len,
                               const struct pst_public_key *issuer)
{
    const CERT *cert = c->asn1;
    size_t outer, tbs_head, tbs_len, total;
    int digest_nid, key_nid;
    const ASN1_OBJECT *algorithm;

    if (issuer->sig_id == PST_SIG_NONE || pst_der_extent(der, len, &outer, &total) != PST_OK ||
        total > len || pst_der_extent(der + outer, total - outer, &tbs_head, &tbs_len) != PST_OK ||
        tbs_len > total - outer) {
        return false;
    }
    X509_ALGOR_get0(&algorithm, NULL, NULL, cert->algorithm);
    bool ok = false;
    if (OBJ_obj2nid(algorithm) == NID_ED25519) {
        ok = issuer->sig_id == PST_ED25519 && ASN1_STRING_length(cert->signature) == 64 &&
             pst_ossl_verify(NULL, issuer, PST_SHA256, der + outer, tbs_len,
                             ASN1_STRING_get0_data(cert->signature)) == PST_OK;
    } else if (OBJ_find_sigid_algs(OBJ_obj2nid(algorithm), &digest_nid, &key_nid) == 1 &&
               key_nid == NID_X9_62_id_ecPublicKey) {
        ok = ecdsa_holds(cert, digest_nid, der + outer, tbs_len, issuer);
    }
    ERR_clear_error();
    return ok;
}
