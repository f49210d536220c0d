/* The client alone with prepared answers, and client and engine together with both packet styles.
 */
#include "fake_space.h"

#define DATA 3000

struct world {
    struct pst_spp_client client;
    struct pst_spp_engine engine;
    struct fake memory, run, scm;
    struct fake_gate gate;
    uint8_t queue[2048];
    size_t cap_up, cap_down; /* bytes of one message each way */
    uint8_t event[256];
    size_t event_len;
    uint8_t event_space;
    size_t largest_batch;
};

struct task {
    struct pst_spp_op op;
    uint8_t data[DATA];
    unsigned done;
};

static void on_done(void *ctx, struct pst_spp_op *op)
{
    struct task *t = ctx;

    CHECK(op == &t->op);
    CHECK(op->result != PST_PENDING);
    t->done++;
}

static void on_event(void *ctx, struct pst_bytes payload, uint8_t space)
{
    struct world *w = ctx;

    CHECK(payload.len <= sizeof w->event);
    memcpy(w->event, payload.at, payload.len);
    w->event_len = payload.len;
    w->event_space = space;
}

/* Moves one batch to the engine and all messages back; returns false if there were none. */
static bool turn(struct world *w)
{
    uint8_t msg[2048];
    size_t len = pst_spp_client_batch(&w->client, msg, w->cap_up);
    bool moved = len > 0;

    CHECK(len <= w->cap_up);
    w->largest_batch = len > w->largest_batch ? len : w->largest_batch;
    CHECK_EQ(pst_spp_engine_receive(&w->engine, msg, len), PST_OK);
    while ((len = pst_spp_engine_output(&w->engine, msg, w->cap_down)) > 0) {
        CHECK(len <= w->cap_down);
        CHECK_EQ(pst_spp_client_receive(&w->client, msg, len), PST_OK);
        moved = true;
    }
    return moved;
}

static void run_until(struct world *w, const unsigned *done)
{
    for (unsigned i = 0; i < 20000 && *done == 0; i++) {
        (void)turn(w);
    }
    CHECK_EQ(*done, 1);
}

static void submit(struct world *w, struct task *t, pst_spp_opcode opcode, uint8_t space,
                   uint64_t address, uint32_t len)
{
    t->done = 0;
    t->op = (struct pst_spp_op){
        .opcode = opcode,
        .space = space,
        .address = address,
        .data = t->data,
        .len = len,
        .done = on_done,
        .ctx = t,
    };
    pst_spp_client_submit(&w->client, &t->op);
}

static void do_op(struct world *w, struct task *t, pst_spp_opcode opcode, uint8_t space,
                  uint64_t address, uint32_t len)
{
    submit(w, t, opcode, space, address, len);
    run_until(w, &t->done);
}

static void config_write(struct world *w, uint64_t address, uint32_t value)
{
    static struct task t;

    pst_poke_u32(t.data, value);
    do_op(w, &t, PST_SPP_WRITE_CONFIG, 0, address, 4);
    CHECK_EQ(t.op.result, PST_OK);
}

static void world_init(struct world *w, pst_spp_style style, uint32_t max_data, size_t credit,
                       size_t cap)
{
    static struct task t;

    memset(w, 0, sizeof *w);
    fake_init(&w->memory);
    fake_init(&w->run);
    fake_init(&w->scm);
    w->memory.space.urgent_first = 1;
    w->memory.space.urgent_last = 0;
    w->scm.space.urgent_first = 0;
    w->scm.space.urgent_last = UINT64_MAX;
    fake_gate_init(&w->gate);
    const struct pst_spp_engine_config config = {
        .spaces = {[PST_AS_MEMORY] = &w->memory.space,
                   [PST_AS_RUN] = &w->run.space,
                   [PST_AS_SCM] = &w->scm.space},
        .gate = &w->gate.gate,
        .queue = w->queue,
        .queue_len = credit,
    };
    CHECK_EQ(pst_spp_engine_init(&w->engine, &config), PST_OK);
    pst_spp_client_init(&w->client, style, max_data, credit);
    w->client.event = on_event;
    w->client.ctx = w;
    w->cap_up = w->cap_down = cap;
    do_op(w, &t, PST_SPP_INIT, 0, 0, 0);
    CHECK_EQ(t.op.result, PST_OK);
    config_write(w, PST_SPC_AS_AVAIL_REQ_SET, 0xFF);
    config_write(w, PST_SPC_AS_EN_SET, 0xFF);
    do_op(w, &t, PST_SPP_READ_CONFIG, 0, PST_SPC_AS_EN_STAT, 4);
    CHECK_EQ(pst_peek_u32(t.data), 0x86);
}

