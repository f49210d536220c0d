/* A hostile bridge that knows the protocol: it splices sessions, swaps devices, reflects, replays,
 * downgrades, forges, stalls, floods, repeats and reorders. It must never reach an access space,
 * the next honest session must open, and no secret may outlive its session. */
#include <jansson.h>

#include "ts/net.h"
#include "ts/ts.h"

static void check_open(const struct net_side *s)
{
    if (pst_debugger_state(&s->dts) != PST_DEBUGGER_READY) {
        fprintf(stderr, "state %d why %d\n", (int)pst_debugger_state(&s->dts),
                (int)pst_debugger_why(&s->dts));
    }
    CHECK_EQ(pst_debugger_state(&s->dts), PST_DEBUGGER_READY);
}

/* After each attack an honest engineer must get a session. */
static void check_next_opens(struct net *n)
{
    n->tamper = NULL;
    for (unsigned i = 0; i < NET_SIDES; i++) {
        net_cut(&n->sides[i]);
    }
    net_run_for(n, 15000);
    for (unsigned i = 0; i < NET_CONTEXTS; i++) {
        CHECK_EQ(n->contexts[i].phase, PST_CONTEXT_FREE);
    }
    check_open(net_connect(n, 0, &net_keys.ada));
}

static bool keep_record(struct net *n, bool to_target, uint8_t *kind, uint8_t *msg, size_t *len)
{
    if (to_target != (n->seen == 0) || *kind != PST_LINK_RECORD || n->kept_len > 0) {
        return true;
    }
    memcpy(n->kept, msg, *len);
    n->kept_len = *len;
    return false; /* held back */
}

/* Starts an operation and removes its record, or the answer, from the link. */
static void take_record(struct net *n, struct net_side *s, bool to_target, struct pst_spp_op *op)
{
    n->kept_len = 0;
    n->seen = to_target ? 0 : 1;
    n->tamper = keep_record;
    pst_debugger_read(&s->dts, op);
    net_run_for(n, 0);
    n->tamper = NULL;
    CHECK(n->kept_len > 0);
}

static void test_splice(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    uint8_t word[4], copy[256];
    (void)state;

    n->policy.share_read_only = true;
    struct net_side *a = net_connect(n, 0, &net_keys.ada), *b = net_connect(n, 1, &net_keys.olga);
    check_open(a);
    check_open(b);
    struct pst_spp_op op = {.space = PST_AS_MEMORY, .address = NET_RAM_AT, .data = word, .len = 4};
    take_record(n, a, true, &op);
    CHECK(n->kept_len <= sizeof copy);
    unsigned reads = n->reads;
    memcpy(copy, n->kept, n->kept_len); /* A's record on B's link: there is no such session */
    CHECK_EQ(pst_target_receive(&n->target, 1, PST_LINK_RECORD, copy, n->kept_len), PST_OK);
    check_open(b);
    memcpy(copy, n->kept,
           n->kept_len); /* with B's session id: the forged record ends B's session */
    pst_poke_u32(copy, n->contexts[1].session_id);
    (void)!pst_target_receive(&n->target, 1, PST_LINK_RECORD, copy, n->kept_len);
    net_run_for(n, 0);
    CHECK_EQ(n->reads, reads);
    CHECK_EQ(pst_debugger_state(&b->dts), PST_DEBUGGER_CLOSED);
    check_open(a); /* A only misses a record */
    net_cut(a);
    CHECK_EQ(op.result, PST_ERR_CLOSED);
    check_next_opens(n);
    net_free(n);
}

static void test_answers_of_another_session(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    uint8_t word[4] = {0};
    (void)state;

    n->policy.share_read_only = true;
    memset(n->ram, 0x5A, sizeof n->ram);
    struct net_side *a = net_connect(n, 0, &net_keys.ada), *b = net_connect(n, 1, &net_keys.ada);
    struct pst_spp_op op = {.space = PST_AS_MEMORY, .address = NET_RAM_AT, .data = word, .len = 4};
    take_record(n, a, false, &op);
    (void)!pst_debugger_receive(&b->dts, PST_LINK_RECORD, n->kept, n->kept_len);
    CHECK_EQ(pst_debugger_state(&b->dts), PST_DEBUGGER_CLOSED);
    CHECK_EQ(op.result, PST_PENDING);
    net_cut(a);
    check_next_opens(n);
    net_free(n);
}

/* --- two devices behind one link --- */

/* Moves messages between a DTS and the target of either net; the first `turn` messages with the
 * first net. */
static void run_between(struct net_side *s, struct net *first, struct net *second, unsigned turn)
{
    static uint8_t msg[65600];
    uint8_t kind;
    unsigned moved = 0;
    size_t len;

    for (unsigned idle = 0; idle < 2;) {
        idle++;
        while ((len = pst_debugger_output(&s->dts, &kind, msg, sizeof msg)) > 0) {
            struct net *n = moved++ < turn ? first : second;
            (void)!pst_target_receive(&n->target, 0, kind, msg, len);
            idle = 0;
        }
        struct net *n = moved <= turn ? first : second;
        while ((len = pst_target_output(&n->target, 0, &kind, msg, sizeof msg)) > 0) {
            (void)!pst_debugger_receive(&s->dts, kind, msg, len);
            idle = 0;
        }
    }
}

static bool swap_after(const struct pst_identity *other, unsigned turn)
{
    struct net *first = net_new(&net_keys.pump, "debug"), *second = net_new(other, "debug");
    struct net_side *s = net_join(first, 0, &net_keys.ada, &net_keys.devices);

    CHECK_EQ(pst_debugger_init(&s->dts, &s->config), PST_OK);
    CHECK_EQ(pst_target_link_up(&first->target, 0, &first->traits), PST_OK);
    CHECK_EQ(pst_target_link_up(&second->target, 0, &second->traits), PST_OK);
    CHECK_EQ(pst_debugger_start(&s->dts, &first->traits), PST_OK);
    run_between(s, first, second, turn);
    bool ready = pst_debugger_state(&s->dts) == PST_DEBUGGER_READY;
    if (turn == 0 && other != &net_keys.pump) {
        CHECK_EQ(pst_debugger_why(&s->dts), PST_ERR_IDENTITY);
    }
    CHECK(turn == 0 || second->opened == 0); /* another device cannot continue the handshake */
    CHECK_EQ(second->reads + second->effects, 0);
    net_free(second);
    net_free(first);
    return ready;
}

