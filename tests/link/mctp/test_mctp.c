/* MCTP packets and their reassembly, with every rule for dropping packets. */
#include "pst_test.h"

#include "postern/links/mctp.h"

enum { OURS = 0x08, THEIRS = 0x09, CAP = 1000 };

struct rig {
    uint8_t buffers[2][CAP];
    struct pst_mctp_slot slots[2];
    struct pst_mctp_receiver rx;
    struct pst_mctp_header from;
    struct pst_bytes message;
};

static void rig_init(struct rig *rig)
{
    memset(rig, 0, sizeof *rig);
    for (size_t i = 0; i < 2; i++) {
        rig->slots[i] = (struct pst_mctp_slot){.buffer = rig->buffers[i], .cap = CAP};
    }
    rig->rx = (struct pst_mctp_receiver){
        .eid = OURS, .slots = rig->slots, .slot_count = 2, .timeout_ms = 100};
}

enum { S = 0x80, E = 0x40 };

/* A packet of `n` body bytes, all of them `fill`. */
static pst_err give(struct rig *rig, uint8_t marks, uint8_t sequence, uint8_t tag, uint8_t fill,
                    size_t n, uint64_t now)
{
    uint8_t packet[PST_MCTP_HEADER + 300];
    const struct pst_mctp_header h = {.destination = OURS,
                                      .source = THEIRS,
                                      .som = (marks & S) != 0,
                                      .eom = (marks & E) != 0,
                                      .sequence = sequence,
                                      .owner = true,
                                      .tag = tag};

    CHECK(n <= 300);
    pst_mctp_put(packet, &h);
    memset(packet + PST_MCTP_HEADER, fill, n);
    return pst_mctp_receive(&rig->rx, packet, PST_MCTP_HEADER + n, now, &rig->from, &rig->message);
}

static void test_header(void **state)
{
    static const uint8_t packet[] = {0x01, 0x08, 0x09, 0xD9, 0x05};
    struct pst_mctp_header h = {0};
    struct pst_bytes body;
    uint8_t again[PST_MCTP_HEADER];

    (void)state;
    CHECK_EQ(pst_mctp_get(packet, sizeof packet, &h, &body), PST_OK);
    CHECK(h.destination == 8 && h.source == 9 && h.som && h.eom && h.owner);
    CHECK_EQ(h.sequence, 1);
    CHECK_EQ(h.tag, 1);
    CHECK_EQ(body.len, 1);
    for (unsigned flags = 0; flags < 256; flags++) { /* all of them there and back */
        const uint8_t in[PST_MCTP_HEADER] = {1, 2, 3, (uint8_t)flags};

        CHECK_EQ(pst_mctp_get(in, sizeof in, &h, &body), PST_OK);
        pst_mctp_put(again, &h);
        CHECK_BYTES(in, again, sizeof in);
    }
    for (size_t n = 0; n < PST_MCTP_HEADER; n++) {
        CHECK_EQ(pst_mctp_get(packet, n, &h, &body), PST_ERR_DECODE);
    }
    for (unsigned version = 0; version < 256; version++) {
        const uint8_t in[PST_MCTP_HEADER] = {(uint8_t)version, 2, 3, 4};

        CHECK_EQ(pst_mctp_get(in, sizeof in, &h, &body),
                 (version & 15) == 1 ? PST_OK : PST_ERR_VERSION);
    }
}

static void round_trip(size_t len, size_t unit)
{
    static uint8_t message[CAP], packet[PST_MCTP_HEADER + CAP];
    struct pst_test_rng rng = {.state = len};
    const struct pst_mctp_header to = {
        .destination = OURS, .source = THEIRS, .owner = true, .tag = 5};
    struct pst_mctp_sender tx;
    struct rig rig;
    size_t n = 0, packets = 0;
    pst_err err = PST_WANT_MORE;

    rig_init(&rig);
    pst_test_rng_fill(&rng, message, len);
    CHECK_EQ(pst_mctp_send(&tx, &to, message, len, unit), PST_OK);
    while (pst_mctp_next(&tx, packet, sizeof packet, &n) == PST_OK) {
        CHECK_EQ(err, PST_WANT_MORE);
        CHECK(n <= PST_MCTP_HEADER + unit);
        err = pst_mctp_receive(&rig.rx, packet, n, 0, &rig.from, &rig.message);
        packets++;
    }
    CHECK_EQ(err, PST_OK);
    CHECK_EQ(packets, (len + unit - 1) / unit);
    CHECK_EQ(rig.message.len, len);
    CHECK_BYTES(rig.message.at, message, len);
    CHECK(rig.from.source == THEIRS && rig.from.owner && rig.from.tag == 5);
    CHECK_EQ(rig.rx.counters.messages, 1);
    CHECK_EQ(rig.rx.counters.dropped + rig.rx.counters.abandoned, 0);
}

