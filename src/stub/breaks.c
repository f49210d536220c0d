#include <string.h>

#include "stub/stub.h"

enum { ENTRY = 16 };

static size_t find(const struct pst_stub *s, const struct pst_stub_break *b)
{
    size_t i = 0;
    while (i < s->break_count && (s->breaks[i].address != b->address ||
                                  s->breaks[i].type != b->type || s->breaks[i].kind != b->kind)) {
        i++;
    }
    return i;
}

/* The table is updated even if the access was cancelled. */
static void on_changed(struct pst_stub *s, struct pst_bytes reply)
{
    size_t at = find(s, &s->setting);
    bool ok = psti_stub_is_ok(reply);
    if (ok && s->setting_on && at == s->break_count && at < PST_STUB_BREAKS) {
        s->breaks[s->break_count++] = s->setting;
    } else if (!s->setting_on && at < s->break_count) {
        s->breaks[at] = s->breaks[--s->break_count]; /* it is gone, or the stub never had it */
        ok = true;
    }
    if (!s->access.used || s->access.done || s->access.space != PST_AS_RUN ||
        s->access.address != PST_RUN_BREAK) {
        return;
    }
    s->access.at += ENTRY;
    if (!ok) {
        psti_stub_finish(s, reply.len == 0 ? PST_ERR_UNSUPPORTED : PST_ERR_FAULT);
    } else if (s->access.at == s->access.len) {
        psti_stub_finish(s, PST_OK);
    }
}

static void change(struct pst_stub *s, const struct pst_stub_break *b, bool on)
{
    s->setting = *b;
    s->setting_on = on;
    struct pst_rsp_writer p = psti_stub_begin(s);
    pst_rsp_put_char(&p, on ? 'Z' : 'z');
    pst_rsp_put_number(&p, b->type);
    pst_rsp_put_char(&p, ',');
    pst_rsp_put_number(&p, b->address);
    pst_rsp_put_char(&p, ',');
    pst_rsp_put_number(&p, b->kind);
    psti_stub_send(s, &p, on_changed);
}

/* A breakpoint reveals that its address was reached, a watchpoint what was there: both need the
 * right to read it. */
static bool may_watch(const struct pst_stub *s, const struct pst_stub_break *b)
{
    const struct pst_gate *g = s->access_gate;
    uint64_t len = b->kind > 0 ? b->kind : 1;
    return g != NULL && g->allow(g->ctx, PST_AS_MEMORY, PST_RIGHT_READ, b->address, len) == PST_OK;
}

void psti_stub_break_step(struct pst_stub *s)
{
    if (s->source == NULL) {
        return;
    }
    struct pst_reader r = pst_reader_of(s->source + s->access.at, ENTRY);
    uint8_t on = pst_get_u8(&r);
    struct pst_stub_break b = {.type = pst_get_u8(&r)};
    b.kind = pst_get_u16(&r);
    pst_require(&r, pst_get_u32(&r) == 0);
    b.address = pst_get_u64(&r);
    size_t at = find(s, &b);
    if (pst_finish(&r) != PST_OK || on > 1 || b.type > 4) {
        psti_stub_finish(s, PST_ERR_ARGUMENT);
    } else if (on == 1 && at == PST_STUB_BREAKS) {
        psti_stub_finish(s, PST_ERR_LIMIT);
    } else if ((on == 1) != (at < s->break_count)) {
        if (on == 1 && !may_watch(s, &b)) {
            psti_stub_finish(s, PST_ERR_DENIED);
            return;
        }
        change(s, &b, on == 1);
    } else {
        s->access.at += ENTRY; /* it is so already */
        if (s->access.at == s->access.len) {
            psti_stub_finish(s, PST_OK);
        }
    }
}

bool psti_stub_break_clear(struct pst_stub *s)
{
    if (s->break_count == 0) {
        return false;
    }
    struct pst_stub_break b = s->breaks[s->break_count - 1];
    change(s, &b, false);
    return true;
}

bool pst_stub_cleanup(const struct pst_stub *s, struct pst_stub_cleanup *cleanup)
{
    if (s->link != LINK_OPEN && s->link != LINK_CLOSING) {
        return false;
    }
    cleanup->count = s->break_count;
    memcpy(cleanup->breaks, s->breaks, s->break_count * sizeof *s->breaks);
    if (s->answer == on_changed && s->setting_on) {
        cleanup->breaks[cleanup->count++] = s->setting; /* it may be set */
    }
    cleanup->expected =
        (uint8_t)((s->answer != NULL) + s->skip + s->followers + (s->ahead_len - s->ahead_at));
    cleanup->acks = s->acks;
    cleanup->running = s->running;
    cleanup->left = s->detached;
    return true;
}
