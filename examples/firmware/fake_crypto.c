#include "fake_crypto.h"

#include <string.h>

#define SEED UINT64_C(0xcbf29ce484222325)

static uint64_t mix(uint64_t state, const void *data, size_t len)
{
    const uint8_t *at = data;

    for (size_t i = 0; i < len; i++) {
        state = (state ^ at[i]) * UINT64_C(0x100000001b3);
    }
    return state;
}

static void spread(uint64_t state, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (i % 8 == 0) {
            state = (state + UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);
        }
        out[i] = (uint8_t)(state >> (56 - 8 * (i % 8)));
    }
}

static pst_err random_bytes(void *ctx, void *out, size_t len)
{
    static uint64_t state; /* the same after each reset: pretended, as everything here */

    (void)ctx;
    spread(state += UINT64_C(0x1234567), out, len);
    return PST_OK;
}

static pst_err hash_init(void *ctx, struct pst_hash *h, pst_hash_id id)
{
    (void)ctx;
    memset(h, 0, sizeof *h);
    h->id = (uint8_t)id;
    h->store[0] = SEED + id;
    return PST_OK;
}

static pst_err hash_update(void *ctx, struct pst_hash *h, const void *data, size_t len)
{
    (void)ctx;
    h->store[0] = mix(h->store[0], data, len);
    return PST_OK;
}

static pst_err hash_final(void *ctx, struct pst_hash *h, uint8_t *digest)
{
    (void)ctx;
    spread(h->store[0], digest, pst_hash_row((pst_hash_id)h->id)->size);
    h->id = 0;
    return PST_OK;
}

static pst_err hash_clone(void *ctx, struct pst_hash *to, const struct pst_hash *from)
{
    (void)ctx;
    *to = *from;
    return PST_OK;
}

static void hash_abort(void *ctx, struct pst_hash *h)
{
    (void)ctx;
    memset(h, 0, sizeof *h);
}

static pst_err hmac(void *ctx, pst_hash_id id, const void *key, size_t key_len, const void *data,
                    size_t len, uint8_t *out)
{
    const uint64_t state = mix(SEED ^ id, key, key_len) ^ (uint64_t)key_len << 32;

    (void)ctx;
    spread(mix(state, data, len), out, pst_hash_row(id)->size);
    return PST_OK;
}

static pst_err dh_generate(void *ctx, pst_dh_id id, struct pst_dh_key *key, uint8_t *public_value)
{
    (void)random_bytes(ctx, &key->store[0], 8);
    key->store[1] = pst_dh_row(id)->secret;
    memset(public_value, 0, pst_dh_row(id)->size);
    memcpy(public_value, &key->store[0], 8);
    return PST_OK;
}

static pst_err dh_shared(void *ctx, const struct pst_dh_key *key, const uint8_t *peer_value,
                         uint8_t *secret)
{
    uint64_t peer;

    (void)ctx;
    memcpy(&peer, peer_value, 8);
    spread(key->store[0] ^ peer, secret, (size_t)key->store[1]);
    return PST_OK;
}

static void dh_wipe(void *ctx, struct pst_dh_key *key)
{
    (void)ctx;
    memset(key, 0, sizeof *key);
}

static pst_err aead_init(void *ctx, struct pst_aead *a, pst_aead_id id, const uint8_t *key)
{
    (void)ctx;
    a->store[0] = mix(id, key, pst_aead_row(id)->size);
    return PST_OK;
}

static pst_err aead_seal(void *ctx, struct pst_aead *a, const uint8_t iv[PST_IV_LEN],
                         const void *aad, size_t aad_len, void *data, size_t len,
                         uint8_t tag[PST_TAG_LEN])
{
    (void)ctx;
    spread(mix(mix(mix(a->store[0], iv, PST_IV_LEN), aad, aad_len), data, len), tag, PST_TAG_LEN);
    return PST_OK;
}

static pst_err aead_open(void *ctx, struct pst_aead *a, const uint8_t iv[PST_IV_LEN],
                         const void *aad, size_t aad_len, void *data, size_t len,
                         const uint8_t tag[PST_TAG_LEN])
{
    uint8_t want[PST_TAG_LEN];

    (void)aead_seal(ctx, a, iv, aad, aad_len, data, len, want);
    return memcmp(want, tag, PST_TAG_LEN) == 0 ? PST_OK : PST_ERR_AUTH;
}

static void aead_wipe(void *ctx, struct pst_aead *a)
{
    (void)ctx;
    memset(a, 0, sizeof *a);
}

static pst_err public_key(void *ctx, struct pst_public_key *key, pst_sig_id id,
                          const uint8_t *bytes)
{
    (void)ctx;
    if (id != PST_ECDSA_P256) {
        return PST_ERR_UNSUPPORTED;
    }
    *key = (struct pst_public_key){.store = {mix(SEED, bytes, 64)}, .sig_id = PST_ECDSA_P256};
    return PST_OK;
}

static pst_err verify(void *ctx, const struct pst_public_key *key, pst_hash_id hash,
                      const void *message, size_t len, const uint8_t *signature)
{
    uint8_t want[64];

    (void)ctx;
    (void)hash;
    spread(mix(key->store[0], message, len), want, sizeof want);
    return memcmp(want, signature, sizeof want) == 0 ? PST_OK : PST_ERR_AUTH;
}

static void public_key_wipe(void *ctx, struct pst_public_key *key)
{
    (void)ctx;
    memset(key, 0, sizeof *key);
}

pst_err fake_crypto_sign(const uint8_t *key, pst_hash_id hash, const void *message, size_t len,
                         uint8_t *signature)
{
    (void)hash;
    spread(mix(mix(SEED, key, 64), message, len), signature, 64);
    return PST_OK;
}

const struct pst_crypto fake_crypto = {
    .bytes = {.hash = 8, .aead = 8, .dh_key = 16, .public_key = 8},
    .random = random_bytes,
    .hash_init = hash_init,
    .hash_update = hash_update,
    .hash_final = hash_final,
    .hash_clone = hash_clone,
    .hash_abort = hash_abort,
    .hmac = hmac,
    .dh_generate = dh_generate,
    .dh_shared = dh_shared,
    .dh_wipe = dh_wipe,
    .aead_init = aead_init,
    .aead_seal = aead_seal,
    .aead_open = aead_open,
    .aead_wipe = aead_wipe,
    .public_key = public_key,
    .verify = verify,
    .public_key_wipe = public_key_wipe,
};