static const struct shape {
    pst_spp_style style;
    uint32_t max_data;
    size_t credit, cap;
} shapes[] = {
    {PST_SPP_TINY, 127,     64,   131 },
    {PST_SPP_TINY, 127,     512,  255 },
    {PST_SPP_TINY, 16,      2048, 64  },
    {PST_SPP_TINY, 1000,    2048, 64  }, /* responses in parts */
    {PST_SPP_FULL, 1,       64,   64  },
    {PST_SPP_FULL, 100,     128,  200 },
    {PST_SPP_FULL, 1000000, 2048, 2048},
    {PST_SPP_FULL, 1000000, 2048, 64  },
    {PST_SPP_FULL, 700,     1000, 1500},
};

static void test_any_length(void **state)
{
    static const uint32_t lens[] = {0, 1, 7, 127, 128, 129, 1000, DATA};
    static struct world w;
    static struct task t;
    struct pst_test_rng rng = {.state = 4};

    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        world_init(&w, shapes[i].style, shapes[i].max_data, shapes[i].credit, shapes[i].cap);
        for (size_t k = 0; k < sizeof lens / sizeof lens[0]; k++) {
            uint8_t expected[DATA];

            w.memory.delay = (unsigned)k % 3;
            pst_test_rng_fill(&rng, t.data, sizeof t.data);
            memcpy(expected, t.data, sizeof expected);
            do_op(&w, &t, PST_SPP_WRITE, PST_AS_MEMORY, 100, lens[k]);
            CHECK_EQ(t.op.result, PST_OK);
            CHECK_EQ(t.op.moved, lens[k]);
            CHECK_BYTES(w.memory.bytes + 100, expected, lens[k]);
            memset(t.data, 0, sizeof t.data);
            do_op(&w, &t, PST_SPP_READ, PST_AS_MEMORY, 100, lens[k]);
            CHECK_EQ(t.op.result, PST_OK);
            CHECK_EQ(t.op.moved, lens[k]);
            CHECK_BYTES(t.data, expected, lens[k]);
        }
    }
}

static void test_pipelining(void **state)
{
    static struct world w;
    static struct task t;

    (void)state;
    world_init(&w, PST_SPP_TINY, 127, 2048, 2048);
    w.largest_batch = 0;
    do_op(&w, &t, PST_SPP_WRITE, PST_AS_MEMORY, 0, 1270);
    CHECK_EQ(t.op.result, PST_OK);
    CHECK_EQ(w.largest_batch, 10 * (12 + 127)); /* all ten at once */
}

static void test_short_read(void **state)
{
    static struct world w;
    static struct task t;

    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        world_init(&w, shapes[i].style, shapes[i].max_data, shapes[i].credit, shapes[i].cap);
        for (uint32_t end = 100; end < 900; end += 157) {
            w.memory.end = end;
            do_op(&w, &t, PST_SPP_READ, PST_AS_MEMORY, 100, DATA);
            CHECK_EQ(t.op.result, PST_OK);
            CHECK_EQ(t.op.moved, end - 100);
        }
    }
}

