/* The reliable link over MCTP: packets lost, doubled and damaged, other messages on the same bus,
 * strangers, restarts; and the same on a serial line at every speed.
 */
#include <stdbool.h>

#include "pst_test.h"

#include "postern/links/checksum.h"
#include "postern/links/mctp_link.h"

enum { MESSAGE = 4000, BUFFER = 8192, SENT = 16, MTU = 250, MOST_MTU = 1018, FIFO = 1 << 15 };

struct end {
    struct pst_mctp_line line;
    struct pst_mctp_link_config cfg;
    struct pst_reliable_sent sent[SENT];
    uint8_t work[PST_MCTP_LINK_WORK(MOST_MTU)], message[MESSAGE], send[BUFFER], receive[BUFFER];
    uint32_t to_send, sent_count, got;
    uint64_t seed;
};

struct noise {
    unsigned lose, change, add; /* of 100,000 bytes, or packets */
};

struct wire { /* one direction of a line */
    struct noise noise;
    struct pst_test_rng rng;
    uint64_t free_us;
    size_t head, count, most;
    uint8_t bytes[FIFO];
    uint64_t due_us[FIFO];
};

static struct end client, server;
static struct wire up, down;
static uint64_t now;
static uint32_t baud;

static void open_end(struct end *e, uint64_t seed, bool listens, uint16_t mtu, size_t unit)
{
    memset(e, 0, sizeof *e);
    e->seed = seed;
    e->cfg = (struct pst_mctp_link_config){
        .link = {.target = listens,
                 .id = (uint32_t)seed * 7919,
                 .start = (uint32_t)(0 - seed),
                 .mtu_first = (uint16_t)(seed % 2 == 0 || mtu < 128 ? mtu : mtu / 2),
                 .mtu_most = mtu,
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
        .eid = listens ? 9 : 8,
        .peer = PST_MCTP_EID_NULL,
        .unit = unit,
        .work = e->work,
        .work_len = PST_MCTP_LINK_WORK(mtu),
    };
    e->cfg.link.timing = pst_mctp_line_timing(baud, mtu, unit, &e->cfg.pause_ms);
    CHECK_EQ(pst_mctp_line_open(&e->line, &e->cfg, baud, now), PST_OK);
}

static void wire_init(struct wire *w, const struct noise *noise, uint64_t seed)
{
    w->noise = *noise;
    w->rng.state = seed;
    w->free_us = w->head = w->count = w->most = 0;
}

static void start(const struct noise *noise, uint64_t seed, uint32_t speed, uint16_t mtu,
                  size_t unit)
{
    now = 0;
    baud = speed;
    wire_init(&up, noise, seed * 2);
    wire_init(&down, noise, seed * 2 + 1);
    open_end(&client, seed + 1, false, mtu, unit);
    open_end(&server, seed + 2, true, mtu, unit);
}

static bool chance(struct wire *w, unsigned of_100000)
{
    return pst_test_rng_below(&w->rng, 100000) < of_100000;
}

static void wire_place(struct wire *w, uint8_t byte)
{
    const size_t at = (w->head + w->count) % FIFO;

    CHECK(w->count < FIFO);
    w->bytes[at] = byte;
    w->due_us[at] = w->free_us;
    w->count++;
    w->most = w->count > w->most ? w->count : w->most;
}

static void wire_put(struct wire *w, uint8_t byte)
{
    w->free_us =
        (w->free_us > now * 1000 ? w->free_us : now * 1000) + (baud > 0 ? 10000000 / baud : 0);
    if (chance(w, w->noise.lose)) {
        return;
    }
    if (chance(w, w->noise.change)) {
        byte ^= (uint8_t)(1u << pst_test_rng_below(&w->rng, 8));
    }
    wire_place(w, byte);
    while (chance(w, w->noise.add)) {
        wire_place(w, (uint8_t)pst_test_rng_u64(&w->rng));
    }
}

static size_t make(const struct end *from, uint32_t i, uint8_t *out)
{
    struct pst_test_rng rng = {.state = from->seed * 1000003 + i};
    const size_t len = pst_test_rng_below(&rng, i % 4 == 0 ? 1500 : 60);

    pst_test_rng_fill(&rng, out, len);
    if (i % 3 == 0) {
        memset(out, 0x7E, len); /* the worst case for this framing */
    }
    return len;
}

static void owner(struct end *e, const struct end *other)
{
    static uint8_t bytes[MESSAGE];
    struct pst_reliable *link = &e->line.mctp.link;
    uint8_t *payload = NULL, kind = 0;
    size_t len = 0;

    while (e->sent_count < e->to_send) {
        const size_t n = make(e, e->sent_count, bytes);

        if (pst_reliable_send(link, PST_LINK_RECORD, bytes, n) != PST_OK) {
            break;
        }
        e->sent_count++;
    }
    while (pst_reliable_receive(link, &kind, &payload, &len) == PST_OK) {
        CHECK_EQ(len, make(other, e->got, bytes));
        CHECK_BYTES(payload, bytes, len);
        e->got++;
    }
}

static void flush(struct wire *w, struct end *e)
{
    uint8_t out[23];
    size_t n;

    while ((n = pst_mctp_line_output(&e->line, out, sizeof out, now)) > 0) {
        for (size_t i = 0; i < n; i++) {
            wire_put(w, out[i]);
        }
    }
}

static void arrive(struct wire *w, struct end *e)
{
    uint8_t in[64];
    size_t n;

    do {
        for (n = 0; n < sizeof in && w->count > 0 && w->due_us[w->head] <= now * 1000; n++) {
            in[n] = w->bytes[w->head];
            w->head = (w->head + 1) % FIFO;
            w->count--;
        }
        pst_mctp_line_input(&e->line, in, n, now);
    } while (n > 0);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void step(void)
{
    arrive(&up, &server);
    arrive(&down, &client);
    for (int twice = 0; twice < 2; twice++) {
        owner(&client, &server);
        owner(&server, &client);
        flush(&up, &client);
        flush(&down, &server);
    }
    uint64_t next = sooner(pst_mctp_line_wake(&client.line), pst_mctp_line_wake(&server.line));
    if (up.count > 0) {
        next = sooner(next, (up.due_us[up.head] + 999) / 1000);
    }
    if (down.count > 0) {
        next = sooner(next, (down.due_us[down.head] + 999) / 1000);
    }
    now = next > now + 1000 ? now + 1000 : next > now ? next : now + 1;
}

static bool ended(const struct end *e)
{
    return e->line.mctp.link.state != PST_OK && e->line.mctp.link.state != PST_PENDING;
}

static bool all_there(void)
{
    return client.got == server.to_send && server.got == client.to_send;
}

static void run(uint64_t limit)
{
    while (!all_there()) {
        step();
        CHECK(!ended(&client) && !ended(&server));
        CHECK(now < limit);
    }
}

static const struct noise quiet;

static void test_every_speed(void **state)
{
    static const uint32_t bauds[] = {9600, 115200, 921600, 4000000, 0};
    static const uint16_t mtus[] = {64, MTU, MOST_MTU};

    (void)state;
    for (size_t b = 0; b < sizeof bauds / sizeof *bauds; b++) {
        for (size_t m = 0; m < sizeof mtus / sizeof *mtus; m++) {
            start(&quiet, b * 3 + m, bauds[b], mtus[m], m == 1 ? PST_MCTP_LINK_UNIT : 64);
            client.to_send = server.to_send = 12;
            run(400000);
            CHECK_EQ(client.line.in.damaged + server.line.in.damaged, 0);
            CHECK_EQ(client.line.mctp.damaged + server.line.mctp.damaged, 0);
            CHECK_EQ(client.line.mctp.in.counters.abandoned, 0);
            /* The timeouts fit the speed of the line: nothing is sent twice on a good line. */
            CHECK_EQ(client.line.mctp.link.counters.lost + server.line.mctp.link.counters.lost, 0);
            if (bauds[b] > 0) { /* one frame ahead, and no more */
                CHECK(up.most <= 2 * sizeof client.line.frame + bauds[b] / 10000 * 4);
            }
        }
    }
}

static void test_noise(void **state)
{
    static const struct noise table[] = {
        {50, 0,  0  },
        {0,  50, 0  },
        {0,  0,  300},
        {30, 30, 30 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        for (uint64_t seed = 0; seed < 3; seed++) {
            start(&table[i], seed * 17 + i, seed == 0 ? 9600 : 115200, seed == 1 ? 64 : MTU, 64);
            client.to_send = server.to_send = 12;
            run(3000000);
        }
    }
}

/* The client restarts with the same id: its old connection ends and the new one works. */
static void test_client_restarts(void **state)
{
    (void)state;
    start(&quiet, 7, 115200, MTU, 64);
    client.to_send = server.to_send = 3;
    run(100000);
    open_end(&client, 50, false, MTU, 64);
    while (!ended(&server)) {
        step();
        CHECK(now < 100000);
    }
    CHECK_EQ(server.line.mctp.link.state, PST_ERR_CLOSED);
    CHECK(server.line.mctp.link.forgotten);
    open_end(&server, 60, true, MTU, 64);
    client.to_send = server.to_send = 3;
    run(200000);
}

/* The next client calls before the owner has handled the previous one, which has closed. */
static void test_next_client(void **state)
{
    (void)state;
    start(&quiet, 7, 115200, MTU, 64);
    client.to_send = server.to_send = 3;
    run(100000);
    pst_reliable_close(&client.line.mctp.link);
    while (!ended(&server)) {
        step();
        CHECK(now < 100000);
    }
    open_end(&client, 50, false, MTU, 64);
    for (const uint64_t until = now + 3000; now < until;) {
        step();
    }
    CHECK_EQ(server.line.mctp.link.state, PST_ERR_CLOSED);
    CHECK(!server.line.mctp.link.forgotten);
}

static void test_server_restarts(void **state)
{
    (void)state;
    start(&quiet, 8, 115200, MTU, 64);
    client.to_send = 3;
    run(100000);
    open_end(&server, 61, true, MTU, 64);
    client.to_send++;
    while (!ended(&client)) {
        step();
        CHECK(now < 100000);
    }
    CHECK_EQ(client.line.mctp.link.state, PST_ERR_CLOSED);
    CHECK(client.line.mctp.link.forgotten);
}

/* --- packets --- */

static void move(struct end *from, struct end *to, struct wire *w)
{
    uint8_t packet[PST_MCTP_HEADER + 64];
    size_t n;

    while ((n = pst_mctp_link_output(&from->line.mctp, packet, sizeof packet, now)) > 0) {
        if (chance(w, w->noise.lose)) {
            continue;
        }
        if (chance(w, w->noise.change)) {
            packet[pst_test_rng_below(&w->rng, n)] ^= 0x10;
        }
        (void)pst_mctp_link_input(&to->line.mctp, packet, n, now);
        if (chance(w, w->noise.add)) {
            (void)pst_mctp_link_input(&to->line.mctp, packet, n, now);
        }
    }
}

static void packets(uint64_t limit)
{
    const uint64_t until = now + limit;

    for (; !all_there(); now++) {
        owner(&client, &server);
        owner(&server, &client);
        move(&client, &server, &up);
        move(&server, &client, &down);
        CHECK(now < until);
    }
}

static void test_packets(void **state)
{
    static const struct noise table[] = {
        {0,    0,    0    },
        {2000, 0,    0    },
        {0,    2000, 0    },
        {0,    0,    20000},
        {1000, 1000, 1000 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        start(&table[i], i, 0, MTU, 64);
        client.to_send = server.to_send = 40;
        packets(200000);
        CHECK_EQ(client.line.mctp.peer, 9); /* learned */
        CHECK_EQ(server.line.mctp.peer, 8);
    }
}

/* Foreign messages, complete and incomplete, and a second caller. */
static void test_company(void **state)
{
    static const uint8_t control[] = {1, 9, 20, 0xC9, 0, 0x80, 2};
    static const uint8_t begun[] = {1, 9, 21, 0x8A, 5, 0x10};
    static struct end late;

    (void)state;
    start(&quiet, 3, 0, MTU, 64);
    client.to_send = server.to_send = 10;
    CHECK_EQ(pst_mctp_link_input(&server.line.mctp, begun, sizeof begun, now), PST_WANT_MORE);
    CHECK_EQ(pst_mctp_link_input(&server.line.mctp, control, sizeof control, now),
             PST_ERR_UNSUPPORTED);
    CHECK_EQ(server.line.mctp.from.source, 20);
    CHECK_EQ(server.line.mctp.other.len, 3);
    CHECK_BYTES(server.line.mctp.other.at, control + 4, 3);
    CHECK_EQ(server.line.mctp.foreign, 1);
    packets(2000);
    open_end(&late, 90, false, MTU, 64);
    late.line.mctp.cfg.eid = late.line.mctp.in.eid = 30;
    for (int i = 0; i < 200; i++, now += 10) {
        uint8_t packet[PST_MCTP_HEADER + 64];
        size_t n;

        while ((n = pst_mctp_link_output(&late.line.mctp, packet, sizeof packet, now)) > 0) {
            (void)pst_mctp_link_input(&server.line.mctp, packet, n, now);
        }
        while ((n = pst_mctp_link_output(&server.line.mctp, packet, sizeof packet, now)) > 0) {
            (void)pst_mctp_link_input(&late.line.mctp, packet, n, now);
        }
    }
    CHECK_EQ(late.line.mctp.link.state, PST_PENDING);
    CHECK_EQ(server.line.mctp.link.state, PST_OK); /* the first one stays */
    client.to_send += 5;
    packets(2000);
}

/* An answer goes to its caller, even if another one sends before. */
static void test_answer_to(void **state)
{
    static const uint8_t closing[] = {PST_DATAGRAM_CLOSE, 1, 2, 3, 4, 43};
    uint8_t packet[PST_MCTP_HEADER + 64], other[PST_MCTP_HEADER + 64] = {1, 9, 31, 0xC8};
    struct pst_writer w = pst_writer_of(other, sizeof other);
    struct pst_mctp_header h;
    struct pst_bytes body;

    (void)state;
    start(&quiet, 12, 0, MTU, 64);
    client.line.mctp.cfg.eid = client.line.mctp.in.eid = 30;
    size_t n = pst_mctp_link_output(&client.line.mctp, packet, sizeof packet, now);
    CHECK_EQ(pst_mctp_link_input(&server.line.mctp, packet, n, now), PST_OK);
    w.used = PST_MCTP_HEADER; /* from 31, and not worth an answer */
    pst_put_u8(&w, PST_MCTP_VENDOR);
    pst_put_be32(&w, PST_MCTP_ENTERPRISE);
    pst_put_u8(&w, PST_MCTP_DATAGRAM);
    pst_put_bytes(&w, closing, sizeof closing);
    pst_put_u32(&w, pst_crc32c(0, closing, sizeof closing));
    CHECK_EQ(pst_mctp_link_input(&server.line.mctp, other, w.used, now), PST_OK);
    n = pst_mctp_link_output(&server.line.mctp, packet, sizeof packet, now);
    CHECK_EQ(pst_mctp_get(packet, n, &h, &body), PST_OK);
    CHECK_EQ(h.destination, 30);
}

static void test_config(void **state)
{
    struct pst_mctp_link_config cfg;

    (void)state;
    start(&quiet, 9, 9600, MTU, 64);
    cfg = client.cfg;
    cfg.work_len--;
    CHECK_EQ(pst_mctp_line_open(&client.line, &cfg, 0, 0), PST_ERR_ARGUMENT);
    cfg = client.cfg;
    cfg.unit = 63;
    CHECK_EQ(pst_mctp_line_open(&client.line, &cfg, 0, 0), PST_ERR_ARGUMENT);
    cfg.unit = PST_MCTP_LINK_UNIT + 1;
    CHECK_EQ(pst_mctp_line_open(&client.line, &cfg, 0, 0), PST_ERR_ARGUMENT);
    cfg = server.cfg;
    cfg.link.mtu_first = (uint16_t)(cfg.link.mtu_most + 1);
    CHECK_EQ(pst_mctp_line_open(&client.line, &cfg, 0, 0), PST_ERR_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_speed),     cmocka_unit_test(test_noise),
        cmocka_unit_test(test_client_restarts), cmocka_unit_test(test_next_client),
        cmocka_unit_test(test_server_restarts), cmocka_unit_test(test_packets),
        cmocka_unit_test(test_company),         cmocka_unit_test(test_answer_to),
        cmocka_unit_test(test_config),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
