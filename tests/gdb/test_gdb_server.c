/* The gdb server, packet by packet, against a target in memory.
 * pst-link: gdb stub spp wire */
#include "pst_test.h"

#include "gdb/fake.h"

static struct fake *make(bool notices)
{
    struct fake *f = malloc(sizeof *f);
    CHECK(f != NULL);
    fake_init(f, notices);
    return f;
}

static struct fake *attached(void)
{
    struct fake *f = make(true);
    fake_attach(f);
    return f;
}

#define ASK(f, packet, expected) check_reply((f), (packet), (expected), __LINE__)
#define BEGINS(f, packet, expected) check_begins((f), (packet), (expected), __LINE__)

static void check_reply(struct fake *f, const char *packet, const char *expected, int line)
{
    const char *got = fake_ask(f, packet);
    if (strcmp(got, expected) != 0) {
        fprintf(stderr, "line %d: %s -> %s, not %s\n", line, packet, got, expected);
    }
    CHECK(strcmp(got, expected) == 0);
}

static void check_begins(struct fake *f, const char *packet, const char *expected, int line)
{
    const char *got = fake_ask(f, packet);
    if (strncmp(got, expected, strlen(expected)) != 0) {
        fprintf(stderr, "line %d: %s -> %s, not %s…\n", line, packet, got, expected);
    }
    CHECK(strncmp(got, expected, strlen(expected)) == 0);
}

static void test_handshake(void **state)
{
    (void)state;
    struct fake *f = make(true);
    /* gdb is faster than the target: acknowledged at once, answered later */
    uint8_t bytes[80];
    struct pst_writer w = pst_writer_of(bytes, sizeof bytes);
    struct pst_rsp_writer p = pst_rsp_begin(&w);
    pst_rsp_put_text(&p, "qSupported:swbreak+;xmlRegisters=i386");
    pst_rsp_end(&p);
    CHECK_EQ(pst_gdb_server_receive(&f->g, bytes, w.used), w.used);
    CHECK_EQ(pst_gdb_server_pending(&f->g).len, 1);
    CHECK_EQ(pst_gdb_server_pending(&f->g).at[0], '+');
    fake_collect(f);
    f->from_len = 0;
    pst_gdb_server_start(&f->g);
    CHECK_EQ(f->queued, 4); /* one batch reads everything */
    CHECK(fake_turn(f));
    fake_collect(f);
    CHECK_EQ(fake_parse(f), 1);
    CHECK(strcmp(f->reply, "PacketSize=4000;QStartNoAckMode+;vContSupported+;swbreak+;hwbreak+;"
                           "qXfer:threads:read+;qXfer:features:read+;qXfer:memory-map:read+") == 0);
    CHECK_EQ(f->batches, 1);
    CHECK_EQ(pst_gdb_server_state(&f->g), PST_GDB_HALTED);
    ASK(f, "vMustReplyEmpty", "");
    ASK(f, "QStartNoAckMode", "OK");
    fake_feed(f, "$!#21", 5);
    CHECK(f->from_len > 0 && f->from[0] == '$'); /* no acknowledgement any more */
    fake_free(f);
}

static void test_acks(void **state)
{
    (void)state;
    struct fake *f = make(true);
    pst_gdb_server_start(&f->g);
    while (fake_turn(f)) {
    }
    fake_feed(f, "$!#21", 5);
    CHECK_BYTES(f->from, "+$OK#9a", 7);
    CHECK_EQ(f->from_len, 7);
    f->from_len = 0;
    fake_feed(f, "-", 1); /* again */
    CHECK_BYTES(f->from, "$OK#9a", 6);
    CHECK_EQ(f->from_len, 6);
    f->from_len = 0;
    fake_feed(f, "+$!#22", 6); /* a wrong sum */
    CHECK_EQ(f->from_len, 1);
    CHECK_EQ(f->from[0], '-');
    fake_free(f);
}

