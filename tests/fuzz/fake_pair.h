/* Two SPDM engines with fake cryptography and a script from the fuzzer: honest messages, changed,
 * truncated or repeated ones, and invented ones, to either side. Used by fuzz_spdm_responder.c and
 * fuzz_spdm_requester.c.
 *
 * Input: 4 bytes of setup, then commands: an opcode byte and its operands. */
#ifndef PST_FUZZ_FAKE_PAIR_H
#define PST_FUZZ_FAKE_PAIR_H

#include "fuzz/fake_crypto.h"
#include "postern/parts/requester.h"
#include "postern/parts/responder.h"
#include "spdm/codes.h"

#define PAIR_BUFFER 1200

struct pair_key {
    uint32_t id;
    pst_key_phase phase[2];
    uint64_t key[2];
    bool live[2], open;
};

struct pair_side {
    struct pst_spdm_config config;
    struct fake_signer signer;
    struct pst_slot slot;
    struct pair_key keys[PST_SPDM_SESSIONS + 1];
    bool require_mutual, refuses;
    unsigned established, ended;
};

struct pair {
    struct fake_crypto fake;
    struct pair_side dts, ts;
    struct pst_requester q;
    struct pst_responder r;
    uint8_t *defer;
    uint8_t *handled, *received; /* messages that an engine may still read */
    uint64_t now;
    uint8_t hashes[3], sigs[4], dhs[3], aeads[4];
    uint8_t request[PAIR_BUFFER], response[PAIR_BUFFER];
    size_t request_len, response_len;
    uint32_t request_context;
    bool pending; /* the responder's signer works */
    uint8_t *out; /* in a buffer of exactly the promised size */
    size_t out_cap;
};

/* --- key ports: check that each session opens once, is dropped once, and its hooks are in order
 * --- */

static inline struct pair_key *pair_key_of(struct pair_side *s, uint32_t id)
{
    for (size_t i = 0; i < sizeof s->keys / sizeof *s->keys; i++) {
        if (s->keys[i].id == id) {
            return &s->keys[i];
        }
    }
    return NULL;
}

static inline pst_err pair_place(void *ctx, uint32_t id, pst_key_phase phase, pst_direction d,
                                 bool encrypt, const struct pst_traffic_key *key)
{
    struct pair_side *s = ctx;
    struct pair_key *k = pair_key_of(s, id);

    (void)encrypt;
    need(id != PST_SPDM_CLEAR);
    if (k == NULL) {
        k = pair_key_of(s, 0);
    }
    need(k != NULL); /* no more sessions than configured */
    need(!k->live[d] || k->phase[d] <= phase);
    k->id = id;
    k->live[d] = true;
    k->phase[d] = phase;
    k->key[d] = fake_mix(1, key->key, pst_aead_row(key->aead)->size);
    return PST_OK;
}

static inline void pair_drop(void *ctx, uint32_t id)
{
    struct pair_key *k = pair_key_of(ctx, id);

    if (k != NULL) {
        memset(k->live, 0, sizeof k->live);
    }
    if (k != NULL && !k->open) {
        k->id = 0;
    }
}

static inline pst_err pair_peer(void *ctx, const struct pst_peer *peer)
{
    const struct pair_side *s = ctx;

    need(peer->key.sig_id != 0);
    return s->refuses ? PST_ERR_DENIED : PST_OK;
}

static inline void pair_established(void *ctx, uint32_t id, const struct pst_peer *peer)
{
    struct pair_side *s = ctx;
    struct pair_key *k = pair_key_of(s, id);

    need(k != NULL && k->live[0] && k->live[1] && !k->open);
    need(k->phase[0] == PST_KEYS_APPLICATION && k->phase[1] == PST_KEYS_APPLICATION);
    need(peer != NULL || !s->require_mutual);
    need(!s->refuses || peer == NULL);
    k->open = true;
    s->established++;
}

static inline void pair_ended(void *ctx, uint32_t id, pst_err why)
{
    struct pair_side *s = ctx;
    struct pair_key *k = pair_key_of(s, id);

    (void)why;
    need(k != NULL && k->open && !k->live[0] && !k->live[1]);
    memset(k, 0, sizeof *k);
    s->ended++;
}

