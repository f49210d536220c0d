#include "posix/bridge/bridge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALL_FIRST_MS 500 /* pause before both sides are called again, at first */
#define CALL_MOST_MS 30000
#define LEAVE_MS 1000 /* wait for the end of an earlier connection */

struct pair;

/* One side of a connection, with the bytes received from it that the other side has not taken. */
struct end {
    struct pair *pair;
    struct pst_carrier *carrier; /* NULL: not connected yet, or closed */
    bool open, gone;
    size_t at, len;
    uint8_t buffer[PST_CARRIER_CHUNK];
};

struct pair {
    struct bridge *bridge;
    struct pair *next, **link; /* of all */
    struct pst_pcapng_flow flow;
    unsigned number;
    bool waits;  /* waits for a peer at the other listener */
    bool queued; /* waits for the end of the connection that uses the other side */
    bool failed;
    uint64_t since_ms;  /* this side was accepted */
    struct end ends[2]; /* [0]: the side that was accepted or called first */
};

struct bridge {
    uv_loop_t *loop;
    const struct pst_bridge_config *config;
    struct pst_listener *listeners[2]; /* of a and of b */
    struct pair *pairs;
    uv_timer_t timer; /* next call: of both sides, or of one that is queued */
    uint64_t pause_ms;
    unsigned connections, count;
    bool stopping;
};

static const struct pst_carrier_events events;

static void say(const struct bridge *b, const char *text)
{
    if (b->config->note != NULL) {
        b->config->note(b->config->ctx, text);
    }
}

static void note(const struct pair *p, const char *what, const char *detail)
{
    char text[2 * PST_ADDRESS_TEXT];
    bool more = detail != NULL && detail[0] != '\0';

    (void)snprintf(text, sizeof text, "connection %u: %s%s%s", p->number, what, more ? ": " : "",
                   more ? detail : "");
    say(p->bridge, text);
}

static struct end *other(struct end *e)
{
    return e == &e->pair->ends[0] ? &e->pair->ends[1] : &e->pair->ends[0];
}

/* --- the two ends --- */

static void on_timer(uv_timer_t *timer);
static void call_queued(uv_timer_t *timer);

static void release(struct pair *p)
{
    struct bridge *b = p->bridge;

    *p->link = p->next;
    if (p->next != NULL) {
        p->next->link = p->link;
    }
    b->count--;
    free(p);
    if (b->stopping) {
        return;
    }
    if (b->listeners[0] == NULL && b->listeners[1] == NULL) {
        (void)uv_timer_start(&b->timer, on_timer, b->pause_ms, 0);
        b->pause_ms = b->pause_ms * 2 < CALL_MOST_MS ? b->pause_ms * 2 : CALL_MOST_MS;
    } else { /* not from here: the carrier releases its device only after it is down */
        (void)uv_timer_start(&b->timer, call_queued, 0, 0);
    }
}

static void fail(struct pair *p, const char *what, const char *detail)
{
    if (!p->failed) {
        p->failed = true;
        note(p, what, detail);
    }
    for (size_t i = 0; i < 2; i++) {
        if (p->ends[i].carrier != NULL) {
            pst_carrier_close(p->ends[i].carrier);
        }
    }
}

/* Forwards what `from` has received. Then more may arrive, or the other side may end as well. */
static void forward(struct end *from)
{
    struct end *to = other(from);

    if (to->carrier == NULL || !to->open) {
        return;
    }
    if (from->at < from->len) {
        from->at += pst_carrier_write(to->carrier, from->buffer + from->at, from->len - from->at);
    }
    if (from->at < from->len) {
        if (from->carrier != NULL) { /* otherwise the next bytes would overtake it */
            pst_carrier_read(from->carrier, false);
        }
        return;
    }
    if (from->gone) {
        pst_carrier_finish(to->carrier);
    } else if (from->carrier != NULL && from->open) {
        pst_carrier_read(from->carrier, true);
    }
}

static bool capture(struct end *e, const uint8_t *bytes, size_t len)
{
    struct pair *p = e->pair;
    struct pst_pcapng *file = p->bridge->config->capture;

    if (file == NULL || pst_pcapng_data(file, &p->flow, e == &p->ends[0], bytes, len) == PST_OK) {
        return true;
    }
    fail(p, "the capture cannot be written", "nothing is passed on unrecorded");
    return false;
}

/* Before the other side exists. Reading continues until the buffer is full, so that an end is
   noticed. */
static void keep(struct end *e, const uint8_t *bytes, size_t len)
{
    if (len > sizeof e->buffer - e->len) {
        fail(e->pair, "closed", "the peer sent too much before the other side was connected");
        return;
    }
    memcpy(e->buffer + e->len, bytes, len);
    e->len += len;
}

