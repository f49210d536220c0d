/* mqtt-listen: announces a device at a broker and takes calls. */
#include "posix/links/mqtt/hub.h"

#ifdef PST_WITH_MOSQUITTO

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "openssl/openssl_port.h"

#define REFRESH_MS 60000 /* presence expires after PST_MQTT_EXPIRY_S: two messages may be lost */
#define RETRY_MS 1000
#define RETRY_MOST_MS 60000
#define STEADY_MS 5000 /* a connection that lasts this long was a success */
#define REPEAT_MS 5000 /* between two corrections of presence */

struct pst_mqtt_listener {
    struct pst_listener base;
    struct pst_address address;
    struct pst_mqtt_hub *hub; /* NULL: between two attempts */
    uv_loop_t *loop;
    uv_timer_t timer;
    uint8_t instance[PST_MQTT_INSTANCE]; /* random, for this run */
    char here[PST_MQTT_TOPIC], calls[PST_MQTT_TOPIC];
    int subscribe_id;
    uint32_t retry_ms;
    uint64_t since_ms, announced_ms; /* first and last announcement in this connection */
    bool announced, closing, said_twin, said_refused;
};

static const struct pst_mqtt_events hub_events;

static void note(struct pst_mqtt_listener *l, const char *text)
{
    if (l->base.events->note != NULL && !l->closing) {
        l->base.events->note(l->base.ctx, text);
    }
}

/* Connects to the broker repeatedly, at growing intervals, which are random so that a fleet does
   not connect all at once. */
static uint32_t back_off(struct pst_mqtt_listener *l)
{
    const struct pst_crypto *c = pst_openssl_crypto();
    const uint32_t now = l->retry_ms;
    uint16_t random = 0;

    l->retry_ms = now * 2 < RETRY_MOST_MS ? now * 2 : RETRY_MOST_MS;
    if (c->random(c->ctx, &random, sizeof random) != PST_OK) {
        random = 0;
    }
    return now / 2 + (uint32_t)((uint64_t)now * random / 2 / UINT16_MAX);
}

static void announce(struct pst_mqtt_listener *l)
{
    uint8_t bytes[2 + PST_MQTT_INSTANCE + 4] = {PST_BROKER_HERE, PST_PROFILE_VERSION};

    memcpy(bytes + 2, l->instance, PST_MQTT_INSTANCE);
    pst_poke_u32(bytes + 2 + PST_MQTT_INSTANCE, PST_MQTT_EXPIRY_S);
    l->announced_ms = uv_now(l->loop);
    (void)pst_mqtt_publish(l->hub->mqtt, l->here, bytes, sizeof bytes, 1, true, PST_MQTT_EXPIRY_S);
}

/* --- the broker --- */

static void on_timer(uv_timer_t *timer);

static void try_later(struct pst_mqtt_listener *l, const char *broker, const char *text)
{
    char line[640];
    const uint32_t ms = back_off(l);

    snprintf(line, sizeof line, "broker %s: %s; trying again in %u.%u s", broker, text, ms / 1000,
             ms / 100 % 10);
    (void)uv_timer_start(&l->timer, on_timer, ms, 0);
    note(l, line);
}

static void on_up(void *ctx)
{
    struct pst_mqtt_hub *h = ctx;
    struct pst_mqtt_listener *l = h->listener;

    if (l != NULL) {
        (void)pst_mqtt_subscribe(h->mqtt, l->here);
        l->subscribe_id = pst_mqtt_subscribe(h->mqtt, l->calls);
    }
}

static void on_subscribed(void *ctx, int id, bool granted)
{
    struct pst_mqtt_hub *h = ctx;
    struct pst_mqtt_listener *l = h->listener;
    char line[640];

    if (l == NULL || id != l->subscribe_id || l->announced) {
        return;
    }
    if (!granted) {
        snprintf(h->text, sizeof h->text, "it does not allow reading topics under '%s'",
                 h->place.prefix);
        pst_mqtt_close(h->mqtt);
        return;
    }
    l->announced = true;
    l->since_ms = uv_now(l->loop);
    l->said_refused = false;
    announce(l);
    (void)uv_timer_start(&l->timer, on_timer, REFRESH_MS, REFRESH_MS);
    snprintf(line, sizeof line, "'%s' is announced at broker %s", h->place.device, h->place.broker);
    note(l, line);
}

/* Publishing failed, of presence or of a message to a caller. */
static void on_undelivered(void *ctx, int id, bool refused)
{
    struct pst_mqtt_hub *h = ctx;
    struct pst_mqtt_listener *l = h->listener;
    char line[640];

    (void)id;
    if (l == NULL || !refused || l->said_refused) {
        return;
    }
    l->said_refused = true;
    snprintf(line, sizeof line, "broker %s does not allow writing to topics under '%s'",
             h->place.broker, h->place.prefix);
    note(l, line);
}

static void on_down(void *ctx, const char *text)
{
    struct pst_mqtt_hub *h = ctx;
    struct pst_mqtt_listener *l = h->listener;

    if (l != NULL) {
        h->listener = NULL;
        h->held = false;
        l->hub = NULL;
        if (l->announced && uv_now(l->loop) - l->since_ms >= STEADY_MS) {
            l->retry_ms = RETRY_MS;
        }
        l->announced = false;
        try_later(l, h->place.broker, h->text[0] != '\0' ? h->text : text);
    }
    pst_mqtt_hub_down(h, text);
}