static void test_swapped_devices(void **state)
{
    unsigned turn = 0;
    (void)state;
    CHECK(!swap_after(&net_keys.pump43, 0));
    for (turn = 1; turn < 60 && !swap_after(&net_keys.pump43, turn); turn++) {
    }
    CHECK(turn > 5 && turn < 60);         /* here nothing was swapped in the end */
    for (unsigned i = 1; i < turn; i++) { /* the same device, restarted in the middle */
        CHECK(!swap_after(&net_keys.pump, i));
    }
}

/* --- reflection, replay --- */

static bool reflect(struct net *n, bool to_target, uint8_t *kind, uint8_t *msg, size_t *len)
{
    static uint8_t copy[65600];
    if (n->seen == 0 || --n->seen != 0) {
        return true;
    }
    memcpy(copy, msg, *len);
    if (to_target) {
        (void)!pst_debugger_receive(&n->sides[0].dts, *kind, copy, *len);
    } else {
        (void)!pst_target_receive(&n->target, 0, *kind, copy, *len);
    }
    return true;
}

static void test_reflection(void **state)
{
    (void)state;
    for (unsigned at = 1; at < 50; at++) {
        struct net *n = net_new(&net_keys.pump, "debug");
        uint8_t word[4] = {0};
        memset(n->ram, 0x5A, sizeof n->ram);
        n->seen = at;
        n->tamper = reflect;
        struct net_side *s = net_connect(n, 0, &net_keys.ada);
        if (pst_debugger_state(&s->dts) != PST_DEBUGGER_CLOSED &&
            net_op(s, false, PST_AS_MEMORY, NET_RAM_AT, word, 4) == PST_OK) {
            CHECK_BYTES(word, n->ram, 4);
        }
        CHECK_EQ(n->effects, 0);
        check_next_opens(n);
        net_free(n);
    }
}

#define TAPE 128
static struct tape {
    uint8_t kind[TAPE], msg[TAPE][4400];
    size_t len[TAPE];
    unsigned count;
} tape;

static bool record_all(struct net *n, bool to_target, uint8_t *kind, uint8_t *msg, size_t *len)
{
    (void)n;
    if (to_target && tape.count < TAPE) {
        CHECK(*len <= sizeof tape.msg[0]);
        tape.kind[tape.count] = *kind;
        tape.len[tape.count] = *len;
        memcpy(tape.msg[tape.count++], msg, *len);
    }
    return true;
}

static void test_replayed_session(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    uint8_t word[4] = {1, 2, 3, 4}, out[8192], kind;
    (void)state;

    tape.count = 0;
    n->tamper = record_all;
    struct net_side *s = net_connect(n, 0, &net_keys.ada);
    check_open(s);
    CHECK_EQ(net_op(s, true, PST_AS_MEMORY, NET_RAM_AT, word, 4), PST_OK);
    net_cut(s);
    n->tamper = NULL;
    net_run_for(n, 1000);
    unsigned opened = n->opened, effects = n->effects;
    CHECK(tape.count > 5 && tape.count < TAPE);
    for (uint32_t link = 0; link < 8; link += 7) { /* the same link, another one */
        CHECK_EQ(pst_target_link_up(&n->target, link, &n->traits), PST_OK);
        for (unsigned i = 0; i < tape.count; i++) {
            static uint8_t copy[4400];
            memcpy(copy, tape.msg[i], tape.len[i]);
            (void)!pst_target_receive(&n->target, link, tape.kind[i], copy, tape.len[i]);
            while (pst_target_output(&n->target, link, &kind, out, sizeof out) > 0) {
            }
        }
        CHECK(!net_held(n));
        pst_target_link_down(&n->target, link);
    }
    CHECK_EQ(n->opened, opened);
    CHECK_EQ(n->effects, effects);
    check_next_opens(n);
    net_free(n);
}

/* --- downgrades: clear SPDM messages changed in transit --- */

static struct {
    bool to_target;
    uint8_t code, bit;
    size_t at;
    bool set; /* to 0 */
    bool done, too_far;
} change;

/* Finds the SPDM message in a batch: after a FullSPP header, at its version byte. */
static uint8_t *find_spdm(uint8_t *msg, size_t len, uint8_t code)
{
    for (size_t i = PST_SPP_FULL_HEADER; i + 4 <= len; i++) {
        if (msg[i] >= 0x10 && msg[i] <= 0x13 && msg[i + 1] == code && i % 4 == 0) {
            return msg + i;
        }
    }
    return NULL;
}

static bool change_one(struct net *n, bool to_target, uint8_t *kind, uint8_t *msg, size_t *len)
{
    (void)n;
    if (to_target != change.to_target || *kind != PST_LINK_CLEAR || change.done) {
        return true;
    }
    uint8_t *spdm = find_spdm(msg, *len, change.code);
    if (spdm == NULL) {
        return true;
    }
    change.done = true;
    change.too_far = (size_t)(msg + *len - spdm) <= change.at;
    if (change.too_far) {
        return true;
    }
    if (change.set) {
        spdm[change.at] = 0;
    } else {
        spdm[change.at] ^= change.bit;
    }
    return true;
}

