/* I3C: the engines as a pipe of bytes: backpressure, the end from either side, hot-join, and what
 * the model counts. pst-link: posix */
#include "link/i3c/i3c_rig.h"

enum { STREAM = 60000 };
static uint8_t upward[STREAM], downward[STREAM];

struct flow {
    size_t put, got;
};

static void fill_streams(uint64_t seed)
{
    struct pst_test_rng rng = {seed};

    pst_test_rng_fill(&rng, upward, sizeof upward);
    pst_test_rng_fill(&rng, downward, sizeof downward);
}

/* Runs the TS's owner, `most` bytes at a time. Returns PST_PENDING, or that the DTS is gone. */
static pst_err serve(struct pair *p, struct flow *in, struct flow *out, size_t most)
{
    struct pst_i3c_target *t = &p->target->engine;
    uint8_t bytes[300];
    size_t len;
    const pst_err err = pst_i3c_target_get(t, bytes, most, &len);

    if (err == PST_OK) {
        CHECK(len > 0 && len <= most && in->got + len <= STREAM);
        CHECK_BYTES(bytes, upward + in->got, len);
        in->got += len;
    }
    const size_t left = STREAM - out->put;
    out->put += pst_i3c_target_put(t, downward + out->put, left < most ? left : most);
    return err == PST_OK ? PST_PENDING : err;
}

static void ask(struct pair *p, struct flow *out, struct flow *in, size_t most)
{
    uint8_t bytes[300];
    const size_t left = STREAM - out->put;
    const size_t len = pst_i3c_debugger_get(&p->debugger, bytes, most);

    CHECK(len <= most && in->got + len <= STREAM);
    CHECK_BYTES(bytes, downward + in->got, len);
    in->got += len;
    out->put += pst_i3c_debugger_put(&p->debugger, upward + out->put, left < most ? left : most);
}

static void move(struct pair *p, struct flow *up, struct flow *down, size_t most)
{
    for (unsigned i = 0; i < 400000 && (up->got < STREAM || down->got < STREAM); i++) {
        CHECK_EQ(turn(1), PST_OK);
        ask(p, up, down, most);
        CHECK_EQ(serve(p, up, down, most), PST_PENDING);
    }
    CHECK_EQ(up->got, STREAM);
    CHECK_EQ(down->got, STREAM);
}

static void test_bytes(void **state)
{
    static const size_t steps[] = {1, 7, 247, 300};

    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct flow up = {0}, down = {0};

        fill_streams(i + 1);
        start(30 + i, i % 2 == 0, PST_I3C_PORT_MESSAGES);
        if (i == 3) {
            rig.model.faults = (struct pst_i3c_faults){
                .nack = 60,
                .pend = 100,
                .lose = 40,
                .twice = 40,
                .broken = 40,
                .write = 40,
                .read = 40,
                .cut = 40,
                .drop_ibi = 300,
                .bus_reset = 4,
            };
        }
        move(&rig.pairs[0], &up, &down, steps[i]);
    }
}

/* A DTS that does not read while it writes: its bytes still arrive, and it gets the TS's bytes when
 * it reads again. */
static void test_unread(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 7; seed++) {
        struct flow up = {0}, down = {.put = STREAM - 5000};

        fill_streams(seed);
        start(seed, seed % 2 == 0, PST_I3C_PORT_MESSAGES);
        rig.model.faults.nack = seed < 4 ? 0 : 100;
        rig.model.faults.read = seed < 4 ? 0 : 100;
        struct pair *p = &rig.pairs[0];
        for (int i = 0; i < 40000 && up.got < 20000; i++) {
            CHECK_EQ(turn(1), PST_OK);
            up.put += pst_i3c_debugger_put(&p->debugger, upward + up.put, 20000 - up.put);
            CHECK_EQ(serve(p, &up, &down, 300), PST_PENDING);
        }
        CHECK_EQ(up.got, 20000);
        CHECK(rig.model.reads < 4 * rig.model.writes);
        down.got = STREAM - 5000;
        for (int i = 0; i < 40000 && down.got < STREAM; i++) {
            CHECK_EQ(turn(1), PST_OK);
            ask(p, &up, &down, 300);
            CHECK_EQ(serve(p, &up, &down, 300), PST_PENDING);
        }
        CHECK_EQ(down.got, STREAM);
    }
}

/* The DTS closes: all its bytes arrive, then the end, once. The DTS learns that it is complete. */
static void test_dts_closes(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 9; seed++) {
        struct flow up = {0}, none = {.put = STREAM};
        pst_err err = PST_OK, end = PST_PENDING;

        fill_streams(seed);
        start(seed, seed % 2 == 0, PST_I3C_PORT_MESSAGES);
        rig.model.faults.nack = seed < 5 ? 0 : 200;
        struct pair *p = &rig.pairs[0];
        while (up.put < 3000) {
            CHECK_EQ(turn(1), PST_OK);
            up.put += pst_i3c_debugger_put(&p->debugger, upward + up.put, 3000 - up.put);
        }
        pst_i3c_debugger_close(&p->debugger);
        CHECK_EQ(pst_i3c_debugger_put(&p->debugger, upward, 1), 0);
        for (int i = 0; i < 20000 && err == PST_OK; i++) {
            err = turn(1);
            if (err == PST_OK && i % 5 == 0) {
                CHECK_EQ(serve(p, &up, &none, 100), PST_PENDING);
            }
        }
        CHECK_EQ(err, PST_ERR_CLOSED);
        CHECK_EQ(up.got, 3000);
        CHECK(!pst_i3c_target_is_open(&p->target->engine));
        for (int i = 0; i < 3; i++) {
            end = serve(p, &up, &none, 100);
            CHECK_EQ(end, i == 0 ? PST_ERR_CLOSED : PST_PENDING);
        }
    }
}