static void open_hub(struct pst_mqtt_listener *l, char *why, size_t why_cap)
{
    struct pst_mqtt_will will = {.len = 0, .retained = true}; /* removes presence */
    struct pst_mqtt_hub *h = NULL;

    if (pst_mqtt_hub_new(l->loop, &l->address, &h, why, why_cap) != PST_OK) {
        return;
    }
    snprintf(l->here, sizeof l->here, "%.120s/here", h->topic);
    snprintf(l->calls, sizeof l->calls, "%.120s/+/up", h->topic);
    snprintf(will.topic, sizeof will.topic, "%s", l->here);
    l->subscribe_id = -1;
    if (pst_mqtt_connect(l->loop, &h->place, &will, &hub_events, h, &h->mqtt, why, why_cap) !=
        PST_OK) {
        pst_mqtt_hub_leave(h);
        return;
    }
    h->listener = l;
    h->held = true;
    l->hub = h;
}

static void on_timer(uv_timer_t *timer)
{
    struct pst_mqtt_listener *l = timer->data;
    char why[640];

    if (l->hub == NULL) {
        open_hub(l, why, sizeof why);
        if (l->hub == NULL) {
            try_later(l, "settings", why); /* a file that existed at first and is missing now */
        }
    } else if (l->announced) {
        announce(l);
    }
}

/* --- calls and presence --- */

static void on_call(struct pst_mqtt_hub *h, const struct pst_mqtt_message *m)
{
    const size_t skip = strlen(h->topic) + 1;
    char call[PST_MQTT_CALL];

    if (h->listener == NULL || m->retained || h->count > 2 * PST_MQTT_PEERS ||
        strlen(m->topic) != skip + PST_MQTT_CALL - 1 + strlen("/up") ||
        !pst_broker_is_open(m->bytes, m->len)) {
        return;
    }
    memcpy(call, m->topic + skip, PST_MQTT_CALL - 1);
    call[PST_MQTT_CALL - 1] = '\0';
    struct pst_carrier *c = pst_mqtt_carrier_accept(h, call, m->bytes, m->len);
    if (c == NULL) {
        return;
    }
    h->listener->base.events->peer(h->listener->base.ctx, c);
    if (c->events == NULL) {
        pst_carrier_close(c);
    }
}

/* Messages at our own presence topic, from us or from others. */
static void on_here(struct pst_mqtt_listener *l, const struct pst_mqtt_message *m)
{
    const bool ours = m->len >= 2 + PST_MQTT_INSTANCE &&
                      memcmp(m->bytes + 2, l->instance, PST_MQTT_INSTANCE) == 0;
    const uint64_t since = uv_now(l->loop) - l->announced_ms;

    if (ours || !l->announced || m->retained) {
        return;
    }
    if (m->len > 0 && !l->said_twin) {
        l->said_twin = true;
        note(l, "another process announces this device at the broker");
    }
    if (since >= REPEAT_MS) {
        announce(l);
    } else if (m->len == 0) { /* only then: two listeners that announce the same device would
                                 overwrite each other forever */
        (void)uv_timer_start(&l->timer, on_timer, REPEAT_MS - since, REFRESH_MS);
    }
}

static void on_message(void *ctx, const struct pst_mqtt_message *m)
{
    struct pst_mqtt_hub *h = ctx;
    struct pst_mqtt_carrier *c = pst_mqtt_hub_find(h, m->topic);

    if (c != NULL) {
        pst_mqtt_carrier_input(c, m);
    } else if (h->listener != NULL && strcmp(m->topic, h->listener->here) == 0) {
        on_here(h->listener, m);
    } else {
        on_call(h, m);
    }
}

static const struct pst_mqtt_events hub_events = {
    .up = on_up,
    .message = on_message,
    .subscribed = on_subscribed,
    .undelivered = on_undelivered,
    .down = on_down,
};

/* --- the listener --- */

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void close_listener(struct pst_listener *base)
{
    struct pst_mqtt_listener *l = (struct pst_mqtt_listener *)base;
    struct pst_mqtt_hub *h = l->hub;

    if (l->closing) {
        return;
    }
    l->closing = true;
    if (h != NULL) {
        if (l->announced) {
            (void)pst_mqtt_publish(h->mqtt, l->here, NULL, 0, 1, true, 0);
        }
        h->listener = NULL;
        h->held = false;
        pst_mqtt_hub_leave(h);
    }
    uv_close((uv_handle_t *)&l->timer, on_closed);
}

pst_err pst_mqtt_listen(uv_loop_t *loop, const struct pst_address *at,
                        const struct pst_listener_events *events, void *ctx,
                        struct pst_listener **listener, char *why, size_t why_cap)
{
    const struct pst_crypto *c = pst_openssl_crypto();
    struct pst_mqtt_listener *l = calloc(1, sizeof *l);

    *listener = NULL;
    snprintf(why, why_cap, "link '%s': no resources to listen", at->text);
    if (l == NULL || c->random(c->ctx, l->instance, sizeof l->instance) != PST_OK ||
        uv_timer_init(loop, &l->timer) != 0) {
        free(l);
        return PST_ERR_IO;
    }
    l->timer.data = l;
    l->base = (struct pst_listener){.close = close_listener, .events = events, .ctx = ctx};
    snprintf(l->base.place, sizeof l->base.place, "%s", at->text);
    l->address = *at;
    l->loop = loop;
    l->retry_ms = RETRY_MS;
    open_hub(l, why, why_cap);
    if (l->hub == NULL) {
        close_listener(&l->base);
        return PST_ERR_IO;
    }
    *listener = &l->base;
    return PST_OK;
}

#endif
