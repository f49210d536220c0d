#include "pki.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "keyfile.h"
#include "oids.h"
#include "postern/mipi_profile.h"

#define PATH_CAP 4096
#define DAY 86400
#define ROOT_DAYS 7300
#define DEVICE_DAYS 3650
#define ENGINEER_DAYS 90
#define SKEW 600 /* seconds by which a peer's clock may be behind */

struct issuer {
    X509 *certificate; /* NULL: self-signed */
    EVP_PKEY *key;
    pst_sig_id algorithm;
};

static pst_err library_failed(struct pst_why *why, const char *doing)
{
    char text[128];

    ERR_error_string_n(ERR_peek_last_error(), text, sizeof text);
    return pst_why_fail(why, PST_ERR_CRYPTO, "%s: %s", doing, text);
}

static EVP_PKEY *generate(pst_sig_id id)
{
    return id == PST_ED25519      ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
           : id == PST_ECDSA_P256 ? EVP_EC_gen("P-256")
           : id == PST_ECDSA_P384 ? EVP_EC_gen("P-384")
                                  : NULL;
}

static const EVP_MD *digest_for(pst_sig_id id)
{
    return id == PST_ED25519 ? NULL : id == PST_ECDSA_P384 ? EVP_sha384() : EVP_sha256();
}

/* --- extensions --- */

static bool add_value(X509 *x, int nid, const char *value)
{
    X509V3_CTX ctx;

    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = e != NULL && X509_add_ext(x, e, -1) == 1;
    X509_EXTENSION_free(e);
    return ok;
}

static bool add_authority(X509 *x, X509 *issuer)
{
    const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(issuer);
    AUTHORITY_KEYID *a = AUTHORITY_KEYID_new();
    bool ok = id != NULL && a != NULL && (a->keyid = ASN1_OCTET_STRING_dup(id)) != NULL &&
              X509_add1_ext_i2d(x, NID_authority_key_identifier, a, 0, X509V3_ADD_DEFAULT) == 1;

    AUTHORITY_KEYID_free(a);
    return ok;
}

static bool add_octets(X509 *x, const char *oid, const uint8_t *der, int len)
{
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    X509_EXTENSION *e = NULL;
    bool ok = object != NULL && value != NULL && ASN1_OCTET_STRING_set(value, der, len) == 1 &&
              (e = X509_EXTENSION_create_by_OBJ(NULL, object, 0, value)) != NULL &&
              X509_add_ext(x, e, -1) == 1;

    X509_EXTENSION_free(e);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(object);
    return ok;
}

/* spec: DSP0274, SPDM certificate extension, with the hardware identity OID in it */
static bool add_hardware_identity(X509 *x)
{
    uint8_t der[64];
    unsigned char *at = der + 4;
    ASN1_OBJECT *object = OBJ_txt2obj(PST_OID_HARDWARE_IDENTITY, 1);
    int n = object == NULL ? -1 : i2d_ASN1_OBJECT(object, NULL);
    bool ok = n > 0 && n < (int)sizeof der - 4 && i2d_ASN1_OBJECT(object, &at) == n;

    ASN1_OBJECT_free(object);
    der[0] = der[2] = 0x30;
    der[1] = (uint8_t)(n + 2);
    der[3] = (uint8_t)n;
    return ok && add_octets(x, PST_OID_SPDM_EXTENSION, der, n + 4);
}

static bool add_grant(X509 *x, const char *grant)
{
    ASN1_OCTET_STRING *text = ASN1_OCTET_STRING_new();
    unsigned char *der = NULL;
    bool ok = text != NULL &&
              ASN1_OCTET_STRING_set(text, (const unsigned char *)grant, (int)strlen(grant)) == 1;
    int len = ok ? i2d_ASN1_OCTET_STRING(text, &der) : -1;

    ok = len > 0 && add_octets(x, PST_OID_GRANT, der, len);
    OPENSSL_free(der);
    ASN1_OCTET_STRING_free(text);
    return ok;
}

