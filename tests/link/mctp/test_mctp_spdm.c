/* SPDM over MCTP: the bytes and the pairing of requests and answers. Whatever is lost, a request
 * must reach its owner once, and its answer must have the same bytes. */
#include "pst_test.h"

#include "postern/links/mctp_spdm.h"

enum { MOST = 600, PACKET = PST_MCTP_HEADER + PST_MCTP_BASELINE, ANSWER_MS = 1000, PAUSE_MS = 200 };

struct end {
    struct pst_mctp_spdm m;
    struct pst_framing stream;
    uint8_t message[MOST], work[PST_MCTP_SPDM_WORK(MOST)];
    uint8_t kind, *got;
    size_t len;
};

static void open_end(struct end *e, bool listens)
{
    const struct pst_mctp_spdm_config cfg = {.listens = listens,
                                             .eid = listens ? 9 : 8,
                                             .unit = PST_MCTP_BASELINE,
                                             .most = MOST,
                                             .answer_ms = ANSWER_MS,
                                             .pause_ms = PAUSE_MS,
                                             .tries = 4,
                                             .work = e->work,
                                             .work_len = sizeof e->work};

    CHECK_EQ(pst_mctp_spdm_open(&e->m, &cfg), PST_OK);
    pst_framing_init(&e->stream, e->message, MOST);
}

/* The owner reads one message; false: there is none. */
static bool hear(struct end *e)
{
    uint8_t byte;
    size_t used;

    while (pst_mctp_spdm_read(&e->m, &byte, 1) == 1) {
        pst_err err = pst_framing_receive(&e->stream, &byte, 1, &used, &e->kind, &e->got, &e->len);
        CHECK(err == PST_OK || err == PST_WANT_MORE);
        if (err == PST_OK) {
            return true;
        }
    }
    return false;
}

static bool say(struct end *e, uint8_t kind, const void *body, size_t len)
{
    uint8_t all[PST_LINK_HEADER + MOST];

    CHECK_EQ(pst_framing_header(all, kind, len), PST_OK);
    memcpy(all + PST_LINK_HEADER, body, len);
    return pst_mctp_spdm_write(&e->m, all, PST_LINK_HEADER + len) == PST_LINK_HEADER + len;
}

/* Sends all packets of `from` except those in `lost` (bit n: the n-th). Returns their number. */
static unsigned carry(struct end *from, struct end *to, uint64_t now, uint32_t lost)
{
    uint8_t packet[PACKET];
    unsigned count = 0;

    for (size_t n; (n = pst_mctp_spdm_output(&from->m, packet, sizeof packet, now)) > 0; count++) {
        if ((lost >> count & 1) == 0) {
            (void)pst_mctp_spdm_input(&to->m, packet, n, now);
        }
    }
    return count;
}

static const uint8_t get_version[] = {0x10, 0x84, 0, 0}, version[] = {0x10, 0x04, 0, 0, 7},
                     get_caps[] = {0x12, 0xE1, 0, 0}, caps[] = {0x12, 0x61, 0, 0, 1};

/* Exchanges HELLO and the first request. */
static void start(struct end *dts, struct end *ts)
{
    open_end(dts, false);
    open_end(ts, true);
    CHECK(hear(dts) && dts->kind == PST_LINK_CONTROL);
    CHECK(say(dts, PST_LINK_SPDM, get_version, sizeof get_version));
    CHECK_EQ(carry(dts, ts, 0, 0), 1);
    CHECK(hear(ts) && ts->kind == PST_LINK_CONTROL);
    CHECK(hear(ts) && ts->kind == PST_LINK_SPDM);
    CHECK(say(ts, PST_LINK_SPDM, version, sizeof version));
    CHECK_EQ(carry(ts, dts, 0, 0), 1);
    CHECK(hear(dts) && dts->kind == PST_LINK_SPDM && dts->len == sizeof version);
}

