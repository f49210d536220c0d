#include "gdb/gdb.h"

#include <string.h>

#define BEAT_MS 1000u /* half of gdb's remotetimeout */
#define STATUS_LEN 1024u

/* --- attach --- */

/* Keeps the archive only if all of it decodes: gdb gets nothing of a malformed one. */
static void take_archive(struct pst_gdb_server *g, const struct pst_spp_op *op)
{
    g->archive_len = op->result == PST_OK && op->moved < op->len ? op->moved : 0;
    if (!psti_gdb_annex_ok(g)) {
        g->archive_len = 0;
    }
    if (g->archive_len == 0 && op->moved > 0) {
        psti_gdb_notice(g, "ignored the target description: malformed or too long");
    }
}

static void take_arch(struct pst_gdb_server *g, const struct pst_spp_op *op)
{
    g->arch = NULL;
    if (op->result == PST_OK && op->moved <= sizeof g->arch_name) {
        g->arch = pst_arch_find(g->arch_name, op->moved);
    }
    if (g->arch != NULL && (g->arch->word == 0 || g->arch->word > 8)) {
        g->arch = NULL;
    }
    pst_gather_arch(&g->gather, g->arch);
}

static void take_map(struct pst_gdb_server *g, const struct pst_spp_op *op)
{
    if (op->result == PST_OK && op->moved <= sizeof g->map_bytes &&
        pst_cache_set_map(&g->cache, g->map_bytes, op->moved) != PST_OK) {
        psti_gdb_notice(g, "ignored the memory map: malformed; memory is not cached");
    }
}

/* A link with small messages brings only the head of the report. That is enough to begin with: gdb
 * then asks for the registers. */
static pst_err take_status(struct pst_gdb_server *g, const struct pst_spp_op *op, uint8_t *state)
{
    struct pst_bytes report = {g->report, op->moved};
    if (op->moved > STATUS_LEN || op->moved < PST_STOP_REPORT_HEAD) {
        return op->result != PST_OK && op->result != PST_PENDING ? op->result : PST_ERR_DECODE;
    }
    pst_err err = psti_gdb_take_report(g, report, state);
    if (err == PST_ERR_DECODE && g->hart == 0) {
        uint8_t head[PST_STOP_REPORT_HEAD];
        memcpy(head, g->report, sizeof head);
        memset(head + 16, 0, 4); /* no list of harts, no registers */
        err = psti_gdb_take_report(g, (struct pst_bytes){head, sizeof head}, state);
    }
    return err;
}

static void attached(struct pst_gdb_server *g)
{
    g->state = PST_GDB_HALTED;
    g->hart_g = g->hart_c = 0;
    psti_gdb_dispatch(g);
}

/* The CPU may not be halted: memory can be read while it runs. */
static void observe(struct pst_gdb_server *g)
{
    if (g->state != PST_GDB_ATTACHING) {
        psti_gdb_not_halted(g);
        return;
    }
    g->state = PST_GDB_OBSERVING;
    psti_gdb_notice_error(g, "halt the CPU (it keeps running, so memory may change as you read it)",
                          0, 0, g->interrupt.result);
    psti_gdb_dispatch(g);
}

static void attach_done(struct pst_gdb_server *g)
{
    uint8_t state = PST_RUN_LOST;
    if (g->state != PST_GDB_ATTACHING) {
        psti_gdb_dispatch(g);
        return;
    }
    take_arch(g, &g->ops[0]);
    take_map(g, &g->ops[1]);
    take_archive(g, &g->ops[2]);
    pst_err err = take_status(g, &g->ops[3], &state);
    if (err != PST_OK || state == PST_RUN_LOST) {
        psti_gdb_notice_error(g, "read the state of the CPU", 0, 0,
                              err != PST_OK ? err : PST_ERR_FAULT);
        g->state = PST_GDB_ENDED;
        psti_gdb_dispatch(g);
    } else if (state == PST_RUN_RUNNING && !g->stop_came) {
        psti_gdb_interrupt(g, observe);
    } else {
        attached(g);
    }
}

