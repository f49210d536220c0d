/* A simulated target: the RUN and MEMORY access spaces of mipi_profile.h with one RV32 hart.
 * Operations run in fake_turn: all that were submitted by then are one batch. */
#ifndef PST_TESTS_DTS_FAKE_H
#define PST_TESTS_DTS_FAKE_H

#include <stdlib.h>

#include "postern/parts/gdb_server.h"

#define FAKE_RAM 0x80000000u
#define FAKE_RAM_LEN 0x20000u
#define FAKE_ROM 0x1000u
#define FAKE_ROM_LEN 0x1000u
#define FAKE_DEVICE 0x10000000u
#define FAKE_QUEUE 16

struct fake {
    struct pst_gdb_server g;
    uint8_t *memory;
    uint8_t ram[FAKE_RAM_LEN], rom[FAKE_ROM_LEN], device[16];
    uint8_t regs[132];
    uint8_t csr[4];
    struct pst_spp_op *queue[FAKE_QUEUE];
    size_t queued;
    unsigned batches, ops, device_reads;
    uint32_t last_device_len;
    bool blocked; /* a write of this batch has failed */

    uint8_t state;
    struct {
        bool set;
        uint8_t type;
        uint16_t kind;
        uint64_t address;
    } breaks[128];
    uint8_t gather[512];
    size_t gather_len;
    uint8_t resume[256];
    size_t resume_len;
    unsigned resumes, break_writes, break_records, gather_writes, interrupts, detaches;

    /* set by the test */
    pst_err deny_memory_write, deny_run, deny_break, deny_gather, deny_interrupt;
    uint64_t granted_last; /* 0: everything */
    bool closed;           /* every operation answers CLOSED */
    bool at_once;          /* completes inside submit */
    bool runs_at_first;
    bool stop_at_once; /* a resume is followed by a stop at once */
    uint8_t stop_reason, stop_signal;
    uint64_t stop_watch;
    uint32_t stop_pc;

    char notice[256];
    uint8_t from[1 << 17]; /* bytes for gdb */
    size_t from_len;
    char reply[1 << 16];
    size_t reply_len;
    char console[8192];
};

static const char fake_xml[] =
    "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>"
    "<architecture>riscv:rv32</architecture><xi:include href=\"cpu.xml\"/></target>";
static const char fake_cpu[] = "<feature name=\"org.gnu.gdb.riscv.cpu\">}#$*</feature>";

static inline uint8_t *fake_at(struct fake *f, uint64_t address, uint32_t len)
{
    uint64_t last = address + (len == 0 ? 0 : len - 1);
    if (address >= FAKE_RAM && last < FAKE_RAM + FAKE_RAM_LEN) {
        return f->ram + (address - FAKE_RAM);
    }
    if (address >= FAKE_ROM && last < FAKE_ROM + FAKE_ROM_LEN) {
        return f->rom + (address - FAKE_ROM);
    }
    if (address >= FAKE_DEVICE && last < FAKE_DEVICE + sizeof f->device) {
        return f->device + (address - FAKE_DEVICE);
    }
    return NULL;
}

static inline void fake_report(struct fake *f, struct pst_writer *w)
{
    pst_put_u8(w, f->state);
    pst_put_u8(w, f->stop_reason);
    pst_put_u8(w, f->stop_signal);
    pst_put_u8(w, 0);
    pst_put_u32(w, 1);
    pst_put_u64(w, f->stop_watch);
    bool halted = f->state == PST_RUN_HALTED;
    pst_put_u16(w, halted ? 1 : 0);
    pst_put_u16(w, halted ? sizeof f->regs : 0);
    if (!halted) {
        return;
    }
    pst_put_u32(w, 1);
    pst_put_bytes(w, f->regs, sizeof f->regs);
    struct pst_reader r = pst_reader_of(f->gather, f->gather_len);
    while (r.left > 0) {
        uint8_t base = pst_get_u8(&r);
        pst_skip(&r, 1);
        uint16_t offset = pst_get_u16(&r);
        uint32_t len = pst_get_u32(&r);
        uint64_t address = pst_get_u64(&r);
        CHECK(pst_reader_ok(&r));
        if (base == PST_GATHER_REGISTER) {
            address = (uint32_t)(address + pst_peek_u32(f->regs + offset));
        }
        while (len > 0 && fake_at(f, address, 1) == NULL) {
            address++;
            len--;
        }
        while (len > 0 && fake_at(f, address, len) == NULL) {
            len--;
        }
        if (len > 0 && address >= FAKE_RAM) {
            pst_put_u64(w, address);
            pst_put_u32(w, len);
            pst_put_bytes(w, fake_at(f, address, len), len);
        }
    }
}

