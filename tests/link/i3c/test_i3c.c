/* I3C: messages of any length between both engines over the model of a bus. pst-link: posix */
#include "link/i3c/i3c_rig.h"

/* spec: the order that public clients use */
static void test_bring_up(void **state)
{
    static const uint16_t order[] = {0xD700, 0xD702, 0xD702, 0xD8FD, 0xD706, 0xD706, 0xD701};

    (void)state;
    for (int interrupts = 0; interrupts < 2; interrupts++) {
        start(1, interrupts != 0, PST_I3C_PORT_MESSAGES);
        CHECK(!pst_i3c_debugger_is_up(&rig.pairs[0].debugger));
        run_until_up(1);
        CHECK_EQ(rig.model.logged, sizeof order / sizeof order[0]);
        for (size_t i = 0; i < rig.model.logged; i++) {
            CHECK_EQ(rig.model.log[i], order[i]);
        }
        CHECK_EQ(rig.pairs[0].debugger.counts.recoveries, 0);
        CHECK_EQ(rig.model.finds, 1);
    }
}

static void test_clean(void **state)
{
    (void)state;
    for (int interrupts = 0; interrupts < 2; interrupts++) {
        start(2, interrupts != 0, PST_I3C_PORT_MESSAGES);
        rig.count = 40;
        rig.longest = 3000;
        deliver(2);
        CHECK_EQ(rig.pairs[0].debugger.counts.damaged, 0);
        CHECK_EQ(rig.pairs[1].debugger.counts.recoveries, 0);
        const struct pst_i3c_adaptor *t = rig.targets;
        CHECK_EQ(t[0].device.ibis + t[1].device.ibis > 0, interrupts);
    }
}

static void test_largest(void **state)
{
    (void)state;
    start(3, true, PST_I3C_PORT_MESSAGES);
    rig.count = 2;
    rig.longest = BIG;
    deliver(1);
    /* At least 2 * 266 fragments and few more: nothing is sent twice without need. */
    CHECK(rig.model.writes < 600 + rig.model.reads);
    CHECK(rig.pairs[0].debugger.counts.nacks < 100);
}

static void test_arbitration(void **state)
{
    unsigned lost = 0;

    (void)state;
    for (uint64_t seed = 1; seed < 10; seed++) {
        start(seed, true, PST_I3C_PORT_MESSAGES);
        rig.count = 30;
        rig.longest = 100;
        rig.model.faults.refuse_ibi = 300;
        deliver(2);
        lost += rig.targets[0].device.lost_arbitration + rig.targets[1].device.lost_arbitration;
    }
    CHECK(lost > 0);
}

/* Each kind of fault alone at a high rate, then all together; with and without IBIs. */
static const struct pst_i3c_faults kinds[] = {
    {.nack = 400},
    {.pend = 700},
    {.lose = 300},
    {.twice = 500},
    {.broken = 200},
    {.write = 300},
    {.read = 300},
    {.cut = 300},
    {.drop_ibi = 900, .refuse_ibi = 500},
    {.drop_ibi = 1000},
    {.bus_reset = 15},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };
static const struct pst_i3c_faults all_kinds = {
    .nack = 60,
    .pend = 100,
    .lose = 40,
    .twice = 40,
    .broken = 40,
    .write = 40,
    .read = 40,
    .cut = 40,
    .drop_ibi = 300,
    .refuse_ibi = 200,
    .bus_reset = 4,
};

static void test_faults(void **state)
{
    unsigned resets = 0, damaged = 0;

    (void)state;
    for (size_t k = 0; k <= KINDS; k++) {
        for (uint64_t seed = 1; seed <= 6; seed++) {
            start(seed * 100 + k, seed % 2 == 0, PST_I3C_PORT_MESSAGES);
            rig.count = 40;
            rig.longest = 4000;
            rig.model.faults = k < KINDS ? kinds[k] : all_kinds;
            deliver(2);

            CHECK_EQ(rig.pairs[0].closed + rig.pairs[1].closed, 0);
            resets += rig.model.resets;
            damaged += rig.pairs[0].debugger.counts.damaged;
        }
    }
    CHECK(resets > 10 && damaged > 100);
}

static void test_largest_with_faults(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        start(seed, seed % 2 == 0, PST_I3C_PORT_MESSAGES);
        rig.count = 2;
        rig.longest = BIG;
        rig.model.faults = all_kinds;
        deliver(2);
    }
}

/* Addresses change and may be exchanged; nothing is lost. */
static void test_bus_reset(void **state)
{
    (void)state;
    start(5, true, PST_I3C_PORT_MESSAGES);
    run_until_up(2);
    rig.count = 20;
    rig.longest = 2000;
    for (int i = 0; i < 10; i++) {
        for (int j = 0; j < 25; j++) {
            CHECK_EQ(turn(2), PST_OK);
        }
        pst_i3c_model_reset(&rig.model);
    }
    deliver(2);
    CHECK(rig.pairs[0].debugger.counts.recoveries > 0);
    CHECK(rig.pairs[1].debugger.counts.recoveries > 0);
    CHECK_EQ(rig.model.patterns, 0);
}

