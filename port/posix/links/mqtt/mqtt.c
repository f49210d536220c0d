/* The parent's side of the worker: it holds the keys, and does not use libmosquitto. */
#include "posix/links/mqtt/mqtt.h"

#ifdef PST_WITH_MOSQUITTO

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "openssl/openssl_port.h"
#include "posix/links/mqtt/channel.h"

#define TICK_MS 500
#define LEAVE_MS 1500 /* the worker's own time limit is a second */
/* Limit of what the worker has not taken yet; more than all windows of a listener's peers. */
#define WAITING_MOST ((size_t)32 << 20)
#define SELF "/proc/self/exe"
#define WORKER_LIES "the process of the MQTT library sent an invalid message"

struct pst_mqtt {
    const struct pst_mqtt_events *events;
    void *ctx;
    uv_loop_t *loop;
    uv_process_t worker;
    uv_pipe_t pipe; /* each write and each read is one frame */
    uv_timer_t timer;
    uint64_t since_ms;
    size_t waiting;      /* bytes of `sending` */
    int last_id, number; /* the signal that ended the worker */
    bool connected, leaving, ending, reaped, told;
    uint8_t to_close;
    char text[PST_MQTT_TEXT];
    uint8_t in[PST_MQTT_FRAME_MOST];
};

struct sending {
    uv_write_t request;
    struct pst_mqtt *mqtt;
    size_t len;
    uint8_t frame[];
};

/* --- the end --- */

static void on_closed(uv_handle_t *handle)
{
    struct pst_mqtt *m = handle->data;

    if (--m->to_close == 0) {
        m->events->down(m->ctx, m->text);
        free(m);
    }
}

static void close_worker(struct pst_mqtt *m)
{
    if (!m->told && m->number != 0 && m->number != SIGKILL) {
        snprintf(m->text, sizeof m->text,
                 "the MQTT library crashed on data from the broker (signal %d)", m->number);
    } else if (!m->told) {
        snprintf(m->text, sizeof m->text, "the process of the MQTT library has ended");
    }
    uv_close((uv_handle_t *)&m->worker, on_closed);
}

/* `text` NULL: the worker has not given a reason; its exit status will. */
static void end(struct pst_mqtt *m, const char *text)
{
    if (m->ending) {
        return;
    }
    m->ending = true;
    m->told = text != NULL;
    snprintf(m->text, sizeof m->text, "%s", text != NULL ? text : "");
    m->to_close = 3;
    uv_close((uv_handle_t *)&m->pipe, on_closed);
    uv_close((uv_handle_t *)&m->timer, on_closed);
    if (m->reaped) {
        close_worker(m);
    } else {
        (void)uv_process_kill(&m->worker, SIGKILL); /* has no effect on one that is exiting */
    }
}

static void on_exit(uv_process_t *worker, int64_t status, int number)
{
    struct pst_mqtt *m = worker->data;

    (void)status;
    m->reaped = true;
    m->number = number;
    if (m->ending) { /* otherwise its last frames are still to be read */
        close_worker(m);
    }
}

/* --- frames --- */

static void on_sent(uv_write_t *request, int status)
{
    struct sending *s = request->data;

    (void)status; /* the read reports it */
    s->mqtt->waiting -= sizeof *s + s->len;
    pst_wipe(s->frame, s->len); /* the first one contains a password */
    free(s);
}

static void send_frame(struct pst_mqtt *m, const struct pst_mqtt_head *head, const char *topic,
                       const void *payload, size_t len)
{
    struct sending *s =
        malloc(sizeof *s + sizeof *head + (topic != NULL ? strlen(topic) : 0) + len);
    const size_t n = s != NULL ? pst_mqtt_put(head, topic, payload, len, s->frame) : 0;
    uv_buf_t buf = uv_buf_init(n > 0 ? (char *)s->frame : NULL, (unsigned)n);

    if (n > 0) {
        s->request.data = s;
        s->mqtt = m;
        s->len = n;
        m->waiting += sizeof *s + n;
    }
    if (n == 0 || uv_write(&s->request, (uv_stream_t *)&m->pipe, &buf, 1, on_sent) != 0) {
        if (n > 0) {
            pst_wipe(s->frame, n);
        }
        free(s);
        end(m, "no resources for a connection");
    } else if (m->waiting > WAITING_MOST) { /* queries cause answers, which no window limits */
        end(m, "it accepts no data");
    }
}