static void test_space_with_a_small_buffer(void **state)
{
    static struct world w;
    static struct task t;
    struct pst_test_rng rng = {.state = 6};

    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        world_init(&w, shapes[i].style, shapes[i].max_data, shapes[i].credit, shapes[i].cap);
        pst_test_rng_fill(&rng, w.memory.bytes, FAKE_SIZE);
        w.memory.most = w.run.most = 50;
        w.memory.delay = 1;
        do_op(&w, &t, PST_SPP_READ, PST_AS_MEMORY, 100, DATA);
        CHECK_EQ(t.op.result, PST_OK);
        CHECK_EQ(t.op.moved, DATA);
        CHECK_BYTES(t.data, w.memory.bytes + 100, DATA);
        do_op(&w, &t, PST_SPP_READ, PST_AS_RUN, 100, DATA); /* registers: short is the end */
        CHECK_EQ(t.op.result, PST_OK);
        if (shapes[i].max_data > 50 && shapes[i].cap > 66) {
            CHECK_EQ(t.op.moved, 50);
        }
    }
}

static void test_fault_in_the_middle(void **state)
{
    static struct world w;
    static struct task t, next;

    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        world_init(&w, shapes[i].style, shapes[i].max_data, shapes[i].credit, shapes[i].cap);
        w.memory.bad = 600;
        do_op(&w, &t, PST_SPP_READ, PST_AS_MEMORY, 100, DATA);
        CHECK_EQ(t.op.result, PST_ERR_FAULT);
        CHECK(t.op.moved <= 500);
        do_op(&w, &t, PST_SPP_WRITE, PST_AS_MEMORY, 100, DATA);
        CHECK_EQ(t.op.result, PST_ERR_FAULT);
        /* The client unblocks the engine by itself. */
        do_op(&w, &next, PST_SPP_WRITE, PST_AS_MEMORY, 1000, 10);
        CHECK_EQ(next.op.result, PST_OK);
    }
}

static void test_nothing_follows_a_failure(void **state)
{
    static struct world w;
    static struct task bad, after, read, scm, urgent;

    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        world_init(&w, shapes[i].style, shapes[i].max_data, shapes[i].credit, shapes[i].cap);
        w.gate.denied = 50;
        memset(after.data, 'x', sizeof after.data);
        submit(&w, &bad, PST_SPP_WRITE, PST_AS_MEMORY, 50, 1);
        submit(&w, &after, PST_SPP_WRITE, PST_AS_MEMORY, 100, 200);
        submit(&w, &read, PST_SPP_READ, PST_AS_MEMORY, 100, 200);
        submit(&w, &scm, PST_SPP_WRITE, PST_AS_SCM, 100, 200);
        run_until(&w, &read.done);
        run_until(&w, &scm.done);
        CHECK_EQ(bad.op.result, PST_ERR_DENIED);
        CHECK_EQ(after.op.result, PST_ERR_STATE);
        CHECK_EQ(w.memory.bytes[100], 0);
        CHECK(read.op.result == PST_OK || read.op.result == PST_ERR_STATE);
        CHECK_EQ(scm.op.result, PST_OK);
        do_op(&w, &urgent, PST_SPP_WRITE, PST_AS_RUN, 0x10, 1);
        CHECK_EQ(urgent.op.result, PST_OK);
    }
}

static void test_urgent_never_waits(void **state)
{
    static struct world w;
    static struct task slow, more, stop;

    (void)state;
    world_init(&w, PST_SPP_FULL, 100, 1000, 500);
    w.run.stuck = true;
    submit(&w, &slow, PST_SPP_READ, PST_AS_RUN, 0x200, 4);
    submit(&w, &more, PST_SPP_WRITE, PST_AS_MEMORY, 0, DATA); /* eats all credit */
    for (unsigned i = 0; i < 10; i++) {
        (void)turn(&w);
    }
    stop.done = 0;
    stop.op = (struct pst_spp_op){.opcode = PST_SPP_WRITE,
                                  .space = PST_AS_RUN,
                                  .address = 0x10,
                                  .data = stop.data,
                                  .len = 1,
                                  .urgent = true,
                                  .done = on_done,
                                  .ctx = &stop};
    pst_spp_client_submit(&w.client, &stop.op);
    (void)turn(&w);
    CHECK_EQ(stop.done, 1);
    CHECK_EQ(slow.done + more.done, 0);
    w.run.stuck = false;
    run_until(&w, &more.done);
    CHECK_EQ(slow.done, 1);
}

