/* Operations on the target, and what goes on when they are done. */
#include "gdb/gdb.h"

#include <string.h>

/* Runs continuations until one of them waits for the target. An operation may complete while it is
 * being submitted, so this must not nest. */
static void turn(struct pst_gdb_server *g)
{
    if (g->turning) {
        return;
    }
    g->turning = true;
    while (g->outstanding == 0 && g->then != NULL) {
        psti_gdb_then then = g->then;
        g->then = NULL;
        then(g);
    }
    g->turning = false;
}

static void op_done(void *ctx, struct pst_spp_op *op)
{
    struct pst_gdb_server *g = ctx;
    (void)op;
    g->outstanding--;
    turn(g);
}

static void submit(struct pst_gdb_server *g, struct pst_spp_op *op, pst_spp_opcode opcode,
                   uint8_t space, uint64_t address, uint8_t *data, size_t len)
{
    *op = (struct pst_spp_op){
        .opcode = opcode,
        .space = space,
        .address = address,
        .data = data,
        .len = (uint32_t)len,
        .result = PST_PENDING,
        .urgent = op == &g->interrupt,
        .done = op->done,
        .ctx = g,
    };
    g->config.backend.submit(g->config.backend.ctx, op);
}

void psti_gdb_ops_begin(struct pst_gdb_server *g)
{
    g->op_count = 0;
    g->outstanding = 1; /* held until ops_end */
}

size_t psti_gdb_ops_add(struct pst_gdb_server *g, pst_spp_opcode opcode, uint8_t space,
                        uint64_t address, uint8_t *data, size_t len)
{
    size_t at = g->op_count++;
    g->ops[at].done = op_done;
    g->outstanding++;
    submit(g, &g->ops[at], opcode, space, address, data, len);
    return at;
}

void psti_gdb_ops_end(struct pst_gdb_server *g, psti_gdb_then then)
{
    g->counters.round_trips++;
    g->then = then;
    g->outstanding--;
    turn(g);
}

static void interrupt_done(void *ctx, struct pst_spp_op *op)
{
    struct pst_gdb_server *g = ctx;
    g->interrupting = false;
    if (op->result != PST_OK) { /* otherwise a stop report comes */
        g->not_halted(g);
    }
}

void psti_gdb_interrupt(struct pst_gdb_server *g, psti_gdb_then not_halted)
{
    if (g->interrupting) {
        return;
    }
    g->interrupting = true;
    g->interrupt_wanted = false;
    g->not_halted = not_halted;
    memset(g->interrupt_data, 0, sizeof g->interrupt_data); /* hart 0: every one */
    g->interrupt.done = interrupt_done;
    submit(g, &g->interrupt, PST_SPP_WRITE, PST_AS_RUN, PST_RUN_INTERRUPT, g->interrupt_data,
           sizeof g->interrupt_data);
}

static void ahead_done(void *ctx, struct pst_spp_op *op)
{
    struct pst_gdb_server *g = ctx;
    g->ahead_pending = false;
    if (op->result != PST_OK) {
        g->ahead_failures++;
    } else if (g->ahead_epoch == g->cache.epoch && op->moved <= op->len) {
        pst_cache_fill(&g->cache, op->address, op->data, op->moved);
    }
    if (g->ahead_awaited) {
        g->ahead_awaited = false;
        g->outstanding--;
        turn(g);
    }
}

void psti_gdb_ahead(struct pst_gdb_server *g, uint64_t address, uint32_t len)
{
    g->ahead_pending = true;
    g->ahead_address = address;
    g->ahead_epoch = g->cache.epoch;
    g->ahead.done = ahead_done;
    g->counters.ahead++;
    submit(g, &g->ahead, PST_SPP_READ, PST_AS_MEMORY, address, g->ahead_data, len);
}

void psti_gdb_ahead_await(struct pst_gdb_server *g, psti_gdb_then then)
{
    psti_gdb_ops_begin(g);
    g->outstanding++;
    g->ahead_awaited = true;
    psti_gdb_ops_end(g, then);
}