static void check_downgrade(struct net *n, bool to_target, uint8_t code, size_t at, uint8_t bit,
                            bool set)
{
    memset(&change, 0, sizeof change);
    change.to_target = to_target;
    change.code = code;
    change.at = at;
    change.bit = bit;
    change.set = set;
    n->tamper = change_one;
    struct net_side *s = net_connect(n, 0, &net_keys.ada);
    if (!change.too_far) {
        CHECK(change.done);
        if (pst_debugger_state(&s->dts) == PST_DEBUGGER_READY) {
            fprintf(stderr, "code %02x byte %zu bit %02x\n", code, at, bit);
        }
        CHECK(pst_debugger_state(&s->dts) != PST_DEBUGGER_READY);
        CHECK_EQ(n->opened + n->reads + n->effects, 0);
        CHECK(!net_logged(n, "\"event\":\"open\""));
    }
    n->tamper = NULL;
    net_cut(s);
    net_run_for(n, 0);
    if (change.too_far) {
        n->opened = n->released = n->lines = 0;
    }
}

static void test_downgrade(void **state)
{
    /* The heads of DIGESTS and CERTIFICATE are in no transcript of KEY_EXCHANGE, and say nothing
     * that is relied on; what they carry is bound by the chain's hash. */
    static const struct {
        bool to_target;
        uint8_t code;
        size_t from, len;
    } clear[] = {
        {true,  PST_GET_VERSION,          0, 4  },
        {false, PST_VERSION,              0, 10 },
        {true,  PST_GET_CAPABILITIES,     0, 20 },
        {false, PST_CAPABILITIES,         0, 20 },
        {true,  PST_NEGOTIATE_ALGORITHMS, 0, 48 },
        {false, PST_ALGORITHMS,           0, 52 },
        {false, PST_DIGESTS,              4, 36 },
        {false, PST_CERTIFICATE,          8, 80 },
        {true,  PST_KEY_EXCHANGE,         0, 110},
        {false, PST_KEY_EXCHANGE_RSP,     0, 110},
    };
    (void)state;
    for (size_t i = 0; i < sizeof clear / sizeof *clear; i++) {
        struct net *n = net_new(&net_keys.pump, "debug");
        for (size_t at = clear[i].from; at < clear[i].len; at += at < 56 ? 1 : 7) {
            check_downgrade(n, clear[i].to_target, clear[i].code, at, (uint8_t)(1u << (at % 8)),
                            false);
        }
        check_next_opens(n);
        net_free(n);
    }
}

static void test_mutual_stripped(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    (void)state;
    check_downgrade(n, false, PST_KEY_EXCHANGE_RSP, 6, 0, true); /* MutAuthRequested */
    check_downgrade(n, true, PST_GET_CAPABILITIES, 9, 0, true);  /* MUT_AUTH_CAP and neighbours */
    check_downgrade(n, false, PST_CAPABILITIES, 9, 0, true);
    check_next_opens(n);
    net_free(n);
}

/* --- forgery by one without keys --- */

static void forge(struct net *n, struct net_side *s, bool survives)
{
    uint8_t record[64], word[4];
    struct pst_spp_op op = {.space = PST_AS_MEMORY, .address = NET_RAM_AT, .data = word, .len = 4};

    check_open(s);
    for (unsigned to_target = 0; to_target < 2; to_target++) {
        take_record(n, s, true, &op); /* the request never arrives: any answer is forged */
        memset(record, 0, sizeof record);
        pst_poke_u32(record, s->dts.record.session_id);
        record[4 + n->traits.sequence_len] = 40;
        if (to_target) {
            (void)!pst_target_receive(&n->target, 0, PST_LINK_RECORD, record, 48);
        } else {
            (void)!pst_debugger_receive(&s->dts, PST_LINK_RECORD, record, 48);
        }
        (void)!pst_debugger_receive(&s->dts, PST_LINK_CLEAR, record, 48);
        net_run_for(n, 0);
        CHECK(op.result != PST_OK);
        if (!survives) {
            CHECK_EQ(pst_debugger_state(&s->dts), PST_DEBUGGER_CLOSED);
        }
        net_cut(s);
        net_run_for(n, 1000);
        s = net_connect(n, 0, &net_keys.ada);
        check_open(s);
        op = (struct pst_spp_op){
            .space = PST_AS_MEMORY, .address = NET_RAM_AT, .data = word, .len = 4};
    }
    CHECK_EQ(n->effects, 0);
}

static void test_forgery(void **state)
{
    (void)state;
    for (int shared = 0; shared < 2; shared++) {
        struct net *n = net_new(&net_keys.pump, "debug");
        n->traits.shared = shared != 0;
        n->traits.sequence_len = shared != 0 ? 8 : 0; /* as pst_link_agree says */
        struct net_side *s = net_connect(n, 0, &net_keys.ada);
        forge(n, s, shared != 0);
        net_free(n);
    }
}

/* Sends a forged record with the same session id and number before each record, and the record
 * again after it. On a shared link both are only counted, for every kind of management. */
static bool inject_before(struct net *n, bool to_target, uint8_t *kind, uint8_t *msg, size_t *len)
{
    static uint8_t forged[2][65600];
    struct net_side *s = &n->sides[0];

    if (*kind != PST_LINK_RECORD) {
        return true;
    }
    for (unsigned i = 0; i < 2; i++) {
        memcpy(forged[i], msg, *len);
    }
    forged[0][*len - 1] ^= 1;
    if (to_target) {
        CHECK_EQ(pst_target_receive(&n->target, 0, *kind, forged[0], *len), PST_OK);
        CHECK_EQ(pst_target_receive(&n->target, 0, *kind, msg, *len), PST_OK);
        CHECK_EQ(pst_target_receive(&n->target, 0, *kind, forged[1], *len), PST_OK);
    } else {
        CHECK_EQ(pst_debugger_receive(&s->dts, *kind, forged[0], *len), PST_OK);
        CHECK_EQ(pst_debugger_receive(&s->dts, *kind, msg, *len), PST_OK);
        if (pst_debugger_state(&s->dts) != PST_DEBUGGER_CLOSED) {
            CHECK_EQ(pst_debugger_receive(&s->dts, *kind, forged[1], *len), PST_OK);
        }
    }
    n->seen++;
    return false;
}

