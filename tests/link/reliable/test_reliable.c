/* The reliable link over a path with every fault: each message once, in order, whole; or the link
 * ends within its timeout. */
#include "link/faulty.h"

#include "link/reliable/siphash.h"
#include "postern/links/checksum.h"
#include "postern/links/reliable.h"

enum { MESSAGE = 20000, BUFFER = 32768, SENT = 64, OUT = 9000, FENCE = 64 };

static const struct pst_reliable_door door = {.key = "fifteen letters"};

struct end {
    struct pst_reliable r;
    struct pst_reliable_config cfg;
    struct pst_reliable_sent sent[SENT];
    /* Guard bytes around buffers detect writes past a buffer even inside this struct. */
    uint8_t message[MESSAGE], fence_a[FENCE], send[BUFFER], fence_b[FENCE], receive[BUFFER],
        fence_c[FENCE];
    bool up;
    uint32_t to_send, sent_count, got, longest;
    uint64_t bytes, seed;
};

struct net {
    struct end client, server;
    struct path up, down;
    uint64_t now;
    bool deaf_server;
};

static void end_init(struct end *e, uint64_t seed, bool target)
{
    memset(e, 0, sizeof *e);
    memset(e->fence_a, 0xA5, FENCE);
    memset(e->fence_b, 0xA5, FENCE);
    memset(e->fence_c, 0xA5, FENCE);
    e->seed = seed;
    e->cfg = (struct pst_reliable_config){
        .target = target,
        .id = (uint32_t)(seed * 7919 + target),
        .start = (uint32_t)(UINT32_MAX - 5000 - seed % 4096), /* all counters wrap on the way */
        .mtu_first = PST_RELIABLE_MTU,
        .mtu_most = 8952,
        .timing = pst_reliable_ip,
        .message = e->message,
        .message_cap = MESSAGE,
        .send = e->send,
        .send_cap = BUFFER,
        .receive = e->receive,
        .receive_cap = BUFFER,
        .sent = e->sent,
        .sent_count = SENT,
    };
}

static void net_init(struct net *n, const struct faults *faults, uint64_t seed)
{
    n->now = 0;
    n->deaf_server = false;
    end_init(&n->client, seed, false);
    end_init(&n->server, seed + 1, true);
    path_init(&n->up, faults, seed * 2);
    path_init(&n->down, faults, seed * 2 + 1);
}

static void net_start(struct net *n)
{
    CHECK_EQ(pst_reliable_connect(&n->client.r, &n->client.cfg, n->now), PST_OK);
    n->client.up = true;
}

static void check_fences(const struct end *e)
{
    for (size_t i = 0; i < FENCE; i++) {
        CHECK(e->fence_a[i] == 0xA5 && e->fence_b[i] == 0xA5 && e->fence_c[i] == 0xA5);
    }
}

/* Message `i` of an end: kind, length and content follow from the seed. */
static size_t make(const struct end *from, uint32_t i, uint8_t *kind, uint8_t *out)
{
    struct pst_test_rng rng = {.state = from->seed * 1000003 + i};
    const size_t shape = pst_test_rng_below(&rng, 4);
    const size_t most = shape == 0 ? from->longest : shape == 1 ? 1500 : 100;
    const size_t len = pst_test_rng_below(&rng, (most < from->longest ? most : from->longest) + 1);

    *kind = (uint8_t)(PST_LINK_CLEAR + pst_test_rng_below(&rng, 2));
    pst_test_rng_fill(&rng, out, len);
    return len;
}

static void owner(struct end *e, const struct end *other)
{
    static uint8_t bytes[MESSAGE];
    uint8_t *payload = NULL, kind = 0, want_kind = 0;
    size_t len = 0;

    while (e->sent_count < e->to_send) {
        const size_t n = make(e, e->sent_count, &kind, bytes);

        if (pst_reliable_send(&e->r, kind, bytes, n) != PST_OK) {
            break;
        }
        e->sent_count++;
    }
    while (pst_reliable_receive(&e->r, &kind, &payload, &len) == PST_OK) {
        const size_t n = make(other, e->got, &want_kind, bytes);

        CHECK(e->got < other->sent_count);
        CHECK_EQ(len, n);
        CHECK_EQ(kind, want_kind);
        CHECK_BYTES(payload, bytes, n);
        e->got++;
        e->bytes += n;
    }
}

static void stranger(struct net *n, const uint8_t *at, size_t len)
{
    uint8_t reply[PST_RELIABLE_REPLY];
    size_t m = 0;
    const pst_err err = pst_reliable_greet(&door, (struct pst_bytes){(const uint8_t *)"addr", 4},
                                           at, len, n->now, reply, &m);

    if (err == PST_WANT_MORE) {
        CHECK(m <= len);
        path_send(&n->down, n->now, reply, m);
    } else if (err == PST_OK) {
        CHECK_EQ(pst_reliable_accept(&n->server.r, &n->server.cfg, at, len, n->now), PST_OK);
        n->server.up = true;
        n->server.got = n->server.sent_count = 0;
    }
}

