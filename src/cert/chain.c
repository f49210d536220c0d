/* A chain as it streams in. One certificate is held; of the one before it, only what the next has
 * to be compared with. */
#include "cert/facts.h"

#include <string.h>

#include "postern/cert.h"

enum {
    RECEIVING, /* the buffer holds a part of a certificate */
    WHOLE,     /* ... all of it; its facts are taken and its own rules hold */
    VERIFIED,  /* ... and its signature is the issuer's, or it is an anchor */
    ISSUING,   /* ... and it may issue the next: its key is being made */
    LAST,      /* ... and it may be the last: its key is being made */
};

/* --- refusals --- */

static pst_err refuse(struct pst_chain *c, const char *field, const char *rule, size_t limit)
{
    c->refusal.field = field;
    c->refusal.rule = rule;
    c->refusal.limit = (uint32_t)limit;
    return PST_ERR_CERT;
}

static pst_err keep_rules(struct pst_chain *c, unsigned positions)
{
    const struct pst_rule_context rules = {
        .role = (pst_role)c->role,
        .now = c->now,
        .positions = positions | (c->config->lenient ? 0 : PST_RULES_STRICT),
        .path_left = c->path_left,
        .issuer = &c->issuer,
        .crypto = c->config->crypto,
    };
    struct pst_broken_rule broken;
    size_t from = 0;

    if (!pst_certificate_broken(&c->last, &rules, &from, &broken)) {
        return PST_OK;
    }
    return refuse(c, broken.field, broken.rule, 0);
}

/* --- one certificate --- */

static pst_err be_anchor(struct pst_chain *c)
{
    const struct pst_chain_config *config = c->config;
    const struct pst_bytes der = {c->buffer, c->have};
    uint8_t digest[PST_MAX_HASH];
    size_t i = 0;

    while (i < config->anchor_count && !psti_der_same(config->anchors[i], der)) {
        i++;
    }
    if (i == config->anchor_count) {
        return refuse(c, NULL, "not issued by a trusted CA", 0);
    }
    PST_TRY(pst_hash_once(config->crypto, (pst_hash_id)c->hash, der.at, der.len, digest));
    if (!pst_equal_ct(digest, c->root_hash, pst_hash_row((pst_hash_id)c->hash)->size)) {
        return refuse(c, NULL, "its hash is not the root hash of the chain's header", 0);
    }
    return PST_OK;
}

static pst_err on_whole(struct pst_chain *c)
{
    bool root = c->refusal.index == 0;

    if (root) {
        PST_TRY(be_anchor(c));
    }
    if (pst_certificate_parse(&c->last, c->buffer, c->have) != PST_OK) {
        return refuse(c, NULL, "is not an X.509 certificate in DER", 0);
    }
    PST_TRY(keep_rules(c, PST_RULES_ANY | (root ? PST_RULES_ROOT : PST_RULES_ISSUED)));
    c->phase = root ? VERIFIED : WHOLE;
    return PST_OK;
}

static pst_err check_signature(struct pst_chain *c)
{
    uint8_t raw[PST_MAX_SIGNATURE];
    pst_err err = pst_certificate_verify(&c->last, c->config->crypto, &c->key, raw);

    if (err == PST_ERR_AUTH) {
        return refuse(c, "signature", "was not made by the certificate before", 0);
    }
    if (err == PST_OK) {
        c->phase = VERIFIED;
    }
    return err;
}

static pst_err make_key(struct pst_chain *c, struct pst_public_key *key)
{
    const struct pst_crypto *crypto = c->config->crypto;
    pst_err err = crypto->public_key(crypto->ctx, key, (pst_sig_id)c->last.sig_id, c->last.key.at);

    if (err == PST_ERR_DECODE) {
        return refuse(c, "subjectPublicKeyInfo", "is not a point of its curve", 0);
    }
    if (err == PST_ERR_UNSUPPORTED) {
        return refuse(c, "subjectPublicKeyInfo", "is of an algorithm that is not supported here",
                      0);
    }
    return err;
}

/* More bytes follow the certificate, so it issues the next. */
static pst_err issue(struct pst_chain *c)
{
    const struct pst_crypto *crypto = c->config->crypto;
    bool below = c->refusal.index > 0;

    if (c->phase == VERIFIED) {
        PST_TRY(keep_rules(c, PST_RULES_ISSUER | (below ? PST_RULES_ISSUED : 0)));
        crypto->public_key_wipe(crypto->ctx, &c->key);
        c->phase = ISSUING;
    }
    PST_TRY(make_key(c, &c->key));
    PST_TRY(pst_cert_issuer_of(&c->issuer, &c->last, crypto));
    c->path_left = pst_certificate_path(&c->last, c->path_left, below);
    c->refusal.index++;
    c->have = 0;
    c->phase = RECEIVING;
    return PST_OK;
}

/* --- the stream --- */

