#include "posix/link.h"

#include <stdio.h>
#include <string.h>

#define DRAIN_MS 2000

static void on_closed(uv_handle_t *handle)
{
    struct pst_link *l = handle->data;
    if (++l->closed == l->to_close && !l->dial.busy) {
        l->config->down(l->config->ctx, l, l->why, l->text);
    }
}

void pst_link_drop(struct pst_link *l, pst_err why, const char *text)
{
    if (l->closing) {
        return;
    }
    l->closing = true;
    l->is_up = false;
    l->why = why;
    snprintf(l->text, sizeof l->text, "%s", text != NULL ? text : "");
    if (l->dial.busy) {
        pst_dial_cancel(&l->dial); /* on_dialled closes the rest */
        return;
    }
    l->to_close = l->socket.open ? 2 : 1;
    l->socket.io.handle.data = l;
    pst_socket_close(&l->socket, on_closed);
    uv_close((uv_handle_t *)&l->timer, on_closed);
}

static void drop_saying(struct pst_link *l, pst_err why, const char *what)
{
    char text[sizeof l->text];
    snprintf(text, sizeof text, "link '%s': %s", l->address.text, what);
    pst_link_drop(l, why, text);
}

/* --- output --- */

static bool all_sent(const struct pst_link *l)
{
    for (size_t i = 0; i < PST_LINK_WRITES; i++) {
        if (l->writes[i].busy) {
            return false;
        }
    }
    return true;
}

static struct pst_link_write *free_write(struct pst_link *l)
{
    for (size_t i = 0; i < PST_LINK_WRITES; i++) {
        if (!l->writes[i].busy) {
            return &l->writes[i];
        }
    }
    return NULL;
}

static void control_reading(struct pst_link *l);
static void on_timer(uv_timer_t *timer);

static void on_written(uv_write_t *req, int status)
{
    struct pst_link *l = req->data;
    for (size_t i = 0; i < PST_LINK_WRITES; i++) {
        if (&l->writes[i].req == req) {
            l->writes[i].busy = false;
        }
    }
    if (l->closing) {
        return;
    }
    if (status != 0 && !l->draining) {
        drop_saying(l, PST_ERR_IO, uv_strerror(status));
    } else if (l->draining && (status != 0 || all_sent(l))) { /* it need not hear our BYE */
        pst_link_drop(l, l->why, l->text[0] != '\0' ? l->text : NULL);
    } else if (!l->draining) {
        pst_link_pump(l);
    }
}

static void send_message(struct pst_link *l, struct pst_link_write *w, uint8_t kind, size_t len)
{
    pst_err err = pst_stream_header(w->bytes, kind, len);
    if (err != PST_OK) {
        drop_saying(l, err, "a message longer than the framing allows");
        return;
    }
    uv_buf_t buf = uv_buf_init((char *)w->bytes, (unsigned)(PST_LINK_HEADER + len));
    l->counts.messages_out++;
    l->counts.records_out += kind == PST_LINK_RECORD;
    l->counts.bytes_out += PST_LINK_HEADER + len;
    l->spoke = l->spoke || kind != PST_LINK_CONTROL;
    /* Mostly it fits, and then no turn of the loop is needed to hear so. */
    int sent = l->draining ? 0 : uv_try_write(&l->socket.io.stream, &buf, 1);
    if (sent == (int)buf.len) {
        return;
    }
    size_t at = sent > 0 ? (size_t)sent : 0;
    buf = uv_buf_init((char *)w->bytes + at, (unsigned)(buf.len - at));
    w->req.data = l;
    w->busy = true;
    int rc = uv_write(&w->req, &l->socket.io.stream, &buf, 1, on_written);
    if (rc != 0) {
        w->busy = false;
        drop_saying(l, PST_ERR_IO, uv_strerror(rc));
    }
}

void pst_link_pump(struct pst_link *l)
{
    struct pst_link_write *w;
    uint8_t kind = 0;

    if (l->pumping) {
        return; /* called by its own `output` */
    }
    l->pumping = true;
    while (l->is_up && !l->draining && (w = free_write(l)) != NULL) {
        size_t len =
            l->config->output(l->config->ctx, l, &kind, w->bytes + PST_LINK_HEADER, l->traits.mtu);
        if (len == 0 || !l->is_up) {
            break;
        }
        send_message(l, w, kind, len);
    }
    l->pumping = false;
    control_reading(l);
}

void pst_link_end(struct pst_link *l, pst_err why)
{
    if (l->closing || l->draining) {
        return;
    }
    struct pst_link_write *w = l->is_up ? free_write(l) : NULL;
    l->why = why;
    l->text[0] = '\0';
    if (w == NULL && all_sent(l)) {
        pst_link_drop(l, why, NULL);
        return;
    }
    l->draining = true;
    control_reading(l);
    (void)uv_timer_start(&l->timer, on_timer, DRAIN_MS, 0);
    if (w != NULL) {
        send_message(l, w, PST_LINK_CONTROL, pst_link_put_bye(w->bytes + PST_LINK_HEADER, why));
    }
}

/* --- input --- */

