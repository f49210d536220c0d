/* Transcripts, signatures and verify data of a recorded session, from its bytes alone. */
#include "check.h"

#include <stdio.h>
#include <string.h>

#include "leaf.h"
#include "openssl/openssl_port.h"
#include "protect.h"
#include "schedule.h"

struct check {
    struct recording *c;
    const struct pst_crypto *crypto;
    struct protect protect;
    struct schedule schedule;
    struct pst_public_key responder_key[8], requester_key; /* by slot; 0xFF counts as 0 */
    struct blob a, b, mutual_b, d, encap_d;
    struct blob k;    /* TH of the session so far */
    struct blob l[2]; /* L1/L2: outside, inside the session */
    struct blob inner_request;
    size_t hash_len;
    int sessions;
    uint8_t mutual;
    bool authenticated, d_closed;
};

static struct pst_bytes part(struct pst_bytes all, size_t from, size_t len)
{
    return (struct pst_bytes){all.at + from, len};
}

static bool digest(struct check *k, const struct blob *b, uint8_t *out)
{
    return pst_hash_once(k->crypto, k->c->hash, b->at, b->len, out) == PST_OK ||
           case_fail(k->c, "hash");
}

/* spec: DSP0274, signature generation: four times the version prefix, zeros, the context. */
static size_t signed_message(const struct check *k, bool responder, const char *purpose,
                             const uint8_t *hash, uint8_t out[100 + PST_MAX_HASH])
{
    char context[64], prefix[20];
    int len = snprintf(context, sizeof context, "%s-%s signing",
                       responder ? "responder" : "requester", purpose);

    memset(out, 0, 100);
    (void)snprintf(prefix, sizeof prefix, "dmtf-spdm-v1.%u.*", k->c->minor & 0xFu);
    for (size_t i = 0; i < 4; i++) {
        memcpy(out + 16 * i, prefix, 16);
    }
    memcpy(out + 100 - (size_t)len, context, (size_t)len);
    memcpy(out + 100, hash, k->hash_len);
    return 100 + k->hash_len;
}

/* The signature is the recorded one, over the recorded hash, and good. */
static bool check_signature(struct check *k, const struct pst_public_key *key, const char *purpose,
                            const struct blob *transcript, const uint8_t *value)
{
    bool responder = key != &k->requester_key;
    const struct pst_algorithm *row = pst_sig_row((pst_sig_id)key->sig_id);
    uint8_t hash[PST_MAX_HASH], message[100 + PST_MAX_HASH];

    if (row == NULL) {
        return case_fail(k->c, "no key recorded for the %s signature", purpose);
    }
    size_t len = row->size;
    if (!digest(k, transcript, hash)) {
        return false;
    }
    for (size_t i = 0; i < k->c->signature_count; i++) {
        struct signature *s = &k->c->signatures[i];

        if (s->used || s->responder != responder || strcmp(s->purpose, purpose) != 0 ||
            s->value.len != len || memcmp(s->value.at, value, len) != 0) {
            continue;
        }
        s->used = true;
        if (s->hash.len != k->hash_len || memcmp(s->hash.at, hash, k->hash_len) != 0) {
            return case_fail(k->c, "%s signature: another transcript hash", purpose);
        }
        size_t message_len = signed_message(k, responder, purpose, hash, message);
        if (k->crypto->verify(k->crypto->ctx, key, k->c->hash, message, message_len, value) !=
            PST_OK) {
            return case_fail(k->c, "%s signature does not verify", purpose);
        }
        return true;
    }
    return case_fail(k->c, "%s signature is not among the recorded ones", purpose);
}

static bool check_mac(struct check *k, pst_direction d, const char *what, const uint8_t *value)
{
    uint8_t hash[PST_MAX_HASH], mac[PST_MAX_HASH];

    if (!digest(k, &k->k, hash)) {
        return false;
    }
    if (k->crypto->hmac(k->crypto->ctx, k->c->hash, k->schedule.finished[d], k->hash_len, hash,
                        k->hash_len, mac) != PST_OK) {
        return case_fail(k->c, "HMAC");
    }
    return memcmp(mac, value, k->hash_len) == 0 || case_fail(k->c, "%s: verify data differs", what);
}

static bool place(struct check *k, pst_key_phase phase, pst_direction d)
{
    return protect_place(k->c, &k->protect, phase, d, &k->schedule.key[d]);
}

