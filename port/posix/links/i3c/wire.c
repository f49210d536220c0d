#include "posix/links/i3c/wire.h"

#include <stdlib.h>
#include <string.h>

struct sending {
    uv_write_t request;
    struct pst_i3c_wire *wire;
    uint8_t bytes[];
};

static void fail(struct pst_i3c_wire *w, const char *text)
{
    if (!w->failed && !w->closing) {
        w->failed = true;
        w->events->lost(w->ctx, text);
    }
}

static void on_kick(uv_timer_t *timer);

/* The same, but not from within the caller's operation. */
static void fail_soon(struct pst_i3c_wire *w)
{
    w->broken = true;
    (void)uv_timer_start(&w->kick, on_kick, 0, 0);
}

/* --- out --- */

static void on_sent(uv_write_t *request, int status)
{
    struct sending *s = request->data;
    struct pst_i3c_wire *w = s->wire;

    free(s);
    if (w->closing) {
        return;
    }
    if (status != 0) {
        fail(w, uv_strerror(status));
    } else if (w->events->drained != NULL) {
        w->events->drained(w->ctx);
    }
}

/* The rest of a non-blocking write. */
static void send_later(struct pst_i3c_wire *w, struct sending *s, size_t at, size_t len)
{
    uv_buf_t buf = uv_buf_init((char *)s->bytes + at, (unsigned)(len - at));

    s->wire = w;
    s->request.data = s;
    if (uv_write(&s->request, &w->socket.io.stream, &buf, 1, on_sent) != 0) {
        free(s);
        fail_soon(w);
    }
}

void pst_i3c_wire_send(struct pst_i3c_wire *w, uint8_t op, const uint8_t *head, size_t head_len,
                       const uint8_t *body, size_t body_len)
{
    const size_t payload = head_len + body_len, len = PST_I3C_WIRE_HEAD + payload;

    if (!w->running || w->closing || w->failed || w->broken || payload > PST_I3C_WIRE_MAX) {
        return;
    }
    struct sending *s = malloc(sizeof *s + len);
    if (s == NULL) {
        fail_soon(w);
        return;
    }
    s->bytes[0] = op;
    pst_poke_u16(s->bytes + 1, (uint16_t)payload);
    if (head_len > 0) {
        memcpy(s->bytes + PST_I3C_WIRE_HEAD, head, head_len);
    }
    if (body_len > 0) {
        memcpy(s->bytes + PST_I3C_WIRE_HEAD + head_len, body, body_len);
    }
    uv_buf_t buf = uv_buf_init((char *)s->bytes, (unsigned)len);
    const int sent = uv_try_write(&w->socket.io.stream, &buf, 1);
    if (sent == (int)len) {
        free(s);
    } else {
        send_later(w, s, sent > 0 ? (size_t)sent : 0, len);
    }
}

size_t pst_i3c_wire_queued(const struct pst_i3c_wire *w)
{
    return w->running ? uv_stream_get_write_queue_size(&w->socket.io.stream) : 0;
}

/* --- in --- */

/* Delivers whole frames while the reader wants them. */
static void parse(struct pst_i3c_wire *w)
{
    size_t at = 0;

    while (w->reading && !w->closing && w->have - at >= PST_I3C_WIRE_HEAD) {
        const size_t len = pst_peek_u16(w->in + at + 1);

        if (len > PST_I3C_WIRE_MAX) {
            fail(w, "not a modelled I3C bus");
            break;
        }
        if (w->have - at < PST_I3C_WIRE_HEAD + len) {
            break;
        }
        const uint8_t *frame = w->in + at;
        at += PST_I3C_WIRE_HEAD + len;
        w->events->frame(w->ctx, frame[0], frame + PST_I3C_WIRE_HEAD, len);
    }
    w->have -= at;
    memmove(w->in, w->in + at, w->have);
}

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    struct pst_i3c_wire *w = handle->data;
    (void)hint;
    *buf = uv_buf_init((char *)w->in + w->have, (unsigned)(sizeof w->in - w->have));
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct pst_i3c_wire *w = stream->data;

    (void)buf;
    if (got < 0) {
        fail(w, got == UV_EOF ? "the bus is gone" : uv_strerror((int)got));
    } else if (got > 0) {
        w->have += (size_t)got;
        parse(w);
    }
}

static void on_kick(uv_timer_t *timer)
{
    struct pst_i3c_wire *w = timer->data;

    if (w->broken) {
        fail(w, "the connection to the bus was lost");
    } else {
        parse(w);
    }
}

void pst_i3c_wire_read(struct pst_i3c_wire *w, bool on)
{
    if (on == w->reading || !w->running || w->closing) {
        return;
    }
    w->reading = on;
    if (!on) {
        (void)uv_read_stop(&w->socket.io.stream);
        return;
    }
    (void)uv_read_start(&w->socket.io.stream, on_alloc, on_read);
    if (w->have > 0) {
        (void)uv_timer_start(&w->kick, on_kick, 0, 0);
    }
}

/* --- opening and closing --- */

pst_err pst_i3c_wire_init(struct pst_i3c_wire *w, uv_loop_t *loop,
                          const struct pst_i3c_wire_events *events, void *ctx)
{
    memset(w, 0, offsetof(struct pst_i3c_wire, in));
    w->events = events;
    w->ctx = ctx;
    w->kick.data = w;
    return uv_timer_init(loop, &w->kick) == 0 ? PST_OK : PST_ERR_IO;
}

void pst_i3c_wire_start(struct pst_i3c_wire *w)
{
    w->socket.io.handle.data = w;
    w->running = true;
    pst_i3c_wire_read(w, true);
}

static void on_closed(uv_handle_t *handle)
{
    struct pst_i3c_wire *w = handle->data;

    if (--w->handles == 0 && w->closed != NULL) {
        w->closed(w->ctx);
    }
}

void pst_i3c_wire_close(struct pst_i3c_wire *w, void (*closed)(void *ctx))
{
    if (w->closing) {
        return;
    }
    w->closing = true;
    w->closed = closed;
    w->handles = w->socket.open ? 2 : 1;
    w->socket.io.handle.data = w;
    pst_socket_close(&w->socket, on_closed);
    uv_close((uv_handle_t *)&w->kick, on_closed);
}
