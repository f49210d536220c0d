#include "posix/bridge.h"

#include <stdio.h>
#include <stdlib.h>

#define BUFFER 65536

struct bridge {
    uv_loop_t *loop;
    const struct pst_bridge_config *config;
    struct pst_socket listener;
    const struct pst_address *far; /* where the other side is called */
    unsigned connections;
};

struct pair;

/* One direction: what `from` sends goes to `to`. */
struct way {
    struct pair *pair;
    struct pst_socket *from, *to;
    uv_write_t write;
    uv_shutdown_t shutdown;
    size_t len;
    bool ended;
    uint8_t buffer[BUFFER];
};

struct pair {
    struct bridge *bridge;
    struct pst_socket near, far;
    struct pst_dial dial;
    struct pst_pcapng_flow flow;
    struct way out, back;
    unsigned number;
    int open; /* sockets and the dial that still need this memory */
    bool closing;
};

static void note(struct pair *p, const char *what, const char *detail)
{
    char text[512];
    const struct pst_bridge_config *config = p->bridge->config;
    (void)snprintf(text, sizeof text, "connection %u: %s%s%s", p->number, what,
                   detail != NULL ? ": " : "", detail != NULL ? detail : "");
    if (config->note != NULL) {
        config->note(config->ctx, text);
    }
}

static void release(struct pair *p)
{
    if (--p->open == 0) {
        free(p);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct way *way = handle->data;
    release(way->pair);
}

static void close_pair(struct pair *p, const char *why, const char *detail)
{
    if (p->closing) {
        return;
    }
    p->closing = true;
    note(p, why, detail);
    pst_socket_close(&p->near, on_closed);
    if (p->dial.busy) {
        pst_dial_cancel(&p->dial);
    } else {
        pst_socket_close(&p->far, on_closed);
    }
}

static void start_reading(struct way *way);

static void on_written(uv_write_t *request, int status)
{
    struct way *way = request->data;
    if (status < 0) {
        close_pair(way->pair, "broken", uv_strerror(status));
    } else if (!way->pair->closing) {
        start_reading(way);
    }
}

static void on_shut(uv_shutdown_t *request, int status)
{
    struct way *way = request->data;
    struct pair *p = way->pair;
    if (status < 0 || (p->out.ended && p->back.ended)) {
        close_pair(p, "ended", NULL);
    }
}

static void on_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct way *way = handle->data;
    (void)suggested;
    *buf = uv_buf_init((char *)way->buffer, sizeof way->buffer);
}

static void end_way(struct way *way)
{
    way->ended = true;
    way->shutdown.data = way;
    (void)uv_read_stop(&way->from->io.stream);
    if (uv_shutdown(&way->shutdown, &way->to->io.stream, on_shut) < 0) {
        close_pair(way->pair, "ended", NULL);
    }
}

static void capture(struct way *way)
{
    struct pair *p = way->pair;
    struct pst_pcapng *file = p->bridge->config->capture;
    if (file != NULL &&
        pst_pcapng_data(file, &p->flow, way == &p->out, way->buffer, way->len) != PST_OK) {
        close_pair(p, "the capture cannot be written", "passing nothing unrecorded");
    }
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct way *way = stream->data;
    (void)buf;
    if (got == 0) {
        return;
    }
    if (got == UV_EOF) {
        end_way(way);
        return;
    }
    if (got < 0) {
        close_pair(way->pair, "broken", uv_strerror((int)got));
        return;
    }
    way->len = (size_t)got;
    (void)uv_read_stop(stream);
    capture(way);
    if (way->pair->closing) {
        return;
    }
    uv_buf_t out = uv_buf_init((char *)way->buffer, (unsigned)way->len);
    way->write.data = way;
    if (uv_write(&way->write, &way->to->io.stream, &out, 1, on_written) < 0) {
        close_pair(way->pair, "broken", NULL);
    }
}

static void start_reading(struct way *way)
{
    if (uv_read_start(&way->from->io.stream, on_buffer, on_read) < 0) {
        close_pair(way->pair, "broken", NULL);
    }
}

static void on_dialed(void *ctx, pst_err err, const char *why)
{
    struct pair *p = ctx;
    if (err != PST_OK) {
        close_pair(p, "the other side cannot be reached", why);
        release(p); /* the far socket is closed already */
        return;
    }
    p->far.io.handle.data = &p->back;
    note(p, "joined", NULL);
    start_reading(&p->out);
    if (!p->closing) {
        start_reading(&p->back);
    }
}

static void on_peer(uv_stream_t *listener, int status)
{
    struct bridge *b = listener->data;
    struct pair *p = status < 0 ? NULL : calloc(1, sizeof *p);
    if (p == NULL) {
        return;
    }
    p->bridge = b;
    p->number = ++b->connections;
    p->flow.port = (uint16_t)(40000 + p->number % 20000);
    p->out.pair = p->back.pair = p;
    p->out.from = p->back.to = &p->near;
    p->out.to = p->back.from = &p->far;
    p->open = 2;
    if (pst_socket_accept(listener, &p->near, &p->out) != PST_OK) {
        p->open = p->near.open ? 1 : 0;
        pst_socket_close(&p->near, on_closed);
        if (p->open == 0) {
            free(p);
        }
        return;
    }
    p->dial.socket = &p->far;
    p->dial.address = b->far;
    p->dial.done = on_dialed;
    p->dial.ctx = p;
    if (pst_dial_start(b->loop, &p->dial) != PST_OK) {
        p->open = 1;
        p->closing = true;
        note(p, "the other side cannot be called", b->far->text);
        pst_socket_close(&p->near, on_closed);
    }
}

pst_err pst_bridge_run(uv_loop_t *loop, const struct pst_bridge_config *config, char *why,
                       size_t why_cap)
{
    struct bridge bridge = {.loop = loop, .config = config};

    if (config->a.listen == config->b.listen) {
        (void)snprintf(why, why_cap,
                       "%s and %s: exactly one has to listen (tcp-listen:…, unix-listen:…)",
                       config->a.text, config->b.text);
        return PST_ERR_ARGUMENT;
    }
    const struct pst_address *near = config->a.listen ? &config->a : &config->b;
    bridge.far = config->a.listen ? &config->b : &config->a;
    PST_TRY(pst_socket_listen(loop, &bridge.listener, near, on_peer, &bridge, why, why_cap));
    (void)uv_run(loop, UV_RUN_DEFAULT);
    return PST_OK;
}