/* Slots 0x0F and 0xFF stand for the public key that takes the place of a chain. */
static const struct pst_public_key *key_of_slot(const struct check *k, uint8_t slot)
{
    return &k->responder_key[slot < 8 ? slot : 0];
}

static size_t signature_len(const struct check *k)
{
    return pst_sig_row(k->c->sig)->size;
}

static bool on_challenge(struct check *k, struct pst_bytes req, struct pst_bytes rsp)
{
    size_t len = signature_len(k);
    struct blob m = {NULL, 0, 0};
    bool good;

    if (rsp.len < 4 + len) {
        return case_fail(k->c, "CHALLENGE_AUTH too short");
    }
    blob_add(&m, k->a.at, k->a.len);
    blob_add(&m, k->b.at, k->b.len);
    blob_put(&m, req);
    blob_put(&m, part(rsp, 0, rsp.len - len));
    good =
        check_signature(k, key_of_slot(k, req.at[2]), "challenge_auth", &m, rsp.at + rsp.len - len);
    blob_free(&m);
    blob_clear(&k->b);
    k->authenticated = true;
    return good;
}

static bool on_measurements(struct check *k, struct pst_bytes req, struct pst_bytes rsp,
                            struct blob *l)
{
    size_t len = (req.at[2] & 1) != 0 ? signature_len(k) : 0;
    struct blob m = {NULL, 0, 0};
    bool good = true;

    if (rsp.at[1] == 0x7F) {
        blob_clear(l);
        return true;
    }
    if (rsp.len < 4 + len || (len > 0 && req.len < 37)) {
        return case_fail(k->c, "MEASUREMENTS too short");
    }
    blob_put(l, req);
    blob_put(l, part(rsp, 0, rsp.len - len));
    if (len > 0) {
        blob_add(&m, k->a.at, k->a.len);
        blob_add(&m, l->at, l->len);
        good = check_signature(k, key_of_slot(k, req.at[36]), "measurements", &m,
                               rsp.at + rsp.len - len);
        blob_free(&m);
        blob_clear(l);
    }
    return good;
}

/* The hash of a chain, or of the public key that stands in its place. */
static bool add_chain_hash(struct check *k, struct pst_bytes chain)
{
    uint8_t hash[PST_MAX_HASH];

    if (chain.len == 0 ||
        pst_hash_once(k->crypto, k->c->hash, chain.at, chain.len, hash) != PST_OK) {
        return case_fail(k->c, "no chain of that slot recorded");
    }
    blob_add(&k->k, hash, k->hash_len);
    return true;
}

static struct pst_bytes responder_identity(const struct check *k, uint8_t slot)
{
    return slot == 0xFF ? k->c->responder_public_key : k->c->responder_chain[slot & 7];
}

static bool on_key_exchange(struct check *k, struct pst_bytes req, struct pst_bytes rsp)
{
    struct pst_reader r = pst_reader_of(rsp.at, rsp.len);
    uint8_t th1[PST_MAX_HASH];

    pst_skip(&r, 6);
    k->mutual = pst_get_u8(&r);
    pst_skip(&r, 1 + 32);
    pst_skip(&r, pst_dh_row(k->c->dh)->size);
    pst_skip(&r, req.at[2] != 0 ? k->hash_len : 0);
    pst_skip(&r, pst_get_u16(&r));
    size_t signed_len = rsp.len - r.left;
    struct pst_bytes signature = pst_get_block(&r, signature_len(k));
    struct pst_bytes mac = pst_get_block(&r, k->c->clear_handshake ? 0 : k->hash_len);
    if (pst_finish(&r) != PST_OK) {
        return case_fail(k->c, "KEY_EXCHANGE_RSP has another layout");
    }
    blob_clear(&k->k);
    blob_clear(&k->encap_d);
    blob_clear(&k->l[1]);
    blob_add(&k->k, k->a.at, k->a.len);
    if (k->c->multi_key_rsp) {
        blob_add(&k->k, k->d.at, k->d.len);
    }
    if (!add_chain_hash(k, responder_identity(k, req.at[3]))) {
        return false;
    }
    blob_put(&k->k, req);
    blob_put(&k->k, part(rsp, 0, signed_len));
    if (!check_signature(k, key_of_slot(k, req.at[3]), "key_exchange_rsp", &k->k, signature.at)) {
        return false;
    }
    blob_put(&k->k, signature);
    k->schedule = (struct schedule){.c = k->c, .crypto = k->crypto, .session = k->sessions++};
    if (!digest(k, &k->k, th1) || !schedule_handshake(&k->schedule, th1)) {
        return false;
    }
    if (mac.len > 0 && !check_mac(k, PST_TO_REQUESTER, "KEY_EXCHANGE_RSP", mac.at)) {
        return false;
    }
    blob_put(&k->k, mac);
    return k->c->clear_handshake || (place(k, PST_KEYS_HANDSHAKE, PST_TO_RESPONDER) &&
                                     place(k, PST_KEYS_HANDSHAKE, PST_TO_REQUESTER));
}