void pst_gdb_server_start(struct pst_gdb_server *g)
{
    if (g->state != PST_GDB_IDLE) {
        return;
    }
    g->state = PST_GDB_ATTACHING;
    psti_gdb_ops_begin(g);
    psti_gdb_ops_add(g, PST_SPP_READ, PST_AS_RUN, PST_RUN_ARCH, (uint8_t *)g->arch_name,
                     sizeof g->arch_name);
    psti_gdb_ops_add(g, PST_SPP_READ, PST_AS_RUN, PST_RUN_MEMORY_MAP, g->map_bytes,
                     sizeof g->map_bytes);
    psti_gdb_ops_add(g, PST_SPP_READ, PST_AS_RUN, PST_RUN_DESCRIPTION, g->archive,
                     g->config.description_size);
    psti_gdb_ops_add(g, PST_SPP_READ, PST_AS_RUN, PST_RUN_STATUS, g->report, STATUS_LEN);
    psti_gdb_ops_end(g, attach_done);
}

/* --- bytes --- */

pst_err pst_gdb_server_init(struct pst_gdb_server *g, const struct pst_gdb_server_config *config)
{
    if (config->backend.submit == NULL || config->memory == NULL || config->packet_size < 1024 ||
        config->packet_size > 0x1000000 || config->description_size > 0x1000000 ||
        config->memory_len < PST_GDB_MEMORY(config->packet_size, config->description_size)) {
        return PST_ERR_ARGUMENT;
    }
    memset(g, 0, sizeof *g);
    g->config = *config;
    size_t p = config->packet_size;
    uint8_t *at = config->memory;
    size_t align = (8 - (size_t)((uintptr_t)at % 8)) % 8;
    at += align;

    struct pst_cache_block *blocks = (struct pst_cache_block *)(void *)at;
    size_t rest = config->memory_len - align - (7 * p - 64) - config->description_size;
    size_t count = rest / sizeof *blocks;
    PST_TRY(pst_cache_init(&g->cache, blocks, count));
    at += count * sizeof *blocks;
    pst_rsp_reader_init(&g->in, at, p + 1, false);
    at += p + 1;
    g->out = at;
    g->out_cap = 3 * p - 256;
    at += g->out_cap;
    g->work = at;
    at += p;
    g->report = at;
    at += STATUS_LEN;
    g->ahead_data = at;
    at += p;
    g->archive = at;
    pst_gather_init(&g->gather);
    return PST_OK;
}

static void put_byte(struct pst_gdb_server *g, uint8_t c)
{
    if (g->out_head == g->out_tail) {
        /* The newest packet stays where it is, in case of a NAK. */
        g->out_head = g->out_tail = g->last_at + g->last_len;
    }
    if (g->out_tail < g->out_cap) {
        g->out[g->out_tail++] = c;
    }
}

static void repeat_last(struct pst_gdb_server *g)
{
    if (!g->no_ack && !g->asked && g->out_head == g->out_tail) {
        g->out_head = g->last_at;
        g->out_tail = g->last_at + g->last_len;
    }
}

static void on_break(struct pst_gdb_server *g)
{
    if (g->state != PST_GDB_RUNNING) {
        return;
    }
    if (g->resume_pending) {
        g->interrupt_wanted = true; /* it must not overtake the resume */
    } else {
        psti_gdb_interrupt(g, psti_gdb_not_halted);
    }
}

static void on_item(struct pst_gdb_server *g, enum pst_rsp_item item)
{
    switch (item) {
    case PST_RSP_PACKET:
        if (!g->no_ack) {
            put_byte(g, '+');
        }
        g->counters.packets++;
        g->asked = true;
        g->held = true;
        psti_gdb_dispatch(g);
        break;
    case PST_RSP_BAD:
        if (!g->no_ack) {
            put_byte(g, '-');
        }
        break;
    case PST_RSP_NAK:
        repeat_last(g);
        break;
    case PST_RSP_BREAK:
        on_break(g);
        break;
    case PST_RSP_NOTHING:
    case PST_RSP_NOTICE:
    case PST_RSP_ACK:
        break;
    }
}

