/* RFC 5280, 4.1: the certificate around its extensions. */
#include "cert/facts.h"

#include <string.h>

static const uint8_t oid_ed25519[] = {0x2B, 0x65, 0x70};
static const uint8_t oid_ec_key[] = {0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01};
static const uint8_t oid_p256[] = {0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07};
static const uint8_t oid_p384[] = {0x2B, 0x81, 0x04, 0x00, 0x22};
static const uint8_t oid_ecdsa_sha256[] = {0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02};
static const uint8_t oid_ecdsa_sha384[] = {0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x03};

pst_err pst_certificate_extent(const uint8_t *at, size_t len, size_t *total)
{
    if (len > 0 && at[0] != DER_SEQUENCE) {
        return PST_ERR_DECODE;
    }
    if (len > 1 && (at[1] == 0x80 || at[1] > 0x82)) {
        return PST_ERR_DECODE;
    }
    if (len < 2 || (at[1] == 0x81 && len < 3) || (at[1] == 0x82 && len < 4)) {
        return PST_WANT_MORE;
    }
    size_t head = at[1] < 0x80 ? 2 : at[1] == 0x81 ? 3 : 4;
    size_t body = head == 2 ? at[1] : head == 3 ? at[2] : (size_t)at[2] << 8 | at[3];
    if ((head == 3 && body < 0x80) || (head == 4 && body < 0x100)) {
        return PST_ERR_DECODE;
    }
    *total = head + body;
    return PST_OK;
}

/* --- algorithms and keys --- */

/* An AlgorithmIdentifier; `parameters` is empty when there are none. */
static struct pst_bytes get_algorithm(struct pst_reader *r, uint8_t *tag,
                                      struct pst_bytes *parameters)
{
    struct pst_reader in = psti_der_enter(r, DER_SEQUENCE);
    struct pst_bytes oid = psti_der_oid(&in);

    *tag = 0;
    *parameters = (struct pst_bytes){0};
    if (pst_reader_ok(&in) && in.left > 0) {
        *parameters = psti_der_any(&in, tag);
    }
    psti_der_leave(r, &in);
    return oid;
}

/* The signature algorithm, which stands in a certificate twice. Parameters are absent in all that
 * are known (RFC 5758, RFC 8410). */
static struct pst_bytes get_signed(struct pst_reader *r, struct pst_certificate *c)
{
    uint8_t tag;
    struct pst_bytes parameters;
    const struct pst_reader before = *r;
    struct pst_bytes oid = get_algorithm(r, &tag, &parameters);

    c->signed_by = PST_SIGNED_UNKNOWN;
    c->signed_hash = PST_HASH_NONE;
    if (tag == 0 && psti_der_is(oid, oid_ed25519)) {
        c->signed_by = PST_SIGNED_ED25519;
    } else if (tag == 0 && psti_der_is(oid, oid_ecdsa_sha256)) {
        c->signed_by = PST_SIGNED_ECDSA;
        c->signed_hash = PST_SHA256;
    } else if (tag == 0 && psti_der_is(oid, oid_ecdsa_sha384)) {
        c->signed_by = PST_SIGNED_ECDSA;
        c->signed_hash = PST_SHA384;
    }
    return (struct pst_bytes){before.at, before.left - r->left};
}

static pst_sig_id key_kind(struct pst_bytes oid, uint8_t tag, struct pst_bytes parameters)
{
    if (psti_der_is(oid, oid_ed25519)) {
        return tag == 0 ? PST_ED25519 : PST_SIG_NONE;
    }
    if (!psti_der_is(oid, oid_ec_key) || tag != DER_OID) {
        return PST_SIG_NONE;
    }
    return psti_der_is(parameters, oid_p256)   ? PST_ECDSA_P256
           : psti_der_is(parameters, oid_p384) ? PST_ECDSA_P384
                                               : PST_SIG_NONE;
}

/* SubjectPublicKeyInfo. Whether the point lies on its curve is for the port to say. */
static void get_key(struct pst_reader *r, struct pst_certificate *c)
{
    struct pst_reader in = psti_der_enter(r, DER_SEQUENCE);
    uint8_t tag;
    struct pst_bytes parameters;
    struct pst_bytes oid = get_algorithm(&in, &tag, &parameters);
    struct pst_bytes bits = psti_der_bytes(&in);
    pst_sig_id id = key_kind(oid, tag, parameters);

    psti_der_leave(r, &in);
    if (id == PST_ED25519 && bits.len == 32) {
        c->key = bits;
    } else if (id != PST_SIG_NONE && id != PST_ED25519 && bits.len == 1u + pst_sig_row(id)->size &&
               bits.at[0] == 0x04) {
        c->key = (struct pst_bytes){bits.at + 1, bits.len - 1};
    }
    c->sig_id = (uint8_t)(c->key.len > 0 ? id : PST_SIG_NONE);
}

/* --- the whole --- */

static bool is_positive(struct pst_bytes integer)
{
    return integer.len > 0 && integer.at[0] < 0x80 && (integer.len > 1 || integer.at[0] > 0);
}

static void get_version(struct pst_reader *r, struct pst_certificate *c)
{
    if (psti_der_peek(r) != DER_EXPLICIT) {
        return;
    }
    struct pst_reader in = psti_der_enter(r, DER_EXPLICIT);
    struct pst_bytes version = psti_der_integer(&in);
    psti_der_leave(r, &in);
    c->v3 = version.len == 1 && version.at[0] == 2;
}

static void get_validity(struct pst_reader *r, struct pst_certificate *c)
{
    struct pst_reader in = psti_der_enter(r, DER_SEQUENCE);
    bool begin = psti_cert_time(&in, &c->not_before);
    bool end = psti_cert_time(&in, &c->not_after);

    psti_der_leave(r, &in);
    c->dates_readable = begin && end;
}

/* TBSCertificate; the bytes of the algorithm in it. */
static struct pst_bytes get_tbs(struct pst_reader *r, struct pst_certificate *c)
{
    struct pst_reader in = psti_der_enter(r, DER_SEQUENCE), at;

    get_version(&in, c);
    c->serial_positive = is_positive(psti_der_integer(&in));
    struct pst_bytes algorithm = get_signed(&in, c);
    at = in;
    psti_cert_name(&in, NULL);
    c->issuer = psti_der_whole(&at, DER_SEQUENCE);
    get_validity(&in, c);
    at = in;
    psti_cert_name(&in, c);
    c->subject = psti_der_whole(&at, DER_SEQUENCE);
    get_key(&in, c);
    if (psti_der_peek(&in) == DER_EXPLICIT + 3) {
        at = psti_der_enter(&in, DER_EXPLICIT + 3);
        psti_cert_extensions(&at, c);
        psti_der_leave(&in, &at);
    }
    psti_der_leave(r, &in);
    return algorithm;
}

pst_err pst_certificate_parse(struct pst_certificate *c, const uint8_t *der, size_t len)
{
    struct pst_reader all = pst_reader_of(der, len);
    struct pst_reader r = psti_der_enter(&all, DER_SEQUENCE);
    struct pst_reader tbs = r;

    memset(c, 0, sizeof *c);
    c->path_len = -1;
    c->der = (struct pst_bytes){der, len};
    struct pst_bytes inner = get_tbs(&r, c);
    c->tbs = psti_der_whole(&tbs, DER_SEQUENCE);
    struct pst_bytes outer = get_signed(&r, c);
    c->algorithms_agree = psti_der_same(inner, outer);
    c->signature = psti_der_bytes(&r);
    psti_der_leave(&all, &r);
    return pst_finish(&all);
}
