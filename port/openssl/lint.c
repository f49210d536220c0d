/* Checks a complete chain: every certificate against every rule. */
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "keyfile.h"
#include "openssl_port.h"
#include "pemfile.h"
#include "pki.h"

struct walk {
    struct pst_rule_context rules;
    const struct pst_chain_visitor *visitor;
    struct pst_certificate before; /* aliases the chain, as all certificates do */
    struct pst_cert_issuer issuer; /* of `before` */
    unsigned index;
};

static void tell(const struct walk *w, const struct pst_chain_entry *e, const char *field,
                 const char *rule)
{
    const struct pst_cert_refusal refusal = {
        .index = (uint16_t)w->index, .field = field, .rule = rule};

    if (w->visitor->broken != NULL) {
        w->visitor->broken(w->visitor->ctx, e, &refusal);
    }
}

static void judge_rules(struct walk *w, const struct pst_certificate *c,
                        const struct pst_chain_entry *e)
{
    struct pst_broken_rule broken;
    size_t from = 0;
    bool below = w->index > 0;

    w->rules.issuer = &w->issuer;
    w->rules.positions = PST_RULES_ANY | PST_RULES_STRICT | PST_RULES_PROFILE |
                         (e->leaf ? PST_RULES_LEAF : PST_RULES_ISSUER) |
                         (below ? PST_RULES_ISSUED : PST_RULES_ROOT);
    while (pst_certificate_broken(c, &w->rules, &from, &broken)) {
        tell(w, e, broken.field, broken.rule);
    }
    w->rules.path_left = pst_certificate_path(c, w->rules.path_left, below);
}

static bool is_signed_by(const struct pst_certificate *c, const struct pst_certificate *issuer)
{
    const struct pst_crypto *crypto = pst_openssl_crypto();
    struct pst_public_key key = {0};
    uint8_t raw[PST_MAX_SIGNATURE];

    bool ok = issuer->sig_id != PST_SIG_NONE &&
              crypto->public_key(crypto->ctx, &key, (pst_sig_id)issuer->sig_id, issuer->key.at) ==
                  PST_OK &&
              pst_certificate_verify(c, crypto, &key, raw) == PST_OK;
    crypto->public_key_wipe(crypto->ctx, &key);
    return ok;
}

