/* A session with management on one link and debug data on another: what ends it, what is ignored,
 * and that no key is used twice with the same nonce, whatever is agreed, updated or ratcheted. */
#include "ts/net.h"
#include "ts/ts.h"

#define DATA_LINK 100u

/* --- a crypto port that records each key and nonce --- */

struct used {
    uint8_t key[PST_MAX_KEY], nonce[PST_IV_LEN];
};
#define CIPHERS 64
static struct {
    struct pst_crypto crypto;
    struct {
        const struct pst_aead *at; /* NULL: free */
        uint8_t key[PST_MAX_KEY];
    } ciphers[CIPHERS];
    struct used *used;
    size_t count, cap;
} memory;

static uint8_t *key_of(const struct pst_aead *a)
{
    for (size_t i = 0; i < CIPHERS; i++) {
        if (memory.ciphers[i].at == a) {
            return memory.ciphers[i].key;
        }
    }
    return NULL;
}

static pst_err remember_key(void *ctx, struct pst_aead *a, pst_aead_id id, const uint8_t *key)
{
    for (size_t i = 0; i < CIPHERS && key_of(a) == NULL; i++) {
        if (memory.ciphers[i].at == NULL) {
            memory.ciphers[i].at = a;
        }
    }
    CHECK(key_of(a) != NULL);
    memset(key_of(a), 0, PST_MAX_KEY);
    memcpy(key_of(a), key, pst_aead_row(id)->size);
    return pst_openssl_crypto()->aead_init(ctx, a, id, key);
}

static void forget_key(void *ctx, struct pst_aead *a)
{
    for (size_t i = 0; i < CIPHERS; i++) {
        if (memory.ciphers[i].at == a) {
            memory.ciphers[i].at = NULL;
        }
    }
    pst_openssl_crypto()->aead_wipe(ctx, a);
}

static pst_err remember_seal(void *ctx, struct pst_aead *a, const uint8_t iv[PST_IV_LEN],
                             const void *aad, size_t aad_len, void *data, size_t len,
                             uint8_t tag[PST_TAG_LEN])
{
    const uint8_t *key = key_of(a);

    CHECK(key != NULL);
    if (memory.count == memory.cap) {
        memory.cap = memory.cap > 0 ? 2 * memory.cap : 4096;
        memory.used = realloc(memory.used, memory.cap * sizeof *memory.used);
        CHECK(memory.used != NULL);
    }
    memcpy(memory.used[memory.count].key, key, PST_MAX_KEY);
    memcpy(memory.used[memory.count++].nonce, iv, PST_IV_LEN);
    return pst_openssl_crypto()->aead_seal(ctx, a, iv, aad, aad_len, data, len, tag);
}

static void memory_begin(void)
{
    memset(&memory, 0, sizeof memory);
    memory.crypto = *pst_openssl_crypto();
    memory.crypto.aead_init = remember_key;
    memory.crypto.aead_seal = remember_seal;
    memory.crypto.aead_wipe = forget_key;
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct used));
}

/* Returns the number of keys used. Fails if a key was used twice with the same nonce. */
static unsigned memory_check(void)
{
    unsigned keys = memory.count > 0;

    qsort(memory.used, memory.count, sizeof *memory.used, by_bytes);
    for (size_t i = 1; i < memory.count; i++) {
        const struct used *a = &memory.used[i - 1], *b = &memory.used[i];
        CHECK(memcmp(a, b, sizeof *a) != 0);
        keys += memcmp(a->key, b->key, PST_MAX_KEY) != 0;
    }
    free(memory.used);
    return keys;
}

/* --- two links a session --- */

static struct pst_link_traits data_traits;

static struct net *band_net(void)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    n->traits.mtu = 2048;
    data_traits = pst_stream_traits;
    data_traits.mtu = 1500;
    return n;
}

static uint32_t number(const struct net_side *s)
{
    return (uint32_t)(s - s->net->sides);
}