static void test_loop_op(void **state)
{
    static struct world w;
    static struct task t;

    (void)state;
    for (unsigned style = PST_SPP_TINY; style <= PST_SPP_FULL; style++) {
        world_init(&w, (pst_spp_style)style, 100, 500, 200);
        w.memory.bytes[0x80] = 5;
        memset(t.data, 0, 20);
        t.data[0] = 1;
        t.data[2] = 40;
        t.data[4] = 0xFF;
        t.data[12] = 5;
        do_op(&w, &t, PST_SPP_LOOP, PST_AS_MEMORY, 0x80, 20);
        CHECK_EQ(t.op.result, PST_OK);
        CHECK_EQ(pst_peek_u64(t.data), 5);
        memset(t.data, 0, 20);
        t.data[0] = 1;
        t.data[2] = 40;
        t.data[4] = 0xFF;
        t.data[12] = 6;
        do_op(&w, &t, PST_SPP_LOOP, PST_AS_MEMORY, 0x80, 20);
        CHECK_EQ(t.op.result, PST_ERR_TIMEOUT);
        CHECK_EQ(pst_peek_u64(t.data), 5);
    }
}

static void test_events(void **state)
{
    static struct world w;

    (void)state;
    for (unsigned style = PST_SPP_TINY; style <= PST_SPP_FULL; style++) {
        world_init(&w, (pst_spp_style)style, 100, 500, 200);
        memset(w.run.event, 'e', sizeof w.run.event);
        w.run.event_len = 100;
        CHECK(turn(&w));
        CHECK_EQ(w.event_len, 100);
        CHECK_EQ(w.event_space, PST_AS_RUN);
        CHECK_BYTES(w.event, w.run.event, 100);
    }
}

static void test_cannot_be_sent(void **state)
{
    static struct world w;
    static struct task t;

    (void)state;
    world_init(&w, PST_SPP_TINY, 100, 500, 64);
    submit(&w, &t, PST_SPP_WRITE, 8, 0, 1);
    CHECK_EQ(t.op.result, PST_ERR_ARGUMENT);
    submit(&w, &t, PST_SPP_READ_CONFIG, 0, 0, 3);
    CHECK_EQ(t.op.result, PST_ERR_ARGUMENT);
    submit(&w, &t, PST_SPP_INIT, 0, 0, 1);
    CHECK_EQ(t.op.result, PST_ERR_ARGUMENT);
    submit(&w, &t, PST_SPP_PAD, 0, 0, 0);
    CHECK_EQ(t.op.result, PST_ERR_ARGUMENT);
    submit(&w, &t, PST_SPP_LOOP, 1, 0, 19);
    CHECK_EQ(t.op.result, PST_ERR_ARGUMENT);
    submit(&w, &t, PST_SPP_WRITE_READ, PST_AS_JTAG, 0, 101);
    CHECK_EQ(t.op.result, PST_ERR_ARGUMENT);
    submit(&w, &t, PST_SPP_WRITE_READ, PST_AS_JTAG, 0, 100); /* longer than a batch */
    CHECK_EQ(t.op.result, PST_PENDING);
    (void)turn(&w);
    CHECK_EQ(t.op.result, PST_ERR_SPACE);
    t.op.data = NULL;
    pst_spp_client_submit(&w.client, &t.op);
    CHECK_EQ(t.op.result, PST_ERR_ARGUMENT);
}

static void test_abort(void **state)
{
    static struct world w;
    static struct task a, b;
    uint8_t msg[2048];

    (void)state;
    world_init(&w, PST_SPP_FULL, 100, 500, 200);
    submit(&w, &a, PST_SPP_READ, PST_AS_MEMORY, 0, DATA);
    submit(&w, &b, PST_SPP_READ, PST_AS_MEMORY, 0, 4);
    const size_t len = pst_spp_client_batch(&w.client, msg, 200);
    CHECK(len > 0);
    pst_spp_client_abort(&w.client, PST_ERR_CLOSED);
    CHECK_EQ(a.done, 1);
    CHECK_EQ(b.done, 1);
    CHECK_EQ(a.op.result, PST_ERR_CLOSED);
    CHECK_EQ(b.op.result, PST_ERR_CLOSED);
    CHECK_EQ(pst_spp_client_batch(&w.client, msg, 200), 0);
    /* Answers in transit belong to no operation any more. */
    CHECK_EQ(pst_spp_engine_receive(&w.engine, msg, len), PST_OK);
    const size_t back = pst_spp_engine_output(&w.engine, msg, 200);
    CHECK(back > 0);
    CHECK_EQ(pst_spp_client_receive(&w.client, msg, back), PST_ERR_DECODE);
}

