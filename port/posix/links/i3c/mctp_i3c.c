/* mctp-i3c: the reliable link in MCTP packets (postern/mctp_link.h), one a private transfer on I3C
 * (postern/mctp_i3c.h). Only on a modelled bus: Linux has no device that gives a program raw MCTP
 * packets on I3C; its own driver makes a network interface of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "posix/links/i3c/backend.h"
#include "posix/links/i3c/plug.h"
#include "posix/loop/carrier_reliable.h"
#include "postern/links/mctp_i3c.h"
#include "postern/links/mctp_link.h"

#define CALLER_EID 8 /* the lowest EID that may be assigned */
#define LISTENER_EID 9
#define DATAGRAM(packets) ((packets)*PST_MCTP_BASELINE - PST_MCTP_LINK_HEAD)
/* At first, and on a bus that loses much: with one packet of a datagram all of it is lost. */
#define FIRST_MTU DATAGRAM(4)
#define MTU DATAGRAM(16)
#define MOST_RTO_MS 1000 /* there is no queue on the way that waiting longer could relieve */
#define UNIT_MOST (PST_MCTP_I3C_PACKET - PST_MCTP_HEADER)
#define BUFFER 65536
#define PAUSE_MS 500
#define STEPS 64

struct mctp_listener;

struct end {
    struct pst_rcarrier rc;
    struct pst_mctp_link mctp;
    struct mctp_listener *listener; /* NULL: a caller */
    struct pst_i3c_backend *backend;
    struct pst_mctp_i3c_controller controller;
    uint64_t step_ms; /* when to poll the bus again */
    uint8_t work[PST_MCTP_LINK_WORK(MTU)];
};

struct mctp_listener {
    struct pst_listener base;
    struct pst_address address;
    struct pst_reliable_door door; /* for every caller: a cookie may come between two of them */
    uv_loop_t *loop;
    struct pst_i3c_plug *plug;
    struct end *end; /* waits for a caller, or has one */
    bool closed, closing, lost;
};

/* --- packets --- */

static void input(struct end *e, struct pst_bytes packet)
{
    (void)pst_mctp_link_input(&e->mctp, packet.at, packet.len, pst_rcarrier_now());
}

/* The caller's engine fills its queue, and the bus does what it can without waiting. */
static void drive(struct end *e)
{
    uint8_t packet[PST_MCTP_I3C_PACKET];
    struct pst_bytes got;
    uint32_t wait = 0;
    pst_err err = PST_OK;
    size_t len;

    for (int i = 0; i < STEPS && wait == 0 && err == PST_OK; i++) {
        while (pst_mctp_i3c_controller_receive(&e->controller, &got) == PST_OK) {
            input(e, got);
            pst_rcarrier_kick(&e->rc); /* a turn delivers what has come */
        }
        const uint64_t now = pst_rcarrier_now(); /* never earlier than the time given to input */
        while (pst_mctp_i3c_controller_room(&e->controller) &&
               (len = pst_mctp_link_output(&e->mctp, packet, sizeof packet, now)) > 0) {
            (void)!pst_mctp_i3c_controller_send(&e->controller, packet, len);
        }
        err = pst_mctp_i3c_controller_step(&e->controller, now, &wait);
        e->step_ms = now + wait;
    }
    if (err != PST_OK && !e->rc.ending) {
        pst_rcarrier_fail(&e->rc, err,
                          err == PST_ERR_TIMEOUT ? "no target with this id answers on the bus"
                                                 : pst_err_text(err));
    }
}

static void answer(struct end *e)
{
    struct pst_i3c_wire *wire = pst_i3c_plug_wire(e->listener->plug);
    uint8_t packet[PST_MCTP_I3C_PACKET];
    size_t len;

    while (wire != NULL && pst_i3c_wire_queued(wire) < PST_I3C_WIRE_QUEUE &&
           (len = pst_mctp_link_output(&e->mctp, packet, sizeof packet, pst_rcarrier_now())) > 0) {
        pst_i3c_wire_send(wire, PST_I3C_OP_PACKET, packet, len, NULL, 0);
    }
}

/* --- the hop --- */

static void flush(struct pst_rcarrier *rc)
{
    struct end *e = (struct end *)rc;

    if (e->listener == NULL) {
        drive(e);
    } else {
        answer(e);
    }
}

static uint64_t wake(const struct pst_rcarrier *rc)
{
    const struct end *e = (const struct end *)rc;
    const uint64_t at = pst_mctp_link_wake(&e->mctp);

    if (e->listener == NULL && !e->backend->waits && e->step_ms < at) {
        return e->step_ms;
    }
    return at;
}