/* If the TS does not read, the end waits for it until the caller gives up. */
static void test_close_waits(void **state)
{
    (void)state;
    start(3, true, PST_I3C_PORT_MESSAGES);
    struct pair *p = &rig.pairs[0];

    run_until_up(1);
    CHECK_EQ(pst_i3c_debugger_put(&p->debugger, upward, 500), 500);
    pst_i3c_debugger_close(&p->debugger);
    for (int i = 0; i < 3000; i++) {
        CHECK_EQ(turn(1), PST_OK);
    }
    CHECK(pst_i3c_target_is_open(&p->target->engine));
}

/* The TS closes when all has arrived. The DTS learns it by an IBI, long before its next poll. */
static void test_ts_closes(void **state)
{
    (void)state;
    start(4, true, PST_I3C_PORT_MESSAGES);
    struct pair *p = &rig.pairs[0];
    struct pst_i3c_target *t = &p->target->engine;
    uint8_t bytes[300];
    size_t len;

    CHECK(!pst_i3c_target_is_open(t));
    run_until_up(1);
    CHECK(pst_i3c_target_is_open(t) && pst_i3c_target_is_sent(t));
    CHECK_EQ(pst_i3c_target_put(t, downward, 200), 200);
    CHECK(!pst_i3c_target_is_sent(t));
    for (int i = 0; i < 100 && !pst_i3c_target_is_sent(t); i++) {
        CHECK_EQ(turn(1), PST_OK);
    }
    CHECK(pst_i3c_target_is_sent(t));
    const uint64_t then = rig.now;
    pst_i3c_target_close(t);
    CHECK(!pst_i3c_target_is_open(t));
    CHECK_EQ(pst_i3c_target_put(t, downward, 1), 0);
    CHECK_EQ(pst_i3c_debugger_get(&p->debugger, bytes, sizeof bytes), 200);
    CHECK_BYTES(bytes, downward, 200);
    CHECK_EQ(run_until_error(), PST_ERR_CLOSED);
    CHECK(rig.now - then < 20);
    CHECK_EQ(pst_i3c_target_get(t, bytes, sizeof bytes, &len), PST_PENDING);
}

/* A device that is attached later gets an address by hot-join and can be used. Duplicate ids are
 * refused. */
static void test_hot_join(void **state)
{
    static struct pst_i3c_adaptor late;
    struct pst_i3c_model *m = &rig.model;

    (void)state;
    start(5, true, PST_I3C_PORT_MESSAGES);
    pst_i3c_model_detach(m, &rig.targets[1].device);
    run_until_up(1);
    CHECK_EQ(m->joins, 0);
    CHECK_EQ(pst_i3c_model_attach(m, &rig.targets[1].device), PST_OK);
    CHECK_EQ(m->joins, 1);
    CHECK(rig.targets[1].device.address != 0);
    CHECK(rig.targets[1].device.address != rig.targets[0].device.address);
    pst_i3c_adaptor_init(&late, rig.targets[0].device.id);
    CHECK_EQ(pst_i3c_model_attach(m, &late.device), PST_ERR_BUSY);
    run_until_up(2);
    /* A target is unplugged during a transfer: it no longer answers, and the other one is not
     * affected. */
    pst_i3c_model_detach(m, &rig.targets[0].device);
    CHECK_EQ(run_until_error(), PST_ERR_TIMEOUT);
}

/* Periods of SCL, by hand: START 7E/W, repeated START, address, 12 bytes, STOP; a read the same. */
static void test_bits(void **state)
{
    (void)state;
    start(6, false, PST_I3C_PORT_SPP);
    run_until_up(1);
    struct pst_i3c_model *m = &rig.model;
    const uint64_t ccc = m->bits[PST_I3C_BITS_CCC];
    uint8_t kind, *payload;
    size_t len;

    /* 7 commands of the bring-up, two of which read 4 bytes, one reads 1, three write 1. */
    CHECK_EQ(ccc, 7 * (10 + 18 + 10 + 1) + 9 * (4 + 4 + 1 + 3));
    CHECK_EQ(m->bits[PST_I3C_BITS_WRITE], 0);
    CHECK_EQ(m->bits[PST_I3C_BITS_DAA], 10 + 9 + 2 * (10 + 64 + 9) + 10 + 1);
    CHECK_EQ(pst_i3c_debugger_send(&rig.pairs[0].debugger, PST_LINK_CLEAR, upward, 12), PST_OK);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(turn(1), PST_OK);
    }
    CHECK_EQ(m->bits[PST_I3C_BITS_WRITE], 10 + 10 + 12 * 9 + 1);
    CHECK_EQ(pst_i3c_target_receive(&rig.targets[0].engine, &kind, &payload, &len), PST_OK);
    CHECK_EQ(pst_i3c_target_send(&rig.targets[0].engine, PST_LINK_CLEAR, upward, 5), PST_OK);
    for (int i = 0; i < 50; i++) {
        CHECK_EQ(turn(1), PST_OK);
    }
    CHECK_EQ(m->bits[PST_I3C_BITS_READ], 10 + 10 + 5 * 9 + 1);
    uint64_t sum = 0;
    for (size_t i = 0; i < PST_I3C_BITS_KINDS; i++) {
        sum += m->bits[i];
    }
    CHECK_EQ(sum, pst_i3c_model_bits(m));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),       cmocka_unit_test(test_dts_closes),
        cmocka_unit_test(test_close_waits), cmocka_unit_test(test_ts_closes),
        cmocka_unit_test(test_hot_join),    cmocka_unit_test(test_bits),
        cmocka_unit_test(test_unread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
