/* The stub client against a simulated stub. pst-link: stub */
#include "stub/fake_stub.h"

enum { PC = 128, SP = 8 };

struct rig {
    struct pst_stub stub;
    struct pst_space memory, run;
    struct pst_gate gate;
    struct fake fake;
    struct pst_region map;
    bool deny_run, deny_memory;
    unsigned implied;
    uint8_t buffer[4096], event[2048];
    unsigned budget; /* rounds of pumping left; 0: no limit */
};

static pst_err allow(void *ctx, uint8_t space, uint8_t rights, uint64_t address, uint64_t len)
{
    struct rig *t = ctx;
    (void)rights;
    (void)address;
    (void)len;
    t->implied++;
    return (space == PST_AS_RUN ? t->deny_run : t->deny_memory) ? PST_ERR_DENIED : PST_OK;
}

static struct rig *rig_new(void)
{
    struct rig *t = calloc(1, sizeof *t);
    t->map = (struct pst_region){FAKE_BASE, FAKE_BASE + FAKE_LEN / 2 - 1, PST_REGION_RAM};
    struct pst_stub_config config = {.map = &t->map,
                                     .map_len = 1,
                                     .open = fake_open,
                                     .ctx = &t->fake,
                                     .buffer = t->buffer,
                                     .buffer_len = sizeof t->buffer};
    CHECK_EQ(pst_stub_init(&t->stub, &config), PST_OK);
    t->memory = pst_stub_memory(&t->stub);
    t->run = pst_stub_run(&t->stub);
    t->gate = (struct pst_gate){.ctx = t, .allow = allow};
    for (uint32_t i = 0; i < FAKE_LEN; i++) {
        t->fake.memory[i] = (uint8_t)(i * 7 + i / 256);
    }
    t->fake.registers[2] = FAKE_BASE + 0x200;
    t->fake.registers[32] = FAKE_BASE;
    return t;
}

/* Moves all waiting bytes; returns false if there are none. */
static bool pump(struct rig *t)
{
    struct fake *f = &t->fake;
    if (t->budget > 0 && --t->budget == 0) {
        t->budget = 1;
        return false;
    }
    struct pst_bytes out = pst_stub_pending(&t->stub);
    size_t piece = f->piece > 0 ? f->piece : SIZE_MAX;
    size_t n = out.len < piece ? out.len : piece;
    bool moved = n > 0;
    if (n > 0) {
        fake_receive(f, out.at, n);
        pst_stub_sent(&t->stub, n);
    }
    size_t left = f->out_len - f->out_at;
    n = left < piece ? left : piece;
    if (n > 0) {
        uint8_t copy[4096];
        n = n < sizeof copy ? n : sizeof copy;
        memcpy(copy, f->out + f->out_at, n);
        f->out_at += n;
        pst_stub_receive(&t->stub, copy, n);
        moved = true;
    }
    if (f->out_at == f->out_len) {
        f->out_at = f->out_len = 0;
    }
    return moved;
}

/* PST_PENDING: no side sends anything and the access is not done. */
static pst_err perform(struct rig *t, const struct pst_space *space, uint64_t address, void *data,
                       uint32_t *len, bool write)
{
    for (;;) {
        struct pst_access a = {
            .address = address, .data = data, .len = *len, .write = write, .gate = &t->gate};
        pst_err err = space->perform(space->ctx, &a);
        if (err != PST_PENDING || !pump(t)) {
            *len = err == PST_OK ? a.len : *len;
            return err;
        }
    }
}

static pst_err enable(struct rig *t, const struct pst_space *space, bool on)
{
    for (;;) {
        pst_err err = space->enable(space->ctx, on, on ? &t->gate : NULL);
        if (err != PST_PENDING || !pump(t)) {
            return err;
        }
    }
}

static void attach(struct rig *t)
{
    CHECK_EQ(enable(t, &t->memory, true), PST_OK);
    CHECK_EQ(enable(t, &t->run, true), PST_OK);
}

static pst_err resume(struct rig *t, uint8_t action, uint64_t first, uint64_t end)
{
    uint8_t entry[24];
    uint32_t len = sizeof entry;
    struct pst_writer w = pst_writer_of(entry, sizeof entry);
    pst_put_u32(&w, 0);
    pst_put_u8(&w, action);
    pst_put_zeros(&w, 3);
    pst_put_u64(&w, first);
    pst_put_u64(&w, end);
    return perform(t, &t->run, PST_RUN_RESUME, entry, &len, true);
}