/* Stops the target without a request. */
static inline void fake_stop(struct fake *f)
{
    static uint8_t bytes[65536];
    struct pst_writer w = pst_writer_of(bytes, sizeof bytes);
    f->state = PST_RUN_HALTED;
    if (f->stop_pc != 0) {
        pst_poke_u32(f->regs + 128, f->stop_pc);
    }
    fake_report(f, &w);
    pst_gdb_server_event(&f->g, (struct pst_bytes){bytes, w.used});
}

static inline pst_err fake_give(struct pst_spp_op *op, const void *from, size_t len, uint64_t skip)
{
    const uint8_t *bytes = from;
    op->moved = 0;
    if (skip < len) {
        len -= (size_t)skip;
        op->moved = (uint32_t)(len < op->len ? len : op->len);
        memcpy(op->data, bytes + skip, op->moved);
    }
    return PST_OK;
}

static inline pst_err fake_memory(struct fake *f, struct pst_spp_op *op)
{
    uint8_t *at = fake_at(f, op->address, op->len);
    if (f->granted_last != 0 && op->address + op->len - 1 > f->granted_last) {
        return PST_ERR_DENIED;
    }
    if (op->opcode == PST_SPP_WRITE && f->deny_memory_write != PST_OK) {
        return f->deny_memory_write;
    }
    if (at == NULL) {
        return PST_ERR_FAULT;
    }
    if (op->address >= FAKE_DEVICE && op->address < FAKE_RAM) {
        f->device_reads++;
        f->last_device_len = op->len;
    }
    if (op->opcode == PST_SPP_WRITE) {
        memcpy(at, op->data, op->len);
    } else {
        memcpy(op->data, at, op->len);
    }
    op->moved = op->len;
    return PST_OK;
}

static inline pst_err fake_break(struct fake *f, const struct pst_spp_op *op)
{
    struct pst_reader r = pst_reader_of(op->data, op->len);
    f->break_writes++;
    if (f->deny_break != PST_OK) {
        return f->deny_break;
    }
    while (r.left > 0) {
        uint8_t set = pst_get_u8(&r);
        uint8_t type = pst_get_u8(&r);
        uint16_t kind = pst_get_u16(&r);
        pst_skip(&r, 4);
        uint64_t address = pst_get_u64(&r);
        size_t at = 128;
        CHECK(pst_reader_ok(&r));
        f->break_records++;
        for (size_t i = 128; i > 0; i--) {
            bool same = f->breaks[i - 1].set && f->breaks[i - 1].type == type &&
                        f->breaks[i - 1].kind == kind && f->breaks[i - 1].address == address;
            CHECK(!(same && set == 1)); /* the server must not set one twice */
            if (set == 1 ? !f->breaks[i - 1].set : same) {
                at = i - 1;
            }
        }
        CHECK(at < 128);
        f->breaks[at].set = set == 1;
        f->breaks[at].type = type;
        f->breaks[at].kind = kind;
        f->breaks[at].address = address;
    }
    return PST_OK;
}

