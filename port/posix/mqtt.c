#include "posix/mqtt.h"

#ifdef PST_WITH_MOSQUITTO

#include <errno.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "openssl/openssl_port.h"

#define TEXT 256
#define RECEIVE_MAXIMUM 32
#define TICK_MS 500
#define LEAVE_MS 1000 /* for what is still to be acknowledged */
#define SYSTEM_CERTIFICATES "/etc/ssl/certs"

/* The making of the connection, which may outlive whoever asked for it. */
struct dial {
    uv_work_t work;
    struct mosquitto *mosq;
    struct pst_mqtt *owner; /* NULL: it has gone */
    char host[256];
    int port, rc, saved_errno;
    char log[TEXT]; /* libmosquitto's last complaint: of TLS there is no other account */
    mosquitto_property *properties;
};

struct pst_mqtt {
    const struct pst_mqtt_events *events;
    void *ctx;
    uv_loop_t *loop;
    struct dial *dial;
    struct mosquitto *mosq; /* NULL while the dial has it */
    uv_poll_t poll;
    uv_timer_t timer;
    uint64_t since_ms;
    unsigned unsent;
    bool tls, polling, connected, leaving, ending;
    uint8_t to_close;
    char text[TEXT];
};

/* --- the end --- */

static void dial_free(struct dial *d)
{
    mosquitto_property_free_all(&d->properties);
    if (d->mosq != NULL) {
        mosquitto_destroy(d->mosq);
        (void)mosquitto_lib_cleanup();
    }
    pst_wipe(d, sizeof *d);
    free(d);
}

static void on_closed(uv_handle_t *handle)
{
    struct pst_mqtt *m = handle->data;

    if (--m->to_close > 0) {
        return;
    }
    if (m->leaving && m->mosq != NULL) {
        (void)mosquitto_disconnect_v5(m->mosq, 0, NULL); /* here, and it is written at once */
    }
    if (m->dial->work.data == NULL) {
        dial_free(m->dial);
    } else {
        m->dial->owner = NULL; /* freed when it comes back */
    }
    m->events->down(m->ctx, m->text);
    free(m);
}

static void end(struct pst_mqtt *m, const char *text)
{
    if (m->ending) {
        return;
    }
    m->ending = true;
    snprintf(m->text, sizeof m->text, "%s", text);
    m->to_close = m->polling ? 2 : 1;
    if (m->polling) {
        uv_close((uv_handle_t *)&m->poll, on_closed);
    }
    uv_close((uv_handle_t *)&m->timer, on_closed);
}

static bool hung_up(int rc, int saved_errno)
{
    return rc == MOSQ_ERR_CONN_LOST || rc == MOSQ_ERR_TLS ||
           (rc == MOSQ_ERR_ERRNO && (saved_errno == ECONNRESET || saved_errno == EPIPE ||
                                     saved_errno == EPROTO || saved_errno == 0));
}

static void end_with(struct pst_mqtt *m, int rc, int saved_errno)
{
    char text[TEXT];

    if (m->dial->log[0] != '\0') {
        snprintf(text, sizeof text, "TLS: %.200s", m->dial->log);
        end(m, text);
    } else if (hung_up(rc, saved_errno) && m->connected) {
        end(m, "the connection was lost");
    } else if (hung_up(rc, saved_errno)) {
        end(m, m->tls ? "it hung up: not an MQTT broker, or it wants a client certificate"
                      : "it hung up: not an MQTT broker, or it expects TLS");
    } else if (rc == MOSQ_ERR_ERRNO) {
        end(m, strerror(saved_errno));
    } else {
        end(m, rc == MOSQ_ERR_EAI         ? "the name cannot be resolved"
               : rc == MOSQ_ERR_KEEPALIVE ? "it does not answer any more"
               : rc == MOSQ_ERR_PROTOCOL  ? "not an MQTT broker"
                                          : mosquitto_strerror(rc));
    }
}

/* --- the loop --- */

static void on_poll(uv_poll_t *poll, int status, int what);

/* After whatever may have given libmosquitto something to write. */
static void watch(struct pst_mqtt *m)
{
    if (m->polling && !m->ending) {
        (void)uv_poll_start(
            &m->poll, UV_READABLE | (mosquitto_want_write(m->mosq) ? UV_WRITABLE : 0), on_poll);
    }
}

static void check(struct pst_mqtt *m, int rc)
{
    if (rc != MOSQ_ERR_SUCCESS) {
        end_with(m, rc, errno);
    }
}

