/* tcp: and unix: as carriers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "posix/loop/carrier.h"
#include "posix/loop/socket.h"

struct socket_carrier {
    struct pst_carrier base;
    struct pst_address address;
    struct pst_socket socket;
    struct pst_dial dial;
    uv_timer_t timer; /* how long `finish` may take */
    uv_write_t request;
    uv_shutdown_t shutdown;
    bool open, reading, writing, wanted, finishing, closing;
    uint8_t to_close;
    int lost; /* libuv's error of a write: the peer has closed, but its last bytes are still read */
    pst_err why;
    char text[160];
    uint8_t in[PST_CARRIER_READ], out[PST_CARRIER_READ];
};

struct socket_listener {
    struct pst_listener base;
    struct pst_address address;
    struct pst_socket socket;
};

/* --- the end --- */

static void on_closed(uv_handle_t *handle)
{
    struct socket_carrier *c = handle->data;
    if (--c->to_close > 0) {
        return;
    }
    if (c->base.events != NULL) {
        c->base.events->down(c->base.ctx, c->why, c->text);
    }
    free(c);
}

static void close_handles(struct socket_carrier *c)
{
    c->to_close = c->socket.open ? 2 : 1;
    c->socket.io.handle.data = c;
    pst_socket_close(&c->socket, on_closed);
    uv_close((uv_handle_t *)&c->timer, on_closed);
}

static void end(struct socket_carrier *c, pst_err why, const char *text)
{
    if (c->closing) {
        return;
    }
    c->closing = true;
    c->why = why;
    snprintf(c->text, sizeof c->text, "%s", text);
    if (c->dial.busy) {
        pst_dial_cancel(&c->dial); /* on_dialled does the cleanup */
    } else {
        close_handles(c);
    }
}

/* --- the four operations --- */

static void on_written(uv_write_t *request, int status)
{
    struct socket_carrier *c = request->data;

    c->writing = false;
    if (c->closing) {
        return;
    }
    c->lost = status;
    if (c->wanted && !c->finishing && c->base.events->writable != NULL) {
        c->wanted = false;
        c->base.events->writable(c->base.ctx);
    }
}

static size_t write_bytes(struct pst_carrier *base, const uint8_t *bytes, size_t len)
{
    struct socket_carrier *c = (struct socket_carrier *)base;
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)len);

    if (!c->open || c->writing || c->finishing || c->closing) {
        c->wanted = true;
        return 0;
    }
    if (c->lost != 0) { /* discarded; an owner that reads only after it has written continues */
        return len;
    }
    /* It mostly fits, and then no turn of the loop is needed. */
    int n = uv_try_write(&c->socket.io.stream, &buf, 1);
    if (n < 0 && n != UV_EAGAIN) {
        c->lost = n;
        return len;
    }
    size_t sent = n > 0 ? (size_t)n : 0;
    size_t rest = len - sent < sizeof c->out ? len - sent : sizeof c->out;
    if (rest == 0) {
        return sent;
    }
    memcpy(c->out, bytes + sent, rest);
    buf = uv_buf_init((char *)c->out, (unsigned)rest);
    c->request.data = c;
    int rc = uv_write(&c->request, &c->socket.io.stream, &buf, 1, on_written);
    if (rc != 0) {
        end(c, PST_ERR_IO, uv_strerror(rc));
        return sent;
    }
    c->writing = true;
    c->wanted = sent + rest < len;
    return sent + rest;
}

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    struct socket_carrier *c = handle->data;
    (void)hint;
    *buf = uv_buf_init((char *)c->in, sizeof c->in);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct socket_carrier *c = stream->data;

    (void)buf;
    if (got < 0 && c->lost != 0) {
        end(c, PST_ERR_IO, uv_strerror(c->lost));
    } else if (got < 0) {
        end(c, got == UV_EOF ? PST_OK : PST_ERR_IO,
            got == UV_EOF ? "closed by the peer" : uv_strerror((int)got));
    } else if (got > 0 && !c->finishing) {
        c->base.events->receive(c->base.ctx, c->in, (size_t)got);
    }
}

static void read_on_off(struct pst_carrier *base, bool on)
{
    struct socket_carrier *c = (struct socket_carrier *)base;

    if (!c->open || c->finishing || c->closing || on == c->reading) {
        return;
    }
    if (on) {
        c->reading = uv_read_start(&c->socket.io.stream, on_alloc, on_read) == 0;
    } else {
        (void)uv_read_stop(&c->socket.io.stream);
        c->reading = false;
    }
}

static void on_shut(uv_shutdown_t *request, int status)
{
    struct socket_carrier *c = request->data;
    if (status != 0) {
        end(c, PST_OK, "");
    }
}

static void on_timer(uv_timer_t *timer)
{
    end(timer->data, PST_OK, "");
}

/* Sends everything, then waits for the peer to close. Closing first, with unread bytes of the peer,
   would reset the connection and could lose our last bytes. */
static void finish(struct pst_carrier *base)
{
    struct socket_carrier *c = (struct socket_carrier *)base;

    if (c->finishing || c->closing) {
        return;
    }
    if (!c->open) {
        end(c, PST_OK, "");
        return;
    }
    read_on_off(base, true);
    c->finishing = true;
    c->shutdown.data = c;
    if (uv_shutdown(&c->shutdown, &c->socket.io.stream, on_shut) != 0 ||
        uv_timer_start(&c->timer, on_timer, PST_CARRIER_FINISH_MS, 0) != 0) {
        end(c, PST_OK, "");
    }
}