static void test_injected(void **state)
{
    uint8_t word[4] = {1, 2, 3, 4};
    (void)state;

    for (unsigned native = 0; native < 2; native++) {
        struct net *n = net_new(&net_keys.pump, "debug");
        n->traits.shared = true;
        n->traits.sequence_len = 8;
        n->traits.native = native != 0;
        n->tamper = inject_before;
        struct net_side *s = net_connect(n, 0, &net_keys.ada);
        check_open(s);
        for (unsigned i = 0; i < 20; i++) {
            CHECK_EQ(net_op(s, true, PST_AS_MEMORY, NET_RAM_AT + 4 * i, word, 4), PST_OK);
            CHECK_EQ(net_op(s, false, PST_AS_MEMORY, NET_RAM_AT + 4 * i, word, 4), PST_OK);
        }
        CHECK_EQ(n->effects, 20);
        pst_debugger_stop(&s->dts);
        net_run_for(n, 0);
        CHECK_EQ(pst_debugger_why(&s->dts), PST_OK);
        CHECK(n->seen > 80);
        net_free(n);
    }
}

/* --- stalls, and what is left in memory --- */

#define SECRETS 512
static struct {
    struct pst_crypto crypto;
    uint8_t secret[SECRETS][16];
    unsigned count;
} spy;

static void note_secret(const void *at, size_t len)
{
    static const uint8_t zeros[16];
    if (len >= 16 && memcmp(at, zeros, 16) != 0 && spy.count < SECRETS) {
        memcpy(spy.secret[spy.count++], at, 16);
    }
}

static pst_err spy_hmac(void *ctx, pst_hash_id id, const void *key, size_t key_len,
                        const void *data, size_t len, uint8_t *out)
{
    note_secret(key, key_len);
    return pst_openssl_crypto()->hmac(ctx, id, key, key_len, data, len, out);
}

static pst_err spy_aead_init(void *ctx, struct pst_aead *a, pst_aead_id id, const uint8_t *key)
{
    note_secret(key, pst_aead_row(id)->size);
    return pst_openssl_crypto()->aead_init(ctx, a, id, key);
}

static pst_err spy_dh_shared(void *ctx, const struct pst_dh_key *key, const uint8_t *peer_value,
                             uint8_t *secret)
{
    pst_err err = pst_openssl_crypto()->dh_shared(ctx, key, peer_value, secret);
    if (err == PST_OK) {
        note_secret(secret, 32);
    }
    return err;
}

static unsigned count_secrets(const void *at, size_t len)
{
    const uint8_t *bytes = at;
    unsigned found = 0;
    for (size_t i = 0; i + 16 <= len; i++) {
        for (unsigned k = 0; k < spy.count; k++) {
            found += bytes[i] == spy.secret[k][0] && memcmp(bytes + i, spy.secret[k], 16) == 0;
        }
    }
    return found;
}

static unsigned count_in(const struct net *n, const struct net_side *s, bool target)
{
    if (!target) {
        return count_secrets(&s->dts, sizeof s->dts) + count_secrets(s->mailbox, sizeof s->mailbox);
    }
    return count_secrets(n->contexts, sizeof n->contexts) +
           count_secrets(n->mailbox, sizeof n->mailbox) + count_secrets(n->queue, sizeof n->queue) +
           count_secrets(&n->target, sizeof n->target);
}

static struct net *net_spied(void)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    memset(&spy, 0, sizeof spy);
    spy.crypto = *pst_openssl_crypto();
    spy.crypto.hmac = spy_hmac;
    spy.crypto.aead_init = spy_aead_init;
    spy.crypto.dh_shared = spy_dh_shared;
    n->spdm.crypto = &spy.crypto;
    CHECK_EQ(pst_target_init(&n->target, &n->config, n->contexts, n->buffers, NET_CONTEXTS),
             PST_OK);
    return n;
}

static struct net_side *connect_spied(struct net *n)
{
    struct net_side *s = net_join(n, 0, &net_keys.ada, &net_keys.devices);
    s->spdm.crypto = &spy.crypto;
    net_start(s);
    net_run_for(n, 0);
    return s;
}

static void test_secrets_are_wiped(void **state)
{
    uint8_t word[4] = {1, 2, 3, 4};
    (void)state;
    for (int how = 0; how < 4; how++) {
        struct net *n = net_spied();
        struct net_side *s = connect_spied(n);
        check_open(s);
        CHECK_EQ(net_op(s, true, PST_AS_MEMORY, NET_RAM_AT, word, 4), PST_OK);
        CHECK(spy.count > 10 && spy.count < SECRETS);
        CHECK(count_in(n, s, true) > 0 &&
              count_in(n, s, false) > 0); /* checks that the search works */
        if (how == 0) {
            net_cut(s);
        } else if (how == 1) {
            pst_debugger_stop(&s->dts);
        } else if (how == 2) {
            s->up = false; /* silence: the heartbeat ends it */
            net_run_for(n, 30000);
            s->up = true;
            net_cut(s);
        } else {
            (void)!pst_target_stop(&n->target, PST_ERR_LIMIT);
            net_cut(s);
        }
        net_run_for(n, 1000);
        CHECK_EQ(count_in(n, s, true), 0);
        CHECK_EQ(count_in(n, s, false), 0);
        net_free(n);
    }
}

static bool stall(struct net *n, bool to_target, uint8_t *kind, uint8_t *msg, size_t *len)
{
    (void)to_target;
    (void)kind;
    (void)msg;
    (void)len;
    return n->seen > 0 && n->seen-- > 0;
}

/* The link is dead from a certain message on: both sides time out and leave nothing behind. */
static void test_stalls(void **state)
{
    (void)state;
    for (unsigned at = 0; at < 40; at++) {
        struct net *n = net_spied();
        n->seen = at;
        n->tamper = stall;
        struct net_side *s = connect_spied(n);
        bool ready = pst_debugger_state(&s->dts) == PST_DEBUGGER_READY;
        net_run_for(n, 25000);
        CHECK(pst_debugger_state(&s->dts) == PST_DEBUGGER_CLOSED);
        for (unsigned i = 0; i < NET_CONTEXTS; i++) {
            CHECK_EQ(n->contexts[i].phase, PST_CONTEXT_FREE);
        }
        CHECK_EQ(count_in(n, s, true) + count_in(n, s, false), 0);
        check_next_opens(n);
        net_free(n);
        if (ready) {
            return;
        }
    }
    CHECK(!"a session never opened");
}