/* libmosquitto goes on with a TLS handshake though the other side has closed. */
static bool closed_early(const struct pst_mqtt *m)
{
    uint8_t byte;
    return !m->connected && recv(mosquitto_socket(m->mosq), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static void on_poll(uv_poll_t *poll, int status, int what)
{
    struct pst_mqtt *m = poll->data;

    if (closed_early(m)) {
        end_with(m, MOSQ_ERR_CONN_LOST, 0);
        return;
    }
    errno = 0;
    if (status < 0) { /* what it is, reading tells */
        check(m, mosquitto_loop_read(m->mosq, 1));
        end_with(m, MOSQ_ERR_CONN_LOST, 0);
        return;
    }
    if ((what & UV_READABLE) != 0) {
        check(m, mosquitto_loop_read(m->mosq, 1));
    }
    if ((what & UV_WRITABLE) != 0 && !m->ending) {
        check(m, mosquitto_loop_write(m->mosq, 1));
    }
    watch(m);
}

static void on_timer(uv_timer_t *timer)
{
    struct pst_mqtt *m = timer->data;

    if (m->leaving && uv_now(m->loop) - m->since_ms >= LEAVE_MS) {
        end(m, "");
    } else if (!m->connected && uv_now(m->loop) - m->since_ms >= PST_MQTT_CONNECT_MS) {
        end(m, "it does not answer");
    } else if (m->polling) {
        check(m, mosquitto_loop_misc(m->mosq));
        watch(m);
    }
}

/* --- what libmosquitto tells --- */

static struct pst_mqtt *owner(void *obj)
{
    struct pst_mqtt *m = ((struct dial *)obj)->owner;
    return m == NULL || m->ending ? NULL : m;
}

static struct pst_mqtt *staying(void *obj)
{
    struct pst_mqtt *m = owner(obj);
    return m == NULL || m->leaving ? NULL : m;
}

static void on_log(struct mosquitto *mosq, void *obj, int level, const char *text)
{
    struct dial *d = obj;
    const char *last = strrchr(text, ':'); /* "OpenSSL Error[0]: error:0A000086:...:reason" */

    (void)mosq;
    if (level == MOSQ_LOG_ERR) {
        snprintf(d->log, sizeof d->log, "%s", last != NULL && last[1] != '\0' ? last + 1 : text);
    }
}

static void on_connack(struct mosquitto *mosq, void *obj, int rc, int flags,
                       const mosquitto_property *properties)
{
    struct pst_mqtt *m = owner(obj);
    char text[TEXT];

    (void)mosq;
    (void)flags;
    (void)properties;
    if (m == NULL) {
        return;
    }
    if (rc != 0) {
        snprintf(text, sizeof text, "it refuses us: %s",
                 rc < 0x80 ? "it does not speak MQTT 5" : mosquitto_reason_string(rc));
        end(m, text);
        return;
    }
    m->connected = true;
    m->dial->log[0] = '\0';
    if (!m->leaving) {
        m->events->up(m->ctx);
    }
}

static void on_disconnect(struct mosquitto *mosq, void *obj, int rc,
                          const mosquitto_property *properties)
{
    struct pst_mqtt *m = owner(obj);
    char text[TEXT];

    (void)mosq;
    (void)properties;
    if (m == NULL) {
        return;
    }
    if (rc >= 0x80) { /* the broker's own words */
        snprintf(text, sizeof text, "it ended the connection: %s", mosquitto_reason_string(rc));
        end(m, text);
    } else {
        end_with(m, rc != 0 ? rc : MOSQ_ERR_CONN_LOST, errno);
    }
}

static void on_message(struct mosquitto *mosq, void *obj, const struct mosquitto_message *in,
                       const mosquitto_property *properties)
{
    struct pst_mqtt *m = staying(obj);
    struct pst_mqtt_message message = {
        .topic = in->topic,
        .bytes = in->payload,
        .len = in->payloadlen > 0 ? (size_t)in->payloadlen : 0,
        .retained = in->retain,
    };

    (void)mosq;
    (void)mosquitto_property_read_int32(properties, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL,
                                        &message.expiry_s, false);
    if (m != NULL) {
        m->events->message(m->ctx, &message);
    }
}

static void on_subscribed(struct mosquitto *mosq, void *obj, int id, int count, const int *granted,
                          const mosquitto_property *properties)
{
    struct pst_mqtt *m = staying(obj);

    (void)mosq;
    (void)properties;
    if (m != NULL) {
        m->events->subscribed(m->ctx, id, count == 1 && granted[0] < 0x80);
    }
}

static void on_published(struct mosquitto *mosq, void *obj, int id, int reason,
                         const mosquitto_property *properties)
{
    struct pst_mqtt *m = owner(obj);

    (void)mosq;
    (void)properties;
    if (m == NULL) {
        return;
    }
    m->unsent -= m->unsent > 0;
    if (m->leaving && m->unsent == 0) {
        end(m, "");
    } else if (!m->leaving && m->events->published != NULL) {
        m->events->published(m->ctx, id, reason >= 0x80, reason == MQTT_RC_NO_MATCHING_SUBSCRIBERS);
    }
}

/* --- connecting --- */

static void dial_work(uv_work_t *work)
{
    struct dial *d = work->data;

    errno = 0;
    d->rc = mosquitto_connect_bind_v5(d->mosq, d->host, d->port, PST_MQTT_KEEPALIVE_S, NULL,
                                      d->properties);
    d->saved_errno = errno;
}

static void dial_done(uv_work_t *work, int status)
{
    struct dial *d = work->data;
    struct pst_mqtt *m = d->owner;

    work->data = NULL;
    if (m == NULL) {
        dial_free(d);
        return;
    }
    if (m->ending) {
        return;
    }
    if (status != 0 || d->rc != MOSQ_ERR_SUCCESS) {
        end_with(m, status != 0 ? MOSQ_ERR_UNKNOWN : d->rc, d->saved_errno);
        return;
    }
    m->mosq = d->mosq;
    if (uv_poll_init(m->loop, &m->poll, mosquitto_socket(m->mosq)) != 0) {
        end(m, "no resources for a connection");
        return;
    }
    m->poll.data = m;
    m->polling = true;
    watch(m);
}

static pst_err readable(const char *path, char *why, size_t why_cap)
{
    if (path[0] == '\0' || access(path, R_OK) == 0) {
        return PST_OK;
    }
    snprintf(why, why_cap, "%s: %s", path, strerror(errno));
    return PST_ERR_IO;
}

static pst_err set_tls(struct mosquitto *mosq, const struct pst_mqtt_place *p, char *why,
                       size_t why_cap)
{
    if (!p->tls) {
        return PST_OK;
    }
    PST_TRY(readable(p->cafile, why, why_cap));
    PST_TRY(readable(p->cert, why, why_cap));
    PST_TRY(readable(p->key, why, why_cap));
    const bool own = p->cafile[0] != '\0', client = p->cert[0] != '\0';
    if (mosquitto_tls_set(mosq, own ? p->cafile : NULL, own ? NULL : SYSTEM_CERTIFICATES,
                          client ? p->cert : NULL, client ? p->key : NULL,
                          NULL) != MOSQ_ERR_SUCCESS) {
        snprintf(why, why_cap, "TLS cannot be set up");
        return PST_ERR_IO;
    }
    return PST_OK;
}

static pst_err set_user(struct mosquitto *mosq, const struct pst_mqtt_place *p, char *why,
                        size_t why_cap)
{
    char password[256] = "";

    if (p->user[0] == '\0') {
        return PST_OK;
    }
    if (p->passfile[0] != '\0') {
        PST_TRY(pst_mqtt_line(p->passfile, password, sizeof password, why, why_cap));
    }
    const int rc =
        mosquitto_username_pw_set(mosq, p->user, p->passfile[0] != '\0' ? password : NULL);
    pst_wipe(password, sizeof password);
    if (rc != MOSQ_ERR_SUCCESS) {
        snprintf(why, why_cap, "user '%s': %s", p->user, mosquitto_strerror(rc));
        return PST_ERR_IO;
    }
    return PST_OK;
}

static pst_err set_will(struct mosquitto *mosq, const struct pst_mqtt_will *will)
{
    if (will == NULL ||
        mosquitto_will_set_v5(mosq, will->topic, (int)will->len, will->len > 0 ? will->bytes : NULL,
                              1, will->retained, NULL) == MOSQ_ERR_SUCCESS) {
        return PST_OK;
    }
    return PST_ERR_IO;
}

static struct mosquitto *new_mosquitto(struct dial *d)
{
    const struct pst_crypto *c = pst_openssl_crypto();
    uint8_t random[8];
    char id[24] = "pst";
    struct mosquitto *mosq;

    if (c->random(c->ctx, random, sizeof random) != PST_OK) {
        return NULL;
    }
    pst_mqtt_hex(random, sizeof random, id + 3); /* tells the broker nothing */
    if (mosquitto_lib_init() != MOSQ_ERR_SUCCESS) {
        return NULL;
    }
    mosq = mosquitto_new(id, true, d);
    if (mosq == NULL ||
        mosquitto_int_option(mosq, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5) != 0) {
        mosquitto_destroy(mosq);
        (void)mosquitto_lib_cleanup();
        return NULL;
    }
    (void)mosquitto_int_option(mosq, MOSQ_OPT_TCP_NODELAY, 1);
    mosquitto_log_callback_set(mosq, on_log);
    mosquitto_connect_v5_callback_set(mosq, on_connack);
    mosquitto_disconnect_v5_callback_set(mosq, on_disconnect);
    mosquitto_message_v5_callback_set(mosq, on_message);
    mosquitto_subscribe_v5_callback_set(mosq, on_subscribed);
    mosquitto_publish_v5_callback_set(mosq, on_published);
    return mosq;
}

static struct dial *new_dial(const struct pst_mqtt_place *place, const struct pst_mqtt_will *will,
                             char *why, size_t why_cap)
{
    struct dial *d = calloc(1, sizeof *d);

    snprintf(why, why_cap, "no resources for a connection");
    if (d == NULL) {
        return NULL;
    }
    snprintf(d->host, sizeof d->host, "%s", place->host);
    d->port = place->port;
    d->mosq = new_mosquitto(d);
    /* What is longer than any of ours is not sent to us. */
    const uint32_t longest = (uint32_t)PST_BROKER_MESSAGE(PST_BROKER_CHUNK) + 1024;
    if (d->mosq == NULL || set_will(d->mosq, will) != PST_OK ||
        mosquitto_property_add_int32(&d->properties, MQTT_PROP_MAXIMUM_PACKET_SIZE, longest) != 0 ||
        mosquitto_property_add_int16(&d->properties, MQTT_PROP_RECEIVE_MAXIMUM, RECEIVE_MAXIMUM) !=
            0 ||
        set_user(d->mosq, place, why, why_cap) != PST_OK ||
        set_tls(d->mosq, place, why, why_cap) != PST_OK) {
        dial_free(d);
        return NULL;
    }
    return d;
}

pst_err pst_mqtt_connect(uv_loop_t *loop, const struct pst_mqtt_place *place,
                         const struct pst_mqtt_will *will, const struct pst_mqtt_events *events,
                         void *ctx, struct pst_mqtt **mqtt, char *why, size_t why_cap)
{
    struct pst_mqtt *m = calloc(1, sizeof *m);

    *mqtt = NULL;
    if (m == NULL) {
        snprintf(why, why_cap, "no memory for a connection");
        return PST_ERR_IO;
    }
    m->dial = new_dial(place, will, why, why_cap);
    if (m->dial == NULL || uv_timer_init(loop, &m->timer) != 0) {
        if (m->dial != NULL) {
            dial_free(m->dial);
        }
        free(m);
        return PST_ERR_IO;
    }
    m->events = events;
    m->tls = place->tls;
    m->ctx = ctx;
    m->loop = loop;
    m->since_ms = uv_now(loop);
    m->timer.data = m;
    m->dial->owner = m;
    m->dial->work.data = m->dial;
    (void)uv_timer_start(&m->timer, on_timer, TICK_MS, TICK_MS);
    if (uv_queue_work(loop, &m->dial->work, dial_work, dial_done) != 0) {
        m->dial->work.data = NULL;
        end(m, "no resources for a connection");
    }
    *mqtt = m;
    return PST_OK;
}

/* --- using it --- */

int pst_mqtt_subscribe(struct pst_mqtt *m, const char *topic)
{
    int id = -1;

    if (!m->connected || m->leaving || m->ending) {
        return -1;
    }
    check(m, mosquitto_subscribe_v5(m->mosq, &id, topic, 1, 0, NULL));
    watch(m);
    return m->ending ? -1 : id;
}

int pst_mqtt_publish(struct pst_mqtt *m, const char *topic, const void *bytes, size_t len, int qos,
                     bool retained, uint32_t expiry_s)
{
    mosquitto_property *properties = NULL;
    int id = -1;

    if (!m->connected || m->leaving || m->ending) {
        return -1;
    }
    if (expiry_s > 0 && mosquitto_property_add_int32(&properties, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL,
                                                     expiry_s) != 0) {
        return -1;
    }
    m->unsent++;
    const int rc =
        mosquitto_publish_v5(m->mosq, &id, topic, (int)len, bytes, qos, retained, properties);
    mosquitto_property_free_all(&properties);
    check(m, rc);
    watch(m);
    return m->ending ? -1 : id;
}

void pst_mqtt_close(struct pst_mqtt *m)
{
    if (m->ending || m->leaving) {
        return;
    }
    m->leaving = true;
    m->since_ms = uv_now(m->loop);
    if (!m->connected || m->unsent == 0) {
        end(m, "");
    }
}

#endif
