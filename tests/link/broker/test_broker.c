/* Two ends of a connection through a broker that drops, duplicates, reorders and inserts messages.
 */
#include "pst_test.h"

#include "postern/links/broker.h"

enum { CHUNK = 64, WINDOW = 4, QUEUE = 64, MOST = 200, SEND = 256, RECORD = 1 << 14 };

/* Fake encryption: a keyed sum as the tag, and every byte inverted. The tests check only who seals
 * what. */
struct toy {
    uint32_t key, secret;
    uint64_t last[2][8]; /* number sealed last, by direction and type */
    bool used[2][8];
    bool twice;
};

static uint32_t sum(uint32_t s, const uint8_t *at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        s = (s ^ at[i]) * 16777619u;
    }
    return s;
}

static pst_err toy_key(void *ctx, const uint8_t caller[PST_BROKER_ID],
                       const uint8_t listener[PST_BROKER_ID])
{
    struct toy *t = ctx;

    t->key = sum(t->secret, caller, PST_BROKER_ID);
    if (listener != NULL) {
        t->key = sum(t->key, listener, PST_BROKER_ID);
    }
    return PST_OK;
}

static void toy_tag(const struct toy *t, bool up, uint8_t type, uint64_t number,
                    struct pst_bytes head, const uint8_t *data, size_t len, uint8_t *tag)
{
    uint32_t s = sum(t->key + up, &type, 1);

    s = sum(sum(s, head.at, head.len), data, len) ^ (uint32_t)number * 2654435761u;
    memset(tag, 0, PST_BROKER_TAG);
    pst_poke_u32(tag, s);
}

static pst_err toy_seal(void *ctx, bool up, uint8_t type, uint64_t number, struct pst_bytes head,
                        uint8_t *data, size_t len, uint8_t tag[PST_BROKER_TAG])
{
    struct toy *t = ctx;
    const size_t kind = type & 7;

    t->twice = t->twice || (t->used[up][kind] && number <= t->last[up][kind]);
    t->used[up][kind] = true;
    t->last[up][kind] = number;
    for (size_t i = 0; i < len; i++) {
        data[i] ^= 0xFF;
    }
    toy_tag(t, up, type, number, head, data, len, tag);
    return PST_OK;
}

static pst_err toy_open(void *ctx, bool up, uint8_t type, uint64_t number, struct pst_bytes head,
                        uint8_t *data, size_t len, const uint8_t tag[PST_BROKER_TAG])
{
    uint8_t good[PST_BROKER_TAG];

    toy_tag(ctx, up, type, number, head, data, len, good);
    if (memcmp(good, tag, sizeof good) != 0) {
        return PST_ERR_AUTH;
    }
    for (size_t i = 0; i < len; i++) {
        data[i] ^= 0xFF;
    }
    return PST_OK;
}

struct end {
    struct pst_broker b;
    struct toy toy;
    struct pst_broker_seal seal;
    struct pst_broker_config cfg;
    uint8_t receive[CHUNK * WINDOW], send[SEND];
    uint8_t got[RECORD];
    size_t got_len, sent;
    bool deaf;
};

struct message {
    uint8_t bytes[MOST];
    size_t len;
    int qos;
};

static struct {
    struct end caller, listener;
    struct message queue[2][QUEUE]; /* [0]: up */
    size_t queued[2], most;
    uint64_t now;
} net;

static void end_init(struct end *e, bool listener, bool secret)
{
    memset(e, 0, sizeof *e);
    e->toy.secret = 12345;
    e->seal = (struct pst_broker_seal){&e->toy, toy_key, toy_seal, toy_open};
    e->cfg = (struct pst_broker_config){
        .id = "a connection id",
        .seal = secret ? &e->seal : NULL,
        .timing = pst_broker_usual,
        .chunk = CHUNK,
        .window = WINDOW,
        .receive = e->receive,
        .send = e->send,
        .send_cap = SEND,
    };
    if (listener) {
        memcpy(e->cfg.nonce, "listener's nonce", PST_BROKER_ID);
    }
}