static void start(struct net_side *s)
{
    struct pst_target *t = &s->net->target;
    CHECK_EQ(pst_debugger_init(&s->dts, &s->config), PST_OK);
    CHECK_EQ(pst_target_link_up(t, number(s), &s->net->traits), PST_OK);
    CHECK_EQ(pst_target_link_up(t, DATA_LINK + number(s), &data_traits), PST_OK);
    s->up = true;
    CHECK_EQ(pst_debugger_start_data(&s->dts, &s->net->traits, &data_traits), PST_OK);
}

static void cut(struct net_side *s)
{
    net_cut(s);
    pst_target_link_down(&s->net->target, DATA_LINK + number(s));
}

static bool move_data(struct net_side *s)
{
    static uint8_t msg[65600];
    struct net *n = s->net;
    const uint32_t link = DATA_LINK + number(s);
    uint8_t kind = 0;
    bool moved = false;
    size_t len;

    while (s->up && (len = pst_debugger_output_data(&s->dts, &kind, msg, sizeof msg)) > 0) {
        CHECK(kind == PST_LINK_RECORD && len <= data_traits.mtu);
        moved = true;
        if (n->tamper != NULL && !n->tamper(n, true, &kind, msg, &len)) {
            continue;
        }
        (void)!pst_target_receive(&n->target, link, kind, msg, len);
    }
    while (s->up && (len = pst_target_output(&n->target, link, &kind, msg, sizeof msg)) > 0) {
        CHECK(kind == PST_LINK_RECORD && len <= data_traits.mtu);
        moved = true;
        (void)!pst_debugger_receive_data(&s->dts, kind, msg, len);
    }
    return moved;
}

static void run_for(struct net *n, uint64_t ms)
{
    const uint64_t end = n->now + ms;
    for (;;) {
        bool moved = true;
        while (moved) {
            net_run_for(n, 0);
            moved = false;
            for (unsigned i = 0; i < NET_SIDES; i++) {
                moved = (n->sides[i].up && move_data(&n->sides[i])) || moved;
            }
        }
        if (n->now >= end) {
            return;
        }
        n->now += 250 < end - n->now ? 250 : end - n->now;
    }
}

static struct net_side *join(struct net *n, unsigned i, const struct pst_identity *id)
{
    struct net_side *s = net_join(n, i, id, &net_keys.devices);
    start(s);
    run_for(n, 0);
    return s;
}

static struct net_side *ready(struct net *n)
{
    struct net_side *s = join(n, 0, &net_keys.ada);
    CHECK_EQ(pst_debugger_state(&s->dts), PST_DEBUGGER_READY);
    CHECK(n->contexts[0].data != NULL && n->contexts[0].data->bound);
    return s;
}

static pst_err op(struct net_side *s, bool write, uint64_t address, void *data, uint32_t len)
{
    struct pst_spp_op o = {.space = PST_AS_MEMORY, .address = address, .data = data, .len = len};
    s->net->lines_at_effect = s->net->lines;
    if (write) {
        pst_debugger_write(&s->dts, &o);
    } else {
        pst_debugger_read(&s->dts, &o);
    }
    run_for(s->net, 0);
    if (o.result == PST_PENDING) {
        cut(s);
    }
    return o.result;
}

