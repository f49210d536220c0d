/* A controller's view of a modelled bus in another process. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "posix/links/i3c/backend.h"
#include "posix/links/i3c/wire.h"

enum { IBIS = 16 };
enum state { IDLE, WAITING, DONE };

struct i3c_client {
    struct pst_i3c_backend base;
    struct pst_i3c_bus bus;
    struct pst_address address;
    struct pst_i3c_wire wire;
    struct pst_dial dial;
    void (*closed)(void *ctx);
    void *closed_ctx;
    bool connected, closing;
    enum state state;
    uint8_t answer[PST_I3C_MAX + 1];
    size_t answer_len;
    struct pst_i3c_ibi ibis[IBIS];
    size_t ibi_count;
};

/* --- transfers --- */

/* Sends a request, or returns the answer to it: PST_OK, with what was read in `*got`. */
static pst_err transfer(struct i3c_client *c, uint8_t op, const uint8_t *head, size_t head_len,
                        const uint8_t *body, size_t body_len, struct pst_bytes *got)
{
    if (!c->connected || c->state == WAITING) {
        c->base.waits = true;
        return PST_PENDING;
    }
    if (c->state == IDLE) {
        c->state = WAITING;
        c->base.waits = true;
        pst_i3c_wire_send(&c->wire, op, head, head_len, body, body_len);
        return PST_PENDING;
    }
    c->state = IDLE;
    *got = (struct pst_bytes){c->answer + 1, c->answer_len - 1};
    return (pst_err) - (int)c->answer[0];
}

static pst_err find(void *ctx, uint64_t id, uint8_t *address)
{
    uint8_t head[8];
    struct pst_bytes got;

    pst_poke_u64(head, id);
    PST_TRY(transfer(ctx, PST_I3C_OP_FIND, head, sizeof head, NULL, 0, &got));
    if (got.len != 1) {
        return PST_ERR_IO;
    }
    *address = got.at[0];
    return PST_OK;
}

static pst_err ccc(void *ctx, uint8_t address, struct pst_i3c_ccc *c)
{
    const uint8_t head[] = {address, c->code, c->defining, (uint8_t)c->read_cap};
    struct pst_bytes got;

    PST_TRY(transfer(ctx, PST_I3C_OP_CCC, head, sizeof head, c->write, c->write_len, &got));
    c->read_len = got.len < c->read_cap ? got.len : c->read_cap;
    if (c->read_len > 0) {
        memcpy(c->read, got.at, c->read_len);
    }
    return PST_OK;
}

static pst_err private_write(void *ctx, uint8_t address, const uint8_t *data, size_t len)
{
    struct pst_bytes got;
    return transfer(ctx, PST_I3C_OP_WRITE, &address, 1, data, len, &got);
}

static pst_err private_read(void *ctx, uint8_t address, uint8_t *out, size_t cap, size_t *len)
{
    struct pst_bytes got;

    PST_TRY(transfer(ctx, PST_I3C_OP_READ, &address, 1, NULL, 0, &got));
    *len = got.len < cap ? got.len : cap;
    memcpy(out, got.at, *len);
    return PST_OK;
}

static pst_err poll_ibi(void *ctx, uint8_t address, struct pst_i3c_ibi *ibi)
{
    struct i3c_client *c = ctx;

    (void)address; /* the bus sends only those of the target found last */
    if (c->ibi_count == 0) {
        return PST_PENDING;
    }
    *ibi = c->ibis[0];
    c->ibi_count--;
    memmove(c->ibis, c->ibis + 1, c->ibi_count * sizeof c->ibis[0]);
    return PST_OK;
}

static pst_err reset(void *ctx, uint8_t address, uint8_t action)
{
    const uint8_t head[] = {address, action};
    struct pst_bytes got;
    return transfer(ctx, PST_I3C_OP_RESET, head, sizeof head, NULL, 0, &got);
}

/* --- frames --- */

