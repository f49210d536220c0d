#include "strict.h"

#include <stdlib.h>

#include "pst_test.h"

#include "postern/parts/spdm.h"

/* The storage of an object points to this. `self` is the address of the storage. */
struct handle {
    const uint64_t *self;
    struct strict *of;
    unsigned *live;
    union {
        struct pst_hash hash;
        struct pst_aead aead;
        struct pst_dh_key dh;
        struct pst_public_key key;
        struct pst_chain_check check;
    } real;
    unsigned asked; /* number of PST_PENDING answers of the current operation */
    uint8_t *args;  /* its arguments */
    size_t args_len;
    bool made; /* a DH key: generated */
};

static struct handle *begin(struct strict *s, uint64_t *store, unsigned *live)
{
    struct handle *h = calloc(1, sizeof *h);

    CHECK(h != NULL);
    *h = (struct handle){.self = store, .of = s, .live = live};
    store[0] = (uint64_t)(uintptr_t)store;
    store[1] = (uint64_t)(uintptr_t)h;
    ++*live;
    return h;
}

/* NULL: the storage is zeroed. */
static struct handle *look(const uint64_t *store)
{
    struct handle *h = (struct handle *)(uintptr_t)store[1];

    if (store[0] == 0 && h == NULL) {
        return NULL;
    }
    CHECK_EQ(store[0], (uint64_t)(uintptr_t)store);
    CHECK(h->self == store);
    return h;
}

static struct handle *of(const uint64_t *store)
{
    struct handle *h = look(store);

    CHECK(h != NULL);
    return h;
}

static void forget_args(struct handle *h)
{
    free(h->args);
    h->args = NULL;
    h->args_len = 0;
    h->asked = 0;
}

static void end(uint64_t *store)
{
    struct handle *h = look(store);

    if (h == NULL) {
        return;
    }
    if (h->asked > 0) {
        h->of->waits--;
        h->of->cancelled++;
    }
    forget_args(h);
    --*h->live;
    free(h);
    store[0] = store[1] = 0;
}

static bool fails(struct strict *s)
{
    return ++s->calls == s->fail_at;
}

/* Returns true while the operation is pending. Each call must have the same arguments. */
static bool waits(struct handle *h, const void *a, size_t a_len, const void *b, size_t b_len)
{
    struct strict *s = h->of;

    if (h->asked > 0) {
        CHECK_EQ(h->args_len, a_len + b_len);
        CHECK_BYTES(h->args, a, a_len);
        CHECK_BYTES(h->args + a_len, b, b_len);
    }
    if (h->asked >= s->pending) {
        s->waits -= h->asked > 0;
        forget_args(h);
        return false;
    }
    if (h->asked++ == 0) {
        s->waits++;
        h->args_len = a_len + b_len;
        h->args = malloc(h->args_len + 1);
        CHECK(h->args != NULL);
        memcpy(h->args, a, a_len);
        memcpy(h->args + a_len, b, b_len);
    }
    return true;
}

static pst_err random_bytes(void *ctx, void *out, size_t len)
{
    struct strict *s = ctx;

    return fails(s) ? PST_ERR_RANDOM : s->real->random(s->real->ctx, out, len);
}

static pst_err hash_init(void *ctx, struct pst_hash *h, pst_hash_id id)
{
    struct strict *s = ctx;

    memset(h, 0, sizeof *h);
    if (fails(s)) {
        return PST_ERR_CRYPTO;
    }
    struct handle *to = begin(s, h->store, &s->hashes);
    h->id = (uint8_t)id;
    s->most_hashes = s->hashes > s->most_hashes ? s->hashes : s->most_hashes;
    CHECK_EQ(s->real->hash_init(s->real->ctx, &to->real.hash, id), PST_OK);
    return PST_OK;
}

static pst_err hash_update(void *ctx, struct pst_hash *h, const void *data, size_t len)
{
    struct strict *s = ctx;
    struct handle *to = of(h->store);

    return fails(s) ? PST_ERR_CRYPTO
                    : s->real->hash_update(s->real->ctx, &to->real.hash, data, len);
}

static void hash_abort(void *ctx, struct pst_hash *h)
{
    struct strict *s = ctx;
    struct handle *to = look(h->store);

    if (to != NULL) {
        s->real->hash_abort(s->real->ctx, &to->real.hash);
    }
    end(h->store);
    h->id = 0;
}

