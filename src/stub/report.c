#include <string.h>

#include "stub/stub.h"

enum { REPORT_SELECT, REPORT_REGISTERS, REPORT_GATHER, REPORT_CHUNK, REPORT_DONE };

static size_t registers_at(const struct pst_stub *s)
{
    return PST_STOP_REPORT_HEAD + 4 * (size_t)pst_peek_u16(s->report.start + 16);
}

void psti_stub_report_begin(struct pst_stub *s, bool event)
{
    psti_stub_report_head(s, PST_RUN_HALTED);
    s->event_due = s->event_due || event;
    s->report_active = true;
    s->report_valid = false;
    s->report_phase = s->exited ? REPORT_DONE : REPORT_SELECT;
    s->report_index = 0;
}

static void on_registers(struct pst_stub *s, struct pst_bytes reply)
{
    struct pst_writer *w = &s->report;
    size_t n = psti_stub_get_registers(reply, w->start + w->used, w->cap - w->used);
    pst_poke_u16(w->start + 18, (uint16_t)(n < UINT16_MAX ? n : 0));
    w->used += n < UINT16_MAX ? n : 0;
    s->report_phase = REPORT_GATHER;
}

/* --- gathered memory --- */

static bool gather_address(const struct pst_stub *s, const struct pst_stub_gather *g,
                           uint64_t *address)
{
    *address = g->add;
    if (g->base == PST_GATHER_ABSOLUTE) {
        return true;
    }
    size_t len = pst_peek_u16(s->report.start + 18);
    if ((size_t)g->offset + g->size > len) {
        return false;
    }
    *address += psti_stub_get_value(s->report.start + registers_at(s) + g->offset, g->size);
    if (g->size < 8) {
        *address &= (UINT64_C(1) << 8 * g->size) - 1;
    }
    return true;
}

/* Cuts a range down to the first listed region that it touches. False: it touches none. */
static bool clip(const struct pst_stub *s, uint64_t *address, uint32_t *len)
{
    uint64_t last = *len - 1 > UINT64_MAX - *address ? UINT64_MAX : *address + (*len - 1);
    for (size_t i = 0; i < s->config.map_len; i++) {
        const struct pst_region *m = &s->config.map[i];
        if (m->first > last || m->last < *address) {
            continue;
        }
        uint64_t first = m->first > *address ? m->first : *address;
        last = m->last < last ? m->last : last;
        *address = first;
        *len = (uint32_t)(last - first + 1);
        return true;
    }
    return false;
}

static bool may_gather(const struct pst_stub *s, uint64_t address, uint32_t len)
{
    return s->gate != NULL &&
           s->gate->allow(s->gate->ctx, PST_AS_MEMORY, PST_RIGHT_READ, address, len) == PST_OK;
}

/* The next range: first of the gather list, then of the watchpoints. False: none is left. */
static bool next_range(struct pst_stub *s, uint64_t *address, uint32_t *len)
{
    *len = 0;
    size_t i = s->report_index++;
    if (i < s->gather_count) {
        *len = gather_address(s, &s->gathers[i], address) ? s->gathers[i].len : 0;
        return true;
    }
    i -= s->gather_count;
    if (i < s->break_count) {
        *address = s->breaks[i].address;
        *len = s->breaks[i].type >= 2 ? s->breaks[i].kind : 0;
        return true;
    }
    return false;
}

static void on_chunk(struct pst_stub *s, struct pst_bytes reply);

static void begin_chunk(struct pst_stub *s)
{
    uint64_t address;
    uint32_t len;
    struct pst_writer *w = &s->report;
    if (!next_range(s, &address, &len)) {
        s->report_phase = REPORT_DONE;
        return;
    }
    size_t room = w->cap - w->used;
    if (len == 0 || room <= CHUNK_HEAD || !clip(s, &address, &len)) {
        return;
    }
    len = len < room - CHUNK_HEAD ? len : (uint32_t)(room - CHUNK_HEAD);
    bool asked = psti_stub_ahead_take(s, address, len);
    if (!asked && !may_gather(s, address, len)) {
        return;
    }
    psti_stub_ahead_want(s, address, len);
    s->chunk_at = w->used;
    s->chunk_address = address;
    s->chunk_left = len;
    pst_put_u64(w, address);
    pst_put_u32(w, 0);
    s->report_phase = REPORT_CHUNK;
    s->answer = asked ? on_chunk : NULL;
}

/* Requests the ranges behind this chunk along with it. */
static void ask_rest(struct pst_stub *s)
{
    struct pst_stub_range rest[PST_STUB_AHEAD];
    uint8_t index = s->report_index;
    size_t count = 0;
    uint64_t address;
    uint32_t len;

    while (count < PST_STUB_AHEAD && next_range(s, &address, &len)) {
        if (len == 0 || !clip(s, &address, &len)) {
            continue;
        }
        if (psti_stub_memory_chunk(s, address, len) != len) {
            break;
        }
        rest[count++] = (struct pst_stub_range){.address = address, .len = len};
    }
    s->report_index = index;
    psti_stub_ahead_follow(s, rest, count);
}

static void end_chunk(struct pst_stub *s)
{
    struct pst_writer *w = &s->report;
    size_t n = w->used - s->chunk_at - CHUNK_HEAD;
    pst_poke_u32(w->start + s->chunk_at + 8, (uint32_t)n);
    if (n == 0) {
        w->used = s->chunk_at;
    }
    s->report_phase = REPORT_GATHER;
}

static void on_chunk(struct pst_stub *s, struct pst_bytes reply)
{
    struct pst_writer *w = &s->report;
    struct pst_reader r = pst_reader_of(reply.at, reply.len);
    size_t n = 0;
    if (!psti_stub_is_error(reply)) {
        n = pst_rsp_get_hex(&r, w->start + w->used, s->chunk_left);
    }
    if (n == 0 || r.left > 0) {
        end_chunk(s);
        return;
    }
    w->used += n;
    s->chunk_address += n;
    s->chunk_left -= (uint32_t)n;
    if (s->chunk_left == 0) {
        end_chunk(s);
    }
}

bool psti_stub_report_task(struct pst_stub *s)
{
    if (!s->report_active) {
        return false;
    }
    switch (s->report_phase) {
    case REPORT_SELECT:
        s->report_phase = REPORT_REGISTERS;
        (void)psti_stub_select(s, s->stop.hart);
        return true;
    case REPORT_REGISTERS:
        psti_stub_ask(s, "g", on_registers);
        psti_stub_ahead_send(s);
        return true;
    case REPORT_GATHER:
        begin_chunk(s);
        return true;
    case REPORT_CHUNK:
        psti_stub_ahead_drop(s); /* their answers come first */
        psti_stub_ask_memory(s, s->chunk_address, s->chunk_left, on_chunk);
        ask_rest(s);
        return true;
    default:
        psti_stub_ahead_drop(s);
        s->report_active = false;
        s->report_valid = true;
        s->event_ready = s->event_ready || s->event_due;
        s->event_due = false;
        return true;
    }
}
