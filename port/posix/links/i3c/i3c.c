/* i3c: the DTS is the controller of a bus: the engine of postern/i3c.h on a backend. The side of
   the TS is device.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "posix/links/i3c/backend.h"
#include "posix/links/i3c/device.h"
#include "posix/loop/carrier.h"

#define SEND_BUFFER 8192
#define STEPS 64 /* of the engine, before others on the loop get a turn */

struct controller {
    struct pst_carrier base;
    struct pst_i3c_backend *backend;
    struct pst_i3c_debugger engine;
    uv_timer_t timer;
    uv_idle_t soon;     /* a turn as soon as everybody else on the loop had one */
    uint64_t finish_ms; /* when it has taken long enough; 0: not finishing */
    bool ready, reading, wanted, ending, running;
    bool over; /* the link; input received before is still delivered, then `why` and `text` */
    uint8_t to_close;
    pst_err why;
    char text[200];
    uint8_t send[SEND_BUFFER], receive[PST_LINK_MIN_MESSAGE];
};

/* --- the end --- */

static void closed_one(void *ctx)
{
    struct controller *c = ctx;

    if (--c->to_close == 0) {
        c->base.events->down(c->base.ctx, c->why, c->text);
        free(c);
    }
}

static void on_handle_closed(uv_handle_t *handle)
{
    closed_one(handle->data);
}

static void stop(struct controller *c)
{
    c->ending = true;
    c->to_close = 3;
    uv_close((uv_handle_t *)&c->timer, on_handle_closed);
    uv_close((uv_handle_t *)&c->soon, on_handle_closed);
    c->backend->close(c->backend, closed_one);
}

static void end(struct controller *c, pst_err why, const char *text)
{
    if (c->ending) {
        return;
    }
    c->why = why;
    snprintf(c->text, sizeof c->text, "%s", text);
    stop(c);
}

/* Ends once all earlier input was delivered. The first reason counts. */
static void be_over(struct controller *c, pst_err why, const char *text)
{
    if (c->over || c->ending) {
        return;
    }
    c->over = c->backend->over = true;
    c->why = why;
    snprintf(c->text, sizeof c->text, "%s", text);
}

static const char *text_of(const struct controller *c, pst_err why)
{
    switch ((int)why) {
    case PST_ERR_TIMEOUT:
        return c->ready ? "the target stopped answering"
                        : "no target with this id answers on the bus";
    case PST_ERR_UNSUPPORTED:
        return "the device is not a known debug adaptor, or has no message port";
    case PST_ERR_PEER:
        return "the debug adaptor reports that it failed to start";
    case PST_ERR_CLOSED:
        return "closed by the target";
    case PST_ERR_FAULT:
        return "the device was unplugged";
    default:
        return pst_err_text(why);
    }
}

/* --- a turn: transfers, then the owner's events --- */

/* Whether there was something, and so is room in the engine now. */
static bool give(struct controller *c)
{
    uint8_t bytes[PST_I3C_MAX];
    size_t len = 1;
    bool any = false;

    while (!c->ending && len > 0 && (c->reading || c->finish_ms > 0)) {
        len = pst_i3c_debugger_get(&c->engine, bytes, sizeof bytes);
        any = any || len > 0;
        if (len > 0 && c->finish_ms == 0) {
            c->base.events->receive(c->base.ctx, bytes, len);
        }
    }
    return any;
}

static void ask(struct controller *c)
{
    if (!c->ending && c->ready && c->wanted && c->finish_ms == 0 &&
        (c->over || pst_i3c_debugger_room(&c->engine) >= SEND_BUFFER / 2)) {
        c->wanted = false;
        if (c->base.events->writable != NULL) {
            c->base.events->writable(c->base.ctx);
        }
    }
}

static void come_up(struct controller *c)
{
    if (!c->ready && !c->ending && pst_i3c_debugger_is_up(&c->engine)) {
        c->ready = true;
        c->base.events->open(c->base.ctx);
    }
}

