/* COBS, and the reliable link on a serial line: bytes lost, changed, added, held up, at every
 * speed.
 */
#include <stdbool.h>

#include "pst_test.h"

#include "postern/links/checksum.h"
#include "postern/links/serial.h"

enum { MESSAGE = 4000, BUFFER = 8192, SENT = 16, MTU = 256, FIFO = 1 << 16, MOST_MTU = 1024 };

/* --- COBS --- */

static pst_err decode(const uint8_t *in, size_t len, uint8_t *out, size_t cap, size_t *n)
{
    struct pst_cobs c;
    struct pst_bytes frame = {0};
    size_t used = 0;

    pst_cobs_init(&c, out, cap);
    const pst_err err = pst_cobs_receive(&c, in, len, &used, &frame);
    CHECK_EQ(used, len);
    *n = frame.len;
    return err;
}

static void check_cobs(const uint8_t *plain, size_t len, const uint8_t *coded, size_t coded_len)
{
    static uint8_t out[3000], back[3000];
    size_t n = 0;

    CHECK_EQ(pst_cobs_put(plain, len, out, PST_COBS_ROOM(len), &n), PST_OK);
    for (size_t i = 0; i < n; i++) {
        CHECK(out[i] != 0);
    }
    if (coded != NULL) {
        CHECK_EQ(n, coded_len);
        CHECK_BYTES(out, coded, n);
    }
    for (size_t cap = n > 5 ? n - 5 : 0; cap < n; cap++) {
        CHECK_EQ(pst_cobs_put(plain, len, back, cap, &coded_len), PST_ERR_SPACE);
    }
    out[n] = 0;
    if (len == 0) {
        return;
    }
    CHECK_EQ(decode(out, n + 1, back, len, &n), PST_OK);
    CHECK_EQ(n, len);
    CHECK_BYTES(back, plain, len);
    CHECK_EQ(decode(out, PST_COBS_ROOM(0), back, len, &n), PST_WANT_MORE);
}

/* Published examples; `first`..`last` stands for a run of counting bytes. */
static void test_cobs_vectors(void **state)
{
    static const struct {
        const char *plain, *coded;
    } cases[] = {
        {"",            "01"            },
        {"00",          "01 01"         },
        {"00 00",       "01 01 01"      },
        {"00 11 00",    "01 02 11 01"   },
        {"11 22 00 33", "03 11 22 02 33"},
        {"11 22 33 44", "05 11 22 33 44"},
        {"11 00 00 00", "02 11 01 01 01"},
    };
    uint8_t plain[300], coded[300];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const size_t n = pst_test_hex(cases[i].plain, plain, sizeof plain);

        check_cobs(plain, n, coded, pst_test_hex(cases[i].coded, coded, sizeof coded));
    }
    for (size_t i = 0; i < 300; i++) {
        plain[i] = (uint8_t)i; /* 00 01 .. FF 00 .. */
    }
    coded[0] = 0xFF;
    memcpy(coded + 1, plain + 1, 254);
    check_cobs(plain + 1, 254, coded, 255); /* 01..FE */
    coded[255] = 0x02;
    coded[256] = 0xFF;
    check_cobs(plain + 1, 255, coded, 257); /* 01..FF */
    coded[0] = 0x01;
    coded[1] = 0xFF;
    memcpy(coded + 2, plain + 1, 254);
    check_cobs(plain, 255, coded, 256); /* 00..FE */
    coded[0] = 0xFF;
    memcpy(coded + 1, plain + 2, 254);
    coded[255] = coded[256] = 0x01;
    check_cobs(plain + 2, 255, coded, 257); /* 02..FF 00 */
    coded[0] = 0xFE;
    memcpy(coded + 1, plain + 3, 253);
    coded[254] = 0x02;
    coded[255] = 0x01;
    check_cobs(plain + 3, 255, coded, 256); /* 03..FF 00 01 */
}

static void test_cobs_any(void **state)
{
    static uint8_t plain[2000];
    struct pst_test_rng rng = {.state = 3};

    (void)state;
    for (unsigned round = 0; round < 600; round++) {
        const size_t len = pst_test_rng_below(&rng, round % 20 == 0 ? 2000 : 300);
        const size_t zeros = pst_test_rng_below(&rng, 400);

        for (size_t i = 0; i < len; i++) {
            plain[i] = pst_test_rng_below(&rng, 400) < zeros ? 0 : (uint8_t)(1 + i % 255);
        }
        check_cobs(plain, len, NULL, 0);
    }
}

