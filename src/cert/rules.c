/* The rules that a certificate must keep, one row each. The verifier stops at the first that is
 * broken; lint lists them all. */
#include "cert/facts.h"

#include <string.h>

struct rule {
    unsigned positions; /* all of these must be asked for */
    int role;           /* a pst_role, or BOTH */
    const char *field;
    const char *broken;
    bool (*holds)(const struct pst_certificate *c, const struct pst_rule_context *context);
};

#define BOTH (-1)
#define RULE(name)                                                                                 \
    static bool name(const struct pst_certificate *c, const struct pst_rule_context *context)

RULE(is_v3)
{
    (void)context;
    return c->v3;
}

RULE(serial_is_positive)
{
    (void)context;
    return c->serial_positive;
}

RULE(algorithms_agree)
{
    (void)context;
    return c->algorithms_agree;
}

RULE(has_issuer)
{
    (void)context;
    return c->issuer.len > 2;
}

RULE(has_subject)
{
    (void)context;
    return c->subject.len > 2;
}

RULE(key_is_usable)
{
    (void)context;
    return c->sig_id != PST_SIG_NONE;
}

RULE(dates_are_readable)
{
    (void)context;
    return c->dates_readable;
}

RULE(has_begun)
{
    return context->now == 0 || !c->dates_readable || c->not_before <= context->now;
}

RULE(has_not_ended)
{
    return context->now == 0 || !c->dates_readable || context->now <= c->not_after;
}

RULE(extensions_are_sound)
{
    (void)context;
    return !c->bad_extension;
}

RULE(no_unknown_critical)
{
    (void)context;
    return !c->unknown_critical;
}

RULE(is_ca)
{
    (void)context;
    return c->is_ca;
}

/* Without the extension RFC 5280 allows every use; our profile asks for it. */
static bool may(const struct pst_certificate *c, const struct pst_rule_context *context,
                uint8_t usage)
{
    return c->has_key_usage ? (c->key_usage & usage) != 0
                            : (context->positions & PST_RULES_STRICT) == 0;
}

RULE(may_sign_certificates)
{
    return may(c, context, PST_USAGE_CERT);
}

RULE(basic_is_critical)
{
    (void)context;
    return c->basic_critical;
}

RULE(path_suffices)
{
    (void)c;
    return context->path_left != 0;
}

RULE(is_issued_by_name)
{
    uint8_t digest[32];

    return pst_hash_once(context->crypto, PST_SHA256, c->issuer.at, c->issuer.len, digest) ==
               PST_OK &&
           memcmp(digest, context->issuer->subject, sizeof digest) == 0;
}

/* Either may be absent. */
RULE(is_issued_by_key)
{
    uint8_t digest[32];

    return c->issuer_id.len == 0 || !context->issuer->has_key_id ||
           (pst_hash_once(context->crypto, PST_SHA256, c->issuer_id.at, c->issuer_id.len, digest) ==
                PST_OK &&
            memcmp(digest, context->issuer->key_id, sizeof digest) == 0);
}

/* A root signs itself. Nobody verifies that signature: the root is trusted byte for byte. */
RULE(is_its_own)
{
    (void)context;
    return psti_der_same(c->issuer, c->subject);
}

RULE(has_its_own_key_id)
{
    (void)context;
    return c->issuer_id.len == 0 || c->key_id.len == 0 || psti_der_same(c->issuer_id, c->key_id);
}

RULE(fits_its_own_key)
{
    (void)context;
    return (c->signed_by == PST_SIGNED_ED25519) == (c->sig_id == PST_ED25519);
}

RULE(is_not_its_own)
{
    return !is_its_own(c, context);
}

RULE(is_known_signature)
{
    (void)context;
    return c->signed_by != PST_SIGNED_UNKNOWN;
}

RULE(issues_or_may_not)
{
    (void)context;
    return c->is_ca || !c->has_key_usage || (c->key_usage & PST_USAGE_CERT) == 0;
}

RULE(is_not_ca)
{
    (void)context;
    return !c->is_ca;
}

RULE(has_basic_constraints)
{
    (void)context;
    return c->has_basic;
}

RULE(may_sign)
{
    (void)context;
    return may(c, context, PST_USAGE_SIGN);
}

RULE(has_requester_usage)
{
    (void)context;
    return c->eku_requester;
}

RULE(has_no_requester_usage)
{
    (void)context;
    return !c->eku_requester;
}

RULE(is_not_only_for_requesters)
{
    (void)context;
    return !c->eku_requester || c->eku_responder || c->eku_other;
}

RULE(has_responder_usage)
{
    (void)context;
    return c->eku_responder;
}

RULE(device_id_is_sound)
{
    (void)context;
    return !c->bad_device;
}

RULE(has_device_id)
{
    (void)context;
    return c->device.len > 0;
}

RULE(has_hardware_identity)
{
    (void)context;
    return c->hardware_identity;
}

RULE(name_is_sound)
{
    (void)context;
    return !c->bad_name;
}

RULE(has_name)
{
    (void)context;
    return c->name.len > 0;
}

RULE(grant_is_sound)
{
    (void)context;
    return !c->bad_grant;
}

RULE(has_grant)
{
    (void)context;
    return c->grant.len > 0;
}

#define ANY PST_RULES_ANY
#define ROOT PST_RULES_ROOT
#define ISSUED PST_RULES_ISSUED
#define ISSUER PST_RULES_ISSUER
#define LEAF PST_RULES_LEAF
#define STRICT PST_RULES_STRICT
#define PROFILE PST_RULES_PROFILE
#define REQUESTER PST_ROLE_REQUESTER
#define RESPONDER PST_ROLE_RESPONDER

