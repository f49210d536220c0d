#include "posix/links/line/line.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "postern/links/serial.h"

#define IN_BYTES 16384
#define OUT_BYTES 16384
#define TURNS 4 /* reads before the rest of the loop runs */
#define BUFFER_LEAST 1024
#define BUFFER_MOST 65536
#define DEFAULT_BAUD 115200
#define BAUD_MOST 4000000
#define RETRY_MS 500
#define FAREWELL_MS 60000  /* further than any pacing reaches */
#define BAD_FRAMES 16      /* and no good one: the speed is wrong */
#define STRANGE_BYTES 2048 /* and no frame at all: something else speaks */
#define VERDICT_MS 3000    /* what was on the line before may be noise */

struct line_listener;

struct line {
    struct pst_rcarrier rc;
    const struct pst_line_kind *kind;
    struct pst_line_setup setup;
    struct pst_tty tty;
    uv_poll_t poll;
    struct line_listener *listener; /* NULL: a caller's, or no longer listening */
    void *engine;
    uint8_t *work;
    uint64_t since_ms, bytes_in;
    size_t out_at, out_len;
    bool blocked, gone, complained;
    uint8_t to_close;
    uint8_t in[IN_BYTES], out[OUT_BYTES];
};

struct line_listener {
    struct pst_listener base;
    const struct pst_line_kind *kind;
    struct pst_address address;
    struct pst_line_setup setup;
    uv_loop_t *loop;
    uv_timer_t retry;
    struct line *line; /* on the device; NULL while that is away */
    bool closed;
};

/* --- addresses --- */

static pst_err setup_of(const struct pst_line_kind *kind, const struct pst_address *a,
                        struct pst_line_setup *s, char *why, size_t why_cap)
{
    uint64_t baud = DEFAULT_BAUD, mtu;
    char given[24], flow[16];

    *s = (struct pst_line_setup){.listens = a->listen};
    if (a->place[0] == '\0') {
        return pst_address_bad(a, "no device", why, why_cap);
    }
    PST_TRY(pst_address_number(a, "baud", 0, BAUD_MOST, &baud, why, why_cap));
    PST_TRY(pst_address_string(a, "baud", given, sizeof given, why, why_cap));
    PST_TRY(pst_address_string(a, "flow", flow, sizeof flow, why, why_cap));
    if (flow[0] != '\0' && strcmp(flow, "rtscts") != 0) {
        return pst_address_bad(a, "flow: expected rtscts", why, why_cap);
    }
    s->tty.rtscts = flow[0] != '\0';
    s->baud = given[0] == '\0' && pst_tty_virtual(a->place) ? 0 : (uint32_t)baud;
    s->tty.baud = s->baud;
    mtu = kind->default_mtu(s->baud);
    PST_TRY(pst_address_number(a, "mtu", PST_RELIABLE_LEAST_MTU, PST_SERIAL_MOST_MTU, &mtu, why,
                               why_cap));
    s->mtu = (uint16_t)mtu;
    return kind->options(a, s, why, why_cap);
}

pst_err pst_line_check(const struct pst_line_kind *kind, const struct pst_address *a, char *why,
                       size_t why_cap)
{
    struct pst_line_setup s;

    return setup_of(kind, a, &s, why, why_cap);
}

/* --- moving bytes --- */

static void on_poll(uv_poll_t *poll, int status, int events);

static void watch(struct line *l, bool blocked)
{
    if (l->blocked != blocked && !l->gone) {
        l->blocked = blocked;
        (void)uv_poll_start(&l->poll, UV_READABLE | (blocked ? UV_WRITABLE : 0), on_poll);
    }
}

static void unplugged(struct line *l, int error)
{
    char text[PST_RCARRIER_TEXT];

    if (l->gone) {
        return;
    }
    l->gone = true;
    (void)uv_poll_stop(&l->poll);
    snprintf(text, sizeof text,
             l->tty.virtual ? "the other end of the line was closed%s%s"
                            : "unplugged: the device is gone%s%s",
             error != 0 && error != EIO ? ": " : "",
             error != 0 && error != EIO ? strerror(error) : "");
    pst_rcarrier_fail(&l->rc, PST_ERR_IO, text);
}