static pst_err set_break(struct rig *t, bool on, uint64_t address)
{
    uint8_t entry[16];
    uint32_t len = sizeof entry;
    struct pst_writer w = pst_writer_of(entry, sizeof entry);
    pst_put_u8(&w, on);
    pst_put_u8(&w, 0);
    pst_put_u16(&w, 4);
    pst_put_u32(&w, 0);
    pst_put_u64(&w, address);
    return perform(t, &t->run, PST_RUN_BREAK, entry, &len, true);
}

static size_t event(struct rig *t)
{
    while (pump(t)) {
    }
    return t->run.event(t->run.ctx, t->event, sizeof t->event);
}

static uint32_t event_pc(const struct rig *t)
{
    CHECK_EQ(pst_peek_u16(t->event + 18), 132);
    return pst_peek_u32(t->event + PST_STOP_REPORT_HEAD + 4 + PC);
}

static pst_err interrupt(struct rig *t)
{
    uint8_t none[4] = {0};
    uint32_t len = 4;
    return perform(t, &t->run, PST_RUN_INTERRUPT, none, &len, true);
}

static pst_err read_memory(struct rig *t, uint64_t address, void *data, uint32_t len)
{
    return perform(t, &t->memory, address, data, &len, false);
}

/* A complete session with any kind of stub. */
static void session(struct rig *t)
{
    uint8_t in[1200], out[1200];
    uint32_t len;
    CHECK_EQ(t->fake.opens, 0);
    attach(t);
    memset(out, 0x2A, sizeof out); /* '*', to be escaped */
    len = 500;
    CHECK_EQ(perform(t, &t->memory, FAKE_BASE + 0x401, out, &len, true), PST_OK);
    CHECK_EQ(read_memory(t, FAKE_BASE + 0x401, in, 500), PST_OK);
    CHECK_BYTES(in, out, 500);
    CHECK_EQ(read_memory(t, 0x10, in, 4), PST_ERR_FAULT);
    len = 4;
    CHECK_EQ(perform(t, &t->run, PST_RUN_REGISTERS + (1 << 16) + SP, in, &len, false), PST_OK);
    CHECK_EQ(pst_peek_u32(in), FAKE_BASE + 0x200);
    CHECK_EQ(perform(t, &t->run, PST_RUN_REGISTERS + (1 << 16) + 16, out, &len, true), PST_OK);
    CHECK_EQ(t->fake.registers[4], 0x2A2A2A2A);
    CHECK_EQ(set_break(t, true, FAKE_BASE + 0x40), PST_OK);
    CHECK_EQ(resume(t, PST_RUN_CONTINUE, 0, 0), PST_OK);
    CHECK_EQ(event(t), 0);
    CHECK_EQ(read_memory(t, FAKE_BASE, in, 8), PST_OK); /* halts and resumes */
    CHECK_EQ(event(t), 0);
    CHECK_EQ(t->fake.interrupts, 1);
    CHECK(t->fake.running);
    fake_run(&t->fake, 1000);
    CHECK(event(t) > 0);
    CHECK_EQ(event_pc(t), FAKE_BASE + 0x40);
    CHECK_EQ(resume(t, PST_RUN_CONTINUE, 0, 0), PST_OK);
    CHECK_EQ(interrupt(t), PST_OK);
    CHECK(event(t) > 0);
    CHECK_EQ(t->event[2], 2);
    CHECK_EQ(resume(t, PST_RUN_CONTINUE, 0, 0), PST_OK);
    CHECK_EQ(enable(t, &t->memory, false), PST_OK);
    CHECK_EQ(enable(t, &t->run, false), PST_OK);
    CHECK_EQ(t->fake.break_count, 0);
    CHECK(t->fake.detached && !t->fake.opened);
}

static void test_kinds(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 8; kind++) {
        for (size_t piece = 0; piece < 4; piece++) {
            struct rig *t = rig_new();
            t->fake.no_ack = kind & 1;
            t->fake.binary = kind & 2;
            t->fake.plain = kind & 4;
            t->fake.piece = piece;
            session(t);
            free(t);
        }
    }
}