static void test_queries(void **state)
{
    (void)state;
    struct fake *f = attached();
    unsigned batches = f->batches;
    ASK(f, "!", "OK");
    ASK(f, "Hg0", "OK");
    ASK(f, "Hc-1", "OK");
    ASK(f, "Hg1", "OK");
    ASK(f, "Hg7", "E16");
    ASK(f, "Hx1", "E16");
    ASK(f, "T1", "OK");
    ASK(f, "T9", "E16");
    ASK(f, "qC", "QC1");
    ASK(f, "qfThreadInfo", "m1");
    ASK(f, "qsThreadInfo", "l");
    ASK(f, "qThreadExtraInfo,1", "68616c746564");
    ASK(f, "qAttached", "1");
    ASK(f, "qOffsets", "Text=0;Data=0;Bss=0");
    ASK(f, "qSymbol::", "OK");
    ASK(f, "qTStatus", "");
    ASK(f, "QNonStop:0", "OK");
    BEGINS(f, "QNonStop:1", "E.");
    ASK(f, "vCont?", "vCont;c;C;s;S;t;r");
    ASK(f, "vFile:setfs:0", "F-1,d");
    ASK(f, "vNonsense", "");
    ASK(f, "qXfer:auxv:read::0,100", "");
    BEGINS(f, "vRun;", "E.");
    BEGINS(f, "vAttach;1", "E.");
    CHECK(strstr(f->notice, "opened for") != NULL);
    CHECK_EQ(f->batches, batches); /* none of it needs the target */
    fake_free(f);
}

static void test_stop_reply(void **state)
{
    (void)state;
    struct fake *f = attached();
    unsigned batches = f->batches;
    const char *got = fake_ask(f, "?");
    CHECK(strncmp(got, "T05thread:1;00:00001111;01:00020080;02:10000180;", 48) == 0);
    CHECK(strstr(got, ";20:00010080;") != NULL);
    CHECK(strstr(got, "break") == NULL);
    ASK(f, "p20", "00010080");
    CHECK_EQ(strlen(fake_ask(f, "g")), 264);
    CHECK_EQ(f->batches, batches);
    fake_free(f);
}

static void test_xfer(void **state)
{
    (void)state;
    struct fake *f = attached();
    unsigned batches = f->batches;
    BEGINS(f, "qXfer:features:read:target.xml:0,1000",
           "l<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>"
           "<architecture>riscv:rv32</architecture><osabi>none</osabi><xi:include");
    BEGINS(f, "qXfer:features:read:target.xml:59,20", "m:rv32</architecture><osabi>none<");
    ASK(f, "qXfer:features:read:cpu.xml:0,1000",
        "l<feature name=\"org.gnu.gdb.riscv.cpu\">}#$*</feature>");
    ASK(f, "qXfer:features:read:cpu.xml:26,2", "m}#");
    ASK(f, "qXfer:features:read:cpu.xml:1000,2", "l");
    ASK(f, "qXfer:features:read:other.xml:0,10", "E00");
    ASK(f, "qXfer:features:read:cpu.xml:0", "E00");
    BEGINS(f, "qXfer:threads:read::0,1000",
           "l<?xml version=\"1.0\"?>\n<threads>\n<thread id=\"1\" core=\"0\" name=\"hart 1\">");
    const char *map = fake_ask(f, "qXfer:memory-map:read::0,1000");
    CHECK(strstr(map,
                 "<memory type=\"ram\" start=\"0x0\" length=\"0x1000\"/>\n"
                 "<memory type=\"rom\" start=\"0x1000\" length=\"0x1000\"/>\n"
                 "<memory type=\"ram\" start=\"0x2000\" length=\"0x7fffe000\"/>\n"
                 "<memory type=\"ram\" start=\"0x80000000\" length=\"0x20000\"/>\n"
                 "<memory type=\"ram\" start=\"0x80020000\" length=\"0xffffffff7ffe0000\"/>") !=
          NULL);
    /* byte by byte it is the same document */
    char whole[2048], part[64];
    snprintf(whole, sizeof whole, "%s", map + 1);
    for (size_t i = 0; i < strlen(whole); i += 7) {
        snprintf(part, sizeof part, "qXfer:memory-map:read::%zx,7", i);
        fake_ask(f, part);
        CHECK_BYTES(f->reply + 1, whole + i, f->reply_len - 1);
        CHECK_EQ(f->reply[0], i + 7 < strlen(whole) ? 'm' : 'l');
    }
    CHECK_EQ(f->batches, batches);
    fake_free(f);
}

