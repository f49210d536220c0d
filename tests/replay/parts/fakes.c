/* Derives the configuration of an engine from the messages of its side of the recording. */
#include "fakes.h"

#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

/* The transcript must be the recorded one; then so is the signature. */
static pst_err recorded_sign(void *ctx, pst_hash_id hash, const void *message, size_t len,
                             uint8_t *signature)
{
    struct fakes *f = ctx;
    const uint8_t *at = message;
    size_t hash_len = pst_hash_row(f->c->hash)->size;

    (void)hash;
    for (size_t i = 0; i < f->c->signature_count && len == 100 + hash_len; i++) {
        const struct signature *s = &f->c->signatures[i];
        char context[64];
        int n = snprintf(context, sizeof context, "%s-%s signing",
                         f->responder ? "responder" : "requester", s->purpose);

        if (s->responder != f->responder || s->hash.len != hash_len || n > 36 ||
            memcmp(at + 100, s->hash.at, hash_len) != 0 ||
            memcmp(at + 100 - n, context, (size_t)n) != 0) {
            continue;
        }
        memcpy(signature, s->value.at, s->value.len);
        return PST_OK;
    }
    (void)case_fail(f->c, "message %d (%s): the engine signs another transcript",
                    f->outgoing != NULL ? f->outgoing->n : -1,
                    f->outgoing != NULL ? f->outgoing->name : "");
    return PST_ERR_CRYPTO;
}

static pst_err compare_key(void *ctx, uint32_t session_id, pst_key_phase phase,
                           pst_direction direction, bool encrypt, const struct pst_traffic_key *key)
{
    struct fakes *f = ctx;
    const char *side = direction == PST_TO_RESPONDER ? "request" : "response";
    bool handshake = phase == PST_KEYS_HANDSHAKE;
    int nth = handshake ? 0 : f->placed[direction]++;
    char name[48], iv_name[48];

    (void)snprintf(name, sizeof name, "%s_%s_key%s", side, handshake ? "handshake" : "data",
                   nth > 0 ? "_updated" : "");
    (void)snprintf(iv_name, sizeof iv_name, "%s_%s_iv%s", side, handshake ? "handshake" : "data",
                   nth > 0 ? "_updated" : "");
    nth = nth > 0 ? nth - 1 : 0;
    const struct secret *want = case_secret(f->c, f->sessions - 1, name, nth);
    const struct secret *want_iv = case_secret(f->c, f->sessions - 1, iv_name, nth);
    f->keys++;
    if (want == NULL || want_iv == NULL || key->aead != f->c->aead ||
        memcmp(key->key, want->value.at, want->value.len) != 0 ||
        memcmp(key->iv, want_iv->value.at, PST_IV_LEN) != 0) {
        (void)case_fail(f->c, "the engine's %s differs", name);
    }
    if (session_id != FAKES_SESSION || encrypt != f->c->encrypt) {
        (void)case_fail(f->c, "the engine places %s for another session", name);
    }
    return PST_OK;
}

static pst_err compare_export(void *ctx, uint32_t session_id, const struct pst_export *e)
{
    struct fakes *f = ctx;
    const struct secret *want = case_secret(f->c, f->sessions - 1, "export_master_secret", 0);

    if (want == NULL || session_id != FAKES_SESSION || e->hash != f->c->hash ||
        e->aead != f->c->aead || e->minor != f->c->minor || e->encrypt != f->c->encrypt ||
        want->value.len != pst_hash_row(e->hash)->size ||
        memcmp(e->secret, want->value.at, want->value.len) != 0) {
        (void)case_fail(f->c, "the engine's export_master_secret differs");
    }
    f->exports++;
    return PST_OK;
}

static void forget_keys(void *ctx, uint32_t session_id)
{
    (void)ctx;
    (void)session_id;
}

static uint64_t no_time(void *ctx)
{
    (void)ctx;
    return 1000;
}

static pst_err get_block(void *ctx, size_t n, pst_hash_id hash, struct pst_measurement *out)
{
    const struct fakes *f = ctx;

    (void)hash;
    if (n >= f->block_count) {
        return PST_ERR_ARGUMENT;
    }
    *out = f->blocks[n];
    return PST_OK;
}