static pst_err hash_final(void *ctx, struct pst_hash *h, uint8_t *digest)
{
    struct strict *s = ctx;
    struct handle *to = of(h->store);
    pst_err err = s->real->hash_final(s->real->ctx, &to->real.hash, digest);

    hash_abort(ctx, h);
    return fails(s) ? PST_ERR_CRYPTO : err;
}

static pst_err hash_clone(void *ctx, struct pst_hash *to, const struct pst_hash *from)
{
    struct strict *s = ctx;
    struct handle *old = of(from->store);

    memset(to, 0, sizeof *to);
    if (fails(s)) {
        return PST_ERR_CRYPTO;
    }
    struct handle *fresh = begin(s, to->store, &s->hashes);
    to->id = from->id;
    s->most_hashes = s->hashes > s->most_hashes ? s->hashes : s->most_hashes;
    return s->real->hash_clone(s->real->ctx, &fresh->real.hash, &old->real.hash);
}

static pst_err hmac(void *ctx, pst_hash_id id, const void *key, size_t key_len, const void *data,
                    size_t len, uint8_t *out)
{
    struct strict *s = ctx;

    return fails(s) ? PST_ERR_CRYPTO
                    : s->real->hmac(s->real->ctx, id, key, key_len, data, len, out);
}

static void dh_wipe(void *ctx, struct pst_dh_key *key)
{
    struct strict *s = ctx;
    struct handle *h = look(key->store);

    if (h != NULL && h->made) {
        s->real->dh_wipe(s->real->ctx, &h->real.dh);
    }
    end(key->store);
}

static pst_err dh_generate(void *ctx, pst_dh_id id, struct pst_dh_key *key, uint8_t *public_value)
{
    struct strict *s = ctx;
    struct handle *h = look(key->store);

    if (h == NULL) {
        h = begin(s, key->store, &s->dh_keys);
    }
    CHECK(!h->made);
    if (waits(h, &id, sizeof id, "", 0)) {
        memset(public_value, 0xee, pst_dh_row(id)->size); /* nothing of use yet */
        return PST_PENDING;
    }
    if (fails(s)) {
        dh_wipe(ctx, key);
        return PST_ERR_CRYPTO;
    }
    h->made = true;
    return s->real->dh_generate(s->real->ctx, id, &h->real.dh, public_value);
}

static pst_err dh_shared(void *ctx, const struct pst_dh_key *key, const uint8_t *peer_value,
                         uint8_t *secret)
{
    struct strict *s = ctx;
    struct handle *h = of(key->store);

    CHECK(h->made);
    if (waits(h, peer_value, 64, "", 0)) {
        return PST_PENDING;
    }
    return fails(s) ? PST_ERR_CRYPTO
                    : s->real->dh_shared(s->real->ctx, &h->real.dh, peer_value, secret);
}

static void aead_wipe(void *ctx, struct pst_aead *a)
{
    struct strict *s = ctx;
    struct handle *h = look(a->store);

    if (h != NULL) {
        s->real->aead_wipe(s->real->ctx, &h->real.aead);
    }
    end(a->store);
}

static pst_err aead_init(void *ctx, struct pst_aead *a, pst_aead_id id, const uint8_t *key)
{
    struct strict *s = ctx;

    memset(a, 0, sizeof *a);
    if (fails(s)) {
        return PST_ERR_CRYPTO;
    }
    return s->real->aead_init(s->real->ctx, &begin(s, a->store, &s->ciphers)->real.aead, id, key);
}

static pst_err aead_seal(void *ctx, struct pst_aead *a, const uint8_t iv[PST_IV_LEN],
                         const void *aad, size_t aad_len, void *data, size_t len,
                         uint8_t tag[PST_TAG_LEN])
{
    struct strict *s = ctx;

    return s->real->aead_seal(s->real->ctx, &of(a->store)->real.aead, iv, aad, aad_len, data, len,
                              tag);
}

static pst_err aead_open(void *ctx, struct pst_aead *a, const uint8_t iv[PST_IV_LEN],
                         const void *aad, size_t aad_len, void *data, size_t len,
                         const uint8_t tag[PST_TAG_LEN])
{
    struct strict *s = ctx;

    return s->real->aead_open(s->real->ctx, &of(a->store)->real.aead, iv, aad, aad_len, data, len,
                              tag);
}

static pst_err verify(void *ctx, const struct pst_public_key *key, pst_hash_id hash,
                      const void *message, size_t len, const uint8_t *signature)
{
    struct strict *s = ctx;
    struct handle *h = of(key->store);
    size_t size = pst_sig_row((pst_sig_id)key->sig_id)->size;

    if (waits(h, message, len, signature, size)) {
        return PST_PENDING;
    }
    return fails(s) ? PST_ERR_CRYPTO
                    : s->real->verify(s->real->ctx, &h->real.key, hash, message, len, signature);
}

