#include "posix/host/stub_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOON_MS 1000 /* a supervisor that ends sooner than this is not restarted */
#define TELL_MS 3    /* a step that takes less is reported together with its end */

static void note(struct pst_stub_host *h, const char *text)
{
    if (h->config->note != NULL) {
        h->config->note(h->config->ctx, text);
    }
}

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

static void wait_for(struct pst_stub_host *h, bool writable);

static void on_stream(uv_poll_t *poll, int status, int events)
{
    struct pst_stub_host *h = poll->data;
    if (status != 0 || (events & UV_READABLE) != 0) {
        wait_for(h, pst_supervisor_read(&h->link)); /* also reports what is wrong */
    } else {
        pst_stub_host_flush(h);
    }
}

static void wait_for(struct pst_stub_host *h, bool writable)
{
    if (h->stream != NULL && h->writing != writable) {
        h->writing = writable;
        (void)uv_poll_start(h->stream, UV_READABLE | (writable ? UV_WRITABLE : 0), on_stream);
    }
}

/* The stub's stream can be opened and closed repeatedly. Its handle is closed in the next turn of
   the loop. */
static void watch(void *ctx, int fd, bool on)
{
    struct pst_stub_host *h = ctx;
    if (h->stream != NULL) {
        uv_close((uv_handle_t *)h->stream, free_handle);
    }
    h->stream = on ? calloc(1, sizeof *h->stream) : NULL;
    if (h->stream == NULL) {
        return;
    }
    if (uv_poll_init(h->loop, h->stream, fd) != 0) {
        free(h->stream);
        h->stream = NULL;
        return;
    }
    h->stream->data = h;
    h->writing = true;
    wait_for(h, false);
}

static pst_err start(struct pst_stub_host *h)
{
    const struct pst_stub_host_config *c = h->config;
    h->started_ms = uv_hrtime() / 1000000;
    PST_TRY(pst_supervisor_start(&h->supervisor, c->program, c->address, c->hold));
    pst_supervisor_link_init(&h->link, &h->stub, h->supervisor.fd);
    h->link.watch = watch;
    h->link.ctx = h;
    return PST_OK;
}

pst_err pst_stub_host_start(struct pst_stub_host *h, const struct pst_stub_host_config *config)
{
    const struct pst_stub_config stub = {
        .map = config->map,
        .map_len = config->map_len,
        .open = pst_supervisor_open,
        .ctx = &h->link,
        .buffer = h->buffer,
        .buffer_len = sizeof h->buffer,
        .hold = config->hold,
        .defer_resume = true,
    };
    h->config = config;
    PST_TRY(pst_stub_init(&h->stub, &stub));
    return start(h);
}

static void on_closed(uv_handle_t *handle)
{
    struct pst_stub_host *h = handle->data;
    close(h->supervisor.fd);
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
        uv_close((uv_handle_t *)&h->tell, NULL);
        uv_close((uv_handle_t *)&h->control, on_closed);
    }
}

static void on_control(uv_poll_t *poll, int status, int events)
{
    struct pst_stub_host *h = poll->data;
    char text[192];

    (void)events;
    if (status != 0 || !pst_supervisor_heard(&h->link)) {
        gone(h);
        return;
    }
    if (h->link.why[0] != '\0' && strcmp(h->told, h->link.why) != 0) {
        snprintf(h->told, sizeof h->told, "%s", h->link.why);
        snprintf(text, sizeof text, "debug stub: %s", h->link.why);
        note(h, text);
    }
}

static void on_tell(uv_timer_t *timer)
{
    struct pst_stub_host *h = timer->data;
    pst_stub_answer_now(&h->stub);
}

void pst_stub_host_flush(struct pst_stub_host *h)
{
    if (!h->open) {
        return;
    }
    wait_for(h, pst_supervisor_write(&h->link));
    if (!pst_stub_deferred(&h->stub)) {
        (void)uv_timer_stop(&h->tell);
    } else if (!uv_is_active((uv_handle_t *)&h->tell)) {
        uv_update_time(h->loop);
        (void)uv_timer_start(&h->tell, on_tell, TELL_MS, 0);
    }
}

pst_err pst_stub_host_attach(struct pst_stub_host *h, uv_loop_t *loop)
{
    h->loop = loop;
    if (uv_poll_init(loop, &h->control, h->supervisor.fd) != 0 ||
        uv_timer_init(loop, &h->tell) != 0) {
        return PST_ERR_IO;
    }
    h->control.data = h->tell.data = h;
    h->open = true;
    if (uv_poll_start(&h->control, UV_READABLE, on_control) != 0) {
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

/* --- memory from several sources --- */

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
    return write ? PST_RIGHT_WRITE
                 : PST_RIGHT_READ; /* it answers with a fault, which the reader is told */
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