/* --- invalid answers --- */

struct lone {
    struct pst_spp_client client;
    struct task task;
    uint8_t sent[256];
    size_t sent_len;
};

static void lone_init(struct lone *l, pst_spp_style style, pst_spp_opcode opcode, uint32_t len)
{
    memset(l, 0, sizeof *l);
    pst_spp_client_init(&l->client, style, 100, 500);
    l->task.op = (struct pst_spp_op){.opcode = opcode,
                                     .space = PST_AS_MEMORY,
                                     .data = l->task.data,
                                     .len = len,
                                     .done = on_done,
                                     .ctx = &l->task};
    pst_spp_client_submit(&l->client, &l->task.op);
    l->sent_len = pst_spp_client_batch(&l->client, l->sent, sizeof l->sent);
    CHECK(l->sent_len > 0);
}

static pst_err answer(struct lone *l, const char *hex)
{
    uint8_t msg[128];

    return pst_spp_client_receive(&l->client, msg, pst_test_hex(hex, msg, sizeof msg));
}

static void test_unasked(void **state)
{
    static const char *const bad[] = {
        "62000500 0102030405", /* more than asked for */
        "72000400",            /* of another command */
        "42000400 01020304",
        "63200100 04000000 00000000 00000000 01020304", /* another style */
        "62100000",                                     /* a part of nothing */
        "62140400 01020304",                            /* a part of a fault */
        "62000400 01020304 62000400 01020304",          /* twice */
        "F2000900",                                     /* an event without its bytes */
        "F2000109 00",                                  /* of no access space */
        "62",
    };
    static struct lone l;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        lone_init(&l, PST_SPP_TINY, PST_SPP_READ, 4);
        if (answer(&l, bad[i]) != PST_ERR_DECODE) {
            fprintf(stderr, "%s\n", bad[i]);
        }
        lone_init(&l, PST_SPP_TINY, PST_SPP_READ, 4);
        CHECK_EQ(answer(&l, bad[i]), PST_ERR_DECODE);
    }
    lone_init(&l, PST_SPP_FULL, PST_SPP_READ, 4);
    CHECK_EQ(answer(&l, "63200200 04000000 00000000 00000000 01020304"), PST_ERR_DECODE);
    CHECK_EQ(l.task.done, 0);
    CHECK_EQ(answer(&l, "63200100 04000000 00000000 00000000 01020304"), PST_OK);
    CHECK_EQ(l.task.done, 1);
    lone_init(&l, PST_SPP_TINY, PST_SPP_WRITE, 4);
    CHECK_EQ(answer(&l, "72000300"), PST_ERR_DECODE);
    CHECK_EQ(l.task.done, 0);
}

static void test_error_codes(void **state)
{
    static const struct {
        const char *answer;
        pst_err err;
    } cases[] = {
        {"62010000", PST_ERR_PEER       },
        {"62020000", PST_ERR_UNSUPPORTED},
        {"62030028", PST_ERR_DENIED     },
        {"6203003F", PST_ERR_AUDIT      },
        {"6204002E", PST_ERR_FAULT      },
        {"6204000A", PST_ERR_ARGUMENT   },
        {"6204002B", PST_ERR_CLOSED     },
        {"62040000", PST_ERR_FAULT      }, /* no error code of the peer may mean success or "pending" */
        {"62040001", PST_ERR_FAULT      },
        {"62050000", PST_ERR_STATE      },
        {"62060000", PST_ERR_TIMEOUT    },
        {"620F0000", PST_ERR_PEER       },
    };
    static struct lone l;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        lone_init(&l, PST_SPP_TINY, PST_SPP_READ, 4);
        CHECK_EQ(answer(&l, cases[i].answer), PST_OK);
        CHECK_EQ(l.task.done, 1);
        CHECK_EQ(l.task.op.result, cases[i].err);
    }
}

