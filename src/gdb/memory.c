#include "gdb/gdb.h"

#include <string.h>

#define SMALL 256u       /* longer reads are dumps */
#define AHEAD_SMALL 768u /* bytes that are read beyond a small read */
#define SEQUENTIAL 512u
#define AHEAD_FAILURES 3u

/* --- m --- */

static void reply_memory(struct pst_gdb_server *g, const uint8_t *data, size_t len)
{
    struct psti_gdb_reply r;
    psti_gdb_reply_begin(g, &r);
    pst_rsp_put_hex(&r.p, data, len);
    psti_gdb_reply_end(g, &r);
}

/* Reads the whole blocks around what gdb asked for, and a little more after a small read, since
 * `bt` goes up the stack line by line. Never beyond the region, where reads may have effects. */
static void choose_fetch(struct pst_gdb_server *g, const struct pst_region *region)
{
    uint64_t mask = PST_CACHE_BLOCK - 1;
    uint64_t first = g->mem_address & ~mask;
    uint64_t last = (g->mem_address + (g->mem_len - 1)) | mask;
    g->fetch_address = g->mem_address;
    g->fetch_len = g->mem_len;
    if (g->ahead_failures >= AHEAD_FAILURES) {
        return; /* the grants end inside the region: read what gdb asked for, no more */
    }
    if (g->mem_len <= SMALL && last <= UINT64_MAX - AHEAD_SMALL) {
        last += AHEAD_SMALL;
    }
    first = first < region->first ? region->first : first;
    last = last > region->last ? region->last : last;
    if (last - first < g->config.packet_size) {
        g->fetch_address = first;
        g->fetch_len = (uint32_t)(last - first) + 1;
    }
}

static void fetch(struct pst_gdb_server *g);

static void fetch_done(struct pst_gdb_server *g)
{
    const struct pst_spp_op *op = &g->ops[0];
    uint32_t skip = (uint32_t)(g->mem_address - g->fetch_address);
    uint32_t moved = op->moved <= op->len ? op->moved : 0;
    if (op->result != PST_OK || moved <= skip) {
        bool wide = g->fetch_len != g->mem_len;
        if (wide &&
            (op->result == PST_OK || op->result == PST_ERR_DENIED || op->result == PST_ERR_FAULT)) {
            g->ahead_failures++;
            g->fetch_address = g->mem_address;
            g->fetch_len = g->mem_len;
            fetch(g);
            return;
        }
        psti_gdb_reply_fault(g, "read memory", g->mem_address, g->mem_len,
                             op->result != PST_OK ? op->result : PST_ERR_FAULT);
        return;
    }
    if (g->state == PST_GDB_HALTED) {
        pst_cache_fill(&g->cache, g->fetch_address, g->work, moved);
    }
    uint32_t got = moved - skip;
    reply_memory(g, g->work + skip, got < g->mem_len ? got : g->mem_len);
}

static void fetch(struct pst_gdb_server *g)
{
    psti_gdb_ops_begin(g);
    psti_gdb_ops_add(g, PST_SPP_READ, PST_AS_MEMORY, g->fetch_address, g->work, g->fetch_len);
    psti_gdb_ops_end(g, fetch_done);
}

/* For sequential reads (dump, compare-sections), requests the next part ahead. */
static void read_on(struct pst_gdb_server *g, const struct pst_region *region)
{
    uint64_t at = g->mem_address + g->mem_len;
    uint64_t stop = at + 4 * (uint64_t)g->mem_len;
    bool sequential = g->mem_len >= SEQUENTIAL && g->mem_address == g->seq_next;
    g->seq_next = at;
    if (!sequential || g->ahead_pending || g->ahead_failures >= AHEAD_FAILURES || at == 0) {
        return;
    }
    while (at < stop && at <= region->last && pst_cache_has(&g->cache, at, 1)) {
        at = (at | (PST_CACHE_BLOCK - 1)) + 1;
    }
    if (at >= stop || at > region->last) {
        return;
    }
    uint64_t len = region->last - at + 1;
    uint64_t most = g->config.packet_size;
    len = len > most ? most : len;
    psti_gdb_ahead(g, at, (uint32_t)len);
}

static void read_cached(struct pst_gdb_server *g)
{
    const struct pst_region *region = pst_cache_region(&g->cache, g->mem_address, g->mem_len);
    if (region == NULL || g->state != PST_GDB_HALTED) {
        g->fetch_address = g->mem_address;
        g->fetch_len = g->mem_len;
        fetch(g);
        return;
    }
    if (pst_cache_get(&g->cache, g->mem_address, g->work, g->mem_len)) {
        g->counters.hits++;
        reply_memory(g, g->work, g->mem_len);
        read_on(g, region);
        return;
    }
    bool coming = g->ahead_pending && g->ahead_epoch == g->cache.epoch &&
                  g->mem_address + g->mem_len > g->ahead_address &&
                  g->mem_address < g->ahead_address + g->ahead.len;
    if (coming) {
        psti_gdb_ahead_await(g, read_cached);
        return;
    }
    g->counters.misses++;
    choose_fetch(g, region);
    fetch(g);
    read_on(g, region);
}

static bool get_range(struct pst_gdb_server *g, struct pst_reader *r, uint64_t *len)
{
    g->mem_address = pst_rsp_get_number(r);
    pst_require(r, pst_rsp_take_char(r, ','));
    *len = pst_rsp_get_number(r);
    return pst_reader_ok(r) && (*len == 0 || g->mem_address + (*len - 1) >= g->mem_address);
}

