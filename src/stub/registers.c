#include <string.h>

#include "stub/stub.h"

/* --- the register file as a block: g and G --- */

static uint32_t block_offset(const struct pst_stub *s)
{
    return (uint32_t)(s->access.address & 0xFFFF);
}

static bool wanted(const struct pst_stub *s)
{
    return s->access.used && !s->access.done;
}

/* A read takes part of the block. A write reads the whole block and changes part of it, since stubs
 * treat a short G in different ways. */
static void on_block(struct pst_stub *s, struct pst_bytes reply)
{
    if (!wanted(s)) {
        return;
    }
    struct pst_writer *w = &s->stage;
    size_t total = reply.len / 2, at = block_offset(s), n = s->access.len;
    if (psti_stub_is_error(reply) || total == 0) {
        psti_stub_finish(s, PST_ERR_FAULT);
    } else if (s->access.write) {
        w->used = psti_stub_get_registers(reply, w->start, w->cap);
        s->access.step = 1;
        if (w->used == 0 || at + n > w->used) {
            psti_stub_finish(s, w->used == 0 ? PST_ERR_FAULT : PST_ERR_ARGUMENT);
        }
    } else if (at >= total) {
        psti_stub_finish(s, PST_OK);
    } else {
        n = n < total - at ? n : total - at;
        w->used =
            psti_stub_get_registers((struct pst_bytes){reply.at + 2 * at, 2 * n}, w->start, n);
        psti_stub_finish(s, w->used == n ? PST_OK : PST_ERR_FAULT);
    }
}

static void on_set(struct pst_stub *s, struct pst_bytes reply)
{
    if (wanted(s)) {
        pst_err err = reply.len == 0 ? PST_ERR_UNSUPPORTED : PST_ERR_FAULT;
        psti_stub_finish(s, psti_stub_is_ok(reply) ? PST_OK : err);
    }
}

static void write_block(struct pst_stub *s)
{
    struct pst_writer *w = &s->stage;
    if (s->source == NULL) {
        return;
    }
    if (1 + 2 * w->used > psti_stub_room(s)) {
        psti_stub_finish(s, PST_ERR_UNSUPPORTED);
        return;
    }
    memcpy(w->start + block_offset(s), s->source, s->access.len);
    s->report_valid = false;
    struct pst_rsp_writer p = psti_stub_begin(s);
    pst_rsp_put_char(&p, 'G');
    pst_rsp_put_hex(&p, w->start, w->used);
    psti_stub_send(s, &p, on_set);
}

static bool select_hart(struct pst_stub *s, uint32_t hart)
{
    if (s->has_threads && psti_stub_thread_of(s, hart) == 0) {
        psti_stub_finish(s, PST_ERR_ARGUMENT);
        return true;
    }
    return psti_stub_select(s, hart);
}

void psti_stub_registers_step(struct pst_stub *s)
{
    if (s->access.step == 1) {
        write_block(s);
        return;
    }
    if (!select_hart(s, (uint32_t)(s->access.address >> 16 & 0xFF))) {
        psti_stub_ask(s, "g", on_block);
    }
}

/* --- one register: p and P --- */

static void on_register(struct pst_stub *s, struct pst_bytes reply)
{
    if (!wanted(s)) {
        return;
    }
    if (reply.len == 0 || psti_stub_is_error(reply)) {
        psti_stub_finish(s, reply.len == 0 ? PST_ERR_UNSUPPORTED : PST_ERR_FAULT);
        return;
    }
    s->stage.used = psti_stub_get_registers(reply, s->stage.start, s->stage.cap);
    psti_stub_finish(s, s->stage.used > 0 ? PST_OK : PST_ERR_FAULT);
}

void psti_stub_register_step(struct pst_stub *s)
{
    uint64_t place = s->access.address - PST_RUN_REGISTER;
    if (s->access.write && s->source == NULL) {
        return;
    }
    if (select_hart(s, (uint32_t)(place >> 16))) {
        return;
    }
    if (2 * (size_t)s->access.len + 16 > psti_stub_room(s)) {
        psti_stub_finish(s, PST_ERR_ARGUMENT);
        return;
    }
    struct pst_rsp_writer p = psti_stub_begin(s);
    pst_rsp_put_char(&p, s->access.write ? 'P' : 'p');
    pst_rsp_put_number(&p, place >> 4 & 0xFFF);
    if (s->access.write) {
        s->report_valid = false;
        pst_rsp_put_char(&p, '=');
        pst_rsp_put_hex(&p, s->source, s->access.len);
    }
    psti_stub_send(s, &p, s->access.write ? on_set : on_register);
}
