/* The command engine with fake access spaces: which commands run, wait, or are refused. */
#include "fake_space.h"

#define ALL_ON 0xFFFFFFFFU

struct rig {
    struct pst_spp_engine engine;
    struct fake memory, run, jtag, scm;
    struct fake_gate gate;
    uint8_t queue[512];
    uint8_t batch[512];
    struct pst_writer w;
    uint8_t out[600];
    size_t used;
    struct pst_spp_packet answers[32];
    size_t count;
    size_t cap;
    pst_spp_style style;
    uint16_t tag;
};

static void rig_init_as(struct rig *t, bool gated, bool bootstrap)
{
    memset(t, 0, sizeof *t);
    fake_init(&t->memory);
    fake_init(&t->run);
    fake_init(&t->jtag);
    fake_init(&t->scm);
    t->memory.space.urgent_first = 1;
    t->memory.space.urgent_last = 0;
    t->scm.space.urgent_first = 0;
    t->scm.space.urgent_last = UINT64_MAX;
    fake_gate_init(&t->gate);
    t->style = PST_SPP_FULL;
    t->cap = sizeof t->out;
    const struct pst_spp_engine_config config = {
        .spaces = {[PST_AS_JTAG] = &t->jtag.space,
                   [PST_AS_MEMORY] = &t->memory.space,
                   [PST_AS_RUN] = &t->run.space,
                   [PST_AS_SCM] = &t->scm.space},
        .gate = gated ? &t->gate.gate : NULL,
        .queue = t->queue,
        .queue_len = sizeof t->queue,
        .idcode = 0x1234,
        .product = 0x5678,
        .bootstrap = bootstrap,
    };
    CHECK_EQ(pst_spp_engine_init(&t->engine, &config), PST_OK);
    t->w = pst_writer_of(t->batch, sizeof t->batch);
}

static void rig_init(struct rig *t, bool bootstrap)
{
    rig_init_as(t, !bootstrap, bootstrap);
}

static void add(struct rig *t, uint8_t opcode, uint8_t space, uint64_t address, const void *data,
                uint32_t count)
{
    const struct pst_spp_packet p = {
        .style = t->style,
        .opcode = opcode,
        .space = space,
        .tag = t->style == PST_SPP_FULL ? ++t->tag : 0,
        .immediate = true,
        .last = true,
        .address = address,
        .count = count,
        .data = {data, data == NULL ? 0 : count},
    };

    pst_spp_put_command(&t->w, &p);
    CHECK(!t->w.failed);
}

static void add_config(struct rig *t, uint64_t address, uint32_t value)
{
    uint8_t bytes[4];

    pst_poke_u32(bytes, value);
    add(t, PST_SPP_WRITE_CONFIG, 0, address, bytes, 4);
}

static void add_read(struct rig *t, uint8_t space, uint64_t address, uint32_t count)
{
    add(t, PST_SPP_READ, space, address, NULL, count);
}

static void send(struct rig *t)
{
    CHECK_EQ(pst_spp_engine_receive(&t->engine, t->batch, t->w.used), PST_OK);
    t->w.used = 0;
}

/* One output; the answers stay valid until the next one. */
static size_t collect(struct rig *t)
{
    t->used = pst_spp_engine_output(&t->engine, t->out, t->cap);
    CHECK(t->used <= t->cap);
    struct pst_reader r = pst_reader_of(t->out, t->used);
    for (t->count = 0; r.left > 0; t->count++) {
        CHECK(t->count < 32);
        CHECK_EQ(pst_spp_get_response(&r, &t->answers[t->count]), PST_OK);
    }
    return t->count;
}

static void check_status(struct rig *t, size_t i, uint8_t status)
{
    CHECK(i < t->count);
    CHECK_EQ(t->answers[i].status, status);
}

static uint32_t value_of(const struct rig *t, size_t i)
{
    CHECK(i < t->count);
    CHECK_EQ(t->answers[i].data.len, 4);
    return pst_peek_u32(t->answers[i].data.at);
}

/* Initialised, with every space open. */
static void rig_open(struct rig *t)
{
    rig_init(t, false);
    add(t, PST_SPP_INIT, 0, 0, NULL, 0);
    add_config(t, PST_SPC_AS_AVAIL_REQ_SET, ALL_ON);
    add_config(t, PST_SPC_AS_EN_SET, ALL_ON);
    add(t, PST_SPP_READ_CONFIG, 0, PST_SPC_AS_EN_STAT, NULL, 4);
    send(t);
    CHECK_EQ(collect(t), 4);
    CHECK_EQ(value_of(t, 3), 0x87);
    CHECK_EQ(collect(t), 0);
    CHECK(!pst_spp_engine_waiting(&t->engine));
}