/* spec: DSP0274, device information in subjectAltName */
static bool add_device_id(X509 *x, const char *id)
{
    /* OpenSSL's configuration syntax would treat a comma in the id as a separator. */
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_TYPE *type = ASN1_TYPE_new();
    ASN1_UTF8STRING *text = ASN1_UTF8STRING_new();
    ASN1_OBJECT *object = OBJ_txt2obj(PST_OID_DEVICE_INFO, 1);
    bool ok = names != NULL && name != NULL && type != NULL && text != NULL && object != NULL &&
              ASN1_STRING_set(text, id, -1) == 1;
    if (ok) {
        ASN1_TYPE_set(type, V_ASN1_UTF8STRING, text);
        text = NULL;
        ok = GENERAL_NAME_set0_othername(name, object, type) == 1;
    }
    if (ok) {
        object = NULL;
        type = NULL;
        ok = sk_GENERAL_NAME_push(names, name) > 0;
        name = ok ? NULL : name;
        ok = ok && X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1;
    }
    GENERAL_NAMES_free(names);
    GENERAL_NAME_free(name);
    ASN1_TYPE_free(type);
    ASN1_UTF8STRING_free(text);
    ASN1_OBJECT_free(object);
    return ok;
}

/* --- certificates --- */

static bool set_serial(X509 *x)
{
    uint8_t bytes[16];
    BIGNUM *n = NULL;

    if (RAND_bytes(bytes, sizeof bytes) != 1) {
        return false;
    }
    bytes[0] = (uint8_t)((bytes[0] & 0x3F) | 0x40); /* positive, with a fixed length */
    n = BN_bin2bn(bytes, sizeof bytes, NULL);
    bool ok = n != NULL && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) != NULL;
    BN_free(n);
    return ok;
}

static bool set_name(X509 *x, const char *common_name)
{
    return X509_NAME_add_entry_by_NID(X509_get_subject_name(x), NID_commonName, MBSTRING_UTF8,
                                      (const unsigned char *)common_name, -1, -1, 0) == 1;
}

static bool set_dates(X509 *x, uint32_t days)
{
    time_t now = time(NULL);

    return X509_time_adj_ex(X509_getm_notBefore(x), 0, -SKEW, &now) != NULL &&
           X509_time_adj_ex(X509_getm_notAfter(x), (int)days, 0, &now) != NULL;
}

static X509 *begin(const char *common_name, EVP_PKEY *key, uint32_t days)
{
    X509 *x = X509_new();

    if (x != NULL && X509_set_version(x, X509_VERSION_3) == 1 && set_serial(x) &&
        set_name(x, common_name) && set_dates(x, days) && X509_set_pubkey(x, key) == 1) {
        return x;
    }
    X509_free(x);
    return NULL;
}

static bool sign(X509 *x, const struct issuer *by)
{
    X509_NAME *name = X509_get_subject_name(by->certificate != NULL ? by->certificate : x);

    return X509_set_issuer_name(x, name) == 1 &&
           X509_sign(x, by->key, digest_for(by->algorithm)) > 0;
}

/* --- files --- */

static pst_err join(char out[PATH_CAP], const char *dir, const char *name, const char *suffix,
                    struct pst_why *why)
{
    if (snprintf(out, PATH_CAP, "%s/%s%s", dir, name, suffix) >= PATH_CAP - 8) {
        return pst_why_fail(why, PST_ERR_ARGUMENT, "%s: the path is too long", dir);
    }
    return PST_OK;
}

static pst_err write_bio(const char *path, unsigned mode, BIO *bio, bool force, struct pst_why *why)
{
    char *at;
    long len = BIO_get_mem_data(bio, &at);

    return pst_file_write(path, mode, at, (size_t)len, force, why);
}

static pst_err write_key(const char *path, EVP_PKEY *key, bool force, struct pst_why *why)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    pst_err err = bio != NULL && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL)
                      ? write_bio(path, 0600, bio, force, why)
                      : library_failed(why, path);

    BIO_free(bio); /* wipes it: a BIO for secrets */
    return err;
}