pst_err pst_chain_begin(struct pst_chain *c, const struct pst_chain_config *config, uint8_t *buffer,
                        size_t cap, pst_role peer_role, pst_hash_id hash, const uint8_t *root_hash)
{
    const struct pst_algorithm *row = pst_hash_row(hash);

    if (row == NULL || buffer == NULL || cap < 4) {
        return PST_ERR_ARGUMENT;
    }
    memset(c, 0, sizeof *c);
    c->config = config;
    c->buffer = buffer;
    c->cap = cap;
    c->now = config->now == NULL ? 0 : config->now(config->now_ctx);
    c->role = (uint8_t)peer_role;
    c->hash = (uint8_t)hash;
    c->path_left = -1;
    memcpy(c->root_hash, root_hash, row->size);
    return PST_OK;
}

/* Takes bytes of the certificate that comes in, at most to its end. */
static pst_err receive(struct pst_chain *c, struct pst_bytes in, size_t *at)
{
    size_t total;
    pst_err known = pst_certificate_extent(c->buffer, c->have, &total);

    if (known == PST_ERR_DECODE) {
        return refuse(c, NULL, "is not an X.509 certificate in DER", 0);
    }
    if (known == PST_WANT_MORE) {
        total = c->have + 1; /* one byte of the header, and look again */
    }
    if (total > c->cap) {
        return refuse(c, NULL, "is too large", c->cap);
    }
    size_t n = total - c->have < in.len - *at ? total - c->have : in.len - *at;
    memcpy(c->buffer + c->have, in.at + *at, n);
    c->have += n;
    c->fed += (uint32_t)n;
    *at += n;
    return known == PST_OK && c->have == total ? on_whole(c) : PST_OK;
}

/* The next thing to be done with `in` from `*at` on. PST_WANT_MORE: nothing, all is taken. */
static pst_err step(struct pst_chain *c, struct pst_bytes in, size_t *at)
{
    if (c->phase == WHOLE) {
        return check_signature(c);
    }
    if (*at == in.len) {
        return PST_WANT_MORE;
    }
    return c->phase == RECEIVING ? receive(c, in, at) : issue(c);
}

pst_err pst_chain_feed(struct pst_chain *c, const uint8_t *bytes, size_t len)
{
    const struct pst_bytes in = {bytes, len};
    size_t at = c->taken;
    pst_err err = PST_OK;

    if (c->config == NULL || c->phase == LAST || at > len) {
        return PST_ERR_STATE;
    }
    if (c->failed) {
        return PST_ERR_CERT;
    }
    if (len - at > PST_MAX_CHAIN - c->fed) {
        err = refuse(c, NULL, "makes the chain too large", PST_MAX_CHAIN);
    }
    while (err == PST_OK) {
        err = step(c, in, &at);
    }
    c->taken = err == PST_PENDING ? at : 0;
    c->failed = err != PST_PENDING && err != PST_WANT_MORE;
    return err == PST_WANT_MORE ? PST_OK : err;
}

/* --- the end --- */

static pst_err may_be_last(struct pst_chain *c)
{
    if (c->phase != VERIFIED) {
        return refuse(c, NULL, c->fed == 0 ? "is missing: the chain is empty" : "is cut off", 0);
    }
    if (c->refusal.index == 0) {
        return refuse(c, NULL, "is the only one: there is no leaf", 0);
    }
    return keep_rules(c, PST_RULES_LEAF);
}

static void fill_peer(const struct pst_chain *c, struct pst_peer *peer)
{
    const struct pst_certificate *leaf = &c->last;

    pst_certificate_device(leaf, peer->device);
    pst_certificate_name(leaf, peer->name);
    if (leaf->grant.len > 0) {
        memcpy(peer->grant, leaf->grant.at, leaf->grant.len);
    }
    peer->grant_len = (uint16_t)leaf->grant.len;
    peer->not_before = leaf->not_before;
    peer->not_after = leaf->not_after;
    peer->time_checked = c->now != 0;
    peer->role_eku = c->role == PST_ROLE_REQUESTER ? leaf->eku_requester : leaf->eku_responder;
}

static pst_err conclude(struct pst_chain *c, struct pst_peer *peer)
{
    const struct pst_crypto *crypto = c->config->crypto;

    if (c->phase != LAST) {
        memset(peer, 0, sizeof *peer);
        PST_TRY(may_be_last(c));
        c->phase = LAST;
    }
    PST_TRY(make_key(c, &peer->key));
    pst_err err = pst_hash_once(crypto, PST_SHA256, c->buffer, c->have, peer->fingerprint);
    if (err != PST_OK) {
        crypto->public_key_wipe(crypto->ctx, &peer->key);
        return err;
    }
    fill_peer(c, peer);
    return PST_OK;
}

pst_err pst_chain_finish(struct pst_chain *c, struct pst_peer *peer)
{
    if (c->config == NULL) {
        return PST_ERR_STATE;
    }
    if (c->failed) {
        return PST_ERR_CERT;
    }
    pst_err err = conclude(c, peer);
    c->failed = err != PST_PENDING; /* there is nothing more to be had of it */
    return err;
}

void pst_chain_abort(struct pst_chain *c)
{
    const struct pst_crypto *crypto = c->config == NULL ? NULL : c->config->crypto;

    if (crypto != NULL) {
        if (c->phase == WHOLE && !c->failed && crypto->verify_cancel != NULL) {
            crypto->verify_cancel(crypto->ctx, &c->key);
        }
        crypto->public_key_wipe(crypto->ctx, &c->key);
    }
    pst_wipe(c, sizeof *c);
}
