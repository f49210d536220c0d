/* PCIe DOE: the mailbox engine against a device model, discovery, and link messages through it. */
#include "pst_test.h"

#include "link/pcie/doe_model.h"

static struct {
    struct doe_model model;
    struct pst_doe doe;
    uint8_t request[DOE_WORDS * 4], answer[512];
    size_t len;
    uint64_t now;
    struct pst_bytes got;
} rig;

/* The same object again, with the words after the head inverted. */
static size_t echo(struct doe_model *m)
{
    for (size_t i = 0; i < m->written_count; i++) {
        m->ready[i] = i < 2 ? m->written[i] : ~m->written[i];
    }
    return m->written_count;
}

static size_t error(struct doe_model *m)
{
    (void)m;
    return 0;
}

static size_t absurd(struct doe_model *m)
{
    (void)echo(m);
    m->ready[1] = 0x3FFFF;
    return DOE_WORDS;
}

static size_t tiny(struct doe_model *m)
{
    (void)echo(m);
    m->ready[1] = 1;
    return 2;
}

static size_t longer(struct doe_model *m)
{
    return echo(m) + 1;
}

static size_t other(struct doe_model *m)
{
    const size_t n = echo(m);
    m->ready[0] ^= 0x30000;
    return n;
}

static void begin(size_t (*answer)(struct doe_model *m), size_t body)
{
    memset(&rig, 0, sizeof rig);
    doe_model_init(&rig.model, answer);
    const struct pst_doe_port port = doe_model_port(&rig.model);
    pst_doe_init(&rig.doe, &port, DOE_AT, 100, rig.answer, sizeof rig.answer);
    for (size_t i = 0; i < body; i++) {
        rig.request[PST_DOE_HEAD + i] = (uint8_t)(i * 7);
    }
    CHECK_EQ(pst_doe_wrap(PST_LINK_SPDM, false, rig.request, sizeof rig.request, body, &rig.len),
             PST_OK);
}

static pst_err ask(void)
{
    pst_err err = pst_doe_start(&rig.doe, rig.request, rig.len, rig.now);

    CHECK_EQ(err, PST_OK);
    for (unsigned steps = 0; steps < 1000; steps++) {
        err = pst_doe_step(&rig.doe, rig.now, &rig.got);
        if (err != PST_PENDING) {
            return err;
        }
        CHECK(pst_doe_wake(&rig.doe) >= rig.now);
        rig.now = pst_doe_wake(&rig.doe);
    }
    CHECK(!"it goes on for ever");
    return PST_ERR_STATE;
}

/* Nothing of an earlier exchange is left. */
static void good_again(void)
{
    rig.model.answer = echo;
    rig.model.cut = rig.model.slow = 0;
    rig.model.mute = false;
    CHECK_EQ(ask(), PST_OK);
    CHECK_EQ(rig.got.len, rig.len);
    for (size_t i = PST_DOE_HEAD; i < rig.len; i++) {
        CHECK_EQ(rig.got.at[i], (uint8_t)~rig.request[i]);
    }
}

static void test_find(void **state)
{
    const struct pst_doe_port port = doe_model_port(&rig.model);
    uint16_t at = 0;
    uint8_t version = 0;

    (void)state;
    doe_model_init(&rig.model, echo);
    CHECK_EQ(pst_doe_find(&port, 0, &at, &version), PST_OK);
    CHECK_EQ(at, DOE_AT);
    CHECK_EQ(version, 2);
    CHECK_EQ(pst_doe_find(&port, at, &at, &version), PST_ERR_UNSUPPORTED);
    rig.model.words[0x180 / 4] = 0xFF80000Du;
    rig.model.words[0xFF8 / 4] = 0x2E; /* too near to the end to be one */
    CHECK_EQ(pst_doe_find(&port, DOE_AT, &at, &version), PST_ERR_UNSUPPORTED);
    rig.model.words[0x180 / 4] = 0x10010001; /* a ring */
    CHECK_EQ(pst_doe_find(&port, DOE_AT, &at, &version), PST_OK);
    rig.model.words[DOE_AT / 4] = 0x1800000D;
    CHECK_EQ(pst_doe_find(&port, 0, &at, &version), PST_ERR_DECODE);
    CHECK(rig.model.accesses < 600);
    rig.model.words[0x100 / 4] = 0;
    CHECK_EQ(pst_doe_find(&port, 0, &at, &version), PST_ERR_UNSUPPORTED);
    rig.model.words[0x100 / 4] = 0xFFFFFFFF; /* a device without extended space */
    CHECK_EQ(pst_doe_find(&port, 0, &at, &version), PST_ERR_UNSUPPORTED);
    rig.model.gone_after = 1;
    CHECK_EQ(pst_doe_find(&port, 0, &at, &version), PST_ERR_CLOSED);
}

