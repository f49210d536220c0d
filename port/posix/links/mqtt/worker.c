/* The process that runs libmosquitto (mqtt.h): one connection to a broker, what the parent asks for
 * on standard input, what happens back on the same socket. */
#define _GNU_SOURCE /* RLIMIT_DATA, closefrom */
#include "posix/links/mqtt/mqtt.h"

#ifdef PST_WITH_MOSQUITTO

#include <errno.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "posix/links/mqtt/channel.h"

#define PARENT STDIN_FILENO
#define RECEIVE_MAXIMUM 32
#define TICK_MS 500
#define BATCH 32      /* of the parent's, in a turn */
#define LEAVE_MS 1000 /* for what is still to be acknowledged */
#define SYSTEM_CERTIFICATES "/etc/ssl/certs"
#ifdef __SANITIZE_ADDRESS__
#define MEMORY_MOST (1024ul << 20) /* freed memory is quarantined for a while */
#else
#define MEMORY_MOST (32ul << 20) /* on top of its use at the start */
#endif

static struct worker {
    struct mosquitto *mosq;
    struct pst_mqtt_start start;
    bool connected, leaving;
    unsigned unsent;
    uint64_t leave_ms;
    char log[PST_MQTT_TEXT]; /* libmosquitto's last log message: the only report of TLS errors */
    int32_t ids[65536];      /* the parent's, by libmosquitto's */
    uint8_t in[PST_MQTT_FRAME_MOST], out[PST_MQTT_FRAME_MOST];
} worker;

static uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* --- to the parent --- */

/* Blocks while the parent is slow, and so the broker waits too. Without a parent the worker ends
   without a DISCONNECT: the broker publishes the will. */
static void tell(struct worker *w, struct pst_mqtt_head head, const char *topic,
                 const void *payload, size_t len)
{
    const size_t n = pst_mqtt_put(&head, topic, payload, len, w->out);

    if (n > 0 && send(PARENT, w->out, n, MSG_NOSIGNAL) != (ssize_t)n) {
        _exit(EXIT_FAILURE);
    }
}

static _Noreturn void end(struct worker *w, const char *text)
{
    tell(w, (struct pst_mqtt_head){.op = PST_MQTT_DOWN}, NULL, text, strlen(text));
    _exit(EXIT_SUCCESS);
}

static bool hung_up(int rc, int saved_errno)
{
    return rc == MOSQ_ERR_CONN_LOST || rc == MOSQ_ERR_TLS ||
           (rc == MOSQ_ERR_ERRNO && (saved_errno == ECONNRESET || saved_errno == EPIPE ||
                                     saved_errno == EPROTO || saved_errno == 0));
}

static void end_with(struct worker *w, int rc, int saved_errno)
{
    char text[PST_MQTT_TEXT];

    if (w->log[0] != '\0') {
        snprintf(text, sizeof text, "%s: %.200s", w->start.place.tls ? "TLS" : "not MQTT 5",
                 w->log);
        end(w, text);
    } else if (hung_up(rc, saved_errno) && w->connected) {
        end(w, "the connection was lost");
    } else if (hung_up(rc, saved_errno)) {
        end(w, w->start.place.tls
                   ? "it hung up: not an MQTT broker, or it wants a client certificate"
                   : "it hung up: not an MQTT broker, or it expects TLS");
    } else if (rc == MOSQ_ERR_ERRNO) {
        end(w, strerror(saved_errno));
    } else {
        end(w, rc == MOSQ_ERR_EAI         ? "the name cannot be resolved"
               : rc == MOSQ_ERR_KEEPALIVE ? "it does not answer any more"
               : rc == MOSQ_ERR_PROTOCOL  ? "not an MQTT broker"
                                          : mosquitto_strerror(rc));
    }
}

static void check(struct worker *w, int rc)
{
    if (rc != MOSQ_ERR_SUCCESS) {
        end_with(w, rc, errno);
    }
}

/* --- what libmosquitto tells --- */

