/* Fake cryptography for fuzzing: cheap, deterministic and consistent, so that sessions open under
 * the fuzzer, and messages sealed by one side open at the other. It is not secure: a digest is 64
 * bits spread out, a signature is a digest, encryption does not change the data. Without the key
 * the fuzzer must still guess 64 bits, so anything that it reaches without keys is a finding. */
#ifndef PST_FUZZ_FAKE_CRYPTO_H
#define PST_FUZZ_FAKE_CRYPTO_H

#include "fuzz/fuzz.h"
#include "postern/cert.h"

struct fake_crypto {
    struct pst_crypto crypto;
    struct pst_cert_verifier verifier;
    uint64_t random;
    unsigned live_aeads, live_dhs, live_checks; /* objects that are not wiped yet */
    unsigned slow, asked; /* number of times that a slow operation answers PENDING first */
    bool random_fails, verify_fails, chain_fails;
    bool any_tag; /* tags are not checked: only the record layer decides */
};

struct fake_signer {
    struct pst_signer signer;
    unsigned pending; /* calls that still answer PENDING */
    bool broken;
};

static inline uint64_t fake_mix(uint64_t state, const void *data, size_t len)
{
    const uint8_t *at = data;

    for (size_t i = 0; i < len; i++) {
        state = (state ^ at[i]) * UINT64_C(0x100000001b3);
    }
    return state;
}

static inline void fake_spread(uint64_t state, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (i % 8 == 0) {
            state = (state + UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);
        }
        out[i] = (uint8_t)(state >> (56 - 8 * (i % 8)));
    }
}

static inline pst_err fake_random(void *ctx, void *out, size_t len)
{
    struct fake_crypto *f = ctx;

    if (f->random_fails) {
        return PST_ERR_RANDOM;
    }
    fake_spread(f->random += UINT64_C(0x1234567), out, len);
    return PST_OK;
}

static inline pst_err fake_hash_init(void *ctx, struct pst_hash *h, pst_hash_id id)
{
    (void)ctx;
    memset(h, 0, sizeof *h);
    h->id = (uint8_t)id;
    h->store[0] = UINT64_C(0xcbf29ce484222325) + id;
    return PST_OK;
}

static inline pst_err fake_hash_update(void *ctx, struct pst_hash *h, const void *data, size_t len)
{
    (void)ctx;
    need(h->id != 0); /* started */
    h->store[0] = fake_mix(h->store[0], data, len);
    return PST_OK;
}

static inline pst_err fake_hash_final(void *ctx, struct pst_hash *h, uint8_t *digest)
{
    (void)ctx;
    need(h->id != 0);
    fake_spread(h->store[0], digest, pst_hash_row((pst_hash_id)h->id)->size);
    h->id = 0;
    return PST_OK;
}

static inline pst_err fake_hash_clone(void *ctx, struct pst_hash *to, const struct pst_hash *from)
{
    (void)ctx;
    need(from->id != 0);
    *to = *from;
    return PST_OK;
}

static inline void fake_hash_abort(void *ctx, struct pst_hash *h)
{
    (void)ctx;
    memset(h, 0, sizeof *h);
}

static inline pst_err fake_hmac(void *ctx, pst_hash_id id, const void *key, size_t key_len,
                                const void *data, size_t len, uint8_t *out)
{
    uint64_t state = fake_mix(UINT64_C(0xcbf29ce484222325) ^ id, key, key_len);

    (void)ctx;
    fake_spread(fake_mix(state ^ (uint64_t)key_len << 32, data, len), out, pst_hash_row(id)->size);
    return PST_OK;
}

static inline bool fake_waits(struct fake_crypto *f)
{
    f->asked = f->asked < f->slow ? f->asked + 1 : 0;
    return f->asked > 0;
}

static inline pst_err fake_dh_generate(void *ctx, pst_dh_id id, struct pst_dh_key *key,
                                       uint8_t *public_value)
{
    struct fake_crypto *f = ctx;

    need(key->store[1] == 0); /* zeroed */
    if (fake_waits(f)) {
        return PST_PENDING;
    }
    PST_TRY(fake_random(ctx, &key->store[0], 8));
    key->store[1] = pst_dh_row(id)->size;
    key->store[2] = pst_dh_row(id)->secret;
    memset(public_value, 0, pst_dh_row(id)->size);
    memcpy(public_value, &key->store[0], 8);
    f->live_dhs++;
    return PST_OK;
}

