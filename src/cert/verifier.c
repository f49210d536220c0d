/* The interface of the SPDM engines over chains in memory of the caller; and refusals as text. */
#include <string.h>

#include "crypto/check.h"
#include "postern/cert.h"

/* --- refusals --- */

static void put_text(struct pst_writer *w, const char *text)
{
    pst_put_bytes(w, text, strlen(text));
}

static void put_number(struct pst_writer *w, uint64_t v)
{
    char digits[PST_DIGITS];

    pst_put_bytes(w, digits, pst_digits(v, 10, digits));
}

static void put_refusal(struct pst_writer *w, const struct pst_cert_refusal *refusal)
{
    put_text(w, "certificate ");
    put_number(w, refusal->index);
    if (refusal->field != NULL) {
        put_text(w, ": ");
        put_text(w, refusal->field);
    }
    put_text(w, ": ");
    put_text(w, refusal->rule);
    if (refusal->limit > 0) {
        put_text(w, " (limit: ");
        put_number(w, refusal->limit);
        put_text(w, " bytes)");
    }
}

void pst_cert_refusal_text(const struct pst_cert_refusal *refusal, char *out, size_t cap)
{
    if (cap == 0) {
        return;
    }
    struct pst_writer w = pst_writer_of((uint8_t *)out, cap - 1);
    if (refusal->rule != NULL) {
        put_refusal(&w, refusal);
    }
    out[w.used] = '\0';
}

/* --- the interface --- */

/* The handle holds the number of the chain, from 1. */
static struct pst_chain *chain_of(const struct pst_chain_verifier *v,
                                  const struct pst_chain_check *check)
{
    uint64_t number = check->store[0];

    return number == 0 || number > v->count ? NULL : &v->chains[number - 1];
}

static pst_err begin(void *ctx, struct pst_chain_check *check, pst_role peer_role, pst_hash_id hash,
                     const uint8_t *root_hash)
{
    struct pst_chain_verifier *v = ctx;
    size_t i = 0;

    memset(check, 0, sizeof *check);
    memset(&v->refusal, 0, sizeof v->refusal);
    while (i < v->count && v->chains[i].config != NULL) {
        i++;
    }
    if (i == v->count) {
        return PST_ERR_BUSY;
    }
    PST_TRY(pst_chain_begin(&v->chains[i], v->config, v->buffer + i * v->share, v->share, peer_role,
                            hash, root_hash));
    check->store[0] = i + 1;
    return PST_OK;
}

static pst_err feed(void *ctx, struct pst_chain_check *check, const uint8_t *bytes, size_t len)
{
    struct pst_chain_verifier *v = ctx;
    struct pst_chain *c = chain_of(v, check);

    if (c == NULL) {
        return PST_ERR_STATE;
    }
    pst_err err = pst_chain_feed(c, bytes, len);
    v->refusal = c->refusal;
    return err;
}

static void end(void *ctx, struct pst_chain_check *check)
{
    struct pst_chain *c = chain_of(ctx, check);

    if (c != NULL) {
        pst_chain_abort(c);
    }
    memset(check, 0, sizeof *check);
}

static pst_err finish(void *ctx, struct pst_chain_check *check, struct pst_peer *peer)
{
    struct pst_chain_verifier *v = ctx;
    struct pst_chain *c = chain_of(v, check);

    if (c == NULL) {
        return PST_ERR_STATE;
    }
    pst_err err = pst_chain_finish(c, peer);
    v->refusal = c->refusal;
    if (err != PST_PENDING) {
        end(v, check);
    }
    return err;
}

static const struct pst_cert_refusal *refusal_of(void *ctx)
{
    const struct pst_chain_verifier *v = ctx;

    return &v->refusal;
}

pst_err pst_chain_verifier_init(struct pst_chain_verifier *v, const struct pst_chain_config *config,
                                struct pst_chain *chains, size_t count, uint8_t *buffer, size_t len,
                                struct pst_cert_verifier *face)
{
    if (count == 0 || len / count < 256) {
        return PST_ERR_ARGUMENT;
    }
    if (psti_check_crypto(config->crypto) != 0 || config->crypto->public_key == NULL ||
        (config->anchors == NULL && config->anchor_count > 0)) {
        return PST_ERR_CONFIG;
    }
    memset(chains, 0, count * sizeof *chains);
    *v = (struct pst_chain_verifier){
        .config = config,
        .chains = chains,
        .count = count,
        .buffer = buffer,
        .share = len / count,
    };
    *face = (struct pst_cert_verifier){
        .ctx = v,
        .begin = begin,
        .feed = feed,
        .finish = finish,
        .abort = end,
        .refusal = refusal_of,
    };
    return PST_OK;
}
