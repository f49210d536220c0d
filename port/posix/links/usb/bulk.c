#include "posix/links/usb/bulk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pst_usb_carrier {
    struct pst_carrier base;
    struct pst_usb_bulk *bulk; /* NULL: it has ended */
    bool reading, wanted, finishing, told, close;
    uint64_t deadline; /* of `finish` */
    pst_err why;
    char text[160];
};

static void pump(struct pst_usb_bulk *b);

static void on_timer(uv_timer_t *timer)
{
    pump(timer->data);
}

/* Operations must not call back: their events are delivered in the next turn of the loop. */
static void soon(struct pst_usb_bulk *b)
{
    if (!b->closing) {
        (void)uv_timer_start(&b->timer, on_timer, 0, 0);
    }
}

/* --- transfers --- */

static struct pst_usb_slot *free_write(struct pst_usb_bulk *b)
{
    struct pst_usb_slot *slot = &b->writes[b->next_write];
    return b->running && !slot->busy ? slot : NULL;
}

static bool start_write(struct pst_usb_bulk *b, struct pst_usb_slot *slot)
{
    slot->busy = b->mover->write(b->ctx, slot);
    if (slot->busy) {
        b->next_write = (b->next_write + 1) % PST_USB_WRITES;
    } else {
        b->running = false;
    }
    return slot->busy;
}

static void start_reads(struct pst_usb_bulk *b)
{
    while (b->running) {
        struct pst_usb_slot *slot = &b->reads[b->next_read];
        if (slot->busy || slot->held) {
            return;
        }
        slot->busy = b->mover->read(b->ctx, slot);
        if (!slot->busy) {
            b->running = false;
            return;
        }
        b->next_read = (b->next_read + 1) % PST_USB_READS;
    }
}

static bool writes_idle(const struct pst_usb_bulk *b)
{
    for (unsigned i = 0; i < PST_USB_WRITES; i++) {
        if (b->writes[i].busy) {
            return false;
        }
    }
    return true;
}

bool pst_usb_bulk_idle(const struct pst_usb_bulk *b)
{
    for (unsigned i = 0; i < PST_USB_READS; i++) {
        if (b->reads[i].busy) {
            return false;
        }
    }
    return writes_idle(b);
}

bool pst_usb_bulk_used(const struct pst_usb_bulk *b)
{
    return b->carrier != NULL;
}

/* --- the carrier's end --- */

static void end_carrier(struct pst_usb_bulk *b, pst_err why, const char *text)
{
    struct pst_usb_carrier *c = b->carrier;

    if (c == NULL) {
        return;
    }
    b->carrier = NULL;
    c->bulk = NULL;
    c->why = why;
    snprintf(c->text, sizeof c->text, "%s", text);
    b->mover->ended(b->ctx, &c->base, c->told);
}

void pst_usb_bulk_end(struct pst_usb_bulk *b, pst_err why, const char *text)
{
    pst_usb_pipe_drop(&b->pipe);
    end_carrier(b, why, text);
}

void pst_usb_carrier_down(struct pst_carrier *base, const char *text)
{
    struct pst_usb_carrier *c = (struct pst_usb_carrier *)base;

    if (text != NULL) {
        snprintf(c->text, sizeof c->text, "%s", text);
    }
    if (base->events != NULL) {
        base->events->down(base->ctx, c->why, c->text);
    }
    free(c);
}

/* The owner's requests, once they can be done. */
static void settle(struct pst_usb_bulk *b)
{
    struct pst_usb_carrier *c = b->carrier;

    if (c == NULL) {
        return;
    }
    if (c->close) {
        pst_usb_pipe_close(&b->pipe);
        end_carrier(b, PST_OK, "");
        return;
    }
    if (!c->finishing) {
        return;
    }
    if (b->pipe.open && !c->told) {
        pst_usb_pipe_close(&b->pipe); /* after everything taken, which is in transfers already */
        c->told = true;
    } else if (!b->pipe.open && pst_usb_pipe_wake(&b->pipe) != 0 && writes_idle(b)) {
        end_carrier(b, PST_OK, "");
    } else if (uv_now(b->loop) >= c->deadline) {
        c->told = false; /* still sent, once the peer takes the bytes before it */
        end_carrier(b, PST_OK, "");
    }
}

/* --- operations --- */