static void test_bytes(void **state)
{
    static const uint8_t asks[] = {1, 0, 8, 0xC0 | 8 | 1, 5, 0x10, 0x84, 0, 0},
                         answers[] = {1, 8, 9, 0xC0 | 1, 5, 0x10, 0x04, 0, 0, 7},
                         record[] = {1, 9, 8, 0xC0 | 8 | 2, 6, 0xAA, 0xBB};
    struct end dts, ts;
    uint8_t packet[PACKET], body[2] = {0xAA, 0xBB};

    (void)state;
    open_end(&dts, false);
    open_end(&ts, true);
    CHECK(say(&dts, PST_LINK_SPDM, get_version, sizeof get_version));
    CHECK_EQ(pst_mctp_spdm_output(&dts.m, packet, sizeof packet, 0), sizeof asks);
    CHECK_BYTES(packet, asks, sizeof asks);
    CHECK_EQ(ts.m.state, PST_PENDING);
    CHECK_EQ(pst_mctp_spdm_input(&ts.m, packet, sizeof asks, 0), PST_OK);
    CHECK_EQ(ts.m.state, PST_OK);
    CHECK(say(&ts, PST_LINK_SPDM, version, sizeof version));
    CHECK_EQ(pst_mctp_spdm_output(&ts.m, packet, sizeof packet, 0), sizeof answers);
    CHECK_BYTES(packet, answers, sizeof answers);
    CHECK_EQ(pst_mctp_spdm_input(&dts.m, packet, sizeof answers, 0), PST_OK);
    CHECK(hear(&dts) && hear(&dts));
    CHECK_BYTES(dts.got, version, sizeof version);
    /* By now it knows who answers. */
    CHECK(say(&dts, PST_LINK_RECORD, body, sizeof body));
    CHECK_EQ(pst_mctp_spdm_output(&dts.m, packet, sizeof packet, 0), sizeof record);
    CHECK_BYTES(packet, record, sizeof record);
}

static void test_greeting(void **state)
{
    struct pst_hello hello;
    uint8_t op;
    pst_err why;

    (void)state;
    for (unsigned listens = 0; listens < 2; listens++) {
        struct end e;
        open_end(&e, listens != 0);
        CHECK(hear(&e) && e.kind == PST_LINK_CONTROL);
        CHECK_EQ(pst_link_get_control(e.got, e.len, &op, &hello, &why), PST_OK);
        CHECK_EQ(op, PST_CONTROL_HELLO);
        CHECK(hello.native && hello.polled && hello.shared && hello.mctp);
        CHECK_EQ(hello.target, listens == 0);
        CHECK_EQ(hello.largest, MOST);
        CHECK(!hear(&e));
    }
}

/* A request or its answer is lost, completely or in part: it is repeated, reaches its owner once,
 * and gets the same answer. In the clear and in records. */
static void test_lost(void **state)
{
    static const struct {
        uint32_t up, down;
    } rows[] = {
        {1, 0},
        {2, 0},
        {4, 0},
        {0, 1},
        {0, 2},
        {0, 4},
        {7, 0},
        {0, 7}
    };
    static const uint8_t kinds[] = {PST_LINK_SPDM, PST_LINK_RECORD};
    uint8_t asked[150], answered[170];

    (void)state;
    memset(asked, 3, sizeof asked);
    memset(answered, 4, sizeof answered);
    for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
        struct end dts, ts;
        const uint8_t kind = kinds[i % 2];
        uint64_t now = 10;
        unsigned heard = 0;

        start(&dts, &ts);
        CHECK(say(&dts, kind, asked, sizeof asked));
        CHECK_EQ(carry(&dts, &ts, now, rows[i / 2].up), 3);
        for (unsigned round = 0; !hear(&dts); round++) {
            CHECK(round < 3);
            if (hear(&ts)) {
                heard++;
                CHECK(ts.kind == kind && ts.len == sizeof asked);
                CHECK_BYTES(ts.got, asked, sizeof asked);
                CHECK(say(&ts, kind, answered, sizeof answered));
            }
            (void)carry(&ts, &dts, now, round == 0 ? rows[i / 2].down : 0);
            now = dts.m.until_ms;
            if (round == 0) {
                CHECK(now <= 10 + ANSWER_MS);
            }
            (void)carry(&dts, &ts, now, 0);
        }
        CHECK_EQ(heard, 1);
        CHECK(dts.kind == kind && dts.len == sizeof answered);
        CHECK_BYTES(dts.got, answered, sizeof answered);
        CHECK_EQ(dts.m.repeated, 1);
        /* And it goes on. */
        (void)carry(&ts, &dts, now, 0);
        CHECK(!hear(&dts));
        CHECK(say(&dts, kind, get_caps, sizeof get_caps));
        CHECK_EQ(carry(&dts, &ts, now, 0), 1);
        CHECK(hear(&ts) && ts.len == sizeof get_caps);
    }
}