static void wake(struct i3c_client *c)
{
    c->base.waits = false;
    if (!c->closing) {
        c->base.events->woken(c->base.ctx);
    }
}

static void on_frame(void *ctx, uint8_t op, const uint8_t *at, size_t len)
{
    struct i3c_client *c = ctx;

    if (op == PST_I3C_OP_DONE && c->state == WAITING && len > 0 && len <= sizeof c->answer) {
        memcpy(c->answer, at, len);
        c->answer_len = len;
        c->state = DONE;
        wake(c);
    } else if (op == PST_I3C_OP_IBI && c->ibi_count < IBIS && len <= PST_I3C_MAX) {
        struct pst_i3c_ibi *ibi = &c->ibis[c->ibi_count++];
        memcpy(ibi->bytes, at, len);
        ibi->len = len;
        if (c->state != WAITING) { /* otherwise the answer wakes us, soon */
            wake(c);
        }
    }
}

static void on_lost(void *ctx, const char *text)
{
    struct i3c_client *c = ctx;
    if (!c->closing) {
        c->base.events->lost(c->base.ctx, text);
    }
}

static const struct pst_i3c_wire_events wire_events = {.frame = on_frame, .lost = on_lost};

/* --- opening and closing --- */

static void on_closed(void *ctx)
{
    struct i3c_client *c = ctx;
    void (*closed)(void *) = c->closed;
    void *closed_ctx = c->closed_ctx;

    free(c);
    closed(closed_ctx);
}

static void close_client(struct pst_i3c_backend *b, void (*closed)(void *ctx))
{
    struct i3c_client *c = (struct i3c_client *)b;

    c->closing = true;
    c->closed = closed;
    c->closed_ctx = b->ctx;
    if (c->dial.busy) {
        pst_dial_cancel(&c->dial); /* on_dialled closes the rest */
    } else {
        pst_i3c_wire_close(&c->wire, on_closed);
    }
}

static void forget(void *ctx)
{
    (void)ctx;
}

static void on_dialled(void *ctx, pst_err err, const char *why)
{
    struct i3c_client *c = ctx;

    if (c->closing) {
        pst_i3c_wire_close(&c->wire, on_closed);
    } else if (err != PST_OK) {
        char text[200];
        snprintf(text, sizeof text, "no modelled bus at this path: %s", why);
        c->base.events->lost(c->base.ctx, text);
    } else {
        pst_i3c_wire_start(&c->wire);
        pst_i3c_wire_send(&c->wire, PST_I3C_OP_LOOK, NULL, 0, NULL, 0);
        c->connected = true;
        wake(c);
    }
}

pst_err pst_i3c_client_open(uv_loop_t *loop, const char *path,
                            const struct pst_i3c_backend_events *events, void *ctx,
                            struct pst_i3c_backend **backend)
{
    struct i3c_client *c = calloc(1, sizeof *c);

    if (c == NULL || pst_i3c_wire_init(&c->wire, loop, &wire_events, c) != PST_OK) {
        free(c);
        return PST_ERR_IO;
    }
    c->bus = (struct pst_i3c_bus){
        .ctx = c,
        .find = find,
        .ccc = ccc,
        .write = private_write,
        .read = private_read,
        .poll_ibi = poll_ibi,
        .reset = reset,
    };
    c->base = (struct pst_i3c_backend){
        .bus = &c->bus, .events = events, .ctx = ctx, .waits = true, .close = close_client};
    c->address.local = true;
    snprintf(c->address.host, sizeof c->address.host, "%s", path);
    snprintf(c->address.text, sizeof c->address.text, "model:%s", path);
    c->dial = (struct pst_dial){
        .socket = &c->wire.socket, .address = &c->address, .done = on_dialled, .ctx = c};
    if (pst_dial_start(loop, &c->dial) != PST_OK) {
        close_client(&c->base, forget);
        return PST_ERR_IO;
    }
    *backend = &c->base;
    return PST_OK;
}
