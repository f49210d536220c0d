#include "posix/loop/link.h"

#include <stdio.h>
#include <string.h>

static void released(struct pst_link *l)
{
    if (--l->to_close == 0) {
        l->config->down(l->config->ctx, l, l->why, l->text);
    }
}

static void stop_listening(struct pst_link *l)
{
    if (l->listener != NULL) {
        pst_listener_close(l->listener);
        l->listener = NULL;
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    released(handle->data);
}

void pst_link_drop(struct pst_link *l, pst_err why, const char *text)
{
    if (l->closing) {
        return;
    }
    l->closing = true;
    l->why = why;
    snprintf(l->text, sizeof l->text, "%s", text != NULL ? text : "");
    l->to_close = l->carrier != NULL ? 2 : 1;
    stop_listening(l);
    if (l->carrier != NULL) {
        pst_carrier_close(l->carrier);
    }
    uv_close((uv_handle_t *)&l->timer, on_timer_closed);
}

static void drop_saying(struct pst_link *l, pst_err why, const char *what)
{
    char text[sizeof l->text];
    snprintf(text, sizeof text, "link '%s': %s", l->name, what);
    pst_link_drop(l, why, text);
}

/* The end is down. If this side closed the link, no text is needed. */
static void drop_ended(struct pst_link *l)
{
    const struct pst_link_end *e = &l->end;
    char text[128];

    l->bye = e->bye;
    if (e->text[0] == '\0') {
        pst_link_drop(l, e->why, NULL);
    } else if (e->peer_profile != 0) {
        snprintf(text, sizeof text, "%s: the peer has %u, this end has %d", e->text,
                 e->peer_profile, PST_PROFILE_VERSION);
        drop_saying(l, e->why, text);
    } else if (e->bye != PST_OK && e->bye != PST_ERR_CLOSED) {
        snprintf(text, sizeof text, "%s: %s", e->text, pst_err_text(e->bye));
        drop_saying(l, e->why, text);
    } else {
        drop_saying(l, e->why, e->text);
    }
}

/* --- output --- */

/* Gives the carrier the pending output. True: nothing is left. */
static bool flush(struct pst_link *l)
{
    struct pst_bytes out;

    while ((out = pst_link_end_pending(&l->end)).len > 0) {
        const size_t n = l->carrier != NULL ? pst_carrier_write(l->carrier, out.at, out.len) : 0;

        pst_link_end_sent(&l->end, n);
        l->counts.bytes_out += n;
        if (n < out.len) {
            return false;
        }
    }
    return true;
}

void pst_link_pump(struct pst_link *l)
{
    size_t cap;
    uint8_t kind = 0, *at;

    if (l->pumping) {
        return; /* called by its own `output` */
    }
    l->pumping = true;
    while (!l->closing && flush(l) && (at = pst_link_end_room(&l->end, &cap)) != NULL) {
        const size_t len = l->config->output(l->config->ctx, l, &kind, at, cap);

        if (len == 0 || l->closing || pst_link_end_send(&l->end, kind, len) != PST_OK) {
            break;
        }
        l->counts.records_out += kind == PST_LINK_RECORD;
        l->spoke = true;
    }
    l->pumping = false;
}

static void on_timer(uv_timer_t *timer)
{
    struct pst_link *l = timer->data;

    if (!l->opened) {
        drop_saying(l, PST_ERR_TIMEOUT,
                    l->listener != NULL ? "nobody called in time"
                                        : "cannot connect: no answer in time");
    } else if (pst_link_end_poll(&l->end, uv_now(timer->loop)) == PST_LINK_DOWN) {
        drop_ended(l);
    }
}

/* The end closes: what is pending and a BYE are sent, then the carrier ends by itself. */
static void drain(struct pst_link *l)
{
    if (flush(l) && !l->closing && pst_link_end_finished(&l->end)) {
        pst_carrier_finish(l->carrier);
    }
}

static void start_draining(struct pst_link *l)
{
    if (l->reading) {
        l->reading = false;
        pst_carrier_read(l->carrier, false);
    }
    (void)pst_link_end_poll(&l->end, uv_now(l->timer.loop));
    (void)uv_timer_start(&l->timer, on_timer, PST_LINK_CLOSE_MS, 0);
    drain(l);
}

void pst_link_close(struct pst_link *l, pst_err why)
{
    if (l->closing || pst_link_end_is_closing(&l->end)) {
        return;
    }
    if (!pst_link_end_is_up(&l->end)) {
        pst_link_drop(l, why, NULL);
        return;
    }
    pst_link_end_close(&l->end, why, uv_now(l->timer.loop));
    start_draining(l);
}

/* --- input --- */

static void came_up(struct pst_link *l)
{
    l->traits = l->end.traits;
    (void)uv_timer_stop(&l->timer);
    l->config->up(l->config->ctx, l);
    pst_link_pump(l);
}

static void take_message(struct pst_link *l)
{
    const struct pst_link_end *e = &l->end;

    l->counts.records_in += e->kind == PST_LINK_RECORD;
    l->counts.round_trips += l->spoke;
    l->spoke = false;
    pst_err err = l->config->message(l->config->ctx, l, e->kind, e->message, e->len);

    pst_link_pump(l);
    if (err != PST_OK) {
        pst_link_close(l, err);
    }
}

static void take_event(struct pst_link *l, pst_link_event event)
{
    switch (event) {
    case PST_LINK_UP:
        came_up(l);
        break;
    case PST_LINK_MESSAGE:
        take_message(l);
        break;
    case PST_LINK_CLOSING:
        start_draining(l);
        break;
    case PST_LINK_DOWN:
        drop_ended(l);
        break;
    case PST_LINK_IDLE:
        break;
    }
}

static void on_receive(void *ctx, const uint8_t *bytes, size_t len)
{
    struct pst_link *l = ctx;
    size_t at = 0, used;

    l->counts.bytes_in += len;
    while (at < len && !l->closing) {
        const pst_link_event event = pst_link_end_receive(&l->end, bytes + at, len - at, &used);

        at += used;
        take_event(l, event);
    }
}

/* --- the carrier --- */

static void on_open(void *ctx)
{
    struct pst_link *l = ctx;

    l->opened = true;
    pst_link_end_open(&l->end, l->carrier->traits, l->carrier->largest, l->hello_by_ms);
    (void)flush(l);
    if (!l->closing) {
        l->reading = true;
        pst_carrier_read(l->carrier, true);
    }
}

static void on_writable(void *ctx)
{
    struct pst_link *l = ctx;

    if (l->closing) {
        return;
    }
    if (pst_link_end_is_closing(&l->end)) {
        drain(l);
    } else {
        (void)flush(l);
        pst_link_pump(l);
    }
}

static void on_down(void *ctx, pst_err why, const char *text)
{
    struct pst_link *l = ctx;

    l->carrier = NULL;
    if (l->closing) {
        released(l);
    } else if (l->opened) {
        pst_link_end_down(&l->end, why, text);
        drop_ended(l);
    } else {
        drop_saying(l, why == PST_OK ? PST_ERR_IO : why, text);
    }
}

static const struct pst_carrier_events events = {
    .open = on_open, .receive = on_receive, .writable = on_writable, .down = on_down};

static pst_err init(struct pst_link *l, uv_loop_t *loop, const struct pst_link_config *config,
                    const char *name)
{
    memset(&l->counts, 0, sizeof l->counts);
    l->config = config;
    snprintf(l->name, sizeof l->name, "%s", name);
    l->carrier = NULL;
    l->listener = NULL;
    l->opened = l->reading = l->closing = l->pumping = l->spoke = false;
    l->to_close = 0;
    l->why = l->bye = PST_OK;
    l->text[0] = '\0';
    PST_TRY(pst_link_end_init(&l->end, config->target, l->in, sizeof l->in, l->out, sizeof l->out));
    l->timer.data = l;
    return uv_timer_init(loop, &l->timer) == 0 ? PST_OK : PST_ERR_IO;
}

static void expect_hello(struct pst_link *l)
{
    const uint32_t ms = l->config->hello_ms > 0 ? l->config->hello_ms : PST_LINK_HELLO_MS;

    l->hello_by_ms = uv_now(l->timer.loop) + ms;
    (void)uv_timer_start(&l->timer, on_timer, ms, 0);
}

static void on_peer(void *ctx, struct pst_carrier *carrier)
{
    struct pst_link *l = ctx;

    if (l->carrier != NULL || l->closing) {
        return; /* one is enough */
    }
    l->carrier = carrier;
    snprintf(l->name, sizeof l->name, "%s", carrier->peer);
    pst_carrier_own(carrier, &events, l);
    stop_listening(l);
    expect_hello(l);
    on_open(l);
}

static const struct pst_listener_events listener_events = {.peer = on_peer};

pst_err pst_link_connect(struct pst_link *l, uv_loop_t *loop, const struct pst_link_config *config,
                         const struct pst_address *to, char *why, size_t why_cap)
{
    struct pst_carrier *carrier = NULL;
    struct pst_listener *listener = NULL;

    if (to->listen) {
        PST_TRY(pst_carrier_listen(loop, to, &listener_events, l, &listener, why, why_cap));
    } else {
        PST_TRY(pst_carrier_connect(loop, to, &events, l, &carrier, why, why_cap));
    }
    pst_err err = init(l, loop, config, to->text);
    l->carrier = carrier;
    l->listener = listener;
    if (carrier != NULL || config->hello_ms > 0) {
        expect_hello(l);
    }
    return err;
}

pst_err pst_link_accept(struct pst_link *l, uv_loop_t *loop, const struct pst_link_config *config,
                        struct pst_carrier *carrier)
{
    PST_TRY(init(l, loop, config, carrier->peer));
    l->carrier = carrier;
    pst_carrier_own(carrier, &events, l);
    expect_hello(l);
    on_open(l);
    return PST_OK;
}