static void test_session(void **state)
{
    struct net *n = band_net();
    static uint8_t big[30000], back[30000];
    struct pst_test_rng rng = {.state = 1};
    (void)state;

    struct net_side *s = ready(n);
    pst_test_rng_fill(&rng, big, sizeof big);
    const unsigned management = s->messages_out;
    CHECK_EQ(op(s, true, NET_RAM_AT, big, sizeof big), PST_OK);
    CHECK_EQ(op(s, false, NET_RAM_AT, back, sizeof back), PST_OK);
    CHECK_BYTES(back, big, sizeof big);
    CHECK_EQ(s->messages_out, management); /* none of it went there */
    n->run_event = true;
    run_for(n, 0);
    CHECK_EQ(s->events, 1); /* the data link pushes */
    run_for(n, 60000);
    CHECK_EQ(pst_debugger_state(&s->dts), PST_DEBUGGER_READY); /* heartbeats go on */
    pst_debugger_stop(&s->dts);
    run_for(n, 0);
    CHECK_EQ(pst_debugger_why(&s->dts), PST_OK);
    CHECK(net_logged(n, "\"reason\":\"ended by the engineer\""));
    CHECK(pst_target_wants_close(&n->target, DATA_LINK));
    CHECK(n->paths[0].context == NULL);
    cut(s);
    net_free(n);
}

/* The end of either link ends the session. So does silence on the management link, even if the data
 * link is busy. */
static void test_ends(void **state)
{
    static const struct pst_data nothing;
    uint8_t word[4];
    (void)state;

    for (unsigned how = 0; how < 3; how++) {
        struct net *n = band_net();
        struct net_side *s = ready(n);
        if (how == 0) {
            pst_target_link_down(&n->target, DATA_LINK);
        } else if (how == 1) {
            pst_target_link_down(&n->target, 0);
            CHECK(pst_target_wants_close(&n->target, DATA_LINK));
        } else {
            for (unsigned i = 0; i < 60; i++) { /* only the data link moves */
                struct pst_spp_op o = {
                    .space = PST_AS_MEMORY, .address = NET_RAM_AT, .data = word, .len = 4};
                pst_debugger_read(&s->dts, &o);
                (void)move_data(s);
                CHECK(o.result != PST_PENDING || n->contexts[0].phase == PST_CONTEXT_FREE);
                n->now += 250;
                (void)pst_target_poll(&n->target);
                if (o.result == PST_PENDING) {
                    cut(s);
                    break;
                }
            }
        }
        CHECK_EQ(n->contexts[0].phase, PST_CONTEXT_FREE);
        CHECK(n->paths[0].context == NULL && !n->paths[0].records.record.send.ready);
        CHECK_BYTES(n->paths[0].records.secret, nothing.secret, sizeof nothing.secret);
        CHECK_BYTES(n->paths[0].records.record.send.iv, nothing.record.send.iv, PST_IV_LEN);
        CHECK(net_logged(n, "\"event\":\"end\""));
        cut(s);
        CHECK_BYTES(s->dts.data.records.secret, nothing.secret, sizeof nothing.secret);
        CHECK(ready(n) != NULL);
        net_free(n);
    }
}

/* The data link delivers nothing, or nothing that opens, while management works: the session must
 * end and the debugger must not wait forever. A link that is only idle continues. */
static void test_silence(void **state)
{
    uint8_t word[4];
    (void)state;

    struct net *n = band_net();
    struct net_side *s = ready(n);
    struct pst_spp_op o = {.space = PST_AS_MEMORY, .address = NET_RAM_AT, .data = word, .len = 4};
    run_for(n, 600000);
    CHECK_EQ(pst_debugger_state(&s->dts), PST_DEBUGGER_READY);
    pst_debugger_read(&s->dts, &o);
    net_run_for(n, 20000); /* the management only */
    CHECK_EQ(o.result, PST_PENDING);
    CHECK_EQ(pst_debugger_state(&s->dts), PST_DEBUGGER_READY);
    net_run_for(n, 60000);
    CHECK_EQ(pst_debugger_why(&s->dts), PST_ERR_TIMEOUT);
    CHECK_EQ(o.result, PST_ERR_CLOSED);
    cut(s);
    net_free(n);
}

static bool keep(struct net *n, bool to_target, uint8_t *kind, uint8_t *msg, size_t *len)
{
    if (to_target && *kind == PST_LINK_RECORD && n->kept_len == 0) {
        memcpy(n->kept, msg, *len);
        n->kept_len = *len;
    }
    return true;
}