/* A repetition has no effect while the owner works or its answer is in transit. */
static void test_impatient(void **state)
{
    struct end dts, ts;
    uint8_t packet[PACKET], answer[200] = {9};
    uint64_t now = 0;

    (void)state;
    start(&dts, &ts);
    CHECK(say(&dts, PST_LINK_RECORD, "question", 8));
    (void)carry(&dts, &ts, now, 0);
    CHECK(hear(&ts));
    now = pst_mctp_spdm_wake(&dts.m);
    CHECK_EQ(now, ANSWER_MS);
    CHECK_EQ(carry(&dts, &ts, now, 0), 1);
    CHECK(!hear(&ts));
    CHECK_EQ(carry(&ts, &dts, now, 0), 0);
    CHECK(say(&ts, PST_LINK_RECORD, answer, sizeof answer));
    size_t n = pst_mctp_spdm_output(&ts.m, packet, sizeof packet, now);
    CHECK_EQ(pst_mctp_spdm_input(&dts.m, packet, n, now), PST_OK);
    now += ANSWER_MS; /* a pause, longer than it should be */
    CHECK_EQ(carry(&dts, &ts, now, 0), 1);
    CHECK_EQ(carry(&ts, &dts, now, 0), 3);
    CHECK(!hear(&ts) && !hear(&dts)); /* its first packet was too long ago */
    CHECK_EQ(carry(&dts, &ts, now, 0), 1);
    CHECK_EQ(carry(&ts, &dts, now, 0), 4);
    CHECK(hear(&dts) && dts.len == sizeof answer);
}

/* Requests that need a new answer go to the owner again. */
static void test_anew(void **state)
{
    static const uint8_t measure[] = {0x12, 0xE0, 0, 1};
    struct end dts, ts;
    uint64_t now = 0;

    (void)state;
    for (unsigned which = 0; which < 3; which++) {
        const uint8_t *ask = which == 0 ? get_version : which == 1 ? measure : get_caps;
        start(&dts, &ts);
        CHECK(say(&dts, PST_LINK_SPDM, ask, 4));
        (void)carry(&dts, &ts, now, 0);
        CHECK(hear(&ts));
        CHECK(say(&ts, PST_LINK_SPDM, caps, sizeof caps));
        (void)carry(&ts, &dts, now, 1);
        (void)carry(&dts, &ts, now + ANSWER_MS, 0);
        CHECK_EQ(hear(&ts), which < 2);
        CHECK_EQ(carry(&ts, &dts, now, 0), which < 2 ? 0 : 1);
    }
}

static void test_gives_up(void **state)
{
    struct end dts, ts;
    unsigned sent = 0;

    (void)state;
    start(&dts, &ts);
    CHECK(say(&dts, PST_LINK_SPDM, get_caps, sizeof get_caps));
    CHECK(!say(&dts, PST_LINK_SPDM, get_caps, sizeof get_caps)); /* one at a time */
    for (uint64_t now = 0; now < 60000; now += 100) {
        sent += carry(&dts, &ts, now, 1);
    }
    CHECK_EQ(sent, 4);
    CHECK_EQ(dts.m.state, PST_ERR_TIMEOUT);
    CHECK_EQ(pst_mctp_spdm_wake(&dts.m), UINT64_MAX);
    CHECK(pst_mctp_spdm_sent(&dts.m));
    CHECK_EQ(pst_mctp_spdm_write(&dts.m, get_caps, 4), 0);
}