static inline pst_err pair_vendor(void *ctx, uint32_t context, uint16_t standard,
                                  struct pst_bytes vendor_id, struct pst_bytes payload,
                                  uint8_t *out, size_t cap, size_t *out_len)
{
    (void)ctx;
    (void)context;
    (void)standard;
    (void)vendor_id;
    if (payload.len > cap) {
        return PST_ERR_SPACE;
    }
    if (payload.len > 0) {
        memcpy(out, payload.at, payload.len);
    }
    *out_len = payload.len;
    return PST_OK;
}

static inline uint64_t pair_now(void *ctx)
{
    return ((const struct pair *)ctx)->now;
}

static inline pst_err pair_measure(void *ctx, size_t n, pst_hash_id hash,
                                   struct pst_measurement *out)
{
    static const uint8_t rom[70] = {1, 2, 3};

    (void)ctx;
    (void)hash;
    if (n >= 3) {
        return PST_ERR_ARGUMENT;
    }
    *out = (struct pst_measurement){
        .index = (uint8_t)(n + 1),
        .type = (uint8_t)n,
        .raw = true,
        .tcb = n == 0,
        .value = {rom, 10 * n + 5},
    };
    return PST_OK;
}

/* --- setup --- */

static inline void pair_side_init(struct pair *p, struct pair_side *s, const uint8_t how[4],
                                  uint32_t role_caps)
{
    uint32_t caps = PST_CAP_CERT | PST_CAP_MAC | PST_CAP_MUT_AUTH | PST_CAP_KEY_EX | PST_CAP_ENCAP |
                    PST_CAP_CHAL | PST_CAP_HBEAT | PST_CAP_KEY_UPD | role_caps;

    caps |= (how[0] & 1) != 0 ? 0 : PST_CAP_ENCRYPT;
    caps |= (how[0] & 2) != 0 ? PST_CAP_CLEAR_HANDSHAKE : 0;
    caps |= (how[0] & 4) != 0 ? PST_CAP_MULTI_KEY_NEG : 0;
    fake_signer_init(&s->signer, (pst_sig_id)p->sigs[0]);
    s->slot = fake_slot(&s->signer);
    s->config = (struct pst_spdm_config){
        .crypto = &p->fake.crypto,
        .verifier = &p->fake.verifier,
        .hooks = {.ctx = s,
                  .peer = pair_peer,
                  .established = pair_established,
                  .ended = pair_ended,
                  .vendor = pair_vendor},
        .now_ms = pair_now,
        .now_ctx = p,
        .min_minor = (how[0] & 8) != 0 ? 3 : 2,
        .max_minor = (how[0] & 16) != 0 && (how[0] & 8) == 0 ? 2 : 3,
        .capabilities = caps,
        .ct_exponent = 10,
        .transfer_size = (how[1] & 1) != 0 ? 256 : 1024,
        .multi_key = (how[0] & 4) != 0,
        .hashes = p->hashes,
        .sigs = p->sigs,
        .peer_sigs = p->sigs,
        .dhs = p->dhs,
        .aeads = p->aeads,
        .keys = {.ctx = s, .place = pair_place, .drop = pair_drop},
        .measurement_hash = PST_SHA256,
    };
    s->config.slots[0] = &s->slot;
}

static inline void pair_init(struct pair *p, const uint8_t how[4])
{
    static const pst_mutual mutual[] = {PST_MUTUAL_ENCAP, PST_MUTUAL_DIGESTS, PST_MUTUAL_PLAIN,
                                        PST_MUTUAL_NONE};
    static const struct pst_measurements measurements = {.get = pair_measure};
    struct pst_spdm_config *ts;

    memset(p, 0, sizeof *p);
    fake_crypto_init(&p->fake);
    p->now = 1000;
    p->hashes[0] = (how[2] & 1) != 0 ? PST_SHA384 : PST_SHA256;
    p->sigs[0] = (uint8_t)(PST_ECDSA_P256 + (how[2] >> 1) % 3);
    p->dhs[0] = (how[2] & 8) != 0 ? PST_SECP384R1 : PST_SECP256R1;
    p->aeads[0] = (uint8_t)(PST_AES_128_GCM + (how[2] >> 4) % 3);
    pair_side_init(p, &p->dts, how, 0);
    pair_side_init(p, &p->ts, how,
                   PST_CAP_MEAS_SIGNED | ((how[0] & 4) != 0 ? PST_CAP_GET_KEY_PAIR_INFO : 0));
    ts = &p->ts.config;
    ts->mutual = mutual[how[1] >> 1 & 3];
    ts->known_peer = ts->mutual == PST_MUTUAL_PLAIN ? &p->dts.slot : NULL;
    ts->require_mutual = p->ts.require_mutual = (how[1] & 8) != 0 && ts->mutual != PST_MUTUAL_NONE;
    ts->caller_waits = (how[1] & 16) != 0;
    ts->basic_mutual = (how[1] & 32) != 0;
    ts->heartbeat_s = (how[1] & 64) != 0 ? 5 : 0;
    ts->certificate_portion = (how[1] & 128) != 0 ? 50 : 0;
    ts->measurements = &measurements;
    p->dts.refuses = (how[3] & 1) != 0;
    p->ts.refuses = (how[3] & 2) != 0;
    p->fake.chain_fails = (how[3] & 4) != 0;
    p->fake.verify_fails = (how[3] & 8) != 0;
    p->fake.slow = how[3] >> 5 & 3;
    need(pst_requester_init(&p->q, &p->dts.config) == PST_OK);
    need(pst_responder_init(&p->r, &p->ts.config) == PST_OK);
    p->defer = (how[3] & 16) == 0 ? malloc(2 * ts->transfer_size) : NULL;
    pst_responder_defer(&p->r, p->defer, p->defer != NULL ? 2 * ts->transfer_size : 0);
}

