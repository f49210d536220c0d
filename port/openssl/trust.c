/* Trust anchors, and the verifier that takes a chain as it streams in. One certificate at a time is
 * held; of the ones before it only the issuer remains. */
#include "certificate.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "openssl_port.h"
#include "pemfile.h"

struct anchor {
    uint8_t *der;
    size_t len;
    struct pst_certificate certificate;
};

struct trust {
    struct anchor *anchors;
    size_t count;
    uint64_t now;
    bool fixed_time, lenient;
    char reason[256];
};

struct check {
    struct trust *trust;
    struct pst_rule_context rules;
    pst_hash_id hash;
    uint8_t root_hash[PST_MAX_HASH];
    uint8_t *buf; /* the certificate that is coming in */
    size_t cap, have;
    size_t fed; /* bytes of the whole chain so far */
    unsigned index;
    int32_t path_left; /* CAs that may still follow; -1: any number */
    const struct anchor *anchor;
    struct pst_certificate last; /* empty while the anchor is the last one */
    uint8_t fingerprint[32];     /* of `last` */
    bool failed;
};

static struct check *check_of(const struct pst_chain_check *c)
{
    return (struct check *)(uintptr_t)c->store[0];
}

/* --- reasons --- */

static void subject_text(const struct pst_certificate *c, char *out, int cap)
{
    /* Escapes what is not printable: the name is the peer's. */
    if (c == NULL || X509_NAME_oneline(c->subject, out, cap) == NULL) {
        snprintf(out, (size_t)cap, "?");
    }
}

static pst_err refuse(struct check *k, const struct pst_certificate *c, const char *field,
                      const char *rule)
{
    char subject[128];

    subject_text(c, subject, sizeof subject);
    snprintf(k->trust->reason, sizeof k->trust->reason, "certificate %u (%s): %s: %s", k->index,
             subject, field, rule);
    k->failed = true;
    return PST_ERR_CERT;
}

static pst_err refuse_chain(struct check *k, const char *rule)
{
    snprintf(k->trust->reason, sizeof k->trust->reason, "certificate %u: %s", k->index, rule);
    k->failed = true;
    return PST_ERR_CERT;
}

/* --- one certificate --- */

static pst_err keep_rules(struct check *k, const struct pst_certificate *c, unsigned positions)
{
    struct pst_rule_context rules = k->rules;
    struct pst_broken_rule broken;
    size_t from = 0;

    rules.positions = positions | (k->trust->lenient ? 0 : PST_RULES_STRICT);
    if (!pst_certificate_broken(c, &rules, &from, &broken)) {
        return PST_OK;
    }
    return refuse(k, c, broken.field, broken.rule);
}

static pst_err on_root(struct check *k, const uint8_t *der, size_t len)
{
    uint8_t digest[PST_MAX_HASH];

    for (size_t i = 0; i < k->trust->count; i++) {
        const struct anchor *a = &k->trust->anchors[i];
        if (a->len == len && memcmp(a->der, der, len) == 0) {
            k->anchor = a;
        }
    }
    if (k->anchor == NULL) {
        return refuse_chain(k, "is none of the trust anchors");
    }
    PST_TRY(pst_ossl_digest(k->hash, der, len, digest));
    if (!pst_equal_ct(digest, k->root_hash, pst_hash_row(k->hash)->size)) {
        return refuse_chain(k, "its hash is not the root hash of the chain's header");
    }
    return keep_rules(k, &k->anchor->certificate, PST_RULES_ANY);
}

static const struct pst_certificate *issuer_of(const struct check *k)
{
    return k->index == 1 ? &k->anchor->certificate : &k->last;
}

/* RFC 5280, 6.1.4 (l) and (m); self-issued certificates count too. */
static bool spend_path(struct check *k, const struct pst_certificate *issuer)
{
    if (k->index > 1) {
        if (k->path_left == 0) {
            return false;
        }
        if (k->path_left > 0) {
            k->path_left--;
        }
    }
    if (issuer->path_len >= 0 && (k->path_left < 0 || issuer->path_len < k->path_left)) {
        k->path_left = issuer->path_len;
    }
    return true;
}

/* The certificate before this one turns out to be an issuer, so it is held to an issuer's rules. */
static pst_err on_issued(struct check *k, const struct pst_certificate *c, const uint8_t *der,
                         size_t len)
{
    const struct pst_certificate *issuer = issuer_of(k);

    k->index--;
    PST_TRY(keep_rules(k, issuer, PST_RULES_ISSUER));
    k->index++;
    if (!spend_path(k, issuer)) {
        return refuse(k, issuer, "basicConstraints", "pathLenConstraint of a CA above is exceeded");
    }
    if (X509_NAME_cmp(c->issuer, issuer->subject) != 0) {
        return refuse(k, c, "issuer", "is not the subject of the certificate before");
    }
    if (!pst_certificate_signed_by(c, der, len, &issuer->key)) {
        return refuse(k, c, "signature", "was not made by the certificate before");
    }
    return keep_rules(k, c, PST_RULES_ANY);
}

