#include "gdb/gdb.h"

#include <string.h>

#define LARGEST_HART 0xFFu    /* beyond, PST_RUN_REGISTERS + hart << 16 runs into the next block */
#define LARGEST_NUMBER 0xFFFu /* PST_RUN_REGISTER keeps 12 bits for it */

static uint32_t chosen_hart(const struct pst_gdb_server *g)
{
    return g->hart_g != 0 ? g->hart_g : g->hart;
}

/* --- g, G --- */

static void reply_regs(struct pst_gdb_server *g, const uint8_t *regs, size_t len)
{
    struct psti_gdb_reply r;
    psti_gdb_reply_begin(g, &r);
    pst_rsp_put_hex(&r.p, regs, len);
    psti_gdb_reply_end(g, &r);
}

/* The hart runs and may not be halted: gdb shows its registers as unavailable. */
static void reply_unavailable(struct pst_gdb_server *g, size_t len)
{
    struct psti_gdb_reply r;
    psti_gdb_reply_begin(g, &r);
    for (size_t i = 0; i < len; i++) {
        pst_rsp_put_text(&r.p, "xx");
    }
    psti_gdb_reply_end(g, &r);
}

static void regs_done(struct pst_gdb_server *g)
{
    const struct pst_spp_op *op = &g->ops[0];
    if (op->result != PST_OK || op->moved == 0 || op->moved > PST_GDB_REGS ||
        op->moved > g->config.packet_size / 2) {
        psti_gdb_reply_error(g, "cannot read registers",
                             op->result != PST_OK ? op->result : PST_ERR_FAULT);
        return;
    }
    psti_gdb_regs_keep(g, g->reg_hart, (struct pst_bytes){g->work, op->moved});
    reply_regs(g, g->work, op->moved);
}

void psti_gdb_on_regs(struct pst_gdb_server *g, struct pst_reader *r)
{
    size_t len = 0;
    (void)r;
    g->reg_hart = chosen_hart(g);
    const uint8_t *regs = psti_gdb_regs_of(g, g->reg_hart, &len);
    if (regs != NULL && g->state == PST_GDB_HALTED) {
        reply_regs(g, regs, len);
        return;
    }
    if (g->state != PST_GDB_HALTED) {
        reply_unavailable(g, g->arch != NULL ? g->arch->g_len : 4);
        return;
    }
    if (g->reg_hart > LARGEST_HART) {
        psti_gdb_reply_error(g, "cannot read registers of this hart", PST_ERR_FAULT);
        return;
    }
    size_t cap =
        g->config.packet_size / 2 < PST_GDB_REGS ? g->config.packet_size / 2 : PST_GDB_REGS;
    psti_gdb_ops_begin(g);
    psti_gdb_ops_add(g, PST_SPP_READ, PST_AS_RUN, PST_RUN_REGISTERS + ((uint64_t)g->reg_hart << 16),
                     g->work, cap);
    psti_gdb_ops_end(g, regs_done);
}

static void set_regs_done(struct pst_gdb_server *g)
{
    const struct pst_spp_op *op = &g->ops[0];
    if (op->result != PST_OK) {
        psti_gdb_regs_forget(g);
        psti_gdb_reply_error(g, "cannot write registers", op->result);
        return;
    }
    psti_gdb_singles_forget(g);
    psti_gdb_regs_keep(g, g->reg_hart, (struct pst_bytes){g->work, op->len});
    psti_gdb_reply_text(g, "OK");
}

void psti_gdb_on_set_regs(struct pst_gdb_server *g, struct pst_reader *r)
{
    g->reg_hart = chosen_hart(g);
    size_t len = pst_rsp_get_hex(r, g->work, g->config.packet_size);
    /* A stub may take part of a block of a wrong length, so only the known length is sent. */
    if (pst_finish(r) != PST_OK || len == 0 || len > PST_GDB_REGS ||
        (g->regs_len != 0 && len != g->regs_len) || g->reg_hart > LARGEST_HART) {
        psti_gdb_reply_error(g, "cannot write registers: wrong length", PST_OK);
        return;
    }
    psti_gdb_ops_begin(g);
    psti_gdb_ops_add(g, PST_SPP_WRITE, PST_AS_RUN,
                     PST_RUN_REGISTERS + ((uint64_t)g->reg_hart << 16), g->work, len);
    psti_gdb_ops_end(g, set_regs_done);
}