static void drain(struct end *e, size_t way)
{
    struct message *m;

    for (;;) {
        CHECK(net.queued[way] < QUEUE);
        m = &net.queue[way][net.queued[way]];
        m->len = pst_broker_output(&e->b, m->bytes, sizeof m->bytes, &m->qos, net.now);
        if (m->len == 0) {
            return;
        }
        CHECK(m->qos == (m->bytes[0] == PST_BROKER_CREDIT ? 0 : 1));
        net.queued[way]++;
        if (net.queued[way] > net.most) {
            net.most = net.queued[way];
        }
    }
}

static struct message pop(size_t way, size_t at)
{
    const struct message m = net.queue[way][at];

    net.queued[way]--;
    memmove(&net.queue[way][at], &net.queue[way][at + 1],
            (net.queued[way] - at) * sizeof *net.queue[way]);
    return m;
}

static void deliver(struct end *e, size_t way)
{
    struct message m = pop(way, 0);

    pst_broker_input(&e->b, m.bytes, m.len, net.now);
}

static void read_all(struct end *e)
{
    struct pst_bytes in;

    while (!e->deaf && (in = pst_broker_peek(&e->b)).len > 0) {
        const size_t n = in.len > 7 ? in.len - 7 : in.len; /* in odd pieces */

        CHECK(e->got_len + n <= sizeof e->got);
        memcpy(e->got + e->got_len, in.at, n);
        e->got_len += n;
        pst_broker_taken(&e->b, n);
    }
}

/* Delivers all messages in transit. */
static void settle(void)
{
    for (int i = 0; i < 1000; i++) {
        read_all(&net.caller);
        read_all(&net.listener);
        drain(&net.caller, 0);
        drain(&net.listener, 1);
        if (net.queued[0] + net.queued[1] == 0) {
            return;
        }
        while (net.queued[0] > 0) {
            deliver(&net.listener, 0);
        }
        while (net.queued[1] > 0) {
            deliver(&net.caller, 1);
        }
    }
    CHECK(false);
}

static void join(bool secret)
{
    memset(&net, 0, sizeof net);
    net.now = 1000;
    end_init(&net.caller, false, secret);
    end_init(&net.listener, true, secret);
    CHECK_EQ(pst_broker_connect(&net.caller.b, &net.caller.cfg, net.now), PST_OK);
    drain(&net.caller, 0);
    CHECK_EQ(net.queued[0], 1);
    struct message m = pop(0, 0);
    CHECK(pst_broker_is_open(m.bytes, m.len));
    CHECK_EQ(pst_broker_accept(&net.listener.b, &net.listener.cfg, m.bytes, m.len, net.now),
             PST_OK);
    settle();
    CHECK_EQ(net.caller.b.state, PST_OK);
    CHECK_EQ(net.listener.b.state, PST_OK);
    CHECK_EQ(net.listener.b.limit, WINDOW);
}

static uint8_t nth(size_t i)
{
    return (uint8_t)(i * 7 + (i >> 8));
}

/* Queues as much as fits of a stream with known bytes. */
static void say(struct end *e, size_t len)
{
    uint8_t bytes[SEND];

    len = len < sizeof bytes ? len : sizeof bytes;
    for (size_t i = 0; i < len; i++) {
        bytes[i] = nth(e->sent + i);
    }
    e->sent += pst_broker_write(&e->b, bytes, len);
}

static void check_got(const struct end *e, size_t len)
{
    CHECK_EQ(e->got_len, len);
    for (size_t i = 0; i < len; i++) {
        CHECK_EQ(e->got[i], nth(i));
    }
}

static void test_both_ways(void **state)
{
    (void)state;
    for (int secret = 0; secret < 2; secret++) {
        join(secret != 0);
        for (size_t n = 0; n < 60; n++) {
            say(&net.caller, n * 5);
            say(&net.listener, n * 3);
            settle();
        }
        check_got(&net.listener, net.caller.sent);
        check_got(&net.caller, net.listener.sent);
        CHECK(net.caller.sent > 5000 && net.caller.b.refused + net.listener.b.refused == 0);
        CHECK(!net.caller.toy.twice && !net.listener.toy.twice);
    }
}

/* If the reader does not read, the writer stops when window and send buffer are full; later both
 * continue. */
