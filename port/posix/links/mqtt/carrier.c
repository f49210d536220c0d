/* mqtt: carriers through a broker, the hub that they share, and calling a device. */
#include "posix/links/mqtt/hub.h"

#ifdef PST_WITH_MOSQUITTO

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "openssl/openssl_port.h"

#define SEND_CAP (64 * 1024)
#define OPEN_MS 4000 /* wait for an answer to OPEN: less than the link's limit for HELLO */

struct pst_mqtt_carrier {
    struct pst_carrier base;
    struct pst_mqtt_hub *hub;
    struct pst_mqtt_carrier *next;
    struct pst_broker engine;
    struct pst_mqtt_seal seal;
    uv_timer_t timer;
    uint64_t finish_ms; /* when the time for finish ends */
    uint8_t *memory;
    char in[PST_MQTT_TOPIC], out[PST_MQTT_TOPIC];
    int subscribe_id, open_id; /* of a caller */
    uint8_t instance[PST_MQTT_INSTANCE];
    bool caller, calling, open, seen, reading, wanted, finishing, closing, timer_closed;
    bool soon; /* a turn is due, whatever the timer is set to */
    pst_err why;
    char text[420];
};

static void turn(struct pst_mqtt_carrier *c);

/* --- the end --- */

static void finish_down(struct pst_mqtt_carrier *c)
{
    if (c->base.events != NULL) {
        c->base.events->down(c->base.ctx, c->why, c->text);
    }
    pst_mqtt_seal_wipe(&c->seal);
    free(c->memory);
    free(c);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct pst_mqtt_carrier *c = handle->data;
    struct pst_mqtt_hub *hub = c->hub;
    struct pst_mqtt_carrier **at = &hub->carriers;

    c->timer_closed = true;
    if (c->caller && hub->mqtt != NULL) {
        return; /* pst_mqtt_hub_down does the cleanup: the last message has to reach the broker */
    }
    while (*at != c) {
        at = &(*at)->next;
    }
    *at = c->next;
    hub->count--;
    finish_down(c);
    pst_mqtt_hub_leave(hub);
}

static void end(struct pst_mqtt_carrier *c, pst_err why, const char *text)
{
    if (c->closing) {
        return;
    }
    c->closing = true;
    c->why = why;
    snprintf(c->text, sizeof c->text, "%.*s", (int)sizeof c->text - 1, text);
    if (c->caller && c->hub->mqtt != NULL) {
        pst_mqtt_close(c->hub->mqtt);
    }
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}

/* The text for the engine's end. */
static void end_of_engine(struct pst_mqtt_carrier *c)
{
    const pst_err why = c->engine.state;
    char text[200];

    switch ((int)why) {
    case PST_ERR_CLOSED:
        end(c, PST_OK, c->finishing ? "" : "closed by the peer");
        return;
    case PST_ERR_TIMEOUT:
        snprintf(text, sizeof text,
                 c->open ? "nothing is received from the peer any more" : "'%s' does not answer",
                 c->hub->place.device);
        break;
    case PST_ERR_IO:
        snprintf(text, sizeof text, "the broker lost messages of this connection");
        break;
    case PST_ERR_BUSY:
        snprintf(text, sizeof text, "'%s' accepts no more connections", c->hub->place.device);
        break;
    case PST_ERR_PROFILE:
        snprintf(text, sizeof text, "'%s' has an incompatible Postern wire profile",
                 c->hub->place.device);
        break;
    default:
        snprintf(text, sizeof text, "%s", pst_err_text(why));
        break;
    }
    end(c, why, text);
}

/* --- moving bytes --- */

static void pump(struct pst_mqtt_carrier *c)
{
    static uint8_t message[PST_BROKER_MESSAGE(PST_BROKER_CHUNK)]; /* valid until publish returns */
    int qos = 0;
    size_t len;

    while (c->hub->mqtt != NULL && (len = pst_broker_output(&c->engine, message, sizeof message,
                                                            &qos, uv_now(c->hub->loop))) > 0) {
        int id = pst_mqtt_publish(c->hub->mqtt, c->out, message, len, qos, false, 0);
        if (message[0] == PST_BROKER_OPEN) {
            c->open_id = id;
        }
    }
}

