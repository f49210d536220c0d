/* Breakpoints. gdb sets and removes them around every stop: they are acknowledged here, and only
 * what differs from the target is sent, with the next resume. */
#include "gdb/gdb.h"

#include <string.h>

#define TYPES 5 /* Z0 … Z4 */

static struct pst_gdb_break *find(struct pst_gdb_server *g, const struct pst_gdb_break *b)
{
    for (size_t i = 0; i < PST_GDB_BREAKS; i++) {
        struct pst_gdb_break *at = &g->breaks[i];
        if (at->used && at->type == b->type && at->kind == b->kind && at->address == b->address) {
            return at;
        }
    }
    return NULL;
}

/* A free entry, or one that is kept only because it worked before. */
static struct pst_gdb_break *make(struct pst_gdb_server *g, const struct pst_gdb_break *b)
{
    struct pst_gdb_break *spare = NULL;
    for (size_t i = 0; i < PST_GDB_BREAKS; i++) {
        struct pst_gdb_break *at = &g->breaks[i];
        if (!at->used) {
            spare = at;
            break;
        }
        if (!at->wanted && !at->placed) {
            spare = at;
        }
    }
    if (spare != NULL) {
        *spare = (struct pst_gdb_break){
            .address = b->address, .kind = b->kind, .type = b->type, .used = true};
    }
    return spare;
}

static void put(struct pst_writer *w, const struct pst_gdb_break *b, bool set)
{
    pst_put_u8(w, set ? 1 : 0);
    pst_put_u8(w, b->type);
    pst_put_u16(w, b->kind);
    pst_put_u32(w, 0);
    pst_put_u64(w, b->address);
}

size_t psti_gdb_break_list(struct pst_gdb_server *g, bool all)
{
    struct pst_writer w = pst_writer_of(g->break_bytes, sizeof g->break_bytes);
    /* Removals first: a CPU has few hardware breakpoints. */
    for (int set = 0; set <= (all ? 0 : 1); set++) {
        for (size_t i = 0; i < PST_GDB_BREAKS; i++) {
            struct pst_gdb_break *b = &g->breaks[i];
            bool wanted = b->wanted && !all;
            if (b->used && wanted != b->placed && wanted == (set == 1)) {
                put(&w, b, set == 1);
            }
        }
    }
    return w.used;
}

void psti_gdb_break_done(struct pst_gdb_server *g, bool accepted)
{
    for (size_t i = 0; i < PST_GDB_BREAKS; i++) {
        struct pst_gdb_break *b = &g->breaks[i];
        if (!b->used || b->wanted == b->placed) {
            continue;
        }
        if (accepted) {
            b->placed = b->wanted;
            b->known = true;
            g->types_known |= (uint8_t)(1u << b->type);
        } else {
            b->known = false; /* which one failed is not known: each is asked for again */
        }
    }
}

/* Code breakpoints need not have worked before: every stub has them. */
static bool may_defer(const struct pst_gdb_server *g, const struct pst_gdb_break *b)
{
    size_t len = b->type >= 2 && b->kind > 0 ? b->kind : 1;
    bool type_known = b->type < 2 || (g->types_known & 1u << b->type) != 0;
    return b->known || (type_known && pst_cache_region(&g->cache, b->address, len) != NULL);
}

static bool get_break(struct pst_gdb_server *g, struct pst_reader *r)
{
    uint64_t type = pst_rsp_get_number(r);
    pst_require(r, pst_rsp_take_char(r, ','));
    uint64_t address = pst_rsp_get_number(r);
    pst_require(r, pst_rsp_take_char(r, ','));
    uint64_t kind = pst_rsp_get_number(r);
    if (!pst_reader_ok(r) || type >= TYPES || kind > UINT16_MAX) {
        return false;
    }
    /* Conditions and commands, which could follow, were not offered to gdb. */
    g->probe = (struct pst_gdb_break){
        .address = address, .kind = (uint16_t)kind, .type = (uint8_t)type, .used = true};
    return r->left == 0;
}

static void insert_done(struct pst_gdb_server *g)
{
    const struct pst_spp_op *op = &g->ops[0];
    if (op->result == PST_OK) {
        struct pst_gdb_break *b = find(g, &g->probe);
        b = b != NULL ? b : make(g, &g->probe);
        if (b != NULL) {
            b->wanted = b->placed = b->known = true;
            g->types_known |= (uint8_t)(1u << b->type);
        }
        psti_gdb_reply_text(g, "OK");
    } else if (op->result == PST_ERR_UNSUPPORTED || op->result == PST_ERR_ARGUMENT) {
        psti_gdb_reply_text(g, ""); /* gdb does it in software, or prints that it cannot */
    } else {
        psti_gdb_reply_fault(g, g->probe.type < 2 ? "set a breakpoint" : "set a watchpoint",
                             g->probe.address, g->probe.kind, op->result);
    }
}

void psti_gdb_on_insert(struct pst_gdb_server *g, struct pst_reader *r)
{
    if (!get_break(g, r)) {
        psti_gdb_reply_text(g, ""); /* an unknown type or option */
        return;
    }
    struct pst_gdb_break *b = find(g, &g->probe);
    b = b != NULL ? b : make(g, &g->probe);
    if (b == NULL) {
        psti_gdb_reply_fault(g, "set one more breakpoint", g->probe.address, g->probe.kind,
                             PST_ERR_LIMIT);
        return;
    }
    if (g->probe.type >= 2) {
        const struct pst_region *region =
            pst_cache_region(&g->cache, b->address, b->kind > 0 ? b->kind : 1);
        size_t len = 0;
        const uint8_t *regs = psti_gdb_regs_of(g, g->hart, &len);
        if (region != NULL) { /* gdb reads it at each stop */
            pst_gather_note(&g->gather, region, b->address, b->kind, regs, len);
        }
    }
    if (b->placed || may_defer(g, b)) {
        b->wanted = true;
        psti_gdb_reply_text(g, "OK");
        return;
    }
    struct pst_writer w = pst_writer_of(g->break_bytes, sizeof g->break_bytes);
    put(&w, &g->probe, true);
    psti_gdb_ops_begin(g);
    psti_gdb_ops_add(g, PST_SPP_WRITE, PST_AS_RUN, PST_RUN_BREAK, g->break_bytes, w.used);
    psti_gdb_ops_end(g, insert_done);
}

void psti_gdb_on_remove(struct pst_gdb_server *g, struct pst_reader *r)
{
    if (!get_break(g, r)) {
        psti_gdb_reply_text(g, "");
        return;
    }
    struct pst_gdb_break *b = find(g, &g->probe);
    if (b != NULL) {
        b->wanted = false;
    }
    psti_gdb_reply_text(g, "OK");
}
