/* Replays recorded sessions between Postern and DMTF libspdm. Postern's engine gets libspdm's
 * messages and must send and do exactly the same as in the recording, which libspdm had accepted.
 *
 * A tape records one side, one event per line: the configuration of the engine; the messages that
 * it received and sent, with their context; every random value (`random`, `exchange`, `shared`,
 * `signature`); every key placed or dropped; the requests of the application (`start`,
 * `want-key-update`). Postern's signatures are taken from the tape after a check that they sign
 * what the engine signs now. The certificates were made for the tapes. */
#include <dirent.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "openssl/openssl_port.h"
#include "parts/leaf.h"
#include "postern/parts/requester.h"
#include "postern/parts/responder.h"
#include "pst_test.h"

#define DIR_NAME "replay/tapes"
#define MAX_LINES 1024
#define MAX_BYTES 16384
#define MAX_BLOCKS 4

struct tape {
    char *text, *lines[MAX_LINES];
    size_t count, at;
    struct pst_crypto crypto;
    struct pst_signer signer;
    struct pst_public_key own_key;
    struct pst_slot own, known;
    struct pst_trust trust;
    struct pst_measurement blocks[MAX_BLOCKS];
    struct pst_measurements measurements;
    uint8_t block_bytes[MAX_BLOCKS][64], own_bytes[MAX_BYTES], known_bytes[MAX_BYTES];
    uint8_t lists[5][9];
    struct pst_spdm_config config;
};

static bool next_is(const struct tape *t, const char *word)
{
    size_t len = strlen(word);
    return t->at < t->count && strncmp(t->lines[t->at], word, len) == 0 &&
           t->lines[t->at][len] == ' ';
}

/* What follows the word that the next line must begin with. */
static const char *take(struct tape *t, const char *word)
{
    if (!next_is(t, word)) {
        fail_msg("line %zu: the engine comes to '%s', the tape says '%.60s'", t->at + 1, word,
                 t->at < t->count ? t->lines[t->at] : "");
    }
    return t->lines[t->at++] + strlen(word) + 1;
}

static size_t unhex(const char *text, uint8_t *out, size_t cap)
{
    size_t n = 0;
    unsigned byte;

    for (; n < cap && sscanf(text + 2 * n, "%2x", &byte) == 1; n++) {
        out[n] = (uint8_t)byte;
    }
    assert_true(text[0] == '-' || text[2 * n] == '\0');
    return n;
}

static void take_value(struct tape *t, const char *word, uint8_t *out, size_t len)
{
    assert_int_equal(unhex(take(t, word), out, len), len);
}

static unsigned take_number(struct tape *t, const char *word, int base)
{
    return (unsigned)strtoul(take(t, word), NULL, base);
}

/* --- instead of random numbers, keys and a device --- */

static pst_err taped_random(void *ctx, void *out, size_t len)
{
    take_value(ctx, "random", out, len);
    return PST_OK;
}

static pst_err taped_exchange(void *ctx, pst_dh_id id, struct pst_dh_key *key, uint8_t *value)
{
    take_value(ctx, "exchange", value, pst_dh_row(id)->size);
    key->store[0] = id;
    return PST_OK;
}

static pst_err taped_shared(void *ctx, const struct pst_dh_key *key, const uint8_t *peer_value,
                            uint8_t *secret)
{
    (void)peer_value;
    take_value(ctx, "shared", secret, pst_dh_row((pst_dh_id)key->store[0])->secret);
    return PST_OK;
}

static void forget_exchange(void *ctx, struct pst_dh_key *key)
{
    (void)ctx;
    key->store[0] = 0;
}

static pst_err taped_sign(void *ctx, pst_hash_id hash, const void *message, size_t len,
                          uint8_t *signature)
{
    struct tape *t = ctx;
    const struct pst_crypto *real = pst_openssl_crypto();

    take_value(t, "signature", signature, pst_sig_row(t->signer.sig_id)->size);
    assert_int_equal(real->verify(real->ctx, &t->own_key, hash, message, len, signature), PST_OK);
    return PST_OK;
}

static pst_err taped_place(void *ctx, uint32_t session_id, pst_key_phase phase,
                           pst_direction direction, bool encrypt, const struct pst_traffic_key *key)
{
    char text[128 + 2 * (PST_MAX_KEY + PST_IV_LEN)];
    size_t len = pst_aead_row(key->aead)->size;
    int n = snprintf(text, sizeof text, "%08x %d %d %d ", session_id, (int)phase, (int)direction,
                     encrypt);

    for (size_t i = 0; i < len + PST_IV_LEN; i++) {
        n += snprintf(text + n, 3, "%02x", i < len ? key->key[i] : key->iv[i - len]);
    }
    assert_string_equal(text, take(ctx, "key"));
    return PST_OK;
}

static void taped_drop(void *ctx, uint32_t session_id)
{
    assert_int_equal(take_number(ctx, "drop", 16), session_id);
}