static void deliver(struct pst_mqtt_carrier *c)
{
    struct pst_bytes in;

    while (c->reading && !c->finishing && !c->closing &&
           (in = pst_broker_peek(&c->engine)).len > 0) {
        pst_broker_taken(&c->engine, pst_carrier_give(&c->base, in));
    }
}

static void on_timer(uv_timer_t *timer)
{
    turn(timer->data);
}

static void set_timer(struct pst_mqtt_carrier *c, bool soon)
{
    const uint64_t now = uv_now(c->hub->loop);
    uint64_t at = pst_broker_wake(&c->engine);

    c->soon = c->soon || soon;
    if (c->finishing && c->finish_ms < at) {
        at = c->finish_ms;
    }
    if (!c->closing && (c->soon || at != UINT64_MAX)) {
        /* Never 0 for an overdue timer: libuv would run nothing else. */
        (void)uv_timer_start(&c->timer, on_timer, c->soon ? 0 : at <= now ? 1 : at - now, 0);
    }
}

static bool ended(const struct pst_mqtt_carrier *c)
{
    return c->engine.state != PST_OK && c->engine.state != PST_PENDING;
}

/* Called from the loop after anything that may have changed the state. */
static void turn(struct pst_mqtt_carrier *c)
{
    c->soon = false;
    if (c->closing || (c->caller && !c->calling)) {
        return;
    }
    if (!c->open && c->engine.state == PST_OK) {
        c->open = true;
        c->base.events->open(c->base.ctx);
    }
    deliver(c);
    pump(c);
    if (c->wanted && !c->finishing && !c->closing &&
        (ended(c) || pst_broker_room(&c->engine) > 0)) {
        c->wanted = false;
        if (c->base.events->writable != NULL) {
            c->base.events->writable(c->base.ctx);
        }
        pump(c);
    }
    /* An owner that does not read for now gets what came before an orderly end when it reads. */
    if (ended(c) && (c->finishing || c->engine.state != PST_ERR_CLOSED ||
                     pst_broker_peek(&c->engine).len == 0)) {
        end_of_engine(c);
    } else if (c->finishing && uv_now(c->hub->loop) >= c->finish_ms) {
        pst_broker_abort(&c->engine,
                         PST_ERR_TIMEOUT); /* not everything was sent: not an orderly end */
        pump(c);
        end(c, PST_OK, "");
    }
    set_timer(c, false);
}

/* --- the four operations --- */

static size_t write_bytes(struct pst_carrier *base, const uint8_t *bytes, size_t len)
{
    struct pst_mqtt_carrier *c = (struct pst_mqtt_carrier *)base;
    size_t n = 0;

    if (c->open && !c->finishing && !c->closing && ended(c)) {
        n = len; /* discarded: an owner that reads only after it has written must continue */
    } else if (c->open && !c->finishing && !c->closing) {
        n = pst_broker_write(&c->engine, bytes, len);
        pump(c);
    }
    c->wanted = n < len;
    set_timer(c, c->wanted && pst_broker_room(&c->engine) > 0);
    return n;
}

static void read_on_off(struct pst_carrier *base, bool on)
{
    struct pst_mqtt_carrier *c = (struct pst_mqtt_carrier *)base;

    if (on && !c->reading) {
        set_timer(c, true);
    }
    c->reading = on;
}

static void close_now(struct pst_carrier *base)
{
    struct pst_mqtt_carrier *c = (struct pst_mqtt_carrier *)base;

    if (!c->closing && c->open) {
        pst_broker_abort(&c->engine, PST_ERR_CLOSED);
        pump(c);
    }
    end(c, PST_OK, "");
}

static void finish(struct pst_carrier *base)
{
    struct pst_mqtt_carrier *c = (struct pst_mqtt_carrier *)base;

    if (!c->open) {
        close_now(base);
    } else if (!c->finishing && !c->closing) {
        c->finishing = true;
        c->finish_ms = uv_now(c->hub->loop) + PST_CARRIER_FINISH_MS;
        pst_broker_close(&c->engine);
        set_timer(c, true);
    }
}