/* --- floods --- */

static size_t get_version(uint8_t *out, size_t cap)
{
    static uint8_t spdm[4] = {0x10, PST_GET_VERSION, 0, 0}, four[4] = {4, 0, 0, 0};
    struct pst_writer w = pst_writer_of(out, cap);
    struct pst_spp_packet p = {
        .style = PST_SPP_FULL, .opcode = PST_SPP_INIT, .immediate = true, .last = true};
    size_t len;

    pst_spp_put_command(&w, &p);
    p.opcode = PST_SPP_WRITE;
    p.space = PST_AS_SCM;
    p.count = 4;
    p.address = PST_SCM_DATA;
    p.data = (struct pst_bytes){spdm, 4};
    pst_spp_put_command(&w, &p);
    p.address = PST_SCM_GO;
    p.data = (struct pst_bytes){four, 4};
    pst_spp_put_command(&w, &p);
    p.opcode = PST_SPP_READ;
    p.address = PST_SCM_RESPONSE;
    p.count = 64;
    p.data = (struct pst_bytes){NULL, 0};
    pst_spp_put_command(&w, &p);
    CHECK_EQ(pst_written(&w, &len), PST_OK);
    return len;
}

static void test_flood_of_clear(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    struct net_side *s = net_connect(n, 0, &net_keys.ada);
    uint8_t msg[256], out[512], word[4], kind;
    unsigned answers = 0;
    (void)state;

    check_open(s);
    unsigned lines = n->lines;
    for (uint32_t link = 1; link < PST_TARGET_LINKS; link++) {
        CHECK_EQ(pst_target_link_up(&n->target, link, &n->traits), PST_OK);
    }
    for (unsigned round = 0; round < 20; round++) {
        for (uint32_t link = PST_TARGET_LINKS; link-- > 0;) {
            size_t len = get_version(msg, sizeof msg);
            pst_err err = pst_target_receive(&n->target, link, PST_LINK_CLEAR, msg, len);
            CHECK(link != 0 || err == PST_OK); /* the link of the session must not be closed */
            while (link != 0 && pst_target_output(&n->target, link, &kind, out, sizeof out) > 0) {
                answers += kind == PST_LINK_CLEAR;
            }
        }
        CHECK_EQ(net_op(s, false, PST_AS_MEMORY, NET_RAM_AT, word, 4), PST_OK);
        CHECK(!pst_target_wants_close(&n->target, 0));
        net_run_for(n, 1000);
        check_open(s);
    }
    CHECK(answers > 0);
    CHECK_EQ(n->lines, lines); /* a peer that has no keys yet causes no audit line */
    CHECK_EQ(n->effects, 0);
    for (uint32_t link = 1; link < PST_TARGET_LINKS; link++) {
        pst_target_link_down(&n->target, link);
    }
    check_next_opens(n);
    net_free(n);
}

/* Clear messages beside a handshake that has keys do not reach it. */
static bool clear_beside(struct net *n, bool to_target, uint8_t *kind, uint8_t *msg, size_t *len)
{
    uint8_t extra[256];
    (void)msg;
    (void)len;
    if (to_target && *kind == PST_LINK_RECORD) {
        size_t extra_len = get_version(extra, sizeof extra);
        CHECK_EQ(pst_target_receive(&n->target, 0, PST_LINK_CLEAR, extra, extra_len), PST_OK);
        n->seen++;
    }
    if (*kind == PST_LINK_RECORD) { /* and one of session 0, which never exists */
        CHECK_EQ(pst_target_receive(&n->target, 0, PST_LINK_RECORD, (uint8_t[40]){0}, 40), PST_OK);
    }
    return true;
}

static void test_clear_beside_a_handshake(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    uint8_t word[4];
    (void)state;
    n->tamper = clear_beside;
    struct net_side *s = net_connect(n, 0, &net_keys.ada);
    CHECK(n->seen > 0);
    check_open(s);
    CHECK_EQ(net_op(s, false, PST_AS_MEMORY, NET_RAM_AT, word, 4), PST_OK);
    check_next_opens(n);
    net_free(n);
}

static void test_log_flood(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    struct net_side *s = net_connect(n, 0, &net_keys.olga);
    uint8_t word[4] = {0};
    (void)state;

    check_open(s);
    unsigned lines = n->lines;
    for (unsigned i = 0; i < 200; i++) {
        CHECK_EQ(net_op(s, true, PST_AS_MEMORY, NET_RAM_AT, word, 4), PST_ERR_DENIED);
    }
    CHECK(n->lines - lines <= 5);
    net_run_for(n, 1500);
    CHECK_EQ(net_op(s, true, PST_AS_MEMORY, NET_RAM_AT, word, 4), PST_ERR_DENIED);
    CHECK(net_logged(n, "\"suppressed\":195")); /* but they are told */
    CHECK_EQ(n->effects, 0);
    net_free(n);
}

/* --- repeated and reordered --- */

static bool twice(struct net *n, bool to_target, uint8_t *kind, uint8_t *msg, size_t *len)
{
    static uint8_t copy[65600];
    if (n->seen == 0 || (n->seen != UINT32_MAX && --n->seen != 0)) {
        return true;
    }
    memcpy(copy, msg, *len);
    if (to_target) {
        (void)!pst_target_receive(&n->target, 0, *kind, copy, *len);
    } else {
        (void)!pst_debugger_receive(&n->sides[0].dts, *kind, copy, *len);
    }
    return true;
}