/* Invalid answers, invalid requests, and foreign messages. */
static void test_strangers(void **state)
{
    static const struct {
        uint8_t packet[9];
        bool to_ts;
    } rows[] = {
        {{1, 8, 9, 0xC0 | 3, 5, 1, 2, 3, 4},     false}, /* another tag */
        {{1, 8, 9, 0xC8 | 2, 5, 1, 2, 3, 4},     false}, /* a request */
        {{1, 8, 7, 0xC0 | 2, 5, 1, 2, 3, 4},     false}, /* somebody else's */
        {{1, 8, 9, 0xC0 | 2, 6, 1, 2, 3, 4},     false}, /* a record */
        {{1, 8, 9, 0xC0 | 2, 0x7F, 1, 2, 3, 4},  false}, /* of another type */
        {{1, 8, 9, 0xC0 | 2, 0x85, 1, 2, 3, 4},  false}, /* with a check that we do not know */
        {{1, 9, 8, 0xC0 | 2, 5, 1, 2, 3, 4},     true }, /* an answer */
        {{1, 9, 8, 0xC8 | 2, 0, 1, 2, 3, 4},     true }, /* MCTP control */
        {{1, 10, 8, 0xC8 | 2, 5, 0x10, 1, 2, 3}, true }, /* to another one */
    };
    struct end dts, ts;

    (void)state;
    start(&dts, &ts);
    CHECK(say(&dts, PST_LINK_SPDM, get_caps, sizeof get_caps));
    CHECK_EQ(carry(&dts, &ts, 0, 1), 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct end *e = rows[i].to_ts ? &ts : &dts;
        CHECK(pst_mctp_spdm_input(&e->m, rows[i].packet, 9, 0) != PST_OK);
        CHECK(!hear(e));
    }
    /* A responder sends only when asked, and with the same protection. */
    CHECK(say(&ts, PST_LINK_SPDM, caps, sizeof caps));
    CHECK_EQ(carry(&ts, &dts, 0, 0), 0);
    CHECK_EQ(carry(&dts, &ts, ANSWER_MS, 0), 1);
    CHECK(hear(&ts));
    CHECK(say(&ts, PST_LINK_RECORD, caps, sizeof caps));
    CHECK_EQ(carry(&ts, &dts, 0, 0), 0);
    CHECK(say(&ts, PST_LINK_SPDM, caps, sizeof caps));
    CHECK_EQ(carry(&ts, &dts, 0, 0), 1);
    CHECK(hear(&dts));
    /* A connection begins only with GET_VERSION. */
    open_end(&ts, true);
    CHECK(say(&dts, PST_LINK_SPDM, get_caps, sizeof get_caps));
    (void)carry(&dts, &ts, 0, 0);
    CHECK_EQ(ts.m.state, PST_PENDING);
}

static void test_owner(void **state)
{
    static const struct {
        uint8_t bytes[20];
        size_t len;
        pst_err state;
    } rows[] = {
        {{1, 0, 0, 0xD2},                   4, PST_ERR_UNSUPPORTED},
        {{0x59, 2, 0, 0xD4},                4, PST_ERR_UNSUPPORTED},
        {{1, 0, 0, 0xD5},                   4, PST_ERR_DECODE     },
        {{13, 0, 0, 0xD1},                  4, PST_ERR_DECODE     },
        {{1, 0, 0, 0xD1, 9},                5, PST_ERR_DECODE     },
        {{2, 0, 0, 0xD1, 2, 0},             6, PST_OK             },
        {{0, 0, 0, 0xD4, 2, 0, 0, 0xD1, 2}, 9, PST_OK             },
        {{0x58, 2, 0, 0xD4, 1},             5, PST_OK             },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct end dts, ts;
        start(&dts, &ts);
        for (size_t at = 0; at < rows[i].len; at++) {
            (void)pst_mctp_spdm_write(&dts.m, rows[i].bytes + at, 1);
        }
        CHECK_EQ(dts.m.state, rows[i].state);
        CHECK_EQ(carry(&dts, &ts, 0, 0), 0);
    }
}

/* Packets are lost, changed, duplicated: every answered request reached its owner once, in order,
 * and got its own answer. */