static bool same(struct pst_bytes a, struct pst_bytes b)
{
    return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

static void judge_link(const struct walk *w, const struct pst_certificate *c,
                       const struct pst_chain_entry *e)
{
    bool root = w->index == 0;
    const struct pst_certificate *issuer = root ? c : &w->before;

    if (same(c->issuer, issuer->subject) && !is_signed_by(c, issuer)) {
        tell(w, e, "signature",
             root ? "of the root is not its own" : "was not made by the certificate before");
    }
    if (root && e->leaf) {
        tell(w, e, NULL, "is the only one: there is no leaf");
    }
}

/* For display only. Unprintable characters are escaped, because the name comes from the peer. */
static void name_text(struct pst_bytes name, char *out, int cap)
{
    const unsigned char *at = name.at;
    X509_NAME *n = d2i_X509_NAME(NULL, &at, (long)name.len);

    if (n == NULL || X509_NAME_oneline(n, out, cap) == NULL) {
        snprintf(out, (size_t)cap, "?");
    }
    X509_NAME_free(n);
    ERR_clear_error();
}

static pst_err visit(struct walk *w, const uint8_t *der, size_t len, bool leaf)
{
    struct pst_certificate c;
    char subject[256], issuer[256], device[PST_MAX_NAME], name[PST_MAX_NAME];

    if (pst_certificate_parse(&c, der, len) != PST_OK) {
        tell(w, NULL, NULL, "is not an X.509 certificate in DER");
        return PST_ERR_DECODE;
    }
    const struct pst_algorithm *key = pst_sig_row((pst_sig_id)c.sig_id);
    struct pst_chain_entry e = {
        .index = w->index,
        .leaf = leaf,
        .subject = subject,
        .issuer = issuer,
        .key = key != NULL ? key->name : "?",
        .device = device,
        .name = name,
        .grant = c.grant.at,
        .grant_len = c.grant.len,
        .not_before = c.not_before,
        .not_after = c.not_after,
        .is_ca = c.is_ca,
        .eku_requester = c.eku_requester,
        .eku_responder = c.eku_responder,
        .hardware_identity = c.hardware_identity,
    };
    name_text(c.subject, subject, sizeof subject);
    name_text(c.issuer, issuer, sizeof issuer);
    pst_certificate_device(&c, device);
    pst_certificate_name(&c, name);
    PST_TRY(pst_hash_once(w->rules.crypto, PST_SHA256, der, len, e.fingerprint));
    if (w->visitor->each != NULL) {
        w->visitor->each(w->visitor->ctx, &e);
    }
    judge_rules(w, &c, &e);
    judge_link(w, &c, &e);
    w->before = c;
    w->index++;
    return pst_cert_issuer_of(&w->issuer, &c, w->rules.crypto);
}

static pst_err walk(struct walk *w, const uint8_t *chain, size_t len)
{
    size_t total;

    if (len == 0) {
        return PST_ERR_DECODE;
    }
    while (len > 0) {
        if (pst_certificate_extent(chain, len, &total) != PST_OK || total > len) {
            tell(w, NULL, NULL, "is not an X.509 certificate in DER, or is cut off");
            return PST_ERR_DECODE;
        }
        PST_TRY(visit(w, chain, total, total == len));
        chain += total;
        len -= total;
    }
    return PST_OK;
}

pst_err pst_chain_walk(const uint8_t *chain, size_t len, pst_role role, uint64_t now,
                       const struct pst_chain_visitor *visitor)
{
    struct walk w = {
        .rules = {.role = role, .now = now, .path_left = -1, .crypto = pst_openssl_crypto()},
        .visitor = visitor,
    };

    return walk(&w, chain, len);
}

/* --- reading --- */

struct bytes {
    uint8_t *at;
    size_t len;
};

static pst_err append(void *ctx, const uint8_t *der, size_t len)
{
    struct bytes *all = ctx;
    uint8_t *grown = realloc(all->at, all->len + len);

    if (grown == NULL) {
        return PST_ERR_CRYPTO;
    }
    memcpy(grown + all->len, der, len);
    all->at = grown;
    all->len += len;
    return PST_OK;
}

/* A file that starts like DER is read as DER. */
static bool read_der(const char *path, struct bytes *all)
{
    FILE *f = fopen(path, "re");
    uint8_t *buf = f == NULL ? NULL : malloc(PST_MAX_CHAIN + 1);
    size_t n = buf == NULL ? 0 : fread(buf, 1, PST_MAX_CHAIN + 1, f);

    if (f != NULL) {
        fclose(f);
    }
    if (n < 2 || n > PST_MAX_CHAIN || buf[0] != 0x30) {
        free(buf);
        return false;
    }
    *all = (struct bytes){buf, n};
    return true;
}

pst_err pst_chain_read(const char *path, uint8_t **chain, size_t *len, char *text, size_t cap)
{
    struct pst_why why = {text, cap};
    struct bytes all = {0};
    struct stat st;
    char inside[4096];

    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        if (snprintf(inside, sizeof inside, "%s/chain.pem", path) >= (int)sizeof inside) {
            return pst_why_fail(&why, PST_ERR_ARGUMENT, "%s: the path is too long", path);
        }
        path = inside;
    }
    if (!read_der(path, &all)) {
        pst_err err = pst_pem_certificates(path, append, &all, text, cap);
        if (err != PST_OK) {
            free(all.at);
            return err;
        }
    }
    *chain = all.at;
    *len = all.len;
    return PST_OK;
}