/* clang-format off */
static const struct rule rules[] = {
    {ANY, BOTH, "version", "is not 3", is_v3},
    {ANY, BOTH, "serialNumber", "is not positive", serial_is_positive},
    {ANY, BOTH, "signatureAlgorithm", "differs inside and outside", algorithms_agree},
    {ANY, BOTH, "signatureAlgorithm", "is none of ECDSA with SHA-256 or SHA-384, Ed25519", is_known_signature},
    {ANY, BOTH, "issuer", "is empty", has_issuer},
    {ANY, BOTH, "subject", "is empty", has_subject},
    {ANY, BOTH, "subjectPublicKeyInfo", "is none of ECDSA P-256, ECDSA P-384, Ed25519", key_is_usable},
    {ANY, BOTH, "validity", "cannot be read", dates_are_readable},
    {ANY, BOTH, "validity", "has not begun (notBefore)", has_begun},
    {ANY, BOTH, "validity", "has ended (notAfter)", has_not_ended},
    {ANY, BOTH, "extensions", "one is malformed, or there twice", extensions_are_sound},
    {ANY, BOTH, "extensions", "one that is unknown or not supported must not be ignored", no_unknown_critical},
    {ISSUER, BOTH, "basicConstraints", "is not a CA, yet issues", is_ca},
    {ISSUER | STRICT, BOTH, "basicConstraints", "is not critical in a CA", basic_is_critical},
    {ISSUER, BOTH, "keyUsage", "keyCertSign is missing, yet issues", may_sign_certificates},
    {ISSUER | ISSUED, BOTH, "basicConstraints", "pathLenConstraint of a CA above is exceeded", path_suffices},
    {ISSUED, BOTH, "issuer", "is not the subject of the certificate before", is_issued_by_name},
    {ROOT, BOTH, "issuer", "of the root is not itself", is_its_own},
    {ROOT, BOTH, "authorityKeyIdentifier", "of the root is not its own key identifier", has_its_own_key_id},
    {ROOT, BOTH, "signatureAlgorithm", "of the root does not fit its key", fits_its_own_key},
    {ISSUED, BOTH, "issuer", "is itself, below the root", is_not_its_own},
    {ISSUED, BOTH, "authorityKeyIdentifier", "is not the key identifier of the certificate before", is_issued_by_key},
    {LEAF, BOTH, "basicConstraints", "the leaf is a CA", is_not_ca},
    {LEAF, BOTH, "keyUsage", "digitalSignature is missing", may_sign},
    {LEAF | STRICT, BOTH, "keyUsage", "keyCertSign in a certificate that is not a CA", issues_or_may_not},
    {LEAF | STRICT, REQUESTER, "extendedKeyUsage", "SPDM requester authentication is missing", has_requester_usage},
    {LEAF | STRICT, RESPONDER, "extendedKeyUsage", "SPDM requester authentication in a device's leaf", has_no_requester_usage},
    {LEAF, RESPONDER, "extendedKeyUsage", "only for SPDM requesters", is_not_only_for_requesters},
    {LEAF, BOTH, "subjectAltName", "device id is not Manufacturer:Product:Serial", device_id_is_sound},
    {LEAF, BOTH, "subject", "common name unreadable, too long, or there twice", name_is_sound},
    {LEAF, BOTH, "grant", "is not an OCTET STRING of 1 to 512 bytes", grant_is_sound},
    {LEAF | STRICT, BOTH, "basicConstraints", "is missing", has_basic_constraints},
    {LEAF | PROFILE, RESPONDER, "extendedKeyUsage", "SPDM responder authentication is missing", has_responder_usage},
    {LEAF | PROFILE, RESPONDER, "subjectAltName", "device id is missing", has_device_id},
    {LEAF | PROFILE, RESPONDER, "spdmExtension", "hardware identity is missing", has_hardware_identity},
    {LEAF | PROFILE, REQUESTER, "subject", "common name is missing", has_name},
    {LEAF | PROFILE, REQUESTER, "grant", "is missing: it grants nothing", has_grant},
};
/* clang-format on */

bool pst_certificate_broken(const struct pst_certificate *c, const struct pst_rule_context *context,
                            size_t *from, struct pst_broken_rule *broken)
{
    for (size_t i = *from; i < sizeof rules / sizeof rules[0]; i++) {
        const struct rule *r = &rules[i];
        bool applies = (r->positions & ~context->positions) == 0 &&
                       (r->role == BOTH || r->role == (int)context->role);
        if (applies && !r->holds(c, context)) {
            *from = i + 1;
            *broken = (struct pst_broken_rule){r->field, r->broken};
            return true;
        }
    }
    *from = sizeof rules / sizeof rules[0];
    return false;
}

pst_err pst_cert_issuer_of(struct pst_cert_issuer *issuer, const struct pst_certificate *c,
                           const struct pst_crypto *crypto)
{
    issuer->has_key_id = c->key_id.len > 0;
    PST_TRY(pst_hash_once(crypto, PST_SHA256, c->key_id.at, c->key_id.len, issuer->key_id));
    return pst_hash_once(crypto, PST_SHA256, c->subject.at, c->subject.len, issuer->subject);
}

/* RFC 5280, 6.1.4 (l) and (m) */
int32_t pst_certificate_path(const struct pst_certificate *c, int32_t path_left, bool below)
{
    if (below && path_left > 0) {
        path_left--;
    }
    return c->path_len >= 0 && (path_left < 0 || c->path_len < path_left) ? c->path_len : path_left;
}
