/* The ground that the other files of the stub client stand on: what the stub's replies mean, the
 * access at hand, and the stop report. */
#include <string.h>

#include "stub/stub.h"

/* --- replies --- */

bool psti_stub_is_ok(struct pst_bytes reply)
{
    return reply.len == 2 && memcmp(reply.at, "OK", 2) == 0;
}

bool psti_stub_is_error(struct pst_bytes reply)
{
    return (reply.len == 3 || (reply.len > 1 && reply.at[1] == '.')) && reply.at[0] == 'E';
}

bool psti_stub_is_running(const struct pst_stub *s)
{
    return s->running || s->resume_due || s->step_check;
}

bool psti_stub_may_run(const struct pst_gate *gate)
{
    return gate != NULL &&
           gate->allow(gate->ctx, PST_AS_RUN, PST_RIGHT_RUN, PST_RUN_INTERRUPT, 4) == PST_OK;
}

uint64_t psti_stub_get_value(const uint8_t *at, size_t size)
{
    uint64_t v = 0;
    for (size_t i = size; i > 0; i--) {
        v = v << 8 | at[i - 1];
    }
    return v;
}

size_t psti_stub_get_registers(struct pst_bytes reply, uint8_t *out, size_t cap)
{
    if (reply.len == 0 || reply.len % 2 != 0 || reply.len / 2 > cap) {
        return 0;
    }
    for (size_t i = 0; i < reply.len / 2; i++) {
        const uint8_t *pair = reply.at + 2 * i;
        int high = pst_rsp_nibble(pair[0]), low = pst_rsp_nibble(pair[1]);
        if (pair[0] == 'x' && pair[1] == 'x') {
            high = low = 0;
        }
        if (high < 0 || low < 0) {
            return 0;
        }
        out[i] = (uint8_t)((unsigned)high << 4 | (unsigned)low);
    }
    return reply.len / 2;
}

/* --- the access at hand --- */

void psti_stub_finish(struct pst_stub *s, pst_err result)
{
    s->access.done = true;
    s->access.result = result;
}

bool pst_stub_deferred(const struct pst_stub *s)
{
    return s->access.used && !s->access.done && s->access.deferred;
}

void pst_stub_answer_now(struct pst_stub *s)
{
    if (pst_stub_deferred(s)) {
        psti_stub_finish(s, PST_OK);
    }
}

/* --- the stop report --- */

void psti_stub_report_head(struct pst_stub *s, uint8_t state)
{
    struct pst_writer *w = &s->report;
    w->used = 0;
    w->failed = false;
    pst_put_u8(w, state);
    pst_put_u8(w, s->stop.reason);
    pst_put_u8(w, s->stop.signal);
    pst_put_u8(w, 0);
    pst_put_u32(w, s->stop.hart);
    pst_put_u64(w, s->stop.address);
    size_t count_at = w->used;
    pst_put_u16(w, 0);
    pst_put_u16(w, 0);
    uint16_t n = 0;
    for (size_t i = 0; i < PST_STUB_HARTS; i++) {
        if (s->harts[i].used) {
            pst_put_u32(w, psti_stub_hart(s, i));
            n++;
        }
    }
    pst_poke_u16(w->start + count_at, n);
}

/* If a report does not fit, whole chunks of memory are left out first, then registers, then harts.
 */
size_t psti_stub_report_copy(const struct pst_stub *s, uint8_t *out, size_t cap)
{
    const uint8_t *from = s->report.start;
    size_t harts = pst_peek_u16(from + 16), registers = pst_peek_u16(from + 18);
    size_t len = PST_STOP_REPORT_HEAD;
    if (cap < len) {
        return 0;
    }
    harts = len + 4 * harts <= cap ? harts : 0;
    len += 4 * harts;
    bool all = harts == pst_peek_u16(from + 16) && len + registers <= cap;
    registers = all ? registers : 0;
    len += registers;
    while (all && len < s->report.used) {
        size_t chunk = CHUNK_HEAD + pst_peek_u32(from + len + 8);
        if (chunk > cap - len) {
            break;
        }
        len += chunk;
    }
    memcpy(out, from, len);
    pst_poke_u16(out + 16, (uint16_t)harts);
    pst_poke_u16(out + 18, (uint16_t)registers);
    return len;
}

/* --- the stream is lost --- */

void psti_stub_lose(struct pst_stub *s)
{
    if (s->link != LINK_OPEN && s->link != LINK_CLOSING) {
        return;
    }
    s->link = LINK_LOST;
    s->open_failed = s->opening != 0 && s->enabled == 0;
    s->opening = 0;
    s->answer = NULL;
    s->running = s->resume_due = s->step_check = s->stepping = s->report_active = s->closing =
        false;
    s->skip = s->followers = s->ahead_at = s->ahead_len = s->wanted_len = 0;
    s->out.used = s->sent = 0;
    s->break_count = 0;
    pst_stub_answer_now(s);
    if (s->access.used && !s->access.done) {
        psti_stub_finish(s, PST_ERR_FAULT);
    }
    memset(&s->stop, 0, sizeof s->stop);
    psti_stub_report_head(s, PST_RUN_LOST);
    s->report_valid = false;
    s->event_ready = (s->enabled & ENABLED_RUN) != 0;
}
