/* A simulated gdb stub: one hart, 32-bit registers, memory. Each instruction has 4 bytes and does
 * nothing. A test can make it stall, answer in pieces, or answer nonsense. */
#ifndef PST_TEST_FAKE_STUB_H
#define PST_TEST_FAKE_STUB_H

#include <stdlib.h>

#include "postern/parts/stub.h"
#include "pst_test.h"

enum { FAKE_BASE = 0x1000, FAKE_LEN = 0x1000 };

struct fake {
    /* how it behaves */
    bool no_ack, range, no_p, binary, deaf, plain /* no vCont, no threads, no XML */;
    const char *instead; /* answers to everything from `from` on */
    size_t piece;        /* bytes delivered at a time; 0: all */
    unsigned from;
    /* its state */
    bool opened, acks, running, detached;
    uint8_t memory[FAKE_LEN];
    uint32_t registers[33];
    struct pst_stub_break breaks[8];
    unsigned break_count, requests, opens, resumes, interrupts;
    struct pst_rsp_reader in;
    uint8_t packet[4096], out[64 * 1024];
    size_t out_at, out_len;
    char last[64];
};

static inline void fake_say_bytes(struct fake *f, const void *at, size_t len, bool binary)
{
    struct pst_writer w = pst_writer_of(f->out + f->out_len, sizeof f->out - f->out_len);
    struct pst_rsp_writer p = pst_rsp_begin(&w);
    if (binary) {
        pst_rsp_put_binary(&p, at, len);
    } else {
        pst_rsp_put_hex(&p, at, len);
    }
    pst_rsp_end(&p);
    CHECK(!w.failed);
    f->out_len += w.used;
}

static inline void fake_say(struct fake *f, const char *text)
{
    fake_say_bytes(f, text, strlen(text), true);
}

static inline bool fake_on_break(const struct fake *f)
{
    for (unsigned i = 0; i < f->break_count; i++) {
        if (f->breaks[i].type <= 1 && f->breaks[i].address == f->registers[32]) {
            return true;
        }
    }
    return false;
}

/* Runs `n` instructions of a running hart. */
static inline void fake_run(struct fake *f, unsigned n)
{
    for (; f->running && n > 0; n--) {
        f->registers[32] += 4;
        if (fake_on_break(f)) {
            f->running = false;
            fake_say(f, f->plain ? "S05" : "T05thread:01;");
        }
    }
}

static inline void fake_step(struct fake *f)
{
    f->registers[32] += 4;
    fake_say(f, f->plain ? "S05" : "T05thread:01;");
}

static inline void fake_range(struct fake *f, struct pst_reader *r)
{
    uint64_t first = pst_rsp_get_number(r);
    CHECK(pst_rsp_take_char(r, ','));
    uint64_t end = pst_rsp_get_number(r);
    do {
        f->registers[32] += 4;
    } while (f->registers[32] >= first && f->registers[32] < end && !fake_on_break(f));
    fake_say(f, "T05thread:01;");
}

static inline void fake_vcont(struct fake *f, struct pst_reader *r)
{
    f->resumes++;
    if (pst_rsp_take_char(r, 's')) {
        fake_step(f);
    } else if (f->range && pst_rsp_take_char(r, 'r')) {
        fake_range(f, r);
    } else {
        f->running = true;
    }
}

/* `at` from the start of its memory. */
static inline bool fake_where(struct pst_reader *r, size_t *at, size_t *len)
{
    const uint64_t address = pst_rsp_get_number(r);
    bool ok = pst_rsp_take_char(r, ',');
    const uint64_t n = pst_rsp_get_number(r);

    ok = ok && !r->failed && address >= FAKE_BASE && address - FAKE_BASE <= FAKE_LEN &&
         n <= FAKE_LEN - (address - FAKE_BASE);
    *at = ok ? (size_t)(address - FAKE_BASE) : 0;
    *len = ok ? (size_t)n : 0;
    return ok;
}

