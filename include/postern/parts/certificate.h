/* One X.509 certificate: the facts in it, and the rules that it must keep.
 *
 * A certificate is decoded once, strictly as DER, into a small struct of facts; whatever is
 * variable in size stays where it is and is pointed to. The rules (src/cert/rules.c) are rows of
 * one table over these facts. The verifier of cert.h stops at the first rule that is broken; a
 * checker for people lists them all.
 *
 * What is stricter than RFC 5280 or than other implementations, and why:
 *   - forms that DER forbids are errors, also where a signature covers them: one certificate has
 *     one encoding;
 *   - names are compared byte for byte (RFC 5280, 4.1.2.6, asks CAs to copy them so);
 *   - a name constraint, a proxy certificate or a list of addresses restricts what a certificate is
 *     good for; since they are not implemented they are refused even when not critical;
 *   - a subjectAltName has no x400Address and no ediPartyName, an authority key identifier only a
 *     key identifier, and there are no unique identifiers: nobody uses them, so nothing parses
 * them;
 *   - signatures are ECDSA with SHA-256 or SHA-384, or Ed25519, without algorithm parameters;
 *   - a leaf has basicConstraints, which SPDM 1.3 demands: a certificate is made before its device
 *     knows which version will be spoken;
 *   - names hold no characters that change the direction of writing or separate lines: people and
 *     logs would read another name;
 *   - a trust anchor is a root: it is its own issuer, also where it is trusted byte for byte;
 *   - below the root no certificate has its own subject as issuer: a CA that rolls its key over
 *     takes another name, and no verifier has to guess which of two the issuer is.
 */
#ifndef POSTERN_PARTS_CERTIFICATE_H
#define POSTERN_PARTS_CERTIFICATE_H

#include "postern/crypto.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_MAX_NAME 96   /* bytes of a device id or an engineer's name, NUL included */
#define PST_MAX_GRANT 512 /* bytes of the grant extension */

typedef enum {
    PST_ROLE_REQUESTER, /* an engineer: the DTS */
    PST_ROLE_RESPONDER, /* a device: the TS */
} pst_role;

/* DMTF's object identifiers (spec: DSP0274, certificates, object identifiers) as the contents of a
 * DER OBJECT IDENTIFIER: 1.3.6.1.4.1.412.274.N. */
#define PST_OID_DMTF(n) 0x2B, 0x06, 0x01, 0x04, 0x01, 0x83, 0x1C, 0x82, 0x12, (n)
enum {
    PST_DMTF_DEVICE_INFO = 1,
    PST_DMTF_HARDWARE_IDENTITY = 2,
    PST_DMTF_RESPONDER_AUTH = 3,
    PST_DMTF_REQUESTER_AUTH = 4,
    PST_DMTF_SPDM_EXTENSION = 6,
};

#define PST_USAGE_SIGN 0x80 /* keyUsage: digitalSignature */
#define PST_USAGE_CERT 0x04 /* keyUsage: keyCertSign */

/* What signed it. */
typedef enum { PST_SIGNED_UNKNOWN, PST_SIGNED_ECDSA, PST_SIGNED_ED25519 } pst_signed;

/* Bytes alias what was parsed. */
struct pst_certificate {
    struct pst_bytes der;       /* all of it */
    struct pst_bytes tbs;       /* what the signature covers */
    struct pst_bytes subject;   /* Name with its header */
    struct pst_bytes issuer;    /* Name with its header */
    struct pst_bytes key;       /* X ‖ Y, or 32 bytes; empty: a kind that Postern does not use */
    struct pst_bytes signature; /* DER SEQUENCE of r and s, or 64 bytes */
    struct pst_bytes name;      /* common name, of string type name_tag; empty when absent */
    struct pst_bytes device;    /* UTF-8 Manufacturer:Product:Serial; empty when absent */
    struct pst_bytes grant;     /* text of the grant; empty when absent */
    struct pst_bytes key_id;    /* subject key identifier; empty when absent */
    struct pst_bytes issuer_id; /* authority key identifier; empty when absent */
    uint64_t not_before;        /* seconds since 1970 */
    uint64_t not_after;         /* seconds since 1970 */
    int32_t path_len;           /* -1: no constraint */
    uint8_t sig_id;             /* pst_sig_id of `key`; 0 when it is empty */
    uint8_t signed_by;          /* pst_signed */
    uint8_t signed_hash;        /* pst_hash_id; 0 with Ed25519 */
    uint8_t name_tag;
    uint8_t key_usage; /* first byte of the bits; valid with has_key_usage */
    bool v3, serial_positive, algorithms_agree, dates_readable;
    bool has_basic, basic_critical, is_ca, has_key_usage;
    bool has_eku, eku_requester, eku_responder, eku_other, hardware_identity;
    bool unknown_critical; /* an extension that must not be ignored */
    bool bad_extension;    /* malformed, or there twice */
    bool bad_device, bad_name, bad_grant;
};

