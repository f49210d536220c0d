/* One end of a link: every split and truncation of HELLO, incompatible peers, floods, closing,
 * timeouts, and one buffer for both directions. */
#include "postern/link.h"
#include "pst_test.h"

enum { CAP = 300, DEADLINE = 5000 };

struct side {
    struct pst_link_end end;
    uint8_t in[CAP], out[PST_LINK_HEADER + CAP];
};

static void side_open(struct side *s, bool target)
{
    CHECK_EQ(pst_link_end_init(&s->end, target, s->in, sizeof s->in, s->out, sizeof s->out),
             PST_OK);
    pst_link_end_open(&s->end, &pst_stream_traits, 0, DEADLINE);
}

/* Takes what is pending to `out`. */
static size_t take(struct pst_link_end *e, uint8_t *out, size_t cap)
{
    const struct pst_bytes b = pst_link_end_pending(e);
    const size_t n = b.len < cap ? b.len : cap;

    if (n > 0) {
        memcpy(out, b.at, n);
    }
    pst_link_end_sent(e, n);
    return n;
}

/* Finds the first event that is not idle, and its position. */
static pst_link_event feed(struct pst_link_end *e, const uint8_t *in, size_t len)
{
    size_t used;

    while (len > 0) {
        const pst_link_event event = pst_link_end_receive(e, in, len, &used);

        CHECK(used <= len);
        in += used;
        len -= used;
        if (event != PST_LINK_IDLE) {
            return event;
        }
        CHECK_EQ(len, 0);
    }
    return PST_LINK_IDLE;
}

static size_t hello_of(uint8_t out[16], bool target, uint32_t largest)
{
    const struct pst_hello hello = pst_link_hello_of(&pst_stream_traits, target, largest);

    CHECK_EQ(pst_framing_header(out, PST_LINK_CONTROL, 12), PST_OK);
    CHECK_EQ(pst_link_put_hello(out + PST_LINK_HEADER, &hello), 12);
    return 16;
}

/* A target and a debugger that are up. */
static void connect(struct side *ts, struct side *dts)
{
    uint8_t bytes[64];
    size_t n;

    side_open(ts, true);
    side_open(dts, false);
    n = take(&ts->end, bytes, sizeof bytes);
    CHECK_EQ(feed(&dts->end, bytes, n), PST_LINK_UP);
    n = take(&dts->end, bytes, sizeof bytes);
    CHECK_EQ(feed(&ts->end, bytes, n), PST_LINK_UP);
}

static void send(struct pst_link_end *e, const char *text)
{
    size_t cap;
    uint8_t *at = pst_link_end_room(e, &cap);

    CHECK(at != NULL && strlen(text) <= cap);
    memcpy(at, text, strlen(text));
    CHECK_EQ(pst_link_end_send(e, PST_LINK_RECORD, strlen(text)), PST_OK);
}

static void check_message(const struct pst_link_end *e, const char *text)
{
    CHECK_EQ(e->kind, PST_LINK_RECORD);
    CHECK_EQ(e->len, strlen(text));
    CHECK_BYTES(e->message, text, strlen(text));
}

static void test_init(void **state)
{
    struct pst_link_end e;
    uint8_t in[PST_LINK_MIN_MESSAGE], out[PST_LINK_HEADER + PST_LINK_MIN_MESSAGE];
    size_t cap, used;
    (void)state;

    CHECK_EQ(pst_link_end_init(&e, true, in, sizeof in - 1, out, sizeof out), PST_ERR_ARGUMENT);
    CHECK_EQ(pst_link_end_init(&e, true, in, sizeof in, out, sizeof out - 1), PST_ERR_ARGUMENT);
    CHECK_EQ(pst_link_end_init(&e, true, in, sizeof in, out, sizeof out), PST_OK);
    /* Nothing happens before it is open. */
    CHECK_EQ(pst_link_end_pending(&e).len, 0);
    CHECK_EQ(pst_link_end_receive(&e, (const uint8_t *)"x", 1, &used), PST_LINK_IDLE);
    CHECK_EQ(used, 1);
    CHECK(pst_link_end_room(&e, &cap) == NULL);
    CHECK_EQ(pst_link_end_poll(&e, UINT64_MAX), PST_LINK_IDLE);
    CHECK(pst_link_end_wake(&e) == UINT64_MAX);
    pst_link_end_close(&e, PST_OK, 0);
    CHECK(!pst_link_end_finished(&e));
}