static void inject(struct net *n, uint32_t link, const uint8_t *at, size_t len)
{
    uint8_t copy[8192];
    memcpy(copy, at, len);
    (void)!pst_target_receive(&n->target, link, PST_LINK_RECORD, copy, len);
}

/* Records of one link on the other one, replayed on the data link, on a third link, and junk. */
static void test_confused(void **state)
{
    uint8_t word[4] = {1, 2, 3, 4};
    (void)state;

    for (unsigned shared = 0; shared < 2; shared++) {
        struct net *n = band_net();
        if (shared) {
            data_traits.shared = n->traits.shared = true;
        }
        if (shared) {
            data_traits.sequence_len = n->traits.sequence_len = 8;
        }
        struct net_side *s = ready(n);
        n->tamper = keep;
        CHECK_EQ(op(s, true, NET_RAM_AT, word, 4), PST_OK);
        n->tamper = NULL;
        CHECK(n->kept_len > 0);
        CHECK_EQ(pst_target_link_up(&n->target, 50, &data_traits), PST_OK);
        const unsigned effects = n->effects;
        inject(n, 50, n->kept, n->kept_len); /* it is bound to its link */
        n->kept[0] ^= 1;
        inject(n, DATA_LINK, n->kept, n->kept_len); /* of no session */
        n->kept[0] ^= 1;
        CHECK_EQ(n->contexts[0].phase, PST_CONTEXT_LIVE);
        CHECK_EQ(op(s, true, NET_RAM_AT, word, 4), PST_OK);
        /* Now replayed on its own link, and on the management link: there it is a forgery. */
        inject(n, shared ? 0 : DATA_LINK, n->kept, n->kept_len);
        CHECK_EQ(n->contexts[0].phase, shared ? PST_CONTEXT_LIVE : PST_CONTEXT_FREE);
        if (shared) {
            inject(n, DATA_LINK, n->kept, n->kept_len);
            CHECK_EQ(n->contexts[0].phase, PST_CONTEXT_LIVE);
            CHECK_EQ(op(s, false, NET_RAM_AT, word, 4), PST_OK);
            CHECK_EQ(n->effects, effects + 1);
        }
        cut(s);
        net_free(n);
    }
}

static bool no_data(struct net *n, bool to_target, uint8_t *kind, uint8_t *msg, size_t *len)
{
    uint32_t id = 0;
    (void)n;
    /* Sealed messages on a data link before FINISH, and with the wrong keys. */
    if (to_target && *kind == PST_LINK_RECORD && pst_record_session(msg, *len, &id) == PST_OK) {
        inject(n, DATA_LINK, msg, *len);
        inject(n, 51, msg, *len);
    }
    return true;
}

static void test_before_finish(void **state)
{
    struct net *n = band_net();
    uint8_t word[4];
    (void)state;

    CHECK_EQ(pst_target_link_up(&n->target, 51, &data_traits), PST_OK);
    n->tamper = no_data;
    struct net_side *s = net_join(n, 0, &net_keys.ada, &net_keys.devices);
    start(s);
    net_run_for(n, 0); /* the management only */
    CHECK_EQ(pst_debugger_state(&s->dts), PST_DEBUGGER_ENABLING);
    CHECK_EQ(n->effects + n->reads + n->opened, 0);
    CHECK(n->contexts[0].data != NULL && !n->contexts[0].data->bound);
    n->tamper = NULL;
    run_for(n, 0);
    CHECK_EQ(pst_debugger_state(&s->dts), PST_DEBUGGER_READY);
    CHECK_EQ(op(s, false, NET_RAM_AT, word, 4), PST_OK);
    cut(s);
    net_free(n);
}

/* Forged records on a private data link end the session. On a shared link they are only counted and
 * both ends continue. */