static pst_err on_certificate(struct check *k, const uint8_t *der, size_t len)
{
    struct pst_certificate c;

    if (k->index == 0) {
        return on_root(k, der, len);
    }
    if (pst_certificate_parse(&c, der, len) != PST_OK) {
        return refuse_chain(k, "is not an X.509 certificate");
    }
    pst_err err = on_issued(k, &c, der, len);
    if (err == PST_OK) {
        err = pst_ossl_digest(PST_SHA256, der, len, k->fingerprint);
    }
    if (err != PST_OK) {
        k->failed = true;
        pst_certificate_free(&c);
        return err;
    }
    pst_certificate_free(&k->last);
    k->last = c;
    return PST_OK;
}

/* --- the stream --- */

static pst_err verifier_begin(void *ctx, struct pst_chain_check *out, pst_role peer_role,
                              pst_hash_id hash, const uint8_t *root_hash)
{
    struct trust *t = ctx;

    if (pst_hash_row(hash) == NULL) {
        return PST_ERR_ARGUMENT;
    }
    struct check *k = calloc(1, sizeof *k);
    if (k == NULL) {
        return PST_ERR_CRYPTO;
    }
    time_t clock = t->fixed_time ? 0 : time(NULL);
    k->trust = t;
    k->rules.role = peer_role;
    k->rules.now = t->fixed_time ? t->now : clock > 0 ? (uint64_t)clock : 0;
    k->hash = hash;
    k->path_left = -1;
    memcpy(k->root_hash, root_hash, pst_hash_row(hash)->size);
    t->reason[0] = '\0';
    memset(out, 0, sizeof *out);
    out->store[0] = (uint64_t)(uintptr_t)k;
    return PST_OK;
}

/* Room for `total` bytes, which the certificate's header asks for and pst_der_extent has bounded.
 */
static pst_err reserve(struct check *k, size_t total)
{
    if (total <= k->cap) {
        return PST_OK;
    }
    uint8_t *grown = realloc(k->buf, total);
    if (grown == NULL) {
        return PST_ERR_CRYPTO;
    }
    k->buf = grown;
    k->cap = total;
    return PST_OK;
}

/* Moves bytes into the buffer until it holds `want`; how many were taken. */
static size_t collect(struct check *k, size_t want, const uint8_t *bytes, size_t len)
{
    size_t n = want - k->have < len ? want - k->have : len;

    memcpy(k->buf + k->have, bytes, n);
    k->have += n;
    return n;
}

/* Takes at most one certificate's worth of bytes. */
static pst_err feed_some(struct check *k, const uint8_t *bytes, size_t len, size_t *taken)
{
    size_t head, total = k->have + 1;

    PST_TRY(reserve(k, 4));
    pst_err err = pst_der_extent(k->buf, k->have, &head, &total);
    if (err == PST_ERR_DECODE) {
        return refuse_chain(k, "is not a DER certificate of at most 16 KiB");
    }
    if (err == PST_WANT_MORE) {
        /* one byte of the header, and look again */
        *taken = collect(k, k->have + 1, bytes, len);
        return PST_OK;
    }
    PST_TRY(reserve(k, total));
    *taken = collect(k, total, bytes, len);
    return PST_OK;
}

static bool is_whole(const struct check *k)
{
    size_t head, total;

    return pst_der_extent(k->buf, k->have, &head, &total) == PST_OK && k->have == total;
}

static pst_err feed(struct check *k, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        size_t taken = 0;
        PST_TRY(feed_some(k, bytes, len, &taken));
        bytes += taken;
        len -= taken;
        if (is_whole(k)) {
            PST_TRY(on_certificate(k, k->buf, k->have));
            k->index++;
            k->have = 0;
        }
    }
    return PST_OK;
}

static pst_err verifier_feed(void *ctx, struct pst_chain_check *c, const uint8_t *bytes, size_t len)
{
    struct check *k = check_of(c);

    (void)ctx;
    if (k == NULL) {
        return PST_ERR_STATE;
    }
    if (k->failed) {
        return PST_ERR_CERT;
    }
    if (len > PST_MAX_CHAIN - k->fed) {
        return refuse_chain(k, "the chain has more than 65535 bytes");
    }
    k->fed += len;
    pst_err err = feed(k, bytes, len);
    k->failed = err != PST_OK;
    return err;
}