static void deliver(struct net *n, struct path *p, struct end *e)
{
    struct path_packet *q;

    while ((q = path_due(p, n->now)) != NULL) {
        if (e->up && pst_reliable_mine(&e->r, q->bytes, q->len)) {
            (void)pst_reliable_input(&e->r, q->bytes, q->len, n->now);
        } else if (e == &n->server && !n->deaf_server) {
            stranger(n, q->bytes, q->len);
        }
        q->len = 0;
    }
}

static void flush(struct net *n, struct path *p, struct end *e)
{
    static uint8_t out[OUT];
    size_t len, rounds = 0;

    while (e->up && (len = pst_reliable_output(&e->r, out, sizeof out, n->now)) > 0) {
        CHECK(len <= e->cfg.mtu_most);
        CHECK(++rounds < 1000);
        path_send(p, n->now, out, len);
    }
}

static void step(struct net *n)
{
    uint64_t next;

    deliver(n, &n->up, &n->server);
    deliver(n, &n->down, &n->client);
    for (int twice = 0; twice < 2; twice++) {
        if (n->client.up) {
            owner(&n->client, &n->server);
        }
        if (n->server.up) {
            owner(&n->server, &n->client);
        }
        flush(n, &n->up, &n->client);
        flush(n, &n->down, &n->server);
    }
    next = path_next(&n->up) < path_next(&n->down) ? path_next(&n->up) : path_next(&n->down);
    if (n->client.up && pst_reliable_wake(&n->client.r) < next) {
        next = pst_reliable_wake(&n->client.r);
    }
    if (n->server.up && pst_reliable_wake(&n->server.r) < next) {
        next = pst_reliable_wake(&n->server.r);
    }
    n->now = next > n->now + 1000 ? n->now + 1000 : next > n->now ? next : n->now + 1;
}

static bool ended(const struct end *e)
{
    return e->up && e->r.state != PST_OK && e->r.state != PST_PENDING;
}

static bool all_there(const struct net *n)
{
    return n->client.got == n->server.to_send && n->server.got == n->client.to_send;
}

/* Runs until everything has arrived or an end gave up. Fails after `limit` of simulated time. */
static void run(struct net *n, uint64_t limit)
{
    net_start(n);
    while (!all_there(n) && !ended(&n->client) && !ended(&n->server)) {
        step(n);
        CHECK(n->now < limit);
    }
    check_fences(&n->client);
    check_fences(&n->server);
}

static struct net net;

static void test_siphash(void **state)
{
    uint8_t key[16], text[15];

    (void)state;
    for (size_t i = 0; i < 16; i++) {
        key[i] = (uint8_t)i;
    }
    memcpy(text, key, sizeof text);
    /* The example of the paper, appendix A. */
    CHECK(psti_siphash(key, text, sizeof text) == UINT64_C(0xa129ca6149be45e5));
}

static void load(uint32_t messages, uint32_t longest)
{
    net.client.to_send = net.server.to_send = messages;
    net.client.longest = net.server.longest = longest;
}

static void test_clean(void **state)
{
    const struct faults none = {.delay_ms = 10};

    (void)state;
    net_init(&net, &none, 1);
    load(200, MESSAGE);
    run(&net, 60000);
    CHECK(all_there(&net));
    CHECK_EQ(net.client.r.counters.lost + net.server.r.counters.lost, 0);
    CHECK_EQ(net.client.r.counters.damaged + net.client.r.counters.refused, 0);
    CHECK_EQ(net.client.r.mtu, 8952);
    CHECK(net.client.r.rtt_ms >= 20 && net.client.r.rtt_ms < 40);
    CHECK(net.server.r.peer.target == false && net.client.r.peer.target == true);
    CHECK_EQ(net.client.r.peer.largest, MESSAGE);
}

/* Each fault alone and all together, with many seeds. At these rates everything must arrive. */
static void test_faults(void **state)
{
    static const struct faults table[] = {
        {.delay_ms = 5, .drop = 100},
        {.delay_ms = 5, .twice = 200, .late_ms = 50},
        {.delay_ms = 5, .late = 300, .late_ms = 60},
        {.delay_ms = 5, .damage = 100},
        {.delay_ms = 5, .cut = 100},
        {.delay_ms = 5, .mtu = 1300},
        {.delay_ms = 5, .stall_from = 100, .stall_to = 9000},
        {.delay_ms = 300, .drop = 20},
        {.delay_ms = 2, .bytes_per_ms = 20, .drop = 10},
        {.delay_ms = 20,
         .drop = 50,
         .twice = 50,
         .late = 50,
         .late_ms = 100,
         .damage = 50,
         .cut = 50,
         .mtu = 1472},
        {.delay_ms = 0, .drop = 300},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        for (uint64_t seed = 1; seed <= 4; seed++) {
            net_init(&net, &table[i], seed * 31 + i);
            load(40, MESSAGE);
            run(&net, 600000);
            if (!all_there(&net)) {
                fprintf(stderr, "faults %zu, seed %llu: %d %d\n", i, (unsigned long long)seed,
                        (int)net.client.r.state, (int)net.server.r.state);
            }
            CHECK(all_there(&net));
        }
    }
}