static void test_range(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 4; kind++) {
        struct rig *t = rig_new();
        t->fake.range = kind & 1;
        t->fake.no_p = kind & 2;
        attach(t);
        CHECK_EQ(resume(t, PST_RUN_STEP_RANGE, FAKE_BASE, FAKE_BASE + 0x20), PST_OK);
        CHECK(event(t) > 0);
        CHECK_EQ(event_pc(t), FAKE_BASE + 0x20);
        CHECK_EQ(t->fake.resumes, kind & 1 ? 1 : 8);
        CHECK_EQ(set_break(t, true, FAKE_BASE + 0x30), PST_OK);
        CHECK_EQ(resume(t, PST_RUN_STEP_RANGE, FAKE_BASE + 0x20, FAKE_BASE + 0x40), PST_OK);
        CHECK(event(t) > 0);
        CHECK_EQ(event_pc(t), FAKE_BASE + 0x30);
        free(t);
    }
    /* its bound, where the stub has no ranges */
    struct rig *t = rig_new();
    attach(t);
    CHECK_EQ(resume(t, PST_RUN_STEP_RANGE, 0, UINT32_MAX), PST_OK);
    CHECK(event(t) > 0);
    CHECK_EQ(t->fake.resumes, PST_STUB_RANGE_STEPS);
    free(t);
}

static void test_gather(void **state)
{
    (void)state;
    struct rig *t = rig_new();
    uint8_t list[48];
    uint32_t len = sizeof list;
    struct pst_writer w = pst_writer_of(list, sizeof list);
    for (int i = 0; i < 3; i++) { /* sp - 16, past the map, across its end */
        pst_put_u8(&w, i == 0);
        pst_put_u8(&w, i == 0 ? 4 : 0);
        pst_put_u16(&w, i == 0 ? SP : 0);
        pst_put_u32(&w, 32);
        pst_put_u64(&w, i == 0 ? (uint64_t)-16 : FAKE_BASE + FAKE_LEN / 2 - (i == 2 ? 8 : 0));
    }
    attach(t);
    CHECK_EQ(perform(t, &t->run, PST_RUN_GATHER, list, &len, true), PST_OK);
    CHECK_EQ(resume(t, PST_RUN_STEP, 0, 0), PST_OK);
    size_t n = event(t), base = PST_STOP_REPORT_HEAD + 4 + 132;
    CHECK_EQ(n, base + 12 + 32 + 12 + 8);
    CHECK_EQ(pst_peek_u64(t->event + base), FAKE_BASE + 0x200 - 16);
    CHECK_BYTES(t->event + base + 12, t->fake.memory + 0x200 - 16, 32);
    CHECK_EQ(pst_peek_u64(t->event + base + 44), FAKE_BASE + FAKE_LEN / 2 - 8);
    /* what the gate refuses is left out */
    t->deny_memory = true;
    CHECK_EQ(resume(t, PST_RUN_STEP, 0, 0), PST_OK);
    CHECK_EQ(event(t), base);
    CHECK_EQ(set_break(t, true, FAKE_BASE), PST_ERR_DENIED);
    /* and so is what does not fit */
    t->deny_memory = false;
    for (size_t cap = 64; cap < base + 70; cap++) {
        CHECK_EQ(resume(t, PST_RUN_STEP, 0, 0), PST_OK);
        while (pump(t)) {
        }
        n = t->run.event(t->run.ctx, t->event, cap);
        CHECK(n == (cap < base        ? 24
                    : cap < base + 44 ? base
                    : cap < base + 64 ? base + 44
                                      : base + 64));
    }
    list[0] = 2;
    CHECK_EQ(perform(t, &t->run, PST_RUN_GATHER, list, &len, true), PST_ERR_ARGUMENT);
    free(t);
}

static void test_leave(void **state)
{
    (void)state;
    struct rig *t = rig_new();
    uint8_t in[64];
    uint32_t len = sizeof in;
    /* without permission to stop the CPU nothing is opened */
    t->deny_run = true;
    attach(t);
    CHECK_EQ(t->fake.opens, 0);
    CHECK_EQ(read_memory(t, FAKE_BASE, in, 4), PST_ERR_DENIED);
    CHECK_EQ(perform(t, &t->run, PST_RUN_STATUS, in, &len, false), PST_OK);
    CHECK_EQ(in[0], PST_RUN_RUNNING);
    t->deny_run = false;
    CHECK_EQ(read_memory(t, FAKE_BASE, in, 4), PST_OK);
    CHECK_EQ(resume(t, PST_RUN_CONTINUE, 0, 0), PST_OK);
    t->deny_run = true;
    CHECK_EQ(read_memory(t, FAKE_BASE, in, 4), PST_ERR_DENIED);
    CHECK_EQ(t->fake.interrupts, 0);
    /* no such register, wrong lengths, wrong way */
    t->deny_run = false;
    len = 4;
    CHECK_EQ(perform(t, &t->run, 0x14, in, &len, true), PST_ERR_ARGUMENT);
    CHECK_EQ(perform(t, &t->run, PST_RUN_BREAK, in, &len, true), PST_ERR_ARGUMENT);
    CHECK_EQ(perform(t, &t->run, PST_RUN_BREAK, in, &len, false), PST_ERR_ARGUMENT);
    CHECK_EQ(perform(t, &t->run, PST_RUN_STATUS, in, &len, true), PST_ERR_ARGUMENT);
    CHECK_EQ(perform(t, &t->run, PST_RUN_REGISTER + (1 << 16) + 1, in, &len, false),
             PST_ERR_ARGUMENT);
    CHECK_EQ(resume(t, PST_RUN_STEP, 0, 0), PST_ERR_STATE);
    free(t);
}

