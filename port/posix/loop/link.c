#include "posix/loop/link.h"

#include <stdio.h>
#include <string.h>

#define DRAIN_MS 2000

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
    l->is_up = false;
    l->why = why;
    if (text != l->text) {
        snprintf(l->text, sizeof l->text, "%s", text != NULL ? text : "");
    }
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

/* --- output --- */

static void control_reading(struct pst_link *l);

static bool flush(struct pst_link *l)
{
    if (l->out_at < l->out_len && l->carrier != NULL) {
        l->out_at += pst_carrier_write(l->carrier, l->out + l->out_at, l->out_len - l->out_at);
    }
    return l->out_at == l->out_len;
}

/* A message whose `len` bytes are in place. Only when `out` is free. */
static void send_message(struct pst_link *l, uint8_t kind, size_t len)
{
    pst_err err = pst_framing_header(l->out, kind, len);
    if (err != PST_OK) {
        drop_saying(l, err, "a message longer than the framing allows");
        return;
    }
    l->counts.messages_out++;
    l->counts.records_out += kind == PST_LINK_RECORD;
    l->counts.bytes_out += PST_LINK_HEADER + len;
    l->spoke = l->spoke || kind != PST_LINK_CONTROL;
    l->out_at = 0;
    l->out_len = PST_LINK_HEADER + len;
    (void)flush(l);
}

void pst_link_pump(struct pst_link *l)
{
    uint8_t kind = 0;

    if (l->pumping) {
        return; /* called by its own `output` */
    }
    l->pumping = true;
    while (l->is_up && !l->draining && flush(l)) {
        size_t len =
            l->config->output(l->config->ctx, l, &kind, l->out + PST_LINK_HEADER, l->traits.mtu);
        if (len == 0 || !l->is_up) {
            break;
        }
        send_message(l, kind, len);
    }
    l->pumping = false;
    control_reading(l);
}