static bool on_finish(struct check *k, struct pst_bytes req)
{
    bool has_signature = (req.at[2] & 1) != 0;
    size_t len = has_signature ? pst_sig_row(k->c->peer_sig)->size : 0;

    if (req.len != 4 + len + k->hash_len || has_signature != (k->mutual != 0)) {
        return case_fail(k->c, "FINISH has another layout");
    }
    if (has_signature) {
        if (k->c->multi_key_req) {
            blob_add(&k->k, k->encap_d.at, k->encap_d.len);
        }
        if (!add_chain_hash(k, k->c->requester_chain)) {
            return false;
        }
    }
    blob_put(&k->k, part(req, 0, 4));
    if (has_signature && !check_signature(k, &k->requester_key, "finish", &k->k, req.at + 4)) {
        return false;
    }
    blob_put(&k->k, part(req, 4, len));
    if (!check_mac(k, PST_TO_RESPONDER, "FINISH", req.at + 4 + len)) {
        return false;
    }
    blob_put(&k->k, part(req, 4 + len, k->hash_len));
    return true;
}

static bool on_finish_rsp(struct check *k, struct pst_bytes rsp)
{
    uint8_t th2[PST_MAX_HASH];

    if (rsp.len != (k->c->clear_handshake ? 4 + k->hash_len : 4)) {
        return case_fail(k->c, "FINISH_RSP has another layout");
    }
    blob_put(&k->k, part(rsp, 0, 4));
    if (rsp.len > 4 && !check_mac(k, PST_TO_REQUESTER, "FINISH_RSP", rsp.at + 4)) {
        return false;
    }
    blob_put(&k->k, part(rsp, 4, rsp.len - 4));
    return digest(k, &k->k, th2) && schedule_application(&k->schedule, th2) &&
           place(k, PST_KEYS_APPLICATION, PST_TO_RESPONDER) &&
           place(k, PST_KEYS_APPLICATION, PST_TO_REQUESTER);
}

static bool update(struct check *k, pst_direction d)
{
    return schedule_update(&k->schedule, d) && place(k, PST_KEYS_APPLICATION, d);
}

/* The requester's answer to the challenge inside ENCAPSULATED_REQUEST. */
static bool on_mutual_challenge(struct check *k, struct pst_bytes rsp)
{
    size_t len = pst_sig_row(k->c->peer_sig)->size;
    struct blob m = {NULL, 0, 0};
    bool good;

    if (rsp.len < 4 + len) {
        return case_fail(k->c, "encapsulated CHALLENGE_AUTH too short");
    }
    blob_add(&m, k->a.at, k->a.len);
    blob_add(&m, k->mutual_b.at, k->mutual_b.len);
    blob_add(&m, k->inner_request.at, k->inner_request.len);
    blob_put(&m, part(rsp, 0, rsp.len - len));
    good = check_signature(k, &k->requester_key, "challenge_auth", &m, rsp.at + rsp.len - len);
    blob_free(&m);
    blob_clear(&k->mutual_b);
    return good;
}

static bool on_inner_response(struct check *k, struct pst_bytes rsp)
{
    if (rsp.len < 4) {
        return case_fail(k->c, "encapsulated response too short");
    }
    if (rsp.at[1] == 0x01) {
        blob_clear(&k->mutual_b);
        if (k->encap_d.len == 0) {
            blob_put(&k->encap_d, rsp);
        }
    }
    if (rsp.at[1] == 0x01 || rsp.at[1] == 0x02) {
        blob_add(&k->mutual_b, k->inner_request.at, k->inner_request.len);
        blob_put(&k->mutual_b, rsp);
    }
    if (rsp.at[1] == 0x03) {
        return on_mutual_challenge(k, rsp);
    }
    /* The answer to UpdateKey: what the responder sends next is under the new key. */
    if (rsp.at[1] == 0x69 && rsp.at[2] == 1) {
        return update(k, PST_TO_REQUESTER);
    }
    return true;
}