static void test_cobs_refuses(void **state)
{
    uint8_t out[4];
    size_t n = 0;

    (void)state;
    CHECK_EQ(decode((const uint8_t *)"\x05"
                                     "123\0",
                    5, out, 4, &n),
             PST_WANT_MORE); /* ended too early */
    CHECK_EQ(decode((const uint8_t *)"\x06"
                                     "12345\0",
                    7, out, 4, &n),
             PST_WANT_MORE); /* too long */
    CHECK_EQ(decode((const uint8_t *)"\0\0\x01\0\0", 5, out, 4, &n), PST_WANT_MORE);
    CHECK_EQ(decode((const uint8_t *)"\x05"
                                     "1234\0",
                    6, out, 4, &n),
             PST_OK);
}

/* --- the line --- */

struct noise {
    unsigned lose, change, add; /* of 100,000 bytes */
    uint64_t stall_from, stall_to;
};

struct wire { /* one direction */
    struct noise noise;
    struct pst_test_rng rng;
    uint32_t baud;
    uint64_t free_us, moved;
    size_t head, count;
    uint8_t bytes[FIFO];
    uint64_t due_us[FIFO];
};

struct end {
    struct pst_serial s;
    struct pst_serial_config cfg;
    struct pst_reliable_sent sent[SENT];
    uint8_t work[PST_SERIAL_WORK(MOST_MTU)], message[MESSAGE], send[BUFFER], receive[BUFFER];
    uint32_t to_send, sent_count, got, longest;
    uint64_t seed, payload;
};

struct net {
    struct end client, server;
    struct wire up, down;
    uint64_t now;
    bool reopen;
};

static struct net net;

static void end_init(struct end *e, uint64_t seed, bool listens, uint32_t baud, uint16_t mtu)
{
    memset(e, 0, sizeof *e);
    e->seed = seed;
    e->cfg = (struct pst_serial_config){
        .link = {.target = listens,
                 .id = (uint32_t)seed * 7919,
                 .start = (uint32_t)(0 - seed),
                 .mtu_first = mtu,
                 .mtu_most = mtu,
                 .timing = pst_serial_timing(baud, mtu),
                 .message = e->message,
                 .message_cap = MESSAGE,
                 .send = e->send,
                 .send_cap = BUFFER,
                 .receive = e->receive,
                 .receive_cap = BUFFER,
                 .sent = e->sent,
                 .sent_count = SENT},
        .listens = listens,
        .door = {.key = "fifteen letters"},
        .baud = baud,
        .work = e->work,
        .work_len = PST_SERIAL_WORK(mtu),
    };
    CHECK_EQ(pst_serial_open(&e->s, &e->cfg, net.now), PST_OK);
}

static void wire_init(struct wire *w, const struct noise *noise, uint64_t seed, uint32_t baud)
{
    w->noise = *noise;
    w->rng.state = seed;
    w->baud = baud;
    w->free_us = w->moved = w->head = w->count = 0;
}

static void net_init(const struct noise *noise, uint64_t seed, uint32_t baud, uint16_t mtu)
{
    net.now = 0;
    net.reopen = false;
    wire_init(&net.up, noise, seed * 2, baud);
    wire_init(&net.down, noise, seed * 2 + 1, baud);
    end_init(&net.client, seed + 1, false, baud, mtu);
    end_init(&net.server, seed + 2, true, baud, mtu);
}

static bool chance(struct wire *w, unsigned of_100000)
{
    return pst_test_rng_below(&w->rng, 100000) < of_100000;
}

static void wire_place(struct wire *w, uint64_t due_us, uint8_t byte)
{
    const size_t at = (w->head + w->count) % FIFO;

    CHECK(w->count < FIFO);
    w->bytes[at] = byte;
    w->due_us[at] = due_us;
    w->count++;
}

static void wire_put(struct wire *w, uint64_t now, uint8_t byte)
{
    const uint64_t now_us = now * 1000;

    w->moved++;
    w->free_us =
        (w->free_us > now_us ? w->free_us : now_us) + (w->baud > 0 ? 10000000 / w->baud : 0);
    uint64_t due = w->free_us;
    if (due / 1000 >= w->noise.stall_from && due / 1000 < w->noise.stall_to) {
        return; /* an unplugged line keeps nothing */
    }
    if (chance(w, w->noise.lose)) {
        return;
    }
    if (chance(w, w->noise.change)) {
        byte ^= (uint8_t)(1u << pst_test_rng_below(&w->rng, 8));
    }
    wire_place(w, due, byte);
    while (chance(w, w->noise.add)) {
        wire_place(w, due, (uint8_t)pst_test_rng_u64(&w->rng));
    }
}