static void test_memory(void **state)
{
    (void)state;
    struct fake *f = attached();
    unsigned batches = f->batches;
    ASK(f, "m80000000,4", "00070e15");
    CHECK_EQ(f->batches, batches + 1);
    ASK(f, "m80000010,8", "70777e858c939aa1"); /* the block came along */
    ASK(f, "m80000100,4", "01080f16");
    CHECK_EQ(f->batches, batches + 1);
    ASK(f, "m80000000,0", "");
    ASK(f, "m8000,", "E16");
    ASK(f, "m,4", "E16");
    ASK(f, "mffffffffffffffff,2", "E16");
    ASK(f, "m80000000,4,4", "E16");
    ASK(f, "m40000000,4", "E0e");
    /* the last bytes of the region, and across its end */
    CHECK_EQ(strlen(fake_ask(f, "m8001fff0,10")), 32);
    ASK(f, "m8001fff0,20", "E0e");
    /* more than fits one reply: a part of it */
    CHECK_EQ(strlen(fake_ask(f, "m80000000,10000")), 2 * ((16384 - 8) / 2));
    fake_free(f);
}

static void test_device_memory(void **state)
{
    (void)state;
    struct fake *f = attached();
    f->device[4] = 0xA5;
    ASK(f, "m10000004,1", "a5");
    CHECK_EQ(f->last_device_len, 1);
    f->device[4] = 0x5A;
    ASK(f, "m10000004,1", "5a"); /* never from memory */
    ASK(f, "m10000004,4", "5a000000");
    CHECK_EQ(f->last_device_len, 4);
    CHECK_EQ(f->device_reads, 3);
    ASK(f, "M10000008,2:beef", "OK");
    CHECK_EQ(f->last_device_len, 2);
    CHECK_EQ(f->device[9], 0xEF);
    fake_free(f);
}

static void test_write_through(void **state)
{
    (void)state;
    struct fake *f = attached();
    fake_ask(f, "m80000400,10");
    unsigned batches = f->batches;
    ASK(f, "M80000404,4:01020304", "OK");
    CHECK_EQ(f->batches, batches + 1);
    CHECK_EQ(f->ram[0x404], 1);
    BEGINS(f, "m80000404,4", "01020304");
    CHECK_EQ(f->batches, batches + 1);
    ASK(f, "X80000408,0:", "OK");
    CHECK_EQ(f->batches, batches + 1);
    fake_send(f, "X80000408,4:\x00}#$", 16);
    CHECK_EQ(fake_parse(f), 1);
    CHECK(strcmp(f->reply, "OK") == 0);
    CHECK_BYTES(f->ram + 0x408, "\x00}#$", 4);
    ASK(f, "m80000408,4", "007d2324");
    ASK(f, "M80000404,4:0102", "E16");
    ASK(f, "M80000404,4:010", "E16");
    ASK(f, "X80000404,4:ab", "E16");
    f->deny_memory_write = PST_ERR_DENIED;
    ASK(f, "M80000404,4:99999999", "E0d");
    CHECK(strstr(f->notice, "cannot write memory, 4 bytes at 0x80000404: refused by the "
                            "target's policy") != NULL);
    ASK(f, "m80000404,4", "01020304");
    fake_free(f);
}

static void test_partial_grant(void **state)
{
    (void)state;
    struct fake *f = attached();
    f->granted_last = FAKE_RAM + 0x100F;
    ASK(f, "m80001000,4", "10171e25"); /* reading along is refused, the question is not */
    ASK(f, "m80001010,4", "E0d");
    fake_free(f);
}

static void test_sequential(void **state)
{
    (void)state;
    struct fake *f = attached();
    char packet[64];
    for (uint32_t at = 0; at < FAKE_RAM_LEN; at += 0x1000) {
        uint8_t bytes[0x1000];
        snprintf(packet, sizeof packet, "m%x,1000", FAKE_RAM + at);
        fake_ask(f, packet);
        struct pst_reader hex = pst_reader_of(f->reply, f->reply_len);
        CHECK_EQ(pst_rsp_get_hex(&hex, bytes, sizeof bytes), sizeof bytes);
        CHECK_BYTES(bytes, f->ram + at, sizeof bytes);
    }
    CHECK(pst_gdb_server_counts(&f->g)->ahead > 0);
    CHECK(pst_gdb_server_counts(&f->g)->hits > 16);
    fake_free(f);
}

static void test_crc(void **state)
{
    (void)state;
    struct fake *f = attached();
    memcpy(f->ram, "123456789", 9);
    ASK(f, "qCRC:80000000,9", "C376e6e7"); /* CRC-32/MPEG-2 of the usual nine digits */
    BEGINS(f, "qCRC:80000000,20000", "C"); /* in several parts */
    ASK(f, "qCRC:80000000,20001", "E0e");
    fake_free(f);
}