static inline void pair_end(struct pair *p)
{
    pst_requester_wipe(&p->q);
    pst_responder_wipe(&p->r);
    need(p->dts.ended <= p->dts.established && p->ts.ended == p->ts.established);
    for (size_t i = 0; i < sizeof p->ts.keys / sizeof *p->ts.keys; i++) {
        need(p->ts.keys[i].id == 0 && !p->dts.keys[i].live[0] && !p->dts.keys[i].live[1]);
    }
    for (size_t i = 0; i < sizeof p->q; i++) {
        need(((const uint8_t *)&p->q)[i] == 0);
    }
    for (size_t i = 0; i < sizeof p->r; i++) {
        need(((const uint8_t *)&p->r)[i] == 0);
    }
    fake_crypto_check(&p->fake);
    free(p->defer);
    free(p->out);
    free(p->handled);
    free(p->received);
}

/* --- steps of the script --- */

/* Keeps an answer as the response in transit. */
static inline void pair_answer(struct pair *p, pst_err err, size_t len)
{
    need(err == PST_OK || err == PST_PENDING);
    need(len <= p->out_cap);
    p->pending = err == PST_PENDING;
    if (err != PST_OK) {
        return;
    }
    memcpy(p->response, p->out, len);
    p->response_len = len;
}

static inline void pair_handle(struct pair *p, uint32_t context, const uint8_t *at, size_t len,
                               size_t cap)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    size_t out_len = 0;

    if (len > 0) {
        memcpy(copy, at, len);
    }
    free(p->handled);
    p->handled = copy;
    free(p->out);
    p->out_cap = cap < PAIR_BUFFER ? cap : PAIR_BUFFER;
    p->out = malloc(p->out_cap > 0 ? p->out_cap : 1);
    pst_err err = pst_responder_handle(&p->r, context, copy, len, p->out, p->out_cap, &out_len);
    pair_answer(p, err, out_len);
}

static inline void pair_resume(struct pair *p)
{
    size_t out_len = 0;

    if (p->pending) {
        pair_answer(p, pst_responder_resume(&p->r, p->out, p->out_cap, &out_len), out_len);
    }
}

static inline void pair_receive(struct pair *p, uint32_t context, const uint8_t *at, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);

    if (len > 0) {
        memcpy(copy, at, len);
    }
    (void)!pst_requester_receive(&p->q, context, copy, len);
    (void)pst_requester_answer(&p->q);
    free(p->received);
    p->received = copy;
}

static inline bool pair_next(struct pair *p)
{
    size_t len = 0;
    pst_err err = pst_requester_next(&p->q, &p->request_context, p->request, PAIR_BUFFER, &len);

    need(err == PST_OK || err == PST_PENDING || err == PST_ERR_STATE);
    need(len <= PAIR_BUFFER);
    if (err != PST_OK) {
        return false;
    }
    p->request_len = len;
    pst_requester_sent(&p->q);
    return true;
}