/* Rates that no link survives: no wrong bytes may come out, and both ends must end within the
 * timeout after the path is dead. */
static void test_hopeless(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        const struct faults bad = {
            .delay_ms = 10, .drop = 700, .damage = 300, .twice = 300, .late = 500, .late_ms = 400};

        net_init(&net, &bad, seed);
        load(50, 4000);
        net_start(&net);
        while (net.now < 20000 && !all_there(&net)) {
            step(&net);
        }
        net.up.faults.drop = net.down.faults.drop = 1000;
        const uint64_t died = net.now;
        while (!ended(&net.client) || (net.server.up && !ended(&net.server))) {
            step(&net);
            CHECK(net.now < died + pst_reliable_ip.dead + 3000);
        }
        check_fences(&net.client);
        check_fences(&net.server);
    }
}

static void test_nobody_there(void **state)
{
    const struct faults none = {.delay_ms = 10};

    (void)state;
    net_init(&net, &none, 3);
    net.deaf_server = true;
    net_start(&net);
    while (!ended(&net.client)) {
        step(&net);
        CHECK(net.now <= pst_reliable_ip.dead + 1000);
    }
    CHECK_EQ(net.client.r.state, PST_ERR_TIMEOUT);
    CHECK(net.client.r.counters.sent < 20); /* backs off */
}

/* The cookie exchange measures the round trip. So a lost welcome costs a few round trips, not the
 * initial timeout. */
static void test_welcome_lost(void **state)
{
    const struct faults none = {.delay_ms = 10};

    (void)state;
    net_init(&net, &none, 3);
    net_start(&net);
    while (net.now < 30) { /* HELLO, COOKIE, HELLO */
        step(&net);
    }
    net.down.faults.drop = 1000;
    step(&net);
    net.down.faults.drop = 0;
    CHECK(net.server.up);
    while (net.client.r.state != PST_OK) {
        step(&net);
    }
    CHECK(net.now < 20 + pst_reliable_ip.first_rto / 2);
}

static void settle(uint64_t ms)
{
    const uint64_t until = net.now + ms;

    while (net.now < until) {
        step(&net);
    }
}

static void test_keepalive(void **state)
{
    const struct faults lossy = {.delay_ms = 10, .drop = 100};

    (void)state;
    net_init(&net, &lossy, 4);
    net_start(&net);
    settle(600000);
    CHECK_EQ(net.client.r.state, PST_OK);
    CHECK_EQ(net.server.r.state, PST_OK);
    CHECK(net.client.r.counters.sent < 600);
    /* The same without output: a blocked sender must check the timeout too. */
    pst_reliable_look(&net.client.r, net.now + pst_reliable_ip.dead / 2);
    CHECK_EQ(net.client.r.state, PST_OK);
    net.up.faults.drop = 1000;
    settle(pst_reliable_ip.dead + 2000);
    CHECK_EQ(net.server.r.state, PST_ERR_TIMEOUT);
    CHECK(ended(&net.client));
    pst_reliable_look(&net.client.r, UINT64_MAX);
    CHECK_EQ(net.client.r.state, PST_ERR_TIMEOUT);
}

static void test_close(void **state)
{
    const struct faults lossy = {.delay_ms = 10, .drop = 200};

    (void)state;
    for (uint64_t seed = 0; seed < 10; seed++) {
        net_init(&net, &lossy, 50 + seed);
        net.client.to_send = 20;
        net.client.longest = 3000;
        net_start(&net);
        while (net.client.sent_count < 20) {
            step(&net);
        }
        pst_reliable_close(&net.client.r);
        CHECK_EQ(pst_reliable_send(&net.client.r, PST_LINK_CLEAR, NULL, 0), PST_ERR_STATE);
        const uint64_t since = net.now;
        while (!ended(&net.client) || !ended(&net.server)) {
            step(&net);
            CHECK(net.now < since + 60000);
        }
        CHECK_EQ(net.server.got, 20); /* all of it, before the end */
        CHECK_EQ(net.client.r.state, PST_ERR_CLOSED);
        CHECK_EQ(net.server.r.state, PST_ERR_CLOSED);
    }
}

static void test_abort(void **state)
{
    const struct faults none = {.delay_ms = 10};
    uint8_t *payload = NULL, kind = 0;
    size_t len = 0;

    (void)state;
    net_init(&net, &none, 6);
    net_start(&net);
    settle(500);
    pst_reliable_abort(&net.server.r, PST_ERR_BUSY);
    settle(100);
    CHECK_EQ(net.client.r.state, PST_ERR_BUSY);
    CHECK_EQ(pst_reliable_receive(&net.client.r, &kind, &payload, &len), PST_ERR_BUSY);
    CHECK_EQ(pst_reliable_send(&net.client.r, PST_LINK_CLEAR, NULL, 0), PST_ERR_BUSY);
}