static void test_registers(void **state)
{
    (void)state;
    struct fake *f = attached();
    unsigned batches = f->batches;
    ASK(f, "P1f=05000000", "OK");
    CHECK_EQ(f->batches, batches + 1);
    CHECK_EQ(pst_peek_u32(f->regs + 0x1f * 4), 5);
    ASK(f, "p1f", "05000000");
    ASK(f, "P1f=05000000", "OK"); /* it is that already */
    CHECK_EQ(strlen(fake_ask(f, "g")), 264);
    CHECK_EQ(f->batches, batches + 1);
    pst_poke_u32(f->csr, 11);
    ASK(f, "p342", "0b000000");
    ASK(f, "p342", "0b000000");
    CHECK_EQ(f->batches, batches + 2);
    ASK(f, "P342=0c000000", "OK"); /* may change memory */
    ASK(f, "p342", "0c000000");
    ASK(f, "p99", "E0e");
    ASK(f, "p100000", "E0e");
    ASK(f, "p", "E0e");
    BEGINS(f, "P1=", "E.");
    BEGINS(f, "G0011", "E.");
    char g[300];
    snprintf(g, sizeof g, "G%s", fake_ask(f, "g"));
    memcpy(g + 1 + 8, "44332211", 8);
    ASK(f, g, "OK");
    CHECK_EQ(pst_peek_u32(f->regs + 4), 0x11223344);
    f->deny_run = PST_ERR_DENIED;
    ASK(f, "P1=00000000", "E.cannot write the register: refused by the target's policy");
    BEGINS(f, "g", "E.cannot read registers: refused");
    fake_free(f);
}

static void test_one_round_trip(void **state)
{
    (void)state;
    struct fake *f = attached();
    f->stop_at_once = true;
    fake_ask(f, "vCont;s:1;c"); /* the gather list is known from here on */
    for (int i = 0; i < 5; i++) {
        unsigned batches = f->batches;
        uint64_t counted = pst_gdb_server_counts(&f->g)->round_trips;
        f->stop_pc = FAKE_RAM + 0x100 + (uint32_t)i * 2;
        ASK(f, "z0,80000300,4", "OK");
        ASK(f, "Z0,80000300,4", "OK");
        BEGINS(f, "vCont;r80000100,80000110:1;c", "T05thread:1;00:");
        BEGINS(f, "qXfer:threads:read::0,1000", "l<");
        BEGINS(f, "m80010000,40", "");
        BEGINS(f, "m80010040,40", "");
        BEGINS(f, "m80010080,40", "");
        BEGINS(f, "m80000100,40", "");
        BEGINS(f, "m80000200,4", "");
        CHECK_EQ(strlen(fake_ask(f, "g")), 264);
        CHECK_EQ(f->batches, batches + 1);
        CHECK_EQ(pst_gdb_server_counts(&f->g)->round_trips, counted + 1);
    }
    CHECK_EQ(f->break_records, 1); /* the pairs cancelled out */
    CHECK_EQ(f->gather_writes, 1);
    CHECK(f->resume_len == 48);
    CHECK_EQ(pst_peek_u32(f->resume), 1);
    CHECK_EQ(f->resume[4], PST_RUN_STEP_RANGE);
    CHECK_EQ(pst_peek_u64(f->resume + 8), 0x80000100);
    CHECK_EQ(pst_peek_u64(f->resume + 16), 0x80000110);
    CHECK_EQ(pst_peek_u32(f->resume + 24), 0);
    CHECK_EQ(f->resume[28], PST_RUN_CONTINUE);
    fake_free(f);
}

static void test_learns(void **state)
{
    (void)state;
    struct fake *f = attached();
    f->stop_at_once = true;
    fake_ask(f, "vCont;c");
    fake_ask(f, "m80018000,20"); /* a global: one round trip, the first time */
    fake_ask(f, "m80010800,40"); /* up the stack */
    fake_ask(f, "vCont;c");
    unsigned batches = f->batches;
    f->ram[0x18000] = 0x42;
    fake_ask(f, "vCont;c");
    BEGINS(f, "m80018000,20", "42");
    fake_ask(f, "m80010800,40");
    CHECK_EQ(f->batches, batches + 1);
    for (int i = 0; i < 12; i++) { /* no further requests */
        fake_ask(f, "vCont;c");
    }
    CHECK_EQ(f->gather_len, PST_GATHER_FIXED * PST_GATHER_ENTRY);
    fake_free(f);
}