static pst_err write_chain(const char *path, X509 *root, X509 *leaf, bool force,
                           struct pst_why *why)
{
    BIO *bio = BIO_new(BIO_s_mem());
    bool ok = bio != NULL && PEM_write_bio_X509(bio, root) == 1 &&
              (leaf == NULL || PEM_write_bio_X509(bio, leaf) == 1);
    pst_err err = ok ? write_bio(path, 0644, bio, force, why) : library_failed(why, path);

    BIO_free(bio);
    return err;
}

/* Writes both files of an identity, or none. */
static pst_err write_pair(const char *key_path, const char *chain_path, EVP_PKEY *key, X509 *root,
                          X509 *leaf, bool force, struct pst_why *why)
{
    PST_TRY(write_key(key_path, key, force, why));
    pst_err err = write_chain(chain_path, root, leaf, force, why);
    if (err != PST_OK && !force) {
        unlink(key_path);
    }
    return err;
}

static pst_err refuse_existing(const char *path, bool force, struct pst_why *why)
{
    if (force || access(path, F_OK) != 0) {
        return PST_OK;
    }
    return pst_why_fail(why, PST_ERR_IO, "%s: exists already; use --force to replace it", path);
}

/* --- roots --- */

struct root_spec {
    const char *file, *title;
};
static const struct root_spec roots[] = {
    {"devices",   "Postern device CA"  },
    {"engineers", "Postern engineer CA"},
};

static X509 *make_root(const char *title, EVP_PKEY *key, const struct pst_pki_options *options)
{
    const struct issuer self = {NULL, key, options->algorithm};
    uint8_t random[4];
    char name[64];

    if (RAND_bytes(random, sizeof random) != 1) {
        return NULL;
    }
    snprintf(name, sizeof name, "%s %02x%02x%02x%02x", title, random[0], random[1], random[2],
             random[3]);
    X509 *x = begin(name, key, options->days == 0 ? ROOT_DAYS : options->days);
    if (x != NULL && add_value(x, NID_basic_constraints, "critical,CA:TRUE,pathlen:1") &&
        add_value(x, NID_key_usage, "critical,keyCertSign,cRLSign") &&
        add_value(x, NID_subject_key_identifier, "hash") && sign(x, &self)) {
        return x;
    }
    X509_free(x);
    return NULL;
}

static pst_err init_root(const char *dir, const struct root_spec *spec,
                         const struct pst_pki_options *options, struct pst_why *why)
{
    char key_path[PATH_CAP], pem_path[PATH_CAP];

    PST_TRY(join(key_path, dir, spec->file, ".key", why));
    PST_TRY(join(pem_path, dir, spec->file, ".pem", why));
    EVP_PKEY *key = generate(options->algorithm);
    X509 *x = key == NULL ? NULL : make_root(spec->title, key, options);
    pst_err err = x == NULL ? library_failed(why, "making a root certificate")
                            : write_pair(key_path, pem_path, key, x, NULL, options->force, why);
    X509_free(x);
    EVP_PKEY_free(key);
    return err;
}

static pst_err check_days(uint32_t days, struct pst_why *why)
{
    if (days > 36500) {
        return pst_why_fail(why, PST_ERR_ARGUMENT, "%lu days: expected at most 36500",
                            (unsigned long)days);
    }
    return PST_OK;
}

pst_err pst_pki_init(const char *dir, const struct pst_pki_options *options, char *text, size_t cap)
{
    struct pst_why why = {text, cap};
    char path[PATH_CAP];

    PST_TRY(check_days(options->days, &why));
    PST_TRY(pst_directory_make(dir, &why));
    for (size_t i = 0; i < 2; i++) {
        PST_TRY(join(path, dir, roots[i].file, ".key", &why));
        PST_TRY(refuse_existing(path, options->force, &why));
        PST_TRY(join(path, dir, roots[i].file, ".pem", &why));
        PST_TRY(refuse_existing(path, options->force, &why));
    }
    for (size_t i = 0; i < 2; i++) {
        PST_TRY(init_root(dir, &roots[i], options, &why));
    }
    return PST_OK;
}

/* --- leaves --- */

struct leaf_spec {
    const char *ca; /* "devices" or "engineers" */
    const char *common_name;
    const char *device, *grant, *usage;
    uint32_t default_days;
};