static const struct pst_carrier_ops ops = {
    .write = write_bytes, .read = read_on_off, .finish = finish, .close = close_now};

/* --- opening --- */

static struct pst_broker_config engine_config(struct pst_mqtt_carrier *c)
{
    struct pst_broker_config cfg = {
        .seal = c->hub->secret.len > 0 ? &c->seal.ops : NULL,
        .timing = pst_broker_usual,
        .chunk = PST_BROKER_CHUNK,
        .window = PST_BROKER_WINDOW,
        .receive = c->memory,
        .send = c->memory + PST_BROKER_WINDOW * PST_BROKER_CHUNK,
        .send_cap = SEND_CAP,
    };
    cfg.timing.connect = OPEN_MS;
    return cfg;
}

static struct pst_mqtt_carrier *make(struct pst_mqtt_hub *hub, const char *call, bool caller)
{
    struct pst_mqtt_carrier *c = calloc(1, sizeof *c);
    /* Mostly never touched, and then the kernel does not give it either. */
    uint8_t *memory = malloc((size_t)PST_BROKER_WINDOW * PST_BROKER_CHUNK + SEND_CAP);

    if (c == NULL || memory == NULL || uv_timer_init(hub->loop, &c->timer) != 0) {
        free(c);
        free(memory);
        return NULL;
    }
    c->timer.data = c;
    c->memory = memory;
    c->base.ops = &ops;
    c->base.traits = &pst_broker_traits;
    c->hub = hub;
    c->caller = caller;
    c->subscribe_id = c->open_id = -1;
    snprintf(c->in, sizeof c->in, "%.120s/%.32s/%s", hub->topic, call, caller ? "down" : "up");
    snprintf(c->out, sizeof c->out, "%.120s/%.32s/%s", hub->topic, call, caller ? "up" : "down");
    pst_mqtt_seal_init(&c->seal, &hub->secret, hub->id);
    c->next = hub->carriers;
    hub->carriers = c;
    hub->count++;
    return c;
}

static bool call_bytes(const char *call, uint8_t id[PST_BROKER_ID])
{
    for (size_t i = 0; i < PST_BROKER_ID; i++) {
        char two[3] = {call[2 * i], call[2 * i + 1], '\0'}, *rest = NULL;
        if (strspn(two, "0123456789abcdef") != 2) {
            return false;
        }
        id[i] = (uint8_t)strtoul(two, &rest, 16);
    }
    return true;
}

struct pst_carrier *pst_mqtt_carrier_accept(struct pst_mqtt_hub *hub, const char *call,
                                            uint8_t *open, size_t len)
{
    const struct pst_crypto *crypto = pst_openssl_crypto();
    struct pst_mqtt_carrier *c = make(hub, call, false);

    if (c == NULL) {
        return NULL;
    }
    struct pst_broker_config cfg = engine_config(c);
    snprintf(c->base.peer, sizeof c->base.peer, "mqtt:%s/%s,call=%.8s", hub->place.broker,
             hub->place.device, call);
    if (!call_bytes(call, cfg.id) ||
        crypto->random(crypto->ctx, cfg.nonce, sizeof cfg.nonce) != PST_OK ||
        pst_broker_accept(&c->engine, &cfg, open, len, uv_now(hub->loop)) != PST_OK) {
        end(c, PST_ERR_DECODE, "");
        return NULL;
    }
    c->open = true;
    if (hub->count > PST_MQTT_PEERS) {
        pst_broker_abort(&c->engine, PST_ERR_BUSY);
        pump(c);
        end(c, PST_ERR_BUSY, "");
        return NULL;
    }
    set_timer(c, true);
    return &c->base;
}

void pst_mqtt_carrier_input(struct pst_mqtt_carrier *c, const struct pst_mqtt_message *m)
{
    if (!c->closing) {
        pst_broker_input(&c->engine, m->bytes, m->len, uv_now(c->hub->loop));
        turn(c);
    }
}