static void test_messages(void **state)
{
    struct side ts, dts;
    uint8_t bytes[512];
    (void)state;

    connect(&ts, &dts);
    CHECK_EQ(ts.end.traits.mtu, CAP);
    CHECK(pst_link_end_wake(&ts.end) == UINT64_MAX);
    send(&ts.end, "hello");
    size_t cap;
    CHECK(pst_link_end_room(&ts.end, &cap) == NULL); /* one at a time */
    CHECK_EQ(pst_link_end_send(&ts.end, PST_LINK_RECORD, 1), PST_ERR_STATE);
    size_t n = take(&ts.end, bytes, 3); /* the carrier takes it in pieces */
    n += take(&ts.end, bytes + n, 1);
    n += take(&ts.end, bytes + n, sizeof bytes);
    CHECK_EQ(n, PST_LINK_HEADER + 5);
    CHECK_EQ(feed(&dts.end, bytes, n), PST_LINK_MESSAGE);
    check_message(&dts.end, "hello");
    CHECK(pst_link_end_room(&ts.end, &cap) != NULL && cap == CAP);
    CHECK_EQ(pst_link_end_send(&ts.end, PST_LINK_RECORD, CAP + 1), PST_ERR_SPACE);
    CHECK_EQ(pst_link_end_send(&ts.end, PST_LINK_RECORD, CAP), PST_OK);
}

static void test_limits(void **state)
{
    struct side s;
    uint8_t hello[16];
    (void)state;

    side_open(&s, true); /* what the peer takes bounds what is sent */
    hello_of(hello, false, 256);
    CHECK_EQ(feed(&s.end, hello, sizeof hello), PST_LINK_UP);
    CHECK_EQ(s.end.traits.mtu, 256);
    pst_link_end_open(&s.end, &pst_stream_traits, 260, 0); /* and so does the carrier */
    CHECK_BYTES(pst_link_end_pending(&s.end).at + 12, "\x04\x01\x00\x00", 4);
    hello_of(hello, false, 70000);
    CHECK_EQ(feed(&s.end, hello, sizeof hello), PST_LINK_UP);
    CHECK_EQ(s.end.traits.mtu, 260);
}

/* HELLO and a message, split at every position. */
static void test_every_split(void **state)
{
    uint8_t bytes[64];
    (void)state;

    hello_of(bytes, false, 4096);
    memcpy(bytes + 16, "\x02\x00\x00\xd3hi", 6);
    for (size_t at = 0; at <= 22; at++) {
        struct side s;
        size_t used, done = 0;
        unsigned ups = 0, messages = 0;

        side_open(&s, true);
        while (done < 22) {
            const size_t end = done < at ? at : 22;
            const pst_link_event event =
                pst_link_end_receive(&s.end, bytes + done, end - done, &used);
            ups += event == PST_LINK_UP;
            messages += event == PST_LINK_MESSAGE;
            CHECK(event != PST_LINK_DOWN && event != PST_LINK_CLOSING);
            done += used;
        }
        CHECK_EQ(ups, 1);
        CHECK_EQ(messages, 1);
        check_message(&s.end, "hi");
    }
}

static void test_truncated(void **state)
{
    uint8_t bytes[16];
    (void)state;

    hello_of(bytes, false, 4096);
    for (size_t n = 0; n < sizeof bytes; n++) {
        struct side s;

        side_open(&s, true);
        CHECK_EQ(feed(&s.end, bytes, n), PST_LINK_IDLE);
        pst_link_end_down(&s.end, PST_OK, "the carrier ended");
        CHECK_EQ(s.end.why, PST_ERR_IO);
        CHECK(strcmp(s.end.text, "closed by the peer before HELLO") == 0);
    }
    for (size_t n = 1; n < 6; n++) { /* in the middle of a message it was not in order */
        struct side ts, dts;

        connect(&ts, &dts);
        CHECK_EQ(feed(&ts.end, (const uint8_t *)"\x02\x00\x00\xd3h", n < 5 ? n : 5), PST_LINK_IDLE);
        pst_link_end_down(&ts.end, PST_OK, "cut");
        CHECK_EQ(ts.end.why, PST_ERR_IO);
        CHECK(strcmp(ts.end.text, "cut") == 0);
    }
}

/* Every change of one byte of a HELLO: never up with another profile or role. */
static void test_changed(void **state)
{
    uint8_t bytes[16];
    (void)state;

    for (size_t i = 0; i < sizeof bytes; i++) {
        for (unsigned x = 1; x < 256; x++) {
            struct side s;

            hello_of(bytes, false, 4096);
            bytes[i] ^= (uint8_t)x;
            side_open(&s, true);
            const pst_link_event event = feed(&s.end, bytes, sizeof bytes);
            if (event == PST_LINK_UP) {
                CHECK(i == 10 || i >= 12); /* flags and the largest message */
            } else if (event == PST_LINK_CLOSING) {
                CHECK(i == 9 || i == 10);
            }
        }
    }
}