static void test_cache_ends_with_resume(void **state)
{
    (void)state;
    struct fake *f = attached();
    f->stop_at_once = true;
    fake_ask(f, "m80018000,4");
    fake_ask(f, "m1000,4");
    f->ram[0x18000] ^= 0xFF;
    fake_ask(f, "vCont;s");
    char now[8];
    snprintf(now, sizeof now, "%02x", f->ram[0x18000]);
    BEGINS(f, "m80018000,4", now);
    unsigned batches = f->batches;
    fake_ask(f, "m1000,4"); /* ROM does not change */
    CHECK_EQ(f->batches, batches);
    fake_free(f);
}

static void test_breakpoints(void **state)
{
    (void)state;
    struct fake *f = attached();
    unsigned batches = f->batches;
    f->stop_at_once = true;
    ASK(f, "Z0,80000200,2", "OK");
    ASK(f, "Z1,80000210,4", "OK");
    CHECK_EQ(f->batches, batches);
    ASK(f, "Z2,80018000,4", "OK"); /* the first watchpoint is tried at once */
    CHECK_EQ(f->batches, batches + 1);
    ASK(f, "Z2,80018010,4", "OK");
    CHECK_EQ(f->batches, batches + 1);
    ASK(f, "Z0,40000000,4", "OK"); /* not in the map: tried at once */
    CHECK_EQ(f->batches, batches + 2);
    ASK(f, "Z5,80000200,2", "");
    ASK(f, "Z0,80000200", "");
    ASK(f, "Z0,80000200,2;X1,22", "");
    fake_ask(f, "vCont;c");
    CHECK_EQ(f->break_records, 5);
    ASK(f, "z0,80000200,2", "OK");
    ASK(f, "z7,80000200,2", "");
    ASK(f, "z0,12345678,2", "OK");
    fake_ask(f, "vCont;c");
    CHECK_EQ(f->break_records, 6);
    /* detaching takes away what is left */
    ASK(f, "D", "OK");
    for (size_t i = 0; i < 128; i++) {
        CHECK(!f->breaks[i].set);
    }
    CHECK_EQ(f->detaches, 1);
    fake_free(f);
}

static void test_break_refused(void **state)
{
    (void)state;
    struct fake *f = attached();
    f->deny_break = PST_ERR_DENIED;
    ASK(f, "Z0,80000200,2", "OK");
    ASK(f, "vCont;c", "E.a breakpoint was not accepted: the CPU is not halted");
    CHECK_EQ(f->resumes, 0); /* nothing ran past it */
    CHECK(strstr(f->notice, "breakpoint") != NULL);
    f->deny_break = PST_ERR_UNSUPPORTED;
    ASK(f, "Z3,80018000,4", "");
    f->deny_break = PST_OK;
    f->stop_at_once = true;
    BEGINS(f, "vCont;c", "T05");
    fake_free(f);
}

static void test_gather_refused(void **state)
{
    (void)state;
    struct fake *f = attached();
    f->deny_gather = PST_ERR_LIMIT;
    f->stop_at_once = true;
    BEGINS(f, "vCont;c", "T05");
    unsigned batches = f->batches;
    BEGINS(f, "vCont;c", "T05");
    CHECK_EQ(f->batches, batches + 1);
    fake_free(f);
}

static void test_stops(void **state)
{
    (void)state;
    struct fake *f = attached();
    f->stop_at_once = true;
    f->stop_reason = PST_STOP_SW_BREAK;
    BEGINS(f, "vCont;c", "T05thread:1;swbreak:;00:");
    f->stop_reason = PST_STOP_HW_BREAK;
    BEGINS(f, "c", "T05thread:1;hwbreak:;00:");
    f->stop_reason = PST_STOP_WATCH;
    f->stop_watch = 0x80018000;
    BEGINS(f, "s", "T05thread:1;watch:80018000;00:");
    CHECK_EQ(f->resume[4], PST_RUN_STEP);
    f->stop_reason = PST_STOP_ACCESS_WATCH;
    BEGINS(f, "C05", "T05thread:1;awatch:80018000;00:");
    CHECK_EQ(f->resume[5], 5);
    BEGINS(f, "c80000000", "E.");
    BEGINS(f, "vCont;t", "T05");
    BEGINS(f, "vCont", "E.");
    BEGINS(f, "vCont;q", "E.");
    BEGINS(f, "vCont;s:5", "E.");
    BEGINS(f, "vCont;r1", "E.");
    f->stop_reason = PST_STOP_EXITED;
    f->stop_signal = 3;
    ASK(f, "vCont;c", "W03");
    BEGINS(f, "g", "E.the session with the target has ended");
    fake_free(f);
}