/* Sends all pending frames together. */
static bool fill(struct line *l, uint64_t now)
{
    if (l->out_at == l->out_len) {
        l->out_at = l->out_len = 0;
        for (size_t n; l->out_len < sizeof l->out; l->out_len += n) {
            n = l->kind->output(l->engine, l->out + l->out_len, sizeof l->out - l->out_len, now);
            if (n == 0) {
                break;
            }
        }
    }
    return l->out_len > l->out_at;
}

static void send_until(struct line *l, uint64_t now)
{
    while (!l->gone && fill(l, now)) {
        const ssize_t n = pst_tty_write(&l->tty, l->out + l->out_at, l->out_len - l->out_at);

        if (n > 0) {
            l->out_at += (size_t)n;
        } else if (n == 0 || errno == EAGAIN) {
            watch(l, true);
            return;
        } else if (errno != EINTR) {
            unplugged(l, errno);
        }
    }
    watch(l, false);
}

/* What an unsuccessful line sounds like; false: not like that. */
static bool diagnosis(const struct line *l, char *text, size_t cap)
{
    uint64_t good = 0, bad = 0;

    l->kind->heard(l->engine, &good, &bad);
    if (good > 0 || (bad < BAD_FRAMES && l->bytes_in < STRANGE_BYTES)) {
        return false;
    }
    if (bad >= BAD_FRAMES) {
        snprintf(text, cap,
                 "%llu damaged frames, no valid one: is the baud rate the same at both "
                 "ends?",
                 (unsigned long long)bad);
    } else {
        snprintf(text, cap,
                 "received %llu bytes, no valid frame: check the baud rate, and that "
                 "nothing else uses the line",
                 (unsigned long long)l->bytes_in);
    }
    return true;
}

static void diagnose(struct line *l, uint64_t now)
{
    char text[PST_RCARRIER_TEXT];

    if (l->complained || l->rc.open || l->rc.ending || now < l->since_ms + VERDICT_MS ||
        !diagnosis(l, text, sizeof text)) {
        return;
    }
    l->complained = true;
    if (l->listener == NULL) {
        pst_rcarrier_fail(&l->rc, PST_ERR_TIMEOUT, text);
    } else if (l->listener->base.events->note != NULL) {
        l->listener->base.events->note(l->listener->base.ctx, text);
    }
}

static void flush(struct pst_rcarrier *rc)
{
    struct line *l = (struct line *)rc;
    const uint64_t now = pst_rcarrier_now();

    diagnose(l, now);
    if (!l->blocked) {
        send_until(l, now);
    }
}

static uint64_t wake(const struct pst_rcarrier *rc)
{
    const struct line *l = (const struct line *)rc;
    const uint64_t now = pst_rcarrier_now(), verdict = l->since_ms + VERDICT_MS;
    uint64_t at = l->kind->wake(l->engine);

    if (l->blocked && at < now + 100) {
        at = now + 100;
    }
    if (l->bytes_in > 0 && !l->rc.open && now < verdict && verdict < at) {
        at = verdict;
    }
    return l->gone ? UINT64_MAX : at;
}

static void silence(const struct pst_rcarrier *rc, char *text, size_t cap)
{
    const struct line *l = (const struct line *)rc;

    if (diagnosis(l, text, cap)) {
        return;
    }
    const char *more = l->bytes_in > 0 ? ", though something is connected" : "";
    if (l->setup.baud > 0) {
        snprintf(text, cap, "no answer on the line at %u baud%s; does the other end use that rate?",
                 (unsigned)l->setup.baud, more);
    } else {
        snprintf(text, cap, "no answer on the line%s", more);
    }
}