static void verify_cancel(void *ctx, const struct pst_public_key *key)
{
    struct strict *s = ctx;
    struct handle *h = of(key->store);

    CHECK(h->asked > 0);
    s->waits--;
    s->cancelled++;
    forget_args(h);
}

static void public_key_wipe(void *ctx, struct pst_public_key *key)
{
    struct strict *s = ctx;
    struct handle *h = look(key->store);

    if (h != NULL) {
        s->real->public_key_wipe(s->real->ctx, &h->real.key);
    }
    end(key->store);
    key->sig_id = 0;
}

/* -- the verifier -- */

static pst_err chain_begin(void *ctx, struct pst_chain_check *check, pst_role peer_role,
                           pst_hash_id hash, const uint8_t *root_hash)
{
    struct strict *s = ctx;

    if (fails(s)) {
        return PST_ERR_CERT;
    }
    struct handle *h = begin(s, check->store, &s->checks);
    pst_err err =
        s->real_verifier->begin(s->real_verifier->ctx, &h->real.check, peer_role, hash, root_hash);
    if (err != PST_OK) {
        end(check->store);
    }
    return err;
}

static pst_err chain_feed(void *ctx, struct pst_chain_check *check, const uint8_t *bytes,
                          size_t len)
{
    struct strict *s = ctx;
    struct handle *h = of(check->store);

    if (waits(h, bytes, len, "feed", 4)) {
        return PST_PENDING;
    }
    return fails(s) ? PST_ERR_CERT
                    : s->real_verifier->feed(s->real_verifier->ctx, &h->real.check, bytes, len);
}

static void chain_abort(void *ctx, struct pst_chain_check *check)
{
    struct strict *s = ctx;
    struct handle *h = look(check->store);

    if (h != NULL) {
        s->real_verifier->abort(s->real_verifier->ctx, &h->real.check);
    }
    end(check->store);
}

static pst_err chain_finish(void *ctx, struct pst_chain_check *check, struct pst_peer *peer)
{
    struct strict *s = ctx;
    struct handle *h = of(check->store);
    struct pst_peer real;

    if (waits(h, "finish", 6, "", 0)) {
        if (look(peer->key.store) == NULL) { /* the port makes it */
            begin(s, peer->key.store, &s->public_keys);
        }
        return PST_PENDING;
    }
    end(peer->key.store);
    memset(&real, 0, sizeof real);
    if (fails(s)) {
        chain_abort(ctx, check);
        return PST_ERR_CERT;
    }
    pst_err err = s->real_verifier->finish(s->real_verifier->ctx, &h->real.check, &real);
    end(check->store);
    if (err == PST_OK) {
        *peer = real;
        memset(&peer->key, 0, sizeof peer->key);
        peer->key.sig_id = real.key.sig_id;
        begin(s, peer->key.store, &s->public_keys)->real.key = real.key;
    }
    return err;
}

static const struct pst_cert_refusal *refusal(void *ctx)
{
    struct strict *s = ctx;

    return s->real_verifier->refusal(s->real_verifier->ctx);
}

void strict_init(struct strict *s, const struct pst_crypto *real,
                 const struct pst_cert_verifier *verifier)
{
    memset(s, 0, sizeof *s);
    s->real = real;
    s->real_verifier = verifier;
    s->crypto = (struct pst_crypto){
        .ctx = s,
        .bytes = {.hash = 16, .aead = 16, .dh_key = 16, .public_key = 16},
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
        .verify = verify,
        .verify_cancel = verify_cancel,
        .public_key_wipe = public_key_wipe,
    };
    s->verifier = (struct pst_cert_verifier){
        .ctx = s,
        .begin = chain_begin,
        .feed = chain_feed,
        .finish = chain_finish,
        .abort = chain_abort,
        .refusal = refusal,
    };
}

void strict_check(const struct strict *s)
{
    CHECK(s->most_hashes <= 5 + PST_SPDM_SESSIONS + 2); /* as crypto.h says */
    CHECK_EQ(s->hashes, 0);
    CHECK_EQ(s->ciphers, 0);
    CHECK_EQ(s->dh_keys, 0);
    CHECK_EQ(s->public_keys, 0);
    CHECK_EQ(s->checks, 0);
    CHECK_EQ(s->waits, 0);
}