static void test_interrupt(void **state)
{
    (void)state;
    struct fake *f = attached();
    fake_feed(f, "\x03", 1); /* halted: nothing to interrupt */
    CHECK_EQ(f->interrupts, 0);
    f->stop_signal = 2;
    fake_send(f, "vCont;c", 7);
    CHECK_EQ(fake_parse(f), 0);
    CHECK_EQ(pst_gdb_server_state(&f->g), PST_GDB_RUNNING);
    BEGINS(f, "m80000000,4", "00"); /* while it runs: straight from the target */
    BEGINS(f, "g", "xxxx");
    BEGINS(f, "vCont;c", "E.the CPU is running");
    fake_feed(f, "\x03", 1);
    CHECK_EQ(fake_parse(f), 1);
    CHECK(strncmp(f->reply, "T02thread:1;", 12) == 0);
    CHECK_EQ(f->interrupts, 1);
    /* right behind the resume, before the target has answered */
    static const uint8_t both[] = "$c#63\x03";
    fake_feed(f, both, sizeof both - 1);
    CHECK_EQ(fake_parse(f), 1);
    CHECK(strncmp(f->reply, "T02", 3) == 0);
    /* refused */
    f->deny_interrupt = PST_ERR_DENIED;
    fake_send(f, "vCont;c", 7);
    fake_feed(f, "\x03", 1);
    CHECK_EQ(fake_parse(f), 0);
    CHECK(strstr(f->notice, "refused") != NULL);
    fake_stop(f);
    fake_collect(f);
    CHECK_EQ(fake_parse(f), 1);
    fake_free(f);
}

static void test_attach_running(void **state)
{
    (void)state;
    struct fake *f = make(true);
    f->state = PST_RUN_RUNNING;
    f->stop_signal = 0;
    fake_attach(f);
    CHECK_EQ(f->interrupts, 1);
    BEGINS(f, "?", "T02thread:1;00:");
    fake_free(f);

    f = make(true); /* an observer */
    f->state = PST_RUN_RUNNING;
    f->deny_interrupt = f->deny_run = PST_ERR_DENIED;
    fake_attach(f);
    CHECK_EQ(pst_gdb_server_state(&f->g), PST_GDB_OBSERVING);
    CHECK(strstr(f->notice, "refused by the target's policy") != NULL);
    BEGINS(f, "?", "T00thread:1;");
    BEGINS(f, "g", "xxxxxxxx");
    BEGINS(f, "m80000000,4", "00070e15");
    BEGINS(f, "vCont;c", "E.");
    ASK(f, "D", "OK");
    fake_free(f);
}

static void test_monitor(void **state)
{
    (void)state;
    struct fake *f = attached();
    ASK(f, "qRcmd,77686f616d69", "OK"); /* whoami */
    CHECK(strcmp(f->console, "whoami: ada debugs Acme:Pump:0042\n") == 0);
    ASK(f, "qRcmd,68656c70", "OK"); /* help */
    CHECK(strstr(f->console, "monitor policy") != NULL);
    CHECK(strstr(f->console, "unknown command") == NULL);
    ASK(f, "qRcmd,7374617473", "OK"); /* stats */
    CHECK(strstr(f->console, "round trips awaited:  1\n") != NULL);
    ASK(f, "qRcmd,73797374656d5f7265736574", "OK"); /* system_reset: not QEMU's monitor */
    CHECK(strstr(f->console, "unknown command") != NULL);
    ASK(f, "qRcmd,7", "OK");
    fake_free(f);
}

static void test_lost(void **state)
{
    (void)state;
    struct fake *f = make(false); /* no stderr: the text comes as console output */
    fake_attach(f);
    fake_send(f, "vCont;c", 7);
    CHECK_EQ(fake_parse(f), 0);
    pst_gdb_server_lost(&f->g, "the link is down");
    fake_collect(f);
    CHECK_EQ(fake_parse(f), 1);
    CHECK(strcmp(f->reply, "X09") == 0);
    CHECK(strcmp(f->console, "postern: the link is down\n") == 0);
    BEGINS(f, "m80000000,4", "E");
    ASK(f, "?", "X09");
    ASK(f, "D", "OK");
    fake_free(f);

    f = attached(); /* in the middle of a read */
    f->closed = true;
    ASK(f, "m80000000,4", "E05");
    CHECK(strstr(f->notice, "the session with the target has ended") != NULL);
    pst_gdb_server_lost(&f->g, NULL);
    BEGINS(f, "m80000000,4", "E");
    fake_free(f);

    f = attached(); /* the stub died: told by the target */
    fake_send(f, "vCont;c", 7);
    f->state = PST_RUN_LOST;
    uint8_t report[PST_STOP_REPORT_HEAD] = {PST_RUN_LOST};
    pst_gdb_server_event(&f->g, (struct pst_bytes){report, sizeof report});
    fake_collect(f);
    CHECK_EQ(fake_parse(f), 1);
    CHECK(strcmp(f->reply, "X09") == 0);
    CHECK(strstr(f->notice, "lost its debug stub") != NULL);
    fake_free(f);
}