static void on_receive(void *ctx, const uint8_t *bytes, size_t len)
{
    struct end *e = ctx;
    struct end *to = other(e);

    if (to->gone) {
        return; /* nobody takes it; the last bytes of `to` may still be on their way here */
    }
    if (e->pair->failed || !capture(e, bytes, len)) {
        return;
    }
    if (!to->open) {
        keep(e, bytes, len);
        return;
    }
    size_t taken = pst_carrier_write(to->carrier, bytes, len);
    if (len - taken > sizeof e->buffer) {
        fail(e->pair, "closed", "a link delivered more at once than allowed");
    } else if (taken < len) {
        pst_carrier_read(e->carrier, false);
        e->at = 0;
        e->len = len - taken;
        memcpy(e->buffer, bytes + taken, e->len);
    }
}

static void on_writable(void *ctx)
{
    forward(other(ctx));
}

static void join(struct pair *p)
{
    note(p, "joined", NULL);
    p->bridge->pause_ms = CALL_FIRST_MS;
    forward(&p->ends[0]);
    forward(&p->ends[1]);
}

static void call_second(struct pair *p, const struct pst_address *to)
{
    char why[PST_ADDRESS_TEXT + 160];
    struct end *e = &p->ends[1];

    if (pst_carrier_connect(p->bridge->loop, to, &events, e, &e->carrier, why, sizeof why) !=
        PST_OK) {
        e->gone = true;
        fail(p, "the other side cannot be reached", why);
    }
}

static void on_open(void *ctx)
{
    struct end *e = ctx;

    e->open = true;
    if (e == &e->pair->ends[1]) {
        join(e->pair);
    } else { /* both sides are called */
        pst_carrier_read(e->carrier, true);
        call_second(e->pair, &e->pair->bridge->config->b);
    }
}

static void on_down(void *ctx, pst_err why, const char *text)
{
    struct end *e = ctx, *to = other(e);
    struct pair *p = e->pair;

    e->carrier = NULL;
    e->gone = true;
    if (!e->open && !to->gone) {
        fail(p, e == &p->ends[1] ? "the other side cannot be reached" : "cannot be called", text);
    } else if (!p->failed && !to->gone) {
        note(p, why == PST_OK ? "ended" : "broken", text);
    }
    e->open = false;
    if (to->carrier == NULL) {
        release(p);
    } else if (!to->open) {
        pst_carrier_close(to->carrier);
    } else {
        forward(e);
    }
}

static const struct pst_carrier_events events = {
    .open = on_open, .receive = on_receive, .writable = on_writable, .down = on_down};

/* --- accepting and calling --- */

static struct pair *make(struct bridge *b)
{
    struct pair *p = b->count < PST_BRIDGE_CONNECTIONS ? malloc(sizeof *p) : NULL;

    if (p == NULL) {
        return NULL;
    }
    p->bridge = b;
    p->flow = (struct pst_pcapng_flow){.port = (uint16_t)(40000 + ++b->connections % 20000)};
    p->number = b->connections;
    p->since_ms = uv_now(b->loop);
    p->waits = p->queued = p->failed = false;
    for (size_t i = 0; i < 2; i++) {
        struct end *e = &p->ends[i];
        e->pair = p;
        e->carrier = NULL;
        e->open = e->gone = false;
        e->at = e->len = 0;
    }
    p->next = b->pairs;
    p->link = &b->pairs;
    if (p->next != NULL) {
        p->next->link = &p->next;
    }
    b->pairs = p;
    b->count++;
    return p;
}

static void take(struct end *e, struct pst_carrier *c)
{
    e->carrier = c;
    e->open = true;
    pst_carrier_own(c, &events, e);
}

/* Both sides listen: a peer of the other side may be waiting. Chooses the one that has waited
   longest. */
static struct pair *waiting(struct bridge *b, const struct pst_listener *l)
{
    struct pair *found = NULL;
    bool is_b = l == b->listeners[1];

    for (struct pair *p = b->pairs; p != NULL; p = p->next) {
        const struct end *missing = &p->ends[is_b];
        if (p->waits && !p->failed && missing->carrier == NULL && !missing->gone &&
            !p->ends[!is_b].gone) {
            found = p;
        }
    }
    return found;
}

static void meet(struct bridge *b, const struct pst_listener *l, struct pst_carrier *c)
{
    bool is_b = l == b->listeners[1];
    struct pair *p = waiting(b, l);

    if (p != NULL) {
        take(&p->ends[is_b], c);
        join(p);
    } else if ((p = make(b)) != NULL) {
        p->waits = true;
        take(&p->ends[is_b], c);
        note(p, "waits for the other side", c->peer);
        /* Its first bytes are buffered, and its end is noticed. */
        pst_carrier_read(c, true);
    }
}