/* How long the certificate at `at` is, by its header. PST_WANT_MORE: the header is not whole (it
 * has at most four bytes); PST_ERR_DECODE: not a SEQUENCE of definite, shortest length below 64
 * KiB. */
PST_MUST_CHECK pst_err pst_certificate_extent(const uint8_t *at, size_t len, size_t *total);

/* Decodes exactly `len` bytes, which stay in place as long as `c` is used. PST_ERR_DECODE: not a
 * certificate. What is wrong inside an extension is a fact that a rule asks about. */
PST_MUST_CHECK pst_err pst_certificate_parse(struct pst_certificate *c, const uint8_t *der,
                                             size_t len);

/* The common name and the device id as text; "" when absent or not fit to be shown. */
void pst_certificate_name(const struct pst_certificate *c, char out[PST_MAX_NAME]);
void pst_certificate_device(const struct pst_certificate *c, char out[PST_MAX_NAME]);
/* Manufacturer:Product:Serial, three parts that are not empty? */
bool pst_is_device_id(const char *id);

/* Did `issuer` sign it? `raw` is memory for the signature in SPDM's form. PST_PENDING comes from
 * the port: ask again. PST_ERR_AUTH: no. PST_ERR_ALGORITHM: it is signed in a way that Postern does
 * not use. */
PST_MUST_CHECK pst_err pst_certificate_verify(const struct pst_certificate *c,
                                              const struct pst_crypto *crypto,
                                              const struct pst_public_key *issuer,
                                              uint8_t raw[PST_MAX_SIGNATURE]);

/* What the rules need to know of the certificate above; `key` is not a rule's business. */
struct pst_cert_issuer {
    uint8_t subject[32]; /* SHA-256 of its Name */
    uint8_t key_id[32];  /* SHA-256 of its subject key identifier */
    bool has_key_id;
};
PST_MUST_CHECK pst_err pst_cert_issuer_of(struct pst_cert_issuer *issuer,
                                          const struct pst_certificate *c,
                                          const struct pst_crypto *crypto);

struct pst_rule_context {
    pst_role role;
    uint64_t now;       /* 0: unknown */
    unsigned positions; /* which rules apply: PST_RULES_* */
    int32_t path_left;  /* CAs that may still stand below the ones above; -1: any number */
    const struct pst_cert_issuer *issuer; /* for PST_RULES_ISSUED */
    const struct pst_crypto *crypto;      /* for PST_RULES_ISSUED: SHA-256 */
};
#define PST_RULES_ANY 1u
#define PST_RULES_ROOT 2u     /* the first of a chain */
#define PST_RULES_ISSUED 4u   /* below another certificate */
#define PST_RULES_ISSUER 8u   /* issues another certificate */
#define PST_RULES_LEAF 16u    /* the last of a chain */
#define PST_RULES_STRICT 32u  /* what a sample certificate of others may not keep */
#define PST_RULES_PROFILE 64u /* what our own certificates keep, and only lint asks for */

struct pst_broken_rule {
    const char *field; /* "keyUsage" */
    const char *rule;  /* "digitalSignature is missing" */
};
/* The rules that `c` breaks, from number `*from` on; false when there is no more. `*from` starts
 * at 0 and is advanced past the one found. */
bool pst_certificate_broken(const struct pst_certificate *c, const struct pst_rule_context *context,
                            size_t *from, struct pst_broken_rule *broken);
/* The path length that is left below `c`, a CA that stands `below` another or is the root. */
int32_t pst_certificate_path(const struct pst_certificate *c, int32_t path_left, bool below);

/* Why a chain was refused, for people and the log. `rule` NULL: nothing was refused. */
struct pst_cert_refusal {
    const char *field; /* "keyUsage", or NULL: it is about the certificate or chain as a whole */
    const char *rule;  /* "digitalSignature is missing" */
    uint32_t limit;    /* bytes, when a size was exceeded; else 0 */
    uint16_t index;    /* of the certificate; 0: the first, the root */
};
#define PST_MAX_REFUSAL 112 /* bytes that any text of one needs, NUL included */
/* "certificate 2: keyUsage: digitalSignature is missing"; cut to `cap` bytes with the NUL. "" when
 * nothing was refused. */
void pst_cert_refusal_text(const struct pst_cert_refusal *refusal, char *out, size_t cap);

#ifdef __cplusplus
}
#endif

#endif