static void test_repeated_messages(void **state)
{
    (void)state;
    for (unsigned at = 1; at < 45; at++) {
        struct net *n = net_new(&net_keys.pump, "debug");
        uint8_t word[4] = {1, 2, 3, 4};
        n->seen = at;
        n->tamper = twice;
        struct net_side *s = net_connect(n, 0, &net_keys.ada);
        if (pst_debugger_state(&s->dts) == PST_DEBUGGER_READY) {
            (void)!net_op(s, true, PST_AS_MEMORY, NET_RAM_AT, word, 4);
        }
        CHECK(n->effects <= 1);
        check_next_opens(n);
        net_free(n);
    }
}

/* Holds each message back until the next one has passed. */
static bool overtake(struct net *n, bool to_target, uint8_t *kind, uint8_t *msg, size_t *len)
{
    if (!to_target || *kind != PST_LINK_RECORD) {
        return true;
    }
    if (n->kept_len == 0 && n->seen++ % 3 == 0 && *len <= sizeof n->kept) {
        memcpy(n->kept, msg, *len);
        n->kept_len = *len;
        return false;
    }
    return true;
}

static void release_kept(struct net *n)
{
    if (n->kept_len > 0) {
        (void)!pst_target_receive(&n->target, 0, PST_LINK_RECORD, n->kept, n->kept_len);
    }
    n->kept_len = 0;
}

/* On a lossy link: every record arrives twice, some late. Each must take effect once. */
static void test_lossy_link(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    uint8_t words[40][4];
    struct pst_spp_op ops[40];
    (void)state;

    n->traits.lossy = true;
    n->traits.ordered = false;
    n->traits.sequence_len = 2;
    struct net_side *s = net_connect(n, 0, &net_keys.ada);
    check_open(s);
    n->tamper = twice;
    n->seen = UINT32_MAX;
    for (unsigned i = 0; i < 20; i++) {
        memset(words[i], (int)i, 4);
        CHECK_EQ(net_op(s, true, PST_AS_MEMORY, NET_RAM_AT + 4 * i, words[i], 4), PST_OK);
    }
    CHECK_EQ(n->effects, 20);
    n->tamper = overtake;
    n->seen = 0;
    for (unsigned i = 0; i < 40; i++) {
        memset(words[i], (int)i, 4);
        ops[i] = (struct pst_spp_op){
            .space = PST_AS_MEMORY, .address = NET_RAM_AT + 4 * i, .data = words[i], .len = 4};
        n->lines_at_effect = n->lines;
        pst_debugger_write(&s->dts, &ops[i]);
        net_run_for(n, 0);
        if (i % 4 == 3) {
            release_kept(n);
        }
        net_run_for(n, 0);
    }
    n->tamper = NULL;
    release_kept(n);
    net_run_for(n, 500);
    check_open(s);
    for (unsigned i = 0; i < 40; i++) {
        CHECK_EQ(ops[i].result, PST_OK);
    }
    CHECK_EQ(n->effects, 60);
    net_free(n);
}

/* A TS answers the read but drops the answer before it: the DTS waits, then gives up. */
static bool answer_only(struct net *n, bool to_target, uint8_t *kind, uint8_t *msg, size_t *len)
{
    uint8_t *spdm = to_target || *kind != PST_LINK_CLEAR ? NULL : find_spdm(msg, *len, PST_VERSION);
    if (spdm == NULL) {
        return true;
    }
    size_t left = (size_t)(msg + *len - (spdm - PST_SPP_FULL_HEADER));
    memmove(msg, spdm - PST_SPP_FULL_HEADER, left);
    *len = left;
    n->seen++;
    return true;
}

static void test_answers_that_are_missing(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    (void)state;
    n->tamper = answer_only;
    struct net_side *s = net_connect(n, 0, &net_keys.ada);
    CHECK_EQ(n->seen, 1);
    CHECK_EQ(pst_debugger_state(&s->dts), PST_DEBUGGER_AUTHENTICATING);
    net_run_for(n, 12000);
    CHECK_EQ(pst_debugger_state(&s->dts), PST_DEBUGGER_CLOSED);
    check_next_opens(n);
    net_free(n);
}

/* The longest name with every character escaped is still a line of JSON. */
static void test_long_names_in_the_log(void **state)
{
    static struct net n;
    struct pst_target_context *c = &n.contexts[0];
    char grants[256];
    (void)state;

    memset(&n, 0, sizeof n);
    n.config.audit = (struct pst_audit_sink){.ctx = &n, .line = net_line, .wall_s = net_wall};
    n.target.config = &n.config;
    c->target = &n.target;
    memset(c->name, '"', sizeof c->name - 1);
    memset(grants, '\\', sizeof grants - 1);
    grants[sizeof grants - 1] = '\0';
    n.target.lines = INT64_MAX - 1;
    c->session_id = UINT32_MAX;
    CHECK_EQ(psti_ts_log_open(c, grants), PST_OK);
    json_t *json = json_loads(n.log[0], 0, NULL);
    CHECK(json != NULL);
    CHECK_EQ(strlen(json_string_value(json_object_get(json, "engineer"))), sizeof c->name - 1);
    CHECK_EQ(strlen(json_string_value(json_object_get(json, "grants"))), sizeof grants - 1);
    json_decref(json);
}

/* --- an observer --- */

/* Two writes, the second one of `second` bytes. */
static void compose_batch(size_t second, uint8_t *payload, size_t *len)
{
    struct pst_writer w = pst_writer_of(payload, *len);
    struct pst_spp_packet p = {
        .style = PST_SPP_FULL,
        .opcode = PST_SPP_WRITE,
        .space = PST_AS_MEMORY,
        .tag = 0x8001,
        .address = NET_RAM_AT,
        .count = 4,
        .data = {(const uint8_t *)"abcd", 4}
    };
    static const uint8_t zeros[NET_QUEUE];

    pst_spp_put_command(&w, &p);
    p.address = NET_RAM_AT + 0x100;
    p.count = (uint32_t)second;
    p.data = (struct pst_bytes){zeros, second};
    pst_spp_put_command(&w, &p);
    CHECK_EQ(pst_written(&w, len), PST_OK);
}

