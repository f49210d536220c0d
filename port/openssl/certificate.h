/* One X.509 certificate, reduced to what Postern's rules ask about.
 *
 * OpenSSL's X509 object decodes the public key through its decoder framework, which takes longer
 * than verifying a signature with it. Here the certificate is described to OpenSSL's ASN.1 decoder
 * with the key left as a bit string, and everything that a rule looks at is taken out once.
 */
#ifndef POSTERN_OPENSSL_CERTIFICATE_H
#define POSTERN_OPENSSL_CERTIFICATE_H

#include "internal.h"

#include <openssl/x509.h>

#include "postern/cert.h"

#define PST_MAX_CERT (16 * 1024) /* bytes of one certificate */

/* DMTF's object identifiers (spec: DSP0274, certificates, object identifiers) */
#define PST_OID_DEVICE_INFO "1.3.6.1.4.1.412.274.1"
#define PST_OID_HARDWARE_IDENTITY "1.3.6.1.4.1.412.274.2"
#define PST_OID_RESPONDER_AUTH "1.3.6.1.4.1.412.274.3"
#define PST_OID_REQUESTER_AUTH "1.3.6.1.4.1.412.274.4"
#define PST_OID_MUTABLE "1.3.6.1.4.1.412.274.5"
#define PST_OID_SPDM_EXTENSION "1.3.6.1.4.1.412.274.6"

struct pst_certificate {
    void *asn1;                     /* owned */
    const X509_NAME *subject;       /* inside asn1 */
    const X509_NAME *issuer;        /* inside asn1 */
    struct pst_public_key key;      /* owned; sig_id 0: a kind that Postern does not use */
    uint64_t not_before, not_after; /* seconds since 1970 */
    uint32_t key_usage;             /* X509v3_KU_*; all ones when absent */
    int32_t path_len;               /* -1: no constraint */
    char device[PST_MAX_NAME];      /* "" when absent */
    char name[PST_MAX_NAME];        /* common name */
    uint8_t grant[PST_MAX_GRANT];
    uint16_t grant_len;
    char unknown_critical[64]; /* OID of an extension that must not be ignored; "" for none */
    bool v3, serial_positive, algorithms_agree, dates_readable;
    bool has_basic, is_ca, has_key_usage, has_eku, eku_requester, eku_responder, eku_other;
    bool hardware_identity, bad_extension, bad_device, bad_name, bad_grant;
};

/* How long the DER value at `at` is, by its header. PST_WANT_MORE: the header is not whole;
 * PST_ERR_DECODE: not a SEQUENCE of definite length up to PST_MAX_CERT. */
pst_err pst_der_extent(const uint8_t *at, size_t len, size_t *head, size_t *total);

/* Decodes exactly `len` bytes. PST_ERR_DECODE: not a certificate. Free with _free. */
pst_err pst_certificate_parse(struct pst_certificate *c, const uint8_t *der, size_t len);
void pst_certificate_free(struct pst_certificate *c);

/* Is `der`, from which `c` was parsed, signed by `issuer`? */
bool pst_certificate_signed_by(const struct pst_certificate *c, const uint8_t *der, size_t len,
                               const struct pst_public_key *issuer);

/* Manufacturer:Product:Serial, three parts that are not empty? */
bool pst_is_device_id(const char *id);

/* What the rules need besides the certificate. */
struct pst_rule_context {
    pst_role role;
    uint64_t now;       /* 0: unknown */
    unsigned positions; /* which rules apply: PST_RULES_* */
};
#define PST_RULES_ANY 1u
#define PST_RULES_ISSUER 2u
#define PST_RULES_LEAF 4u
#define PST_RULES_STRICT 8u   /* what a sample certificate of others may not keep */
#define PST_RULES_PROFILE 16u /* what our own certificates keep, and only lint asks for */

struct pst_broken_rule {
    const char *field; /* "keyUsage" */
    const char *rule;  /* "digitalSignature is missing" */
};
/* The rules that `c` breaks, from number `*from` on; false when there is no more. `*from` starts
 * at 0 and is advanced past the one found. */
bool pst_certificate_broken(const struct pst_certificate *c, const struct pst_rule_context *context,
                            size_t *from, struct pst_broken_rule *broken);

#endif
