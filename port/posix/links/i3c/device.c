#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "posix/links/i3c/backend.h"
#include "posix/links/i3c/device.h"
#include "posix/links/i3c/plug.h"

#define PIECE 1024 /* bytes of a frame */

struct stream;

struct device {
    struct pst_listener base;
    struct pst_address address;
    uv_loop_t *loop;
    struct pst_i3c_plug *plug;
    struct stream *stream; /* the current one */
    bool deaf;             /* the listener was closed; the stream continues */
    bool closing, lost;
};

struct stream {
    struct pst_carrier base;
    struct device *device;
    uv_timer_t timer; /* the end, soon or after PST_CARRIER_FINISH_MS */
    uint8_t number;
    bool wanted, finishing, ending;
    pst_err why;
    char text[160];
};

/* --- the end of a stream --- */

static void on_device_closed(void *ctx)
{
    free(ctx);
}

static void maybe_close(struct device *d)
{
    if (d->deaf && d->stream == NULL && !d->closing) {
        d->closing = true;
        pst_i3c_plug_close(d->plug, on_device_closed);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct stream *s = handle->data;

    if (s->base.events != NULL) {
        s->base.events->down(s->base.ctx, s->why, s->text);
    }
    free(s);
}

/* From the loop or not: `down` comes later. The next stream need not wait for it. */
static void end(struct stream *s, pst_err why, const char *text)
{
    struct device *d = s->device;

    if (s->ending) {
        return;
    }
    s->ending = true;
    s->why = why;
    snprintf(s->text, sizeof s->text, "%s", text);
    d->stream = NULL;
    struct pst_i3c_wire *wire = pst_i3c_plug_wire(d->plug);
    if (wire != NULL) {
        pst_i3c_wire_read(wire, true);
    }
    uv_close((uv_handle_t *)&s->timer, on_closed);
    maybe_close(d);
}

/* Tells the DTS. */
static void say_end(const struct device *d, uint8_t number)
{
    struct pst_i3c_wire *wire = pst_i3c_plug_wire(d->plug);

    if (wire != NULL) {
        pst_i3c_wire_send(wire, PST_I3C_OP_END, &number, 1, NULL, 0);
    }
}

/* --- the four operations --- */

static size_t write_bytes(struct pst_carrier *base, const uint8_t *bytes, size_t len)
{
    struct stream *s = (struct stream *)base;
    struct pst_i3c_wire *wire = s->ending ? NULL : pst_i3c_plug_wire(s->device->plug);
    size_t at = 0;

    if (s->finishing) {
        return 0;
    }
    while (wire != NULL && at < len && pst_i3c_wire_queued(wire) < PST_I3C_WIRE_QUEUE) {
        const size_t n = len - at < PIECE ? len - at : PIECE;
        pst_i3c_wire_send(wire, PST_I3C_OP_DATA, &s->number, 1, bytes + at, n);
        at += n;
    }
    s->wanted = at < len;
    return at;
}

static void read_on_off(struct pst_carrier *base, bool on)
{
    const struct stream *s = (const struct stream *)base;
    struct pst_i3c_wire *wire = s->ending ? NULL : pst_i3c_plug_wire(s->device->plug);

    if (wire != NULL && !s->finishing) {
        pst_i3c_wire_read(wire, on);
    }
}

static void on_timer(uv_timer_t *timer)
{
    end(timer->data, PST_OK, "");
}

/* The bus sends END when everything has arrived. */
static void finish(struct pst_carrier *base)
{
    struct stream *s = (struct stream *)base;

    if (s->finishing || s->ending) {
        return;
    }
    read_on_off(base, true);
    s->finishing = true;
    say_end(s->device, s->number);
    (void)uv_timer_start(&s->timer, on_timer, PST_CARRIER_FINISH_MS, 0);
}

static void close_now(struct pst_carrier *base)
{
    struct stream *s = (struct stream *)base;

    if (!s->ending) {
        say_end(s->device, s->number);
        end(s, PST_OK, "");
    }
}

static const struct pst_carrier_ops ops = {
    .write = write_bytes, .read = read_on_off, .finish = finish, .close = close_now};

/* --- messages from the bus --- */

static struct stream *make(struct device *d, uint8_t number)
{
    struct stream *s = calloc(1, sizeof *s);

    if (s == NULL || uv_timer_init(d->loop, &s->timer) != 0) {
        free(s);
        return NULL;
    }
    s->timer.data = s;
    s->base.ops = &ops;
    s->base.traits = &pst_i3c_traits;
    s->device = d;
    s->number = number;
    snprintf(s->base.peer, sizeof s->base.peer, "%s", d->address.text);
    return s;
}

static void on_open(struct device *d, uint8_t number)
{
    struct pst_i3c_wire *wire = pst_i3c_plug_wire(d->plug);

    if (d->stream != NULL) {
        end(d->stream, PST_OK, "another debugger connected");
    }
    struct stream *s = d->deaf ? NULL : make(d, number);
    if (s == NULL) {
        say_end(d, number);
        return;
    }
    pst_i3c_wire_read(wire, false);
    d->stream = s;
    d->base.events->peer(d->base.ctx, &s->base);
    if (s->base.events == NULL) {
        close_now(&s->base);
    }
}

static void on_frame(void *ctx, uint8_t op, const uint8_t *at, size_t len)
{
    struct device *d = ctx;
    struct stream *s = d->stream;

    if (op == PST_I3C_OP_OPEN && len == 1) {
        on_open(d, at[0]);
    } else if (s == NULL || len < 1 || at[0] != s->number) {
        return; /* of an earlier stream */
    } else if (op == PST_I3C_OP_END) {
        end(s, PST_OK, s->finishing ? "" : "closed by the debugger");
    } else if (op == PST_I3C_OP_DATA && !s->finishing) {
        s->base.events->receive(s->base.ctx, at + 1, len - 1);
    }
}

static void on_drained(void *ctx)
{
    const struct device *d = ctx;
    struct stream *s = d->stream;

    if (s != NULL && s->wanted && !s->finishing && s->base.events->writable != NULL) {
        s->wanted = false;
        s->base.events->writable(s->base.ctx);
    }
}

static void note(struct device *d, const char *text)
{
    char line[PST_ADDRESS_TEXT + 200];

    if (!d->deaf && d->base.events->note != NULL) {
        snprintf(line, sizeof line, "link '%s': %s", d->address.text, text);
        d->base.events->note(d->base.ctx, line);
    }
}

static void on_attached(void *ctx)
{
    struct device *d = ctx;

    if (d->lost) {
        note(d, "back on the bus");
    }
    d->lost = false;
}

static void on_lost(void *ctx, const char *text)
{
    struct device *d = ctx;

    if (d->stream != NULL) {
        end(d->stream, PST_ERR_IO, text);
    }
    if (!d->lost) {
        note(d, text);
    }
    d->lost = true;
}

static const struct pst_i3c_plug_events plug_events = {
    .attached = on_attached, .frame = on_frame, .drained = on_drained, .lost = on_lost};

/* --- listening --- */

static void close_listener(struct pst_listener *base)
{
    struct device *d = (struct device *)base;
    d->deaf = true;
    maybe_close(d);
}

pst_err pst_i3c_device_listen(uv_loop_t *loop, const struct pst_address *at,
                              const struct pst_listener_events *events, void *ctx,
                              struct pst_listener **listener, char *why, size_t why_cap)
{
    struct device *d = calloc(1, sizeof *d);

    if (d == NULL) {
        snprintf(why, why_cap, "link '%s': no memory to listen", at->text);
        return PST_ERR_IO;
    }
    d->base = (struct pst_listener){.close = close_listener, .events = events, .ctx = ctx};
    d->address = *at;
    d->loop = loop;
    const pst_err err =
        pst_i3c_plug_open(loop, at, PST_I3C_KIND_DEBUG, &plug_events, d, &d->plug, why, why_cap);
    if (err != PST_OK) {
        free(d);
        return err;
    }
    snprintf(d->base.place, sizeof d->base.place, "i3c:%.400s,id=0x%012llx", at->place,
             (unsigned long long)pst_i3c_id(at));
    *listener = &d->base;
    return PST_OK;
}