/* --- the hub --- */

struct pst_mqtt_carrier *pst_mqtt_hub_find(struct pst_mqtt_hub *hub, const char *topic)
{
    struct pst_mqtt_carrier *c = hub->carriers;

    while (c != NULL && strcmp(c->in, topic) != 0) {
        c = c->next;
    }
    return c;
}

pst_err pst_mqtt_hub_new(uv_loop_t *loop, const struct pst_address *a, struct pst_mqtt_hub **hub,
                         char *why, size_t why_cap)
{
    struct pst_mqtt_hub *h = calloc(1, sizeof *h);
    char reason[400] = "no memory for a connection";
    pst_err err = h == NULL ? PST_ERR_IO : PST_OK;

    *hub = NULL;
    if (err == PST_OK) {
        h->loop = loop;
        err = pst_mqtt_place(a, &h->place, reason, sizeof reason);
    }
    if (err == PST_OK) {
        err = pst_mqtt_secret(&h->place, &h->secret, reason, sizeof reason);
    }
    if (err == PST_OK) {
        err = pst_mqtt_id(&h->secret, h->place.device, h->id);
    }
    if (err != PST_OK) {
        snprintf(why, why_cap, "link '%s': %s", a->text, reason);
        if (h != NULL) {
            pst_wipe(&h->secret, sizeof h->secret);
        }
        free(h);
        return PST_ERR_IO;
    }
    pst_mqtt_topic(h->place.prefix, h->id, h->topic);
    *hub = h;
    return PST_OK;
}

void pst_mqtt_hub_leave(struct pst_mqtt_hub *h)
{
    if (h->held || h->carriers != NULL) {
        return;
    }
    if (h->mqtt != NULL) {
        pst_mqtt_close(h->mqtt); /* its `down` comes back here */
        return;
    }
    pst_wipe(&h->secret, sizeof h->secret);
    free(h);
}

void pst_mqtt_hub_down(struct pst_mqtt_hub *h, const char *text)
{
    struct pst_mqtt_carrier *next = NULL;
    char why[sizeof h->text + sizeof h->place.broker];

    h->mqtt = NULL;
    snprintf(why, sizeof why, "broker %s: %s", h->place.broker, text);
    for (struct pst_mqtt_carrier *c = h->carriers; c != NULL; c = next) {
        next = c->next;
        if (c->timer_closed) { /* a caller's, that waited for this alone */
            h->carriers = NULL;
            finish_down(c);
        } else {
            end(c, PST_ERR_IO, why);
        }
    }
    pst_mqtt_hub_leave(h);
}

/* --- calling --- */

static void on_up(void *ctx)
{
    struct pst_mqtt_hub *h = ctx;
    char here[PST_MQTT_TOPIC];

    snprintf(here, sizeof here, "%.120s/here", h->topic);
    (void)pst_mqtt_subscribe(h->mqtt, here); /* a hint: the call may be refused */
    h->carriers->subscribe_id = pst_mqtt_subscribe(h->mqtt, h->carriers->in);
}

static void start_calling(struct pst_mqtt_carrier *c)
{
    struct pst_broker_config cfg = engine_config(c);

    if (!call_bytes(c->in + strlen(c->hub->topic) + 1, cfg.id) ||
        pst_broker_connect(&c->engine, &cfg, uv_now(c->hub->loop)) != PST_OK) {
        end(c, PST_ERR_CRYPTO, "no keys for a connection");
        return;
    }
    c->calling = true;
    turn(c);
}

static void on_subscribed(void *ctx, int id, bool granted)
{
    struct pst_mqtt_hub *h = ctx;
    struct pst_mqtt_carrier *c = h->carriers;
    char text[400];

    if (id != c->subscribe_id || c->calling || c->closing) {
        return;
    }
    if (granted) {
        start_calling(c);
    } else {
        snprintf(text, sizeof text, "broker %s does not allow reading topics under '%s'",
                 h->place.broker, h->place.prefix);
        end(c, PST_ERR_IO, text);
    }
}

