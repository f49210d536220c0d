#include <string.h>

#include "stub/stub.h"

enum { PACKET_SIZE = 400 /* if the stub does not tell its own */ };

/* As before anything was opened. The buffer is shared out among packets in and out, the stop report
 * and what an access reads. */
static void prepare(struct pst_stub *s, const struct pst_stub_config *config)
{
    memset(s, 0, sizeof *s);
    s->config = *config;
    size_t all = config->buffer_len, in = all / 16 * 5, out = all / 8;
    uint8_t *at = config->buffer;
    pst_rsp_reader_init(&s->in, at, in, true);
    s->out = pst_writer_of(at + in, out);
    s->report = pst_writer_of(at + in + out, in);
    s->stage = pst_writer_of(at + in + out + in, all - in - out - in);
}

pst_err pst_stub_init(struct pst_stub *s, const struct pst_stub_config *config)
{
    if (config->open == NULL || config->buffer_len < PST_STUB_BUFFER_MIN ||
        (config->map_len > 0 && config->map == NULL)) {
        return PST_ERR_ARGUMENT;
    }
    prepare(s, config);
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
    s->resume_due = s->step_check = s->stepping = s->interrupt = false;
    s->report_active = s->report_valid = s->event_due = s->event_ready = false;
    pst_stub_answer_now(s);
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
    s->detached = true;
    psti_stub_ask(s, "D", on_detached);
    return true;
}

static void halt_if_wanted(struct pst_stub *s)
{
    if (s->closing || s->interrupt) {
        psti_stub_interrupt(s);
    } else if (psti_stub_wants_halt(s)) {
        s->quiet = true;
        psti_stub_interrupt(s);
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

/* --- bytes from the stub --- */

static bool is_ahead(const struct pst_stub *s)
{
    return s->skip > 0 || s->followers > 0 || s->ahead_at < s->ahead_len;
}

static void again(struct pst_stub *s)
{
    /* A lost packet had no effect. Requests behind it cannot be told apart. */
    bool waiting = s->answer != NULL || s->running;
    if (!s->acks || !waiting || s->sent < s->packet_at + s->packet_len) {
        return;
    }
    if (++s->retries > 3 || is_ahead(s)) {
        psti_stub_lose(s);
        return;
    }
    s->sent = s->packet_at;
    s->out.used = s->packet_at + s->packet_len;
    if (s->breaking) {
        pst_put_u8(&s->out, 0x03);
    }
}

/* QEMU sends a stop reply when its stub is opened, without being asked. */
static bool is_stray(const struct pst_stub *s, struct pst_bytes b)
{
    return !s->running && b.len >= 3 && b.at[0] == 'T' && s->opening != 0 &&
           s->general != PST_RSP_ALL;
}

static void on_packet(struct pst_stub *s)
{
    struct pst_bytes reply = {s->in.buffer, s->in.len};
    /* After its OK to D, QEMU 7.2 crashes on any further byte. */
    if (s->acks && !s->detached) {
        pst_put_u8(&s->out, '+');
    }
    if (s->skip > 0) {
        s->skip--;
    } else if (s->running) {
        psti_stub_on_stop(s, reply);
    } else if (s->answer != NULL && !is_stray(s, reply)) {
        psti_stub_answer *answer = s->answer;
        s->answer = NULL;
        answer(s, reply);
    }
}

static void on_item(struct pst_stub *s, enum pst_rsp_item item)
{
    switch (item) {
    case PST_RSP_PACKET:
        on_packet(s);
        break;
    case PST_RSP_NAK:
        again(s);
        break;
    case PST_RSP_BAD:
        /* Without acknowledgements nothing can be repeated; and of several answers, it is not known
         * which is bad. */
        if (!s->acks || ++s->retries > 3 || is_ahead(s)) {
            psti_stub_lose(s);
        } else if (!s->detached) {
            pst_put_u8(&s->out, '-');
        }
        break;
    case PST_RSP_NOTHING:
    case PST_RSP_NOTICE:
    case PST_RSP_ACK:
    case PST_RSP_BREAK:
        break;
    }
    /* The stub sends and does not receive. */
    if (s->out.failed) {
        psti_stub_lose(s);
    }
}

void pst_stub_receive(struct pst_stub *s, const uint8_t *bytes, size_t len)
{
    while (len > 0 && s->link == LINK_OPEN) {
        enum pst_rsp_item item;
        size_t n = pst_rsp_read(&s->in, bytes, len, &item);
        bytes += n;
        len -= n;
        on_item(s, item);
        psti_stub_advance(s);
    }
}

/* --- opening, letting go --- */

static void reset(struct pst_stub *s)
{
    const struct pst_stub_config config = s->config;
    const struct pst_gate *gate = s->gate;
    const uint8_t enabled = s->enabled;

    prepare(s, &config);
    s->gate = gate;
    s->enabled = enabled;
    s->acks = true;
    s->packet_size = PACKET_SIZE;
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

void pst_stub_closed(struct pst_stub *s)
{
    if (s->link == LINK_CLOSING) {
        s->out.used = s->sent = 0; /* it cannot be sent, and need not be */
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