static void test_kill(void **state)
{
    (void)state;
    struct fake *f = attached();
    ASK(f, "vKill;1", "OK");
    CHECK_EQ(f->detaches, 1);
    ASK(f, "?", "W00");
    fake_free(f);
    f = attached();
    fake_send(f, "k", 1);
    CHECK_EQ(fake_parse(f), 0);
    CHECK(pst_gdb_server_ended(&f->g));
    fake_free(f);
}

static void test_keepalive(void **state)
{
    (void)state;
    struct fake *f = attached();
    CHECK(pst_gdb_server_poll(&f->g, 1000) == UINT64_MAX);
    uint8_t bytes[64];
    struct pst_writer w = pst_writer_of(bytes, sizeof bytes);
    struct pst_rsp_writer p = pst_rsp_begin(&w);
    pst_rsp_put_text(&p, "m80000000,4");
    pst_rsp_end(&p);
    CHECK_EQ(pst_gdb_server_receive(&f->g, bytes, w.used), w.used);
    CHECK_EQ(f->queued, 1);
    CHECK_EQ(pst_gdb_server_poll(&f->g, 5000), 1000);
    CHECK_EQ(pst_gdb_server_pending(&f->g).len, 0);
    pst_gdb_server_poll(&f->g, 6000);
    CHECK_EQ(pst_gdb_server_pending(&f->g).len, 1);
    CHECK_EQ(pst_gdb_server_pending(&f->g).at[0], '+');
    while (fake_turn(f)) {
    }
    fake_collect(f);
    CHECK_EQ(fake_parse(f), 1);
    CHECK(pst_gdb_server_poll(&f->g, 9000) == UINT64_MAX);
    fake_free(f);
}

static void test_hostile_reports(void **state)
{
    (void)state;
    static uint8_t report[1024];
    struct fake *f = attached();
    struct pst_writer w = pst_writer_of(report, sizeof report);
    f->gather_len = 0;
    fake_report(f, &w);
    pst_put_u64(&w, 0x80000000);
    pst_put_u32(&w, 8);
    pst_put_bytes(&w, "abcdefgh", 8);
    size_t len = w.used;
    fake_free(f);
    for (size_t n = 0; n < len; n++) { /* every truncation */
        f = attached();
        fake_send(f, "vCont;c", 7);
        fake_parse(f);
        uint8_t *exact = malloc(n + 1);
        CHECK(exact != NULL);
        memcpy(exact, report, n);
        pst_gdb_server_event(&f->g, (struct pst_bytes){exact, n});
        free(exact);
        fake_collect(f);
        CHECK_EQ(fake_parse(f), 1);
        bool whole = n == PST_STOP_REPORT_HEAD + 4 + 132; /* without gathered memory */
        CHECK(strncmp(f->reply, whole ? "T05" : "X09", 3) == 0);
        fake_free(f);
    }
    f = attached();
    for (size_t i = 0; i < len; i++) { /* every changed byte */
        for (unsigned bit = 0; bit < 8; bit += 3) {
            report[i] ^= (uint8_t)(1u << bit);
            pst_gdb_server_event(&f->g, (struct pst_bytes){report, len});
            report[i] ^= (uint8_t)(1u << bit);
            if (pst_gdb_server_state(&f->g) == PST_GDB_ENDED) {
                fake_free(f);
                f = attached();
            }
            fake_collect(f);
            fake_parse(f);
            fake_ask(f, "?");
        }
    }
    fake_free(f);
}