static void test_needs_init(void **state)
{
    struct rig t;

    (void)state;
    rig_init(&t, false);
    add(&t, PST_SPP_NOP, 0, 0, NULL, 0);
    add(&t, PST_SPP_READ_CONFIG, 0, PST_SPC_VERSIONS, NULL, 4);
    add_read(&t, PST_AS_MEMORY, 0x100, 4);
    add(&t, PST_SPP_UNBLOCK, 0, 0, NULL, 0);
    add(&t, PST_SPP_INIT, 0, 0, NULL, 0);
    add(&t, PST_SPP_READ_CONFIG, 0, PST_SPC_VERSIONS, NULL, 4);
    send(&t);
    CHECK_EQ(collect(&t), 6);
    check_status(&t, 0, PST_SPP_OK);
    check_status(&t, 1, PST_SPP_BAD_COMMAND);
    check_status(&t, 2, PST_SPP_BAD_COMMAND);
    check_status(&t, 3, PST_SPP_BAD_COMMAND);
    check_status(&t, 4, PST_SPP_OK);
    CHECK_EQ(value_of(&t, 5), 0x0100);
    CHECK_EQ(t.memory.performed, 0);
    CHECK_EQ(t.gate.admitted + t.gate.refused, 0);
}

static void test_public_exchange(void **state)
{
    static const uint8_t init[] = {0x22, 0x30, 0,    0,    0x11, 0xEE,
                                   0x77, 0x88, 0xA5, 0xC3, 0xC3, 0xA5};
    static const uint8_t back[] = {0x22, 0, 0, 0, 0x11, 0xEE, 0x77, 0x44, 0xA5, 0xC3, 0xC3, 0xA5};
    static const uint8_t leave[] = {0x52, 0x30, 4, 0, 0xCC, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF};
    struct rig t;

    (void)state;
    rig_init(&t, false);
    CHECK_EQ(pst_spp_engine_receive(&t.engine, init, sizeof init), PST_OK);
    CHECK_EQ(pst_spp_engine_output(&t.engine, t.out, 64), sizeof back);
    CHECK_BYTES(t.out, back, sizeof back);
    CHECK_EQ(pst_spp_engine_receive(&t.engine, leave, sizeof leave), PST_OK);
    CHECK_EQ(pst_spp_engine_output(&t.engine, t.out, 64), 4);
    CHECK_BYTES(t.out, "\x52\x00\x04\x00", 4);
}

static void test_registers(void **state)
{
    struct rig t;

    (void)state;
    rig_open(&t);
    add(&t, PST_SPP_READ_CONFIG, 0, PST_SPC_IDCODE, NULL, 4);
    add(&t, PST_SPP_READ_CONFIG, 0, PST_SPC_PROD_ID, NULL, 4);
    add(&t, PST_SPP_READ_CONFIG, 0, PST_SPC_AS_PRESENT, NULL, 4);
    add(&t, PST_SPP_READ_CONFIG, 0, PST_SPC_PROFILE, NULL, 4);
    add(&t, PST_SPP_READ_CONFIG, 0, PST_SPC_CREDIT, NULL, 4);
    add(&t, PST_SPP_READ_CONFIG, 0, PST_SPC_SESSION_MGMT_0, NULL, 4);
    add(&t, PST_SPP_READ_CONFIG, 0, 0x44, NULL, 4);
    add_config(&t, PST_SPC_IDCODE, 1);
    add_config(&t, PST_SPC_AS_EN_CLEAR, ALL_ON);
    add(&t, PST_SPP_READ_CONFIG, 0, PST_SPC_AS_EN_STAT, NULL, 4);
    send(&t);
    CHECK_EQ(collect(&t), 10);
    CHECK_EQ(value_of(&t, 0), 0x1234);
    CHECK_EQ(value_of(&t, 1), 0x5678);
    CHECK_EQ(value_of(&t, 2), 0x87);
    CHECK_EQ(value_of(&t, 3), PST_PROFILE_VERSION);
    CHECK_EQ(value_of(&t, 4), sizeof t.queue);
    CHECK_EQ(value_of(&t, 5), 0);
    check_status(&t, 6, PST_SPP_FAULT);
    check_status(&t, 7, PST_SPP_FAULT);
    CHECK_EQ(value_of(&t, 9), 0x80); /* the SCM stays */
    CHECK_EQ(t.memory.disabled, 1);
    CHECK_EQ(t.scm.disabled, 0);
}