/* The payload of a packet stays in the reader until it is answered, so the next packet waits.
 * Acknowledgements and Ctrl-C do not. */
static bool may_take(const struct pst_gdb_server *g, uint8_t c)
{
    return !g->asked || (!pst_rsp_inside(&g->in) && (c == 0x03 || c == '+' || c == '-'));
}

size_t pst_gdb_server_receive(struct pst_gdb_server *g, const uint8_t *in, size_t len)
{
    size_t used = 0;
    while (used < len && !g->ending && may_take(g, in[used])) {
        enum pst_rsp_item item = PST_RSP_NOTHING;
        size_t n = g->asked ? 1 : len - used;
        used += pst_rsp_read(&g->in, in + used, n, &item);
        on_item(g, item);
    }
    return g->ending ? len : used;
}

struct pst_bytes pst_gdb_server_pending(const struct pst_gdb_server *g)
{
    return (struct pst_bytes){g->out + g->out_head, g->out_tail - g->out_head};
}

void pst_gdb_server_sent(struct pst_gdb_server *g, size_t len)
{
    size_t pending = g->out_tail - g->out_head;
    g->out_head += len < pending ? len : pending;
}

/* --- events --- */

void pst_gdb_server_event(struct pst_gdb_server *g, struct pst_bytes report)
{
    uint8_t state = PST_RUN_LOST;
    if (g->state == PST_GDB_ENDED || g->state == PST_GDB_DETACHED || g->state == PST_GDB_IDLE) {
        return;
    }
    pst_err err = psti_gdb_take_report(g, report, &state);
    if (err != PST_OK) {
        pst_gdb_server_lost(g, "the target sent a malformed stop report");
        return;
    }
    if (state == PST_RUN_LOST) {
        pst_gdb_server_lost(g, "the target has lost its debug stub");
        return;
    }
    if (state != PST_RUN_HALTED) {
        return;
    }
    g->stop_came = true;
    if (g->state == PST_GDB_ATTACHING && g->outstanding == 0) {
        attached(g);
    } else if (g->state == PST_GDB_OBSERVING) {
        g->state = PST_GDB_HALTED;
    } else if (g->state == PST_GDB_RUNNING && !g->resume_pending) {
        psti_gdb_stopped(g);
    }
}

void pst_gdb_server_lost(struct pst_gdb_server *g, const char *why)
{
    if (g->state == PST_GDB_ENDED) {
        return;
    }
    bool told = g->state == PST_GDB_DETACHED;
    g->state = PST_GDB_ENDED;
    g->reason = PST_STOP_SIGNAL;
    if (!told) {
        psti_gdb_notice(g, why != NULL ? why : "the session with the target has ended");
    }
    if (g->awaiting_stop) {
        psti_gdb_stopped(g);
    } else if (g->held && g->outstanding == 0) {
        psti_gdb_dispatch(g);
    }
}

uint64_t pst_gdb_server_poll(struct pst_gdb_server *g, uint64_t now_ms)
{
    if (!g->asked) {
        g->beat_ms = 0;
        return UINT64_MAX;
    }
    if (g->beat_ms == 0) {
        g->beat_ms = now_ms + BEAT_MS;
    } else if (now_ms >= g->beat_ms) {
        put_byte(g, '+');
        g->beat_ms = now_ms + BEAT_MS;
    }
    return g->beat_ms - now_ms;
}

bool pst_gdb_server_ended(const struct pst_gdb_server *g)
{
    return g->ending;
}

pst_gdb_state pst_gdb_server_state(const struct pst_gdb_server *g)
{
    return g->state;
}

const struct pst_gdb_counters *pst_gdb_server_counts(const struct pst_gdb_server *g)
{
    return &g->counters;
}