/* With any changed byte of an answer an operation completes at most once and stays in bounds. */
static void test_changed_answers(void **state)
{
    static struct lone l;
    uint8_t msg[64];
    const size_t len = pst_test_hex("63000100 02000000 00000000 00000000 0102"
                                    "63200100 02000000 00000000 00000000 0304",
                                    msg, sizeof msg);

    (void)state;
    for (size_t at = 0; at < len; at++) {
        const uint8_t was = msg[at];

        for (unsigned v = 0; v < 256; v++) {
            lone_init(&l, PST_SPP_FULL, PST_SPP_READ, 4);
            msg[at] = (uint8_t)v;
            const pst_err err = pst_spp_client_receive(&l.client, msg, len);
            CHECK(l.task.op.moved <= 4);
            CHECK(l.task.data[4] == 0);
            if (v == was) {
                CHECK_EQ(l.task.op.result, PST_OK);
            } else if (err == PST_OK && l.task.done == 1 && l.task.op.result == PST_OK) {
                /* the data, a shorter second part, or a first part that became an event */
                CHECK(l.task.op.moved == 4 || at >= 20 || v == 0xF3);
            }
        }
        msg[at] = was;
    }
    for (size_t n = 0; n < len; n++) {
        lone_init(&l, PST_SPP_FULL, PST_SPP_READ, 4);
        CHECK_EQ(pst_spp_client_receive(&l.client, msg, n),
                 n == 0 || n == 18 ? PST_OK : PST_ERR_DECODE);
        CHECK_EQ(l.task.done, 0);
    }
}

/* --- everything together --- */

static void test_random_traffic(void **state)
{
    static struct world w;
    static struct task tasks[12];
    struct pst_test_rng rng = {.state = 5};

    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        world_init(&w, shapes[i].style, shapes[i].max_data, shapes[i].credit, shapes[i].cap);
        for (unsigned round = 0; round < 8; round++) {
            w.memory.bad = pst_test_rng_below(&rng, 3) == 0 ? pst_test_rng_below(&rng, 4096) : 0;
            w.memory.delay = (unsigned)pst_test_rng_below(&rng, 3);
            w.run.delay = (unsigned)pst_test_rng_below(&rng, 5);
            for (size_t k = 0; k < 12; k++) {
                submit(&w, &tasks[k],
                       pst_test_rng_below(&rng, 2) == 0 ? PST_SPP_READ : PST_SPP_WRITE,
                       (uint8_t)(1 + pst_test_rng_below(&rng, 2)), pst_test_rng_below(&rng, 1000),
                       (uint32_t)pst_test_rng_below(&rng, 300));
            }
            for (size_t k = 0; k < 12; k++) {
                run_until(&w, &tasks[k].done);
            }
            for (size_t k = 0; k < 12; k++) {
                CHECK_EQ(tasks[k].done, 1);
                CHECK(tasks[k].op.moved <= tasks[k].op.len);
                if (tasks[k].op.result == PST_OK) {
                    CHECK_EQ(tasks[k].op.moved, tasks[k].op.len);
                }
            }
            for (unsigned n = 0; n < 40; n++) {
                (void)turn(&w);
            }
            CHECK(!pst_spp_engine_waiting(&w.engine));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_length),
        cmocka_unit_test(test_pipelining),
        cmocka_unit_test(test_short_read),
        cmocka_unit_test(test_space_with_a_small_buffer),
        cmocka_unit_test(test_fault_in_the_middle),
        cmocka_unit_test(test_nothing_follows_a_failure),
        cmocka_unit_test(test_urgent_never_waits),
        cmocka_unit_test(test_loop_op),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_cannot_be_sent),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_unasked),
        cmocka_unit_test(test_error_codes),
        cmocka_unit_test(test_changed_answers),
        cmocka_unit_test(test_random_traffic),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
