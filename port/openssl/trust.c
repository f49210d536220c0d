/* Trust anchors from PEM files, and memory for the core's verifier: any number of checks at the
 * same time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "openssl_port.h"
#include "pemfile.h"

struct trust {
    struct pst_chain_config config;
    struct pst_bytes *anchors; /* config.anchors; their bytes are owned */
    uint64_t fixed_now;
    bool fixed_time;
    struct pst_cert_refusal refusal;
};

struct check {
    struct pst_chain chain;
    uint8_t buffer[PST_MAX_CERT];
};

static struct check *check_of(const struct pst_chain_check *c)
{
    return (struct check *)(uintptr_t)c->store[0];
}

static uint64_t now(void *ctx)
{
    const struct trust *t = ctx;
    time_t clock = t->fixed_time ? 0 : time(NULL);

    return t->fixed_time ? t->fixed_now : clock > 0 ? (uint64_t)clock : 0;
}

/* --- the verifier --- */

static pst_err verifier_begin(void *ctx, struct pst_chain_check *out, pst_role peer_role,
                              pst_hash_id hash, const uint8_t *root_hash)
{
    struct trust *t = ctx;
    struct check *k = malloc(sizeof *k);

    memset(out, 0, sizeof *out);
    memset(&t->refusal, 0, sizeof t->refusal);
    if (k == NULL) {
        return PST_ERR_CRYPTO;
    }
    pst_err err = pst_chain_begin(&k->chain, &t->config, k->buffer, sizeof k->buffer, peer_role,
                                  hash, root_hash);
    if (err != PST_OK) {
        free(k);
        return err;
    }
    out->store[0] = (uint64_t)(uintptr_t)k;
    return PST_OK;
}

static pst_err verifier_feed(void *ctx, struct pst_chain_check *c, const uint8_t *bytes, size_t len)
{
    struct trust *t = ctx;
    struct check *k = check_of(c);

    if (k == NULL) {
        return PST_ERR_STATE;
    }
    pst_err err = pst_chain_feed(&k->chain, bytes, len);
    t->refusal = k->chain.refusal;
    return err;
}

static void verifier_abort(void *ctx, struct pst_chain_check *c)
{
    struct check *k = check_of(c);

    (void)ctx;
    if (k != NULL) {
        pst_chain_abort(&k->chain);
        free(k);
    }
    memset(c, 0, sizeof *c);
}

static pst_err verifier_finish(void *ctx, struct pst_chain_check *c, struct pst_peer *peer)
{
    struct trust *t = ctx;
    struct check *k = check_of(c);

    if (k == NULL) {
        return PST_ERR_STATE;
    }
    pst_err err = pst_chain_finish(&k->chain, peer);
    t->refusal = k->chain.refusal;
    if (err != PST_PENDING) {
        verifier_abort(ctx, c);
    }
    return err;
}

static const struct pst_cert_refusal *verifier_refusal(void *ctx)
{
    const struct trust *t = ctx;

    return &t->refusal;
}

/* --- anchors --- */

pst_err pst_trust_init(struct pst_trust *trust)
{
    struct trust *t = calloc(1, sizeof *t);

    memset(trust, 0, sizeof *trust);
    if (t == NULL) {
        return PST_ERR_CRYPTO;
    }
    t->config = (struct pst_chain_config){
        .crypto = pst_openssl_crypto(),
        .now = now,
        .now_ctx = t,
    };
    trust->priv = t;
    trust->verifier = (struct pst_cert_verifier){
        .ctx = t,
        .begin = verifier_begin,
        .feed = verifier_feed,
        .finish = verifier_finish,
        .abort = verifier_abort,
        .refusal = verifier_refusal,
    };
    return PST_OK;
}

/* Refuses a certificate that cannot be a trust anchor here, where the error can name the file. */
static bool may_be_anchor(const uint8_t *der, size_t len)
{
    const struct pst_crypto *crypto = pst_openssl_crypto();
    struct pst_certificate c;
    struct pst_public_key key = {0};

    if (len > PST_MAX_CERT || pst_certificate_parse(&c, der, len) != PST_OK ||
        c.sig_id == PST_SIG_NONE) {
        return false;
    }
    pst_err err = crypto->public_key(crypto->ctx, &key, (pst_sig_id)c.sig_id, c.key.at);
    crypto->public_key_wipe(crypto->ctx, &key);
    return err == PST_OK;
}

pst_err pst_trust_add_der(struct pst_trust *trust, const uint8_t *der, size_t len)
{
    struct trust *t = trust->priv;
    size_t count = t->config.anchor_count;

    if (!may_be_anchor(der, len)) {
        return PST_ERR_CERT;
    }
    struct pst_bytes *grown = realloc(t->anchors, (count + 1) * sizeof *grown);
    if (grown == NULL) {
        return PST_ERR_CRYPTO;
    }
    t->config.anchors = t->anchors = grown;
    uint8_t *copy = malloc(len);
    if (copy == NULL) {
        return PST_ERR_CRYPTO;
    }
    memcpy(copy, der, len);
    t->anchors[count] = (struct pst_bytes){copy, len};
    t->config.anchor_count++;
    /* cppcheck-suppress memleak; the list of anchors owns it */
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
                 "%s: a certificate is malformed, or its key is none of ECDSA P-256, ECDSA P-384, "
                 "Ed25519",
                 pem_path);
    }
    if (why_cap > 0) {
        snprintf(why, why_cap, "%s", text);
    }
    return err;
}

void pst_trust_set_time(struct pst_trust *trust, uint64_t seconds)
{
    struct trust *t = trust->priv;

    t->fixed_now = seconds;
    t->fixed_time = true;
}

void pst_trust_set_lenient(struct pst_trust *trust, bool lenient)
{
    struct trust *t = trust->priv;

    t->config.lenient = lenient;
}

void pst_trust_free(struct pst_trust *trust)
{
    struct trust *t = trust->priv;

    if (t != NULL) {
        for (size_t i = 0; i < t->config.anchor_count; i++) {
            free((void *)(uintptr_t)t->anchors[i].at);
        }
        free(t->anchors);
        free(t);
    }
    memset(trust, 0, sizeof *trust);
}