/* Any packet, truncated or changed anywhere, gets at most one answer, and the next packet works. */
static void test_hostile_packets(void **state)
{
    (void)state;
    static const char *const packets[] = {"qSupported:swbreak+;xmlRegisters=i386",
                                          "m80000000,40",
                                          "M80000000,4:01020304",
                                          "X80000000,4:abcd",
                                          "Z0,80000200,4",
                                          "z2,80018000,4",
                                          "vCont;r80000000,80000010:1;c",
                                          "vCont;C05:1;s:-1",
                                          "P1f=05000000",
                                          "p342",
                                          "Hg-1",
                                          "T1",
                                          "qRcmd,68656c70",
                                          "qXfer:features:read:target.xml:0,100",
                                          "qXfer:memory-map:read::0,1000",
                                          "qCRC:80000000,100",
                                          "qThreadExtraInfo,1",
                                          "vAttach;1",
                                          "G00112233",
                                          "C05"};
    struct fake *f = attached();
    f->stop_at_once = true;
    for (size_t i = 0; i < sizeof packets / sizeof packets[0]; i++) {
        size_t len = strlen(packets[i]);
        char changed[128];
        for (size_t n = 0; n <= len; n++) {
            fake_send(f, packets[i], n);
            CHECK_EQ(fake_parse(f), strncmp(packets[i], "R", n + 1) == 0 ? 0 : 1);
        }
        for (size_t n = 0; n < len; n++) {
            for (unsigned v = 1; v < 256; v += 6) {
                memcpy(changed, packets[i], len);
                changed[n] = (char)((uint8_t)changed[n] ^ v);
                fake_send(f, changed, len);
                fake_parse(f);
                if (pst_gdb_server_state(&f->g) != PST_GDB_HALTED) {
                    fake_free(f);
                    f = attached();
                    f->stop_at_once = true;
                }
            }
        }
    }
    BEGINS(f, "?", "T05");
    fake_free(f);
}

/* The same answers when every operation completes inside submit. */
static void test_at_once(void **state)
{
    (void)state;
    struct fake *f = make(true);
    f->at_once = f->stop_at_once = true;
    fake_attach(f);
    BEGINS(f, "m80000000,4", "00070e15");
    ASK(f, "Z0,80000200,4", "OK");
    BEGINS(f, "vCont;c", "T05");
    ASK(f, "P1f=05000000", "OK");
    for (int i = 0; i < 6; i++) {
        char packet[32];
        snprintf(packet, sizeof packet, "m%x,1000", FAKE_RAM + 0x1000u * (unsigned)i);
        CHECK_EQ(strlen(fake_ask(f, packet)), 0x2000);
    }
    ASK(f, "D", "OK");
    fake_free(f);
}

static void test_init(void **state)
{
    (void)state;
    static struct pst_gdb_server g;
    static uint8_t memory[1 << 18];
    struct pst_gdb_server_config c = {.memory = memory,
                                      .memory_len = sizeof memory,
                                      .packet_size = 16384,
                                      .description_size = 65536};
    CHECK_EQ(pst_gdb_server_init(&g, &c), PST_ERR_ARGUMENT); /* nothing to submit to */
    c.backend.submit = fake_submit;
    CHECK_EQ(pst_gdb_server_init(&g, &c), PST_OK);
    c.memory = memory + 1;
    c.memory_len = PST_GDB_MEMORY(16384, 65536);
    CHECK(c.memory_len <= sizeof memory - 1);
    CHECK_EQ(pst_gdb_server_init(&g, &c), PST_OK);
    c.memory_len--;
    CHECK_EQ(pst_gdb_server_init(&g, &c), PST_ERR_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshake),
        cmocka_unit_test(test_acks),
        cmocka_unit_test(test_queries),
        cmocka_unit_test(test_stop_reply),
        cmocka_unit_test(test_xfer),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_device_memory),
        cmocka_unit_test(test_write_through),
        cmocka_unit_test(test_partial_grant),
        cmocka_unit_test(test_sequential),
        cmocka_unit_test(test_crc),
        cmocka_unit_test(test_registers),
        cmocka_unit_test(test_one_round_trip),
        cmocka_unit_test(test_learns),
        cmocka_unit_test(test_cache_ends_with_resume),
        cmocka_unit_test(test_breakpoints),
        cmocka_unit_test(test_break_refused),
        cmocka_unit_test(test_gather_refused),
        cmocka_unit_test(test_stops),
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_attach_running),
        cmocka_unit_test(test_monitor),
        cmocka_unit_test(test_lost),
        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_keepalive),
        cmocka_unit_test(test_hostile_reports),
        cmocka_unit_test(test_hostile_packets),
        cmocka_unit_test(test_at_once),
        cmocka_unit_test(test_init),
    };
    return cmocka_run_group_tests_name("gdb_server", tests, NULL, NULL);
}