static void test_enable_takes_time(void **state)
{
    struct rig t;

    (void)state;
    rig_init(&t, false);
    t.memory.enable_delay = 3;
    t.gate.spaces = 1U << PST_AS_MEMORY | 1U << PST_AS_RUN; /* jtag is not granted */
    t.run.enable_err = PST_ERR_IO;
    add(&t, PST_SPP_INIT, 0, 0, NULL, 0);
    add_config(&t, PST_SPC_AS_EN_SET, ALL_ON); /* not available yet: nothing happens */
    add_config(&t, PST_SPC_AS_AVAIL_REQ_SET, ALL_ON);
    add_config(&t, PST_SPC_AS_EN_SET, ALL_ON);
    add(&t, PST_SPP_READ_CONFIG, 0, PST_SPC_AS_EN_STAT, NULL, 4);
    add(&t, PST_SPP_READ_CONFIG, 0, PST_SPC_AS_AVAIL_STAT, NULL, 4);
    send(&t);
    CHECK_EQ(collect(&t), 4);
    CHECK_EQ(collect(&t), 0);
    CHECK(pst_spp_engine_waiting(&t.engine));
    add_read(&t, PST_AS_SCM, 0, 4); /* the security agent is never behind it */
    send(&t);
    size_t answers = 0;
    for (unsigned i = 0; i < 6 && answers < 2; i++) {
        answers = collect(&t);
        if (answers == 1) {
            CHECK_EQ(t.answers[0].opcode, PST_SPP_READ);
        }
    }
    CHECK_EQ(answers, 2);
    CHECK_EQ(value_of(&t, 0), 0x82);
    CHECK_EQ(value_of(&t, 1), 0x82);
    CHECK_EQ(t.memory.enabled, 1);
    CHECK_EQ(t.jtag.enabled, 0);
}

static void check_bootstrap(struct rig *t)
{
    static const uint64_t told[] = {PST_SPC_VERSIONS, PST_SPC_AS_PRESENT, PST_SPC_PROFILE,
                                    PST_SPC_CREDIT};
    uint8_t bytes[PST_SPP_LOOP_OPERAND] = {4};

    add(t, PST_SPP_INIT, 0, 0, NULL, 0);
    send(t);
    CHECK_EQ(collect(t), 1);
    for (uint64_t address = 0; address < 0x400; address++) {
        bool allowed = false;

        for (size_t i = 0; i < sizeof told / sizeof told[0]; i++) {
            allowed = allowed || told[i] == address;
        }
        add(t, PST_SPP_READ_CONFIG, 0, address, NULL, 4);
        add_config(t, address, ALL_ON);
        send(t);
        CHECK_EQ(collect(t), 2);
        check_status(t, 0, allowed ? PST_SPP_OK : PST_SPP_DENIED);
        check_status(t, 1, PST_SPP_DENIED);
    }
    for (uint8_t space = 0; space < PST_AS_SCM; space++) {
        for (uint8_t opcode = PST_SPP_READ; opcode <= PST_SPP_LOOP; opcode++) {
            for (unsigned urgent = 0; urgent < 2; urgent++) {
                const uint32_t len = opcode == PST_SPP_LOOP ? sizeof bytes : 4;
                add(t, PST_SPP_UNBLOCK, 0, 0, NULL, 0);
                add(t, opcode, space, urgent * 0x10, opcode == PST_SPP_READ ? NULL : bytes, len);
                send(t);
                CHECK_EQ(collect(t), 2);
                check_status(t, 1, PST_SPP_DENIED);
            }
        }
    }
    CHECK_EQ(t->memory.performed + t->run.performed + t->jtag.performed, 0);
    CHECK_EQ(t->run.urgent + t->memory.enabled + t->run.enabled + t->jtag.enabled, 0);
    t->run.event_len = 4;
    CHECK_EQ(collect(t), 0);
    add_read(t, PST_AS_SCM, 0x10, 4);
    send(t);
    CHECK_EQ(collect(t), 1);
    check_status(t, 0, PST_SPP_OK);
}

static void test_bootstrap(void **state)
{
    struct rig t;

    (void)state;
    rig_init(&t, true);
    check_bootstrap(&t);
    rig_init(&t, true);
    t.style = PST_SPP_TINY;
    check_bootstrap(&t);
    /* An engine without a gate allows no more than a bootstrap engine; nor does a bootstrap engine
     * with a gate. */
    rig_init_as(&t, false, false);
    check_bootstrap(&t);
    rig_init_as(&t, true, true);
    check_bootstrap(&t);
}

static void test_gate(void **state)
{
    struct rig t;

    (void)state;
    rig_open(&t);
    t.gate.denied = 0x205;
    add(&t, PST_SPP_WRITE, PST_AS_MEMORY, 0x100, "abcd", 4);
    add_read(&t, PST_AS_MEMORY, 0x200, 5);
    add_read(&t, PST_AS_MEMORY, 0x200, 6);
    send(&t);
    CHECK_EQ(collect(&t), 3);
    check_status(&t, 0, PST_SPP_OK);
    check_status(&t, 1, PST_SPP_OK);
    check_status(&t, 2, PST_SPP_DENIED);
    CHECK_EQ(t.answers[2].code, 40);
    CHECK_EQ(t.gate.asked, 3);
    CHECK_EQ(t.gate.rights, PST_RIGHT_READ | PST_RIGHT_WRITE);
    CHECK_EQ(t.memory.performed, 2);
}