/* Seals with the keys of `s`. */
static void seal_batch(struct net_side *s, const uint8_t *payload, size_t len)
{
    uint8_t msg[NET_QUEUE + 256];
    const size_t head = pst_record_head(&s->dts.record);

    memcpy(msg + head, payload, len);
    CHECK_EQ(pst_record_seal(&s->dts.record, msg, sizeof msg, len, 0, &len), PST_OK);
    (void)!pst_target_receive(&s->net->target, 0, PST_LINK_RECORD, msg, len);
}

/* The session has ended, and the audit log shows only that. */
static void check_refused_batch(size_t second, bool cut, bool answered)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    struct net_side *s = net_connect(n, 0, &net_keys.ada);
    uint8_t payload[NET_QUEUE + 64];
    size_t len = sizeof payload;

    check_open(s);
    const unsigned lines = n->lines;
    n->lines_at_effect = lines;
    compose_batch(second, payload, &len);
    seal_batch(s, payload, cut ? len - 1 : len);
    net_run_for(n, 0);
    CHECK_EQ(n->effects, answered ? 2 : 0);
    CHECK_EQ(n->lines, lines + 1);
    CHECK(strstr(n->log[lines], answered ? "\"event\":\"effect\"" : "\"event\":\"end\"") != NULL);
    net_free(n);
}

static void test_refused_batches_leave_no_effect_line(void **state)
{
    (void)state;
    check_refused_batch(4, false, true);
    check_refused_batch(4, true, false);              /* malformed */
    check_refused_batch(NET_QUEUE - 36, false, true); /* all of the credit */
    check_refused_batch(NET_QUEUE - 36 + 1, false, false);
}

/* A space changes its answer: the log, the gate and the counts must all use the first one. */
static unsigned asked;

static uint8_t fickle_right(void *ctx, uint64_t address, bool write)
{
    (void)ctx;
    (void)address;
    return asked++ > 0 ? PST_RIGHT_READ : write ? PST_RIGHT_WRITE : PST_RIGHT_READ;
}

static void test_log_and_gate_read_one_decision(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    struct net_side *s = net_connect(n, 0, &net_keys.ada);
    uint8_t word[4] = {1};
    (void)state;

    check_open(s);
    n->memory.right = fickle_right;
    asked = 0;
    CHECK_EQ(net_op(s, true, PST_AS_MEMORY, NET_RAM_AT, word, 4), PST_OK);
    CHECK_EQ(asked, 1);
    CHECK_EQ(n->effects, 1);
    CHECK(net_logged(n, "\"effects\":[\"memory 0x80000000+4\"]"));
    pst_debugger_stop(&s->dts);
    net_run_for(n, 0);
    CHECK(net_logged(n, "\"effect_count\":1}"));
    net_free(n);
}

/* A command that was allowed on arrival must not run after the end of the session. */
static void test_decision_ends_with_the_session(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug session=60");
    struct net_side *s = net_connect(n, 0, &net_keys.ada);
    uint8_t word[4] = {1};
    (void)state;

    check_open(s);
    struct pst_spp_op op = {.space = PST_AS_MEMORY, .address = NET_RAM_AT, .data = word, .len = 4};
    n->memory_pending = true;
    pst_debugger_write(&s->dts, &op);
    net_run_for(n, 0);
    CHECK(net_logged(n, "\"effects\":[\"memory 0x80000000+4\"]"));
    n->now += 60000;
    (void)pst_target_poll(&n->target);
    n->memory_pending = false;
    net_run_for(n, 0);
    CHECK_EQ(n->effects, 0);
    CHECK(op.result != PST_OK);
    check_next_opens(n);
    net_free(n);
}

/* A grant ends at the second that it names, for a session that opens and for one that is open. */
static void test_until(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug until=1700000003");
    uint8_t word[4] = {1};
    (void)state;

    struct net_side *s = net_connect(n, 0, &net_keys.ada);
    check_open(s);
    n->now = 2999;
    (void)pst_target_poll(&n->target);
    CHECK_EQ(net_op(s, true, PST_AS_MEMORY, NET_RAM_AT, word, 4), PST_OK);
    n->now = 3000;
    (void)pst_target_poll(&n->target);
    CHECK(!net_held(n));
    CHECK(net_op(s, true, PST_AS_MEMORY, NET_RAM_AT, word, 4) != PST_OK);
    CHECK_EQ(n->effects, 1);
    struct net_side *late = net_connect(n, 1, &net_keys.ada);
    CHECK_EQ(pst_debugger_state(&late->dts), PST_DEBUGGER_CLOSED);
    CHECK(strstr(late->dts.who, "expired") != NULL);
    net_free(n);
}

static void test_observer_without_holder(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    uint8_t word[4];
    (void)state;

    n->policy.share_read_only = true;
    struct net_side *a = net_connect(n, 0, &net_keys.ada), *b = net_connect(n, 1, &net_keys.olga);
    check_open(b);
    n->memory_pending = true;
    struct pst_spp_op op = {.space = PST_AS_MEMORY, .address = NET_RAM_AT, .data = word, .len = 4};
    pst_debugger_read(&b->dts, &op);
    net_run_for(n, 0);
    net_cut(b); /* leaves with a pending access; the holder is not delayed */
    n->memory_pending = false;
    CHECK_EQ(net_op(a, false, PST_AS_MEMORY, NET_RAM_AT, word, 4), PST_OK);
    b = net_connect(n, 1, &net_keys.olga);
    check_open(b);
    CHECK_EQ(net_op(b, false, PST_AS_MEMORY, NET_RAM_AT, word, 4), PST_OK);
    net_cut(a);
    net_run_for(n, 0);
    unsigned reads = n->reads;
    CHECK(net_op(b, false, PST_AS_MEMORY, NET_RAM_AT, word, 4) != PST_OK);
    CHECK_EQ(n->reads, reads); /* no space is reached that nobody holds open */
    net_free(n);
}