static void close_now(struct pst_carrier *base)
{
    end((struct socket_carrier *)base, PST_OK, "");
}

static const struct pst_carrier_ops ops = {
    .write = write_bytes, .read = read_on_off, .finish = finish, .close = close_now};

/* --- opening --- */

static struct socket_carrier *make(uv_loop_t *loop, const struct pst_address *address)
{
    struct socket_carrier *c = malloc(sizeof *c);

    if (c == NULL) {
        return NULL;
    }
    memset(c, 0, offsetof(struct socket_carrier, in)); /* not the buffers */
    c->base.ops = &ops;
    c->base.traits = &pst_stream_traits;
    c->address = *address;
    snprintf(c->base.peer, sizeof c->base.peer, "%s", address->text);
    if (uv_timer_init(loop, &c->timer) != 0) {
        free(c);
        return NULL;
    }
    c->timer.data = c;
    return c;
}

static void on_dialled(void *ctx, pst_err err, const char *why)
{
    struct socket_carrier *c = ctx;

    if (c->closing) {
        close_handles(c);
    } else if (err != PST_OK) {
        end(c, err, why);
    } else {
        c->socket.io.handle.data = c;
        c->open = true;
        c->base.events->open(c->base.ctx);
    }
}

static pst_err connect_to(uv_loop_t *loop, const struct pst_address *to,
                          const struct pst_carrier_events *events, void *ctx,
                          struct pst_carrier **carrier, char *why, size_t why_cap)
{
    struct socket_carrier *c = make(loop, to);

    if (c == NULL) {
        snprintf(why, why_cap, "link '%s': no memory for a connection", to->text);
        return PST_ERR_IO;
    }
    pst_carrier_own(&c->base, events, ctx);
    c->dial = (struct pst_dial){
        .socket = &c->socket, .address = &c->address, .done = on_dialled, .ctx = c};
    if (pst_dial_start(loop, &c->dial) != PST_OK) {
        end(c, PST_ERR_IO, "no resources for a connection");
    }
    *carrier = &c->base;
    return PST_OK;
}

static void on_peer(uv_stream_t *server, int status)
{
    struct socket_listener *l = server->data;
    struct socket_carrier *c = status == 0 ? make(server->loop, &l->address) : NULL;

    if (c == NULL) {
        return;
    }
    c->open = pst_socket_accept(server, &c->socket, c) == PST_OK;
    if (c->open) {
        l->base.events->peer(l->base.ctx, &c->base);
    }
    if (c->base.events == NULL) {
        end(c, PST_OK, ""); /* libuv accepts no other peer until this one was taken */
    }
}

static void on_listener_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void close_listener(struct pst_listener *base)
{
    struct socket_listener *l = (struct socket_listener *)base;
    if (l->address.local && l->base.place[0] != '\0') {
        (void)unlink(l->address.host);
    }
    l->socket.io.handle.data = l;
    pst_socket_close(&l->socket, on_listener_closed);
}

static pst_err listen_at(uv_loop_t *loop, const struct pst_address *at,
                         const struct pst_listener_events *events, void *ctx,
                         struct pst_listener **listener, char *why, size_t why_cap)
{
    struct socket_listener *l = calloc(1, sizeof *l);

    if (l == NULL) {
        snprintf(why, why_cap, "link '%s': no memory to listen", at->text);
        return PST_ERR_IO;
    }
    l->base = (struct pst_listener){.close = close_listener, .events = events, .ctx = ctx};
    l->address = *at;
    pst_err err = pst_socket_listen(loop, &l->socket, at, on_peer, l, why, why_cap);
    if (err != PST_OK) {
        if (l->socket.open) {
            close_listener(&l->base);
        } else {
            free(l);
        }
        return err;
    }
    if (at->local) {
        snprintf(l->base.place, sizeof l->base.place, "unix:%s", at->host);
    } else {
        bool v6 = strchr(at->host, ':') != NULL;
        snprintf(l->base.place, sizeof l->base.place, v6 ? "tcp:[%s]:%d" : "tcp:%s:%d", at->host,
                 pst_socket_port(&l->socket));
    }
    *listener = &l->base;
    return PST_OK;
}

static pst_err check_tcp(struct pst_address *a, char *why, size_t why_cap)
{
    PST_TRY(pst_address_options(a, NULL, why, why_cap));
    return pst_address_host(a, PST_LINK_PORT, why, why_cap);
}

static pst_err check_unix(struct pst_address *a, char *why, size_t why_cap)
{
    const char *path = strchr(a->text, ':') + 1; /* it may hold commas */

    a->local = true;
    if (*path == '\0') {
        return pst_address_bad(a, "no path", why, why_cap);
    }
    if (strlen(path) >= 108) { /* sun_path of sockaddr_un */
        return pst_address_bad(a, "the path is longer than a socket address holds", why, why_cap);
    }
    snprintf(a->host, sizeof a->host, "%s", path);
    return PST_OK;
}

const struct pst_scheme pst_scheme_tcp = {
    .name = "tcp",
    .form = "tcp:HOST:PORT",
    .summary = "TCP; defaults: 127.0.0.1, port 7606",
    .traits = &pst_stream_traits,
    .check = check_tcp,
    .connect = connect_to,
    .listen = listen_at,
};
const struct pst_scheme pst_scheme_unix = {
    .name = "unix",
    .form = "unix:PATH",
    .summary = "Unix socket; listening creates it, for its owner only",
    .traits = &pst_stream_traits,
    .check = check_unix,
    .connect = connect_to,
    .listen = listen_at,
};