static void on_timer(uv_timer_t *timer);
static void kick(struct controller *c);

/* When to run the next turn. */
static uint32_t step(struct controller *c)
{
    uint32_t wait = 1;

    if (c->over) {
        return wait;
    }
    uv_update_time(c->timer.loop);
    const pst_err err = pst_i3c_debugger_step(&c->engine, uv_now(c->timer.loop), &wait);
    if (err != PST_OK) { /* closed, by us or by the target */
        be_over(c, err == PST_ERR_CLOSED ? PST_OK : err, text_of(c, err));
    }
    return wait;
}

/* Input received before the end was delivered, or waits until its owner reads again. */
static void maybe_stop(struct controller *c)
{
    if (c->finish_ms > 0 || !pst_i3c_debugger_has_bytes(&c->engine)) {
        stop(c);
    } else if (c->reading) { /* since a moment ago */
        kick(c);
    }
}

static void turn(struct controller *c)
{
    uint32_t wait = 0;

    if (c->running || c->ending) {
        return;
    }
    c->running = true;
    for (int i = 0; i < STEPS && wait == 0 && !c->ending; i++) {
        wait = step(c);
        come_up(c);
        if (give(c)) {
            wait = 0; /* that of an engine without room */
        }
        ask(c);
    }
    c->running = false;
    if (c->ending) {
        return;
    }
    if (c->over) {
        maybe_stop(c);
        return;
    }
    if (c->finish_ms > 0 && uv_now(c->timer.loop) >= c->finish_ms) {
        end(c, PST_OK, "");
    }
    /* What waits for the bus is woken by it; the rest of the time limit of `finish` apart. */
    if (c->backend->waits) {
        wait = 500;
    }
    if (wait == 0) {
        kick(c);
    } else if (!c->ending) {
        (void)uv_timer_start(&c->timer, on_timer, wait, 0);
    }
}

static void on_timer(uv_timer_t *timer)
{
    turn(timer->data);
}

static void on_soon(uv_idle_t *soon)
{
    (void)uv_idle_stop(soon);
    turn(soon->data);
}

static void kick(struct controller *c)
{
    if (!c->running && !c->ending) {
        (void)uv_idle_start(&c->soon, on_soon);
    }
}

static void on_woken(void *ctx)
{
    turn(ctx);
}

static void on_lost(void *ctx, const char *text)
{
    be_over(ctx, PST_ERR_IO, text);
    turn(ctx);
}

static const struct pst_i3c_backend_events backend_events = {.woken = on_woken, .lost = on_lost};

/* --- the four operations --- */

static size_t write_bytes(struct pst_carrier *base, const uint8_t *bytes, size_t len)
{
    struct controller *c = (struct controller *)base;
    size_t n = 0;

    if (c->over &&
        !c->ending) { /* discarded, but its owner must continue in order to read the rest */
        return len;
    }
    if (c->ready && !c->ending) {
        n = pst_i3c_debugger_put(&c->engine, bytes, len);
    }
    c->wanted = n < len;
    if (n > 0) {
        kick(c);
    }
    return n;
}

static void read_on_off(struct pst_carrier *base, bool on)
{
    struct controller *c = (struct controller *)base;

    if (on && !c->reading) {
        kick(c);
    }
    c->reading = on;
}

static void finish(struct pst_carrier *base)
{
    struct controller *c = (struct controller *)base;

    if (c->finish_ms > 0 || c->ending) {
        return;
    }
    if (!c->ready) {
        end(c, PST_OK, "");
        return;
    }
    c->finish_ms = uv_now(c->timer.loop) + PST_CARRIER_FINISH_MS;
    pst_i3c_debugger_close(&c->engine);
    kick(c);
}

static void close_now(struct pst_carrier *base)
{
    end((struct controller *)base, PST_OK, "");
}

static const struct pst_carrier_ops ops = {
    .write = write_bytes, .read = read_on_off, .finish = finish, .close = close_now};

/* --- opening --- */