/* What is queued, then BYE, then the carrier's own end. */
static void drain(struct pst_link *l)
{
    if (!flush(l)) {
        return;
    }
    if (!l->said_bye) {
        l->said_bye = true;
        send_message(l, PST_LINK_CONTROL, pst_link_put_bye(l->out + PST_LINK_HEADER, l->why));
    }
    if (!l->closing && flush(l)) {
        pst_carrier_finish(l->carrier);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct pst_link *l = timer->data;
    if (l->draining) {
        pst_link_drop(l, l->why, l->text);
    } else {
        drop_saying(l, PST_ERR_TIMEOUT,
                    l->opened             ? "no HELLO in time"
                    : l->listener != NULL ? "nobody called in time"
                                          : "cannot connect: no answer in time");
    }
}

static void start_draining(struct pst_link *l, pst_err why, const char *text)
{
    l->why = why;
    snprintf(l->text, sizeof l->text, "%s", text);
    l->draining = true;
    control_reading(l);
    (void)uv_timer_start(&l->timer, on_timer, DRAIN_MS, 0);
    drain(l);
}

void pst_link_end(struct pst_link *l, pst_err why)
{
    if (l->closing || l->draining) {
        return;
    }
    if (!l->is_up) {
        pst_link_drop(l, why, NULL);
        return;
    }
    start_draining(l, why, "");
}

/* --- input --- */

/* Behind a long message a heartbeat comes too late. */
static uint32_t largest_of(const struct pst_link *l)
{
    const uint32_t largest = l->carrier->largest;
    return largest > 0 && largest < PST_LINK_MAX_MESSAGE ? largest : PST_LINK_MAX_MESSAGE;
}

/* The peer is told why in a BYE. */
static void refuse_hello(struct pst_link *l, pst_err why, const char *what)
{
    char text[sizeof l->text];
    snprintf(text, sizeof text, "link '%s': %s", l->name, what);
    start_draining(l, why, text);
}

static void take_hello(struct pst_link *l, const struct pst_hello *hello)
{
    char text[128];

    if (l->is_up) {
        drop_saying(l, PST_ERR_UNEXPECTED, "a second HELLO");
    } else if (hello->profile != PST_PROFILE_VERSION) {
        snprintf(text, sizeof text,
                 "the peer speaks profile %u of the provisional values, expected %u",
                 hello->profile, PST_PROFILE_VERSION);
        refuse_hello(l, PST_ERR_PROFILE, text);
    } else if (hello->target == l->config->target) {
        refuse_hello(l, PST_ERR_UNEXPECTED,
                     hello->target ? "the peer is a target too, expected a debugger"
                                   : "the peer is a debugger too, expected a target");
    } else if (hello->largest < PST_LINK_MIN_MESSAGE) {
        refuse_hello(l, PST_ERR_LIMIT, "the peer takes no message that a session needs");
    } else {
        pst_link_agree(&l->traits, l->carrier->traits, hello);
        if (l->traits.mtu > largest_of(l)) {
            l->traits.mtu = largest_of(l);
        }
        l->is_up = true;
        (void)uv_timer_stop(&l->timer);
        l->config->up(l->config->ctx, l);
        pst_link_pump(l);
    }
}

static void take_control(struct pst_link *l, const uint8_t *msg, size_t len)
{
    struct pst_hello hello;
    uint8_t op;
    pst_err why;
    char text[128];

    if (pst_link_get_control(msg, len, &op, &hello, &why) != PST_OK) {
        drop_saying(l, PST_ERR_DECODE, "a malformed control message");
    } else if (op == PST_CONTROL_HELLO) {
        take_hello(l, &hello);
    } else {
        l->bye = why;
        snprintf(text, sizeof text, "closed by the peer%s%s",
                 why == PST_OK || why == PST_ERR_CLOSED ? "" : ": ",
                 why == PST_OK || why == PST_ERR_CLOSED ? "" : pst_err_text(why));
        drop_saying(l, PST_OK, text);
    }
}

static void take_message(struct pst_link *l, uint8_t kind, uint8_t *msg, size_t len)
{
    l->counts.messages_in++;
    l->counts.records_in += kind == PST_LINK_RECORD;
    if (kind == PST_LINK_CONTROL) {
        take_control(l, msg, len);
        return;
    }
    if (!l->is_up) {
        drop_saying(l, PST_ERR_UNEXPECTED, "traffic before HELLO: not a Postern peer");
        return;
    }
    l->counts.round_trips += l->spoke;
    l->spoke = false;
    pst_err err = l->config->message(l->config->ctx, l, kind, msg, len);
    pst_link_pump(l);
    if (err != PST_OK) {
        pst_link_end(l, err);
    }
}

static void on_receive(void *ctx, const uint8_t *bytes, size_t len)
{
    struct pst_link *l = ctx;
    size_t at = 0, used, message_len;
    uint8_t kind, *msg;

    l->counts.bytes_in += len;
    while (at < len && !l->closing && !l->draining) {
        pst_err err =
            pst_framing_receive(&l->stream, bytes + at, len - at, &used, &kind, &msg, &message_len);
        at += used;
        if (err == PST_WANT_MORE) {
            return;
        }
        if (err != PST_OK) {
            drop_saying(l, err, "not Postern's framing: is this another service?");
            return;
        }
        take_message(l, kind, msg, message_len);
    }
}

static void control_reading(struct pst_link *l)
{
    const bool wanted = !l->draining;
    if (l->opened && !l->closing && l->carrier != NULL && wanted != l->reading) {
        l->reading = wanted;
        pst_carrier_read(l->carrier, wanted);
    }
}

/* --- the carrier --- */

static void on_open(void *ctx)
{
    struct pst_link *l = ctx;

    l->opened = true;
    const struct pst_hello hello =
        pst_link_hello_of(l->carrier->traits, l->config->target, largest_of(l));
    send_message(l, PST_LINK_CONTROL, pst_link_put_hello(l->out + PST_LINK_HEADER, &hello));
    control_reading(l);
}

static void on_writable(void *ctx)
{
    struct pst_link *l = ctx;

    if (l->closing) {
        return;
    }
    if (l->draining) {
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
    } else if (l->draining) { /* it need not hear our BYE */
        pst_link_drop(l, l->why, l->text);
    } else if (why == PST_OK && l->is_up && l->stream.have == 0) {
        drop_saying(l, PST_OK, text);
    } else if (why == PST_OK && !l->is_up && l->opened) {
        drop_saying(l, PST_ERR_IO, "closed by the peer before HELLO");
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
    l->is_up = l->opened = l->reading = l->closing = l->draining = l->said_bye = l->spoke =
        l->pumping = false;
    l->to_close = 0;
    l->why = l->bye = PST_OK;
    l->text[0] = '\0';
    l->out_at = l->out_len = 0;
    pst_framing_init(&l->stream, l->message, sizeof l->message);
    l->timer.data = l;
    return uv_timer_init(loop, &l->timer) == 0 ? PST_OK : PST_ERR_IO;
}

static void expect_hello(struct pst_link *l)
{
    const uint32_t ms = l->config->hello_ms;
    (void)uv_timer_start(&l->timer, on_timer, ms > 0 ? ms : PST_LINK_HELLO_MS, 0);
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