bool fakes_complete(struct fakes *f)
{
    unsigned wanted = 0, exports = 0;

    for (size_t i = 0; i < f->c->secret_count; i++) {
        const char *name = f->c->secrets[i].name;

        exports += strcmp(name, "export_master_secret") == 0;

        wanted += strstr(name, "_data_key") != NULL ||
                  (strstr(name, "_handshake_key") != NULL && !f->c->clear_handshake);
    }
    if (f->exports != exports) {
        return case_fail(f->c, "the engine exported %u secrets of %u", f->exports, exports);
    }
    return f->keys == wanted || case_fail(f->c, "the engine placed %u keys of %u", f->keys, wanted);
}

/* The first recorded message with this code in this direction, inner messages included. */
static struct pst_bytes find(const struct recording *c, bool request, uint8_t code)
{
    for (size_t i = 0; i < c->message_count; i++) {
        struct pst_bytes m = c->messages[i].spdm;

        if (m.len < 4 || c->messages[i].request != request) {
            continue;
        }
        if (m.at[1] == code) {
            return m;
        }
        if (m.at[1] == 0xEB && m.len >= 8 && m.at[5] == code) {
            return (struct pst_bytes){m.at + 4, m.len - 4};
        }
    }
    return (struct pst_bytes){NULL, 0};
}

/* A response to a GET_MEASUREMENTS that asked for a signature. */
static struct pst_bytes find_signed_measurements(const struct recording *c)
{
    for (size_t i = 0; i + 1 < c->message_count; i++) {
        struct pst_bytes req = c->messages[i].spdm, rsp = c->messages[i + 1].spdm;

        if (req.len >= 4 && req.at[1] == 0xE0 && (req.at[2] & 1) != 0 && rsp.len >= 4) {
            return rsp;
        }
    }
    return (struct pst_bytes){NULL, 0};
}

static size_t first_certificate(struct pst_bytes certs)
{
    const uint8_t *at = certs.at;
    X509 *cert = d2i_X509(NULL, &at, (long)certs.len);
    size_t len = cert != NULL ? (size_t)(at - certs.at) : 0;

    X509_free(cert);
    return len;
}

static struct pst_bytes certificates_of(const struct fakes *f, struct pst_bytes chain)
{
    size_t head = 4 + pst_hash_row(f->c->hash)->size;

    if (chain.len <= head) {
        return (struct pst_bytes){NULL, 0};
    }
    return (struct pst_bytes){chain.at + head, chain.len - head};
}

/* The engine's slots, from its recorded DIGESTS. */
static bool fill_slots(struct fakes *f)
{
    struct pst_bytes digests = find(f->c, !f->responder, 0x01);
    bool multi_key = f->responder ? f->c->multi_key_rsp : f->c->multi_key_req;
    size_t hash = pst_hash_row(f->c->hash)->size;
    uint8_t mask = digests.len >= 4 ? digests.at[3] : 1;
    size_t count = 0, nth = 0;

    for (size_t i = 0; i < PST_MAX_SLOTS; i++) {
        count += (size_t)(mask >> i & 1);
    }
    if (multi_key && digests.len > 0 && digests.len < 4 + count * (hash + 4)) {
        return case_fail(f->c, "DIGESTS without the fields of a multi-key connection");
    }
    for (size_t i = 0; i < PST_MAX_SLOTS; i++) {
        struct pst_bytes chain = f->responder ? f->c->responder_chain[i] : f->c->requester_chain;
        struct pst_bytes certs = certificates_of(f, chain);

        if ((mask >> i & 1) == 0 || certs.len == 0) {
            continue;
        }
        f->slots[i] = (struct pst_slot){.certs = certs.at,
                                        .certs_len = certs.len,
                                        .root_len = first_certificate(certs),
                                        .signer = &f->signer};
        if (multi_key && digests.len > 0) {
            const uint8_t *at = digests.at + 4 + count * hash;

            f->slots[i].key_pair_id = at[nth];
            f->slots[i].model = at[count + nth] & 7;
            f->slots[i].key_usage = pst_peek_u16(at + 2 * count + 2 * nth);
        }
        nth++;
        f->config.slots[i] = &f->slots[i];
    }
    return true;
}

/* The responder of WO_ENCAP recordings was given the requester's chain in advance. */
static void fill_known_peer(struct fakes *f)
{
    struct pst_bytes certs = certificates_of(f, f->c->requester_chain);

    f->known_peer = (struct pst_slot){
        .certs = certs.at, .certs_len = certs.len, .root_len = first_certificate(certs)};
    if (f->config.mutual == PST_MUTUAL_PLAIN) {
        f->config.known_peer = &f->known_peer;
    }
}