static void take_frame(struct pst_mqtt *m, const struct pst_mqtt_frame *f)
{
    const struct pst_mqtt_message message = {
        .topic = f->topic,
        .bytes = f->payload,
        .len = f->payload_len,
        .retained = f->head.flag != 0,
        .expiry_s = f->head.expiry_s,
    };
    char text[PST_MQTT_TEXT];

    if (f->head.op == PST_MQTT_DOWN) {
        snprintf(text, sizeof text, "%.*s",
                 (int)(f->payload_len < sizeof text ? f->payload_len : sizeof text - 1),
                 (const char *)f->payload);
        end(m, text);
    } else if (m->leaving) {
        return;
    } else if (f->head.op == PST_MQTT_UP && !m->connected) {
        m->connected = true;
        m->events->up(m->ctx);
    } else if (!m->connected) {
        end(m, WORKER_LIES);
    } else if (f->head.op == PST_MQTT_MESSAGE) {
        m->events->message(m->ctx, &message);
    } else if (f->head.op == PST_MQTT_SUBSCRIBED) {
        m->events->subscribed(m->ctx, f->head.id, f->head.flag != 0);
    } else if (f->head.op == PST_MQTT_UNDELIVERED && m->events->undelivered != NULL) {
        m->events->undelivered(m->ctx, f->head.id, f->head.flag != 0);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct pst_mqtt *m = handle->data;

    (void)suggested;
    *buf = uv_buf_init((char *)m->in, sizeof m->in);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct pst_mqtt *m = stream->data;
    struct pst_mqtt_frame f;

    (void)buf;
    if (n == 0 || m->ending) {
        return; /* nothing for now */
    }
    if (n < 0) {
        end(m, m->leaving ? "" : NULL);
    } else if (pst_mqtt_get(m->in, (size_t)n, &f) != PST_OK) {
        end(m, WORKER_LIES);
    } else {
        take_frame(m, &f);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct pst_mqtt *m = timer->data;
    const uint64_t passed = uv_now(m->loop) - m->since_ms;

    if (m->leaving && passed >= LEAVE_MS) {
        end(m, "");
    } else if (!m->connected && passed >= PST_MQTT_CONNECT_MS) {
        end(m, "it does not answer");
    }
}

/* --- connecting --- */

static pst_err readable(const char *path, char *why, size_t why_cap)
{
    if (path[0] == '\0' || access(path, R_OK) == 0) {
        return PST_OK;
    }
    snprintf(why, why_cap, "%s: %s", path, strerror(errno));
    return PST_ERR_IO;
}

/* The configuration of the worker; wipe it after use. */
static pst_err fill_start(struct pst_mqtt_start *s, const struct pst_mqtt_place *place,
                          const struct pst_mqtt_will *will, char *why, size_t why_cap)
{
    const struct pst_crypto *c = pst_openssl_crypto();
    uint8_t random[8];

    memset(s, 0, sizeof *s);
    s->place = *place;
    memset(s->place.secret, 0, sizeof s->place.secret);
    if (will != NULL) {
        s->will = *will;
        s->has_will = true;
    }
    PST_TRY(readable(place->cafile, why, why_cap));
    PST_TRY(readable(place->cert, why, why_cap));
    PST_TRY(readable(place->key, why, why_cap));
    if (place->passfile[0] != '\0') {
        PST_TRY(pst_mqtt_line(place->passfile, s->password, sizeof s->password, why, why_cap));
    }
    if (c->random(c->ctx, random, sizeof random) != PST_OK) {
        snprintf(why, why_cap, "no random numbers");
        return PST_ERR_IO;
    }
    memcpy(s->client, "pst", 3);
    pst_mqtt_hex(random, sizeof random, s->client + 3); /* carries no information for the broker */
    return PST_OK;
}

/* Starts the worker with `fd` as its standard input. 0, or an error of libuv. */
static int spawn(struct pst_mqtt *m, int fd)
{
    char *argv[] = {(char[]){"postern"}, (char[]){PST_MQTT_WORKER}, NULL};
    uv_stdio_container_t stdio[] = {
        {.flags = UV_INHERIT_FD, .data = {.fd = fd}},
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data = {.fd = STDERR_FILENO}}
    };
    const uv_process_options_t options = {
        .file = SELF, .args = argv, .stdio = stdio, .stdio_count = 3, .exit_cb = on_exit};

    return uv_spawn(m->loop, &m->worker, &options);
}

static void on_failed(uv_handle_t *handle)
{
    struct pst_mqtt *m = handle->data;

    if (--m->to_close == 0) {
        free(m);
    }
}

/* 0, or an error of libuv: then `m` is freed from the loop. */
static int start_worker(struct pst_mqtt *m)
{
    int fds[2], rc;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
        rc = -errno;
        free(m);
        return rc;
    }
    (void)uv_timer_init(m->loop, &m->timer);
    (void)uv_pipe_init(m->loop, &m->pipe, 0);
    m->timer.data = m->pipe.data = m->worker.data = m;
    rc = spawn(m, fds[1]);
    (void)close(fds[1]);
    if (rc != 0) {
        (void)close(fds[0]);
        m->to_close = 3;
        uv_close((uv_handle_t *)&m->timer, on_failed);
        uv_close((uv_handle_t *)&m->pipe, on_failed);
        uv_close((uv_handle_t *)&m->worker, on_failed);
        return rc;
    }
    rc = uv_pipe_open(&m->pipe, fds[0]);
    if (rc != 0) {
        (void)close(fds[0]);
    }
    rc = rc == 0 ? uv_read_start((uv_stream_t *)&m->pipe, on_alloc, on_read) : rc;
    rc = rc == 0 ? uv_timer_start(&m->timer, on_timer, TICK_MS, TICK_MS) : rc;
    if (rc != 0) {
        end(m, uv_strerror(rc));
    }
    return 0;
}