/* The peer gets the reason in a BYE, then the carrier may be closed. */
static void check_refused(bool target, const uint8_t hello[16], pst_err why, const char *text)
{
    struct side s;
    uint8_t bytes[64];

    side_open(&s, target);
    CHECK_EQ(feed(&s.end, hello, 16), PST_LINK_CLOSING);
    CHECK(pst_link_end_is_closing(&s.end) && !pst_link_end_finished(&s.end));
    CHECK_EQ(s.end.why, why);
    CHECK(strcmp(s.end.text, text) == 0);
    CHECK_EQ(feed(&s.end, hello, 16), PST_LINK_IDLE); /* further input is ignored */
    CHECK_EQ(take(&s.end, bytes, 15), 15);            /* our HELLO, */
    CHECK_EQ(take(&s.end, bytes, 1), 1);
    CHECK(!pst_link_end_finished(&s.end));
    CHECK_EQ(take(&s.end, bytes, sizeof bytes), PST_LINK_HEADER + 2); /* and BYE */
    CHECK_EQ(bytes[4], PST_CONTROL_BYE);
    CHECK_EQ(bytes[5], -(int)why);
    CHECK(pst_link_end_finished(&s.end));
    pst_link_end_down(&s.end, PST_ERR_IO, "reset");
    CHECK_EQ(s.end.why, why);
    CHECK(strcmp(s.end.text, text) == 0);
}

static void test_wrong_peer(void **state)
{
    uint8_t hello[16];
    (void)state;

    hello_of(hello, true, 4096);
    check_refused(true, hello, PST_ERR_UNEXPECTED, "the peer is a target too, expected a debugger");
    hello_of(hello, false, 4096);
    check_refused(false, hello, PST_ERR_UNEXPECTED,
                  "the peer is a debugger too, expected a target");
    hello[9] = PST_PROFILE_VERSION + 1;
    check_refused(true, hello, PST_ERR_PROFILE, "incompatible Postern wire profile");
}

static void check_down(const void *bytes, size_t len, pst_err why, const char *text)
{
    struct side s;
    size_t cap;

    side_open(&s, true);
    CHECK_EQ(feed(&s.end, bytes, len), PST_LINK_DOWN);
    CHECK_EQ(s.end.why, why);
    CHECK(strcmp(s.end.text, text) == 0);
    CHECK_EQ(pst_link_end_pending(&s.end).len, 0); /* a stranger gets no message */
    CHECK(pst_link_end_room(&s.end, &cap) == NULL);
    CHECK_EQ(feed(&s.end, bytes, len), PST_LINK_IDLE);
}

static void test_strangers(void **state)
{
    static uint8_t flood[100000];
    (void)state;

    check_down("GET / HTTP/1.1\r\n\r\n", 18, PST_ERR_DECODE,
               "not Postern's framing: is this another service?");
    check_down(flood, sizeof flood, PST_ERR_DECODE,
               "not Postern's framing: is this another service?");
    check_down("\x00\x00\x00\xd2", 4, PST_ERR_UNEXPECTED,
               "traffic before HELLO: not a Postern peer");
    check_down("\x01\x00\x00\xd1\x07", 5, PST_ERR_DECODE, "a malformed control message");
    check_down("\x2d\x01\x00\xd3", 4, PST_ERR_DECODE, /* one byte more than fits */
               "not Postern's framing: is this another service?");
}

static void test_second_hello(void **state)
{
    struct side ts, dts;
    uint8_t hello[16];
    (void)state;

    connect(&ts, &dts);
    hello_of(hello, false, 4096);
    CHECK_EQ(feed(&ts.end, hello, sizeof hello), PST_LINK_DOWN);
    CHECK_EQ(ts.end.why, PST_ERR_UNEXPECTED);
}

static void test_close(void **state)
{
    struct side ts, dts;
    uint8_t bytes[64];
    size_t used, n;
    (void)state;

    connect(&ts, &dts);
    send(&ts.end, "last words");
    pst_link_end_close(&ts.end, PST_ERR_BUSY, 100);
    CHECK(pst_link_end_wake(&ts.end) == 100 + PST_LINK_CLOSE_MS);
    CHECK_EQ(take(&ts.end, bytes, 4), 4);
    n = 4 + take(&ts.end, bytes + 4, 60);
    n += take(&ts.end, bytes + n, 40);
    CHECK(pst_link_end_finished(&ts.end));
    CHECK_EQ(pst_link_end_receive(&dts.end, bytes, n, &used), PST_LINK_MESSAGE);
    check_message(&dts.end, "last words");
    CHECK_EQ(feed(&dts.end, bytes + used, n - used), PST_LINK_DOWN);
    CHECK_EQ(dts.end.why, PST_OK);
    CHECK_EQ(dts.end.bye, PST_ERR_BUSY);
    CHECK(strcmp(dts.end.text, "closed by the peer") == 0);
    pst_link_end_down(&dts.end, PST_ERR_IO, "late"); /* once is enough */
    CHECK_EQ(dts.end.why, PST_OK);
}