/* The debugger notices it without traffic too: the next message of the target arrives. */
static void test_bus_reset_idle(void **state)
{
    (void)state;
    start(6, true, PST_I3C_PORT_MESSAGES);
    run_until_up(1);
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(turn(1), PST_OK);
    }
    pst_i3c_model_reset(&rig.model);
    rig.count = 1;
    rig.longest = 10;
    deliver(1);
}

static void test_adaptor_reset(void **state)
{
    (void)state;
    start(7, true, PST_I3C_PORT_MESSAGES);
    struct pair *p = &rig.pairs[0];
    struct pst_i3c_target *t = &p->target->engine;
    uint8_t kind, *payload, out[PST_I3C_STATUS_LEN];
    size_t len;

    rig.count = 3;
    rig.longest = 500;
    deliver(1);
    CHECK(!pst_i3c_target_pattern(t));
    CHECK_EQ(pst_i3c_target_ccc(t, PST_I3C_RSTACT, 0x01, NULL, 0), PST_ERR_UNSUPPORTED);
    CHECK(!pst_i3c_target_pattern(t));
    /* A START in between cancels the action. */
    CHECK_EQ(pst_i3c_target_ccc(t, PST_I3C_RSTACT, PST_I3C_RESET, NULL, 0), PST_OK);
    CHECK_EQ(pst_i3c_target_ccc_read(t, PST_I3C_DBGOPCODE, PST_I3C_START, out, &len), PST_OK);
    CHECK(!pst_i3c_target_pattern(t));
    CHECK_EQ(pst_i3c_target_ccc(t, PST_I3C_RSTACT, PST_I3C_RESET, NULL, 0), PST_OK);
    CHECK_EQ(pst_i3c_target_write(t, out, 1), PST_ERR_DECODE);
    CHECK(!pst_i3c_target_pattern(t));
    CHECK(pst_i3c_target_is_open(t));
    CHECK_EQ(pst_i3c_target_ccc(t, PST_I3C_RSTACT_ALL, PST_I3C_RESET, NULL, 0), PST_OK);
    CHECK(pst_i3c_target_pattern(t));
    CHECK(!pst_i3c_target_pattern(t));
    CHECK_EQ(pst_i3c_target_ccc_read(t, PST_I3C_DBGOPCODE, PST_I3C_START, out, &len), PST_OK);
    CHECK_EQ(len, 4);
    CHECK_BYTES(out, "\0\0\0", 4);
    CHECK_EQ(pst_i3c_target_ccc_read(t, PST_I3C_RSTACT, PST_I3C_RESET_TIME, out, &len), PST_OK);
    CHECK_EQ(out[0], 7);
    CHECK_EQ(pst_i3c_target_send(t, PST_LINK_CLEAR, out, 1), PST_ERR_STATE);

    rig.count = 0;
    CHECK_EQ(run_until_error(), PST_ERR_CLOSED);
    CHECK_EQ(pst_i3c_debugger_send(&p->debugger, PST_LINK_CLEAR, out, 1), PST_ERR_CLOSED);
    CHECK_EQ(pst_i3c_target_receive(t, &kind, &payload, &len), PST_ERR_CLOSED);
    CHECK_EQ(pst_i3c_target_receive(t, &kind, &payload, &len), PST_PENDING);

    start_debugger(p, true, PST_I3C_PORT_MESSAGES);
    rig.count = 6;
    p->dts.sent = p->dts.got = p->ts.sent = p->ts.got = 0;
    deliver(1);
}

/* A debugger dies and comes back: the TS gets the end exactly once. */
static void test_begins_anew(void **state)
{
    (void)state;
    start(8, false, PST_I3C_PORT_MESSAGES);
    struct pair *p = &rig.pairs[0];

    rig.count = 5;
    rig.longest = 4000;
    for (int i = 0; i < 40; i++) {
        CHECK_EQ(turn(1), PST_OK);
    }
    CHECK(!is_done(p));
    start_debugger(p, true, PST_I3C_PORT_MESSAGES);
    rig.count = 0;
    for (int i = 0; i < 60; i++) {
        CHECK_EQ(turn(1), PST_OK);
    }
    uint8_t kind, *payload;
    size_t len;
    CHECK_EQ(pst_i3c_target_receive(&p->target->engine, &kind, &payload, &len), PST_ERR_CLOSED);
    rig.count = 5;
    p->dts.sent = p->dts.got = p->ts.sent = p->ts.got = 0;
    deliver(1);
    CHECK_EQ(p->closed, 0);
}

