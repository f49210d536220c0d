#include "posix/links/mqtt/find.h"

#include <stdio.h>

#ifdef PST_WITH_MOSQUITTO

#include <string.h>

#include "posix/links/mqtt/hub.h"
#include "posix/links/mqtt/mqtt.h"

#define PARTS 256    /* parts of the topics, by the first two digits of an id */
#define AT_ONCE 4    /* parts: a broker queues few messages for one reader */
#define QUIET_MS 300 /* quiet time after which the list is complete */
#define GIVE_UP_MS 20000

struct find {
    struct pst_mqtt *mqtt;
    const struct pst_mqtt_place *place;
    void (*found)(void *ctx, const struct pst_mqtt_found *f);
    void *ctx;
    uv_timer_t quiet, limit;
    unsigned asked, answered;
    bool whole;
    char text[320];
};

static void on_quiet(uv_timer_t *timer)
{
    struct find *f = timer->data;

    f->whole = true;
    pst_mqtt_close(f->mqtt);
}

static void on_limit(uv_timer_t *timer)
{
    struct find *f = timer->data;

    snprintf(f->text, sizeof f->text, "it did not list all devices within %d s", GIVE_UP_MS / 1000);
    pst_mqtt_close(f->mqtt);
}

static void ask(struct find *f)
{
    char topic[PST_MQTT_TOPIC];

    while (f->asked < PARTS && f->asked - f->answered < AT_ONCE) {
        snprintf(topic, sizeof topic, "%.64s/%02x/+/here", f->place->prefix, f->asked++);
        (void)pst_mqtt_subscribe(f->mqtt, topic);
    }
}

static void on_up(void *ctx)
{
    ask(ctx);
}

static void on_subscribed(void *ctx, int id, bool granted)
{
    struct find *f = ctx;

    (void)id;
    f->answered++;
    if (!granted) {
        snprintf(f->text, sizeof f->text, "it does not allow reading topics under '%s'",
                 f->place->prefix);
        pst_mqtt_close(f->mqtt);
        return;
    }
    ask(f);
    if (f->answered == PARTS) {
        (void)uv_timer_start(&f->quiet, on_quiet, QUIET_MS, 0);
    }
}

static void on_message(void *ctx, const struct pst_mqtt_message *m)
{
    struct find *f = ctx;
    struct pst_mqtt_found one = {.age_s = -1};
    const size_t skip = strlen(f->place->prefix) + 4; /* PREFIX/SS/ID/here */

    if (f->answered == PARTS) {
        (void)uv_timer_start(&f->quiet, on_quiet, QUIET_MS, 0);
    }
    if (!m->retained || m->len < 2 + PST_MQTT_INSTANCE + 4 || m->bytes[0] != PST_BROKER_HERE ||
        strlen(m->topic) != skip + PST_MQTT_ID - 1 + strlen("/here") ||
        strspn(m->topic + skip, "0123456789abcdef") != PST_MQTT_ID - 1) {
        return;
    }
    const uint32_t lives = pst_peek_u32(m->bytes + 2 + PST_MQTT_INSTANCE);
    memcpy(one.id, m->topic + skip, PST_MQTT_ID - 1);
    one.foreign = m->bytes[1] != PST_PROFILE_VERSION;
    if (m->expiry_s > 0 && m->expiry_s <= lives) {
        one.age_s = (int64_t)lives - m->expiry_s;
    }
    f->found(f->ctx, &one);
}

static void on_down(void *ctx, const char *text)
{
    struct find *f = ctx;

    if (!f->whole && f->text[0] == '\0') {
        snprintf(f->text, sizeof f->text, "%s", text);
    }
    uv_close((uv_handle_t *)&f->quiet, NULL);
    uv_close((uv_handle_t *)&f->limit, NULL);
}

static const struct pst_mqtt_events events = {
    .up = on_up, .message = on_message, .subscribed = on_subscribed, .down = on_down};

pst_err pst_mqtt_find(uv_loop_t *loop, const struct pst_mqtt_place *place,
                      void (*found)(void *ctx, const struct pst_mqtt_found *f), void *ctx,
                      char *why, size_t why_cap)
{
    struct find f = {.place = place, .found = found, .ctx = ctx};

    PST_TRY(pst_mqtt_connect(loop, place, NULL, &events, &f, &f.mqtt, why, why_cap));
    f.quiet.data = f.limit.data = &f;
    (void)uv_timer_init(loop, &f.quiet);
    (void)uv_timer_init(loop, &f.limit);
    (void)uv_timer_start(&f.limit, on_limit, GIVE_UP_MS, 0);
    (void)uv_run(loop, UV_RUN_DEFAULT);
    if (!f.whole) {
        snprintf(why, why_cap, "broker %s: %s", place->broker, f.text);
        return PST_ERR_IO;
    }
    return PST_OK;
}

#else

pst_err pst_mqtt_find(uv_loop_t *loop, const struct pst_mqtt_place *place,
                      void (*found)(void *ctx, const struct pst_mqtt_found *f), void *ctx,
                      char *why, size_t why_cap)
{
    (void)loop;
    (void)place;
    (void)found;
    (void)ctx;
    snprintf(why, why_cap, "not built in: libmosquitto was missing");
    return PST_ERR_UNSUPPORTED;
}

#endif