static void test_time(void **state)
{
    struct side s, dts;
    uint8_t hello[16];
    (void)state;

    side_open(&s, true);
    CHECK_EQ(pst_link_end_wake(&s.end), DEADLINE);
    CHECK_EQ(pst_link_end_poll(&s.end, DEADLINE - 1), PST_LINK_IDLE);
    CHECK_EQ(pst_link_end_poll(&s.end, DEADLINE), PST_LINK_DOWN);
    CHECK_EQ(s.end.why, PST_ERR_TIMEOUT);
    CHECK(strcmp(s.end.text, "no HELLO in time") == 0);

    connect(&s, &dts); /* a peer that does not accept the BYE */
    pst_link_end_close(&s.end, PST_ERR_CLOSED, 7);
    CHECK_EQ(pst_link_end_poll(&s.end, 6 + PST_LINK_CLOSE_MS), PST_LINK_IDLE);
    CHECK_EQ(pst_link_end_poll(&s.end, 7 + PST_LINK_CLOSE_MS), PST_LINK_DOWN);
    CHECK_EQ(s.end.why, PST_ERR_CLOSED);

    side_open(&s, true); /* refused by `receive`, which has no clock: the next poll starts it */
    hello_of(hello, true, 4096);
    CHECK_EQ(feed(&s.end, hello, sizeof hello), PST_LINK_CLOSING);
    CHECK_EQ(pst_link_end_wake(&s.end), 0);
    CHECK_EQ(pst_link_end_poll(&s.end, 10), PST_LINK_IDLE);
    CHECK_EQ(pst_link_end_poll(&s.end, 10 + PST_LINK_CLOSE_MS), PST_LINK_DOWN);
    CHECK_EQ(s.end.why, PST_ERR_UNEXPECTED);
}

static void test_again(void **state)
{
    struct side ts, dts;
    uint8_t bytes[64];
    (void)state;

    connect(&ts, &dts);
    CHECK_EQ(feed(&ts.end, (const uint8_t *)"\x09\x00", 2), PST_LINK_IDLE);
    pst_link_end_down(&ts.end, PST_OK, "pulled");
    pst_link_end_open(&ts.end, &pst_stream_traits, 0, DEADLINE);
    CHECK_EQ(take(&ts.end, bytes, sizeof bytes), 16);
    hello_of(bytes, false, 4096);
    CHECK_EQ(feed(&ts.end, bytes, 16), PST_LINK_UP);
    send(&ts.end, "again");
}

/* in == out + header: the two directions take turns. */
static void test_one_buffer(void **state)
{
    uint8_t buffer[PST_LINK_HEADER + CAP], bytes[64];
    struct pst_link_end e;
    size_t used, cap;
    (void)state;

    CHECK_EQ(pst_link_end_init(&e, true, buffer + PST_LINK_HEADER, CAP, buffer, sizeof buffer),
             PST_OK);
    pst_link_end_open(&e, &pst_stream_traits, 0, DEADLINE);
    hello_of(bytes, false, 4096);
    CHECK_EQ(pst_link_end_receive(&e, bytes, 16, &used), PST_LINK_IDLE);
    CHECK_EQ(used, 0); /* first ours goes out */
    pst_link_end_sent(&e, 16);
    CHECK_EQ(feed(&e, bytes, 16), PST_LINK_UP);
    send(&e, "one");
    CHECK_EQ(pst_link_end_receive(&e, bytes, 16, &used), PST_LINK_IDLE);
    CHECK_EQ(used, 0);
    CHECK_EQ(take(&e, bytes, sizeof bytes), 7);
    CHECK_EQ(feed(&e, (const uint8_t *)"\x02\x00\x00\xd3h", 5), PST_LINK_IDLE);
    CHECK(pst_link_end_room(&e, &cap) == NULL); /* half a message is in it */
    CHECK_EQ(feed(&e, (const uint8_t *)"i", 1), PST_LINK_MESSAGE);
    check_message(&e, "hi");
    CHECK(pst_link_end_room(&e, &cap) != NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init),         cmocka_unit_test(test_messages),
        cmocka_unit_test(test_limits),       cmocka_unit_test(test_every_split),
        cmocka_unit_test(test_truncated),    cmocka_unit_test(test_changed),
        cmocka_unit_test(test_wrong_peer),   cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_second_hello), cmocka_unit_test(test_close),
        cmocka_unit_test(test_time),         cmocka_unit_test(test_again),
        cmocka_unit_test(test_one_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