/* Another debugger takes over the target: the first one gets the end and disturbs nothing. */
static void test_another_begins(void **state)
{
    uint8_t kind, *payload;
    size_t len;
    pst_err err = PST_OK;

    (void)state;
    start(15, true, PST_I3C_PORT_MESSAGES);
    struct pair *second = &rig.pairs[0], *first = &rig.pairs[1];

    rig.count = 3;
    rig.longest = 500;
    deliver(2);
    rig.count = 0;
    second->target = first->target;
    start_debugger(second, true, PST_I3C_PORT_MESSAGES);
    run_until_up(1);
    CHECK_EQ(pst_i3c_target_receive(&second->target->engine, &kind, &payload, &len),
             PST_ERR_CLOSED);
    rig.count = 3;
    second->dts.sent = second->dts.got = second->ts.sent = second->ts.got = 0;
    first->deaf = true; /* the target's owner now speaks with the second one */
    for (int i = 0; i < 20000 && err == PST_OK; i++) {
        err = turn(2);
    }
    CHECK_EQ(err, PST_ERR_CLOSED);
    CHECK(pst_i3c_debugger_is_up(&second->debugger));
    deliver(1);
}

/* The first debugger closes before it knows: this does not end the stream of the other one. */
static void test_another_stays(void **state)
{
    pst_err err = PST_OK;

    (void)state;
    start(16, true, PST_I3C_PORT_MESSAGES);
    struct pair *second = &rig.pairs[0], *first = &rig.pairs[1];

    run_until_up(2);
    second->target = first->target;
    start_debugger(second, true, PST_I3C_PORT_MESSAGES);
    run_until_up(1);
    pst_i3c_debugger_close(&first->debugger);
    for (int i = 0; i < 1000 && err == PST_OK; i++) {
        err = turn(2);
    }
    CHECK_EQ(err, PST_ERR_CLOSED);
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(turn(1), PST_OK);
    }
    CHECK(pst_i3c_debugger_is_up(&second->debugger));
}

/* The debugger waits for a TS that does not read for a long time. The TS signals when it reads
 * again.
 */
static void test_backpressure(void **state)
{
    (void)state;
    start(9, true, PST_I3C_PORT_MESSAGES);
    struct pair *p = &rig.pairs[0];

    run_until_up(1);
    rig.count = 10;
    rig.longest = 2000;
    p->deaf = true;
    for (int i = 0; i < 5000; i++) {
        CHECK_EQ(turn(1), PST_OK);
    }
    CHECK(rig.now > 1000);
    CHECK(rig.model.writes < 100);
    CHECK_EQ(p->debugger.counts.recoveries, 0);
    p->deaf = false;
    deliver(1);
}

static void test_nobody(void **state)
{
    (void)state;
    start(10, true, PST_I3C_PORT_MESSAGES);
    rig.pairs[0].target->device.absent = true;
    CHECK_EQ(run_until_error(), PST_ERR_TIMEOUT);
    /* The target is present, then gone. */
    start(11, true, PST_I3C_PORT_MESSAGES);
    run_until_up(1);
    rig.pairs[0].target->device.absent = true;
    CHECK_EQ(run_until_error(), PST_ERR_TIMEOUT);
    CHECK(rig.now < 60000);
    /* A line so bad that no message arrives intact. */
    start(12, true, PST_I3C_PORT_MESSAGES);
    rig.model.faults.read = 1000;
    CHECK_EQ(run_until_error(), PST_ERR_TIMEOUT);
}

static void test_give_up(void **state)
{
    (void)state;
    start(13, true, PST_I3C_PORT_MESSAGES);
    struct pair *p = &rig.pairs[0];
    struct pst_i3c_debugger_config config = p->debugger.config;

    config.give_up_ms = 500;
    CHECK_EQ(pst_i3c_debugger_init(&p->debugger, &config, rig.now), PST_OK);
    run_until_up(1);
    rig.count = 4;
    rig.longest = 3000;
    p->deaf = true;
    CHECK_EQ(run_until_error(), PST_ERR_TIMEOUT);
    CHECK(rig.now >= 500 && rig.now < 2000);
}

static void test_no_such_port(void **state)
{
    (void)state;
    start(14, true, PST_I3C_PORT_MESSAGES);
    struct pair *p = &rig.pairs[0];
    const struct pst_i3c_target_config config = {.buffers = buffers_of(&p->ts), .ports = 1};

    CHECK_EQ(pst_i3c_target_init(&p->target->engine, &config), PST_OK);
    CHECK_EQ(run_until_error(), PST_ERR_UNSUPPORTED);
    CHECK_EQ(rig.model.patterns, 1); /* a reset was tried, once */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bring_up),       cmocka_unit_test(test_clean),
        cmocka_unit_test(test_largest),        cmocka_unit_test(test_arbitration),
        cmocka_unit_test(test_faults),         cmocka_unit_test(test_largest_with_faults),
        cmocka_unit_test(test_bus_reset),      cmocka_unit_test(test_bus_reset_idle),
        cmocka_unit_test(test_adaptor_reset),  cmocka_unit_test(test_begins_anew),
        cmocka_unit_test(test_backpressure),   cmocka_unit_test(test_nobody),
        cmocka_unit_test(test_give_up),        cmocka_unit_test(test_no_such_port),
        cmocka_unit_test(test_another_begins), cmocka_unit_test(test_another_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
