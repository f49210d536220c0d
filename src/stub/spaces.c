/* The two access spaces that the stub client gives to the command engine: MEMORY and RUN. */
#include <string.h>

#include "stub/stub.h"

/* --- accesses --- */

static pst_err interrupt(struct pst_stub *s)
{
    if (psti_stub_is_running(s)) {
        s->interrupt = true;
        psti_stub_interrupt(s);
    }
    return PST_OK;
}

static pst_err detach(struct pst_stub *s)
{
    if (s->link == LINK_OPEN) {
        s->closing = true;
        psti_stub_advance(s);
    }
    return s->link == LINK_CLOSED || s->link == LINK_LOST ? PST_OK : psti_stub_release(s);
}

/* Some registers need no stub. */
static pst_err open_for(struct pst_stub *s, const struct pst_access *a, uint8_t space)
{
    bool status = space == PST_AS_RUN && a->address == PST_RUN_STATUS;
    if (space == PST_AS_RUN && a->address >= PST_RUN_MEMORY_MAP) {
        return PST_OK;
    }
    pst_err err = psti_stub_ensure_open(s, a->gate);
    return status && err != PST_PENDING ? PST_OK : err;
}

static pst_err complete(struct pst_stub *s, struct pst_access *a)
{
    s->access.used = false;
    if (s->access.result == PST_OK && !a->write) {
        size_t n = s->stage.used < a->len ? s->stage.used : a->len;
        if (n > 0) {
            memcpy(a->data, s->stage.start, n);
        }
        a->len = (uint32_t)n;
    }
    return s->access.result;
}

static bool is_same(const struct pst_stub *s, const struct pst_access *a, uint8_t space)
{
    return s->access.space == space && s->access.address == a->address &&
           s->access.asked == a->len && s->access.write == a->write;
}

static pst_err start(struct pst_stub *s, struct pst_access *a, uint8_t space)
{
    PST_TRY(open_for(s, a, space));
    PST_TRY(psti_stub_access_check(s, a, space));
    if (s->stale && s->link == LINK_OPEN && (s->answer != NULL || s->skip > 0)) {
        return PST_PENDING; /* its answer would be taken for the answer to this one */
    }
    s->stale = false;
    if (a->len == 0 && (space == PST_AS_MEMORY || !a->write)) {
        return PST_OK;
    }
    psti_stub_access_begin(s, a, space);
    return PST_PENDING;
}

static pst_err perform(struct pst_stub *s, struct pst_access *a, uint8_t space)
{
    if (space == PST_AS_RUN && (a->address == PST_RUN_INTERRUPT || a->address == PST_RUN_DETACH)) {
        bool off = a->address == PST_RUN_DETACH && (s->link == LINK_CLOSED || s->link == LINK_LOST);
        PST_TRY(off || s->closing ? PST_OK : open_for(s, a, space));
        PST_TRY(psti_stub_access_check(s, a, space));
        return a->address == PST_RUN_DETACH ? detach(s) : interrupt(s);
    }
    if (s->access.used && !is_same(s, a, space)) {
        return PST_PENDING;
    }
    if (!s->access.used) {
        pst_err err = start(s, a, space);
        if (!s->access.used) {
            return err;
        }
    }
    s->source = a->write ? a->data : NULL;
    if (s->link == LINK_OPEN && !(s->running && !psti_stub_wants_halt(s))) {
        psti_stub_advance(s);
    } else {
        (void)psti_stub_access_task(s);
    }
    s->source = NULL;
    return s->access.done ? complete(s, a) : PST_PENDING;
}

/* --- enabling --- */

static pst_err enable(struct pst_stub *s, bool on, uint8_t bit, const struct pst_gate *gate)
{
    if (on) {
        pst_err err = psti_stub_ensure_open(s, gate);
        /* Without the right to stop the CPU the stub stays closed, and each access is refused. */
        if (err == PST_OK || err == PST_ERR_DENIED) {
            s->gate = s->gate == NULL ? gate : s->gate;
            s->enabled |= bit;
            return PST_OK;
        }
        return err;
    }
    s->enabled &= (uint8_t)~bit;
    if (s->enabled != 0) {
        return PST_OK;
    }
    s->gate = NULL;
    s->access.used = false;
    s->event_ready = false;
    if (s->link == LINK_OPEN) {
        s->closing = true;
        psti_stub_advance(s);
    }
    return psti_stub_release(s);
}

/* --- the two access spaces --- */

static void cancel(struct pst_stub *s, uint8_t space)
{
    if (s->access.used && s->access.space == space) {
        s->access.used = false;
        s->stale = s->answer != NULL;
        psti_stub_advance(s);
    }
}

static uint8_t memory_right(void *ctx, uint64_t address, bool write)
{
    (void)ctx;
    (void)address;
    return write ? PST_RIGHT_WRITE : PST_RIGHT_READ;
}

static pst_err memory_perform(void *ctx, struct pst_access *a)
{
    return perform(ctx, a, PST_AS_MEMORY);
}

static void memory_cancel(void *ctx)
{
    cancel(ctx, PST_AS_MEMORY);
}

static pst_err memory_enable(void *ctx, bool on, const struct pst_gate *gate)
{
    return enable(ctx, on, ENABLED_MEMORY, gate);
}

static uint8_t run_right(void *ctx, uint64_t address, bool write)
{
    (void)ctx;
    return psti_stub_right(address, write);
}

static pst_err run_perform(void *ctx, struct pst_access *a)
{
    return perform(ctx, a, PST_AS_RUN);
}

static void run_cancel(void *ctx)
{
    cancel(ctx, PST_AS_RUN);
}

static pst_err run_enable(void *ctx, bool on, const struct pst_gate *gate)
{
    return enable(ctx, on, ENABLED_RUN, gate);
}

static size_t run_event(void *ctx, uint8_t *out, size_t cap)
{
    struct pst_stub *s = ctx;
    if (!s->event_ready || s->report_active) {
        return 0;
    }
    size_t n = psti_stub_report_copy(s, out, cap);
    s->event_ready = n == 0;
    return n;
}

struct pst_space pst_stub_memory(struct pst_stub *s)
{
    return (struct pst_space){
        .ctx = s,
        .right = memory_right,
        .perform = memory_perform,
        .cancel = memory_cancel,
        .enable = memory_enable,
        .urgent_first = 1,
        .urgent_last = 0,
    };
}

struct pst_space pst_stub_run(struct pst_stub *s)
{
    return (struct pst_space){
        .ctx = s,
        .right = run_right,
        .perform = run_perform,
        .cancel = run_cancel,
        .enable = run_enable,
        .event = run_event,
        .urgent_first = PST_RUN_INTERRUPT,
        .urgent_last = PST_RUN_INTERRUPT,
    };
}
