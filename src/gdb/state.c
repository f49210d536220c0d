/* What is known of the halted target: its harts, their registers, and why it stopped. */
#include "gdb/gdb.h"

#include <string.h>

/* --- registers --- */

/* The slot of a hart's g block; PST_GDB_SLOTS: it is not known. */
static size_t slot_of(const struct pst_gdb_server *g, uint32_t hart)
{
    size_t i = 0;
    while (i < PST_GDB_SLOTS && (g->slots[i].len == 0 || g->slots[i].hart != hart)) {
        i++;
    }
    return i;
}

const uint8_t *psti_gdb_regs_of(const struct pst_gdb_server *g, uint32_t hart, size_t *len)
{
    size_t i = slot_of(g, hart);
    *len = i < PST_GDB_SLOTS ? g->slots[i].len : 0;
    return i < PST_GDB_SLOTS ? g->slots[i].bytes : NULL;
}

void psti_gdb_regs_keep(struct pst_gdb_server *g, uint32_t hart, struct pst_bytes regs)
{
    size_t at = slot_of(g, hart);
    if (regs.len == 0 || regs.len > PST_GDB_REGS) {
        return;
    }
    if (at == PST_GDB_SLOTS) {
        at = g->next_slot;
        g->next_slot = (uint8_t)((g->next_slot + 1) % PST_GDB_SLOTS);
    }
    g->regs_len = (uint16_t)regs.len;
    g->slots[at].hart = hart;
    g->slots[at].len = (uint16_t)regs.len;
    memcpy(g->slots[at].bytes, regs.at, regs.len);
}

size_t psti_gdb_uniform(const struct pst_gdb_server *g, size_t regs_len, size_t *word)
{
    if (g->arch == NULL || regs_len < g->arch->g_len) {
        return 0;
    }
    *word = g->arch->word;
    size_t n = g->arch->g_len / *word;
    return n < 256 ? n : 256;
}

const uint8_t *psti_gdb_block_reg(const struct pst_gdb_server *g, uint32_t hart, uint32_t number,
                                  size_t *len)
{
    size_t block = 0;
    const uint8_t *regs = psti_gdb_regs_of(g, hart, &block);
    *len = 0;
    return regs != NULL && number < psti_gdb_uniform(g, block, len) ? regs + number * *len : NULL;
}

const uint8_t *psti_gdb_reg_of(const struct pst_gdb_server *g, uint32_t hart, uint32_t number,
                               size_t *len)
{
    const uint8_t *reg = psti_gdb_block_reg(g, hart, number, len);
    for (size_t i = 0; reg == NULL && i < PST_GDB_SINGLES; i++) {
        if (g->singles[i].len != 0 && g->singles[i].hart == hart &&
            g->singles[i].number == number) {
            *len = g->singles[i].len;
            reg = g->singles[i].bytes;
        }
    }
    return reg;
}

void psti_gdb_reg_keep(struct pst_gdb_server *g, uint32_t hart, uint32_t number,
                       struct pst_bytes reg)
{
    size_t at = g->next_single;
    if (reg.len == 0 || reg.len > sizeof g->singles[at].bytes) {
        return;
    }
    g->next_single = (uint8_t)((at + 1) % PST_GDB_SINGLES);
    g->singles[at].hart = hart;
    g->singles[at].number = number;
    g->singles[at].len = (uint8_t)reg.len;
    memcpy(g->singles[at].bytes, reg.at, reg.len);
}

bool psti_gdb_reg_patch(struct pst_gdb_server *g, uint32_t hart, uint32_t number,
                        struct pst_bytes reg)
{
    size_t i = slot_of(g, hart), word = 0;
    if (i == PST_GDB_SLOTS || number >= psti_gdb_uniform(g, g->slots[i].len, &word) ||
        reg.len != word) {
        return false;
    }
    memcpy(g->slots[i].bytes + number * word, reg.at, word);
    return true;
}