/* The right of a command is computed once: log, gate and access space use the same result. */
static void check_decided_once(struct rig *t, struct fake *space, unsigned asked, uint8_t rights)
{
    space->rights = 0;
    space->lie = PST_RIGHT_TRACE;
    space->delay = 3;
    t->gate.rights = 0;
    const unsigned performed = space->performed, admitted = t->gate.admitted;
    send(t);
    CHECK_EQ(space->rights, asked);
    CHECK_EQ(t->gate.announced_rights, rights);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(collect(t), 0);
    }
    CHECK_EQ(collect(t), 1);
    check_status(t, 0, PST_SPP_OK);
    CHECK_EQ(space->performed, performed + 1);
    CHECK_EQ(space->rights, asked);
    CHECK_EQ(t->gate.admitted, admitted + 1);
    CHECK_EQ(t->gate.admitted_rights, rights);
    CHECK_EQ(t->gate.rights, rights);
}

static void test_decided_once(void **state)
{
    struct rig t;

    (void)state;
    for (unsigned tiny = 0; tiny < 2; tiny++) {
        rig_open(&t);
        t.style = tiny != 0 ? PST_SPP_TINY : PST_SPP_FULL;
        add(&t, PST_SPP_WRITE, PST_AS_MEMORY, 0x100, "abcd", 4);
        check_decided_once(&t, &t.memory, 1, PST_RIGHT_WRITE);
        add_read(&t, PST_AS_MEMORY, 0x100, 4);
        check_decided_once(&t, &t.memory, 1, PST_RIGHT_READ);
        add(&t, PST_SPP_WRITE_READ, PST_AS_JTAG, 0x100, "abcd", 4); /* as a write and as a read */
        check_decided_once(&t, &t.jtag, 2, PST_RIGHT_WRITE | PST_RIGHT_TRACE);
    }
}

/* A decision does not change later, whether granted or denied. */
static void test_decision_is_kept(void **state)
{
    struct rig t;

    (void)state;
    rig_open(&t);
    t.run.stuck = true;
    t.gate.denied = 0x205;
    add_read(&t, PST_AS_RUN, 0x100, 4);
    add_read(&t, PST_AS_MEMORY, 0x204, 4);
    add(&t, PST_SPP_UNBLOCK, 0, 0, NULL, 0);
    add_read(&t, PST_AS_MEMORY, 0x300, 4);
    send(&t);
    CHECK_EQ(t.gate.announced, 2);
    CHECK_EQ(collect(&t), 0);
    t.gate.denied = 0x301;
    t.run.stuck = false;
    CHECK_EQ(collect(&t), 4);
    check_status(&t, 1, PST_SPP_DENIED);
    check_status(&t, 3, PST_SPP_OK);
    CHECK_EQ(t.gate.admitted, 2);
    CHECK_EQ(t.gate.refused, 1);
}

/* If a batch is refused as a whole, none of its commands is queued or announced. */
static void test_refused_batches(void **state)
{
    struct rig t;
    uint8_t big[sizeof t.queue] = {0};

    (void)state;
    rig_open(&t);
    const unsigned batches = t.gate.batches;
    add(&t, PST_SPP_WRITE, PST_AS_MEMORY, 0x100, "abcd", 4);
    add(&t, PST_SPP_WRITE, PST_AS_MEMORY, 0x104, big, sizeof t.queue - 36);
    CHECK_EQ(t.w.used, sizeof t.queue);
    for (size_t n = 21; n < t.w.used; n += 7) {
        CHECK_EQ(pst_spp_engine_receive(&t.engine, t.batch, n), PST_ERR_DECODE);
    }
    t.memory.rights = 0;
    memcpy(big, t.batch, sizeof big);
    CHECK_EQ(t.gate.batches, batches);
    CHECK(!pst_spp_engine_waiting(&t.engine));
    t.w.used = 0;
    t.run.stuck = true;
    add_read(&t, PST_AS_RUN, 0x100, 4);
    send(&t);
    CHECK_EQ(collect(&t), 0);
    CHECK_EQ(pst_spp_engine_receive(&t.engine, big, sizeof big), PST_ERR_LIMIT);
    CHECK_EQ(t.memory.rights, 0); /* the gate was not called */
    CHECK_EQ(t.gate.batches, batches + 1);
    t.gate.announce_err = PST_ERR_AUDIT;
    add(&t, PST_SPP_WRITE, PST_AS_MEMORY, 0x100, "abcd", 4);
    CHECK_EQ(pst_spp_engine_receive(&t.engine, t.batch, t.w.used), PST_ERR_AUDIT);
    t.run.stuck = false;
    CHECK_EQ(collect(&t), 1);
    CHECK_EQ(collect(&t), 0);
    CHECK_EQ(t.memory.performed, 0);
}