/* --- p, P --- */

static uint64_t register_address(const struct pst_gdb_server *g)
{
    return PST_RUN_REGISTER + ((uint64_t)g->reg_hart << 16) + ((uint64_t)g->reg_number << 4);
}

static bool get_number(struct pst_gdb_server *g, struct pst_reader *r)
{
    uint64_t number = pst_rsp_get_number(r);
    g->reg_hart = chosen_hart(g);
    if (!pst_reader_ok(r) || number > LARGEST_NUMBER || g->reg_hart > LARGEST_HART) {
        return false;
    }
    g->reg_number = (uint32_t)number;
    return true;
}

static bool reply_known(struct pst_gdb_server *g)
{
    size_t len = 0;
    const uint8_t *reg = psti_gdb_reg_of(g, g->reg_hart, g->reg_number, &len);
    if (reg != NULL) {
        reply_regs(g, reg, len);
    }
    return reg != NULL;
}

static void reg_done(struct pst_gdb_server *g)
{
    const struct pst_spp_op *op = &g->ops[0];
    if (op->result != PST_OK || op->moved == 0 || op->moved > sizeof g->singles[0].bytes) {
        /* Without a text, as from a stub: gdb asks for many registers that a hart does not have. */
        if (op->result == PST_ERR_DENIED) {
            psti_gdb_reply_error(g, "cannot read the register", op->result);
        } else {
            g->counters.errors++;
            psti_gdb_reply_text(g, "E0e");
        }
        return;
    }
    psti_gdb_reg_keep(g, g->reg_hart, g->reg_number, (struct pst_bytes){g->work, op->moved});
    reply_regs(g, g->work, op->moved);
}

void psti_gdb_on_reg(struct pst_gdb_server *g, struct pst_reader *r)
{
    if (!get_number(g, r) || pst_finish(r) != PST_OK) {
        psti_gdb_reply_text(g, "E0e");
        return;
    }
    if (g->state != PST_GDB_HALTED) {
        reply_unavailable(g, g->arch != NULL ? g->arch->word : 4);
        return;
    }
    if (reply_known(g)) {
        return;
    }
    psti_gdb_ops_begin(g);
    psti_gdb_ops_add(g, PST_SPP_READ, PST_AS_RUN, register_address(g), g->work, 16);
    psti_gdb_ops_end(g, reg_done);
}

static void set_reg_done(struct pst_gdb_server *g)
{
    const struct pst_spp_op *op = &g->ops[0];
    psti_gdb_singles_forget(g);
    if (op->result != PST_OK) {
        psti_gdb_regs_forget(g);
        psti_gdb_reply_error(g, "cannot write the register", op->result);
        return;
    }
    if (!psti_gdb_reg_patch(g, g->reg_hart, g->reg_number, (struct pst_bytes){g->work, op->len})) {
        /* A control register may change other registers, and what memory looks like. */
        psti_gdb_regs_forget(g);
        pst_cache_resume(&g->cache);
    }
    psti_gdb_reply_text(g, "OK");
}

void psti_gdb_on_set_reg(struct pst_gdb_server *g, struct pst_reader *r)
{
    size_t len = 0;
    bool ok = get_number(g, r) && pst_rsp_take_char(r, '=');
    if (ok) {
        len = pst_rsp_get_hex(r, g->work, 16);
    }
    size_t word = 0;
    const uint8_t *known = ok ? psti_gdb_block_reg(g, g->reg_hart, g->reg_number, &word) : NULL;
    bool fits = known == NULL || len == word;
    if (!ok || pst_finish(r) != PST_OK || len == 0 || !fits) {
        psti_gdb_reply_error(g, "cannot write the register: malformed", PST_OK);
        return;
    }
    /* After it called a function, gdb writes back every register, most of them unchanged. */
    if (known != NULL && memcmp(known, g->work, word) == 0) {
        psti_gdb_reply_text(g, "OK");
        return;
    }
    psti_gdb_ops_begin(g);
    psti_gdb_ops_add(g, PST_SPP_WRITE, PST_AS_RUN, register_address(g), g->work, len);
    psti_gdb_ops_end(g, set_reg_done);
}