static uint64_t no_time(void *ctx)
{
    (void)ctx;
    return 1000;
}

static pst_err get_block(void *ctx, size_t n, pst_hash_id hash, struct pst_measurement *out)
{
    const struct tape *t = ctx;

    (void)hash;
    if (n >= MAX_BLOCKS || t->blocks[n].value.at == NULL) {
        return PST_ERR_ARGUMENT;
    }
    *out = t->blocks[n];
    return PST_OK;
}

/* --- the configuration --- */

static size_t first_certificate(const uint8_t *certs, size_t len)
{
    const uint8_t *at = certs;
    X509 *cert = d2i_X509(NULL, &at, (long)len);

    assert_non_null(cert);
    X509_free(cert);
    return (size_t)(at - certs);
}

static void take_chain(struct tape *t, const char *word, uint8_t *bytes, struct pst_slot *slot)
{
    slot->certs = bytes;
    slot->certs_len = unhex(take(t, word), bytes, MAX_BYTES);
    slot->root_len = first_certificate(bytes, slot->certs_len);
    slot->model = 1;
}

static void take_own(struct tape *t)
{
    static uint8_t chain[4 + PST_MAX_HASH + MAX_BYTES]; /* the head is not looked at */
    size_t hash = pst_hash_row((pst_hash_id)t->config.hashes[0])->size;

    take_chain(t, "own", t->own_bytes, &t->own);
    memcpy(chain + 4 + hash, t->own.certs, t->own.certs_len);
    struct pst_bytes whole = {chain, 4 + hash + t->own.certs_len};
    t->signer =
        (struct pst_signer){.ctx = t, .sig_id = (pst_sig_id)t->config.sigs[0], .sign = taped_sign};
    assert_true(leaf_of_chain(whole, hash, t->signer.sig_id, &t->own_key));
    t->own.signer = &t->signer;
    t->config.slots[0] = &t->own;
}

static void take_trust(struct tape *t)
{
    static uint8_t root[MAX_BYTES];
    size_t len = unhex(take(t, "trust"), root, sizeof root);

    assert_int_equal(pst_trust_init(&t->trust), PST_OK);
    pst_trust_set_time(&t->trust, 0);
    pst_trust_set_lenient(&t->trust, true);
    assert_int_equal(pst_trust_add_der(&t->trust, root, len), PST_OK);
    t->config.verifier = &t->trust.verifier;
}

static void take_blocks(struct tape *t)
{
    for (size_t n = 0; n < MAX_BLOCKS && next_is(t, "block"); n++) {
        unsigned index, type;
        int raw, tcb, at;
        const char *text = take(t, "block");

        assert_int_equal(sscanf(text, "%u %u %d %d %n", &index, &type, &raw, &tcb, &at), 4);
        size_t len = unhex(text + at, t->block_bytes[n], sizeof t->block_bytes[n]);
        t->blocks[n] = (struct pst_measurement){
            .index = (uint8_t)index,
            .type = (uint8_t)type,
            .raw = raw != 0,
            .tcb = tcb != 0,
            .value = {t->block_bytes[n], len}
        };
        t->measurements = (struct pst_measurements){.ctx = t, .get = get_block};
        t->config.measurements = &t->measurements;
    }
}

static const uint8_t *take_list(struct tape *t, const char *word, uint8_t *list)
{
    (void)unhex(take(t, word), list, 8);
    return list;
}

static void take_config(struct tape *t)
{
    struct pst_spdm_config *c = &t->config;
    char *rest;

    c->min_minor = (uint8_t)strtoul(take(t, "versions"), &rest, 10);
    c->max_minor = (uint8_t)strtoul(rest, NULL, 10);
    c->capabilities = take_number(t, "capabilities", 16);
    c->ct_exponent = (uint8_t)take_number(t, "exponent", 10);
    c->transfer_size = take_number(t, "transfer", 10);
    c->mutual = (pst_mutual)take_number(t, "mutual", 10);
    c->heartbeat_s = (uint8_t)take_number(t, "heartbeat", 10);
    c->certificate_portion = (uint16_t)take_number(t, "portion", 10);
    c->measurement_hash = (pst_hash_id)take_number(t, "measurement-hash", 10);
    c->hashes = take_list(t, "hashes", t->lists[0]);
    c->sigs = take_list(t, "sigs", t->lists[1]);
    c->peer_sigs = take_list(t, "peer-sigs", t->lists[2]);
    c->dhs = take_list(t, "dhs", t->lists[3]);
    c->aeads = take_list(t, "aeads", t->lists[4]);
    take_own(t);
    if (next_is(t, "known")) {
        take_chain(t, "known", t->known_bytes, &t->known);
        c->known_peer = &t->known;
    }
    take_trust(t);
    take_blocks(t);
    t->crypto = *pst_openssl_crypto(); /* which keeps no state behind `ctx` */
    t->crypto.ctx = t;
    t->crypto.random = taped_random;
    t->crypto.dh_generate = taped_exchange;
    t->crypto.dh_shared = taped_shared;
    t->crypto.dh_wipe = forget_exchange;
    c->crypto = &t->crypto;
    c->keys = (struct pst_key_port){.ctx = t, .place = taped_place, .drop = taped_drop};
    c->now_ms = no_time;
    c->caller_waits = true;
}