static size_t write_bytes(struct pst_carrier *base, const uint8_t *bytes, size_t len)
{
    struct pst_usb_carrier *c = (struct pst_usb_carrier *)base;
    struct pst_usb_bulk *b = c->bulk;
    size_t all = 0;

    if (b == NULL || c->finishing || c->close) {
        return 0;
    }
    while (all < len) {
        struct pst_usb_slot *slot = free_write(b);
        size_t taken = 0;
        if (slot != NULL) {
            pst_usb_pipe_send(&b->pipe, bytes + all, len - all, slot->buffer, sizeof slot->buffer,
                              &taken, &slot->len);
        }
        if (taken == 0) {
            break;
        }
        if (!start_write(b, slot)) {
            b->broken = true; /* a number is used up */
            soon(b);
            return all;
        }
        all += taken;
    }
    c->wanted = all < len;
    return all;
}

static void read_on_off(struct pst_carrier *base, bool on)
{
    struct pst_usb_carrier *c = (struct pst_usb_carrier *)base;

    if (c->bulk != NULL && !c->finishing && on != c->reading) {
        c->reading = on;
        soon(c->bulk);
    }
}

static void finish(struct pst_carrier *base)
{
    struct pst_usb_carrier *c = (struct pst_usb_carrier *)base;

    if (c->bulk == NULL || c->finishing) {
        return;
    }
    c->finishing = true;
    c->close = c->close || !c->bulk->pipe.open;
    c->deadline = uv_now(c->bulk->loop) + PST_CARRIER_FINISH_MS;
    soon(c->bulk);
}

static void close_now(struct pst_carrier *base)
{
    struct pst_usb_carrier *c = (struct pst_usb_carrier *)base;

    if (c->bulk != NULL) {
        c->close = true;
        soon(c->bulk);
    }
}

static const struct pst_carrier_ops ops = {
    .write = write_bytes, .read = read_on_off, .finish = finish, .close = close_now};

struct pst_carrier *pst_usb_bulk_carrier(struct pst_usb_bulk *b)
{
    struct pst_usb_carrier *c = calloc(1, sizeof *c);

    if (c == NULL) {
        return NULL;
    }
    c->base.ops = &ops;
    c->base.traits = &pst_usb_traits;
    snprintf(c->base.peer, sizeof c->base.peer, "%s", b->name);
    c->bulk = b;
    b->carrier = c;
    return &c->base;
}

/* --- what arrives --- */

static void on_opened(struct pst_usb_bulk *b)
{
    if (!b->pipe.device) {
        if (b->carrier != NULL) {
            b->carrier->base.events->open(b->carrier->base.ctx);
        }
        return;
    }
    end_carrier(b, PST_ERR_CLOSED, "the host began a new connection");
    struct pst_carrier *c = pst_usb_bulk_carrier(b);
    if (c != NULL) {
        b->mover->opened(b->ctx, c);
    }
    if (c == NULL) {
        pst_usb_pipe_close(&b->pipe);
    } else if (c->events == NULL) {
        close_now(c);
    }
}

static void look_at(struct pst_usb_bulk *b, const struct pst_usb_slot *slot)
{
    struct pst_usb_carrier *c = b->carrier;
    const bool was_open = b->pipe.open;
    struct pst_bytes bytes;

    switch (pst_usb_pipe_receive(&b->pipe, uv_now(b->loop), slot->buffer, slot->len, &bytes)) {
    case PST_USB_OPENED:
        on_opened(b);
        break;
    case PST_USB_BYTES:
        if (c != NULL && !c->finishing && !c->close) {
            c->base.events->receive(c->base.ctx, bytes.at, bytes.len);
        }
        break;
    case PST_USB_CLOSED:
        end_carrier(b, was_open ? PST_OK : PST_ERR_BUSY,
                    was_open ? "closed by the peer" : "the device accepts no connection now");
        break;
    case PST_USB_LOST:
        end_carrier(b, PST_ERR_CLOSED, "bytes were lost: the peer was reset");
        break;
    case PST_USB_NOTHING:
        break;
    }
}

/* May received data be processed? Not while the owner of the stream does not read. */
static bool hears(const struct pst_usb_bulk *b)
{
    const struct pst_usb_carrier *c = b->carrier;
    return c == NULL || !b->pipe.open || c->reading || c->finishing || c->close;
}

static void look(struct pst_usb_bulk *b)
{
    while (b->reads[b->next_held].held && hears(b) && !b->closing) {
        struct pst_usb_slot *slot = &b->reads[b->next_held];
        look_at(b, slot);
        slot->held = false;
        b->next_held = (b->next_held + 1) % PST_USB_READS;
        start_reads(b);
    }
}

/* --- events of the pipe --- */

static void end_silent(struct pst_usb_bulk *b)
{
    end_carrier(b, PST_ERR_TIMEOUT,
                b->pipe.device ? "nothing is received from the host any more"
                               : "the device does not answer");
}

