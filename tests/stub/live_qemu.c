/* The stub client, directly and through the supervisor, against a real QEMU. PUMP names the
 * program. Run by test_qemu.sh. pst-link: posix stub */
#include "stub/qemu.h"

#define RAM 0x80000000u
enum { RAM_LEN = 128 * 1024, PC = 128, SP = 8, UART = 0x10000000 };

struct bench {
    struct qemu q;
    struct live l;
    struct pst_supervisor supervisor;
};

static struct bench *bench(bool halted, bool supervised, bool hold)
{
    struct bench *b = calloc(1, sizeof *b);
    qemu_start(&b->q, halted);
    b->l.path = b->q.stub;
    b->l.fd = -1;
    b->l.map[0] = (struct pst_region){RAM, RAM + RAM_LEN - 1u, PST_REGION_RAM};
    b->l.map_len = 1;
    b->l.supervised = supervised;
    if (supervised) {
        char address[128];
        snprintf(address, sizeof address, "unix:%s", b->q.stub);
        CHECK_EQ(pst_supervisor_start(&b->supervisor, NULL, address, hold), PST_OK);
        b->l.fd = b->supervisor.fd;
    }
    live_start(&b->l, hold);
    return b;
}

static void attach(struct bench *b)
{
    CHECK_EQ(live_enable(&b->l, &b->l.memory, true), PST_OK);
    CHECK_EQ(live_enable(&b->l, &b->l.run, true), PST_OK);
}

static void finish(struct bench *b)
{
    if (b->l.supervised && b->l.fd >= 0) {
        int status;
        close(b->l.fd);
        CHECK_EQ(waitpid(b->supervisor.pid, &status, 0), b->supervisor.pid);
        CHECK(WIFEXITED(status));
    }
    qemu_stop(&b->q);
    free(b);
}

static void check_description(struct live *l)
{
    static uint8_t text[64 * 1024];
    uint32_t len = sizeof text, total = 0;
    while (live_run_read(l, PST_RUN_DESCRIPTION + total, text + total, &len) == PST_OK && len > 0) {
        total += len;
        len = sizeof text - total;
    }
    struct pst_reader r = pst_reader_of(text, total);
    int n = 0;
    for (; r.left > 0 && !r.failed; n++) {
        struct pst_bytes name = pst_get_block(&r, pst_get_u8(&r));
        struct pst_bytes xml = pst_get_block(&r, pst_get_u32(&r));
        CHECK(name.len > 4 && xml.len > 100 && memcmp(xml.at, "<?xml", 5) == 0);
        CHECK(xml.at[xml.len - 1] == '>' || xml.at[xml.len - 2] == '>');
    }
    CHECK_EQ(pst_finish(&r), PST_OK);
    CHECK_EQ(n, 5);
}

static void attaches(bool supervised)
{
    struct bench *b = bench(true, supervised, false);
    struct live *l = &b->l;
    uint8_t text[64], regs[256], entry[24];
    uint32_t len = sizeof text;
    attach(b);
    CHECK_EQ(live_run_read(l, PST_RUN_ARCH, text, &len), PST_OK);
    CHECK(len == 10 && memcmp(text, "riscv:rv32", 10) == 0);
    len = sizeof text;
    CHECK_EQ(live_run_read(l, PST_RUN_HARTS, text, &len), PST_OK);
    CHECK(len == 4 && pst_peek_u32(text) == 1);
    len = sizeof regs;
    CHECK_EQ(live_run_read(l, PST_RUN_REGISTERS + (1 << 16), regs, &len), PST_OK);
    CHECK_EQ(len, 132);
    len = 4;
    CHECK_EQ(live_run_read(l, PST_RUN_REGISTERS + (1 << 16) + PC, text, &len), PST_OK);
    CHECK_BYTES(text, regs + PC, 4);
    len = 4;
    CHECK_EQ(live_run_read(l, PST_RUN_REGISTER + (1 << 16) + (0x342 << 4), text, &len), PST_OK);
    len = sizeof entry;
    CHECK_EQ(live_run_read(l, PST_RUN_MEMORY_MAP, entry, &len), PST_OK);
    CHECK(len == 24 && pst_peek_u64(entry) == RAM && entry[16] == PST_REGION_RAM);
    check_description(l);
    /* one register, and a part of the block */
    memset(text, 0x5A, 4);
    len = 4;
    CHECK_EQ(live_run_write(l, PST_RUN_REGISTER + (1 << 16) + (31 << 4), text, 4), PST_OK);
    CHECK_EQ(live_run_write(l, PST_RUN_REGISTERS + (1 << 16) + 120, text, 4), PST_OK);
    memcpy(regs + 120, "ZZZZZZZZ", 8);
    uint8_t now[256];
    len = sizeof now;
    CHECK_EQ(live_run_read(l, PST_RUN_REGISTERS + (1 << 16), now, &len), PST_OK);
    CHECK_BYTES(now, regs, 132);
    CHECK_EQ(live_enable(l, &l->memory, false), PST_OK);
    CHECK_EQ(live_enable(l, &l->run, false), PST_OK);
    CHECK(qemu_runs(&b->q));
    finish(b);
}