static void test_exchange(void **state)
{
    (void)state;
    for (size_t body = 1; body < 400; body += 13) {
        begin(echo, body);
        CHECK_EQ(ask(), PST_OK);
        good_again();
        rig.model.slow = 4;
        CHECK_EQ(ask(), PST_OK);
        CHECK(rig.now > 0 && rig.now < 100);
        CHECK_EQ(rig.model.aborts, 1); /* before the first one */
        CHECK_EQ(rig.doe.objects, 3);
    }
}

static void test_misuse(void **state)
{
    (void)state;
    begin(echo, 16);
    CHECK_EQ(pst_doe_step(&rig.doe, 0, &rig.got), PST_ERR_STATE);
    CHECK_EQ(pst_doe_start(&rig.doe, rig.request, 4, 0), PST_ERR_ARGUMENT);
    CHECK_EQ(pst_doe_start(&rig.doe, rig.request, rig.len - 4, 0), PST_ERR_ARGUMENT);
    CHECK_EQ(pst_doe_start(&rig.doe, rig.request, rig.len, 0), PST_OK);
    CHECK_EQ(pst_doe_start(&rig.doe, rig.request, rig.len, 0), PST_ERR_STATE);
    pst_doe_cancel(&rig.doe);
    CHECK_EQ(rig.model.aborts, 1);
    CHECK(pst_doe_wake(&rig.doe) == UINT64_MAX);
    good_again();
}

static void test_device_faults(void **state)
{
    static const struct {
        size_t (*answer)(struct doe_model *m);
        unsigned cut;
        pst_err err;
    } faults[] = {
        {error,  0, PST_ERR_PEER      },
        {absurd, 0, PST_ERR_LIMIT     },
        {tiny,   0, PST_ERR_DECODE    },
        {longer, 0, PST_ERR_DECODE    },
        {other,  0, PST_ERR_UNEXPECTED},
        {echo,   3, PST_ERR_DECODE    },
        {echo,   5, PST_ERR_DECODE    },
    };

    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        begin(faults[i].answer, 16);
        rig.model.cut = faults[i].cut;
        CHECK_EQ(ask(), faults[i].err);
        CHECK_EQ(rig.model.aborts, 2);
        good_again();
    }
}

static void test_buffer_too_small(void **state)
{
    (void)state;
    begin(echo, 600);
    CHECK_EQ(ask(), PST_ERR_LIMIT);
    CHECK_EQ(rig.model.aborts, 2);
}

static void test_silence(void **state)
{
    (void)state;
    begin(echo, 16);
    rig.model.mute = true;
    CHECK_EQ(ask(), PST_ERR_TIMEOUT);
    CHECK_EQ(rig.now, 100);
    CHECK(rig.model.accesses < 60);
    good_again();
}

static void test_wedged(void **state)
{
    (void)state;
    begin(error, 16);
    rig.model.wedged = true;
    CHECK_EQ(ask(), PST_ERR_PEER);
    CHECK(rig.now >= 1000 && rig.now < 1200);
    /* Now it cannot be cleared before a request either. */
    CHECK_EQ(ask(), PST_ERR_TIMEOUT);
    rig.model.wedged = false;
    good_again();
}

static void test_stale(void **state)
{
    (void)state;
    begin(echo, 16);
    rig.model.status = 0x80000000u; /* an answer that was not read */
    rig.model.ready_count = 9;
    CHECK_EQ(ask(), PST_OK);
    CHECK_EQ(rig.model.aborts, 1);
    rig.model.status = 4;
    good_again();
    CHECK_EQ(rig.model.aborts, 2);
}

/* A process was killed while it wrote an object, which no register shows. */
static void test_half_written(void **state)
{
    (void)state;
    begin(echo, 16);
    rig.model.written[0] = 0x20001;
    rig.model.written[1] = 200;
    rig.model.written_count = 2;
    good_again();
}