static void on_log(struct mosquitto *mosq, void *obj, int level, const char *text)
{
    struct worker *w = obj;
    const char *last = strrchr(text, ':'); /* "OpenSSL Error[0]: error:0A000086:...:reason" */

    (void)mosq;
    if (level == MOSQ_LOG_ERR) {
        snprintf(w->log, sizeof w->log, "%s", last != NULL && last[1] != '\0' ? last + 1 : text);
    }
}

static void on_connack(struct mosquitto *mosq, void *obj, int rc, int flags,
                       const mosquitto_property *properties)
{
    struct worker *w = obj;
    char text[PST_MQTT_TEXT];

    (void)mosq;
    (void)flags;
    (void)properties;
    if (rc != 0) {
        snprintf(text, sizeof text, "it refuses us: %s",
                 rc < 0x80 ? "it does not speak MQTT 5" : mosquitto_reason_string(rc));
        end(w, text);
    }
    if (!w->connected) {
        w->connected = true;
        w->log[0] = '\0';
        tell(w, (struct pst_mqtt_head){.op = PST_MQTT_UP}, NULL, NULL, 0);
    }
}

static void on_disconnect(struct mosquitto *mosq, void *obj, int rc,
                          const mosquitto_property *properties)
{
    struct worker *w = obj;
    char text[PST_MQTT_TEXT];

    (void)mosq;
    (void)properties;
    if (rc >= 0x80) { /* the broker's own text */
        snprintf(text, sizeof text, "it ended the connection: %s", mosquitto_reason_string(rc));
        end(w, text);
    } else {
        end_with(w, rc != 0 ? rc : MOSQ_ERR_CONN_LOST, errno);
    }
}

/* A topic or payload longer than ours is not ours. */
static void on_message(struct mosquitto *mosq, void *obj, const struct mosquitto_message *in,
                       const mosquitto_property *properties)
{
    struct pst_mqtt_head head = {.op = PST_MQTT_MESSAGE, .flag = in->retain};

    (void)mosq;
    (void)mosquitto_property_read_int32(properties, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL,
                                        &head.expiry_s, false);
    tell(obj, head, in->topic, in->payload, in->payloadlen > 0 ? (size_t)in->payloadlen : 0);
}

static void on_subscribed(struct mosquitto *mosq, void *obj, int id, int count, const int *granted,
                          const mosquitto_property *properties)
{
    struct worker *w = obj;
    const struct pst_mqtt_head head = {.op = PST_MQTT_SUBSCRIBED,
                                       .flag = count == 1 && granted[0] < 0x80,
                                       .id = w->ids[id & 0xFFFF]};

    (void)mosq;
    (void)properties;
    tell(w, head, NULL, NULL, 0);
}

static void on_published(struct mosquitto *mosq, void *obj, int id, int reason,
                         const mosquitto_property *properties)
{
    struct worker *w = obj;
    const struct pst_mqtt_head head = {
        .op = PST_MQTT_UNDELIVERED, .flag = reason >= 0x80, .id = w->ids[id & 0xFFFF]};

    (void)mosq;
    (void)properties;
    w->unsent -= w->unsent > 0;
    if (reason >= 0x80 || reason == MQTT_RC_NO_MATCHING_SUBSCRIBERS) {
        tell(w, head, NULL, NULL, 0);
    }
}

/* --- from the parent --- */

static void publish(struct worker *w, const struct pst_mqtt_frame *f)
{
    mosquitto_property *properties = NULL;
    int id = 0, rc = MOSQ_ERR_SUCCESS;

    if (f->head.expiry_s > 0) {
        rc = mosquitto_property_add_int32(&properties, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL,
                                          f->head.expiry_s);
    }
    if (rc == MOSQ_ERR_SUCCESS) {
        w->unsent++;
        /* For QoS 0 this may be reported in here. */
        rc = mosquitto_publish_v5(w->mosq, &id, f->topic, (int)f->payload_len, f->payload,
                                  f->head.qos, f->head.flag != 0, properties);
        w->ids[id & 0xFFFF] = f->head.id;
    }
    mosquitto_property_free_all(&properties);
    check(w, rc);
}