/* A device accepts one caller at a time. An earlier caller may still occupy it: its BYE is on its
   way, or its end has not arrived yet. The next caller waits for that end and so is not refused as
   "busy". Returns how long; UINT64_MAX: the earlier one is ending, and release() will continue. */
static uint64_t busy_ms(const struct bridge *b, const struct pst_address *to,
                        const struct pair *next)
{
    const uint64_t until = next->since_ms + LEAVE_MS, now = uv_now(b->loop);
    bool used = false;

    for (const struct pair *p = b->pairs; p != NULL && to->scheme->exclusive; p = p->next) {
        if (p->ends[1].carrier != NULL && (p->failed || p->ends[0].gone)) {
            return UINT64_MAX;
        }
        used = used || p->ends[1].carrier != NULL;
    }
    return used && until > now ? until - now : 0;
}

/* Among those that wait for it, the one that came first. */
static struct pair *next_queued(const struct bridge *b)
{
    struct pair *first = NULL;

    for (struct pair *p = b->pairs; p != NULL; p = p->next) {
        if (p->queued && !p->failed) {
            first = p;
        }
    }
    return first;
}

static void call_queued(uv_timer_t *timer)
{
    struct bridge *b = timer->data;
    const struct pst_address *to = b->listeners[0] != NULL ? &b->config->b : &b->config->a;

    for (struct pair *p; (p = next_queued(b)) != NULL;) {
        const uint64_t wait = busy_ms(b, to, p);
        if (wait > 0 && wait < UINT64_MAX) {
            (void)uv_timer_start(&b->timer, call_queued, wait, 0);
        }
        if (wait > 0) {
            return;
        }
        p->queued = false;
        call_second(p, to);
    }
}

struct door { /* context of a listener's events */
    struct bridge *bridge;
    size_t side;
};

static void on_peer(void *ctx, struct pst_carrier *c)
{
    const struct door *door = ctx;
    struct bridge *b = door->bridge;

    if (b->listeners[!door->side] != NULL) {
        meet(b, b->listeners[door->side], c);
        return;
    }
    struct pair *p = make(b);
    if (p != NULL) {
        take(&p->ends[0], c);
        pst_carrier_read(c, true);
        p->queued = true;
        call_queued(&b->timer);
    }
}

static void on_note(void *ctx, const char *text)
{
    const struct door *door = ctx;
    say(door->bridge, text);
}

static const struct pst_listener_events listener_events = {.peer = on_peer, .note = on_note};

static void on_timer(uv_timer_t *timer)
{
    struct bridge *b = timer->data;
    struct pair *p = make(b);
    char why[PST_ADDRESS_TEXT + 160];

    if (p == NULL) {
        return;
    }
    struct end *e = &p->ends[0];
    if (pst_carrier_connect(b->loop, &b->config->a, &events, e, &e->carrier, why, sizeof why) !=
        PST_OK) {
        e->gone = true;
        fail(p, "cannot be called", why);
        release(p);
    }
}

static pst_err start(struct bridge *b, struct door doors[2], char *why, size_t why_cap)
{
    const struct pst_address *sides[2] = {&b->config->a, &b->config->b};

    for (size_t i = 0; i < 2; i++) {
        doors[i] = (struct door){.bridge = b, .side = i};
        if (sides[i]->listen) {
            PST_TRY(pst_carrier_listen(b->loop, sides[i], &listener_events, &doors[i],
                                       &b->listeners[i], why, why_cap));
            say(b, b->listeners[i]->place);
        }
    }
    if (!sides[0]->listen && !sides[1]->listen) {
        on_timer(&b->timer);
    }
    return PST_OK;
}

static void stop(struct bridge *b)
{
    b->stopping = true;
    for (size_t i = 0; i < 2; i++) {
        if (b->listeners[i] != NULL) {
            pst_listener_close(b->listeners[i]);
        }
    }
    for (struct pair *p = b->pairs; p != NULL; p = p->next) {
        fail(p, "closed", NULL);
    }
    uv_close((uv_handle_t *)&b->timer, NULL);
    while (uv_run(b->loop, UV_RUN_DEFAULT) != 0) {
        /* Each carrier reports that it is down and is freed. A second signal does not interrupt
           this. */
    }
}

pst_err pst_bridge_run(uv_loop_t *loop, const struct pst_bridge_config *config, char *why,
                       size_t why_cap)
{
    struct bridge bridge = {.loop = loop, .config = config, .pause_ms = CALL_FIRST_MS};
    struct door doors[2];

    if (uv_timer_init(loop, &bridge.timer) != 0) {
        (void)snprintf(why, why_cap, "no resources");
        return PST_ERR_IO;
    }
    bridge.timer.data = &bridge;
    pst_err err = start(&bridge, doors, why, why_cap);
    if (err == PST_OK) {
        (void)uv_run(loop, UV_RUN_DEFAULT);
    }
    stop(&bridge);
    return err;
}
