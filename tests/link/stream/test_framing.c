/* Framing: every split, every truncation, and foreign bytes. */
#include "pst_test.h"

#include "postern/link.h"

struct got {
    uint8_t kinds[8];
    uint8_t bytes[8][64];
    size_t lens[8];
    size_t count;
};

static pst_err feed(struct pst_framing *s, const uint8_t *in, size_t len, struct got *got)
{
    uint8_t *payload = NULL;
    size_t used = 0, n = 0;
    uint8_t kind = 0;
    pst_err err = PST_OK;

    do {
        err = pst_framing_receive(s, in, len, &used, &kind, &payload, &n);
        CHECK(used <= len);
        if (err == PST_OK) {
            CHECK(got->count < 8);
            CHECK(n <= sizeof got->bytes[0]);
            got->kinds[got->count] = kind;
            got->lens[got->count] = n;
            if (n > 0) {
                memcpy(got->bytes[got->count], payload, n);
            }
            got->count++;
        } else if (err == PST_WANT_MORE) {
            CHECK_EQ(used, len);
        }
        in += used;
        len -= used;
    } while (err == PST_OK && len > 0);
    return err == PST_OK ? PST_WANT_MORE : err;
}

/* Three messages: 5 bytes, none, 2 bytes. */
static const uint8_t wire[] = {5, 0, 0,    0xD3, 'h', 'e', 'l',  'l', 'o', 0,
                               0, 0, 0xD2, 2,    0,   0,   0xD1, 2,   9};

static void check_three(const struct got *got)
{
    CHECK_EQ(got->count, 3);
    CHECK_EQ(got->kinds[0], PST_LINK_RECORD);
    CHECK_EQ(got->lens[0], 5);
    CHECK_BYTES(got->bytes[0], "hello", 5);
    CHECK_EQ(got->kinds[1], PST_LINK_CLEAR);
    CHECK_EQ(got->lens[1], 0);
    CHECK_EQ(got->kinds[2], PST_LINK_CONTROL);
    CHECK_EQ(got->lens[2], 2);
}

static void test_every_split(void **state)
{
    uint8_t buffer[5];

    (void)state;
    for (size_t a = 0; a <= sizeof wire; a++) {
        for (size_t b = a; b <= sizeof wire; b++) {
            struct pst_framing s;
            struct got got = {.count = 0};

            pst_framing_init(&s, buffer, sizeof buffer);
            CHECK_EQ(feed(&s, wire, a, &got), PST_WANT_MORE);
            CHECK_EQ(feed(&s, wire + a, b - a, &got), PST_WANT_MORE);
            CHECK_EQ(feed(&s, wire + b, sizeof wire - b, &got), PST_WANT_MORE);
            check_three(&got);
        }
    }
}

static void test_byte_by_byte(void **state)
{
    uint8_t buffer[64];
    struct pst_framing s;
    struct got got = {.count = 0};

    (void)state;
    pst_framing_init(&s, buffer, sizeof buffer);
    for (size_t i = 0; i < sizeof wire; i++) {
        CHECK_EQ(feed(&s, wire + i, 1, &got), PST_WANT_MORE);
    }
    check_three(&got);
}

static void test_truncation_gives_nothing(void **state)
{
    uint8_t buffer[64];

    (void)state;
    for (size_t n = 0; n < 9; n++) {
        struct pst_framing s;
        struct got got = {.count = 0};

        pst_framing_init(&s, buffer, sizeof buffer);
        CHECK_EQ(feed(&s, wire, n, &got), PST_WANT_MORE);
        CHECK_EQ(got.count, 0);
    }
}

static void check_refused(const void *bytes, size_t len, size_t cap)
{
    uint8_t buffer[64];
    struct pst_framing s;
    struct got got = {.count = 0};

    pst_framing_init(&s, buffer, cap);
    CHECK_EQ(feed(&s, bytes, len, &got), PST_ERR_DECODE);
    CHECK_EQ(got.count, 0);
    /* After an error valid messages are refused too. */
    CHECK_EQ(feed(&s, wire, sizeof wire, &got), PST_ERR_DECODE);
    CHECK_EQ(got.count, 0);
}

static void test_not_ours(void **state)
{
    static const uint8_t tls[] = {0x16, 3, 1, 2, 0, 1, 0};

    (void)state;
    check_refused("GET / HTTP/1.1\r\n", 16, 64);
    check_refused("SSH-2.0-x\r\n", 11, 64);
    check_refused(tls, sizeof tls, 64);
    check_refused("\0\0\0\0", 4, 64);
    for (unsigned kind = 0; kind < 256; kind++) {
        const uint8_t head[4] = {1, 0, 0, (uint8_t)kind};

        if (kind < PST_LINK_CONTROL || kind > PST_LINK_SPDM) {
            check_refused(head, sizeof head, 64);
        }
    }
}