static void test_server_restarts(void **state)
{
    const struct faults none = {.delay_ms = 10};

    (void)state;
    net_init(&net, &none, 7);
    load(5, 100);
    run(&net, 10000);
    net.server.up = false; /* it forgot everything */
    net.client.to_send++;
    settle(1000);
    CHECK_EQ(net.client.r.state, PST_ERR_CLOSED);
}

static void test_client_restarts(void **state)
{
    const struct faults none = {.delay_ms = 10};

    (void)state;
    net_init(&net, &none, 8);
    load(5, 100);
    run(&net, 10000);
    const uint32_t before = net.server.r.peer_id;
    net.client.cfg.id += 99;
    net.client.got = net.client.sent_count = 0;
    run(&net,
        net.now + 10000); /* its greeting is accepted at the door and replaces the connection */
    CHECK(all_there(&net));
    CHECK(net.server.r.peer_id != before);
}

static void test_path_size(void **state)
{
    static const struct {
        size_t path;
        uint16_t found;
    } cases[] = {
        {1200, 1200},
        {1231, 1200},
        {1400, 1392},
        {1472, 1472},
        {8951, 4000},
        {8952, 8952},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct faults f = {.delay_ms = 10, .mtu = cases[i].path};

        net_init(&net, &f, i);
        net_start(&net);
        settle(20000);
        CHECK_EQ(net.client.r.mtu, cases[i].found);
        CHECK_EQ(net.server.r.mtu, cases[i].found);
    }
}

/* The path MTU shrinks during a transfer: datagrams made for the old MTU are split again. */
static void test_path_shrinks(void **state)
{
    const struct faults f = {.delay_ms = 10};

    (void)state;
    for (uint64_t seed = 0; seed < 5; seed++) {
        net_init(&net, &f, 90 + seed);
        load(300, MESSAGE);
        net_start(&net);
        while (net.client.r.mtu < 8952 || net.server.got < 20) {
            step(&net);
        }
        net.up.faults.mtu = net.down.faults.mtu = 1250;
        while (!all_there(&net)) {
            step(&net);
            CHECK(!ended(&net.client) && !ended(&net.server));
            CHECK(net.now < 300000);
        }
        CHECK_EQ(net.client.r.mtu, PST_RELIABLE_MTU);
    }
}

/* The MTU shrinks in one direction, where small datagrams still arrive: credit for the other side.
 */
static void test_path_shrinks_one_way(void **state)
{
    const struct faults f = {.delay_ms = 10};

    (void)state;
    for (uint64_t seed = 0; seed < 5; seed++) {
        net_init(&net, &f, 120 + seed);
        load(1000000, MESSAGE);
        net_start(&net);
        while (net.client.r.mtu < 8952 || net.server.got < 20) {
            step(&net);
        }
        net.up.faults.mtu = 1250;
        const uint64_t since = net.now;
        const uint32_t got = net.server.got;
        while (net.server.got < got + 100) {
            step(&net);
            CHECK(!ended(&net.client) && !ended(&net.server));
            CHECK(net.now < since + 10000);
        }
        CHECK_EQ(net.client.r.mtu, PST_RELIABLE_MTU);
        CHECK_EQ(net.server.r.mtu, 8952);
    }
}

/* The MTU shrinks while many datagrams are lost, so that the receiver tracks the maximum number of
 * gaps and accepts only the first of many small pieces. */
static void test_path_shrinks_with_gaps(void **state)
{
    const struct faults f = {.delay_ms = 10};

    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        net_init(&net, &f, 150 + seed);
        net.client.cfg.mtu_first = 87;
        net.client.cfg.mtu_most = 4000;
        net.client.to_send = 40;
        net.client.longest = MESSAGE;
        net_start(&net);
        while (net.client.r.mtu < 4000 || net.server.got < 5) {
            step(&net);
        }
        net.up.faults.drop = 300;
        net.up.faults.mtu = 100;
        settle(3000);
        net.up.faults.drop = 0;
        const uint64_t since = net.now;
        while (!all_there(&net)) {
            step(&net);
            CHECK(!ended(&net.client) && !ended(&net.server));
            CHECK(net.now < since + 10000);
        }
    }
}

/* The receiver does not read: the sender stops at the credit, both ends stay alive, nothing is
 * lost. */