/* Messages before a session or a challenge are not part of a later challenge. */
static bool ends_b(uint8_t code)
{
    return code == 0xE0 || code == 0xE4 || code == 0xE5 || code == 0xE8 || code == 0xE9 ||
           code == 0xEA || code == 0xEB || code == 0xEC;
}

static bool on_request(struct check *k, const struct message *m)
{
    struct pst_bytes req = m->spdm;
    uint8_t code = req.at[1];

    if (code != 0xE0) {
        blob_clear(&k->l[m->secured]);
    }
    if (ends_b(code) && !k->authenticated) {
        blob_clear(&k->b);
    }
    if (code == 0xE5) {
        return on_finish(k, req);
    }
    if (code == 0xE9 && req.at[2] == 1) {
        return update(k, PST_TO_RESPONDER);
    }
    if (code == 0xE9 && req.at[2] == 2) {
        return update(k, PST_TO_REQUESTER) && update(k, PST_TO_RESPONDER);
    }
    if (code == 0xEB) {
        return on_inner_response(k, part(req, 4, req.len - 4));
    }
    return true;
}

/* D is the DIGESTS that follows ALGORITHMS with nothing but GET_DIGESTS between. */
static void on_identity(struct check *k, uint8_t code, struct pst_bytes req, struct pst_bytes rsp)
{
    if (code == 0x81) {
        blob_clear(&k->b);
    }
    if (code == 0x81 && !k->d_closed && k->d.len == 0) {
        blob_put(&k->d, rsp);
    }
    blob_put(&k->b, req);
    blob_put(&k->b, rsp);
}

static void keep_inner(struct check *k, struct pst_bytes rsp, size_t header)
{
    blob_clear(&k->inner_request);
    if (rsp.len > header) {
        blob_put(&k->inner_request, part(rsp, header, rsp.len - header));
    }
}

static bool on_response(struct check *k, const struct message *m, struct pst_bytes req)
{
    struct pst_bytes rsp = m->spdm;
    uint8_t code = req.at[1];

    if (code != 0xE0 && rsp.at[1] == 0x7F) {
        return true;
    }
    if (code == 0x84 || code == 0xE1 || code == 0xE3) {
        blob_put(&k->a, req);
        blob_put(&k->a, rsp);
    } else if ((code == 0x81 || code == 0x82) && !m->secured) {
        on_identity(k, code, req, rsp);
    }
    if (code != 0x84 && code != 0xE1 && code != 0xE3 && code != 0x81) {
        k->d_closed = true;
    }
    if (code == 0x83) {
        return on_challenge(k, req, rsp);
    }
    if (code == 0xE0) {
        return on_measurements(k, req, rsp, &k->l[m->secured]);
    }
    if (code == 0xE4) {
        return on_key_exchange(k, req, rsp);
    }
    if (code == 0xE5) {
        return on_finish_rsp(k, rsp);
    }
    if (code == 0xEA) {
        keep_inner(k, rsp, 4);
    }
    if (code == 0xEB) {
        keep_inner(k, rsp, 8);
    }
    if (code == 0xEC) {
        protect_wipe(&k->protect);
    }
    return true;
}

bool unwrap(binding_id binding, struct pst_bytes wire, struct pst_bytes *body, bool *secured)
{
    struct pst_reader r = pst_reader_of(wire.at, wire.len);
    uint8_t type = 5;

    if (binding == BINDING_MCTP) {
        type = pst_get_u8(&r);
    } else if (binding == BINDING_TCP) {
        pst_skip(&r, 3);
        type = pst_get_u8(&r);
    } else if (binding == BINDING_DOE) {
        pst_skip(&r, 2);
        type = (uint8_t)(pst_get_u8(&r) + 4); /* 1 and 2, as 5 and 6 of MCTP */
        pst_skip(&r, 5);
    }
    *secured = type == 6;
    *body = pst_get_block(&r, r.left);
    return pst_reader_ok(&r) && (type == 5 || type == 6);
}