static void test_lengths(void **state)
{
    (void)state;
    for (size_t len = 1; len <= CAP; len++) {
        round_trip(len, PST_MCTP_BASELINE);
    }
    round_trip(CAP, 251);
    round_trip(CAP, CAP);
}

static void test_send_refuses(void **state)
{
    const struct pst_mctp_header to = {.destination = OURS};
    struct pst_mctp_sender tx;
    uint8_t packet[PST_MCTP_HEADER + 64] = {0};
    size_t n = 0;

    (void)state;
    CHECK_EQ(pst_mctp_send(&tx, &to, packet, 0, 64), PST_ERR_ARGUMENT);
    CHECK_EQ(pst_mctp_send(&tx, &to, packet, 1, 63), PST_ERR_ARGUMENT);
    CHECK_EQ(pst_mctp_send(&tx, &to, (const uint8_t *)"abc", 3, 64), PST_OK);
    CHECK_EQ(pst_mctp_next(&tx, packet, 6, &n), PST_ERR_SPACE);
    CHECK_EQ(pst_mctp_next(&tx, packet, 7, &n), PST_OK);
    CHECK_BYTES(packet,
                "\x01\x08\x00\xC0"
                "abc",
                7);
    CHECK_EQ(pst_mctp_next(&tx, packet, 7, &n), PST_ERR_STATE);
}

static void test_middle_of_nothing(void **state)
{
    struct rig rig;

    (void)state;
    rig_init(&rig);
    CHECK_EQ(give(&rig, 0, 0, 1, 1, 64, 0), PST_ERR_UNEXPECTED);
    CHECK_EQ(give(&rig, E, 0, 1, 1, 64, 0), PST_ERR_UNEXPECTED);
    CHECK_EQ(rig.rx.counters.dropped, 2);
    CHECK_EQ(rig.rx.counters.abandoned, 0);
}

static void test_out_of_sequence(void **state)
{
    (void)state;
    for (uint8_t next = 0; next < 4; next++) {
        struct rig rig;

        rig_init(&rig);
        CHECK_EQ(give(&rig, S, 3, 1, 1, 64, 0), PST_WANT_MORE);
        if (next == 0) {
            CHECK_EQ(give(&rig, E, next, 1, 2, 10, 0), PST_OK);
            CHECK_EQ(rig.message.len, 74);
            continue;
        }
        CHECK_EQ(give(&rig, 0, next, 1, 2, 64, 0), PST_ERR_UNEXPECTED);
        CHECK_EQ(rig.rx.counters.abandoned, 1);
        /* What follows is dropped until a start. */
        CHECK_EQ(give(&rig, E, 0, 1, 2, 10, 0), PST_ERR_UNEXPECTED);
        CHECK_EQ(give(&rig, S | E, 0, 1, 9, 10, 0), PST_OK);
    }
}

static void test_new_start(void **state)
{
    struct rig rig;

    (void)state;
    rig_init(&rig);
    CHECK_EQ(give(&rig, S, 0, 1, 1, 64, 0), PST_WANT_MORE);
    CHECK_EQ(give(&rig, S, 2, 1, 7, 70, 0), PST_WANT_MORE);
    CHECK_EQ(rig.rx.counters.abandoned, 1);
    CHECK_EQ(give(&rig, E, 3, 1, 7, 70, 0), PST_OK);
    CHECK_EQ(rig.message.len, 140);
    for (size_t i = 0; i < 140; i++) {
        CHECK_EQ(rig.message.at[i], 7);
    }
    CHECK_EQ(give(&rig, S, 0, 1, 1, 64, 0), PST_WANT_MORE);
    CHECK_EQ(give(&rig, S | E, 0, 1, 8, 3, 0), PST_OK);
    CHECK_EQ(rig.message.len, 3);
    CHECK_EQ(rig.rx.counters.abandoned, 2);
    CHECK_EQ(give(&rig, E, 1, 1, 1, 3, 0), PST_ERR_UNEXPECTED);
}