static void test_no_such_thing(void **state)
{
    struct rig t;

    (void)state;
    rig_open(&t);
    add_read(&t, 5, 0x100, 4); /* absent */
    add(&t, PST_SPP_UNBLOCK, 0, 0, NULL, 0);
    add_read(&t, PST_AS_MEMORY, 0xF00, 4); /* no such register: never asked, never run */
    add(&t, PST_SPP_UNBLOCK, 0, 0, NULL, 0);
    add_read(&t, PST_AS_MEMORY, UINT64_MAX, 2); /* wraps around */
    add(&t, PST_SPP_UNBLOCK, 0, 0, NULL, 0);
    add(&t, PST_SPP_WRITE_READ, PST_AS_MEMORY, 0x100, "x", 1);
    send(&t);
    CHECK_EQ(collect(&t), 7);
    check_status(&t, 0, PST_SPP_BAD_SPACE);
    check_status(&t, 2, PST_SPP_FAULT);
    check_status(&t, 4, PST_SPP_FAULT);
    check_status(&t, 6, PST_SPP_FAULT);
    CHECK_EQ(t.gate.asked, 0);
    CHECK_EQ(t.memory.performed, 0);
}

static void test_fault_blocks(void **state)
{
    struct rig t;

    (void)state;
    rig_open(&t);
    t.memory.bad = 0x300;
    add(&t, PST_SPP_WRITE, PST_AS_MEMORY, 0x300, "x", 1);
    add(&t, PST_SPP_WRITE, PST_AS_MEMORY, 0x100, "x", 1);
    add_read(&t, PST_AS_RUN, 0x100, 4);
    add_read(&t, PST_AS_SCM, 0x100, 4);
    add(&t, PST_SPP_WRITE, PST_AS_RUN, 0x10, "stop", 4); /* urgent */
    add(&t, PST_SPP_READ_CONFIG, 0, PST_SPC_VERSIONS, NULL, 4);
    add(&t, PST_SPP_NOP, 0, 0, NULL, 0);
    add_read(&t, PST_AS_RUN, 0x100, 4);
    add(&t, PST_SPP_UNBLOCK, 0, 0, NULL, 0);
    add_read(&t, PST_AS_RUN, 0x100, 4);
    send(&t);
    CHECK_EQ(collect(&t), 10);
    static const uint8_t expected[] = {
        PST_SPP_FAULT, PST_SPP_BLOCKED, PST_SPP_BLOCKED, PST_SPP_OK, PST_SPP_OK,
        PST_SPP_OK,    PST_SPP_OK,      PST_SPP_BLOCKED, PST_SPP_OK, PST_SPP_OK};
    for (size_t i = 0; i < sizeof expected; i++) {
        check_status(&t, i, expected[i]);
    }
    CHECK_EQ(t.memory.bytes[0x100], 0);
}

static void test_continue_on_fault(void **state)
{
    struct rig t;
    const struct pst_spp_packet p = {
        .style = PST_SPP_FULL,
        .opcode = PST_SPP_READ,
        .space = 1,
        .address = 0x300,
        .count = 4,
        .proceed = true,
    };

    (void)state;
    rig_open(&t);
    t.memory.bad = 0x300;
    pst_spp_put_command(&t.w, &p);
    add_read(&t, PST_AS_MEMORY, 0x100, 4);
    send(&t);
    CHECK_EQ(collect(&t), 2);
    check_status(&t, 0, PST_SPP_FAULT);
    check_status(&t, 1, PST_SPP_OK);
}

static void test_pending_keeps_order(void **state)
{
    struct rig t;

    (void)state;
    rig_open(&t);
    t.memory.delay = 3;
    memcpy(t.memory.bytes + 0x100, "data", 4);
    add_read(&t, PST_AS_MEMORY, 0x100, 4);
    add_read(&t, PST_AS_RUN, 0x200, 4);
    send(&t);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(collect(&t), 0);
        CHECK(pst_spp_engine_waiting(&t.engine));
        CHECK_EQ(t.run.performed, 0);
    }
    CHECK_EQ(collect(&t), 2);
    CHECK_BYTES(t.answers[0].data.at, "data", 4);
    CHECK_EQ(t.gate.asked, 2); /* once a command, however long it takes */
    CHECK(!pst_spp_engine_waiting(&t.engine));
}

static void test_urgent_overtakes(void **state)
{
    struct rig t;

    (void)state;
    rig_open(&t);
    t.run.stuck = true;
    add_read(&t, PST_AS_RUN, 0x200, 4);
    add_read(&t, PST_AS_RUN, 0x204, 4);
    send(&t);
    CHECK_EQ(collect(&t), 0);
    add(&t, PST_SPP_WRITE, PST_AS_RUN, 0x10, "stop", 4);
    add_read(&t, PST_AS_RUN, 0x208, 4);
    add_read(&t, PST_AS_SCM, 0x300, 4);
    send(&t);
    CHECK_EQ(collect(&t), 2);
    CHECK_EQ(t.answers[0].opcode, PST_SPP_WRITE);
    CHECK_EQ(t.answers[0].tag, t.tag - 2);
    CHECK_EQ(t.answers[1].tag, t.tag);
    CHECK_EQ(t.run.urgent, 1);
    CHECK_EQ(collect(&t), 0);
    CHECK_EQ(t.run.urgent, 1); /* consumed */
    t.run.stuck = false;
    CHECK_EQ(collect(&t), 3);
    CHECK_EQ(t.run.urgent, 1);
    CHECK(!pst_spp_engine_waiting(&t.engine));
}