void psti_gdb_on_read(struct pst_gdb_server *g, struct pst_reader *r)
{
    uint64_t len = 0, most = (g->config.packet_size - 8) / 2;
    if (!get_range(g, r, &len) || pst_finish(r) != PST_OK) {
        psti_gdb_reply_text(g, "E16");
        return;
    }
    g->mem_len = (uint32_t)(len < most ? len : most);
    if (len == 0) {
        psti_gdb_reply_text(g, "");
        return;
    }
    const struct pst_region *region = pst_cache_region(&g->cache, g->mem_address, g->mem_len);
    if (region != NULL && g->state == PST_GDB_HALTED) {
        size_t regs_len = 0;
        const uint8_t *regs = psti_gdb_regs_of(g, g->hart, &regs_len);
        pst_gather_note(&g->gather, region, g->mem_address, g->mem_len, regs, regs_len);
    }
    read_cached(g);
}

/* --- M, X --- */

static void write_done(struct pst_gdb_server *g)
{
    const struct pst_spp_op *op = &g->ops[0];
    if (op->result != PST_OK) {
        pst_cache_forget(&g->cache, op->address, op->len); /* it may be written in part */
        psti_gdb_reply_fault(g, "write memory", op->address, op->len, op->result);
        return;
    }
    const struct pst_region *region = pst_cache_region(&g->cache, op->address, op->len);
    if (g->state == PST_GDB_HALTED && region != NULL && region->kind == PST_REGION_RAM) {
        pst_cache_fill(&g->cache, op->address, op->data, op->len);
    } else {
        pst_cache_forget(&g->cache, op->address,
                         op->len); /* ROM and flash may not keep what is written */
    }
    psti_gdb_reply_text(g, "OK");
}

static void write_memory(struct pst_gdb_server *g, uint8_t *data, size_t len)
{
    /* A read ahead that is under way brings the old bytes: drop it. */
    g->ahead_epoch = g->cache.epoch - 1;
    psti_gdb_ops_begin(g);
    psti_gdb_ops_add(g, PST_SPP_WRITE, PST_AS_MEMORY, g->mem_address, data, len);
    psti_gdb_ops_end(g, write_done);
}

void psti_gdb_on_write(struct pst_gdb_server *g, struct pst_reader *r)
{
    uint64_t len = 0;
    bool ok = get_range(g, r, &len) && pst_rsp_take_char(r, ':');
    size_t given = ok ? pst_rsp_get_hex(r, g->work, g->config.packet_size) : 0;
    if (!ok || pst_finish(r) != PST_OK || given != len) {
        psti_gdb_reply_text(g, "E16");
    } else if (given == 0) {
        psti_gdb_reply_text(g, "OK");
    } else {
        write_memory(g, g->work, given);
    }
}

void psti_gdb_on_binary(struct pst_gdb_server *g, struct pst_reader *r)
{
    uint64_t len = 0;
    bool ok = get_range(g, r, &len) && pst_rsp_take_char(r, ':');
    if (!ok || r->left != len || len > g->config.packet_size) {
        psti_gdb_reply_text(g, "E16");
    } else if (len == 0) {
        psti_gdb_reply_text(g, "OK"); /* gdb tests whether X is supported */
    } else {
        memcpy(g->work, r->at, (size_t)len);
        write_memory(g, g->work, (size_t)len);
    }
}

/* --- qCRC --- */

static uint32_t crc_add(uint32_t crc, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        crc ^= (uint32_t)data[i] << 24;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc & 0x80000000u) != 0 ? crc << 1 ^ 0x04c11db7u : crc << 1;
        }
    }
    return crc;
}

static void crc_next(struct pst_gdb_server *g);

static void crc_done(struct pst_gdb_server *g)
{
    const struct pst_spp_op *op = &g->ops[0];
    if (op->result != PST_OK || op->moved == 0 || op->moved > op->len) {
        psti_gdb_reply_fault(g, "read memory", op->address, op->len,
                             op->result != PST_OK ? op->result : PST_ERR_FAULT);
        return;
    }
    g->crc = crc_add(g->crc, g->work, op->moved);
    g->mem_address += op->moved;
    g->crc_left -= op->moved;
    crc_next(g);
}

static void crc_next(struct pst_gdb_server *g)
{
    if (g->crc_left == 0) {
        struct psti_gdb_reply r;
        psti_gdb_reply_begin(g, &r);
        pst_rsp_put_char(&r.p, 'C');
        pst_rsp_put_number(&r.p, g->crc);
        psti_gdb_reply_end(g, &r);
        return;
    }
    uint64_t n = g->crc_left < g->config.packet_size ? g->crc_left : g->config.packet_size;
    psti_gdb_ops_begin(g);
    psti_gdb_ops_add(g, PST_SPP_READ, PST_AS_MEMORY, g->mem_address, g->work, (size_t)n);
    psti_gdb_ops_end(g, crc_done);
}

void psti_gdb_on_crc(struct pst_gdb_server *g, struct pst_reader *r)
{
    uint64_t len = 0;
    if (!get_range(g, r, &len) || pst_finish(r) != PST_OK || len > UINT32_MAX) {
        psti_gdb_reply_text(g, "E16");
        return;
    }
    g->crc = UINT32_MAX;
    g->crc_left = len;
    crc_next(g);
}