static void test_attach(void **state)
{
    (void)state;
    attaches(false);
    attaches(true);
}

static void moves_memory(bool supervised)
{
    struct bench *b = bench(true, supervised, true);
    struct live *l = &b->l;
    static uint8_t out[15000], in[15000];
    struct pst_test_rng rng = {.state = 7};
    attach(b);
    pst_test_rng_fill(&rng, out, sizeof out);
    CHECK_EQ(live_write(l, RAM + 0x8001, out, sizeof out), PST_OK);
    CHECK_EQ(live_read(l, RAM + 0x8001, in, sizeof in), PST_OK);
    CHECK_BYTES(in, out, sizeof out);
    for (uint32_t n = 1; n <= 9; n++) {
        CHECK_EQ(live_write(l, RAM + 0x9000 + n, out + n, n), PST_OK);
        CHECK_EQ(live_read(l, RAM + 0x9000 + n, in, n), PST_OK);
        CHECK_BYTES(in, out + n, n);
    }
    CHECK_EQ(live_read(l, UART + 5, in, 1), PST_OK);
    CHECK(in[0] & 0x20);
    CHECK_EQ(live_read(l, 0x90000000, in, 4), PST_ERR_FAULT);
    CHECK_EQ(live_read(l, UINT64_C(0x180000000), in, 4), PST_ERR_FAULT);
    CHECK_EQ(live_read(l, UINT64_MAX - 2, in, 4), PST_ERR_ARGUMENT);
    CHECK_EQ(live_enable(l, &l->memory, false), PST_OK);
    CHECK_EQ(live_enable(l, &l->run, false), PST_OK);
    CHECK(!qemu_runs(&b->q)); /* it is held */
    finish(b);
}

static void test_memory(void **state)
{
    (void)state;
    moves_memory(false);
    moves_memory(true);
}

static void gather(struct live *l)
{
    uint8_t list[48];
    struct pst_writer w = pst_writer_of(list, sizeof list);
    live_put_gather(&w, PST_GATHER_REGISTER, SP, 256, (uint64_t)-64);
    live_put_gather(&w, PST_GATHER_REGISTER, PC, 64, 0);
    live_put_gather(&w, PST_GATHER_ABSOLUTE, 0, 4, UART);
    CHECK_EQ(live_run_write(l, PST_RUN_GATHER, list, sizeof list), PST_OK);
}

static size_t expect_stop(struct live *l, uint8_t signal, uint32_t pc)
{
    size_t n = live_event(l, LIVE_MS);
    CHECK(n >= PST_STOP_REPORT_HEAD);
    CHECK_EQ(l->event[0], PST_RUN_HALTED);
    CHECK_EQ(l->event[2], signal);
    CHECK_EQ(pst_peek_u16(l->event + 18), 132);
    if (pc != 0) {
        CHECK_EQ(live_register(l, PC), pc);
    }
    return n;
}