static void test_credit(void **state)
{
    (void)state;
    join(true);
    net.listener.deaf = true;
    net.most = 0;
    for (int i = 0; i < 50; i++) {
        say(&net.caller, 100);
        settle();
    }
    CHECK(net.caller.sent <= WINDOW * CHUNK + SEND);
    CHECK(net.caller.sent >= SEND);
    CHECK(net.most <= WINDOW + 1);
    CHECK_EQ(pst_broker_room(&net.caller.b), 0);
    net.listener.deaf = false;
    read_all(&net.listener);
    settle();
    say(&net.caller, 100);
    settle();
    check_got(&net.listener, net.caller.sent);
}

/* CREDIT may be lost: the sender then asks for it, but not often. */
static void test_lost_credit(void **state)
{
    (void)state;
    join(true);
    for (int i = 0; i < 8; i++) {
        say(&net.caller, SEND);
    }
    for (int i = 0; i < 20; i++) {
        drain(&net.caller, 0);
        while (net.queued[0] > 0) {
            deliver(&net.listener, 0);
        }
        read_all(&net.listener);
        drain(&net.listener, 1);
        net.queued[1] = 0; /* all lost */
        say(&net.caller, SEND);
    }
    CHECK_EQ(net.listener.got_len, WINDOW * CHUNK);
    drain(&net.caller, 0);
    CHECK_EQ(net.queued[0], 0);
    CHECK(pst_broker_wake(&net.caller.b) <= net.now + pst_broker_usual.ask);
    net.now += pst_broker_usual.ask;
    settle();
    check_got(&net.listener, net.caller.sent);
}

static void test_doubled(void **state)
{
    (void)state;
    join(true);
    for (int i = 0; i < 10; i++) {
        say(&net.caller, 100);
        drain(&net.caller, 0);
        for (size_t n = net.queued[0]; n > 0; n--) {
            struct message m = net.queue[0][0];
            deliver(&net.listener, 0);
            pst_broker_input(&net.listener.b, m.bytes, m.len, net.now);
        }
        settle();
    }
    check_got(&net.listener, net.caller.sent);
    CHECK(net.listener.b.repeated > 0);
    CHECK_EQ(net.listener.b.state, PST_OK);
}

/* A lost chunk, or two swapped ones: the bytes before are delivered, then the connection ends. */
static void test_gap(void **state)
{
    (void)state;
    for (int swapped = 0; swapped < 2; swapped++) {
        join(swapped != 0);
        say(&net.caller, 2 * CHUNK + 9);
        settle();
        say(&net.caller, 2 * CHUNK);
        drain(&net.caller, 0);
        CHECK_EQ(net.queued[0], 2);
        if (swapped) {
            const struct message m = net.queue[0][0];
            net.queue[0][0] = net.queue[0][1];
            net.queue[0][1] = m;
        } else {
            (void)pop(0, 0);
        }
        settle();
        CHECK_EQ(net.listener.b.state, PST_ERR_IO);
        CHECK_EQ(net.caller.b.state, PST_ERR_IO); /* it was told */
        check_got(&net.listener, 2 * CHUNK + 9);
        CHECK_EQ(pst_broker_write(&net.caller.b, (const uint8_t *)"x", 1), 0);
        CHECK_EQ(pst_broker_wake(&net.caller.b), UINT64_MAX);
    }
}

static void test_close(void **state)
{
    (void)state;
    join(true);
    say(&net.caller, SEND);
    net.listener.deaf = true;
    pst_broker_close(&net.caller.b);
    CHECK_EQ(pst_broker_room(&net.caller.b), 0);
    settle();
    CHECK_EQ(net.caller.b.state, PST_ERR_CLOSED);
    CHECK_EQ(net.listener.b.state, PST_ERR_CLOSED);
    net.listener.deaf = false;
    read_all(&net.listener); /* after the end */
    check_got(&net.listener, SEND);

    join(true); /* the last chunk before CLOSE is lost: not a clean end */
    say(&net.listener, 10);
    drain(&net.listener, 1);
    (void)pop(1, 0);
    pst_broker_close(&net.listener.b);
    settle();
    CHECK_EQ(net.listener.b.state, PST_ERR_CLOSED);
    CHECK_EQ(net.caller.b.state, PST_ERR_IO);
}