void psti_gdb_singles_forget(struct pst_gdb_server *g)
{
    for (size_t i = 0; i < PST_GDB_SINGLES; i++) {
        g->singles[i].len = 0;
    }
}

void psti_gdb_regs_forget(struct pst_gdb_server *g)
{
    for (size_t i = 0; i < PST_GDB_SLOTS; i++) {
        g->slots[i].len = 0;
    }
    psti_gdb_singles_forget(g);
}

/* --- harts --- */

bool psti_gdb_has_hart(const struct pst_gdb_server *g, uint64_t hart)
{
    for (size_t i = 0; i < g->hart_count; i++) {
        if (g->harts[i] == hart) {
            return true;
        }
    }
    return false;
}

static void take_harts(struct pst_gdb_server *g, struct pst_reader *list)
{
    g->hart_count = 0;
    while (list->left >= 4) {
        uint32_t hart = pst_get_u32(list);
        if (hart != 0 && g->hart_count < PST_GDB_HARTS) {
            g->harts[g->hart_count++] = hart;
        }
    }
    if (g->hart == 0) {
        g->hart = g->hart_count > 0 ? g->harts[0] : 1;
    }
    if (!psti_gdb_has_hart(g, g->hart)) {
        g->hart_count = g->hart_count < PST_GDB_HARTS ? g->hart_count : PST_GDB_HARTS - 1;
        g->harts[g->hart_count++] = g->hart;
    }
}

/* --- stop reports --- */

static uint8_t safe_signal(uint8_t signal)
{
    return signal == 0 ? 5 : signal; /* a stop without a reason: SIGTRAP */
}

static pst_err take_gathered(struct pst_gdb_server *g, struct pst_reader *r)
{
    while (r->left > 0) {
        uint64_t address = pst_get_u64(r);
        uint32_t len = pst_get_u32(r);
        struct pst_bytes data = pst_get_block(r, len);
        if (!pst_reader_ok(r)) {
            return PST_ERR_DECODE;
        }
        pst_cache_fill(&g->cache, address, data.at, data.len);
        g->counters.gathered += data.len;
    }
    return PST_OK;
}

pst_err psti_gdb_take_report(struct pst_gdb_server *g, struct pst_bytes report, uint8_t *state)
{
    struct pst_reader r = pst_reader_of(report.at, report.len);
    *state = pst_get_u8(&r);
    uint8_t reason = pst_get_u8(&r);
    uint8_t signal = pst_get_u8(&r);
    pst_skip(&r, 1);
    uint32_t hart = pst_get_u32(&r);
    uint64_t watch = pst_get_u64(&r);
    uint16_t harts = pst_get_u16(&r);
    uint16_t regs_len = pst_get_u16(&r);
    struct pst_bytes list = pst_get_block(&r, (size_t)harts * 4);
    struct pst_bytes regs = pst_get_block(&r, regs_len);
    if (!pst_reader_ok(&r) || *state > PST_RUN_LOST || reason > PST_STOP_EXITED) {
        return PST_ERR_DECODE;
    }
    struct pst_reader harts_in = pst_reader_of(list.at, list.len);
    if (*state != PST_RUN_HALTED) {
        if (g->hart == 0) { /* at attach: of running harts only their numbers are known */
            take_harts(g, &harts_in);
        }
        return PST_OK;
    }
    /* All that is kept belongs to the last stop, also if nobody asked for this one. */
    psti_gdb_regs_forget(g);
    pst_cache_resume(&g->cache);
    g->reason = reason;
    g->signal = reason == PST_STOP_EXITED ? signal : safe_signal(signal);
    g->hart = hart;
    g->watch = watch;
    take_harts(g, &harts_in);
    g->hart_g = g->hart_c = 0;
    psti_gdb_regs_keep(g, g->hart, regs);
    pst_gather_stop(&g->gather);
    return take_gathered(g, &r);
}