/* --- the two roles --- */

static uint8_t heard[MAX_BYTES], said[MAX_BYTES], wanted[MAX_BYTES];

static size_t take_message(struct tape *t, const char *word, uint8_t *out, uint32_t *context)
{
    char *rest;

    *context = (uint32_t)strtoul(take(t, word), &rest, 16);
    return unhex(rest + 1, out, MAX_BYTES);
}

static void expect_said(struct tape *t, uint32_t context, size_t len)
{
    uint32_t in;

    assert_int_equal(take_message(t, "send", wanted, &in), len);
    assert_memory_equal(said, wanted, len);
    assert_int_equal(in, context);
}

static void play_responder(struct tape *t)
{
    static struct pst_responder r;
    uint32_t context;
    size_t len;

    assert_int_equal(pst_responder_init(&r, &t->config), PST_OK);
    while (t->at < t->count && !next_is(t, "drop")) {
        if (next_is(t, "want-key-update")) {
            uint32_t id = take_number(t, "want-key-update", 16);
            assert_int_equal(pst_responder_want_key_update(&r, id), PST_OK);
            continue;
        }
        size_t in_len = take_message(t, "receive", heard, &context);
        assert_int_equal(pst_responder_handle(&r, context, heard, in_len, said, sizeof said, &len),
                         PST_OK);
        expect_said(t, context, len);
        pst_responder_sent(&r);
    }
    pst_responder_wipe(&r);
}

static void take_op(struct tape *t, struct pst_op *op)
{
    unsigned kind, context, slot, summary, index, portion;
    int sign, raw, all;

    assert_int_equal(sscanf(take(t, "start"), "%u %x %u %u %u %d %d %d %u", &kind, &context, &slot,
                            &summary, &index, &sign, &raw, &all, &portion),
                     9);
    *op = (struct pst_op){.kind = (pst_op_kind)kind,
                          .context = context,
                          .slot = (uint8_t)slot,
                          .summary = (uint8_t)summary,
                          .index = (uint8_t)index,
                          .sign = sign != 0,
                          .raw = raw != 0,
                          .all = all != 0,
                          .portion = (uint16_t)portion};
}

static void play_requester(struct tape *t)
{
    static struct pst_requester q;
    uint32_t context;
    uint8_t code;
    size_t len;

    assert_int_equal(pst_requester_init(&q, &t->config), PST_OK);
    while (t->at < t->count && !next_is(t, "drop")) {
        struct pst_op op;
        take_op(t, &op);
        assert_int_equal(pst_requester_start(&q, &op), PST_OK);
        while (pst_requester_next(&q, &context, said, sizeof said, &len) == PST_OK) {
            expect_said(t, context, len);
            pst_requester_sent(&q);
            size_t in_len = take_message(t, "receive", heard, &context);
            assert_int_equal(pst_requester_receive(&q, context, heard, in_len), PST_OK);
        }
        assert_int_equal(pst_requester_result(&q, &code), PST_OK);
    }
    pst_requester_wipe(&q);
}

static void load(struct tape *t, const char *path)
{
    FILE *f = fopen(path, "rb");

    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    long size = ftell(f);
    assert_true(size > 0);
    rewind(f);
    t->text = calloc(1, (size_t)size + 1);
    assert_non_null(t->text);
    assert_int_equal(fread(t->text, 1, (size_t)size, f), (size_t)size);
    (void)fclose(f);
    char *rest = NULL;
    for (char *line = strtok_r(t->text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        assert_true(t->count < MAX_LINES);
        t->lines[t->count++] = line;
    }
}

static void play(const char *name)
{
    static struct tape t;
    char path[512];

    memset(&t, 0, sizeof t);
    (void)snprintf(path, sizeof path, DIR_NAME "/%s", name);
    print_message("%s\n", name);
    load(&t, path);
    bool responder = strcmp(take(&t, "role"), "responder") == 0;
    take_config(&t);
    if (responder) {
        play_responder(&t);
    } else {
        play_requester(&t);
    }
    assert_int_equal(t.at, t.count);
    t.crypto.public_key_wipe(NULL, &t.own_key);
    pst_trust_free(&t.trust);
    free(t.text);
}

static void test_tapes(void **state)
{
    DIR *dir = opendir(DIR_NAME);
    struct dirent *entry;
    unsigned played = 0;

    (void)state;
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        if (strstr(entry->d_name, ".tape") != NULL) {
            play(entry->d_name);
            played++;
        }
    }
    (void)closedir(dir);
    assert_true(played >= 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tapes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