static void test_forged(void **state)
{
    uint8_t word[4] = {0}, record[64] = {0};
    (void)state;

    for (unsigned shared = 0; shared < 2; shared++) {
        struct net *n = band_net();
        data_traits.shared = shared != 0;
        data_traits.sequence_len = shared ? 8 : 0;
        struct net_side *s = ready(n);
        pst_poke_u32(record, s->dts.record.session_id);
        if (shared) {
            pst_poke_u64(record + 4, s->dts.data.records.record.send.sequence);
            pst_poke_u16(record + 12, 40);
        } else {
            pst_poke_u16(record + 4, 40);
        }
        inject(n, DATA_LINK, record, shared ? 54 : 46);
        CHECK_EQ(n->contexts[0].phase, shared ? PST_CONTEXT_LIVE : PST_CONTEXT_FREE);
        pst_err err = pst_debugger_receive_data(&s->dts, PST_LINK_RECORD, record, shared ? 54 : 46);
        CHECK_EQ(err == PST_OK, shared != 0);
        CHECK_EQ(pst_debugger_state(&s->dts), shared ? PST_DEBUGGER_READY : PST_DEBUGGER_CLOSED);
        if (shared) {
            CHECK_EQ(op(s, true, NET_RAM_AT, word, 4), PST_OK);
        }
        cut(s);
        net_free(n);
    }
}

/* A session without a data link, although it could have one: an attacker who knows its id, which is
 * not secret, cannot end it from another link. */
static void test_forged_elsewhere(void **state)
{
    struct net *n = band_net();
    uint8_t word[4] = {0}, record[64] = {0};
    (void)state;

    n->traits.native = true;
    struct net_side *s = net_connect(n, 0, &net_keys.ada);
    CHECK(n->contexts[0].data != NULL);
    CHECK_EQ(pst_target_link_up(&n->target, 50, &data_traits), PST_OK);
    pst_poke_u32(record, s->dts.record.session_id);
    pst_poke_u16(record + 4, 40);
    for (unsigned i = 0; i < 70000; i++) {
        inject(n, 50, record, 46);
    }
    CHECK_EQ(n->contexts[0].phase, PST_CONTEXT_LIVE);
    CHECK_EQ(net_op(s, false, PST_AS_MEMORY, NET_RAM_AT, word, 4), PST_OK);
    net_free(n);
}

/* A TS has no room for another data link, or supports none: debug data then goes in SPDM messages,
 * if the DTS asks for that. */
static void test_no_path(void **state)
{
    struct net *n = band_net();
    uint8_t word[4];
    (void)state;

    n->config.path_count = 0;
    struct net_side *s = join(n, 0, &net_keys.ada);
    run_for(n, 11000);
    CHECK_EQ(pst_debugger_why(&s->dts), PST_ERR_TIMEOUT);
    cut(s);
    run_for(n, 15000);
    n->traits.native = true;
    s = net_connect(n, 0, &net_keys.ada);
    CHECK_EQ(net_op(s, false, PST_AS_MEMORY, NET_RAM_AT, word, 4), PST_OK);
    net_free(n);
}

static void test_held(void **state)
{
    struct net *n = band_net();
    uint8_t word[4];
    (void)state;

    struct net_side *a = ready(n);
    struct net_side *b = join(n, 1, &net_keys.olga);
    CHECK_EQ(pst_debugger_why(&b->dts), PST_ERR_BUSY);
    CHECK(strstr(b->dts.who, "held by ada") != NULL);
    CHECK_EQ(op(a, false, NET_RAM_AT, word, 4), PST_OK);
    cut(b);
    run_for(n, 10000);
    CHECK(n->paths[1].context == NULL);
    cut(a);
    net_free(n);
}

/* --- (key, nonce) --- */

static struct net_side *remembered(struct net *n, unsigned i, const struct pst_identity *id)
{
    struct net_side *s = net_join(n, i, id, &net_keys.devices);
    s->spdm.crypto = &memory.crypto;
    s->config.rekey_after = 8;
    return s;
}