static void subscribe(struct worker *w, const struct pst_mqtt_frame *f)
{
    int id = 0;

    check(w, mosquitto_subscribe_v5(w->mosq, &id, f->topic, 1, 0, NULL));
    w->ids[id & 0xFFFF] = f->head.id;
}

/* False: nothing for now. Without a parent it does not return. */
static bool hear(struct worker *w, int flags, struct pst_mqtt_frame *f)
{
    const ssize_t n = recv(PARENT, w->in, sizeof w->in, flags);

    if (n < 0 && errno == EAGAIN) {
        return false;
    }
    if (n <= 0 || pst_mqtt_get(w->in, (size_t)n, f) != PST_OK) {
        _exit(EXIT_SUCCESS);
    }
    return true;
}

/* Reads from the parent only while the broker takes data: otherwise the parent waits. */
static void serve(struct worker *w)
{
    struct pst_mqtt_frame f;

    for (int i = 0; i < BATCH && !mosquitto_want_write(w->mosq) && hear(w, MSG_DONTWAIT, &f); i++) {
        if (f.head.op == PST_MQTT_SUBSCRIBE) {
            subscribe(w, &f);
        } else if (f.head.op == PST_MQTT_PUBLISH) {
            publish(w, &f);
        } else if (f.head.op == PST_MQTT_LEAVE) {
            w->leaving = true;
            w->leave_ms = now_ms() + LEAVE_MS;
        }
    }
}

/* --- the loop --- */