/* A silent stub causes a timeout. */
static void test_stall(void **state)
{
    (void)state;
    struct rig *t = rig_new();
    uint8_t in[16];
    attach(t);
    t->fake.deaf = true;
    CHECK_EQ(read_memory(t, FAKE_BASE, in, 8), PST_PENDING);
    CHECK_EQ(interrupt(t), PST_OK);
    CHECK_EQ(event(t), 0);
    t->memory.cancel(t->memory.ctx);
    CHECK_EQ(enable(t, &t->run, false), PST_OK);
    CHECK_EQ(enable(t, &t->memory, false), PST_PENDING);
    pst_stub_abandon(&t->stub);
    CHECK(!t->fake.opened);
    CHECK_EQ(enable(t, &t->memory, false), PST_OK);
    t->fake.deaf = false;
    attach(t); /* the next session */
    CHECK_EQ(read_memory(t, FAKE_BASE, in, 8), PST_OK);
    /* a cancelled access does not disturb the next, also while the CPU runs */
    CHECK_EQ(resume(t, PST_RUN_CONTINUE, 0, 0), PST_OK);
    struct pst_access a = {.address = FAKE_BASE, .data = in, .len = 8, .gate = &t->gate};
    CHECK_EQ(t->memory.perform(t->memory.ctx, &a), PST_PENDING);
    t->memory.cancel(t->memory.ctx);
    CHECK_EQ(event(t), 0);
    CHECK(t->fake.running);
    CHECK_EQ(read_memory(t, FAKE_BASE + 8, in, 8), PST_OK);
    CHECK_BYTES(in, t->fake.memory + 8, 8);
    free(t);
}

static void test_lost(void **state)
{
    (void)state;
    struct rig *t = rig_new();
    uint8_t in[16];
    attach(t);
    CHECK_EQ(resume(t, PST_RUN_CONTINUE, 0, 0), PST_OK);
    pst_stub_closed(&t->stub);
    CHECK_EQ(event(t), 24);
    CHECK_EQ(t->event[0], PST_RUN_LOST);
    CHECK_EQ(event(t), 0);
    CHECK_EQ(read_memory(t, FAKE_BASE, in, 8), PST_ERR_FAULT);
    CHECK_EQ(enable(t, &t->run, false), PST_OK);
    CHECK_EQ(enable(t, &t->memory, false), PST_OK);
    attach(t);
    CHECK_EQ(read_memory(t, FAKE_BASE, in, 8), PST_OK);
    free(t);
}

/* The stub answers nonsense from each request of a session on: the result is an error or a timeout,
 * and the next session works. */
static void test_nonsense(void **state)
{
    static const char *const answers[] = {
        "$#00",
        "$OK#9a",
        "$E01#a6",
        "$l#6c",
        "$m#6d",
        "$T05#b9",
        "$T05thread:0;watch:;:;#00",
        "$0#30",
        "$00*~#6a",
        "$W00#b7",
        "$OK#00",
        "$mffffffffffffffff,1,2#00",
        "$",
        "-",
        "$O41#e4",
        "$F1#77",
        "$S05#b8$S05#b8",
        "$0000000000000000000000#60",
    };
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        for (unsigned from = 1; from < 24; from++) {
            struct rig *t = rig_new();
            uint8_t in[200];
            uint32_t len = 132;
            t->fake.no_ack = from & 1;
            t->fake.instead = answers[i];
            t->fake.from = from;
            t->budget = 3000; /* a stub may send file requests forever */
            if (enable(t, &t->memory, true) == PST_OK && enable(t, &t->run, true) == PST_OK) {
                (void)read_memory(t, FAKE_BASE, in, 100);
                (void)perform(t, &t->run, PST_RUN_REGISTERS + (1 << 16), in, &len, false);
                (void)set_break(t, true, FAKE_BASE + 0x100);
                (void)resume(t, PST_RUN_STEP_RANGE, FAKE_BASE, FAKE_BASE + 16);
                (void)event(t);
            }
            t->memory.cancel(t->memory.ctx);
            t->run.cancel(t->run.ctx);
            pst_stub_abandon(&t->stub);
            (void)enable(t, &t->memory, false);
            (void)enable(t, &t->run, false);
            t->fake.instead = NULL;
            t->budget = 0;
            t->fake.break_count = 0;
            attach(t);
            CHECK_EQ(read_memory(t, FAKE_BASE, in, 100), PST_OK);
            CHECK_BYTES(in, t->fake.memory, 100);
            free(t);
        }
    }
}