/* A clear message must be equal, except for zeros that pad a DOE double word. */
static bool check_clear(struct check *k, const struct message *m, struct pst_bytes body)
{
    if (body.len < m->spdm.len || body.len > m->spdm.len + 3 ||
        memcmp(body.at, m->spdm.at, m->spdm.len) != 0) {
        return case_fail(k->c, "message %d (%s): wire and SPDM bytes differ", m->n, m->name);
    }
    for (size_t i = m->spdm.len; i < body.len; i++) {
        if (k->c->binding != BINDING_DOE || body.at[i] != 0) {
            return case_fail(k->c, "message %d (%s): bytes after the end", m->n, m->name);
        }
    }
    return true;
}

static bool check_message(struct check *k, const struct message *m, struct pst_bytes *req)
{
    struct pst_bytes body;
    bool secured;

    if (m->spdm.len == 0 && m->app.len == 0) {
        return true; /* DOE discovery */
    }
    if (!unwrap(k->c->binding, m->wire, &body, &secured) || secured != m->secured) {
        return case_fail(k->c, "message %d (%s): not of this binding", m->n, m->name);
    }
    if (!(secured ? protect_message(k->c, &k->protect, m, body) : check_clear(k, m, body))) {
        return false;
    }
    if (m->spdm.len == 0) {
        return true; /* application data */
    }
    if (m->spdm.len < 4) {
        return case_fail(k->c, "message %d: shorter than a header", m->n);
    }
    if (m->request) {
        *req = m->spdm;
        return on_request(k, m);
    }
    if (req->len == 0) {
        return case_fail(k->c, "message %d: a response to nothing", m->n);
    }
    return on_response(k, m, *req);
}

/* Checks that all of the file was used. */
static bool check_complete(struct recording *c)
{
    for (size_t i = 0; i < c->signature_count; i++) {
        if (!c->signatures[i].used) {
            return case_fail(c, "signature %zu was not met", i);
        }
    }
    for (size_t i = 0; i < c->secret_count; i++) {
        if (!c->secrets[i].used && strstr(c->secrets[i].name, "exchange_private_key") == NULL) {
            return case_fail(c, "secret %s was not met", c->secrets[i].name);
        }
    }
    return true;
}

static bool load_keys(struct check *k)
{
    struct recording *c = k->c;

    if (c->responder_public_key.len > 0 &&
        !leaf_of_key(c->responder_public_key, c->sig, &k->responder_key[0])) {
        return case_fail(c, "responder's public key");
    }
    for (size_t i = 0; i < 8; i++) {
        if (c->responder_chain[i].len > 0 &&
            !leaf_of_chain(c->responder_chain[i], k->hash_len, c->sig, &k->responder_key[i])) {
            return case_fail(c, "responder's chain of slot %zu", i);
        }
    }
    if (c->requester_chain.len > 0 &&
        !leaf_of_chain(c->requester_chain, k->hash_len, c->peer_sig, &k->requester_key)) {
        return case_fail(c, "requester's chain");
    }
    return true;
}

bool check_case(struct recording *c)
{
    struct check k = {.c = c, .crypto = pst_openssl_crypto()};
    struct blob *blobs[] = {&k.a,    &k.b,    &k.mutual_b,     &k.d, &k.encap_d, &k.k,
                            &k.l[0], &k.l[1], &k.inner_request};
    struct pst_bytes req = {NULL, 0};

    k.hash_len = pst_hash_row(c->hash)->size;
    bool good = protect_init(c, &k.protect) && load_keys(&k);
    for (size_t i = 0; good && i < c->message_count; i++) {
        good = check_message(&k, &c->messages[i], &req) ||
               case_fail(c, "message %d (%s)", c->messages[i].n, c->messages[i].name);
    }
    good = good && check_complete(c);
    for (size_t i = 0; i < sizeof blobs / sizeof blobs[0]; i++) {
        blob_free(blobs[i]);
    }
    protect_wipe(&k.protect);
    for (size_t i = 0; i < 8; i++) {
        k.crypto->public_key_wipe(k.crypto->ctx, &k.responder_key[i]);
    }
    k.crypto->public_key_wipe(k.crypto->ctx, &k.requester_key);
    return good;
}