static inline pst_err fake_run(struct fake *f, struct pst_spp_op *op)
{
    static uint8_t bytes[65536];
    struct pst_writer w = pst_writer_of(bytes, sizeof bytes);
    bool write = op->opcode == PST_SPP_WRITE;
    if (!write && op->address == PST_RUN_STATUS) {
        fake_report(f, &w);
        return fake_give(op, bytes, w.used, 0);
    }
    if (!write && op->address == PST_RUN_ARCH) {
        return fake_give(op, "riscv:rv32", 10, 0);
    }
    if (!write && op->address >= PST_RUN_MEMORY_MAP) {
        pst_put_u64(&w, FAKE_ROM);
        pst_put_u64(&w, FAKE_ROM + FAKE_ROM_LEN - 1);
        pst_put_u64(&w, PST_REGION_ROM);
        pst_put_u64(&w, FAKE_RAM);
        pst_put_u64(&w, FAKE_RAM + FAKE_RAM_LEN - 1);
        pst_put_u64(&w, PST_REGION_RAM);
        return fake_give(op, bytes, w.used, op->address - PST_RUN_MEMORY_MAP);
    }
    if (!write && op->address >= PST_RUN_DESCRIPTION) {
        pst_put_u8(&w, 10);
        pst_put_bytes(&w, "target.xml", 10);
        pst_put_u32(&w, sizeof fake_xml - 1);
        pst_put_bytes(&w, fake_xml, sizeof fake_xml - 1);
        pst_put_u8(&w, 7);
        pst_put_bytes(&w, "cpu.xml", 7);
        pst_put_u32(&w, sizeof fake_cpu - 1);
        pst_put_bytes(&w, fake_cpu, sizeof fake_cpu - 1);
        return fake_give(op, bytes, w.used, op->address - PST_RUN_DESCRIPTION);
    }
    if (f->deny_run != PST_OK) {
        return f->deny_run;
    }
    if (op->address == PST_RUN_REGISTERS + 0x10000) {
        if (!write) {
            return fake_give(op, f->regs, sizeof f->regs, 0);
        }
        if (op->len != sizeof f->regs) {
            return PST_ERR_ARGUMENT;
        }
        memcpy(f->regs, op->data, sizeof f->regs);
        return PST_OK;
    }
    if (op->address >= PST_RUN_REGISTER && op->address < PST_RUN_DESCRIPTION) {
        uint64_t number = (op->address & 0xffff) >> 4;
        if (number >= 33 && number != 0x342) {
            return PST_ERR_FAULT;
        }
        uint8_t *at = number == 0x342 ? f->csr : f->regs + number * 4;
        if (!write) {
            return fake_give(op, at, 4, 0);
        }
        if (op->len != 4) {
            return PST_ERR_ARGUMENT;
        }
        memcpy(at, op->data, 4);
        return PST_OK;
    }
    if (!write) {
        return PST_ERR_ARGUMENT;
    }
    switch (op->address) {
    case PST_RUN_BREAK:
        return fake_break(f, op);
    case PST_RUN_GATHER:
        f->gather_writes++;
        if (f->deny_gather != PST_OK) {
            return f->deny_gather;
        }
        CHECK(op->len <= 16 * 16);
        memcpy(f->gather, op->data, op->len);
        f->gather_len = op->len;
        return PST_OK;
    case PST_RUN_RESUME:
        CHECK(op->len <= sizeof f->resume && op->len % 24 == 0);
        memcpy(f->resume, op->data, op->len);
        f->resume_len = op->len;
        f->resumes++;
        f->state = PST_RUN_RUNNING;
        return PST_OK;
    case PST_RUN_INTERRUPT:
        f->interrupts++;
        if (f->deny_interrupt != PST_OK) {
            return f->deny_interrupt;
        }
        return PST_OK;
    case PST_RUN_DETACH:
        f->detaches++;
        f->state = PST_RUN_RUNNING;
        return PST_OK;
    default:
        return PST_ERR_ARGUMENT;
    }
}

static inline void fake_perform(struct fake *f, struct pst_spp_op *op)
{
    unsigned resumes = f->resumes, interrupts = f->interrupts;
    bool write = op->opcode == PST_SPP_WRITE;
    f->ops++;
    op->moved = 0;
    if (f->closed) {
        op->result = PST_ERR_CLOSED;
    } else if (write && f->blocked) {
        op->result = PST_ERR_STATE;
    } else {
        op->result = op->space == PST_AS_MEMORY ? fake_memory(f, op) : fake_run(f, op);
    }
    if (write && op->result != PST_OK) {
        f->blocked = true;
    }
    bool stops =
        op->result == PST_OK && ((f->resumes > resumes && f->stop_at_once) ||
                                 (f->interrupts > interrupts && f->state == PST_RUN_RUNNING));
    if (f->interrupts > interrupts && f->state == PST_RUN_RUNNING && f->stop_signal == 0) {
        f->stop_signal = 2;
    }
    op->done(op->ctx, op);
    if (stops) {
        fake_stop(f);
    }
}

static inline void fake_submit(void *ctx, struct pst_spp_op *op)
{
    struct fake *f = ctx;
    CHECK(op->result == PST_PENDING);
    if (f->at_once) {
        f->blocked = false;
        fake_perform(f, op);
        return;
    }
    CHECK(f->queued < FAKE_QUEUE);
    f->queue[f->queued++] = op;
}

/* Runs one round trip; returns false if nothing was waiting. */
static inline bool fake_turn(struct fake *f)
{
    size_t n = f->queued;
    struct pst_spp_op *batch[FAKE_QUEUE];
    if (n == 0) {
        return false;
    }
    memcpy(batch, f->queue, sizeof batch);
    f->queued = 0;
    f->batches++;
    f->blocked = false;
    for (size_t i = 0; i < n; i++) {
        fake_perform(f, batch[i]);
    }
    return true;
}

static inline void fake_notice(void *ctx, const char *text)
{
    struct fake *f = ctx;
    snprintf(f->notice, sizeof f->notice, "%s", text);
}

static inline void fake_monitor(void *ctx, const char *what, struct pst_writer *text)
{
    (void)ctx;
    pst_put_bytes(text, what, strlen(what));
    pst_put_bytes(text, ": ada debugs Acme:Pump:0042\n", 28);
}