static void take_hello(struct pst_link *l, const struct pst_hello *hello)
{
    char text[128];

    if (l->is_up) {
        drop_saying(l, PST_ERR_UNEXPECTED, "a second HELLO");
    } else if (hello->profile != PST_PROFILE_VERSION) {
        snprintf(text, sizeof text,
                 "the peer speaks profile %u of the provisional values, expected %u",
                 hello->profile, PST_PROFILE_VERSION);
        drop_saying(l, PST_ERR_PROFILE, text);
    } else if (hello->target == l->config->target) {
        drop_saying(l, PST_ERR_UNEXPECTED,
                    hello->target ? "the peer is a target too, expected a debugger"
                                  : "the peer is a debugger too, expected a target");
    } else if (hello->largest < PST_LINK_MIN_MESSAGE) {
        drop_saying(l, PST_ERR_LIMIT, "the peer takes no message that a session needs");
    } else {
        l->traits = pst_stream_traits;
        l->traits.mtu =
            hello->largest < PST_LINK_MAX_MESSAGE ? hello->largest : PST_LINK_MAX_MESSAGE;
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

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    struct pst_link *l = handle->data;
    (void)hint;
    *buf = uv_buf_init((char *)l->in, sizeof l->in);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct pst_link *l = stream->data;
    size_t at = 0, used, len;
    uint8_t kind, *msg;

    (void)buf;
    if (got < 0) {
        bool clean = got == UV_EOF && l->stream.have == 0 && l->is_up;
        drop_saying(l, clean ? PST_OK : PST_ERR_IO,
                    got != UV_EOF ? uv_strerror((int)got)
                    : l->is_up    ? "closed by the peer"
                                  : "closed by the peer before HELLO");
        return;
    }
    l->counts.bytes_in += (size_t)got;
    while (at < (size_t)got && !l->closing && !l->draining) {
        pst_err err =
            pst_stream_receive(&l->stream, l->in + at, (size_t)got - at, &used, &kind, &msg, &len);
        at += used;
        if (err == PST_WANT_MORE) {
            return;
        }
        if (err != PST_OK) {
            drop_saying(l, err, "not Postern's framing: is this another service?");
            return;
        }
        take_message(l, kind, msg, len);
    }
}

static void control_reading(struct pst_link *l)
{
    bool wanted = !l->closing && !l->draining && (!l->config->target || free_write(l) != NULL);
    if (wanted && !l->reading) {
        l->reading = uv_read_start(&l->socket.io.stream, on_alloc, on_read) == 0;
    } else if (!wanted && l->reading && !l->closing) {
        (void)uv_read_stop(&l->socket.io.stream);
        l->reading = false;
    }
}

/* --- opening --- */

static void on_timer(uv_timer_t *timer)
{
    struct pst_link *l = timer->data;
    if (l->draining) {
        pst_link_drop(l, l->why, NULL);
    } else {
        drop_saying(l, PST_ERR_TIMEOUT,
                    l->dial.busy ? "cannot connect: no answer in time" : "no HELLO in time");
    }
}

static void begin(struct pst_link *l)
{
    const struct pst_hello hello = {
        .profile = PST_PROFILE_VERSION,
        .target = l->config->target,
        .largest = PST_LINK_MAX_MESSAGE,
    };
    struct pst_link_write *w = &l->writes[0];

    l->socket.io.handle.data = l;
    send_message(l, w, PST_LINK_CONTROL, pst_link_put_hello(w->bytes + PST_LINK_HEADER, &hello));
    control_reading(l);
}

static void on_dialled(void *ctx, pst_err err, const char *why)
{
    struct pst_link *l = ctx;
    if (l->closing) {
        l->to_close = 1;
        uv_close((uv_handle_t *)&l->timer, on_closed);
    } else if (err != PST_OK) {
        pst_link_drop(l, err, why);
    } else {
        begin(l);
    }
}

static pst_err init(struct pst_link *l, uv_loop_t *loop, const struct pst_link_config *config,
                    const struct pst_address *address)
{
    uint32_t ms = config->hello_ms > 0 ? config->hello_ms : PST_LINK_HELLO_MS;

    memset(&l->counts, 0, sizeof l->counts);
    l->config = config;
    l->address = *address;
    l->is_up = l->reading = l->closing = l->draining = l->spoke = l->pumping = false;
    l->closed = l->to_close = 0;
    l->why = l->bye = PST_OK;
    l->text[0] = '\0';
    l->dial.busy = false;
    l->socket.open = false;
    for (size_t i = 0; i < PST_LINK_WRITES; i++) {
        l->writes[i].busy = false;
    }
    pst_stream_init(&l->stream, l->message, sizeof l->message);
    if (uv_timer_init(loop, &l->timer) != 0 || uv_timer_start(&l->timer, on_timer, ms, 0) != 0) {
        return PST_ERR_IO;
    }
    l->timer.data = l;
    return PST_OK;
}

pst_err pst_link_connect(struct pst_link *l, uv_loop_t *loop, const struct pst_link_config *config,
                         const struct pst_address *to)
{
    PST_TRY(init(l, loop, config, to));
    l->dial.socket = &l->socket;
    l->dial.address = &l->address;
    l->dial.done = on_dialled;
    l->dial.ctx = l;
    if (pst_dial_start(loop, &l->dial) != PST_OK) {
        pst_link_drop(l, PST_ERR_IO, "no resources for a connection");
    }
    return PST_OK;
}

pst_err pst_link_accept(struct pst_link *l, uv_stream_t *listener,
                        const struct pst_link_config *config, const struct pst_address *from)
{
    PST_TRY(init(l, listener->loop, config, from));
    if (pst_socket_accept(listener, &l->socket, l) != PST_OK) {
        pst_link_drop(l, PST_ERR_IO, "the connection was gone before it was accepted");
    } else {
        begin(l);
    }
    return PST_OK;
}