static void test_busy(void **state)
{
    (void)state;
    begin(echo, 16);
    rig.model.busy = 5;
    CHECK_EQ(ask(), PST_OK);
    CHECK_EQ(rig.model.aborts, 1);
    rig.model.busy = 1000000;
    rig.now = 0;
    good_again();
    CHECK_EQ(rig.model.aborts, 2);
    CHECK(rig.now >= 1000);
}

/* Unplugged, or a failing port, at every access. */
static void test_gone(void **state)
{
    (void)state;
    begin(echo, 16);
    CHECK_EQ(ask(), PST_OK);
    const unsigned all = rig.model.accesses;
    for (unsigned n = 1; n < all; n++) {
        begin(echo, 16);
        rig.model.gone_after = n;
        CHECK_EQ(ask(), PST_ERR_CLOSED);
        begin(echo, 16);
        rig.model.fail_after = n;
        CHECK_EQ(ask(), PST_ERR_IO);
    }
}

/* --- discovery --- */

static void test_survey(void **state)
{
    const struct pst_binding *doe = pst_binding_find("doe");
    struct pst_doe_survey s;
    uint8_t ask_[12], answer[12];

    (void)state;
    for (uint8_t version = 1; version < 3; version++) {
        pst_err err = PST_PENDING;
        pst_doe_survey_init(&s, version);
        for (uint8_t i = 0; err == PST_PENDING; i++) {
            CHECK_EQ(pst_doe_survey_ask(&s, ask_), 12);
            CHECK_EQ(ask_[8], i);
            CHECK_EQ(ask_[9], version == 1 ? 0 : 2);
            CHECK_EQ(pst_binding_discover(doe, i, answer), PST_OK);
            for (size_t n = 0; n < sizeof answer; n++) {
                struct pst_doe_survey copy = s;
                CHECK_EQ(pst_doe_survey_take(&copy, answer, n), PST_ERR_DECODE);
            }
            err = pst_doe_survey_take(&s, answer, sizeof answer);
        }
        CHECK_EQ(err, PST_OK);
        CHECK(s.spdm && s.secured);
    }
    pst_doe_survey_init(&s, 1);
    CHECK_EQ(pst_binding_discover(doe, 1, answer), PST_OK);
    CHECK_EQ(pst_doe_survey_take(&s, answer, sizeof answer), PST_PENDING);
    CHECK(s.spdm && !s.secured);
    CHECK_EQ(pst_doe_survey_take(&s, answer, sizeof answer), PST_ERR_DECODE); /* a ring */
}

/* --- messages --- */

enum { CAP = 512 };

static struct {
    struct pst_doe_end dts, ts;
    uint8_t dts_buffer[CAP], ts_buffer[CAP], object[CAP];
} pair;

static void begin_pair(void)
{
    memset(&pair, 0, sizeof pair);
    pst_doe_end_init(&pair.dts, false, pair.dts_buffer, CAP);
    pst_doe_end_init(&pair.ts, true, pair.ts_buffer, CAP);
}

/* All of it, a byte at a time. */
static pst_err say(struct pst_doe_end *e, uint8_t kind, const void *payload, size_t len)
{
    uint8_t message[PST_LINK_HEADER + CAP];

    CHECK_EQ(pst_framing_header(message, kind, len), PST_OK);
    memcpy(message + PST_LINK_HEADER, payload, len);
    for (size_t i = 0; i < PST_LINK_HEADER + len; i++) {
        size_t taken = 0;
        PST_TRY(pst_doe_end_write(e, message + i, 1, &taken));
        CHECK_EQ(taken, 1);
    }
    return PST_OK;
}

static pst_err carry(struct pst_doe_end *from, struct pst_doe_end *to)
{
    size_t len;
    const uint8_t *object = pst_doe_end_object(from, &len);

    CHECK(object != NULL);
    CHECK(len % 4 == 0 && len <= CAP - PST_DOE_SPARE);
    memcpy(pair.object, object, len);
    pst_doe_end_drop(from);
    return pst_doe_end_take(to, pair.object, len);
}