static void silence(const struct pst_rcarrier *rc, char *text, size_t cap)
{
    (void)rc;
    snprintf(text, cap, "the device does not speak Postern over MCTP");
}

static void opened(struct pst_rcarrier *rc)
{
    const struct end *e = (struct end *)rc;

    if (e->listener == NULL) {
        rc->base.events->open(rc->base.ctx);
        return;
    }
    if (!e->listener->closed) {
        e->listener->base.events->peer(e->listener->base.ctx, &rc->base);
    }
    if (rc->base.events == NULL) {
        pst_carrier_close(&rc->base);
    }
}

static void on_backend_closed(void *ctx)
{
    struct end *e = ctx;
    pst_rcarrier_free(&e->rc);
}

static void next_caller(struct mctp_listener *l);

static void release(struct pst_rcarrier *rc)
{
    struct end *e = (struct end *)rc;

    if (e->listener == NULL) {
        e->backend->close(e->backend, on_backend_closed);
        return;
    }
    next_caller(e->listener);
    pst_rcarrier_free(rc);
}

static const struct pst_rcarrier_hop hop = {
    .flush = flush, .wake = wake, .opened = opened, .silence = silence, .release = release};

/* --- an end --- */

static pst_err open_link(struct end *e, const struct pst_reliable_door *door,
                         const struct pst_address *a)
{
    const bool listens = door != NULL;
    struct pst_reliable_config link = {.target = listens, .mtu_first = FIRST_MTU, .mtu_most = MTU};
    struct pst_mctp_link_config config = {
        .listens = listens, .eid = listens ? LISTENER_EID : CALLER_EID, .pause_ms = PAUSE_MS};
    uint64_t unit = PST_MCTP_BASELINE;
    char why[160];

    PST_TRY(pst_address_number(a, "unit", PST_MCTP_BASELINE, UNIT_MOST, &unit, why, sizeof why));
    if (listens) {
        config.door = *door;
    }
    link.timing = pst_mctp_line_timing(0, MTU, (size_t)unit, NULL);
    link.timing.most_rto = MOST_RTO_MS;
    PST_TRY(pst_rcarrier_buffers(&e->rc, &link, BUFFER, BUFFER));
    config.link = link;
    config.unit = (size_t)unit;
    config.work = e->work;
    config.work_len = sizeof e->work;
    return pst_mctp_link_open(&e->mctp, &config, pst_rcarrier_now());
}

/* `door`: of a listener; NULL: calls. */
static struct end *make(uv_loop_t *loop, const struct pst_reliable_door *door,
                        const struct pst_address *a)
{
    struct end *e = calloc(1, sizeof *e);

    if (e == NULL || open_link(e, door, a) != PST_OK ||
        pst_rcarrier_init(&e->rc, loop, &hop, &e->mctp.link, &pst_i3c_traits) != PST_OK) {
        if (e != NULL) {
            free(e->rc.memory);
        }
        free(e);
        return NULL;
    }
    snprintf(e->rc.base.peer, sizeof e->rc.base.peer, "%s", a->text);
    return e;
}

/* --- calling --- */

static void on_woken(void *ctx)
{
    struct end *e = ctx;

    e->step_ms = 0;
    pst_rcarrier_turn(&e->rc);
}

static void on_bus_lost(void *ctx, const char *text)
{
    struct end *e = ctx;
    pst_rcarrier_fail(&e->rc, PST_ERR_IO, text);
}

static const struct pst_i3c_backend_events backend_events = {.woken = on_woken,
                                                             .lost = on_bus_lost};

static void forget(void *ctx)
{
    (void)ctx;
}

static pst_err connect_to(uv_loop_t *loop, const struct pst_address *to,
                          const struct pst_carrier_events *events, void *ctx,
                          struct pst_carrier **carrier, char *why, size_t why_cap)
{
    struct end *e = make(loop, NULL, to);

    snprintf(why, why_cap, "link '%s': no resources for a connection", to->text);
    if (e == NULL) {
        return PST_ERR_IO;
    }
    if (pst_i3c_backend_open(loop, to, &backend_events, e, &e->backend, why, why_cap) != PST_OK) {
        pst_rcarrier_free(&e->rc);
        return PST_ERR_IO;
    }
    if (pst_mctp_i3c_controller_init(&e->controller, e->backend->bus, pst_i3c_id(to)) != PST_OK) {
        e->backend->close(e->backend, forget);
        pst_rcarrier_free(&e->rc);
        return PST_ERR_IO;
    }
    pst_carrier_own(&e->rc.base, events, ctx);
    pst_rcarrier_kick(&e->rc);
    *carrier = &e->rc.base;
    return PST_OK;
}