static inline pst_err fake_dh_shared(void *ctx, const struct pst_dh_key *key,
                                     const uint8_t *peer_value, uint8_t *secret)
{
    uint64_t peer;

    if (fake_waits(ctx)) {
        return PST_PENDING;
    }
    for (size_t i = 8; i < key->store[1]; i++) {
        if (peer_value[i] != 0) {
            return PST_ERR_DECODE; /* "not on the curve" */
        }
    }
    memcpy(&peer, peer_value, 8);
    fake_spread(key->store[0] ^ peer, secret, (size_t)key->store[2]);
    return PST_OK;
}

static inline void fake_dh_wipe(void *ctx, struct pst_dh_key *key)
{
    struct fake_crypto *f = ctx;

    f->live_dhs -= key->store[1] != 0;
    memset(key, 0, sizeof *key);
}

static inline pst_err fake_aead_init(void *ctx, struct pst_aead *a, pst_aead_id id,
                                     const uint8_t *key)
{
    struct fake_crypto *f = ctx;

    a->store[0] = fake_mix(id, key, pst_aead_row(id)->size);
    a->store[1] = 1;
    f->live_aeads++;
    return PST_OK;
}

static inline void fake_tag(const struct pst_aead *a, const uint8_t *iv, const void *aad,
                            size_t aad_len, const void *data, size_t len, uint8_t *tag)
{
    uint64_t state = fake_mix(a->store[0], iv, PST_IV_LEN);

    state = fake_mix(state ^ aad_len << 16, aad, aad_len);
    fake_spread(fake_mix(state, data, len), tag, PST_TAG_LEN);
}

static inline pst_err fake_aead_seal(void *ctx, struct pst_aead *a, const uint8_t iv[PST_IV_LEN],
                                     const void *aad, size_t aad_len, void *data, size_t len,
                                     uint8_t tag[PST_TAG_LEN])
{
    (void)ctx;
    need(a->store[1] == 1); /* a key is there */
    fake_tag(a, iv, aad, aad_len, data, len, tag);
    return PST_OK;
}

static inline pst_err fake_aead_open(void *ctx, struct pst_aead *a, const uint8_t iv[PST_IV_LEN],
                                     const void *aad, size_t aad_len, void *data, size_t len,
                                     const uint8_t tag[PST_TAG_LEN])
{
    const struct fake_crypto *f = ctx;
    uint8_t want[PST_TAG_LEN];

    need(a->store[1] == 1);
    fake_tag(a, iv, aad, aad_len, data, len, want);
    return f->any_tag || memcmp(want, tag, PST_TAG_LEN) == 0 ? PST_OK : PST_ERR_AUTH;
}

static inline void fake_aead_wipe(void *ctx, struct pst_aead *a)
{
    struct fake_crypto *f = ctx;

    f->live_aeads -= a->store[1] == 1;
    memset(a, 0, sizeof *a);
}

static inline pst_err fake_verify(void *ctx, const struct pst_public_key *key, pst_hash_id hash,
                                  const void *message, size_t len, const uint8_t *signature)
{
    struct fake_crypto *f = ctx;
    uint8_t want[PST_MAX_SIGNATURE];
    size_t size = pst_sig_row((pst_sig_id)key->sig_id)->size;

    (void)hash;
    need(key->sig_id != 0);
    if (fake_waits(f)) {
        return PST_PENDING;
    }
    fake_spread(fake_mix(key->store[0], message, len), want, size);
    return !f->verify_fails && memcmp(want, signature, size) == 0 ? PST_OK : PST_ERR_AUTH;
}

static inline pst_err fake_public_key(void *ctx, struct pst_public_key *key, pst_sig_id id,
                                      const uint8_t *bytes)
{
    (void)ctx;
    (void)bytes;
    *key = (struct pst_public_key){.store = {77}, .sig_id = (uint8_t)id};
    return PST_OK;
}

static inline void fake_key_wipe(void *ctx, struct pst_public_key *key)
{
    (void)ctx;
    memset(key, 0, sizeof *key);
}

/* The private key of a role is the number of the role; both sides know it. */
static inline pst_err fake_sign(void *ctx, pst_hash_id hash, const void *message, size_t len,
                                uint8_t *signature)
{
    struct fake_signer *s = ctx;

    (void)hash;
    if (s->broken) {
        return PST_ERR_CRYPTO;
    }
    if (s->pending > 0) {
        s->pending--;
        return PST_PENDING;
    }
    fake_spread(fake_mix(77, message, len), signature, pst_sig_row(s->signer.sig_id)->size);
    return PST_OK;
}

static inline void fake_cancel(void *ctx)
{
    (void)ctx;
}

static inline void fake_signer_init(struct fake_signer *s, pst_sig_id id)
{
    *s = (struct fake_signer){
        .signer = {.ctx = s, .sig_id = id, .sign = fake_sign, .cancel = fake_cancel}
    };
}