static pst_err load_issuer(struct issuer *by, const char *dir, const char *name,
                           struct pst_why *why)
{
    char path[PATH_CAP];

    PST_TRY(join(path, dir, name, ".pem", why));
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return pst_why_fail(why, PST_ERR_IO, "%s: %s", path, strerror(errno));
    }
    by->certificate = PEM_read_X509(f, NULL, NULL, NULL);
    fclose(f);
    if (by->certificate == NULL) {
        return pst_why_fail(why, PST_ERR_CERT, "%s: no PEM certificate in it", path);
    }
    PST_TRY(join(path, dir, name, ".key", why));
    PST_TRY(pst_keyfile_read(path, &by->key, &by->algorithm, why));
    if (X509_check_private_key(by->certificate, by->key) != 1) {
        return pst_why_fail(why, PST_ERR_CERT, "%s: does not belong to %s.pem beside it", path,
                            name);
    }
    return PST_OK;
}

/* Returns the whole days until the CA expires. A leaf that is valid longer could not be verified.
 */
static pst_err choose_days(const struct issuer *by, uint32_t asked, uint32_t usual, uint32_t *days,
                           struct pst_why *why)
{
    int left, seconds;

    PST_TRY(check_days(asked, why));
    if (ASN1_TIME_diff(&left, &seconds, NULL, X509_get0_notAfter(by->certificate)) != 1 ||
        left < 1) {
        return pst_why_fail(why, PST_ERR_CERT, "the CA has ended, or ends within a day");
    }
    if (asked > (uint32_t)left) {
        return pst_why_fail(why, PST_ERR_ARGUMENT,
                            "%lu days: the CA itself has only %d left, expected at most that",
                            (unsigned long)asked, left);
    }
    *days = asked != 0 ? asked : usual < (uint32_t)left ? usual : (uint32_t)left;
    return PST_OK;
}

static X509 *make_leaf(const struct issuer *by, const struct leaf_spec *spec, EVP_PKEY *key,
                       uint32_t days)
{
    X509 *x = begin(spec->common_name, key, days);
    bool ok =
        x != NULL && add_value(x, NID_basic_constraints, "critical,CA:FALSE") &&
        add_value(x, NID_key_usage, "critical,digitalSignature") &&
        add_value(x, NID_ext_key_usage, spec->usage) &&
        add_value(x, NID_subject_key_identifier, "hash") && add_authority(x, by->certificate) &&
        (spec->device == NULL || (add_device_id(x, spec->device) && add_hardware_identity(x))) &&
        (spec->grant == NULL || add_grant(x, spec->grant)) && sign(x, by);

    if (ok) {
        return x;
    }
    X509_free(x);
    return NULL;
}

static void keep_broken(void *ctx, const struct pst_chain_entry *entry,
                        const struct pst_cert_refusal *refusal)
{
    struct pst_cert_refusal *first = ctx;

    (void)entry;
    if (first->rule == NULL) {
        *first = *refusal;
    }
}

/* Issues no certificate that the verifier would refuse. */
static pst_err judge(X509 *root, X509 *leaf, const struct leaf_spec *spec, struct pst_why *why)
{
    struct pst_cert_refusal first = {.rule = NULL};
    const struct pst_chain_visitor visitor = {.ctx = &first, .broken = keep_broken};
    const pst_role role = spec->device != NULL ? PST_ROLE_RESPONDER : PST_ROLE_REQUESTER;
    const int root_len = i2d_X509(root, NULL), leaf_len = i2d_X509(leaf, NULL);
    uint8_t *chain = NULL, *at;
    char text[PST_MAX_REFUSAL];
    pst_err err = PST_ERR_CRYPTO;

    if (root_len > 0 && leaf_len > 0) {
        chain = at = malloc((size_t)root_len + (size_t)leaf_len);
    }
    if (chain != NULL && i2d_X509(root, &at) > 0 && i2d_X509(leaf, &at) > 0) {
        err = pst_chain_walk(chain, (size_t)root_len + (size_t)leaf_len, role, 0, &visitor);
    }
    free(chain);
    if (first.rule == NULL) {
        return err == PST_OK ? PST_OK : library_failed(why, "checking a certificate");
    }
    pst_cert_refusal_text(&first, text, sizeof text);
    return pst_why_fail(why, PST_ERR_ARGUMENT, "'%s': verifiers would refuse this chain: %s",
                        spec->common_name, text);
}