/* Continues the operation between honest sides for at most `turns` exchanges. */
static inline void pair_run(struct pair *p, unsigned turns)
{
    for (unsigned i = 0; i < turns; i++) {
        bool sends = pair_next(p);

        for (unsigned tries = 0; !sends && tries < 12; tries++) {
            sends = pair_next(p);
        }
        if (!sends) {
            return;
        }
        pair_handle(p, p->request_context, p->request, p->request_len, PAIR_BUFFER);
        for (unsigned tries = 0; p->pending && tries < 20; tries++) {
            pair_resume(p);
        }
        if (p->pending || p->response_len == 0) {
            return;
        }
        pst_responder_sent(&p->r);
        pair_receive(p, p->request_context, p->response, p->response_len);
        p->now += pst_requester_wait(&p->q) > 1000 ? 0 : pst_requester_wait(&p->q);
    }
}

static inline void pair_start(struct pair *p, uint8_t kind, uint8_t how)
{
    struct pst_op op = {
        .kind = (pst_op_kind)(kind % (PST_OP_VENDOR + 1)),
        .slot = (how & 0x80) != 0 ? 1 : 0,
        .index = (how & 1) != 0 ? 0xFF : how >> 2 & 3,
        .sign = (how & 2) != 0,
        .raw = (how & 16) != 0,
        .all = (how & 32) != 0,
        .summary = (how & 64) != 0 ? 1 : 0,
        .portion = (how & 8) != 0 ? 40 : 0,
    };

    if (op.kind >= PST_OP_HEARTBEAT || (op.kind == PST_OP_MEASUREMENTS && (how & 4) != 0)) {
        op.context = pst_requester_session(&p->q);
    }
    (void)!pst_requester_start(&p->q, &op);
}

static inline void pair_open(struct pair *p)
{
    static const uint8_t kinds[] = {PST_OP_CONNECT, PST_OP_DIGESTS, PST_OP_CERTIFICATE,
                                    PST_OP_SESSION};

    for (size_t i = 0; i < sizeof kinds; i++) {
        pair_start(p, kinds[i], 0);
        pair_run(p, 40);
    }
}

/* Changes a message as the script says. Its length may change a little. */
static inline size_t pair_mutate(struct pst_reader *r, uint8_t *msg, size_t len)
{
    uint8_t how = pst_get_u8(r);
    uint16_t at = pst_get_u16(r);
    uint8_t value = pst_get_u8(r);

    if (len == 0) {
        return 0;
    }
    switch (how & 3) {
    case 0:
        msg[at % len] ^= value;
        return len;
    case 1:
        return at % len;
    case 2:
        for (unsigned i = 0; i < value % 8u && len < PAIR_BUFFER; i++) {
            msg[len++] = (uint8_t)at;
        }
        return len;
    default:
        msg[at % len] = value;
        msg[(at + 1u) % len] = (uint8_t)(how >> 2);
        return len;
    }
}

static inline uint32_t pair_context(const struct pair *p, uint8_t which)
{
    switch (which & 3) {
    case 0:
        return p->request_context;
    case 1:
        return PST_SPDM_CLEAR;
    case 2:
        return p->q.spdm.sessions[0].id;
    default:
        return p->r.spdm.sessions[(which >> 2) % PST_SPDM_SESSIONS].id;
    }
}

static inline struct pst_bytes pair_raw(struct pst_reader *r)
{
    size_t len = pst_get_u8(r);

    len = (len & 0x80) != 0 ? (len & 0x7F) * 8 : len;
    return pst_get_block(r, len < r->left ? len : r->left);
}

/* Runs a command that both fuzz targets have in common. */
static inline void pair_common(struct pair *p, struct pst_reader *r, uint8_t op)
{
    uint8_t value = pst_get_u8(r);

    switch (op % 8) {
    case 0:
        pair_start(p, value & 15, pst_get_u8(r));
        break;
    case 1:
        pair_run(p, value % 16 + 1u);
        break;
    case 2:
        pair_open(p);
        break;
    case 3:
        p->now += (uint64_t)value * 50;
        (void)pst_responder_poll(&p->r);
        break;
    case 4:
        (value & 1 ? &p->ts : &p->dts)->signer.pending = value >> 1 & 3;
        (value & 1 ? &p->ts : &p->dts)->signer.broken = (value & 8) != 0;
        break;
    case 5:
        p->fake.random_fails = (value & 7) == 1;
        p->fake.verify_fails = (value & 7) == 2;
        p->fake.chain_fails = (value & 7) == 3;
        break;
    case 6:
        (void)!pst_responder_want_key_update(&p->r, pair_context(p, 3));
        break;
    default:
        pst_requester_cancel(&p->q, PST_ERR_TIMEOUT);
        if (value & 1) {
            pst_requester_end(&p->q, pst_requester_session(&p->q), PST_ERR_CLOSED);
        }
        break;
    }
}

#endif