static void test_nothing_recurs(void **state)
{
    struct net *n = band_net();
    uint8_t word[4] = {1};
    (void)state;

    memory_begin();
    n->spdm.crypto = &memory.crypto;
    n->policy.share_read_only = true;
    CHECK_EQ(pst_target_init(&n->target, &n->config, n->contexts, n->buffers, NET_CONTEXTS),
             PST_OK);
    for (unsigned round = 0; round < 3; round++) {
        struct net_side *a = remembered(n, 0, &net_keys.ada);
        start(a);
        run_for(n, 0);
        CHECK_EQ(pst_debugger_state(&a->dts), PST_DEBUGGER_READY);
        struct net_side *b = remembered(n, 1, &net_keys.olga); /* beside it, on two links too */
        start(b);
        run_for(n, 0);
        n->traits.native = round == 1; /* and one that is native, or in band */
        struct net_side *c = remembered(n, 2, &net_keys.ada);
        net_start(c);
        run_for(n, 0);
        CHECK_EQ(pst_debugger_state(&b->dts), PST_DEBUGGER_READY);
        CHECK_EQ(pst_debugger_state(&c->dts), PST_DEBUGGER_READY);
        const unsigned records = round == 0 ? 2 * PST_DATA_RATCHET + 100 : 200;
        for (unsigned i = 0; i < records; i++) {
            struct pst_spp_op o = {
                .space = PST_AS_MEMORY, .address = NET_RAM_AT, .data = word, .len = 4};
            pst_debugger_read(&a->dts, &o);
            (void)move_data(a);
            CHECK_EQ(o.result, PST_OK);
        }
        CHECK_EQ(op(a, true, NET_RAM_AT, word, 4), PST_OK);
        for (unsigned i = 0; i < 30; i++) {
            CHECK_EQ(op(b, false, NET_RAM_AT, word, 4), PST_OK);
            CHECK_EQ(op(c, false, NET_RAM_AT, word, 4), PST_OK);
        }
        run_for(n, 60000); /* heartbeats, and the key updates they lead to */
        CHECK_EQ(pst_debugger_state(&a->dts), PST_DEBUGGER_READY);
        CHECK(a->dts.record.send.sequence < 20);
        cut(a);
        cut(b);
        net_cut(c);
        run_for(n, 1000);
    }
    net_free(n);
    CHECK(memory.count > 4 * PST_DATA_RATCHET);
    CHECK(memory_check() > 40);
}

/* Checks the recorder itself. */
static void test_recorder(void **state)
{
    static const uint8_t key[PST_MAX_KEY] = {1}, nonce[2][PST_IV_LEN] = {{1}, {2}};
    struct pst_aead a;
    uint8_t tag[PST_TAG_LEN];
    (void)state;

    memory_begin();
    CHECK_EQ(remember_key(NULL, &a, PST_AES_128_GCM, key), PST_OK);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(remember_seal(NULL, &a, nonce[i % 2], "", 0, tag, 0, tag), PST_OK);
    }
    forget_key(NULL, &a);
    qsort(memory.used, memory.count, sizeof *memory.used, by_bytes);
    CHECK_EQ(memory.count, 3);
    CHECK_EQ(by_bytes(&memory.used[0], &memory.used[1]), 0);
    CHECK(by_bytes(&memory.used[1], &memory.used[2]) != 0);
    free(memory.used);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_confused),
        cmocka_unit_test(test_before_finish),
        cmocka_unit_test(test_forged),
        cmocka_unit_test(test_forged_elsewhere),
        cmocka_unit_test(test_no_path),
        cmocka_unit_test(test_held),
        cmocka_unit_test(test_recorder),
        cmocka_unit_test(test_nothing_recurs),
    };
    return cmocka_run_group_tests(tests, net_keys_make, net_keys_free);
}