/* --- listening --- */

static void on_plug_closed(void *ctx)
{
    free(ctx);
}

/* The last caller has gone: accept another one, or stop listening. */
static void next_caller(struct mctp_listener *l)
{
    l->end = l->closed ? NULL : make(l->loop, &l->door, &l->address);
    if (l->end != NULL) {
        l->end->listener = l;
        pst_rcarrier_kick(&l->end->rc);
    } else if (l->closed && !l->closing) {
        l->closing = true;
        pst_i3c_plug_close(l->plug, on_plug_closed);
    }
}

static void note(struct mctp_listener *l, const char *text)
{
    if (!l->closed && l->base.events->note != NULL) {
        l->base.events->note(l->base.ctx, text);
    }
}

static void on_attached(void *ctx)
{
    struct mctp_listener *l = ctx;

    if (l->lost) {
        note(l, "back on the bus");
    }
    l->lost = false;
}

static void on_frame(void *ctx, uint8_t op, const uint8_t *payload, size_t len)
{
    const struct mctp_listener *l = ctx;

    if (op == PST_I3C_OP_PACKET && l->end != NULL) {
        input(l->end, (struct pst_bytes){payload, len});
        pst_rcarrier_turn(&l->end->rc);
    }
}

static void on_drained(void *ctx)
{
    const struct mctp_listener *l = ctx;

    if (l->end != NULL) {
        pst_rcarrier_turn(&l->end->rc);
    }
}

static void on_lost(void *ctx, const char *text)
{
    struct mctp_listener *l = ctx;

    if (l->end != NULL && l->end->rc.open) {
        pst_rcarrier_fail(&l->end->rc, PST_ERR_IO, text);
    }
    if (!l->lost) {
        note(l, text);
    }
    l->lost = true;
}

static const struct pst_i3c_plug_events plug_events = {
    .attached = on_attached, .frame = on_frame, .drained = on_drained, .lost = on_lost};

static void close_listener(struct pst_listener *base)
{
    struct mctp_listener *l = (struct mctp_listener *)base;

    l->closed = true;
    if (l->end == NULL) {
        next_caller(l);
    } else if (!l->end->rc.open) {
        pst_rcarrier_fail(&l->end->rc, PST_OK, "");
    }
}

static pst_err listen_at(uv_loop_t *loop, const struct pst_address *at,
                         const struct pst_listener_events *events, void *ctx,
                         struct pst_listener **listener, char *why, size_t why_cap)
{
    struct mctp_listener *l = calloc(1, sizeof *l);

    snprintf(why, why_cap, "link '%s': no memory to listen", at->text);
    if (l == NULL || uv_random(NULL, NULL, l->door.key, sizeof l->door.key, 0, NULL) != 0) {
        free(l);
        return PST_ERR_IO;
    }
    l->base = (struct pst_listener){.close = close_listener, .events = events, .ctx = ctx};
    l->address = *at;
    l->loop = loop;
    const pst_err err =
        pst_i3c_plug_open(loop, at, PST_I3C_KIND_MCTP, &plug_events, l, &l->plug, why, why_cap);
    if (err != PST_OK) {
        free(l);
        return err;
    }
    snprintf(l->base.place, sizeof l->base.place, "mctp-i3c:%.400s,id=0x%012llx", at->place,
             (unsigned long long)pst_i3c_id(at));
    next_caller(l);
    *listener = &l->base;
    return PST_OK;
}

static pst_err check(struct pst_address *a, char *why, size_t why_cap)
{
    static const char *const options[] = {"id", "khz", "unit", NULL};
    uint64_t unit = PST_MCTP_BASELINE;

    PST_TRY(pst_address_options(a, options, why, why_cap));
    PST_TRY(pst_i3c_check(a, why, why_cap));
    if (pst_i3c_model_path(a) == NULL) {
        return pst_address_bad(a, "Linux does not let programs send MCTP packets on I3C", why,
                               why_cap);
    }
    return pst_address_number(a, "unit", PST_MCTP_BASELINE, UNIT_MOST, &unit, why, why_cap);
}

const struct pst_scheme pst_scheme_mctp_i3c = {
    .name = "mctp-i3c",
    .form = "mctp-i3c:model:PATH[,id=N][,unit=N]",
    .summary = "MCTP on I3C (DSP0233), on a modelled bus, with retransmission inside",
    .traits = &pst_i3c_traits,
    .check = check,
    .connect = connect_to,
    .listen = listen_at,
};