static void noisy(uint64_t seed)
{
    struct pst_test_rng rng = {.state = seed};
    struct end ends[2], *dts = &ends[0], *ts = &ends[1];
    uint8_t packet[PACKET], body[MOST];
    uint32_t asked = 0, heard = 0;
    bool waiting = false;

    start(dts, ts);
    dts->m.cfg.tries = 40;
    for (uint64_t now = 0; now < 200000 && dts->m.state == PST_OK; now += 50) {
        if (!waiting) {
            memset(body, 1, sizeof body);
            pst_poke_u32(body, ++asked);
            CHECK(say(dts, PST_LINK_RECORD, body, 4 + pst_test_rng_below(&rng, MOST - 4)));
            waiting = true;
        }
        for (unsigned i = 0; i < 2; i++) {
            for (size_t n; (n = pst_mctp_spdm_output(&ends[i].m, packet, PACKET, now)) > 0;) {
                for (size_t k = pst_test_rng_below(&rng, 100); k > 2; k = k > 97 ? 50 : 0) {
                    (void)pst_mctp_spdm_input(&ends[1 - i].m, packet, n, now);
                }
            }
            if (i == 0 && hear(ts)) {
                CHECK_EQ(pst_peek_u32(ts->got), ++heard);
                memset(body, 2, sizeof body);
                pst_poke_u32(body, heard);
                CHECK(say(ts, PST_LINK_RECORD, body, 4 + pst_test_rng_below(&rng, MOST - 4)));
            }
        }
        if (hear(dts)) {
            CHECK_EQ(pst_peek_u32(dts->got), asked);
            CHECK_EQ(heard, asked);
            waiting = false;
        }
    }
    CHECK_EQ(dts->m.state, PST_OK);
    CHECK(asked > 100);
}

static void test_noisy(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        noisy(seed);
    }
}

/* The same on a serial line, at its speed. */
static void test_line(void **state)
{
    struct pst_mctp_spdm_line a, b;
    static uint8_t work[2][PST_MCTP_SPDM_WORK(MOST)];
    struct pst_mctp_spdm_config cfg = {
        .eid = 8, .unit = 200, .most = MOST, .tries = 2, .work = work[0], .work_len = sizeof *work};
    uint8_t bytes[512], all[PST_LINK_HEADER + 300] = {0x2C, 1, 0, PST_LINK_SPDM, 0x10, 0x84};
    uint64_t now = 0;
    size_t n, total = 0;

    (void)state;
    pst_mctp_spdm_timing(&cfg, 9600);
    CHECK(cfg.answer_ms > 1000 && cfg.pause_ms > 4 * 200);
    CHECK_EQ(pst_mctp_spdm_line_open(&a, &cfg, 9600), PST_OK);
    cfg.listens = true;
    cfg.work = work[1];
    CHECK_EQ(pst_mctp_spdm_line_open(&b, &cfg, 9600), PST_OK);
    cfg.unit = 252;
    CHECK_EQ(pst_mctp_spdm_line_open(&b, &cfg, 9600), PST_ERR_ARGUMENT);
    CHECK_EQ(pst_mctp_spdm_write(&a.mctp, all, sizeof all), sizeof all);
    while (b.mctp.state == PST_PENDING && now < 5000) {
        while ((n = pst_mctp_spdm_line_output(&a, bytes, sizeof bytes, now)) > 0) {
            pst_mctp_spdm_line_input(&b, bytes, n, now);
            total += n;
        }
        now = pst_mctp_spdm_line_wake(&a);
    }
    CHECK_EQ(b.mctp.state, PST_OK);
    CHECK(total > 300 && now >= 200 && now < 500); /* the second packet waited for the first */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),     cmocka_unit_test(test_greeting),
        cmocka_unit_test(test_lost),      cmocka_unit_test(test_impatient),
        cmocka_unit_test(test_anew),      cmocka_unit_test(test_gives_up),
        cmocka_unit_test(test_strangers), cmocka_unit_test(test_owner),
        cmocka_unit_test(test_noisy),     cmocka_unit_test(test_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