static void test_oversize(void **state)
{
    static const uint8_t six[] = {6, 0, 0, 0xD3};
    static const uint8_t huge[] = {0xFF, 0xFF, 0xFF, 0xD3};

    (void)state;
    check_refused(six, sizeof six, 5);
    check_refused(huge, sizeof huge, 64);
}

static void test_header(void **state)
{
    uint8_t head[PST_LINK_HEADER];

    (void)state;
    CHECK_EQ(pst_framing_header(head, PST_LINK_RECORD, 0x10203), PST_ERR_SPACE);
    CHECK_EQ(pst_framing_header(head, PST_LINK_RECORD, PST_LINK_MAX_MESSAGE + 1), PST_ERR_SPACE);
    CHECK_EQ(pst_framing_header(head, PST_LINK_RECORD, PST_LINK_MAX_MESSAGE), PST_OK);
    CHECK_BYTES(head, "\x0f\x00\x01\xd3", 4);
}

static void test_hello(void **state)
{
    const struct pst_hello hello = {
        .profile = PST_PROFILE_VERSION, .target = true, .largest = 0x01020304};
    struct pst_hello back = {0};
    uint8_t msg[PST_LINK_CONTROL_MAX + 1] = {0};
    uint8_t op = 0;
    pst_err why = PST_OK;

    (void)state;
    CHECK_EQ(pst_link_put_hello(msg, &hello), PST_LINK_CONTROL_MAX);
    CHECK_BYTES(msg, "\x01MDBG\x01\x01\x00\x04\x03\x02\x01", 12);
    CHECK_EQ(pst_link_get_control(msg, 12, &op, &back, &why), PST_OK);
    CHECK_EQ(op, PST_CONTROL_HELLO);
    CHECK_EQ(back.profile, hello.profile);
    CHECK(back.target);
    CHECK_EQ(back.largest, hello.largest);
    for (size_t n = 0; n < 12; n++) {
        CHECK_EQ(pst_link_get_control(msg, n, &op, &back, &why), PST_ERR_DECODE);
    }
    CHECK_EQ(pst_link_get_control(msg, 13, &op, &back, &why), PST_ERR_DECODE);
}

static void test_hello_bytes(void **state)
{
    const struct pst_hello hello = {.profile = PST_PROFILE_VERSION, .largest = 4096};
    struct pst_hello back;
    uint8_t msg[PST_LINK_CONTROL_MAX];
    uint8_t op = 0;
    pst_err why = PST_OK;

    (void)state;
    pst_link_put_hello(msg, &hello);
    for (size_t i = 0; i < 5; i++) { /* the op and the name */
        msg[i] ^= 0x20;
        CHECK_EQ(pst_link_get_control(msg, 12, &op, &back, &why), PST_ERR_DECODE);
        msg[i] ^= 0x20;
    }
    msg[6] = PST_LINK_FLAGS + 1;
    CHECK_EQ(pst_link_get_control(msg, 12, &op, &back, &why), PST_ERR_DECODE);
    msg[6] = 0;
    msg[7] = 1;
    CHECK_EQ(pst_link_get_control(msg, 12, &op, &back, &why), PST_ERR_DECODE);
    msg[7] = 0;
    pst_poke_u32(msg + 8, PST_LINK_MIN_MESSAGE - 1);
    CHECK_EQ(pst_link_get_control(msg, 12, &op, &back, &why), PST_ERR_DECODE);
    /* A HELLO of another profile is understood well enough to answer BYE. */
    msg[5] = PST_PROFILE_VERSION + 1;
    CHECK_EQ(pst_link_get_control(msg, 9, &op, &back, &why), PST_OK);
    CHECK_EQ(back.profile, PST_PROFILE_VERSION + 1);
    CHECK_EQ(back.largest, 0);
}