/* --- chains: any bytes; the last byte is the signature algorithm --- */

static inline pst_err fake_chain_begin(void *ctx, struct pst_chain_check *check, pst_role peer_role,
                                       pst_hash_id hash, const uint8_t *root_hash)
{
    struct fake_crypto *f = ctx;

    (void)hash;
    (void)root_hash;
    memset(check, 0, sizeof *check);
    if (f->chain_fails) {
        return PST_ERR_CERT;
    }
    check->store[0] = 1;
    check->store[1] = peer_role;
    f->live_checks++;
    return PST_OK;
}

static inline pst_err fake_chain_feed(void *ctx, struct pst_chain_check *check,
                                      const uint8_t *bytes, size_t len)
{
    need(check->store[0] == 1);
    if (fake_waits(ctx)) {
        return PST_PENDING;
    }
    if (len > 0) {
        check->store[2] = bytes[len - 1];
    }
    return PST_OK;
}

static inline void fake_chain_abort(void *ctx, struct pst_chain_check *check)
{
    struct fake_crypto *f = ctx;

    f->live_checks -= check->store[0] == 1;
    memset(check, 0, sizeof *check);
}

static inline pst_err fake_chain_finish(void *ctx, struct pst_chain_check *check,
                                        struct pst_peer *peer)
{
    bool device = check->store[1] == PST_ROLE_RESPONDER;
    uint8_t sig = (uint8_t)check->store[2];

    if (fake_waits(ctx)) {
        return PST_PENDING;
    }
    fake_chain_abort(ctx, check);
    if (pst_sig_row((pst_sig_id)sig) == NULL) {
        return PST_ERR_CERT;
    }
    memset(peer, 0, sizeof *peer);
    peer->key.sig_id = sig;
    peer->key.store[0] = 77;
    memcpy(peer->name, device ? "pump" : "ada", device ? 4 : 3);
    memcpy(peer->device, "Acme:Pump:0042", device ? 14 : 0);
    memcpy(peer->grant, "debug", 5);
    peer->grant_len = 5;
    peer->role_eku = true;
    return PST_OK;
}

static inline const struct pst_cert_refusal *fake_refusal(void *ctx)
{
    static const struct pst_cert_refusal refusal = {.field = "chain", .rule = "is fake"};

    (void)ctx;
    return &refusal;
}

static inline void fake_crypto_init(struct fake_crypto *f)
{
    memset(f, 0, sizeof *f);
    f->crypto = (struct pst_crypto){
        .ctx = f,
        .bytes = {.hash = 8, .aead = 16, .dh_key = 24, .public_key = 8},
        .random = fake_random,
        .hash_init = fake_hash_init,
        .hash_update = fake_hash_update,
        .hash_final = fake_hash_final,
        .hash_clone = fake_hash_clone,
        .hash_abort = fake_hash_abort,
        .hmac = fake_hmac,
        .dh_generate = fake_dh_generate,
        .dh_shared = fake_dh_shared,
        .dh_wipe = fake_dh_wipe,
        .aead_init = fake_aead_init,
        .aead_seal = fake_aead_seal,
        .aead_open = fake_aead_open,
        .aead_wipe = fake_aead_wipe,
        .public_key = fake_public_key,
        .verify = fake_verify,
        .public_key_wipe = fake_key_wipe,
    };
    f->verifier = (struct pst_cert_verifier){
        .ctx = f,
        .begin = fake_chain_begin,
        .feed = fake_chain_feed,
        .finish = fake_chain_finish,
        .abort = fake_chain_abort,
        .refusal = fake_refusal,
    };
}

/* Checks that no object lives. Call it after everything was wiped. */
static inline void fake_crypto_check(const struct fake_crypto *f)
{
    need(f->live_aeads == 0 && f->live_dhs == 0 && f->live_checks == 0);
}

/* A slot whose "certificates" end in the signature algorithm, as fake_chain_feed expects. */
#define FAKE_CHAIN_LEN 300
static inline struct pst_slot fake_slot(struct fake_signer *signer)
{
    static uint8_t chains[4][FAKE_CHAIN_LEN];
    uint8_t *chain = chains[signer->signer.sig_id & 3];

    memset(chain, 0x30, FAKE_CHAIN_LEN);
    chain[FAKE_CHAIN_LEN - 1] = (uint8_t)signer->signer.sig_id;
    return (struct pst_slot){
        .certs = chain,
        .certs_len = FAKE_CHAIN_LEN,
        .root_len = 100,
        .signer = &signer->signer,
        .key_pair_id = 1,
        .model = 1,
        .key_usage = 7,
    };
}

#endif
