#include "posix/links/i3c/plug.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "posix/links/i3c/backend.h"

#define AGAIN_MS 500

struct pst_i3c_plug {
    const struct pst_i3c_plug_events *events;
    void *ctx;
    uv_loop_t *loop;
    struct pst_address address; /* of the bus */
    uint64_t id;
    enum pst_i3c_kind kind;
    unsigned khz;
    struct pst_i3c_host *host; /* when it is ours */
    struct pst_i3c_wire wire;
    struct pst_dial dial;
    uv_timer_t again;
    bool attached, closing;
    void (*closed)(void *ctx);
};

static void dial(struct pst_i3c_plug *p);

/* --- losing it --- */

static void on_plug_closed(uv_handle_t *handle)
{
    struct pst_i3c_plug *p = handle->data;
    void (*closed)(void *) = p->closed;
    void *ctx = p->ctx;

    free(p);
    closed(ctx);
}

static void on_again(uv_timer_t *timer)
{
    dial(timer->data);
}

static void on_wire_closed(void *ctx)
{
    struct pst_i3c_plug *p = ctx;

    if (p->closing) {
        uv_close((uv_handle_t *)&p->again, on_plug_closed);
    } else {
        (void)uv_timer_start(&p->again, on_again, AGAIN_MS, 0);
    }
}

static void lose(struct pst_i3c_plug *p, const char *text)
{
    if (p->closing) {
        return;
    }
    p->attached = false;
    pst_i3c_wire_close(&p->wire, on_wire_closed);
    p->events->lost(p->ctx, text);
}

static void on_lost(void *ctx, const char *text)
{
    lose(ctx, text);
}

/* --- attaching --- */

static void on_frame(void *ctx, uint8_t op, const uint8_t *payload, size_t len)
{
    struct pst_i3c_plug *p = ctx;

    if (p->attached) {
        p->events->frame(p->ctx, op, payload, len);
    } else if (op == PST_I3C_OP_ATTACHED && len == 1 && payload[0] == 0) {
        p->attached = true;
        p->events->attached(p->ctx);
    } else if (op == PST_I3C_OP_ATTACHED) {
        lose(p, len == 1 && payload[0] == (uint8_t)-PST_ERR_BUSY
                    ? "another device on the bus has this id"
                    : "the bus has no room for another device");
    }
}

static void on_drained(void *ctx)
{
    struct pst_i3c_plug *p = ctx;
    if (p->attached) {
        p->events->drained(p->ctx);
    }
}

static const struct pst_i3c_wire_events wire_events = {
    .frame = on_frame, .drained = on_drained, .lost = on_lost};

static void on_dialled(void *ctx, pst_err err, const char *why)
{
    struct pst_i3c_plug *p = ctx;
    uint8_t head[9];

    if (p->closing) {
        pst_i3c_wire_close(&p->wire, on_wire_closed);
        return;
    }
    if (err != PST_OK) {
        lose(p, why);
        return;
    }
    pst_i3c_wire_start(&p->wire);
    pst_poke_u64(head, p->id);
    head[8] = (uint8_t)p->kind;
    pst_i3c_wire_send(&p->wire, PST_I3C_OP_ATTACH, head, sizeof head, NULL, 0);
}

static void dial(struct pst_i3c_plug *p)
{
    char why[256];

    if (p->host == NULL && /* its holder has gone: hold it ourselves */
        pst_i3c_host_start(p->loop, p->address.host, p->khz, p->id, &p->host, why, sizeof why) !=
            PST_OK) {
        p->host = NULL;
    }
    if (pst_i3c_wire_init(&p->wire, p->loop, &wire_events, p) != PST_OK) {
        (void)uv_timer_start(&p->again, on_again, AGAIN_MS, 0);
        return;
    }
    p->dial = (struct pst_dial){
        .socket = &p->wire.socket, .address = &p->address, .done = on_dialled, .ctx = p};
    if (pst_dial_start(p->loop, &p->dial) != PST_OK) {
        lose(p, "no resources for a connection");
    }
}

/* --- the owner's --- */

static bool answers(const char *path)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    memcpy(sa.sun_path, path, strnlen(path, sizeof sa.sun_path - 1));
    /* EAGAIN: it listens, but its queue is full */
    const bool yes =
        fd >= 0 && (connect(fd, (const struct sockaddr *)&sa, sizeof sa) == 0 || errno == EAGAIN);
    if (fd >= 0) {
        close(fd);
    }
    return yes;
}

static pst_err make(struct pst_i3c_plug *p, const struct pst_address *at, char *why, size_t why_cap)
{
    const char *path = pst_i3c_model_path(at);
    uint64_t khz = 0;

    PST_TRY(pst_address_number(at, "khz", 1, PST_I3C_KHZ_MAX, &khz, why, why_cap));
    p->khz = (unsigned)khz;
    p->id = pst_i3c_id(at);
    p->address = *at; /* messages quote the link */
    p->address.local = true;
    snprintf(p->address.host, sizeof p->address.host, "%s", path);
    if (answers(path)) {
        return PST_OK;
    }
    const pst_err err = pst_i3c_host_start(p->loop, path, p->khz, p->id, &p->host, why, why_cap);
    return err == PST_ERR_BUSY ? PST_OK : err; /* whoever creates it, connect to it */
}

pst_err pst_i3c_plug_open(uv_loop_t *loop, const struct pst_address *at, enum pst_i3c_kind kind,
                          const struct pst_i3c_plug_events *events, void *ctx,
                          struct pst_i3c_plug **plug, char *why, size_t why_cap)
{
    struct pst_i3c_plug *p = calloc(1, sizeof *p);

    if (p == NULL) {
        snprintf(why, why_cap, "link '%s': no memory to listen", at->text);
        return PST_ERR_IO;
    }
    p->events = events;
    p->ctx = ctx;
    p->loop = loop;
    p->kind = kind;
    const pst_err err = make(p, at, why, why_cap);
    if (err != PST_OK || uv_timer_init(loop, &p->again) != 0) {
        free(p);
        return PST_ERR_IO;
    }
    p->again.data = p;
    dial(p);
    *plug = p;
    return PST_OK;
}

struct pst_i3c_wire *pst_i3c_plug_wire(struct pst_i3c_plug *p)
{
    return p->attached ? &p->wire : NULL;
}

void pst_i3c_plug_close(struct pst_i3c_plug *p, void (*closed)(void *ctx))
{
    if (p->closing) {
        return;
    }
    p->closing = true;
    p->closed = closed;
    if (p->host != NULL) {
        pst_i3c_host_stop(p->host);
    }
    if (p->dial.busy) {
        pst_dial_cancel(&p->dial); /* on_dialled closes the rest */
    } else if (uv_is_active((uv_handle_t *)&p->again)) {
        uv_close((uv_handle_t *)&p->again, on_plug_closed); /* between two attempts */
    } else {
        pst_i3c_wire_close(&p->wire, on_wire_closed);
    }
}