static inline void fake_break(struct fake *f, struct pst_reader *r, bool on)
{
    struct pst_stub_break b = {.type = (uint8_t)pst_rsp_get_number(r)};
    CHECK(pst_rsp_take_char(r, ','));
    b.address = pst_rsp_get_number(r);
    CHECK(pst_rsp_take_char(r, ','));
    b.kind = (uint16_t)pst_rsp_get_number(r);
    for (unsigned i = 0; !on && i < f->break_count; i++) {
        if (f->breaks[i].address == b.address && f->breaks[i].type == b.type) {
            f->breaks[i] = f->breaks[--f->break_count];
            fake_say(f, "OK");
            return;
        }
    }
    if (on && f->break_count < 8) {
        f->breaks[f->break_count++] = b;
    }
    fake_say(f, on ? "OK" : "E01");
}

static const char fake_xml[] =
    "<?xml version=\"1.0\"?><!-- <xi:include href=\"no.xml\"/> --><target>"
    "<architecture>riscv:rv32</architecture>"
    "<xi:include href=\"cpu.xml\"/><xi:include href='cpu.xml'/></target>";
static const char fake_cpu[] = "<feature name=\"cpu\"><xi:include href=\"target.xml\"/></feature>";

static inline void fake_xfer(struct fake *f, struct pst_reader *r)
{
    struct pst_bytes name = pst_rsp_get_until(r, ':');
    bool target = name.len == 10;
    const char *text = target ? fake_xml : fake_cpu;
    uint64_t at = pst_rsp_get_number(r), len;
    CHECK((target || name.len == 7) && pst_rsp_take_char(r, ','));
    len = pst_rsp_get_number(r);
    char answer[1024];
    size_t all = strlen(text);
    size_t n = at < all ? all - (size_t)at : 0;
    n = n < 50 ? n : 50;
    n = n < len ? n : (size_t)len;
    answer[0] = at + n < all ? 'm' : 'l';
    memcpy(answer + 1, text + at, n);
    fake_say_bytes(f, answer, n + 1, true);
}

static inline void fake_write(struct fake *f, struct pst_reader *r, bool binary)
{
    size_t at, len;
    bool ok = fake_where(r, &at, &len) && pst_rsp_take_char(r, ':');
    if (ok && binary) {
        pst_get_copy(r, f->memory + at, len);
    } else if (ok) {
        ok = pst_rsp_get_hex(r, f->memory + at, len) == len;
    }
    fake_say(f, ok && pst_finish(r) == PST_OK ? "OK" : "E02");
}

static inline void fake_register(struct fake *f, struct pst_reader *r, bool write)
{
    uint64_t n = pst_rsp_get_number(r);
    uint8_t value[4];
    if (f->no_p || n > 32) {
        fake_say(f, f->no_p ? "" : "E03");
    } else if (write) {
        CHECK(pst_rsp_take_char(r, '=') && pst_rsp_get_hex(r, value, 4) == 4);
        f->registers[n] = pst_peek_u32(value);
        fake_say(f, "OK");
    } else {
        pst_poke_u32(value, f->registers[n]);
        fake_say_bytes(f, value, 4, false);
    }
}

static inline void fake_memory(struct fake *f, struct pst_reader *r)
{
    size_t at, len;
    if (fake_where(r, &at, &len)) {
        fake_say_bytes(f, f->memory + at, len, false);
    } else {
        fake_say(f, "E01");
    }
}

static inline bool fake_query(struct fake *f, struct pst_reader *r)
{
    if (pst_rsp_take(r, "qSupported")) {
        fake_say(f, f->plain    ? "PacketSize=180"
                    : f->no_ack ? "PacketSize=200;QStartNoAckMode+;qXfer:features:read+"
                                : "PacketSize=200;qXfer:features:read+");
    } else if (pst_rsp_take(r, "QStartNoAckMode")) {
        fake_say(f, "OK");
        f->acks = false;
    } else if (!f->plain && pst_rsp_take(r, "qXfer:features:read:")) {
        fake_xfer(f, r);
    } else if (!f->plain && pst_rsp_take(r, "vCont?")) {
        fake_say(f, f->range ? "vCont;c;C;s;S;r" : "vCont;c;C;s;S");
    } else if (!f->plain && pst_rsp_take(r, "qfThreadInfo")) {
        fake_say(f, "m01");
    } else if (!f->plain && pst_rsp_take(r, "qsThreadInfo")) {
        fake_say(f, "l");
    } else {
        return false;
    }
    return true;
}