static void say(struct pst_usb_bulk *b)
{
    struct pst_usb_slot *slot;

    if (pst_usb_pipe_is_dead(&b->pipe, uv_now(b->loop))) {
        pst_usb_pipe_drop(&b->pipe);
        end_silent(b); /* found even while all writes are stuck, because of that */
    }
    while ((slot = free_write(b)) != NULL) {
        const pst_err err =
            pst_usb_pipe_output(&b->pipe, uv_now(b->loop), slot->buffer, &slot->len);
        if (err == PST_ERR_TIMEOUT) {
            end_silent(b);
        }
        if (err != PST_OK || !start_write(b, slot)) {
            return;
        }
    }
}

static void sleep_until_due(struct pst_usb_bulk *b)
{
    const uint64_t now = uv_now(b->loop);
    uint64_t due = pst_usb_pipe_wake(&b->pipe);

    if (due == 0 || (!b->pipe.device && free_write(b) == NULL)) {
        /* A transfer that ends brings us back; if none does, is the host alive? */
        due = b->pipe.device && b->pipe.open ? now + PST_USB_ALIVE_MS : UINT64_MAX;
    }
    if (b->carrier != NULL && b->carrier->finishing && b->carrier->deadline < due) {
        due = b->carrier->deadline;
    }
    if (due == UINT64_MAX) {
        (void)uv_timer_stop(&b->timer);
    } else {
        (void)uv_timer_start(&b->timer, on_timer, due > now ? due - now : 0, 0);
    }
}

static void offer_room(struct pst_usb_bulk *b)
{
    struct pst_usb_carrier *c = b->carrier;

    if (c != NULL && c->wanted && !c->finishing && !c->close && b->pipe.open &&
        c->base.events->writable != NULL && free_write(b) != NULL) {
        c->wanted = false;
        c->base.events->writable(c->base.ctx);
    }
}

static void pump(struct pst_usb_bulk *b)
{
    if (b->closing) {
        return;
    }
    b->mover->news(b->ctx);
    if (b->broken) {
        b->broken = false;
        pst_usb_bulk_end(b, PST_ERR_IO, "a transfer could not be started");
    }
    (void)uv_timer_stop(&b->timer); /* before what follows, which may ask for a turn */
    start_reads(b);
    look(b);
    settle(b);
    say(b);
    settle(b);
    offer_room(b);
    if (!b->closing &&
        (!uv_is_active((uv_handle_t *)&b->timer) || uv_timer_get_due_in(&b->timer) != 0)) {
        sleep_until_due(b);
    }
}

void pst_usb_bulk_moved(struct pst_usb_slot *slot, bool failed, size_t len)
{
    struct pst_usb_bulk *b = slot->bulk;
    const bool was_read = slot >= b->reads && slot < b->reads + PST_USB_READS;

    slot->busy = false;
    if (was_read) {
        slot->len = failed ? 0 : len; /* of none: no transfer at all */
        slot->held = true;
    }
    if (failed) {
        b->running = false;
    }
    pump(b);
}

void pst_usb_bulk_heard(struct pst_usb_bulk *b)
{
    pst_usb_pipe_heard(&b->pipe, uv_now(b->loop));
    soon(b);
}

void pst_usb_bulk_go(struct pst_usb_bulk *b)
{
    b->running = true;
    soon(b);
}

/* --- opening and closing --- */

pst_err pst_usb_bulk_init(struct pst_usb_bulk *b, uv_loop_t *loop,
                          const struct pst_usb_mover *mover, void *ctx, const char *name)
{
    memset(b, 0, offsetof(struct pst_usb_bulk, reads));
    b->mover = mover;
    b->ctx = ctx;
    b->loop = loop;
    snprintf(b->name, sizeof b->name, "%s", name);
    for (unsigned i = 0; i < PST_USB_READS + PST_USB_WRITES; i++) {
        struct pst_usb_slot *slot =
            i < PST_USB_READS ? &b->reads[i] : &b->writes[i - PST_USB_READS];
        memset(slot, 0, offsetof(struct pst_usb_slot, buffer));
        slot->bulk = b;
    }
    if (uv_timer_init(loop, &b->timer) != 0) {
        return PST_ERR_IO;
    }
    b->timer.data = b;
    return PST_OK;
}

void pst_usb_bulk_close(struct pst_usb_bulk *b, uv_close_cb closed)
{
    b->closing = true;
    b->running = false;
    uv_close((uv_handle_t *)&b->timer, closed);
}