static inline void fake_init(struct fake *f, bool notices)
{
    memset(f, 0, sizeof *f);
    f->state = PST_RUN_HALTED;
    f->stop_signal = 5;
    for (size_t i = 0; i < FAKE_RAM_LEN; i++) {
        f->ram[i] = (uint8_t)(i * 7 + (i >> 8));
    }
    for (size_t i = 0; i < 33; i++) {
        pst_poke_u32(f->regs + 4 * i, (uint32_t)(0x11110000 + i));
    }
    pst_poke_u32(f->regs + 4, FAKE_RAM + 0x200);    /* ra */
    pst_poke_u32(f->regs + 8, FAKE_RAM + 0x10010);  /* sp */
    pst_poke_u32(f->regs + 32, FAKE_RAM + 0x10080); /* fp */
    pst_poke_u32(f->regs + 128, FAKE_RAM + 0x100);  /* pc */
    const struct pst_gdb_server_config config = {
        .backend = {.ctx = f,
                    .submit = fake_submit,
                    .monitor = fake_monitor,
                    .notice = notices ? fake_notice : NULL},
        .memory_len = PST_GDB_MEMORY(16384, 65536) + 65536,
        .packet_size = 16384,
        .description_size = 65536,
        .bare_metal = true,
    };
    struct pst_gdb_server_config c = config;
    c.memory = f->memory = malloc(c.memory_len);
    CHECK(c.memory != NULL);
    CHECK_EQ(pst_gdb_server_init(&f->g, &c), PST_OK);
}

static inline void fake_collect(struct fake *f)
{
    struct pst_bytes out = pst_gdb_server_pending(&f->g);
    CHECK(f->from_len + out.len <= sizeof f->from);
    if (out.len > 0) {
        memcpy(f->from + f->from_len, out.at, out.len);
    }
    f->from_len += out.len;
    pst_gdb_server_sent(&f->g, out.len);
}

/* Sends bytes to the server and runs the target until nothing is left to do. */
static inline void fake_feed(struct fake *f, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    do {
        size_t n = pst_gdb_server_receive(&f->g, at, len);
        CHECK(n <= len);
        at += n;
        len -= n;
        fake_collect(f);
        if (n == 0 && !fake_turn(f)) {
            break;
        }
    } while (len > 0);
    while (fake_turn(f)) {
        fake_collect(f);
    }
    fake_collect(f);
}

/* Decodes the output for gdb: the last packet that is not console output, and the console text. */
static inline unsigned fake_parse(struct fake *f)
{
    uint8_t buffer[65536];
    struct pst_rsp_reader r;
    unsigned packets = 0;
    size_t at = 0;
    f->reply_len = 0;
    f->reply[0] = '\0';
    f->console[0] = '\0';
    pst_rsp_reader_init(&r, buffer, sizeof buffer, true);
    while (at < f->from_len) {
        enum pst_rsp_item item;
        at += pst_rsp_read(&r, f->from + at, f->from_len - at, &item);
        CHECK(item != PST_RSP_BAD);
        if (item != PST_RSP_PACKET) {
            continue;
        }
        if (r.len > 1 && buffer[0] == 'O' && buffer[1] != 'K') {
            struct pst_reader hex = pst_reader_of(buffer + 1, r.len - 1);
            size_t have = strlen(f->console);
            size_t n =
                pst_rsp_get_hex(&hex, (uint8_t *)f->console + have, sizeof f->console - have - 1);
            CHECK_EQ(pst_finish(&hex), PST_OK);
            f->console[have + n] = '\0';
            continue;
        }
        packets++;
        memcpy(f->reply, buffer, r.len + 1);
        f->reply_len = r.len;
    }
    f->from_len = 0;
    return packets;
}

static inline void fake_send(struct fake *f, const void *payload, size_t len)
{
    static uint8_t bytes[40000];
    struct pst_writer w = pst_writer_of(bytes, sizeof bytes);
    struct pst_rsp_writer p = pst_rsp_begin(&w);
    pst_rsp_put_binary(&p, payload, len);
    pst_rsp_end(&p);
    CHECK(!w.failed);
    fake_feed(f, bytes, w.used);
}

/* Returns the reply to one packet. There must be exactly one. */
static inline const char *fake_ask(struct fake *f, const char *packet)
{
    fake_send(f, packet, strlen(packet));
    CHECK_EQ(fake_parse(f), 1);
    return f->reply;
}

static inline void fake_attach(struct fake *f)
{
    pst_gdb_server_start(&f->g);
    while (fake_turn(f)) {
    }
    fake_ask(f, "qSupported:swbreak+;hwbreak+;vContSupported+");
    CHECK(strcmp(fake_ask(f, "QStartNoAckMode"), "OK") == 0);
}

static inline void fake_free(struct fake *f)
{
    free(f->memory);
    free(f);
}

#endif