static size_t make(const struct end *from, uint32_t i, uint8_t *out)
{
    struct pst_test_rng rng = {.state = from->seed * 1000003 + i};
    const size_t most = i % 4 == 0 ? from->longest : 80;
    const size_t len = pst_test_rng_below(&rng, (most < from->longest ? most : from->longest) + 1);

    pst_test_rng_fill(&rng, out, len);
    if (i % 3 == 0) {
        memset(out, 0, len); /* the worst case for COBS */
    }
    return len;
}

static void owner(struct end *e, const struct end *other)
{
    static uint8_t bytes[MESSAGE];
    uint8_t *payload = NULL, kind = 0;
    size_t len = 0;

    while (e->sent_count < e->to_send) {
        const size_t n = make(e, e->sent_count, bytes);

        if (pst_reliable_send(&e->s.link, PST_LINK_RECORD, bytes, n) != PST_OK) {
            break;
        }
        e->sent_count++;
    }
    while (pst_reliable_receive(&e->s.link, &kind, &payload, &len) == PST_OK) {
        const size_t n = make(other, e->got, bytes);

        CHECK(e->got < other->sent_count);
        CHECK_EQ(kind, PST_LINK_RECORD);
        CHECK_EQ(len, n);
        CHECK_BYTES(payload, bytes, n);
        e->got++;
        e->payload += n;
    }
}

static void flush(struct wire *w, struct end *e)
{
    uint8_t out[37];
    size_t n;

    while ((n = pst_serial_output(&e->s, out, sizeof out, net.now)) > 0) {
        for (size_t i = 0; i < n; i++) {
            wire_put(w, net.now, out[i]);
        }
        if (w->baud > 0) { /* one frame ahead, and no more */
            CHECK(w->count <= 2 * PST_COBS_ROOM(e->cfg.link.mtu_most) + 8 + w->baud / 10000 * 4);
        }
    }
}

static void arrive(struct wire *w, struct end *e)
{
    uint8_t in[64];
    size_t n;

    do {
        for (n = 0; n < sizeof in && w->count > 0 && w->due_us[w->head] <= net.now * 1000; n++) {
            in[n] = w->bytes[w->head];
            w->head = (w->head + 1) % FIFO;
            w->count--;
        }
        pst_serial_input(&e->s, in, n, net.now);
    } while (n > 0);
}