static void stops(bool supervised)
{
    struct bench *b = bench(true, supervised, false);
    struct live *l = &b->l;
    uint8_t in[64];
    uint32_t read = qemu_symbol(&b->q, "sensor_read"), point = qemu_symbol(&b->q, "setpoint_kpa");
    attach(b);
    gather(l);
    /* a breakpoint */
    CHECK_EQ(live_break(l, true, 0, 2, read), PST_OK);
    CHECK_EQ(live_resume(l, 0, PST_RUN_CONTINUE, 0, 0), PST_OK);
    size_t n = expect_stop(l, 5, read);
    uint32_t sp = live_register(l, SP);
    const uint8_t *chunk = live_chunk(l, n, sp);
    CHECK(chunk != NULL && live_chunk(l, n, sp - 64) != NULL);
    CHECK_EQ(live_read(l, sp, in, 64), PST_OK);
    CHECK_BYTES(in, chunk, 64);
    CHECK(live_chunk(l, n, read + 63) != NULL && live_chunk(l, n, UART) == NULL);
    /* the status says the same */
    static uint8_t report[4096];
    uint32_t len = sizeof report;
    CHECK_EQ(live_run_read(l, PST_RUN_STATUS, report, &len), PST_OK);
    CHECK(len == n);
    CHECK_BYTES(report, l->event, n);
    len = 64;
    CHECK_EQ(live_run_read(l, PST_RUN_STATUS, report, &len), PST_OK);
    CHECK(len == 24 && pst_peek_u16(report + 18) == 0);
    /* off the breakpoint: one step, then a range */
    CHECK_EQ(live_resume(l, 1, PST_RUN_STEP, 0, 0), PST_OK);
    expect_stop(l, 5, read + 2);
    CHECK_EQ(live_resume(l, 1, PST_RUN_STEP_RANGE, read, read + 10), PST_OK);
    expect_stop(l, 5, 0);
    CHECK(live_register(l, PC) < read || live_register(l, PC) >= read + 10);
    /* a range is left at a breakpoint inside */
    CHECK_EQ(live_resume(l, 0, PST_RUN_CONTINUE, 0, 0), PST_OK);
    expect_stop(l, 5, read);
    CHECK_EQ(live_break(l, true, 0, 2, read + 4), PST_OK);
    CHECK_EQ(live_resume(l, 1, PST_RUN_STEP_RANGE, read, read + 0x40), PST_OK);
    expect_stop(l, 5, read + 4);
    CHECK_EQ(live_break(l, false, 0, 2, read + 4), PST_OK);
    CHECK_EQ(live_break(l, false, 0, 2, read), PST_OK);
    /* a watchpoint, with what it watches */
    CHECK_EQ(live_break(l, true, 2, 4, point), PST_OK);
    CHECK_EQ(live_resume(l, 0, PST_RUN_CONTINUE, 0, 0), PST_OK);
    n = expect_stop(l, 5, 0);
    CHECK_EQ(l->event[1], PST_STOP_WATCH);
    CHECK_EQ(pst_peek_u64(l->event + 8), point);
    CHECK(live_chunk(l, n, point) != NULL);
    CHECK_EQ(live_enable(l, &l->memory, false), PST_OK);
    CHECK_EQ(live_enable(l, &l->run, false), PST_OK);
    poll(NULL, 0, 300);
    CHECK(qemu_runs(&b->q)); /* and no breakpoint is left to halt it */
    finish(b);
}

static void test_stops(void **state)
{
    (void)state;
    stops(false);
    stops(true);
}