static void receive(struct line *l)
{
    for (int i = 0; i < TURNS && !l->gone; i++) {
        const ssize_t n = read(l->tty.fd, l->in, sizeof l->in);

        if (n > 0) {
            l->bytes_in += (uint64_t)n;
            l->kind->input(l->engine, l->in, (size_t)n, pst_rcarrier_now());
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            unplugged(l, n == 0 ? 0 : errno);
        }
        if (n < (ssize_t)sizeof l->in) {
            return;
        }
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct line *l = poll->data;

    (void)status; /* the next read returns the error */
    if ((events & UV_WRITABLE) != 0) {
        watch(l, false);
    }
    receive(l);
    if (status < 0 && !l->gone) {
        unplugged(l, 0);
    }
    pst_rcarrier_turn(&l->rc);
}

/* --- one line --- */

static void line_ended(struct line_listener *listener, struct pst_tty *tty, bool gone);

static void on_poll_closed(uv_handle_t *handle)
{
    struct line *l = handle->data;

    free(l->engine);
    free(l->work);
    pst_rcarrier_free(&l->rc);
}

static void release(struct pst_rcarrier *rc)
{
    struct line *l = (struct line *)rc;

    if (!l->blocked) {
        send_until(l, pst_rcarrier_now() + FAREWELL_MS);
    }
    uv_close((uv_handle_t *)&l->poll,
             on_poll_closed); /* closed first: another one may watch the device */
    if (l->listener != NULL) {
        line_ended(l->listener, &l->tty, l->gone);
    } else {
        pst_tty_close(&l->tty);
    }
}

static void opened(struct pst_rcarrier *rc)
{
    struct line *l = (struct line *)rc;

    if (!l->setup.listens) {
        rc->base.events->open(rc->base.ctx);
        return;
    }
    if (l->listener != NULL) {
        l->listener->base.events->peer(l->listener->base.ctx, &rc->base);
    }
    if (rc->base.events == NULL) {
        pst_carrier_close(&rc->base);
    }
}

static const struct pst_rcarrier_hop hop = {
    .flush = flush, .wake = wake, .opened = opened, .silence = silence, .release = release};

/* A second of the line, so that little is on its way where little goes. */
static size_t buffer_of(uint32_t baud)
{
    const size_t second = baud == 0 ? BUFFER_MOST : baud / 10;

    return second < BUFFER_LEAST ? BUFFER_LEAST : second > BUFFER_MOST ? BUFFER_MOST : second;
}

static pst_err open_engine(struct line *l)
{
    const struct pst_line_setup *s = &l->setup;
    const size_t buffer = buffer_of(s->baud), work = l->kind->work_len(s);
    struct pst_reliable_config cfg = {.target = s->listens,
                                      .mtu_first = s->mtu,
                                      .mtu_most = s->mtu,
                                      .timing = l->kind->timing(s)};

    l->engine = calloc(1, l->kind->engine_size);
    l->work = malloc(work);
    if (l->engine == NULL || l->work == NULL) {
        return PST_ERR_IO;
    }
    PST_TRY(pst_rcarrier_buffers(&l->rc, &cfg, buffer, buffer));
    l->since_ms = pst_rcarrier_now();
    return l->kind->open(l->engine, s, &cfg, l->work, work, l->since_ms);
}

/* Takes over `tty` on success. */
static struct line *line_make(const struct pst_line_kind *kind, uv_loop_t *loop,
                              const struct pst_line_setup *setup, const struct pst_tty *tty)
{
    struct line *l = malloc(sizeof *l);

    if (l == NULL) {
        return NULL;
    }
    memset(l, 0, offsetof(struct line, in)); /* not the buffers */
    l->kind = kind;
    l->setup = *setup;
    l->tty = *tty;
    l->poll.data = l;
    if (open_engine(l) == PST_OK && uv_poll_init(loop, &l->poll, tty->fd) == 0) {
        if (pst_rcarrier_init(&l->rc, loop, &hop, kind->link(l->engine), kind->traits) == PST_OK &&
            uv_poll_start(&l->poll, UV_READABLE, on_poll) == 0) {
            l->rc.base.largest = (uint32_t)buffer_of(setup->baud);
            pst_rcarrier_kick(&l->rc);
            return l;
        }
        uv_close((uv_handle_t *)&l->poll, on_poll_closed);
        return NULL;
    }
    free(l->engine);
    free(l->work);
    free(l->rc.memory);
    free(l);
    return NULL;
}

static pst_err cannot(const struct pst_address *a, const char *what, char *why, size_t why_cap)
{
    snprintf(why, why_cap, "link '%s': %s", a->text, what);
    return PST_ERR_IO;
}

/* The device of `a`, opened, with a line on it. */
static pst_err line_open(const struct pst_line_kind *kind, uv_loop_t *loop,
                         const struct pst_address *a, const struct pst_line_setup *setup,
                         struct line **line, char *why, size_t why_cap)
{
    struct pst_tty tty;
    char text[PST_RCARRIER_TEXT];

    if (pst_tty_open(&tty, a->place, &setup->tty, text, sizeof text) != PST_OK) {
        return cannot(a, text, why, why_cap);
    }
    *line = line_make(kind, loop, setup, &tty);
    if (*line == NULL) {
        pst_tty_close(&tty);
        return cannot(a, "no resources for a connection", why, why_cap);
    }
    return PST_OK;
}

pst_err pst_line_connect(const struct pst_line_kind *kind, uv_loop_t *loop,
                         const struct pst_address *to, const struct pst_carrier_events *events,
                         void *ctx, struct pst_carrier **carrier, char *why, size_t why_cap)
{
    struct pst_line_setup setup;
    struct line *l = NULL;

    PST_TRY(setup_of(kind, to, &setup, why, why_cap));
    setup.listens = false;
    PST_TRY(line_open(kind, loop, to, &setup, &l, why, why_cap));
    snprintf(l->rc.base.peer, sizeof l->rc.base.peer, "%s", to->text);
    pst_carrier_own(&l->rc.base, events, ctx);
    pst_rcarrier_calls(&l->rc);
    *carrier = &l->rc.base;
    return PST_OK;
}

/* --- the listener --- */

static void settle(struct line_listener *l, struct line *line)
{
    l->line = line;
    line->listener = l;
    snprintf(line->rc.base.peer, sizeof line->rc.base.peer, "%s", l->base.place);
}

static void note(struct line_listener *l, const char *text)
{
    if (l->base.events->note != NULL) {
        l->base.events->note(l->base.ctx, text);
    }
}

static void on_retry(uv_timer_t *timer)
{
    struct line_listener *l = timer->data;
    struct line *line = NULL;
    char why[PST_ADDRESS_TEXT + PST_RCARRIER_TEXT];

    if (line_open(l->kind, l->loop, &l->address, &l->setup, &line, why, sizeof why) == PST_OK) {
        uv_timer_stop(timer);
        settle(l, line);
        note(l, "the device is back");
    }
}

static void line_ended(struct line_listener *l, struct pst_tty *tty, bool gone)
{
    struct line *next = gone ? NULL : line_make(l->kind, l->loop, &l->setup, tty);

    l->line = NULL;
    if (next != NULL) {
        settle(l, next);
        return;
    }
    pst_tty_close(tty);
    uv_timer_start(&l->retry, on_retry, RETRY_MS, RETRY_MS);
    note(l, "the device is gone; waiting for it to come back");
}

static void on_retry_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void close_listener(struct pst_listener *base)
{
    struct line_listener *l = (struct line_listener *)base;

    if (l->line != NULL) {
        l->line->listener = NULL;
        if (!l->line->rc.open) {
            pst_rcarrier_fail(&l->line->rc, PST_OK, "");
        }
    }
    uv_close((uv_handle_t *)&l->retry, on_retry_closed);
}

pst_err pst_line_listen(const struct pst_line_kind *kind, uv_loop_t *loop,
                        const struct pst_address *at, const struct pst_listener_events *events,
                        void *ctx, struct pst_listener **listener, char *why, size_t why_cap)
{
    struct line_listener *l = calloc(1, sizeof *l);
    struct line *line = NULL;

    if (l == NULL) {
        return cannot(at, "no memory to listen", why, why_cap);
    }
    l->base = (struct pst_listener){.close = close_listener, .events = events, .ctx = ctx};
    l->kind = kind;
    l->address = *at;
    l->loop = loop;
    l->retry.data = l;
    pst_err err = setup_of(kind, at, &l->setup, why, why_cap);
    l->setup.listens = true;
    if (err == PST_OK &&
        uv_random(NULL, NULL, l->setup.door.key, sizeof l->setup.door.key, 0, NULL) != 0) {
        err = cannot(at, "no random numbers", why, why_cap);
    }
    if (err == PST_OK) {
        err = line_open(kind, loop, at, &l->setup, &line, why, why_cap);
    }
    if (err != PST_OK) {
        free(l);
        return err;
    }
    (void)uv_timer_init(loop, &l->retry); /* it cannot fail */
    snprintf(l->base.place, sizeof l->base.place, "%.20s:%.480s", kind->name, at->place);
    settle(l, line);
    *listener = &l->base;
    return PST_OK;
}