static bool fill_trust(struct fakes *f)
{
    if (pst_trust_init(&f->trust) != PST_OK) {
        return case_fail(f->c, "trust anchors");
    }
    pst_trust_set_time(&f->trust, 0);
    pst_trust_set_lenient(&f->trust, true);
    for (size_t i = 0; i < PST_MAX_SLOTS; i++) {
        struct pst_bytes chain = f->responder ? f->c->requester_chain : f->c->responder_chain[i];
        struct pst_bytes certs = certificates_of(f, chain);
        bool again = f->responder ? i > 0 : i == 4; /* the same root as slot 0 */

        if (certs.len > 0 && !again &&
            pst_trust_add_der(&f->trust, certs.at, first_certificate(certs)) != PST_OK) {
            return case_fail(f->c, "trust anchor of slot %zu", i);
        }
    }
    return true;
}

static bool fill_config(struct fakes *f)
{
    struct pst_spdm_config *config = &f->config;
    struct pst_bytes capabilities = find(f->c, !f->responder, f->responder ? 0x61 : 0xE1);
    struct pst_bytes algorithms = find(f->c, !f->responder, f->responder ? 0x63 : 0xE3);
    struct pst_bytes asked = find(f->c, true, 0xE4);
    struct pst_bytes exchanged = find(f->c, false, 0x64);
    struct pst_bytes authenticated = find(f->c, false, 0x03);

    if (capabilities.len < 20) {
        return case_fail(f->c, "no capabilities recorded");
    }
    config->min_minor = config->max_minor = f->c->minor;
    config->capabilities = pst_peek_u32(capabilities.at + 8);
    config->ct_exponent = capabilities.at[5];
    config->transfer_size = pst_peek_u32(capabilities.at + 12);
    config->message_size = pst_peek_u32(capabilities.at + 16);
    f->hashes[0] = (uint8_t)f->c->hash;
    f->sigs[0] = (uint8_t)(f->responder ? f->c->sig : f->c->peer_sig);
    f->peer_sigs[0] = (uint8_t)(f->responder ? f->c->peer_sig : f->c->sig);
    f->dhs[0] = (uint8_t)f->c->dh;
    f->aeads[0] = (uint8_t)f->c->aead;
    config->hashes = f->hashes;
    config->sigs = f->sigs;
    config->peer_sigs = f->peer_sigs;
    config->dhs = f->dhs;
    config->aeads = f->aeads;
    config->measurement_hash = f->c->measurement_hash;
    config->multi_key = f->responder ? f->c->multi_key_req : f->c->multi_key_rsp;
    config->mel_format = algorithms.len >= 32 && algorithms.at[31] == 1;
    if (!f->responder && asked.len > 6) {
        config->session_policy = asked.at[6];
    }
    if (f->responder && exchanged.len > 7) {
        config->heartbeat_s = exchanged.at[2];
        config->mutual = (pst_mutual)exchanged.at[6];
    }
    if (f->responder && authenticated.len > 3) {
        config->basic_mutual = (authenticated.at[2] & 0x80) != 0;
    }
    return true;
}

bool fakes_init(struct recording *c, bool responder, struct fakes *f)
{
    *f = (struct fakes){.c = c, .responder = responder};
    chance_init(f);
    f->signer = (struct pst_signer){
        .ctx = f, .sig_id = responder ? c->sig : c->peer_sig, .sign = recorded_sign};
    struct pst_bytes told = find_signed_measurements(c);
    f->measurements = (struct pst_measurements){.ctx = f, .get = get_block};
    if (told.len > 3) {
        f->measurements.change = told.at[3] >> 4;
    }
    f->config.crypto = &f->crypto;
    f->config.keys = (struct pst_key_port){
        .ctx = f, .place = compare_key, .drop = forget_keys, .exported = compare_export};
    f->config.now_ms = no_time;
    if (responder) {
        measured_gather(f);
        f->config.measurements = &f->measurements;
    }
    if (!fill_config(f) || !fill_slots(f) || !fill_trust(f)) {
        return false;
    }
    f->config.verifier = &f->trust.verifier;
    fill_known_peer(f);
    return true;
}

void fakes_free(struct fakes *f)
{
    pst_trust_free(&f->trust);
}