static void test_tiny_keeps_order(void **state)
{
    struct rig t;

    (void)state;
    rig_open(&t);
    t.style = PST_SPP_TINY;
    t.run.stuck = true;
    add_read(&t, PST_AS_RUN, 0x200, 4);
    add(&t, PST_SPP_WRITE, PST_AS_RUN, 0x10, "stop", 4);
    send(&t);
    CHECK_EQ(collect(&t), 0);
    CHECK_EQ(t.run.urgent, 0);
    t.run.stuck = false;
    CHECK_EQ(collect(&t), 2);
}

static void test_credit_comes_back(void **state)
{
    struct rig t;
    uint8_t big[sizeof t.queue];

    (void)state;
    rig_open(&t);
    t.run.stuck = true;
    add_read(&t, PST_AS_RUN, 0x200, 4);
    send(&t);
    CHECK_EQ(collect(&t), 0);
    /* Commands that overtake release their room while the first one still waits. */
    for (unsigned i = 0; i < 100; i++) {
        memset(big, 0, sizeof big);
        add(&t, PST_SPP_WRITE, PST_AS_SCM, 0x100, big, (uint32_t)sizeof t.queue - 32);
        send(&t);
        CHECK_EQ(collect(&t), 1);
    }
    add(&t, PST_SPP_WRITE, PST_AS_SCM, 0x100, big, (uint32_t)sizeof t.queue - 31);
    CHECK_EQ(pst_spp_engine_receive(&t.engine, t.batch, t.w.used), PST_ERR_LIMIT);
    t.run.stuck = false;
    CHECK_EQ(collect(&t), 1);
}

static void test_long_read(void **state)
{
    struct pst_test_rng rng = {.state = 3};
    uint8_t got[FAKE_SIZE];
    struct rig t;

    (void)state;
    for (unsigned tiny = 0; tiny < 2; tiny++) {
        rig_open(&t);
        pst_test_rng_fill(&rng, t.memory.bytes, FAKE_SIZE);
        t.style = tiny != 0 ? PST_SPP_TINY : PST_SPP_FULL;
        t.memory.delay = 2;
        t.cap = 64;
        const uint32_t total = tiny != 0 ? 127 : 2000;
        size_t have = 0;
        bool last = false;

        add_read(&t, PST_AS_MEMORY, 0x100, total);
        send(&t);
        for (unsigned i = 0; i < 500 && !last; i++) {
            if (collect(&t) == 0) {
                continue;
            }
            CHECK_EQ(t.count, 1);
            memcpy(got + have, t.answers[0].data.at, t.answers[0].data.len);
            have += t.answers[0].data.len;
            last = t.answers[0].last;
        }
        CHECK_EQ(have, total);
        CHECK_BYTES(got, t.memory.bytes + 0x100, total);
        CHECK_EQ(t.gate.asked, 1);
        CHECK(!pst_spp_engine_waiting(&t.engine));
    }
}

static void test_urgent_between_parts(void **state)
{
    struct rig t;

    (void)state;
    rig_open(&t);
    t.cap = 64;
    add_read(&t, PST_AS_MEMORY, 0x100, 500);
    send(&t);
    CHECK_EQ(collect(&t), 1);
    CHECK(!t.answers[0].last);
    add(&t, PST_SPP_WRITE, PST_AS_RUN, 0x10, "stop", 4);
    send(&t);
    CHECK_EQ(collect(&t), 1);
    CHECK_EQ(t.answers[0].tag, t.tag);
    CHECK_EQ(t.run.urgent, 1);
    CHECK_EQ(collect(&t), 1);
    CHECK_EQ(t.answers[0].tag, t.tag - 1);
}

/* Each read fills an output: a command to the SCM waits for one of them, not for all. */
static void test_scm_between_outputs(void **state)
{
    struct rig t;

    (void)state;
    rig_open(&t);
    t.cap = PST_SPP_FULL_HEADER + 500;
    for (unsigned i = 0; i < 8; i++) {
        add_read(&t, PST_AS_MEMORY, 0x100, 500);
    }
    add(&t, PST_SPP_WRITE, PST_AS_RUN, 0x10, "stop", 4);
    add_read(&t, PST_AS_SCM, 0x300, 4);
    send(&t);
    CHECK_EQ(collect(&t), 1);
    CHECK(collect(&t) > 0);
    CHECK_EQ(t.answers[0].tag, t.tag);
    CHECK_EQ(t.run.urgent, 0); /* which run control does not do */
    while (collect(&t) > 0) {
    }
    CHECK_EQ(t.run.urgent, 1);
    CHECK(!pst_spp_engine_waiting(&t.engine));
}

static void add_loop(struct rig *t, uint16_t attempts, uint64_t mask, uint64_t match)
{
    uint8_t operand[PST_SPP_LOOP_OPERAND] = {4};

    pst_poke_u16(operand + 2, attempts);
    pst_poke_u64(operand + 4, mask);
    pst_poke_u64(operand + 12, match);
    add(t, PST_SPP_LOOP, PST_AS_MEMORY, 0x100, operand, sizeof operand);
}