static void hear(struct pst_doe_end *e, uint8_t kind, const void *payload, size_t len, size_t pad)
{
    struct pst_bytes out = pst_doe_end_peek(e);

    CHECK(out.len > PST_LINK_HEADER);
    CHECK_EQ(out.at[3], kind);
    CHECK_EQ(pst_peek_u32(out.at) & 0xFFFFFF, len + pad);
    pst_doe_end_read(e, 1);
    out = pst_doe_end_peek(e);
    CHECK_BYTES(out.at + 3, payload, len);
    pst_doe_end_read(e, out.len);
    CHECK_EQ(pst_doe_end_peek(e).len, 0);
}

static struct pst_hello hear_hello(struct pst_doe_end *e)
{
    const struct pst_bytes out = pst_doe_end_peek(e);
    struct pst_hello hello = {0};
    uint8_t op = 0;
    pst_err why;

    CHECK_EQ(out.at[3], PST_LINK_CONTROL);
    CHECK_EQ(pst_link_get_control(out.at + 4, out.len - 4, &op, &hello, &why), PST_OK);
    CHECK_EQ(op, PST_CONTROL_HELLO);
    pst_doe_end_read(e, out.len);
    return hello;
}

static pst_err say_hello(struct pst_doe_end *e, bool target, bool shared)
{
    const struct pst_hello hello = {.profile = PST_PROFILE_VERSION,
                                    .target = target,
                                    .shared = shared,
                                    .largest = PST_LINK_MAX_MESSAGE};
    uint8_t control[PST_LINK_CONTROL_MAX];
    return say(e, PST_LINK_CONTROL, control, pst_link_put_hello(control, &hello));
}

static void greet(bool shared)
{
    begin_pair();
    CHECK_EQ(say_hello(&pair.dts, false, shared), PST_OK);
    CHECK_EQ(carry(&pair.dts, &pair.ts), PST_OK);
    struct pst_hello hello = hear_hello(&pair.ts);
    CHECK(!hello.target && hello.shared == shared && hello.native && hello.polled);
    CHECK_EQ(hello.largest, CAP - PST_DOE_SPARE - PST_DOE_HEAD);
    CHECK_EQ(say_hello(&pair.ts, true, false), PST_OK);
    CHECK_EQ(carry(&pair.ts, &pair.dts), PST_OK);
    hello = hear_hello(&pair.dts);
    CHECK(hello.target && hello.native && hello.polled);
}

static void test_messages(void **state)
{
    uint8_t bytes[CAP];

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i + 1);
    }
    greet(true);
    greet(false);
    for (size_t len = 1; len <= CAP - PST_DOE_SPARE - PST_DOE_HEAD; len++) {
        const uint8_t kind = len % 2 == 0 ? PST_LINK_RECORD : PST_LINK_SPDM;
        const size_t pad = (4 - len % 4) % 4;
        CHECK_EQ(say(&pair.dts, kind, bytes, len), PST_OK);
        CHECK_EQ(carry(&pair.dts, &pair.ts), PST_OK);
        hear(&pair.ts, kind, bytes, len, pad);
        CHECK_EQ(say(&pair.ts, kind, bytes, len), PST_OK);
        CHECK_EQ(carry(&pair.ts, &pair.dts), PST_OK);
        hear(&pair.dts, kind, bytes, len, pad);
    }
}

static void test_one_in_hand(void **state)
{
    size_t taken;

    (void)state;
    greet(false);
    CHECK_EQ(say(&pair.dts, PST_LINK_SPDM, "\x10\x84\0", 4), PST_OK);
    CHECK_EQ(pst_doe_end_write(&pair.dts, (const uint8_t *)"x", 1, &taken), PST_OK);
    CHECK_EQ(taken, 0);
    CHECK_EQ(carry(&pair.dts, &pair.ts), PST_OK);
    CHECK_EQ(say(&pair.dts, PST_LINK_SPDM, "\x10\x84\0", 4), PST_OK);
    CHECK_EQ(carry(&pair.dts, &pair.ts), PST_ERR_STATE); /* the first is not read */
}