static void test_unit(void **state)
{
    static const struct {
        uint8_t marks;
        size_t len;
        pst_err err;
    } cases[] = {
        {0, 64, PST_WANT_MORE     },
        {0, 63, PST_ERR_UNEXPECTED},
        {0, 65, PST_ERR_UNEXPECTED},
        {E, 64, PST_OK            },
        {E, 1,  PST_OK            },
        {E, 65, PST_ERR_UNEXPECTED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig rig;

        rig_init(&rig);
        CHECK_EQ(give(&rig, S, 0, 1, 1, 64, 0), PST_WANT_MORE);
        CHECK_EQ(give(&rig, cases[i].marks, 1, 1, 1, cases[i].len, 0), cases[i].err);
        CHECK_EQ(rig.rx.counters.abandoned, cases[i].err == PST_ERR_UNEXPECTED);
    }
}

static void test_not_for_us(void **state)
{
    static const uint8_t other[] = {1, 0x0A, THEIRS, 0xC8, 5};
    static const uint8_t null[] = {1, 0, THEIRS, 0xC8, 5};
    static const uint8_t empty[] = {1, OURS, THEIRS, 0xC8};
    static const uint8_t version[] = {2, OURS, THEIRS, 0xC8, 5};
    struct rig rig;

    (void)state;
    rig_init(&rig);
    CHECK_EQ(pst_mctp_receive(&rig.rx, other, 5, 0, &rig.from, &rig.message), PST_ERR_IDENTITY);
    CHECK_EQ(pst_mctp_receive(&rig.rx, null, 5, 0, &rig.from, &rig.message), PST_OK);
    CHECK_EQ(pst_mctp_receive(&rig.rx, empty, 4, 0, &rig.from, &rig.message), PST_ERR_DECODE);
    CHECK_EQ(pst_mctp_receive(&rig.rx, version, 5, 0, &rig.from, &rig.message), PST_ERR_VERSION);
    CHECK_EQ(rig.rx.counters.dropped, 3);
}

static void test_memory_is_bounded(void **state)
{
    struct rig rig;
    uint8_t sequence = 1;
    pst_err err;

    (void)state;
    rig_init(&rig);
    CHECK_EQ(give(&rig, S, 0, 1, 1, 64, 0), PST_WANT_MORE);
    while ((err = give(&rig, 0, sequence, 1, 1, 64, 0)) == PST_WANT_MORE) {
        sequence = (sequence + 1) & 3;
    }
    CHECK_EQ(err, PST_ERR_SPACE);
    CHECK_EQ(rig.rx.counters.abandoned, 1);
    CHECK_EQ(give(&rig, S | E, 0, 1, 1, 64, 0), PST_OK);
    rig.rx.slot_count = 0; /* without any slot, messages of one packet still work */
    CHECK_EQ(give(&rig, S | E, 0, 1, 1, 64, 0), PST_OK);
    CHECK_EQ(give(&rig, S, 0, 1, 1, 64, 0), PST_ERR_BUSY);
}

static void test_slots_and_timeout(void **state)
{
    struct rig rig;

    (void)state;
    rig_init(&rig);
    CHECK_EQ(give(&rig, S, 0, 1, 1, 64, 0), PST_WANT_MORE);
    CHECK_EQ(give(&rig, S, 0, 2, 2, 64, 50), PST_WANT_MORE);
    CHECK_EQ(give(&rig, S, 0, 3, 3, 64, 100), PST_ERR_BUSY);
    CHECK_EQ(give(&rig, E, 1, 2, 2, 6, 100), PST_OK); /* interleaved */
    CHECK_EQ(rig.message.len, 70);
    CHECK_EQ(rig.message.at[0], 2);
    CHECK_EQ(rig.from.tag, 2);
    CHECK_EQ(give(&rig, S, 0, 2, 2, 64, 100), PST_WANT_MORE);
    CHECK_EQ(give(&rig, S, 0, 3, 3, 64, 101), PST_WANT_MORE); /* the first one has timed out */
    CHECK_EQ(rig.rx.counters.abandoned, 1);
    CHECK_EQ(give(&rig, E, 1, 1, 1, 6, 101), PST_ERR_UNEXPECTED);
}

/* Packets are lost, and tags are reused after the timeout: only messages that were sent come out.
 * (Tags reused immediately could be spliced: MCTP's sequence numbers count to four.) */
static void test_faulty_bus(void **state)
{
    struct pst_test_rng rng = {.state = 7};
    static uint8_t message[300], packets[8][68];
    struct pst_mctp_sender tx;
    struct rig rig;
    size_t whole = 0;

    (void)state;
    rig_init(&rig);
    for (unsigned round = 0; round < 2000; round++) {
        const struct pst_mctp_header to = {.destination = OURS, .source = THEIRS, .tag = round & 7};
        const uint64_t now = round * UINT64_C(20);
        size_t n = 0, lens[8] = {0}, len = 1 + pst_test_rng_below(&rng, sizeof message);

        memset(message, (int)round, len);
        CHECK_EQ(pst_mctp_send(&tx, &to, message, len, 64), PST_OK);
        while (pst_mctp_next(&tx, packets[n], sizeof packets[n], &lens[n]) == PST_OK) {
            n++;
        }
        const size_t lost = pst_test_rng_below(&rng, n * 4);
        for (size_t i = 0; i < n; i++) {
            if (i == lost) {
                continue;
            }
            if (pst_mctp_receive(&rig.rx, packets[i], lens[i], now, &rig.from, &rig.message) !=
                PST_OK) {
                continue;
            }
            CHECK_EQ(rig.message.len, len);
            CHECK_BYTES(rig.message.at, message, len);
            whole++;
        }
    }
    CHECK(whole > 1000);
    CHECK_EQ(whole, rig.rx.counters.messages);
}

static void test_serial_vectors(void **state)
{
    static const struct {
        const char *packet, *line;
    } cases[] = {
        {"010809c80510840000", "7e0109 010809c80510840000 6d9f 7e"       },
        {"010809c87e7d5e207e", "7e0109 010809c8 7d5e7d5d5e207d5e 6854 7e"},
        {"010809c81064",       "7e0106 010809c81064 7e7d 7e"             },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t packet[32], line[64], out[64];
        const size_t n = pst_test_hex(cases[i].packet, packet, sizeof packet);
        const size_t m = pst_test_hex(cases[i].line, line, sizeof line);
        struct pst_mctp_serial s;
        struct pst_bytes got;
        size_t written = 0;

        CHECK_EQ(pst_mctp_serial_put(packet, n, out, sizeof out, &written), PST_OK);
        CHECK_EQ(written, m);
        CHECK_BYTES(out, line, m);
        for (size_t cap = 0; cap < m; cap++) {
            CHECK_EQ(pst_mctp_serial_put(packet, n, out, cap, &written), PST_ERR_SPACE);
        }
        pst_mctp_serial_init(&s);
        for (size_t at = 0; at + 1 < m; at++) {
            CHECK_EQ(pst_mctp_serial_receive(&s, line + at, 1, &written, &got), PST_WANT_MORE);
        }
        CHECK_EQ(pst_mctp_serial_receive(&s, line + m - 1, 1, &written, &got), PST_OK);
        CHECK_EQ(got.len, n);
        CHECK_BYTES(got.at, packet, n);
    }
}

static void test_serial_lengths(void **state)
{
    uint8_t packet[PST_MCTP_SERIAL_MAX + 1], line[PST_MCTP_SERIAL_ROOM(PST_MCTP_SERIAL_MAX)];
    struct pst_mctp_serial s;
    size_t n = 0, used = 0;

    (void)state;
    pst_mctp_serial_init(&s);
    memset(packet, 0x7E, sizeof packet);
    for (size_t len = 0; len <= sizeof packet; len++) {
        struct pst_bytes got = {0};

        if (len < PST_MCTP_HEADER || len > PST_MCTP_SERIAL_MAX) {
            CHECK_EQ(pst_mctp_serial_put(packet, len, line, sizeof line, &n), PST_ERR_ARGUMENT);
            continue;
        }
        CHECK_EQ(pst_mctp_serial_put(packet, len, line, sizeof line, &n), PST_OK);
        CHECK_EQ(pst_mctp_serial_receive(&s, line, n, &used, &got), PST_OK);
        CHECK_EQ(used, n);
        CHECK_EQ(got.len, len);
        CHECK_BYTES(got.at, packet, len);
    }
    CHECK_EQ(s.damaged, 0);
    CHECK_EQ(s.skipped, 0);
}

/* Feeds a line. Counts the packets equal to `want` and returns whether there was any other. */
static size_t feed(struct pst_mctp_serial *s, const uint8_t *line, size_t len, const uint8_t *want,
                   size_t n, bool *other)
{
    size_t good = 0, at = 0;

    while (at < len) {
        struct pst_bytes got;
        size_t used = 0;
        const pst_err err = pst_mctp_serial_receive(s, line + at, len - at, &used, &got);

        at += used;
        if (err != PST_OK) {
            continue;
        }
        if (got.len == n && memcmp(got.at, want, n) == 0) {
            good++;
        } else {
            *other = true;
        }
    }
    return good;
}

/* Three frames; every byte changed to every value, and every byte lost: the undamaged frames still
 * arrive, and nothing else does. */
static void test_serial_damage(void **state)
{
    static const uint8_t packet[] = {1, 8, 9, 0xC8, 5, 0x7E, 0x7D, 0x10, 0x84};
    uint8_t line[3 * PST_MCTP_SERIAL_ROOM(sizeof packet)], bad[sizeof line];
    struct pst_mctp_serial s;
    size_t n = 0;

    (void)state;
    CHECK_EQ(pst_mctp_serial_put(packet, sizeof packet, line, sizeof line, &n), PST_OK);
    memcpy(line + n, line, n);
    memcpy(line + 2 * n, line, n);
    for (size_t at = 0; at < n; at++) {
        for (unsigned value = 0; value < 256; value++) {
            bool other = false;

            memcpy(bad, line, 3 * n);
            bad[n + at] = (uint8_t)value;
            pst_mctp_serial_init(&s);
            CHECK(feed(&s, bad, 3 * n, packet, sizeof packet, &other) >= 2);
            CHECK(!other);
        }
        bool other = false;
        memcpy(bad, line, n + at);
        memcpy(bad + n + at, line + n + at + 1, 2 * n - at - 1);
        pst_mctp_serial_init(&s);
        CHECK(feed(&s, bad, 3 * n - 1, packet, sizeof packet, &other) >= 2);
        CHECK(!other);
        pst_mctp_serial_init(&s); /* cut there, then a whole one */
        memcpy(bad, line, at);
        memcpy(bad + at, line, 2 * n);
        CHECK(feed(&s, bad, at + 2 * n, packet, sizeof packet, &other) >= 1);
        CHECK(!other);
    }
}

static void test_serial_shared_flag(void **state)
{
    static const uint8_t packet[] = {1, 8, 9, 0xC8, 5};
    uint8_t line[64];
    struct pst_mctp_serial s;
    size_t n = 0, m = 0;
    bool other = false;

    (void)state;
    pst_mctp_serial_init(&s);
    CHECK_EQ(pst_mctp_serial_put(packet, sizeof packet, line, 32, &n), PST_OK);
    CHECK_EQ(pst_mctp_serial_put(packet, sizeof packet, line + n - 1, 32, &m), PST_OK);
    CHECK_EQ(feed(&s, line, n + m - 1, packet, sizeof packet, &other), 2);
    CHECK(!other);
    CHECK_EQ(s.frames, 2);
    CHECK_EQ(s.damaged, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_send_refuses),
        cmocka_unit_test(test_middle_of_nothing),
        cmocka_unit_test(test_out_of_sequence),
        cmocka_unit_test(test_new_start),
        cmocka_unit_test(test_unit),
        cmocka_unit_test(test_not_for_us),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_slots_and_timeout),
        cmocka_unit_test(test_faulty_bus),
        cmocka_unit_test(test_serial_vectors),
        cmocka_unit_test(test_serial_lengths),
        cmocka_unit_test(test_serial_damage),
        cmocka_unit_test(test_serial_shared_flag),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