static void forget(void *ctx)
{
    free(ctx);
}

static pst_err start(struct controller *c, uv_loop_t *loop, const struct pst_address *to, char *why,
                     size_t why_cap)
{
    uint8_t stream;

    if (uv_random(NULL, NULL, &stream, sizeof stream, 0, NULL) != 0) {
        snprintf(why, why_cap, "no random numbers");
        return PST_ERR_RANDOM;
    }
    PST_TRY(pst_i3c_backend_open(loop, to, &backend_events, c, &c->backend, why, why_cap));
    const struct pst_i3c_debugger_config config = {
        .bus = c->backend->bus,
        .buffers = {c->send, sizeof c->send, c->receive, sizeof c->receive},
        .id = pst_i3c_id(to),
        .port = PST_I3C_PORT_MESSAGES,
        .stream = stream,
    };
    if (pst_i3c_debugger_init(&c->engine, &config, uv_now(loop)) != PST_OK ||
        uv_timer_init(loop, &c->timer) != 0 || uv_idle_init(loop, &c->soon) != 0) {
        snprintf(why, why_cap, "no resources for a bus");
        c->backend->close(c->backend, forget);
        return PST_PENDING; /* freed later */
    }
    return PST_OK;
}

static pst_err connect_to(uv_loop_t *loop, const struct pst_address *to,
                          const struct pst_carrier_events *events, void *ctx,
                          struct pst_carrier **carrier, char *why, size_t why_cap)
{
    struct controller *c = calloc(1, sizeof *c);
    char what[160] = "no memory for a connection";
    const pst_err err = c != NULL ? start(c, loop, to, what, sizeof what) : PST_ERR_IO;

    if (err != PST_OK) {
        snprintf(why, why_cap, "link '%s': %s", to->text, what);
        if (err != PST_PENDING) {
            free(c);
        }
        return PST_ERR_IO;
    }
    c->base.ops = &ops;
    c->base.traits = &pst_i3c_traits;
    snprintf(c->base.peer, sizeof c->base.peer, "%s", to->text);
    pst_carrier_own(&c->base, events, ctx);
    c->timer.data = c->soon.data = c;
    kick(c);
    *carrier = &c->base;
    return PST_OK;
}

static pst_err listen_at(uv_loop_t *loop, const struct pst_address *at,
                         const struct pst_listener_events *events, void *ctx,
                         struct pst_listener **listener, char *why, size_t why_cap)
{
    return pst_i3c_device_listen(loop, at, events, ctx, listener, why, why_cap);
}

static pst_err check(struct pst_address *a, char *why, size_t why_cap)
{
    static const char *const options[] = {"id", "khz", NULL};

    PST_TRY(pst_address_options(a, options, why, why_cap));
    PST_TRY(pst_i3c_check(a, why, why_cap));
    if (a->listen && pst_i3c_model_path(a) == NULL) {
        return pst_address_bad(a, "Linux has no device for the target side of I3C", why, why_cap);
    }
    return PST_OK;
}

struct finding {
    void (*found)(void *ctx, const char *link, const char *what);
    void *ctx;
};

static void on_found(void *ctx, const char *path)
{
    struct finding *f = ctx;
    char link[PST_ADDRESS_TEXT];

    snprintf(link, sizeof link, "i3c:%s", path);
    f->found(f->ctx, link, "a MIPI debug adaptor on I3C");
}

static void present(void (*found)(void *ctx, const char *link, const char *what), void *ctx)
{
    struct finding f = {found, ctx};
    pst_i3c_debug_present(on_found, &f);
}

const struct pst_scheme pst_scheme_i3c = {
    .name = "i3c",
    .form = "i3c:/dev/i3c-debug-N or i3c:model:PATH[,id=N]",
    .summary = "MIPI debug over I3C, as controller; a target listens on a modelled bus",
    .traits = &pst_i3c_traits,
    .check = check,
    .connect = connect_to,
    .listen = listen_at,
    .present = present,
};