static pst_err issue_with(const struct issuer *by, const struct leaf_spec *spec,
                          const char *out_dir, const struct pst_pki_options *options,
                          struct pst_why *why)
{
    char key_path[PATH_CAP], chain_path[PATH_CAP];
    uint32_t days = 0;

    PST_TRY(join(key_path, out_dir, "key", ".pem", why));
    PST_TRY(join(chain_path, out_dir, "chain", ".pem", why));
    PST_TRY(choose_days(by, options->days, spec->default_days, &days, why));
    PST_TRY(refuse_existing(key_path, options->force, why));
    PST_TRY(refuse_existing(chain_path, options->force, why));
    EVP_PKEY *key = generate(options->algorithm);
    X509 *x = key == NULL ? NULL : make_leaf(by, spec, key, days);
    pst_err err = x == NULL ? library_failed(why, "making a certificate")
                            : judge(by->certificate, x, spec, why);
    if (err == PST_OK) {
        err = pst_directory_make(out_dir, why);
    }
    if (err == PST_OK) {
        err = write_pair(key_path, chain_path, key, by->certificate, x, options->force, why);
    }
    X509_free(x);
    EVP_PKEY_free(key);
    return err;
}

static pst_err issue(const char *ca_dir, const struct leaf_spec *spec, const char *out_dir,
                     const struct pst_pki_options *options, struct pst_why *why)
{
    struct issuer by = {0};
    pst_err err = load_issuer(&by, ca_dir, spec->ca, why);

    if (err == PST_OK) {
        err = issue_with(&by, spec, out_dir, options, why);
    }
    X509_free(by.certificate);
    EVP_PKEY_free(by.key);
    return err;
}

static bool is_printable(const char *s)
{
    for (; *s != '\0'; s++) {
        if ((unsigned char)*s < 0x20 || *s == 0x7F) {
            return false;
        }
    }
    return true;
}

pst_err pst_pki_target(const char *ca_dir, const char *id, const char *out_dir,
                       const struct pst_pki_options *options, char *text, size_t cap)
{
    struct pst_why why = {text, cap};

    if (strlen(id) >= PST_MAX_NAME || !is_printable(id) || !pst_is_device_id(id)) {
        return pst_why_fail(&why, PST_ERR_ARGUMENT,
                            "'%s': expected Manufacturer:Product:Serial, at most %d bytes", id,
                            PST_MAX_NAME - 1);
    }
    const struct leaf_spec spec = {
        .ca = "devices",
        /* X.520 limits the length of a common name; the full id is in subjectAltName */
        .common_name = strlen(id) <= 64 ? id : strrchr(id, ':') + 1,
        .device = id,
        .usage = PST_OID_RESPONDER_AUTH,
        .default_days = DEVICE_DAYS,
    };
    return issue(ca_dir, &spec, out_dir, options, &why);
}

pst_err pst_pki_engineer(const char *ca_dir, const char *name, const char *grant,
                         const char *out_dir, const struct pst_pki_options *options, char *text,
                         size_t cap)
{
    struct pst_why why = {text, cap};

    if (name[0] == '\0' || strlen(name) > 64 || !is_printable(name)) {
        return pst_why_fail(&why, PST_ERR_ARGUMENT,
                            "'%s': expected a name of 1 to 64 printable bytes", name);
    }
    if (grant[0] == '\0' || strlen(grant) > PST_MAX_GRANT || !is_printable(grant)) {
        return pst_why_fail(&why, PST_ERR_ARGUMENT,
                            "'%s': expected a grant of 1 to %d printable bytes", grant,
                            PST_MAX_GRANT);
    }
    const struct leaf_spec spec = {
        .ca = "engineers",
        .common_name = name,
        .grant = grant,
        .usage = PST_OID_REQUESTER_AUTH,
        .default_days = ENGINEER_DAYS,
    };
    return issue(ca_dir, &spec, out_dir, options, &why);
}