static void test_credit(void **state)
{
    const struct faults f = {.delay_ms = 10, .drop = 50};
    static uint8_t bytes[4096];
    static uint8_t got[4096];
    uint64_t written = 0, seen = 0;

    (void)state;
    net_init(&net, &f, 11);
    net_start(&net);
    settle(1000);
    for (unsigned i = 0; i < 2000; i++) {
        for (size_t k = 0; k < sizeof bytes; k++) {
            bytes[k] = (uint8_t)((written + k) % 251);
        }
        written += pst_reliable_write(&net.client.r, bytes, sizeof bytes);
        deliver(&net, &net.up, &net.server);
        deliver(&net, &net.down, &net.client);
        flush(&net, &net.up, &net.client);
        flush(&net, &net.down, &net.server);
        net.now += 50;
    }
    CHECK_EQ(net.client.r.state, PST_OK);
    CHECK_EQ(written, 2 * BUFFER); /* one at each side */
    for (unsigned i = 0; i < 4000 && seen < written; i++) {
        const size_t n = pst_reliable_read(&net.server.r, got, 1 + i % sizeof got);

        for (size_t k = 0; k < n; k++) {
            CHECK_EQ(got[k], (uint8_t)((seen + k) % 251));
        }
        seen += n;
        deliver(&net, &net.up, &net.server);
        deliver(&net, &net.down, &net.client);
        flush(&net, &net.up, &net.client);
        flush(&net, &net.down, &net.server);
        net.now += 10;
    }
    CHECK_EQ(seen, written);
    check_fences(&net.client);
    check_fences(&net.server);
}

/* When the reader makes room, the credit is sent at once, not at the next keepalive. */
static void test_credit_returns(void **state)
{
    const struct faults f = {.delay_ms = 10};
    static uint8_t bytes[BUFFER];

    (void)state;
    net_init(&net, &f, 14);
    net_start(&net);
    settle(1000);
    for (unsigned i = 0; i < 100; i++) {
        (void)pst_reliable_write(&net.client.r, bytes, sizeof bytes);
        deliver(&net, &net.up, &net.server);
        deliver(&net, &net.down, &net.client);
        flush(&net, &net.up, &net.client);
        flush(&net, &net.down, &net.server);
        net.now += 10;
    }
    CHECK_EQ(pst_reliable_read(&net.server.r, bytes, sizeof bytes), BUFFER);
    for (unsigned i = 0; i < 5; i++) {
        flush(&net, &net.down, &net.server);
        deliver(&net, &net.down, &net.client);
        flush(&net, &net.up, &net.client);
        deliver(&net, &net.up, &net.server);
        net.now += 10;
    }
    CHECK(pst_reliable_read(&net.server.r, bytes, sizeof bytes) > 0);
}

static void test_small_memory(void **state)
{
    const struct faults f = {.delay_ms = 5, .drop = 100, .late = 100, .late_ms = 30};

    (void)state;
    for (uint64_t seed = 0; seed < 4; seed++) {
        net_init(&net, &f, 20 + seed);
        net.server.cfg.message_cap = PST_LINK_MIN_MESSAGE;
        net.server.cfg.send_cap = 300;
        net.server.cfg.receive_cap = 257;
        net.server.cfg.sent_count = 8;
        net.server.cfg.mtu_first = net.server.cfg.mtu_most = 64;
        load(100, PST_LINK_MIN_MESSAGE);
        run(&net, 600000);
        CHECK(all_there(&net));
        CHECK_EQ(net.client.r.mtu, 64);
        CHECK_EQ(pst_reliable_send(&net.client.r, PST_LINK_CLEAR, net.client.send, 257),
                 PST_ERR_SPACE);
    }
}

/* The longest message there is, through a receive buffer of a sixteenth of it. */
static void test_longest_message(void **state)
{
    const struct faults f = {.delay_ms = 5, .drop = 50, .late = 100, .late_ms = 20};
    static uint8_t out[PST_LINK_MAX_MESSAGE + 1], queue[PST_LINK_MAX_MESSAGE + 4],
        message[PST_LINK_MAX_MESSAGE];
    struct pst_test_rng rng = {.state = 5};
    uint8_t *payload = NULL, kind = 0;
    size_t len = 0;

    (void)state;
    net_init(&net, &f, 15);
    net.client.cfg.send = queue;
    net.client.cfg.send_cap = sizeof queue;
    net.server.cfg.receive_cap = 4096;
    net.server.cfg.message = message;
    net.server.cfg.message_cap = sizeof message;
    pst_test_rng_fill(&rng, out, sizeof out);
    net_start(&net);
    settle(5000);
    CHECK_EQ(pst_reliable_send(&net.client.r, PST_LINK_RECORD, out, sizeof out), PST_ERR_SPACE);
    CHECK_EQ(pst_reliable_send(&net.client.r, PST_LINK_RECORD, out, sizeof out - 1), PST_OK);
    CHECK_EQ(pst_reliable_send(&net.client.r, PST_LINK_RECORD, out, 0), PST_PENDING);
    while (pst_reliable_receive(&net.server.r, &kind, &payload, &len) == PST_WANT_MORE) {
        deliver(&net, &net.up, &net.server);
        deliver(&net, &net.down, &net.client);
        flush(&net, &net.up, &net.client);
        flush(&net, &net.down, &net.server);
        net.now++;
        CHECK(net.now < 100000);
    }
    CHECK_EQ(kind, PST_LINK_RECORD);
    CHECK_EQ(len, PST_LINK_MAX_MESSAGE);
    CHECK_BYTES(payload, out, len);
    check_fences(&net.server);
}