static void on_undelivered(void *ctx, int id, bool refused)
{
    struct pst_mqtt_hub *h = ctx;
    struct pst_mqtt_carrier *c = h->carriers;
    char text[420];

    if (c->closing || id != c->open_id) {
        return;
    }
    if (refused) {
        snprintf(text, sizeof text, "broker %s does not allow writing to topics under '%s'",
                 h->place.broker, h->place.prefix);
    } else {
        snprintf(text, sizeof text, "no '%s' at broker %s%s", h->place.device, h->place.broker,
                 h->secret.len > 0 ? ", or it has another secret" : "");
    }
    end(c, PST_ERR_IO, text);
}

/* Presence ended, or belongs to a restarted TS: if that is true, our TS is gone. */
static void on_here(struct pst_mqtt_carrier *c, const struct pst_mqtt_message *m)
{
    const bool whole = m->len >= 2 + PST_MQTT_INSTANCE && m->bytes[0] == PST_BROKER_HERE;

    if (whole && !c->seen) {
        memcpy(c->instance, m->bytes + 2, PST_MQTT_INSTANCE);
        c->seen = true;
    } else if (c->calling && !c->closing &&
               (!whole || memcmp(c->instance, m->bytes + 2, PST_MQTT_INSTANCE) != 0)) {
        pst_broker_hint(&c->engine, uv_now(c->hub->loop));
        turn(c);
    }
}

static void on_message(void *ctx, const struct pst_mqtt_message *m)
{
    struct pst_mqtt_hub *h = ctx;
    struct pst_mqtt_carrier *c = h->carriers;

    if (strcmp(m->topic, c->in) != 0) {
        on_here(c, m);
    } else if (c->calling) {
        pst_mqtt_carrier_input(c, m);
    }
}

static void on_down(void *ctx, const char *text)
{
    pst_mqtt_hub_down(ctx, text);
}

static const struct pst_mqtt_events caller_events = {
    .up = on_up,
    .message = on_message,
    .subscribed = on_subscribed,
    .undelivered = on_undelivered,
    .down = on_down,
};

static void quote(const struct pst_address *a, char *why, size_t why_cap)
{
    char reason[400];

    snprintf(reason, sizeof reason, "%s", why);
    snprintf(why, why_cap, "link '%s': %s", a->text, reason);
}

pst_err pst_mqtt_call(uv_loop_t *loop, const struct pst_address *to,
                      const struct pst_carrier_events *events, void *ctx,
                      struct pst_carrier **carrier, char *why, size_t why_cap)
{
    const struct pst_crypto *crypto = pst_openssl_crypto();
    struct pst_mqtt_hub *h = NULL;
    struct pst_mqtt_carrier *c = NULL;
    struct pst_mqtt_will will = {.retained = false};
    uint8_t random[PST_BROKER_ID];
    char call[PST_MQTT_CALL];

    PST_TRY(pst_mqtt_hub_new(loop, to, &h, why, why_cap));
    if (crypto->random(crypto->ctx, random, sizeof random) == PST_OK) {
        pst_mqtt_hex(random, sizeof random, call);
        c = make(h, call, true);
    }
    if (c == NULL) {
        snprintf(why, why_cap, "link '%s': no resources for a connection", to->text);
        pst_mqtt_hub_leave(h);
        return PST_ERR_IO;
    }
    snprintf(will.topic, sizeof will.topic, "%s", c->out);
    will.len = pst_broker_lost(will.bytes);
    snprintf(c->base.peer, sizeof c->base.peer, "%s", to->text);
    if (pst_mqtt_connect(loop, &h->place, &will, &caller_events, h, &h->mqtt, why, why_cap) !=
        PST_OK) {
        quote(to, why, why_cap);
        end(c, PST_ERR_IO, ""); /* without an owner it is freed silently */
        return PST_ERR_IO;
    }
    pst_carrier_own(&c->base, events, ctx);
    *carrier = &c->base;
    return PST_OK;
}

#endif