static void test_loop(void **state)
{
    struct rig t;

    (void)state;
    rig_open(&t);
    t.memory.delay = 1;
    t.memory.bytes[0x100] = 0x80;
    add_loop(&t, 100, 1, 1);
    add_read(&t, PST_AS_MEMORY, 0x100, 1);
    send(&t);
    for (unsigned i = 0; i < 10; i++) {
        CHECK_EQ(collect(&t), 0);
    }
    t.memory.bytes[0x100] = 0x81;
    CHECK_EQ(collect(&t), 1); /* the read behind it takes its own time */
    check_status(&t, 0, PST_SPP_OK);
    CHECK_EQ(t.answers[0].data.len, 8);
    CHECK_EQ(pst_peek_u64(t.answers[0].data.at), 0x81);
    CHECK_EQ(collect(&t), 1);
}

static void test_loop_runs_out(void **state)
{
    struct rig t;

    (void)state;
    for (unsigned attempts = 1; attempts < 70; attempts += 3) {
        unsigned calls = 0;

        rig_open(&t);
        t.memory.bytes[0x100] = 7;
        add_loop(&t, (uint16_t)attempts, 1, 0);
        add_read(&t, PST_AS_MEMORY, 0x100, 1);
        send(&t);
        const unsigned before = t.memory.performed;
        while (collect(&t) == 0 && calls < 100) {
            calls++;
        }
        CHECK_EQ(t.memory.performed - before, attempts);
        CHECK(calls <= attempts / 16 + 1 && calls >= (attempts - 1) / 16);
        CHECK_EQ(t.count, 2);
        check_status(&t, 0, PST_SPP_TIMEOUT);
        CHECK_EQ(pst_peek_u64(t.answers[0].data.at), 7);
        check_status(&t, 1, PST_SPP_BLOCKED);
        /* The loop and the read behind it on arrival, later attempts when they happen. */
        CHECK_EQ(t.gate.asked, 2 + attempts - 1);
        CHECK_EQ(t.gate.admitted, 1);
        CHECK_EQ(t.gate.implied, attempts - 1);
    }
}

static void test_loop_never_monopolises(void **state)
{
    struct rig t;

    (void)state;
    rig_open(&t);
    add_loop(&t, 0, 1, 1);
    add(&t, PST_SPP_WRITE, PST_AS_RUN, 0x10, "stop", 4);
    send(&t);
    CHECK_EQ(collect(&t), 1);
    CHECK_EQ(t.run.urgent, 1);
    CHECK(t.memory.performed <= 16);
    CHECK(pst_spp_engine_waiting(&t.engine));
}

static void test_bad_loops(void **state)
{
    uint8_t operand[PST_SPP_LOOP_OPERAND] = {0};
    struct rig t;

    (void)state;
    rig_open(&t);
    for (unsigned width = 0; width < 256; width++) {
        const bool good = width == 1 || width == 2 || width == 4 || width == 8;

        operand[0] = (uint8_t)width;
        pst_poke_u16(operand + 2, 1);
        add(&t, PST_SPP_UNBLOCK, 0, 0, NULL, 0);
        add(&t, PST_SPP_LOOP, PST_AS_MEMORY, 0x100, operand, sizeof operand);
        send(&t);
        CHECK_EQ(collect(&t), 2);
        check_status(&t, 1, good ? PST_SPP_OK : PST_SPP_FAULT);
    }
}

static void test_jtag_exchange(void **state)
{
    static const uint8_t command[] = {0x82, 0x30, 3, 0, 0x24, 0x18, 0, 0, 0x00, 0x0F, 0xFF};
    struct rig t;

    (void)state;
    rig_open(&t);
    t.jtag.delay = 2;
    CHECK_EQ(pst_spp_engine_receive(&t.engine, command, sizeof command), PST_OK);
    CHECK_EQ(collect(&t), 0);
    CHECK_EQ(collect(&t), 0);
    CHECK_EQ(collect(&t), 1);
    CHECK_EQ(t.used, 7);
    CHECK_BYTES(t.out, "\x82\x00\x03\x00\xff\xf0\x00", 7);
    CHECK_EQ(t.gate.rights, PST_RIGHT_READ | PST_RIGHT_WRITE);
}

static void test_events(void **state)
{
    struct rig t;

    (void)state;
    rig_open(&t);
    memcpy(t.run.event, "stopped", 7);
    t.run.event_len = 7;
    t.memory.event_len = 3;
    add(&t, PST_SPP_NOP, 0, 0, NULL, 0);
    send(&t);
    unsigned seen = 0;
    for (unsigned i = 0; i < 2; i++) {
        CHECK(collect(&t) >= 1);
        CHECK_EQ(t.answers[0].opcode, PST_SPP_EVENT);
        CHECK_EQ(t.answers[0].tag, i);
        seen |= 1U << t.answers[0].code;
        if (t.answers[0].code == PST_AS_RUN) {
            CHECK_BYTES(t.answers[0].data.at, "stopped", 7);
        }
    }
    CHECK_EQ(seen, 1U << PST_AS_RUN | 1U << PST_AS_MEMORY);
    CHECK_EQ(collect(&t), 0);
}

