/* A chain judged as a whole: every certificate, every rule. */
#include "certificate.h"

#include <openssl/asn1.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "keyfile.h"
#include "pemfile.h"
#include "pki.h"

struct walk {
    struct pst_rule_context rules;
    const struct pst_chain_visitor *visitor;
    struct pst_certificate before; /* the issuer, if all is well */
    int32_t path_left;
    unsigned index;
};

static void tell(const struct walk *w, const struct pst_chain_entry *e, const char *field,
                 const char *rule)
{
    if (w->visitor->broken != NULL) {
        w->visitor->broken(w->visitor->ctx, e, field, rule);
    }
}

static void judge_rules(struct walk *w, const struct pst_certificate *c,
                        const struct pst_chain_entry *e)
{
    struct pst_broken_rule broken;
    size_t from = 0;

    w->rules.positions = PST_RULES_ANY | PST_RULES_STRICT | PST_RULES_PROFILE |
                         (e->leaf ? PST_RULES_LEAF : PST_RULES_ISSUER);
    while (pst_certificate_broken(c, &w->rules, &from, &broken)) {
        tell(w, e, broken.field, broken.rule);
    }
}

static void judge_link(struct walk *w, const struct pst_certificate *c, const uint8_t *der,
                       size_t len, const struct pst_chain_entry *e)
{
    const struct pst_certificate *issuer = e->index == 0 ? c : &w->before;

    if (X509_NAME_cmp(c->issuer, issuer->subject) != 0) {
        tell(w, e, "issuer",
             e->index == 0 ? "of the root is not itself"
                           : "is not the subject of the certificate before");
    } else if (!pst_certificate_signed_by(c, der, len, &issuer->key)) {
        tell(w, e, "signature",
             e->index == 0 ? "of the root is not its own"
                           : "was not made by the certificate before");
    }
    if (e->index == 0 && e->leaf) {
        tell(w, e, "chain", "there is no leaf");
    }
    if (e->index > 0 && !e->leaf) {
        if (w->path_left == 0) {
            tell(w, e, "basicConstraints", "pathLenConstraint of a CA above is exceeded");
        } else if (w->path_left > 0) {
            w->path_left--;
        }
    }
    if (c->path_len >= 0 && (w->path_left < 0 || c->path_len < w->path_left)) {
        w->path_left = c->path_len;
    }
}

static pst_err visit(struct walk *w, const uint8_t *der, size_t len, bool leaf)
{
    struct pst_certificate c;
    char subject[256], issuer[256];

    PST_TRY(pst_certificate_parse(&c, der, len));
    const struct pst_algorithm *key = pst_sig_row((pst_sig_id)c.key.sig_id);
    struct pst_chain_entry e = {
        .index = w->index++,
        .leaf = leaf,
        .subject = X509_NAME_oneline(c.subject, subject, sizeof subject),
        .issuer = X509_NAME_oneline(c.issuer, issuer, sizeof issuer),
        .key = key != NULL ? key->name : "?",
        .device = c.device,
        .name = c.name,
        .grant = c.grant,
        .grant_len = c.grant_len,
        .not_before = c.not_before,
        .not_after = c.not_after,
        .is_ca = c.is_ca,
        .eku_requester = c.eku_requester,
        .eku_responder = c.eku_responder,
        .hardware_identity = c.hardware_identity,
    };
    pst_err err = pst_ossl_digest(PST_SHA256, der, len, e.fingerprint);
    if (err == PST_OK && w->visitor->each != NULL) {
        w->visitor->each(w->visitor->ctx, &e);
    }
    judge_rules(w, &c, &e);
    judge_link(w, &c, der, len, &e);
    pst_certificate_free(&w->before);
    w->before = c;
    return err;
}

static pst_err walk(struct walk *w, const uint8_t *chain, size_t len)
{
    size_t head, total;

    if (len == 0) {
        return PST_ERR_DECODE;
    }
    while (len > 0) {
        if (pst_der_extent(chain, len, &head, &total) != PST_OK || total > len) {
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
        .rules = {.role = role, .now = now},
          .visitor = visitor, .path_left = -1
    };
    pst_err err = walk(&w, chain, len);

    pst_certificate_free(&w.before);
    return err;
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

/* A file that begins as DER does is taken for DER. */
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