static void interrupts(bool supervised)
{
    struct bench *b = bench(false, supervised, false);
    struct live *l = &b->l;
    uint32_t none = 0, ticks = qemu_symbol(&b->q, "ticks");
    uint8_t then[4], now[4];
    attach(b);
    CHECK_EQ(live_resume(l, 0, PST_RUN_CONTINUE, 0, 0), PST_OK);
    CHECK_EQ(live_event(l, 200), 0);
    /* memory of a running CPU, which runs on */
    CHECK_EQ(live_read(l, ticks, then, 4), PST_OK);
    CHECK_EQ(live_event(l, 200), 0);
    CHECK(qemu_runs(&b->q));
    CHECK_EQ(live_read(l, ticks, now, 4), PST_OK);
    CHECK(pst_peek_u32(now) > pst_peek_u32(then));
    l->deny_run = true;
    CHECK_EQ(live_read(l, ticks, now, 4), PST_ERR_DENIED);
    l->deny_run = false;
    uint8_t status[64];
    uint32_t len = sizeof status;
    CHECK_EQ(live_run_read(l, PST_RUN_STATUS, status, &len), PST_OK);
    CHECK_EQ(status[0], PST_RUN_RUNNING);
    CHECK_EQ(live_resume(l, 0, PST_RUN_CONTINUE, 0, 0), PST_ERR_STATE);
    CHECK_EQ(live_run_write(l, PST_RUN_INTERRUPT, &none, 4), PST_OK);
    expect_stop(l, 2, 0);
    /* a range that never ends by itself: interrupts are masked while QEMU steps */
    CHECK_EQ(live_resume(l, 1, PST_RUN_STEP_RANGE, RAM, RAM + RAM_LEN), PST_OK);
    CHECK_EQ(live_event(l, 100), 0);
    CHECK_EQ(live_read(l, ticks, now, 4), PST_OK);
    CHECK_EQ(live_run_write(l, PST_RUN_INTERRUPT, &none, 4), PST_OK);
    expect_stop(l, 2, 0);
    /* ... and its bound */
    CHECK_EQ(live_resume(l, 1, PST_RUN_STEP_RANGE, RAM, RAM + RAM_LEN), PST_OK);
    expect_stop(l, 5, 0);
    /* detached while it runs, attached by the next access */
    CHECK_EQ(live_break(l, true, 0, 2, qemu_symbol(&b->q, "pump_step")), PST_OK);
    CHECK_EQ(live_resume(l, 1, PST_RUN_STEP, 0, 0), PST_OK);
    expect_stop(l, 5, 0);
    CHECK_EQ(live_run_write(l, PST_RUN_DETACH, "", 1), PST_OK);
    poll(NULL, 0, 200);
    CHECK(qemu_runs(&b->q));
    CHECK_EQ(live_read(l, ticks, now, 4), PST_OK);
    CHECK_EQ(live_resume(l, 0, PST_RUN_CONTINUE, 0, 0), PST_OK);
    CHECK_EQ(live_event(l, 200), 0);
    CHECK_EQ(live_enable(l, &l->run, false), PST_OK);
    CHECK_EQ(live_enable(l, &l->memory, false), PST_OK);
    poll(NULL, 0, 100);
    CHECK(qemu_runs(&b->q));
    /* the next session */
    attach(b);
    CHECK_EQ(live_read(l, ticks, now, 4), PST_OK);
    finish(b);
}

static void test_interrupt(void **state)
{
    (void)state;
    interrupts(false);
    interrupts(true);
}

static void dies(bool supervised)
{
    struct bench *b = bench(false, supervised, false);
    struct live *l = &b->l;
    uint8_t in[4];
    attach(b);
    CHECK_EQ(live_resume(l, 0, PST_RUN_CONTINUE, 0, 0), PST_OK);
    kill(b->q.pid, SIGKILL);
    size_t n = live_event(l, LIVE_MS);
    CHECK(n >= PST_STOP_REPORT_HEAD && l->event[0] == PST_RUN_LOST);
    CHECK_EQ(live_read(l, RAM, in, 4), PST_ERR_FAULT);
    CHECK_EQ(live_enable(l, &l->run, false), PST_OK);
    CHECK_EQ(live_enable(l, &l->memory, false), PST_OK);
    CHECK_EQ(live_enable(l, &l->memory, true), PST_ERR_FAULT);
    finish(b);
}

static void test_death(void **state)
{
    (void)state;
    dies(false);
    dies(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attach), cmocka_unit_test(test_memory),
        cmocka_unit_test(test_stops),  cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_death),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