static void test_hello_flags(void **state)
{
    (void)state;
    for (uint8_t flags = 0; flags <= PST_LINK_FLAGS; flags++) {
        uint8_t msg[PST_LINK_CONTROL_MAX];
        struct pst_hello hello = {.profile = PST_PROFILE_VERSION, .largest = 4096};
        uint8_t op = 0;
        pst_err why = PST_OK;

        pst_link_put_hello(msg, &hello);
        msg[6] = flags;
        CHECK_EQ(pst_link_get_control(msg, 12, &op, &hello, &why), PST_OK);
        CHECK_EQ(hello.target, (flags & PST_LINK_FLAG_TARGET) != 0);
        CHECK_EQ(hello.shared, (flags & PST_LINK_FLAG_SHARED) != 0);
        CHECK_EQ(hello.native, (flags & PST_LINK_FLAG_NATIVE) != 0);
        CHECK_EQ(hello.polled, (flags & PST_LINK_FLAG_POLLED) != 0);
        CHECK_EQ(hello.mctp, (flags & PST_LINK_FLAG_MCTP) != 0);
        msg[6] = 0;
        pst_link_put_hello(msg, &hello);
        CHECK_EQ(msg[6], flags);
    }
}

static const struct pst_link_traits hops[] = {
    {.ordered = true, .pushes = true,          .sequence_len = 0},
    {.shared = true,  .pushes = true,          .sequence_len = 8},
    {.native = true,  .pushes = false,         .sequence_len = 0},
    {.lossy = true,   .pushes = true,          .sequence_len = 2},
    {.native = true,  .inner = PST_LINK_INNER, .sequence_len = 2},
};
#define HOPS (sizeof hops / sizeof hops[0])

/* Both ends compute the same path from their own hops and the peer's HELLO. */
static void test_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < HOPS * HOPS; i++) {
        const struct pst_link_traits *ts = &hops[i / HOPS], *dts = &hops[i % HOPS];
        const struct pst_hello from_ts = pst_link_hello_of(ts, true, 300);
        const struct pst_hello from_dts = pst_link_hello_of(dts, false, 70000);
        const bool shared = ts->shared || ts->lossy || dts->shared || dts->lossy;
        struct pst_link_traits at_ts, at_dts;

        CHECK(from_ts.target && !from_dts.target);
        pst_link_agree(&at_ts, ts, &from_dts);
        pst_link_agree(&at_dts, dts, &from_ts);
        CHECK_EQ(at_ts.mtu, PST_LINK_MAX_MESSAGE);
        CHECK_EQ(at_dts.mtu, 300);
        CHECK_EQ(at_ts.shared, shared);
        CHECK_EQ(at_dts.shared, shared);
        const bool mctp = ts->inner != 0 || dts->inner != 0;
        CHECK_EQ(at_ts.sequence_len, mctp ? 2 : shared ? 8 : 0);
        CHECK_EQ(at_ts.inner, mctp ? PST_LINK_INNER : 0);
        CHECK_EQ(at_dts.inner, at_ts.inner);
        CHECK_EQ(at_dts.sequence_len, at_ts.sequence_len);
        CHECK_EQ(at_ts.native, ts->native || dts->native);
        CHECK_EQ(at_dts.native, at_ts.native);
        CHECK_EQ(at_ts.pushes, ts->pushes && dts->pushes);
        CHECK_EQ(at_dts.pushes, at_ts.pushes);
        CHECK_EQ(at_dts.lossy, dts->lossy);
    }
}

static void test_bye(void **state)
{
    struct pst_hello hello;
    uint8_t msg[PST_LINK_CONTROL_MAX];
    uint8_t op = 0;
    pst_err why = PST_OK;

    (void)state;
    CHECK_EQ(pst_link_put_bye(msg, PST_ERR_PROFILE), 2);
    CHECK_EQ(pst_link_get_control(msg, 2, &op, &hello, &why), PST_OK);
    CHECK_EQ(op, PST_CONTROL_BYE);
    CHECK_EQ(why, PST_ERR_PROFILE);
    CHECK_EQ(pst_link_get_control(msg, 1, &op, &hello, &why), PST_ERR_DECODE);
    CHECK_EQ(pst_link_get_control(msg, 3, &op, &hello, &why), PST_ERR_DECODE);
    CHECK_EQ(pst_link_put_bye(msg, PST_OK), 2);
    CHECK_EQ(pst_link_get_control(msg, 2, &op, &hello, &why), PST_OK);
    CHECK_EQ(why, PST_OK);
    msg[1] = 1; /* PST_PENDING ends nothing */
    CHECK_EQ(pst_link_get_control(msg, 2, &op, &hello, &why), PST_OK);
    CHECK_EQ(why, PST_ERR_CLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_split),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_truncation_gives_nothing),
        cmocka_unit_test(test_not_ours),
        cmocka_unit_test(test_oversize),
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_hello),
        cmocka_unit_test(test_hello_bytes),
        cmocka_unit_test(test_hello_flags),
        cmocka_unit_test(test_agree),
        cmocka_unit_test(test_bye),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