static void test_bye(void **state)
{
    uint8_t bye[PST_LINK_CONTROL_MAX];
    const size_t len = pst_link_put_bye(bye, PST_ERR_BUSY);

    (void)state;
    greet(false);
    CHECK_EQ(say(&pair.dts, PST_LINK_CONTROL, bye, len), PST_OK);
    CHECK_EQ(carry(&pair.dts, &pair.ts), PST_OK);
    hear(&pair.ts, PST_LINK_CONTROL, bye, len, 0);
    CHECK_EQ(say(&pair.ts, PST_LINK_CONTROL, bye, len), PST_OK);
    CHECK_EQ(carry(&pair.ts, &pair.dts), PST_OK);
    hear(&pair.dts, PST_LINK_CONTROL, bye, len, 0);
}

/* A device that knows SPDM, and no HELLO. */
static void test_foreign_device(void **state)
{
    static const uint8_t no[] = {0x10, 0x7F, 0x07, 0xFE};
    size_t len;

    (void)state;
    for (int shared = 0; shared < 2; shared++) {
        begin_pair();
        CHECK_EQ(say_hello(&pair.dts, false, shared != 0), PST_OK);
        pst_doe_end_drop(&pair.dts);
        memcpy(pair.object + PST_DOE_HEAD, no, sizeof no);
        CHECK_EQ(pst_doe_wrap(PST_LINK_SPDM, true, pair.object, CAP, sizeof no, &len), PST_OK);
        CHECK_EQ(pst_doe_end_take(&pair.dts, pair.object, len),
                 shared != 0 ? PST_ERR_PROFILE : PST_OK);
        if (shared == 0) {
            const struct pst_hello hello = hear_hello(&pair.dts);
            CHECK(hello.target && hello.native && hello.polled && !hello.shared);
            CHECK_EQ(pst_doe_end_take(&pair.dts, pair.object, len), PST_OK); /* an answer now */
            hear(&pair.dts, PST_LINK_SPDM, no, sizeof no, 0);
        }
    }
}

/* A requester that knows SPDM, and no HELLO. */
static void test_foreign_requester(void **state)
{
    size_t len;

    (void)state;
    begin_pair();
    CHECK_EQ(pst_doe_end_assume(&pair.ts), PST_OK);
    CHECK_EQ(pst_doe_end_assume(&pair.ts), PST_ERR_STATE);
    const struct pst_hello hello = hear_hello(&pair.ts);
    CHECK(!hello.target && hello.native);
    CHECK_EQ(say_hello(&pair.ts, true, false), PST_OK);
    CHECK(pst_doe_end_object(&pair.ts, &len) == NULL);
    CHECK_EQ(say(&pair.ts, PST_LINK_SPDM, "\x10\x04\0", 4), PST_OK);
    CHECK(pst_doe_end_object(&pair.ts, &len) != NULL);
}

static void test_refused(void **state)
{
    size_t len;
    uint8_t big[PST_LINK_HEADER];

    (void)state;
    greet(false);
    CHECK_EQ(say(&pair.dts, PST_LINK_CLEAR, "1234", 4), PST_ERR_UNSUPPORTED);
    greet(false);
    CHECK_EQ(say(&pair.dts, PST_LINK_SPDM, "", 0), PST_ERR_UNSUPPORTED);
    greet(false);
    CHECK_EQ(pst_framing_header(big, PST_LINK_RECORD, CAP), PST_OK);
    CHECK_EQ(pst_doe_end_write(&pair.dts, big, sizeof big, &len), PST_ERR_DECODE);
    begin_pair(); /* an answer that is none to HELLO */
    memcpy(pair.object + PST_DOE_HEAD, "\x10\x04\0", 4);
    CHECK_EQ(pst_doe_wrap(PST_LINK_SPDM, true, pair.object, CAP, 4, &len), PST_OK);
    CHECK_EQ(pst_doe_end_take(&pair.dts, pair.object, len), PST_ERR_DECODE);
    for (size_t n = 0; n < len; n++) {
        CHECK_EQ(pst_doe_end_take(&pair.ts, pair.object, n), PST_ERR_DECODE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_exchange),
        cmocka_unit_test(test_misuse),
        cmocka_unit_test(test_device_faults),
        cmocka_unit_test(test_buffer_too_small),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_wedged),
        cmocka_unit_test(test_stale),
        cmocka_unit_test(test_half_written),
        cmocka_unit_test(test_busy),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_survey),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_one_in_hand),
        cmocka_unit_test(test_bye),
        cmocka_unit_test(test_foreign_device),
        cmocka_unit_test(test_foreign_requester),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
