#include "posix/stub_host.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define SOON_MS 1000 /* a supervisor that ends sooner is not started again */

static void note(struct pst_stub_host *h, const char *text)
{
    if (h->config->note != NULL) {
        h->config->note(h->config->ctx, text);
    }
}

static pst_err start(struct pst_stub_host *h)
{
    const struct pst_stub_host_config *c = h->config;
    h->started_ms = uv_hrtime() / 1000000;
    pst_supervisor_link_init(&h->link, &h->stub);
    return pst_supervisor_start(&h->supervisor, c->program, c->address, c->hold);
}

pst_err pst_stub_host_start(struct pst_stub_host *h, const struct pst_stub_host_config *config)
{
    const struct pst_stub_config stub = {
        .map = config->map,
        .map_len = config->map_len,
        .open = pst_supervisor_open,
        .follow = pst_supervisor_follow,
        .ctx = &h->link,
        .buffer = h->buffer,
        .buffer_len = sizeof h->buffer,
        .hold = config->hold,
    };
    h->config = config;
    PST_TRY(pst_stub_init(&h->stub, &stub));
    return start(h);
}

static void on_closed(uv_handle_t *handle)
{
    struct pst_stub_host *h = handle->data;
    h->writing = false;
    (void)waitpid(h->supervisor.pid, NULL, WNOHANG);
    if (h->closing) {
        return;
    }
    if (uv_hrtime() / 1000000 - h->started_ms < SOON_MS || start(h) != PST_OK ||
        pst_stub_host_attach(h, h->loop) != PST_OK) {
        note(h, "the supervisor of the debug stub has ended and cannot be started again");
    } else {
        note(h, "the supervisor of the debug stub has ended; another one was started");
    }
}

static void gone(struct pst_stub_host *h)
{
    if (h->open) {
        h->open = false;
        pst_supervisor_gone(&h->link);
        uv_close((uv_handle_t *)&h->pipe, on_closed);
    }
}

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    struct pst_stub_host *h = handle->data;
    (void)hint;
    *buf = uv_buf_init((char *)h->in, sizeof h->in);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct pst_stub_host *h = stream->data;
    char text[192];

    (void)buf;
    if (got < 0) {
        gone(h);
        return;
    }
    pst_supervisor_receive(&h->link, h->in, (size_t)got);
    if (h->link.why_len > 0 && strcmp(h->told, h->link.why) != 0) {
        snprintf(h->told, sizeof h->told, "%s", h->link.why);
        snprintf(text, sizeof text, "debug stub: %s", h->link.why);
        note(h, text);
    }
}

static void on_written(uv_write_t *req, int status)
{
    struct pst_stub_host *h = req->data;
    h->writing = false;
    if (status != 0) {
        gone(h);
    } else {
        pst_stub_host_flush(h);
    }
}

void pst_stub_host_flush(struct pst_stub_host *h)
{
    struct pst_bytes p;
    while (h->open && !h->writing && (p = pst_supervisor_pending(&h->link)).len > 0) {
        size_t n = p.len < sizeof h->out ? p.len : sizeof h->out;
        memcpy(h->out, p.at, n);
        pst_supervisor_sent(&h->link, n);
        uv_buf_t buf = uv_buf_init((char *)h->out, (unsigned)n);
        int sent = uv_try_write((uv_stream_t *)&h->pipe, &buf, 1);
        if (sent == (int)n) {
            continue;
        }
        size_t at = sent > 0 ? (size_t)sent : 0;
        buf = uv_buf_init((char *)h->out + at, (unsigned)(n - at));
        h->write.data = h;
        h->writing = true;
        if (uv_write(&h->write, (uv_stream_t *)&h->pipe, &buf, 1, on_written) != 0) {
            h->writing = false;
            gone(h);
        }
    }
}

pst_err pst_stub_host_attach(struct pst_stub_host *h, uv_loop_t *loop)
{
    h->loop = loop;
    if (uv_pipe_init(loop, &h->pipe, 0) != 0) {
        return PST_ERR_IO;
    }
    h->pipe.data = h;
    h->open = true;
    if (uv_pipe_open(&h->pipe, h->supervisor.fd) != 0 ||
        uv_read_start((uv_stream_t *)&h->pipe, on_alloc, on_read) != 0) {
        gone(h);
        return PST_ERR_IO;
    }
    return PST_OK;
}

void pst_stub_host_close(struct pst_stub_host *h)
{
    h->closing = true;
    gone(h);
}

/* --- memory of several --- */

static const struct pst_file_memory *file_at(const struct pst_memory *m, uint64_t address)
{
    for (size_t i = 0; i < m->count; i++) {
        if (address >= m->files[i].base && address - m->files[i].base < m->files[i].size) {
            return &m->files[i];
        }
    }
    return NULL;
}

static struct pst_space space_at(struct pst_memory *m, uint64_t address)
{
    const struct pst_file_memory *file = file_at(m, address);
    if (file != NULL) {
        return pst_file_memory_space(&m->files[file - m->files]);
    }
    return m->stub;
}

static uint8_t right(void *ctx, uint64_t address, bool write)
{
    const struct pst_space space = space_at(ctx, address);
    if (space.right != NULL) {
        return space.right(space.ctx, address, write);
    }
    return write ? PST_RIGHT_WRITE : PST_RIGHT_READ; /* it answers a fault, to whom that is told */
}

static pst_err perform(void *ctx, struct pst_access *a)
{
    const struct pst_space space = space_at(ctx, a->address);
    return space.perform != NULL ? space.perform(space.ctx, a) : PST_ERR_FAULT;
}

static void cancel(void *ctx)
{
    struct pst_memory *m = ctx;
    if (m->stub.cancel != NULL) {
        m->stub.cancel(m->stub.ctx);
    }
}

static pst_err enable(void *ctx, bool on, const struct pst_gate *gate)
{
    struct pst_memory *m = ctx;
    return m->stub.enable != NULL ? m->stub.enable(m->stub.ctx, on, gate) : PST_OK;
}

static size_t event(void *ctx, uint8_t *out, size_t cap)
{
    struct pst_memory *m = ctx;
    return m->stub.event != NULL ? m->stub.event(m->stub.ctx, out, cap) : 0;
}

struct pst_space pst_memory_space(struct pst_memory *m)
{
    if (m->count == 0) {
        return m->stub;
    }
    return (struct pst_space){
        .ctx = m,
        .right = right,
        .perform = perform,
        .cancel = cancel,
        .enable = enable,
        .event = event,
        .urgent_first = 1,
        .urgent_last = 0,
    };
}