static bool ended(const struct end *e)
{
    return e->s.link.state != PST_OK && e->s.link.state != PST_PENDING;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void step(void)
{
    arrive(&net.up, &net.server);
    arrive(&net.down, &net.client);
    if (net.reopen && ended(&net.server)) {
        net.server.got = net.server.sent_count = 0;
        net.server.cfg.link.id++;
        CHECK_EQ(pst_serial_open(&net.server.s, &net.server.cfg, net.now), PST_OK);
    }
    for (int twice = 0; twice < 2; twice++) {
        owner(&net.client, &net.server);
        owner(&net.server, &net.client);
        flush(&net.up, &net.client);
        flush(&net.down, &net.server);
    }
    uint64_t next = sooner(pst_serial_wake(&net.client.s), pst_serial_wake(&net.server.s));
    if (net.up.count > 0) {
        next = sooner(next, (net.up.due_us[net.up.head] + 999) / 1000);
    }
    if (net.down.count > 0) {
        next = sooner(next, (net.down.due_us[net.down.head] + 999) / 1000);
    }
    net.now = next > net.now + 1000 ? net.now + 1000 : next > net.now ? next : net.now + 1;
}

static bool all_there(void)
{
    return net.client.got == net.server.to_send && net.server.got == net.client.to_send;
}

static void load(uint32_t messages, uint32_t longest)
{
    net.client.to_send = net.server.to_send = messages;
    net.client.longest = net.server.longest = longest;
}

static void run(uint64_t limit)
{
    while (!all_there()) {
        step();
        CHECK(!ended(&net.client) && !ended(&net.server));
        CHECK(net.now < limit);
    }
}

static const struct noise quiet;

static void test_every_speed(void **state)
{
    static const uint32_t bauds[] = {9600, 19200, 57600, 115200, 921600, 4000000, 0};
    static const uint16_t mtus[] = {64, 256, 1024};

    (void)state;
    for (size_t b = 0; b < sizeof bauds / sizeof *bauds; b++) {
        for (size_t m = 0; m < sizeof mtus / sizeof *mtus; m++) {
            net_init(&quiet, b * 3 + m, bauds[b], mtus[m]);
            load(12, 2000);
            run(400000);
            CHECK_EQ(net.client.s.damaged + net.server.s.damaged, 0);
            CHECK_EQ(net.client.s.in.malformed + net.server.s.in.malformed, 0);
            /* The timeouts fit the speed of the line: nothing is sent twice on a good line. */
            CHECK_EQ(net.client.s.link.counters.lost + net.server.s.link.counters.lost, 0);
        }
    }
}

static void test_noise(void **state)
{
    static const struct noise table[] = {
  /* lost, changed, added; unplugged from, to */
        {50, 0,  0,    0,   0   },
        {0,  50, 0,    0,   0   },
        {0,  0,  50,   0,   0   },
        {0,  0,  2000, 0,   0   },
        {30, 30, 30,   0,   0   },
        {0,  0,  0,    300, 5000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        for (uint64_t seed = 0; seed < 3; seed++) {
            net_init(&table[i], seed * 17 + i, seed == 0 ? 9600 : 115200, i == 3 ? 64 : MTU);
            load(12, 1000);
            run(3000000);
        }
    }
}

static void test_unplugged(void **state)
{
    (void)state;
    net_init(&quiet, 5, 115200, MTU);
    load(5, 500);
    run(100000);
    net.up.noise.stall_to = net.down.noise.stall_to = UINT64_MAX;
    const uint64_t since = net.now;
    while (!ended(&net.client) || !ended(&net.server)) {
        step();
        CHECK(net.now < since + net.client.cfg.link.timing.dead + 2000);
    }
    CHECK_EQ(net.client.s.link.state, PST_ERR_TIMEOUT);
    CHECK_EQ(net.server.s.link.state, PST_ERR_TIMEOUT);
}

/* Only noise on the line, or a peer at another baud rate: bytes are counted, no connection opens,
 * and the attempt times out. */
static void test_wrong_speed(void **state)
{
    struct pst_test_rng rng = {.state = 8};

    (void)state;
    net_init(&quiet, 6, 115200, MTU);
    while (!ended(&net.client)) {
        uint8_t noise[64], out[64];

        pst_test_rng_fill(&rng, noise, sizeof noise);
        pst_serial_input(&net.client.s, noise, sizeof noise, net.now);
        pst_serial_input(&net.server.s, noise, sizeof noise, net.now);
        while (pst_serial_output(&net.client.s, out, sizeof out, net.now) > 0) {
            continue;
        }
        CHECK_EQ(pst_serial_output(&net.server.s, out, sizeof out, net.now), 0);
        net.now += 5;
        CHECK(net.now < 60000);
    }
    CHECK_EQ(net.client.s.link.state, PST_ERR_TIMEOUT);
    CHECK_EQ(net.server.s.link.state, PST_PENDING);
    CHECK(net.server.s.damaged + net.server.s.in.malformed > 100);
}

static void test_client_restarts(void **state)
{
    (void)state;
    net_init(&quiet, 7, 115200, MTU);
    load(5, 500);
    run(100000);
    net.reopen = true;
    end_init(&net.client, 1234, false, 115200, MTU);
    net.client.to_send = 5;
    net.client.longest = 500;
    while (!all_there()) {
        step();
        CHECK(!ended(&net.client));
        CHECK(net.now < 100000);
    }
}

/* The next client calls before the owner has handled the previous one, which has closed. */
static void test_next_client(void **state)
{
    (void)state;
    net_init(&quiet, 9, 115200, MTU);
    load(5, 500);
    run(100000);
    pst_reliable_close(&net.client.s.link);
    while (!ended(&net.server)) {
        step();
        CHECK(net.now < 100000);
    }
    end_init(&net.client, 1235, false, 115200, MTU);
    for (const uint64_t until = net.now + 3000; net.now < until;) {
        step();
    }
    CHECK_EQ(net.server.s.link.state, PST_ERR_CLOSED);
    CHECK(!net.server.s.link.forgotten);
}

static void test_server_restarts(void **state)
{
    (void)state;
    net_init(&quiet, 8, 115200, MTU);
    load(5, 500);
    run(100000);
    CHECK_EQ(pst_serial_open(&net.server.s, &net.server.cfg, net.now), PST_OK);
    net.client.to_send++;
    const uint64_t since = net.now;
    while (!ended(&net.client)) {
        step();
        CHECK(net.now < since + 2000);
    }
    CHECK_EQ(net.client.s.link.state, PST_ERR_CLOSED);
}

/* The client's first frame, truncated at every position and with every byte changed to every value,
 * is never answered. The correct frame right after it is. */
static void test_every_byte(void **state)
{
    uint8_t frame[PST_COBS_ROOM(MTU) + 2], bad[sizeof frame], out[128];

    (void)state;
    net_init(&quiet, 11, 0, MTU);
    const size_t n = pst_serial_output(&net.client.s, frame, sizeof frame, 0);
    CHECK(n > 37 && frame[0] == 0 && frame[n - 1] == 0);
    for (size_t cut = 0; cut < n; cut++) {
        end_init(&net.server, 12, true, 0, MTU);
        pst_serial_input(&net.server.s, frame, cut, 0);
        CHECK_EQ(pst_serial_output(&net.server.s, out, sizeof out, 0), 0);
        pst_serial_input(&net.server.s, frame, n, 0);
        CHECK(pst_serial_output(&net.server.s, out, sizeof out, 0) > 0);
    }
    for (size_t at = 1; at + 1 < n; at++) {
        end_init(&net.server, 12, true, 0, MTU);
        for (unsigned value = 0; value < 256; value++) {
            if (value == frame[at]) {
                continue;
            }
            memcpy(bad, frame, n);
            bad[at] = (uint8_t)value;
            pst_serial_input(&net.server.s, bad, n, 0);
            CHECK_EQ(pst_serial_output(&net.server.s, out, sizeof out, 0), 0);
        }
        CHECK(net.server.s.damaged + net.server.s.in.malformed >= 255);
        pst_serial_input(&net.server.s, frame, n, 0);
        CHECK(pst_serial_output(&net.server.s, out, sizeof out, 0) > 0);
    }
}

static void test_config(void **state)
{
    struct pst_serial_config cfg;

    (void)state;
    net_init(&quiet, 9, 9600, MTU);
    cfg = net.client.cfg;
    cfg.work_len--;
    CHECK_EQ(pst_serial_open(&net.client.s, &cfg, 0), PST_ERR_ARGUMENT);
    cfg = net.client.cfg;
    cfg.link.mtu_first--;
    CHECK_EQ(pst_serial_open(&net.client.s, &cfg, 0), PST_ERR_ARGUMENT);
    cfg = net.server.cfg;
    cfg.link.sent_count = 1;
    CHECK_EQ(pst_serial_open(&net.server.s, &cfg, 0), PST_ERR_ARGUMENT);
}

static void report(uint32_t baud, uint16_t mtu, unsigned lose)
{
    const struct noise noise = {.lose = lose};

    net_init(&noise, 10, baud, mtu);
    net.client.to_send = baud < 100000 ? 8 : 100;
    net.client.longest = MESSAGE;
    run(10000000);
    printf(
        "%8u baud, datagrams of %4u, %u of 100,000 bytes lost: %5.1f %% of the line is payload\n",
        (unsigned)baud, (unsigned)mtu, lose,
        (double)net.server.payload * 1e6 / ((double)net.now * baud));
}

static void test_efficiency(void **state)
{
    (void)state; /* reported, not asserted */
    report(9600, 64, 0);
    report(9600, 256, 0);
    report(115200, 256, 0);
    report(115200, 256, 20);
    report(115200, 1024, 0);
    report(115200, 1024, 20);
    report(4000000, 1024, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cobs_vectors), cmocka_unit_test(test_cobs_any),
        cmocka_unit_test(test_cobs_refuses), cmocka_unit_test(test_every_speed),
        cmocka_unit_test(test_noise),        cmocka_unit_test(test_unplugged),
        cmocka_unit_test(test_wrong_speed),  cmocka_unit_test(test_client_restarts),
        cmocka_unit_test(test_next_client),  cmocka_unit_test(test_server_restarts),
        cmocka_unit_test(test_every_byte),   cmocka_unit_test(test_config),
        cmocka_unit_test(test_efficiency),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