static pst_err conclude(struct check *k, struct pst_peer *peer)
{
    const struct pst_certificate *leaf = &k->last;

    if (k->failed) {
        return PST_ERR_CERT;
    }
    if (k->have > 0) {
        return refuse_chain(k, "is cut off");
    }
    if (k->index < 2) {
        return refuse_chain(k, k->index == 0 ? "the chain is empty" : "there is no leaf");
    }
    k->index--;
    PST_TRY(keep_rules(k, leaf, PST_RULES_LEAF));
    struct pst_peer found = {
        .grant_len = leaf->grant_len,
        .not_before = leaf->not_before,
        .not_after = leaf->not_after,
        .time_checked = k->rules.now != 0,
        .role_eku = k->rules.role == PST_ROLE_REQUESTER ? leaf->eku_requester : leaf->eku_responder,
    };
    PST_TRY(pst_ossl_public_key_share(&found.key, &leaf->key));
    memcpy(found.device, leaf->device, sizeof found.device);
    memcpy(found.name, leaf->name, sizeof found.name);
    memcpy(found.grant, leaf->grant, sizeof found.grant);
    memcpy(found.fingerprint, k->fingerprint, sizeof found.fingerprint);
    *peer = found;
    return PST_OK;
}

static void verifier_abort(void *ctx, struct pst_chain_check *c)
{
    struct check *k = check_of(c);

    (void)ctx;
    if (k != NULL) {
        pst_certificate_free(&k->last);
        free(k->buf);
        free(k);
    }
    memset(c, 0, sizeof *c);
}

static pst_err verifier_finish(void *ctx, struct pst_chain_check *c, struct pst_peer *peer)
{
    struct check *k = check_of(c);

    if (k == NULL) {
        return PST_ERR_STATE;
    }
    pst_err err = conclude(k, peer);
    verifier_abort(ctx, c);
    return err;
}

static const char *verifier_reason(void *ctx)
{
    const struct trust *t = ctx;

    return t->reason;
}

/* --- anchors --- */

pst_err pst_trust_init(struct pst_trust *trust)
{
    struct trust *t = calloc(1, sizeof *t);

    memset(trust, 0, sizeof *trust);
    if (t == NULL) {
        return PST_ERR_CRYPTO;
    }
    trust->priv = t;
    trust->verifier = (struct pst_cert_verifier){
        .ctx = t,
        .begin = verifier_begin,
        .feed = verifier_feed,
        .finish = verifier_finish,
        .abort = verifier_abort,
        .reason = verifier_reason,
    };
    return PST_OK;
}

pst_err pst_trust_add_der(struct pst_trust *trust, const uint8_t *der, size_t len)
{
    struct trust *t = trust->priv;
    struct anchor a = {.len = len};

    if (pst_certificate_parse(&a.certificate, der, len) != PST_OK) {
        return PST_ERR_CERT;
    }
    struct anchor *grown = realloc(t->anchors, (t->count + 1) * sizeof *grown);
    if (grown != NULL) {
        t->anchors = grown;
    }
    a.der = malloc(len);
    if (grown == NULL || a.der == NULL || a.certificate.key.sig_id == PST_SIG_NONE) {
        pst_err err = grown == NULL || a.der == NULL ? PST_ERR_CRYPTO : PST_ERR_CERT;
        free(a.der);
        pst_certificate_free(&a.certificate);
        return err;
    }
    memcpy(a.der, der, len);
    t->anchors[t->count++] = a;
    return PST_OK;
}

static pst_err add_each(void *ctx, const uint8_t *der, size_t len)
{
    return pst_trust_add_der(ctx, der, len);
}

pst_err pst_trust_add(struct pst_trust *trust, const char *pem_path, char *why, size_t why_cap)
{
    char text[256] = "";
    pst_err err = pst_pem_certificates(pem_path, add_each, trust, text, sizeof text);

    if (err == PST_OK) {
        return PST_OK;
    }
    if (text[0] == '\0') {
        snprintf(text, sizeof text,
                 "%s: a certificate that is malformed, or whose key is none of ECDSA P-256, ECDSA "
                 "P-384, Ed25519",
                 pem_path);
    }
    if (why_cap > 0) {
        snprintf(why, why_cap, "%s", text);
    }
    return err;
}

void pst_trust_set_time(struct pst_trust *trust, uint64_t now)
{
    struct trust *t = trust->priv;

    t->now = now;
    t->fixed_time = true;
}

void pst_trust_set_lenient(struct pst_trust *trust, bool lenient)
{
    struct trust *t = trust->priv;

    t->lenient = lenient;
}

void pst_trust_free(struct pst_trust *trust)
{
    struct trust *t = trust->priv;

    if (t != NULL) {
        for (size_t i = 0; i < t->count; i++) {
            pst_certificate_free(&t->anchors[i].certificate);
            free(t->anchors[i].der);
        }
        free(t->anchors);
        free(t);
    }
    memset(trust, 0, sizeof *trust);
}