/* A resume waits for its stop only as long as its owner allows. */
static void test_tarry(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 8; kind++) {
        struct rig *t = rig_new();
        t->stub.config.defer_resume = true;
        t->fake.no_ack = kind & 1;
        t->fake.range = kind & 2;
        t->fake.plain = kind & 4;
        attach(t);
        CHECK_EQ(resume(t, PST_RUN_STEP, 0, 0), PST_OK);
        CHECK(event(t) > 0); /* both at once */
        CHECK_EQ(resume(t, PST_RUN_STEP_RANGE, FAKE_BASE, FAKE_BASE + 0x20), PST_OK);
        CHECK(event(t) > 0);
        CHECK(!pst_stub_deferred(&t->stub));
        CHECK_EQ(resume(t, PST_RUN_CONTINUE, 0, 0), PST_PENDING);
        CHECK(pst_stub_deferred(&t->stub));
        CHECK_EQ(event(t), 0);
        pst_stub_answer_now(&t->stub);
        CHECK(!pst_stub_deferred(&t->stub));
        CHECK_EQ(resume(t, PST_RUN_CONTINUE, 0, 0), PST_OK);
        CHECK_EQ(event(t), 0);
        uint8_t zeros[4] = {0};
        uint32_t len = 4;
        CHECK_EQ(perform(t, &t->run, PST_RUN_INTERRUPT, zeros, &len, true), PST_OK);
        CHECK(event(t) > 0);
        /* a removed breakpoint does not stop the CPU */
        CHECK_EQ(resume(t, PST_RUN_CONTINUE, 0, 0), PST_PENDING);
        pst_stub_closed(&t->stub);
        CHECK_EQ(resume(t, PST_RUN_CONTINUE, 0, 0), PST_OK);
        CHECK(event(t) > 0 && t->event[0] == PST_RUN_LOST);
        free(t);
    }
}

/* At any time the will lists what must be undone. */
static void test_will(void **state)
{
    (void)state;
    struct rig *t = rig_new();
    struct pst_stub_cleanup w = {.cut = true};
    CHECK(!pst_stub_cleanup(&t->stub, &w));
    attach(t);
    CHECK(pst_stub_cleanup(&t->stub, &w));
    CHECK(w.count == 0 && w.expected == 0 && !w.running && !w.left && w.cut);
    t->budget = 1; /* no answer yet: the breakpoint may be set already */
    CHECK_EQ(set_break(t, true, FAKE_BASE + 8), PST_PENDING);
    CHECK(pst_stub_cleanup(&t->stub, &w));
    CHECK(w.count == 1 && w.breaks[0].address == FAKE_BASE + 8 && w.expected == 1);
    t->budget = 0;
    CHECK_EQ(set_break(t, true, FAKE_BASE + 8), PST_OK);
    CHECK_EQ(resume(t, PST_RUN_CONTINUE, 0, 0), PST_OK);
    CHECK(pst_stub_cleanup(&t->stub, &w));
    CHECK(w.count == 1 && w.expected == 0 && w.running);
    pst_stub_closed(&t->stub); /* what was in the will before stays in it */
    CHECK(!pst_stub_cleanup(&t->stub, &w));
    CHECK(w.count == 1 && w.running);
    free(t);
}

static void test_archs(void **state)
{
    (void)state;
    const struct pst_arch *a = pst_arch_find("riscv:rv32", 10);
    CHECK(a != NULL && a->pc == PC && a->sp == SP && a->word == 4);
    CHECK(pst_arch_find("riscv:rv64", 10)->pc == 256);
    CHECK(pst_arch_find("riscv:rv3", 9) == NULL && pst_arch_find("", 0) == NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),    cmocka_unit_test(test_range),
        cmocka_unit_test(test_gather),   cmocka_unit_test(test_leave),
        cmocka_unit_test(test_stall),    cmocka_unit_test(test_lost),
        cmocka_unit_test(test_nonsense), cmocka_unit_test(test_archs),
        cmocka_unit_test(test_tarry),    cmocka_unit_test(test_will),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