pst_err pst_mqtt_connect(uv_loop_t *loop, const struct pst_mqtt_place *place,
                         const struct pst_mqtt_will *will, const struct pst_mqtt_events *events,
                         void *ctx, struct pst_mqtt **mqtt, char *why, size_t why_cap)
{
    struct pst_mqtt *m = calloc(1, sizeof *m);
    struct pst_mqtt_start s;
    pst_err err = PST_ERR_IO;

    *mqtt = NULL;
    snprintf(why, why_cap, "no memory for a connection");
    if (m != NULL && fill_start(&s, place, will, why, why_cap) == PST_OK) {
        m->events = events;
        m->ctx = ctx;
        m->loop = loop;
        m->since_ms = uv_now(loop);
        const int rc = start_worker(m);
        if (rc == 0) {
            /* Freed only with an error: errno is never 0. */
            /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
            send_frame(m, &(struct pst_mqtt_head){.op = PST_MQTT_START}, NULL, &s, sizeof s);
            *mqtt = m;
            err = PST_OK;
        } else {
            snprintf(why, why_cap, "cannot start the process of the MQTT library: %s",
                     uv_strerror(rc));
        }
    } else {
        free(m);
    }
    pst_wipe(&s, sizeof s);
    return err;
}

/* --- using it --- */

static int ask(struct pst_mqtt *m, struct pst_mqtt_head head, const char *topic, const void *bytes,
               size_t len)
{
    if (!m->connected || m->leaving || m->ending) {
        return -1;
    }
    m->last_id = m->last_id < INT32_MAX ? m->last_id + 1 : 1;
    head.id = m->last_id;
    send_frame(m, &head, topic, bytes, len);
    return m->ending ? -1 : head.id;
}

int pst_mqtt_subscribe(struct pst_mqtt *m, const char *topic)
{
    return ask(m, (struct pst_mqtt_head){.op = PST_MQTT_SUBSCRIBE}, topic, NULL, 0);
}

int pst_mqtt_publish(struct pst_mqtt *m, const char *topic, const void *bytes, size_t len, int qos,
                     bool retained, uint32_t expiry_s)
{
    const struct pst_mqtt_head head = {
        .op = PST_MQTT_PUBLISH, .qos = (uint8_t)qos, .flag = retained, .expiry_s = expiry_s};
    return ask(m, head, topic, bytes, len);
}

void pst_mqtt_close(struct pst_mqtt *m)
{
    if (m->ending || m->leaving) {
        return;
    }
    m->leaving = true;
    m->since_ms = uv_now(m->loop);
    if (!m->connected) {
        end(m, "");
    } else {
        send_frame(m, &(struct pst_mqtt_head){.op = PST_MQTT_LEAVE}, NULL, NULL, 0);
    }
}

#endif