static void test_busy(void **state)
{
    (void)state;
    memset(&net, 0, sizeof net);
    end_init(&net.caller, false, true);
    end_init(&net.listener, true, true);
    CHECK_EQ(pst_broker_connect(&net.caller.b, &net.caller.cfg, 0), PST_OK);
    drain(&net.caller, 0);
    struct message m = pop(0, 0);
    CHECK_EQ(pst_broker_accept(&net.listener.b, &net.listener.cfg, m.bytes, m.len, 0), PST_OK);
    pst_broker_abort(&net.listener.b, PST_ERR_BUSY);
    settle();
    CHECK_EQ(net.caller.b.state, PST_ERR_BUSY);
}

static void test_silence(void **state)
{
    (void)state;
    memset(&net, 0, sizeof net);
    end_init(&net.caller, false, false);
    CHECK_EQ(pst_broker_connect(&net.caller.b, &net.caller.cfg, 0), PST_OK);
    drain(&net.caller, 0);
    CHECK_EQ(pst_broker_wake(&net.caller.b), pst_broker_usual.connect);
    net.now = pst_broker_usual.connect;
    drain(&net.caller, 0);
    CHECK_EQ(net.caller.b.state, PST_ERR_TIMEOUT);

    join(true); /* idle: both ends stay connected */
    for (int i = 0; i < 100; i++) {
        const uint64_t a = pst_broker_wake(&net.caller.b), b = pst_broker_wake(&net.listener.b);
        net.now = a < b ? a : b;
        settle();
        CHECK(net.caller.b.state == PST_OK && net.listener.b.state == PST_OK);
    }
    CHECK(net.now >= 100 * (uint64_t)pst_broker_usual.keepalive / 2);
    const uint64_t since = net.now; /* the listener disappears */
    while (net.caller.b.state == PST_OK) {
        net.now = pst_broker_wake(&net.caller.b);
        drain(&net.caller, 0);
        net.queued[0] = 0;
    }
    CHECK_EQ(net.caller.b.state, PST_ERR_TIMEOUT);
    CHECK(net.now - since <= pst_broker_usual.dead);
}

/* A hint alone ends nothing. If it is true, the connection ends soon after it. */
static void test_hint(void **state)
{
    uint8_t lost[PST_BROKER_LOST_LEN];

    (void)state;
    join(true);
    pst_broker_input(&net.caller.b, lost, pst_broker_lost(lost), net.now);
    settle();
    for (uint64_t until = net.now + 2 * pst_broker_usual.hint; net.now < until; net.now += 500) {
        settle();
    }
    CHECK_EQ(net.caller.b.state, PST_OK);
    pst_broker_hint(&net.caller.b, net.now);
    const uint64_t since = net.now;
    while (net.caller.b.state == PST_OK) {
        net.now = pst_broker_wake(&net.caller.b);
        drain(&net.caller, 0);
        net.queued[0] = 0;
    }
    CHECK_EQ(net.now - since, pst_broker_usual.hint);
}

/* The request after a hint may be lost, like any CREDIT. This does not end the connection either.
 */
static void test_hint_lost(void **state)
{
    (void)state;
    join(true);
    pst_broker_hint(&net.caller.b, net.now);
    drain(&net.caller, 0);
    CHECK_EQ(net.queued[0], 1);
    (void)pop(0, 0);
    for (uint64_t until = net.now + 2 * pst_broker_usual.hint; net.now < until;) {
        net.now = pst_broker_wake(&net.caller.b);
        settle();
    }
    CHECK_EQ(net.caller.b.state, PST_OK);
}