/* A MEMORY space as space.h allows it: it works on one access, and takes the next call for the same
 * access. */
static struct {
    bool works, write;
    uint64_t address;
    unsigned mixed;
} slow;

static pst_err slow_memory(void *ctx, struct pst_access *a)
{
    const struct net *n = ctx;

    slow.mixed += slow.works && (slow.write != a->write || slow.address != a->address);
    slow.works = n->memory_pending;
    slow.write = a->write;
    slow.address = a->address;
    return net_memory(ctx, a);
}

static void slow_cancel(void *ctx)
{
    (void)ctx;
    slow.works = false;
}

/* An observer's access is in progress: the holder's access overtakes it and is not mixed with it.
 */
static void test_holder_goes_first(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    uint8_t word[4] = {1, 2, 3, 4}, seen[4] = {0};
    (void)state;

    n->policy.share_read_only = true;
    n->memory.perform = slow_memory;
    n->memory.cancel = slow_cancel;
    memset(&slow, 0, sizeof slow);
    struct net_side *a = net_connect(n, 0, &net_keys.ada), *b = net_connect(n, 1, &net_keys.olga);
    check_open(a);
    check_open(b);
    n->memory_pending = true;
    struct pst_spp_op read = {
        .space = PST_AS_MEMORY, .address = NET_RAM_AT, .data = seen, .len = 4};
    struct pst_spp_op write = {
        .space = PST_AS_MEMORY, .address = NET_RAM_AT + 4, .data = word, .len = 4};
    pst_debugger_read(&b->dts, &read);
    net_run_for(n, 0);
    CHECK(slow.works && !slow.write);
    pst_debugger_write(&a->dts, &write);
    net_run_for(n, 0);
    CHECK_EQ(slow.mixed, 0);
    CHECK(slow.works && slow.write);
    n->memory_pending = false;
    net_run_for(n, 10);
    CHECK_EQ(slow.mixed, 0);
    CHECK_EQ(write.result, PST_OK);
    CHECK_EQ(read.result, PST_OK); /* the access started again */
    CHECK_EQ(n->effects, 1);
    CHECK_BYTES(n->ram + 4, word, 4);
    net_free(n);
}

static void configure(struct net_side *s, enum pst_sp_config at, uint8_t spaces)
{
    uint8_t word[4] = {spaces};
    struct pst_spp_op op = {
        .opcode = PST_SPP_WRITE_CONFIG, .address = at, .data = word, .len = sizeof word};

    pst_spp_client_submit(&s->dts.client, &op);
    net_run_for(s->net, 0);
    CHECK_EQ(op.result, PST_OK);
}

/* The holder closes a space that works for an observer and opens it again: then it is free. */
static void test_space_closed_under_an_observer(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    uint8_t word[4];
    (void)state;

    n->policy.share_read_only = true;
    struct net_side *a = net_connect(n, 0, &net_keys.ada), *b = net_connect(n, 1, &net_keys.olga),
                    *c = net_connect(n, 2, &net_keys.olga);
    check_open(b);
    check_open(c);
    n->memory_pending = true;
    struct pst_spp_op op = {.space = PST_AS_MEMORY, .address = NET_RAM_AT, .data = word, .len = 4};
    pst_debugger_read(&b->dts, &op);
    net_run_for(n, 0);
    configure(a, PST_SPC_AS_EN_CLEAR, 1u << PST_AS_MEMORY);
    CHECK(op.result != PST_OK && op.result != PST_PENDING);
    n->memory_pending = false;
    configure(a, PST_SPC_AS_EN_SET, 1u << PST_AS_MEMORY);
    CHECK_EQ(net_op(c, false, PST_AS_MEMORY, NET_RAM_AT, word, 4), PST_OK);
    net_free(n);
}

static void test_small_messages(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    uint8_t big[3000], back[3000];
    (void)state;

    n->traits.mtu = PST_LINK_MIN_MESSAGE;
    struct net_side *s = net_connect(n, 0, &net_keys.ada);
    check_open(s);
    memset(big, 0x3C, sizeof big);
    CHECK_EQ(net_op(s, true, PST_AS_MEMORY, NET_RAM_AT, big, sizeof big), PST_OK);
    CHECK_EQ(net_op(s, false, PST_AS_MEMORY, NET_RAM_AT, back, sizeof back), PST_OK);
    CHECK_BYTES(back, big, sizeof big);
    net_run_for(n, 30000);
    check_open(s);
    net_free(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_splice),
        cmocka_unit_test(test_answers_of_another_session),
        cmocka_unit_test(test_swapped_devices),
        cmocka_unit_test(test_reflection),
        cmocka_unit_test(test_replayed_session),
        cmocka_unit_test(test_downgrade),
        cmocka_unit_test(test_mutual_stripped),
        cmocka_unit_test(test_forgery),
        cmocka_unit_test(test_injected),
        cmocka_unit_test(test_secrets_are_wiped),
        cmocka_unit_test(test_stalls),
        cmocka_unit_test(test_flood_of_clear),
        cmocka_unit_test(test_clear_beside_a_handshake),
        cmocka_unit_test(test_log_flood),
        cmocka_unit_test(test_repeated_messages),
        cmocka_unit_test(test_lossy_link),
        cmocka_unit_test(test_answers_that_are_missing),
        cmocka_unit_test(test_long_names_in_the_log),
        cmocka_unit_test(test_refused_batches_leave_no_effect_line),
        cmocka_unit_test(test_log_and_gate_read_one_decision),
        cmocka_unit_test(test_decision_ends_with_the_session),
        cmocka_unit_test(test_until),
        cmocka_unit_test(test_observer_without_holder),
        cmocka_unit_test(test_holder_goes_first),
        cmocka_unit_test(test_space_closed_under_an_observer),
        cmocka_unit_test(test_small_messages),
    };
    return cmocka_run_group_tests(tests, net_keys_make, net_keys_free);
}