static void test_stop(void **state)
{
    struct rig t;

    (void)state;
    rig_open(&t);
    t.run.stuck = true;
    add_read(&t, PST_AS_RUN, 0x200, 4);
    send(&t);
    CHECK_EQ(collect(&t), 0);
    t.memory.enable_delay = 2;
    CHECK_EQ(pst_spp_engine_stop(&t.engine), PST_PENDING);
    CHECK_EQ(t.run.cancelled, 1);
    CHECK_EQ(pst_spp_engine_receive(&t.engine, t.batch, 0), PST_ERR_CLOSED);
    CHECK_EQ(collect(&t), 0);
    CHECK_EQ(pst_spp_engine_stop(&t.engine), PST_PENDING);
    CHECK_EQ(pst_spp_engine_stop(&t.engine), PST_OK);
    CHECK_EQ(t.memory.disabled + t.run.disabled + t.jtag.disabled, 3);
    CHECK_EQ(t.run.cancelled, 1);
    CHECK_EQ(pst_spp_engine_stop(&t.engine), PST_OK);
    CHECK_EQ(t.run.disabled, 1);
}

static void test_malformed_queues_nothing(void **state)
{
    struct rig t;

    (void)state;
    rig_open(&t);
    add_read(&t, PST_AS_MEMORY, 0x100, 4);
    const size_t one = t.w.used;
    add(&t, PST_SPP_WRITE, PST_AS_MEMORY, 0x100, "abcd", 4);
    for (size_t n = 1; n < t.w.used; n++) {
        if (n == one) {
            continue;
        }
        CHECK_EQ(pst_spp_engine_receive(&t.engine, t.batch, n), PST_ERR_DECODE);
        CHECK_EQ(collect(&t), 0);
    }
    t.batch[1] |= 0x80; /* internal marks are not accepted from outside */
    CHECK_EQ(pst_spp_engine_receive(&t.engine, t.batch, t.w.used), PST_ERR_DECODE);
    CHECK(sizeof t.engine <= 200);
}

static void test_bad_setup(void **state)
{
    struct pst_spp_engine e;
    uint8_t queue[PST_SPP_QUEUE_MIN];
    struct pst_spp_engine_config config = {.queue = queue, .queue_len = sizeof queue - 1};
    uint8_t out[64];

    (void)state;
    CHECK_EQ(pst_spp_engine_init(&e, &config), PST_ERR_ARGUMENT);
    config.queue_len++;
    CHECK_EQ(pst_spp_engine_init(&e, &config), PST_OK);
    CHECK_EQ(pst_spp_engine_output(&e, out, 63), 0);
    for (unsigned i = 0; i < 4; i++) { /* a gate that lacks a function */
        struct fake_gate gate;
        fake_gate_init(&gate);
        config.gate = &gate.gate;
        CHECK_EQ(pst_spp_engine_init(&e, &config), PST_OK);
        gate.gate.covers = i == 0 ? NULL : gate.gate.covers;
        gate.gate.announce = i == 1 ? NULL : gate.gate.announce;
        gate.gate.admit = i == 2 ? NULL : gate.gate.admit;
        gate.gate.allow = i == 3 ? NULL : gate.gate.allow;
        CHECK_EQ(pst_spp_engine_init(&e, &config), PST_ERR_ARGUMENT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_needs_init),
        cmocka_unit_test(test_public_exchange),
        cmocka_unit_test(test_registers),
        cmocka_unit_test(test_enable_takes_time),
        cmocka_unit_test(test_bootstrap),
        cmocka_unit_test(test_gate),
        cmocka_unit_test(test_decided_once),
        cmocka_unit_test(test_decision_is_kept),
        cmocka_unit_test(test_refused_batches),
        cmocka_unit_test(test_no_such_thing),
        cmocka_unit_test(test_fault_blocks),
        cmocka_unit_test(test_continue_on_fault),
        cmocka_unit_test(test_pending_keeps_order),
        cmocka_unit_test(test_urgent_overtakes),
        cmocka_unit_test(test_tiny_keeps_order),
        cmocka_unit_test(test_credit_comes_back),
        cmocka_unit_test(test_long_read),
        cmocka_unit_test(test_urgent_between_parts),
        cmocka_unit_test(test_scm_between_outputs),
        cmocka_unit_test(test_loop),
        cmocka_unit_test(test_loop_runs_out),
        cmocka_unit_test(test_loop_never_monopolises),
        cmocka_unit_test(test_bad_loops),
        cmocka_unit_test(test_jtag_exchange),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_malformed_queues_nothing),
        cmocka_unit_test(test_bad_setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