static void test_config(void **state)
{
    struct pst_reliable_config cfg;

    (void)state;
    end_init(&net.client, 1, false);
    cfg = net.client.cfg;
    cfg.mtu_first = PST_RELIABLE_LEAST_MTU - 1;
    CHECK_EQ(pst_reliable_connect(&net.client.r, &cfg, 0), PST_ERR_ARGUMENT);
    cfg = net.client.cfg;
    cfg.mtu_most = 1199;
    CHECK_EQ(pst_reliable_connect(&net.client.r, &cfg, 0), PST_ERR_ARGUMENT);
    cfg = net.client.cfg;
    cfg.sent_count = PST_RELIABLE_MAX_SENT + 1;
    CHECK_EQ(pst_reliable_connect(&net.client.r, &cfg, 0), PST_ERR_ARGUMENT);
    cfg = net.client.cfg;
    cfg.message_cap = PST_LINK_MIN_MESSAGE - 1;
    CHECK_EQ(pst_reliable_connect(&net.client.r, &cfg, 0), PST_ERR_ARGUMENT);
}

static size_t hello(uint8_t out[OUT])
{
    end_init(&net.client, 77, false);
    CHECK_EQ(pst_reliable_connect(&net.client.r, &net.client.cfg, 0), PST_OK);
    return pst_reliable_output(&net.client.r, out, OUT, 0);
}

static void seal(uint8_t *datagram, size_t len)
{
    pst_poke_u32(datagram + len - 4, pst_crc32c(0, datagram, len - 4));
}

static pst_err greet(const char *from, const uint8_t *at, size_t len, uint64_t now, uint8_t *reply,
                     size_t *n)
{
    return pst_reliable_greet(&door, (struct pst_bytes){(const uint8_t *)from, strlen(from)}, at,
                              len, now, reply, n);
}

static void test_cookie(void **state)
{
    static uint8_t out[OUT], with[OUT];
    uint8_t reply[PST_RELIABLE_REPLY];
    size_t n = 0;
    const size_t len = hello(out);

    (void)state;
    CHECK(len > 0 && len <= PST_RELIABLE_LEAST_MTU);
    CHECK_EQ(greet("a", out, len, 5, reply, &n), PST_WANT_MORE);
    CHECK(n < len);
    CHECK_EQ(reply[0], PST_DATAGRAM_COOKIE);
    CHECK_EQ(pst_reliable_input(&net.client.r, reply, n, 5), PST_OK);
    CHECK_EQ(pst_reliable_output(&net.client.r, with, OUT, 5), len);
    CHECK_EQ(greet("a", with, len, 5, reply, &n), PST_OK);
    CHECK_EQ(greet("a", with, len, 5 + 16384, reply, &n), PST_OK);
    /* A cookie with another address, time, key or HELLO is refused. */
    CHECK_EQ(greet("b", with, len, 5, reply, &n), PST_WANT_MORE);
    CHECK_EQ(greet("a", with, len, 5 + 3 * 16384, reply, &n), PST_WANT_MORE);
    for (size_t at = 1; at + 4 < len; at++) {
        const uint8_t was = with[at];
        const bool bound = at < 5 || (at >= len - 4 - 16 && at < len - 4 - 12) || at >= len - 12;

        with[at] ^= 1;
        seal(with, len);
        if (bound) {
            CHECK(greet("a", with, len, 5, reply, &n) != PST_OK);
        }
        with[at] = was;
    }
    /* A server that keeps asking for a HELLO gets one at once, then only one per timer. */
    seal(with, len);
    CHECK_EQ(greet("b", with, len, 5, reply, &n), PST_WANT_MORE);
    CHECK_EQ(pst_reliable_input(&net.client.r, reply, n, 6), PST_OK);
    CHECK_EQ(pst_reliable_output(&net.client.r, with, OUT, 6), 0);
}

static void test_other_profile(void **state)
{
    static uint8_t out[OUT];
    uint8_t reply[PST_RELIABLE_REPLY];
    size_t n = 0;
    const size_t len = hello(out);

    (void)state;
    out[9] = PST_PROFILE_VERSION + 1;
    seal(out, len);
    CHECK_EQ(greet("a", out, len, 5, reply, &n), PST_WANT_MORE);
    CHECK(n < len);
    CHECK_EQ(pst_reliable_input(&net.client.r, reply, n, 6), PST_OK);
    CHECK_EQ(net.client.r.state, PST_ERR_PROFILE);
}

/* For every datagram of a real run, the door and both ends refuse every truncation and every
 * changed byte; the connection is not affected. */