/* Whatever a stranger publishes, a sealed connection is not affected. */
static void test_injected(void **state)
{
    struct message seen[8];
    size_t count;

    (void)state;
    join(true);
    say(&net.caller, 3 * CHUNK);
    drain(&net.caller, 0);
    count = net.queued[0];
    CHECK_EQ(count, 3);
    memcpy(seen, net.queue[0], sizeof *seen * count);
    for (size_t i = 0; i < count;
         i++) { /* each bit and each length changed, before the real ones arrive */
        for (size_t bit = 0; bit < seen[i].len * 8; bit++) {
            struct message m = seen[i];
            m.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            pst_broker_input(&net.listener.b, m.bytes, m.len, net.now);
        }
        for (size_t len = 0; len < seen[i].len; len++) {
            struct message m = seen[i];
            pst_broker_input(&net.listener.b, m.bytes, len, net.now);
        }
        struct message m = seen[i]; /* reflected */
        pst_broker_input(&net.caller.b, m.bytes, m.len, net.now);
    }
    CHECK_EQ(net.listener.b.state, PST_OK);
    CHECK_EQ(net.caller.b.state, PST_OK);
    CHECK_EQ(pst_broker_peek(&net.listener.b).len, 0);
    settle();
    check_got(&net.listener, net.caller.sent);
    CHECK(net.listener.b.refused > 1000);
    CHECK_EQ(net.caller.b.refused, 3);
}

/* Messages of an old connection replayed into a new one, even with the same id. */
static void test_replayed(void **state)
{
    struct message seen[8];
    size_t count;

    (void)state;
    join(true);
    say(&net.caller, 3 * CHUNK);
    pst_broker_close(&net.caller.b);
    drain(&net.caller, 0);
    count = net.queued[0];
    CHECK_EQ(count, 4);
    memcpy(seen, net.queue[0], sizeof *seen * count);
    join(true);
    net.listener.cfg.nonce[0] ^= 1;
    CHECK_EQ(pst_broker_connect(&net.caller.b, &net.caller.cfg, net.now), PST_OK);
    drain(&net.caller, 0);
    struct message m = pop(0, 0);
    CHECK_EQ(pst_broker_accept(&net.listener.b, &net.listener.cfg, m.bytes, m.len, net.now),
             PST_OK);
    for (size_t i = 0; i < count; i++) {
        pst_broker_input(&net.listener.b, seen[i].bytes, seen[i].len, net.now);
    }
    CHECK_EQ(net.listener.b.state, PST_OK);
    CHECK_EQ(net.listener.b.refused, 4);
    CHECK_EQ(pst_broker_peek(&net.listener.b).len, 0);
}

/* Without the fleet secret no call is answered and no answer accepted. */
static void test_other_secret(void **state)
{
    (void)state;
    for (int none = 0; none < 2; none++) {
        memset(&net, 0, sizeof net);
        end_init(&net.caller, false, none == 0);
        end_init(&net.listener, true, true);
        net.caller.toy.secret = 999;
        CHECK_EQ(pst_broker_connect(&net.caller.b, &net.caller.cfg, 0), PST_OK);
        drain(&net.caller, 0);
        struct message m = pop(0, 0);
        CHECK_EQ(pst_broker_accept(&net.listener.b, &net.listener.cfg, m.bytes, m.len, 0),
                 none ? PST_ERR_DECODE : PST_ERR_AUTH);
    }
    join(true);
    CHECK_EQ(pst_broker_connect(&net.caller.b, &net.caller.cfg, net.now), PST_OK);
    net.caller.toy.secret = 999;
    drain(&net.caller, 0);
    struct message m = pop(0, 0);
    net.caller.toy.secret = 12345;
    CHECK_EQ(pst_broker_connect(&net.caller.b, &net.caller.cfg, net.now), PST_OK);
    net.listener.toy.secret = 999;
    net.listener.cfg.seal->key(&net.listener.toy, net.listener.cfg.id, NULL);
    drain(&net.caller, 0);
    m = pop(0, 0);
    CHECK_EQ(pst_broker_accept(&net.listener.b, &net.listener.cfg, m.bytes, m.len, net.now),
             PST_ERR_AUTH);
}