static inline void fake_say_registers(struct fake *f)
{
    uint8_t bytes[sizeof f->registers];

    for (size_t i = 0; i < 33; i++) {
        pst_poke_u32(bytes + 4 * i, f->registers[i]);
    }
    fake_say_bytes(f, bytes, sizeof bytes, false);
}

static inline void fake_take_registers(struct fake *f, struct pst_reader *r)
{
    uint8_t bytes[sizeof f->registers];

    CHECK_EQ(pst_rsp_get_hex(r, bytes, sizeof bytes), sizeof bytes);
    for (size_t i = 0; i < 33; i++) {
        f->registers[i] = pst_peek_u32(bytes + 4 * i);
    }
    fake_say(f, "OK");
}

static inline void fake_answer(struct fake *f, struct pst_reader *r)
{
    if (fake_query(f, r)) {
        return;
    }
    if (!f->plain && pst_rsp_take(r, "vCont;")) {
        fake_vcont(f, r);
    } else if (f->plain && (r->at[0] == 's' || r->at[0] == 'c')) {
        fake_vcont(f, r);
    } else if (pst_rsp_take_char(r, '?')) {
        fake_say(f, f->plain ? "S05" : "T05thread:01;");
    } else if (!f->plain && pst_rsp_take(r, "Hg")) {
        fake_say(f, "OK");
    } else if (pst_rsp_take_char(r, 'g')) {
        fake_say_registers(f);
    } else if (pst_rsp_take_char(r, 'G')) {
        fake_take_registers(f, r);
    } else if (pst_rsp_take_char(r, 'm')) {
        fake_memory(f, r);
    } else if (pst_rsp_take_char(r, 'M')) {
        fake_write(f, r, false);
    } else if (f->binary && pst_rsp_take_char(r, 'X')) {
        fake_write(f, r, true);
    } else if (pst_rsp_take_char(r, 'p')) {
        fake_register(f, r, false);
    } else if (pst_rsp_take_char(r, 'P')) {
        fake_register(f, r, true);
    } else if (pst_rsp_take_char(r, 'Z')) {
        fake_break(f, r, true);
    } else if (pst_rsp_take_char(r, 'z')) {
        fake_break(f, r, false);
    } else if (pst_rsp_take_char(r, 'D')) {
        f->detached = true;
        fake_say(f, "OK");
    } else {
        fake_say(f, "");
    }
}

static inline void fake_packet(struct fake *f)
{
    struct pst_reader r = pst_reader_of(f->in.buffer, f->in.len);
    CHECK(!f->running);  /* only an interrupt may be sent while the CPU runs */
    CHECK(!f->detached); /* and nothing after D */
    snprintf(f->last, sizeof f->last, "%s", (char *)f->in.buffer);
    f->requests++;
    if (f->acks) {
        f->out[f->out_len++] = '+';
    }
    if (f->instead != NULL && f->requests >= f->from) {
        size_t n = strlen(f->instead);
        memcpy(f->out + f->out_len, f->instead, n);
        f->out_len += n;
    } else if (!f->deaf) {
        fake_answer(f, &r);
    }
}

static inline void fake_receive(struct fake *f, const uint8_t *at, size_t len)
{
    while (len > 0) {
        enum pst_rsp_item item;
        size_t n = pst_rsp_read(&f->in, at, len, &item);
        at += n;
        len -= n;
        if (item == PST_RSP_PACKET) {
            fake_packet(f);
        } else if (item == PST_RSP_BREAK && f->running && !f->deaf) {
            f->running = false;
            f->interrupts++;
            fake_say(f, f->plain ? "S02" : "T02thread:01;");
        }
        CHECK(item != PST_RSP_BAD);
    }
}

static inline pst_err fake_open(void *ctx, bool on)
{
    struct fake *f = ctx;
    if (on) {
        f->opens++;
        f->acks = true;
        f->detached = f->running = false;
        f->out_at = f->out_len = 0;
        pst_rsp_reader_init(&f->in, f->packet, sizeof f->packet, false);
    }
    f->opened = on;
    return PST_OK;
}

#endif