static void check_tampered(const uint8_t *datagram, size_t len)
{
    static uint8_t copy[OUT];
    uint8_t reply[PST_RELIABLE_REPLY];
    size_t n = 0;

    for (size_t cut = 0; cut < len; cut++) {
        CHECK_EQ(greet("a", datagram, cut, net.now, reply, &n), PST_ERR_DECODE);
        CHECK_EQ(pst_reliable_input(&net.client.r, datagram, cut, net.now), PST_ERR_DECODE);
        CHECK_EQ(pst_reliable_input(&net.server.r, datagram, cut, net.now), PST_ERR_DECODE);
    }
    memcpy(copy, datagram, len);
    for (size_t at = 0; at < len; at++) {
        for (unsigned change = 1; change < 256; change = change * 2 + 1) {
            copy[at] ^= (uint8_t)change;
            CHECK_EQ(greet("a", copy, len, net.now, reply, &n), PST_ERR_DECODE);
            CHECK_EQ(pst_reliable_input(&net.client.r, copy, len, net.now), PST_ERR_DECODE);
            CHECK_EQ(pst_reliable_input(&net.server.r, copy, len, net.now), PST_ERR_DECODE);
            copy[at] ^= (uint8_t)change;
        }
    }
}

static void test_tampered(void **state)
{
    const struct faults f = {.delay_ms = 10};

    (void)state;
    net_init(&net, &f, 12);
    load(6, 60);
    net_start(&net);
    while (net.now < 200) {
        step(&net);
        for (size_t i = 0; net.server.up && i < PATH_PACKETS; i++) {
            if (net.up.packets[i].len > 0 && net.up.packets[i].len < 200) {
                check_tampered(net.up.packets[i].bytes, net.up.packets[i].len);
            }
            if (net.down.packets[i].len > 0 && net.down.packets[i].len < 200) {
                check_tampered(net.down.packets[i].bytes, net.down.packets[i].len);
            }
        }
    }
    CHECK(all_there(&net));
}

/* The same with a correct CRC, so that the fields are parsed: no crash, no answer longer than the
 * datagram, no message that was not sent (but the stream may end). */
static void test_tampered_and_sealed(void **state)
{
    const struct faults f = {.delay_ms = 10};
    static uint8_t copy[OUT], out[OUT];

    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct pst_test_rng rng = {.state = seed};

        net_init(&net, &f, 13);
        load(6, 60);
        net_start(&net);
        while (net.now < 100) {
            step(&net);
            struct path_packet *q = path_due(&net.up, UINT64_MAX);
            if (q == NULL || !net.server.up || q->len > 200) {
                continue;
            }
            memcpy(copy, q->bytes, q->len);
            copy[pst_test_rng_below(&rng, q->len - 4)] = (uint8_t)pst_test_rng_u64(&rng);
            /* The stream's own bytes are not changed here: records protect them. */
            if (copy[0] == PST_DATAGRAM_DATA && (copy[5] & PST_DATAGRAM_BYTES) != 0) {
                continue;
            }
            seal(copy, q->len);
            (void)pst_reliable_input(&net.server.r, copy, q->len, net.now);
            (void)pst_reliable_output(&net.server.r, out, sizeof out, net.now);
        }
        check_fences(&net.server);
    }
}

/* Passes the server one handmade datagram of the client's stream. */
static pst_err by_hand(uint32_t number, uint32_t offset, const uint8_t *bytes, size_t len)
{
    static uint8_t out[OUT];
    struct pst_writer w = pst_writer_of(out, sizeof out);

    pst_put_u8(&w, PST_DATAGRAM_DATA);
    pst_put_u32(&w, net.server.cfg.id);
    pst_put_u8(&w, PST_DATAGRAM_ASK | PST_DATAGRAM_BYTES);
    pst_put_u32(&w, net.client.cfg.start + number);
    pst_put_u32(&w, net.client.cfg.start + offset);
    pst_put_bytes(&w, bytes, len);
    pst_put_u32(&w, pst_crc32c(0, out, w.used));
    return pst_reliable_input(&net.server.r, out, w.used, net.now);
}

static void connected(uint64_t seed)
{
    const struct faults none = {.delay_ms = 1};

    net_init(&net, &none, seed);
    net.client.cfg.mtu_most = net.server.cfg.mtu_most = PST_RELIABLE_MTU; /* nothing to try */
    net_start(&net);
    settle(500);
    CHECK_EQ(net.server.r.state, PST_OK);
}

/* Pieces of a stream in any order and overlapping in any way give the stream. */
static void test_overlaps(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct pst_test_rng rng = {.state = seed};
        uint8_t stream[400], got[400];
        uint32_t number = 0;
        size_t have = 0;

        connected(200 + seed);
        pst_test_rng_fill(&rng, stream, sizeof stream);
        while (have < sizeof stream) {
            const size_t at = pst_test_rng_below(&rng, sizeof stream);
            const size_t len = 1 + pst_test_rng_below(&rng, 60);
            const size_t n = len < sizeof stream - at ? len : sizeof stream - at;

            CHECK(number < 5000);
            (void)by_hand(number++, (uint32_t)at, stream + at, n);
            have += pst_reliable_read(&net.server.r, got + have, 1 + pst_test_rng_below(&rng, 50));
            CHECK(have <= sizeof stream);
        }
        CHECK_BYTES(got, stream, sizeof stream);
        check_fences(&net.server);
    }
}