/* Without a seal strangers can end a connection, but not corrupt it. */
static void test_lies(void **state)
{
    uint8_t m[PST_BROKER_MESSAGE(CHUNK)];
    struct pst_writer w = pst_writer_of(m, sizeof m);

    (void)state;
    join(false); /* endless credit */
    pst_put_u8(&w, PST_BROKER_CREDIT);
    pst_put_u64(&w, 5);
    pst_put_u64(&w, UINT64_MAX);
    pst_put_u8(&w, 0);
    pst_broker_input(&net.caller.b, m, w.used, net.now);
    CHECK_EQ(net.caller.b.refused, 1);
    CHECK_EQ(net.caller.b.limit, WINDOW);
    net.listener.deaf = true; /* more than its credit */
    for (uint64_t i = 0; i <= WINDOW; i++) {
        w = pst_writer_of(m, sizeof m);
        pst_put_u8(&w, PST_BROKER_DATA);
        pst_put_u64(&w, i);
        pst_put_u64(&w, 1);
        pst_put_zeros(&w, CHUNK);
        CHECK_EQ(net.listener.b.state, PST_OK);
        pst_broker_input(&net.listener.b, m, w.used, net.now);
    }
    CHECK_EQ(net.listener.b.state, PST_ERR_LIMIT);
    join(false); /* a longer chunk than was agreed on, and an empty one */
    for (int long_one = 0; long_one < 2; long_one++) {
        w = pst_writer_of(m, sizeof m);
        pst_put_u8(&w, PST_BROKER_DATA);
        pst_put_u64(&w, 0);
        pst_put_u64(&w, 1);
        pst_put_zeros(&w, long_one ? CHUNK + 1 : 0);
        pst_broker_input(&net.listener.b, m, w.used, net.now);
    }
    CHECK_EQ(net.listener.b.refused, 2);
    CHECK_EQ(net.listener.b.state, PST_OK);
}

static void test_profile(void **state)
{
    struct message m;

    (void)state;
    memset(&net, 0, sizeof net);
    end_init(&net.caller, false, false);
    end_init(&net.listener, true, false);
    CHECK_EQ(pst_broker_connect(&net.caller.b, &net.caller.cfg, 0), PST_OK);
    drain(&net.caller, 0);
    m = pop(0, 0);
    for (size_t len = 0; len < m.len; len++) {
        struct message cut = m;
        CHECK_EQ(pst_broker_accept(&net.listener.b, &net.listener.cfg, cut.bytes, len, 0),
                 PST_ERR_DECODE);
    }
    m.bytes[5]++;
    CHECK_EQ(pst_broker_accept(&net.listener.b, &net.listener.cfg, m.bytes, m.len, 0),
             PST_ERR_PROFILE);
    m.bytes[5]--;
    CHECK_EQ(pst_broker_accept(&net.listener.b, &net.listener.cfg, m.bytes, m.len, 0), PST_OK);
    drain(&net.listener, 1);
    m = pop(1, 0);
    m.bytes[1]++;
    pst_broker_input(&net.caller.b, m.bytes, m.len, 0);
    CHECK_EQ(net.caller.b.state, PST_ERR_PROFILE);
}

static void test_arguments(void **state)
{
    struct end e;
    struct pst_broker_config cfg;

    (void)state;
    end_init(&e, false, false);
    cfg = e.cfg;
    cfg.chunk = 63;
    CHECK_EQ(pst_broker_connect(&e.b, &cfg, 0), PST_ERR_ARGUMENT);
    cfg = e.cfg;
    cfg.window = 1;
    CHECK_EQ(pst_broker_connect(&e.b, &cfg, 0), PST_ERR_ARGUMENT);
    cfg.window = PST_BROKER_MOST_WINDOW + 1;
    CHECK_EQ(pst_broker_connect(&e.b, &cfg, 0), PST_ERR_ARGUMENT);
    cfg = e.cfg;
    cfg.send_cap = CHUNK - 1;
    CHECK_EQ(pst_broker_connect(&e.b, &cfg, 0), PST_ERR_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),    cmocka_unit_test(test_credit),
        cmocka_unit_test(test_lost_credit),  cmocka_unit_test(test_doubled),
        cmocka_unit_test(test_gap),          cmocka_unit_test(test_close),
        cmocka_unit_test(test_busy),         cmocka_unit_test(test_silence),
        cmocka_unit_test(test_hint),         cmocka_unit_test(test_hint_lost),
        cmocka_unit_test(test_injected),     cmocka_unit_test(test_replayed),
        cmocka_unit_test(test_other_secret), cmocka_unit_test(test_lies),
        cmocka_unit_test(test_profile),      cmocka_unit_test(test_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
