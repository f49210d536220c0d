#include <string.h>

#include "stub/stub.h"

enum { PACKET_SIZE = 400 /* of a stub that does not say */, ENABLED_MEMORY = 1, ENABLED_RUN = 2 };

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
    return s->running || s->owed || s->check;
}

bool psti_stub_may_run(const struct pst_gate *gate)
{
    return gate != NULL &&
           gate->allow(gate->ctx, PST_AS_RUN, PST_RIGHT_RUN, PST_RUN_INTERRUPT, 4, true) == PST_OK;
}

pst_err pst_stub_init(struct pst_stub *s, const struct pst_stub_config *config)
{
    if (config->open == NULL || config->buffer_len < PST_STUB_BUFFER_MIN ||
        (config->map_len > 0 && config->map == NULL)) {
        return PST_ERR_ARGUMENT;
    }
    memset(s, 0, sizeof *s);
    s->config = *config;
    size_t all = config->buffer_len, in = all / 16 * 5, out = all / 8;
    uint8_t *at = config->buffer;
    pst_rsp_reader_init(&s->in, at, in, true);
    s->out = pst_writer_of(at + in, out);
    s->report = pst_writer_of(at + in + out, in);
    s->stage = pst_writer_of(at + in + out + in, all - in - out - in);
    return PST_OK;
}

/* --- the round of tasks --- */

static void on_detached(struct pst_stub *s, struct pst_bytes reply)
{
    if (!psti_stub_is_ok(reply)) {
        psti_stub_ask(s, s->has_vcont ? "vCont;c" : "c", NULL);
    }
    s->link = LINK_CLOSING;
}

static bool close_task(struct pst_stub *s)
{
    if (!s->closing) {
        return false;
    }
    s->opening = 0;
    s->owed = s->check = s->stepping = s->interrupt = false;
    s->report_active = s->report_valid = s->event_due = s->event_ready = false;
    pst_stub_hurry(s);
    if (s->access.used && !s->access.done) {
        psti_stub_finish(s, PST_ERR_CLOSED);
    }
    psti_stub_ahead_drop(s);
    if (s->skip > 0) {
        return true;
    }
    if (psti_stub_break_clear(s)) {
        return true;
    }
    if (s->config.hold || s->exited) {
        s->link = LINK_CLOSING;
        return false;
    }
    s->farewell = true;
    psti_stub_ask(s, "D", on_detached);
    return true;
}

static void halt_if_wanted(struct pst_stub *s)
{
    if (s->closing || s->interrupt) {
        pst_stub_break(s);
    } else if (psti_stub_wants_halt(s)) {
        s->quiet = true;
        pst_stub_break(s);
    }
}

static bool once(struct pst_stub *s)
{
    static bool (*const tasks[])(struct pst_stub *s) = {
        close_task,
        psti_stub_open_task,
        psti_stub_check_task,
        psti_stub_report_task,
        psti_stub_access_task,
        psti_stub_go_task,
    };
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++) {
        if (tasks[i](s)) {
            return true;
        }
    }
    return false;
}

void psti_stub_advance(struct pst_stub *s)
{
    while (s->link == LINK_OPEN && s->answer == NULL && s->skip == 0) {
        if (s->running) {
            halt_if_wanted(s);
            return;
        }
        if (!once(s)) {
            return;
        }
    }
}

/* --- opening, losing, letting go --- */

static void reset(struct pst_stub *s)
{
    struct pst_stub fresh = {.config = s->config, .gate = s->gate, .enabled = s->enabled};
    pst_rsp_reader_init(&fresh.in, s->in.buffer, s->in.cap, true);
    fresh.out = pst_writer_of(s->out.start, s->out.cap);
    fresh.report = pst_writer_of(s->report.start, s->report.cap);
    fresh.stage = pst_writer_of(s->stage.start, s->stage.cap);
    fresh.acks = true;
    fresh.packet_size = PACKET_SIZE;
    *s = fresh;
    psti_stub_annex_add(s, "target.xml", 10);
}

pst_err psti_stub_release(struct pst_stub *s)
{
    if (s->link == LINK_CLOSING && pst_stub_pending(s).len > 0) {
        return PST_PENDING;
    }
    if (s->link == LINK_OPEN) {
        return PST_PENDING;
    }
    if (s->link != LINK_CLOSED && s->config.open(s->config.ctx, false) == PST_PENDING) {
        return PST_PENDING;
    }
    s->link = LINK_CLOSED;
    s->closing = s->running = false;
    s->answer = NULL;
    return PST_OK;
}

pst_err psti_stub_ensure_open(struct pst_stub *s, const struct pst_gate *gate)
{
    if (s->link == LINK_OPEN) {
        return s->closing || s->opening != 0 ? PST_PENDING : PST_OK;
    }
    if (s->link == LINK_LOST && s->enabled != 0) {
        return PST_ERR_FAULT;
    }
    if (s->link == LINK_LOST || s->link == LINK_CLOSING) {
        PST_TRY(psti_stub_release(s));
    }
    if (s->open_failed) {
        s->open_failed = false;
        return PST_ERR_FAULT;
    }
    if (s->link == LINK_CLOSED) {
        if (!psti_stub_may_run(gate)) {
            return PST_ERR_DENIED;
        }
        reset(s);
        s->link = LINK_OPENING;
    }
    pst_err err = s->config.open(s->config.ctx, true);
    if (err != PST_OK) {
        s->link = err == PST_PENDING ? LINK_OPENING : LINK_CLOSED;
        return err == PST_PENDING ? PST_PENDING : PST_ERR_FAULT;
    }
    s->link = LINK_OPEN;
    s->opening = 1;
    psti_stub_advance(s);
    return PST_PENDING;
}

void psti_stub_lose(struct pst_stub *s)
{
    if (s->link != LINK_OPEN && s->link != LINK_CLOSING) {
        return;
    }
    s->link = LINK_LOST;
    s->open_failed = s->opening != 0 && s->enabled == 0;
    s->opening = 0;
    s->answer = NULL;
    s->running = s->owed = s->check = s->stepping = s->report_active = s->closing = false;
    s->skip = s->followers = s->ahead_at = s->ahead_len = s->wanted_len = 0;
    s->out.used = s->sent = 0;
    s->break_count = 0;
    pst_stub_hurry(s);
    if (s->access.used && !s->access.done) {
        psti_stub_finish(s, PST_ERR_FAULT);
    }
    memset(&s->stop, 0, sizeof s->stop);
    psti_stub_report_head(s, PST_RUN_LOST);
    s->report_valid = false;
    s->event_ready = (s->enabled & ENABLED_RUN) != 0;
}

void pst_stub_closed(struct pst_stub *s)
{
    if (s->link == LINK_CLOSING) {
        s->out.used = s->sent = 0; /* nobody to send it to, and nothing lost */
        return;
    }
    psti_stub_lose(s);
}

void pst_stub_abandon(struct pst_stub *s)
{
    if (s->link == LINK_CLOSED) {
        return;
    }
    psti_stub_lose(s);
    s->event_ready = false;
    (void)s->config.open(s->config.ctx, false);
    s->link = LINK_CLOSED;
    s->open_failed = false;
}

static pst_err enable(struct pst_stub *s, bool on, uint8_t bit, const struct pst_gate *gate)
{
    if (on) {
        pst_err err = psti_stub_ensure_open(s, gate);
        /* Without leave to stop the CPU the stub stays closed, and each access says so. */
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
    return psti_stub_perform(ctx, a, PST_AS_MEMORY);
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
    return psti_stub_perform(ctx, a, PST_AS_RUN);
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