/* libmosquitto continues a TLS handshake although the other side has closed. */
static bool closed_early(const struct worker *w)
{
    uint8_t byte;
    return !w->connected && recv(mosquitto_socket(w->mosq), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static void leave(struct worker *w)
{
    if (w->leaving && (w->unsent == 0 || now_ms() >= w->leave_ms)) {
        (void)mosquitto_disconnect_v5(w->mosq, 0, NULL); /* it is written at once */
        end(w, "");
    }
}

static void turn(struct worker *w)
{
    const bool full = mosquitto_want_write(w->mosq);
    struct pollfd fds[] = {
        {.fd = mosquitto_socket(w->mosq), .events = (short)(full ? POLLIN | POLLOUT : POLLIN)},
        {.fd = PARENT,                    .events = full ? 0 : POLLIN                        },
    };

    if (poll(fds, 2, TICK_MS) < 0 && errno != EINTR) {
        end(w, strerror(errno));
    }
    if (closed_early(w)) {
        end_with(w, MOSQ_ERR_CONN_LOST, 0);
    }
    errno = 0;
    /* When libmosquitto cannot write, it leaves the rest of a TLS record with several packets
       unread, which poll does not report. */
    if (w->start.place.tls || (fds[0].revents & (POLLIN | POLLERR | POLLHUP)) != 0) {
        check(w, mosquitto_loop_read(w->mosq, 1));
    }
    if ((fds[0].revents & POLLOUT) != 0) {
        check(w, mosquitto_loop_write(w->mosq, 1));
    }
    if (fds[1].revents != 0) {
        serve(w);
    }
    check(w, mosquitto_loop_misc(w->mosq));
    leave(w);
}

/* --- the start --- */

/* Without this callback, OpenSSL asks for the passphrase at the terminal, or reads the parent's
   next frame, until the worker is killed. */
static int no_passphrase(char *out, int cap, int writing, void *ctx)
{
    char text[PST_MQTT_TEXT];

    (void)out;
    (void)cap;
    (void)writing;
    (void)ctx;
    snprintf(text, sizeof text, "TLS: %.160s wants a passphrase, expected a key without one",
             worker.start.place.key);
    end(&worker, text);
}

static void set_tls(struct worker *w)
{
    const struct pst_mqtt_place *p = &w->start.place;
    const bool own = p->cafile[0] != '\0', client = p->cert[0] != '\0';

    if (p->tls && mosquitto_tls_set(w->mosq, own ? p->cafile : NULL,
                                    own ? NULL : SYSTEM_CERTIFICATES, client ? p->cert : NULL,
                                    client ? p->key : NULL, no_passphrase) != MOSQ_ERR_SUCCESS) {
        end(w, "TLS cannot be set up");
    }
}

static void set_up(struct worker *w)
{
    const struct pst_mqtt_start *s = &w->start;

    if (mosquitto_lib_init() != MOSQ_ERR_SUCCESS ||
        (w->mosq = mosquitto_new(s->client, true, w)) == NULL) {
        end(w, "no resources for a connection");
    }
    check(w, mosquitto_int_option(w->mosq, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5));
    (void)mosquitto_int_option(w->mosq, MOSQ_OPT_TCP_NODELAY, 1);
    if (s->has_will) {
        check(w, mosquitto_will_set_v5(w->mosq, s->will.topic, (int)s->will.len,
                                       s->will.len > 0 ? s->will.bytes : NULL, 1, s->will.retained,
                                       NULL));
    }
    if (s->place.user[0] != '\0') {
        check(w, mosquitto_username_pw_set(w->mosq, s->place.user,
                                           s->place.passfile[0] != '\0' ? s->password : NULL));
    }
    mosquitto_log_callback_set(w->mosq, on_log);
    mosquitto_connect_v5_callback_set(w->mosq, on_connack);
    mosquitto_disconnect_v5_callback_set(w->mosq, on_disconnect);
    mosquitto_message_v5_callback_set(w->mosq, on_message);
    mosquitto_subscribe_v5_callback_set(w->mosq, on_subscribed);
    mosquitto_publish_v5_callback_set(w->mosq, on_published);
    set_tls(w);
}

static void dial(struct worker *w)
{
    /* A broker that obeys it sends nothing longer. */
    const uint32_t longest = (uint32_t)PST_MQTT_PAYLOAD + 1024;
    mosquitto_property *properties = NULL;

    check(w, mosquitto_property_add_int32(&properties, MQTT_PROP_MAXIMUM_PACKET_SIZE, longest));
    check(w, mosquitto_property_add_int16(&properties, MQTT_PROP_RECEIVE_MAXIMUM, RECEIVE_MAXIMUM));
    errno = 0;
    check(w, mosquitto_connect_bind_v5(w->mosq, w->start.place.host, w->start.place.port,
                                       PST_MQTT_KEEPALIVE_S, NULL, properties));
    mosquitto_property_free_all(&properties);
}

/* Limits what a broker can do that has taken over this process: no files inherited from the parent,
   no memory beyond its own, no core dump, no new privileges. SIGINT from a terminal is left to the
   parent, which disconnects in order. */
static void confine(void)
{
    struct rlimit none = {0, 0}, data = {0, 0};
    unsigned long pages[6] = {0};

    closefrom(STDERR_FILENO + 1);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)setrlimit(RLIMIT_CORE, &none);
    FILE *f = fopen("/proc/self/statm", "r");
    if (f != NULL && fscanf(f, "%lu %lu %lu %lu %lu %lu", &pages[0], &pages[1], &pages[2],
                            &pages[3], &pages[4], &pages[5]) == 6) {
        data.rlim_cur = data.rlim_max =
            pages[5] * (unsigned long)sysconf(_SC_PAGESIZE) + MEMORY_MOST;
        (void)setrlimit(RLIMIT_DATA, &data);
    }
    if (f != NULL) {
        (void)fclose(f);
    }
}

void pst_mqtt_enter(int argc, char **argv)
{
    struct worker *w = &worker;
    struct pst_mqtt_frame f;

    if (argc != 2 || strcmp(argv[1], PST_MQTT_WORKER) != 0) {
        return;
    }
    if (recv(PARENT, w->in, 0, MSG_PEEK) < 0) {
        fprintf(stderr, "postern: %s is started by postern itself, not by hand\n", argv[1]);
        _exit(EXIT_FAILURE);
    }
    if (!hear(w, 0, &f) || f.head.op != PST_MQTT_START || f.payload_len != sizeof w->start) {
        _exit(EXIT_FAILURE);
    }
    memcpy(&w->start, f.payload, sizeof w->start);
    confine();
    set_up(w);
    dial(w);
    for (;;) {
        turn(w);
    }
}

#else

void pst_mqtt_enter(int argc, char **argv)
{
    (void)argc;
    (void)argv;
}

#endif