/* Data beyond the credit, or with more gaps than the receiver tracks, is dropped and not
 * acknowledged.
 */
static void test_greedy_sender(void **state)
{
    static uint8_t bytes[1000], out[OUT];

    (void)state;
    connected(300);
    CHECK_EQ(by_hand(0, BUFFER - 3, bytes, 4), PST_ERR_LIMIT);
    CHECK_EQ(by_hand(0, BUFFER, bytes, 1), PST_ERR_LIMIT);
    CHECK_EQ(by_hand(0, UINT32_C(1) << 30, bytes, 1000), PST_ERR_LIMIT);
    CHECK_EQ(by_hand(0, 0x7FFFFFFF, bytes, 1000), PST_ERR_LIMIT);
    CHECK_EQ(pst_reliable_output(&net.server.r, out, sizeof out, net.now + 100), 0);
    CHECK_EQ(by_hand(1, BUFFER - 4, bytes, 4), PST_OK);
    for (uint32_t i = 1; i < PST_RELIABLE_ISLANDS; i++) {
        CHECK_EQ(by_hand(1 + i, 2 * i, bytes, 1), PST_OK);
    }
    CHECK_EQ(by_hand(50, 100, bytes, 1), PST_ERR_LIMIT);
    CHECK_EQ(by_hand(51, 3, bytes, 1), PST_OK); /* joins two of them */
    CHECK_EQ(by_hand(52, 100, bytes, 1), PST_OK);
    CHECK_EQ(by_hand(53, 0, bytes, 2), PST_OK);
    CHECK_EQ(pst_reliable_read(&net.server.r, out, sizeof out), 5);
    check_fences(&net.server);
}

/* Acknowledgements of data that was never sent have no effect. */
static void test_strange_acks(void **state)
{
    uint8_t out[64];

    (void)state;
    connected(301);
    for (uint32_t ahead = 0; ahead < 3; ahead++) {
        struct pst_writer w = pst_writer_of(out, sizeof out);

        pst_put_u8(&w, PST_DATAGRAM_DATA);
        pst_put_u32(&w, net.server.cfg.id);
        pst_put_u8(&w, PST_DATAGRAM_ACK);
        pst_put_u32(&w, net.server.r.next_number + ahead);
        pst_put_u32(&w, 0);
        pst_put_u32(&w, pst_crc32c(0, out, w.used));
        CHECK_EQ(pst_reliable_input(&net.server.r, out, w.used, net.now), PST_ERR_UNEXPECTED);
    }
    load(10, 500);
    while (!all_there(&net)) {
        step(&net);
        CHECK(net.now < 10000);
    }
}

static void report(const char *what, const struct faults *f)
{
    net_init(&net, f, 99);
    net.client.to_send = 400;
    net.client.longest = MESSAGE;
    run(&net, 3600000);
    CHECK(all_there(&net));
    printf("%-28s %8.1f kB/s, %.2f of the bytes sent, rtt %u ms\n", what,
           (double)net.server.bytes / (double)net.now,
           (double)net.server.bytes / (double)net.up.moved, (unsigned)net.client.r.rtt_ms);
}

static void test_throughput(void **state)
{
    (void)state; /* reported, not asserted */
    report("10 ms", &(struct faults){.delay_ms = 5, .mtu = 1472});
    report("10 ms, 1 % lost", &(struct faults){.delay_ms = 5, .mtu = 1472, .drop = 10});
    report("10 ms, 5 % lost", &(struct faults){.delay_ms = 5, .mtu = 1472, .drop = 50});
    report("10 ms, 20 % lost", &(struct faults){.delay_ms = 5, .mtu = 1472, .drop = 200});
    report("100 ms, 1 % lost", &(struct faults){.delay_ms = 50, .mtu = 1472, .drop = 10});
    report("10 ms, 10 % late by 0..10 ms",
           &(struct faults){.delay_ms = 5, .mtu = 1472, .late = 100, .late_ms = 10});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_siphash),
        cmocka_unit_test(test_clean),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_hopeless),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_welcome_lost),
        cmocka_unit_test(test_keepalive),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_server_restarts),
        cmocka_unit_test(test_client_restarts),
        cmocka_unit_test(test_path_size),
        cmocka_unit_test(test_path_shrinks),
        cmocka_unit_test(test_path_shrinks_one_way),
        cmocka_unit_test(test_path_shrinks_with_gaps),
        cmocka_unit_test(test_credit),
        cmocka_unit_test(test_credit_returns),
        cmocka_unit_test(test_small_memory),
        cmocka_unit_test(test_longest_message),
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_cookie),
        cmocka_unit_test(test_other_profile),
        cmocka_unit_test(test_tampered),
        cmocka_unit_test(test_tampered_and_sealed),
        cmocka_unit_test(test_overlaps),
        cmocka_unit_test(test_greedy_sender),
        cmocka_unit_test(test_strange_acks),
        cmocka_unit_test(test_throughput),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
