/* mctp-spdm: SPDM as MCTP messages on a serial line (postern/mctp_spdm.h), the link to a security
   agent out of band.

   The DTS calls and asks; the TS listens. The line has no greeting of its own, so a listener hands
   over a connection when a peer sends GET_VERSION. The connection lasts until its owner closes it:
   it carries one session after another, and the session of a peer that left without a message ends
   by the heartbeat. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "posix/loop/carrier.h"
#include "posix/loop/carrier_reliable.h" /* pst_rcarrier_now */
#include "posix/loop/tty.h"
#include "postern/links/mctp_spdm.h"
#include "postern/parts/record.h"

#define CALLER_EID 8 /* the lowest EID that may be assigned */
#define LISTENER_EID 9
#define DEFAULT_BAUD 115200
#define BAUD_MOST 4000000
/* A message and its record, of 4,096 and 1,024 bytes. */
#define LONG_MTU (4096 + PST_RECORD_OVERHEAD)
#define SHORT_MTU (1024 + PST_RECORD_OVERHEAD)
#define LEAST_MTU 512
#define MOST_MTU 32768
#define TRIES 6
#define IN_BYTES 16384
#define OUT_BYTES 16384
#define TURNS 4 /* reads before the rest of the loop runs */
#define RETRY_MS 500
#define BLOCKED_MS 100

struct setup {
    struct pst_tty_settings tty;
    uint8_t eid, peer;
    size_t unit, mtu;
};

struct mctp_listener;

struct mctp_carrier {
    struct pst_carrier base;
    struct pst_link_traits traits;
    struct setup setup;
    struct pst_mctp_spdm_line line;
    struct pst_tty tty;
    struct mctp_listener *listener; /* NULL: a caller's, or no longer listening */
    uv_poll_t poll;
    uv_timer_t timer;
    uint8_t *work;
    size_t out_at, out_len;
    bool listens, opened, reading, full, blocked, gone, finishing, ending, kicked, down;
    uint8_t to_close;
    uint64_t finish_ms;
    pst_err why;
    char text[256];
    uint8_t in[IN_BYTES], out[OUT_BYTES];
};

struct mctp_listener {
    struct pst_listener base;
    struct pst_address address;
    struct setup setup;
    uv_loop_t *loop;
    uv_timer_t retry;
    struct mctp_carrier *carrier; /* on the device; NULL while that is away */
};

/* --- addresses --- */

static pst_err setup_of(const struct pst_address *a, struct setup *s, char *why, size_t why_cap)
{
    static const char *const keys[] = {"baud", "flow", "mtu", "eid", "peer", "unit", NULL};
    uint64_t baud = DEFAULT_BAUD, eid = a->listen ? LISTENER_EID : CALLER_EID,
             peer = PST_MCTP_EID_NULL, unit = PST_MCTP_BASELINE;
    char given[24], flow[16];

    *s = (struct setup){.mtu = 0};
    if (a->place[0] == '\0') {
        return pst_address_bad(a, "no device", why, why_cap);
    }
    PST_TRY(pst_address_options(a, keys, why, why_cap));
    PST_TRY(pst_address_number(a, "baud", 0, BAUD_MOST, &baud, why, why_cap));
    PST_TRY(pst_address_string(a, "baud", given, sizeof given, why, why_cap));
    PST_TRY(pst_address_string(a, "flow", flow, sizeof flow, why, why_cap));
    if (flow[0] != '\0' && strcmp(flow, "rtscts") != 0) {
        return pst_address_bad(a, "flow: expected rtscts", why, why_cap);
    }
    s->tty.rtscts = flow[0] != '\0';
    s->tty.baud = given[0] == '\0' && pst_tty_virtual(a->place) ? 0 : (uint32_t)baud;
    uint64_t mtu = s->tty.baud == 0 || s->tty.baud >= DEFAULT_BAUD ? LONG_MTU : SHORT_MTU;
    PST_TRY(pst_address_number(a, "mtu", LEAST_MTU, MOST_MTU, &mtu, why, why_cap));
    PST_TRY(pst_address_number(a, "eid", 1, PST_MCTP_EID_ALL - 1, &eid, why, why_cap));
    PST_TRY(pst_address_number(a, "peer", 0, PST_MCTP_EID_ALL - 1, &peer, why, why_cap));
    PST_TRY(
        pst_address_number(a, "unit", PST_MCTP_BASELINE, PST_MCTP_SPDM_UNIT, &unit, why, why_cap));
    s->eid = (uint8_t)eid;
    s->peer = (uint8_t)peer;
    s->unit = (size_t)unit;
    s->mtu = (size_t)mtu;
    return PST_OK;
}

static pst_err cannot(const struct pst_address *a, const char *what, char *why, size_t why_cap)
{
    snprintf(why, why_cap, "link '%s': %s", a->text, what);
    return PST_ERR_IO;
}

/* --- moving bytes --- */

static void on_poll(uv_poll_t *poll, int status, int events);
static void on_timer(uv_timer_t *timer);

static void kick(struct mctp_carrier *c)
{
    c->kicked = true;
    if (!c->down) {
        (void)uv_timer_start(&c->timer, on_timer, 0, 0);
    }
}

static void fail(struct mctp_carrier *c, pst_err why, const char *text)
{
    if (!c->ending) {
        c->ending = true;
        c->why = why;
        snprintf(c->text, sizeof c->text, "%s", text);
    }
    kick(c);
}

static void watch(struct mctp_carrier *c, bool blocked)
{
    if (c->blocked != blocked && !c->gone) {
        c->blocked = blocked;
        (void)uv_poll_start(&c->poll, UV_READABLE | (blocked ? UV_WRITABLE : 0), on_poll);
    }
}

static void unplugged(struct mctp_carrier *c)
{
    c->gone = true;
    (void)uv_poll_stop(&c->poll);
    fail(c, PST_ERR_IO,
         c->tty.virtual ? "the other end of the line was closed" : "unplugged: the device is gone");
}

/* Sends all pending frames together. */
static bool fill(struct mctp_carrier *c, uint64_t now)
{
    if (c->out_at == c->out_len) {
        c->out_at = c->out_len = 0;
        for (size_t n; c->out_len < sizeof c->out; c->out_len += n) {
            n = pst_mctp_spdm_line_output(&c->line, c->out + c->out_len, sizeof c->out - c->out_len,
                                          now);
            if (n == 0) {
                break;
            }
        }
    }
    return c->out_len > c->out_at;
}

static void send_until(struct mctp_carrier *c, uint64_t now)
{
    while (!c->gone && fill(c, now)) {
        const ssize_t n = pst_tty_write(&c->tty, c->out + c->out_at, c->out_len - c->out_at);

        if (n > 0) {
            c->out_at += (size_t)n;
        } else if (n == 0 || errno == EAGAIN) {
            watch(c, true);
            return;
        } else if (errno != EINTR) {
            unplugged(c);
        }
    }
}

static void receive(struct mctp_carrier *c)
{
    for (int i = 0; i < TURNS && !c->gone; i++) {
        const ssize_t n = read(c->tty.fd, c->in, sizeof c->in);

        if (n > 0) {
            pst_mctp_spdm_line_input(&c->line, c->in, (size_t)n, pst_rcarrier_now());
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            unplugged(c);
        }
        if (n < (ssize_t)sizeof c->in) {
            return;
        }
    }
}

/* --- the owner --- */

static void open_up(struct mctp_carrier *c)
{
    if (c->opened || c->line.mctp.state != PST_OK) {
        return;
    }
    c->opened = true;
    if (!c->listens) {
        c->base.events->open(c->base.ctx);
        return;
    }
    if (c->listener != NULL) {
        c->listener->base.events->peer(c->listener->base.ctx, &c->base);
    }
    if (c->base.events == NULL) {
        fail(c, PST_OK, "");
    }
}

static void give_out(struct mctp_carrier *c)
{
    uint8_t bytes[2048];

    while (c->opened && c->reading && !c->ending && !c->finishing) {
        const size_t n = pst_mctp_spdm_read(&c->line.mctp, bytes, sizeof bytes);
        if (n == 0) {
            return;
        }
        c->base.events->receive(c->base.ctx, bytes, n);
    }
}

static void tell_room(struct mctp_carrier *c)
{
    if (!c->full || c->ending || c->finishing) {
        return;
    }
    c->full = false;
    if (c->base.events->writable != NULL) {
        c->base.events->writable(c->base.ctx);
    }
}

static const char *last_words(const struct mctp_carrier *c)
{
    const struct pst_mctp_spdm *m = &c->line.mctp;

    if (m->state == PST_ERR_UNSUPPORTED) {
        return "SPDM over MCTP carries SPDM messages and records only, none longer than its mtu";
    }
    if (m->state != PST_ERR_TIMEOUT) {
        return "the owner wrote something that is not a link message";
    }
    if (m->answers > 0) {
        return "no answer to an SPDM message after many repetitions: the line loses too much, or "
               "the peer is gone";
    }
    if (c->line.in.frames > 0) {
        return "the peer speaks MCTP, but does not answer SPDM";
    }
    return c->line.in.damaged > 0 ? "only damaged frames: is the baud rate the same at both ends?"
                                  : "no answer on the line";
}

static void judge(struct mctp_carrier *c, uint64_t now)
{
    const pst_err state = c->line.mctp.state;

    if (state != PST_OK && state != PST_PENDING) {
        fail(c, state, last_words(c));
    } else if (c->finishing && (now >= c->finish_ms ||
                                (pst_mctp_spdm_sent(&c->line.mctp) && c->out_at == c->out_len))) {
        fail(c, PST_OK, "");
    }
}

/* Sends, tells, ends; and sets the timer for when there is more to do. */
static void turn(struct mctp_carrier *c)
{
    for (int i = 0; i < TURNS && !c->ending; i++) { /* what was heard may be answered at once */
        c->kicked = false;
        open_up(c);
        give_out(c);
        if (!c->blocked) {
            send_until(c, pst_rcarrier_now());
        }
        tell_room(c);
    }
    const uint64_t now = pst_rcarrier_now();
    judge(c, now);
    uint64_t at = pst_mctp_spdm_line_wake(&c->line);
    at = c->blocked && at < now + BLOCKED_MS ? now + BLOCKED_MS : at;
    at = c->finishing && c->finish_ms < at ? c->finish_ms : at;
    if (c->kicked || c->ending) {
        (void)uv_timer_start(&c->timer, on_timer, 0, 0);
    } else if (at == UINT64_MAX) {
        (void)uv_timer_stop(&c->timer);
    } else { /* never 0 for an overdue timer: libuv would run nothing else */
        (void)uv_timer_start(&c->timer, on_timer, at > now ? at - now : 1, 0);
    }
}

static void release(struct mctp_carrier *c);

static void on_timer(uv_timer_t *timer)
{
    struct mctp_carrier *c = timer->data;

    if (!c->ending) {
        turn(c);
    } else if (!c->down) {
        c->down = true;
        if (c->base.events != NULL) {
            c->base.events->down(c->base.ctx, c->why, c->text);
        }
        release(c);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct mctp_carrier *c = poll->data;

    if ((events & UV_WRITABLE) != 0) {
        watch(c, false);
    }
    receive(c);
    if (status < 0 && !c->gone) {
        unplugged(c);
    }
    turn(c);
}

static size_t write_bytes(struct pst_carrier *base, const uint8_t *bytes, size_t len)
{
    struct mctp_carrier *c = (struct mctp_carrier *)base;

    if (!c->opened || c->ending || c->finishing) {
        return 0;
    }
    const size_t n = pst_mctp_spdm_write(&c->line.mctp, bytes, len);
    c->full = c->full || n < len;
    if (n > 0) {
        kick(c);
    }
    return n;
}

static void read_on_off(struct pst_carrier *base, bool on)
{
    struct mctp_carrier *c = (struct mctp_carrier *)base;

    c->reading = on;
    if (on) {
        kick(c);
    }
}

static void finish(struct pst_carrier *base)
{
    struct mctp_carrier *c = (struct mctp_carrier *)base;

    if (!c->finishing) {
        c->finishing = true;
        c->finish_ms = pst_rcarrier_now() + PST_CARRIER_FINISH_MS;
    }
    kick(c);
}

static void close_now(struct pst_carrier *base)
{
    fail((struct mctp_carrier *)base, PST_OK, "");
}

static const struct pst_carrier_ops ops = {
    .write = write_bytes, .read = read_on_off, .finish = finish, .close = close_now};

/* --- one line --- */

static void carrier_ended(struct mctp_listener *l, struct pst_tty *tty, bool gone);

static void on_closed(uv_handle_t *handle)
{
    struct mctp_carrier *c = handle->data;

    if (--c->to_close == 0) {
        free(c->work);
        free(c);
    }
}

static void release(struct mctp_carrier *c)
{
    c->to_close = 2;
    uv_close((uv_handle_t *)&c->poll,
             on_closed); /* closed first: another one may watch the device */
    uv_close((uv_handle_t *)&c->timer, on_closed);
    if (c->listener != NULL) {
        carrier_ended(c->listener, &c->tty, c->gone);
    } else {
        pst_tty_close(&c->tty);
    }
}

static pst_err open_engine(struct mctp_carrier *c)
{
    const struct setup *s = &c->setup;
    struct pst_mctp_spdm_config cfg = {.listens = c->listens,
                                       .eid = s->eid,
                                       .peer = s->peer,
                                       .unit = s->unit,
                                       .most = s->mtu,
                                       .tries = TRIES,
                                       .work_len = PST_MCTP_SPDM_WORK(s->mtu)};

    pst_mctp_spdm_timing(&cfg, s->tty.baud);
    c->work = cfg.work = malloc(cfg.work_len);
    return cfg.work == NULL ? PST_ERR_IO : pst_mctp_spdm_line_open(&c->line, &cfg, s->tty.baud);
}

/* Takes over `tty` on success. */
static struct mctp_carrier *make(uv_loop_t *loop, const struct setup *setup, bool listens,
                                 const struct pst_tty *tty)
{
    struct mctp_carrier *c = malloc(sizeof *c);

    if (c == NULL) {
        return NULL;
    }
    memset(c, 0, offsetof(struct mctp_carrier, in)); /* not the buffers */
    c->traits = pst_mctp_spdm_traits;
    c->traits.mtu = (uint32_t)setup->mtu;
    c->base = (struct pst_carrier){.ops = &ops, .traits = &c->traits};
    c->setup = *setup;
    c->listens = listens;
    c->tty = *tty;
    c->poll.data = c->timer.data = c;
    if (open_engine(c) != PST_OK || uv_poll_init(loop, &c->poll, tty->fd) != 0) {
        free(c->work);
        free(c);
        return NULL;
    }
    (void)uv_timer_init(loop, &c->timer); /* it cannot fail */
    if (uv_poll_start(&c->poll, UV_READABLE, on_poll) != 0) {
        c->to_close = 2;
        uv_close((uv_handle_t *)&c->poll, on_closed);
        uv_close((uv_handle_t *)&c->timer, on_closed);
        return NULL;
    }
    kick(c);
    return c;
}

static pst_err open_at(uv_loop_t *loop, const struct pst_address *a, const struct setup *setup,
                       bool listens, struct mctp_carrier **c, char *why, size_t why_cap)
{
    struct pst_tty tty;
    char text[PST_RCARRIER_TEXT];

    if (pst_tty_open(&tty, a->place, &setup->tty, text, sizeof text) != PST_OK) {
        return cannot(a, text, why, why_cap);
    }
    *c = make(loop, setup, listens, &tty);
    if (*c == NULL) {
        pst_tty_close(&tty);
        return cannot(a, "no resources for a connection", why, why_cap);
    }
    return PST_OK;
}

static pst_err connect_to(uv_loop_t *loop, const struct pst_address *to,
                          const struct pst_carrier_events *events, void *ctx,
                          struct pst_carrier **carrier, char *why, size_t why_cap)
{
    struct setup setup;
    struct mctp_carrier *c = NULL;

    PST_TRY(setup_of(to, &setup, why, why_cap));
    PST_TRY(open_at(loop, to, &setup, false, &c, why, why_cap));
    snprintf(c->base.peer, sizeof c->base.peer, "%s", to->text);
    pst_carrier_own(&c->base, events, ctx);
    *carrier = &c->base;
    return PST_OK;
}

/* --- the listener --- */

static void settle(struct mctp_listener *l, struct mctp_carrier *c)
{
    l->carrier = c;
    c->listener = l;
    snprintf(c->base.peer, sizeof c->base.peer, "%s", l->base.place);
}

static void note(struct mctp_listener *l, const char *text)
{
    if (l->base.events->note != NULL) {
        l->base.events->note(l->base.ctx, text);
    }
}

static void on_retry(uv_timer_t *timer)
{
    struct mctp_listener *l = timer->data;
    struct mctp_carrier *c = NULL;
    char why[PST_ADDRESS_TEXT + PST_RCARRIER_TEXT];

    if (open_at(l->loop, &l->address, &l->setup, true, &c, why, sizeof why) == PST_OK) {
        uv_timer_stop(timer);
        settle(l, c);
        note(l, "the device is back");
    }
}

static void carrier_ended(struct mctp_listener *l, struct pst_tty *tty, bool gone)
{
    struct mctp_carrier *next = gone ? NULL : make(l->loop, &l->setup, true, tty);

    l->carrier = NULL;
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
    struct mctp_listener *l = (struct mctp_listener *)base;

    if (l->carrier != NULL) {
        l->carrier->listener = NULL;
        if (!l->carrier->opened) {
            fail(l->carrier, PST_OK, "");
        }
    }
    uv_close((uv_handle_t *)&l->retry, on_retry_closed);
}

static pst_err listen_at(uv_loop_t *loop, const struct pst_address *at,
                         const struct pst_listener_events *events, void *ctx,
                         struct pst_listener **listener, char *why, size_t why_cap)
{
    struct mctp_listener *l = calloc(1, sizeof *l);
    struct mctp_carrier *c = NULL;

    if (l == NULL) {
        return cannot(at, "no memory to listen", why, why_cap);
    }
    l->base = (struct pst_listener){.close = close_listener, .events = events, .ctx = ctx};
    l->address = *at;
    l->loop = loop;
    l->retry.data = l;
    pst_err err = setup_of(at, &l->setup, why, why_cap);
    if (err == PST_OK) {
        err = open_at(loop, at, &l->setup, true, &c, why, why_cap);
    }
    if (err != PST_OK) {
        free(l);
        return err;
    }
    (void)uv_timer_init(loop, &l->retry); /* it cannot fail */
    snprintf(l->base.place, sizeof l->base.place, "mctp-spdm:%.480s", at->place);
    settle(l, c);
    *listener = &l->base;
    return PST_OK;
}

static pst_err check(struct pst_address *a, char *why, size_t why_cap)
{
    struct setup s;

    return setup_of(a, &s, why, why_cap);
}

const struct pst_scheme pst_scheme_mctp_spdm = {
    .name = "mctp-spdm",
    .form = "mctp-spdm:DEVICE[,baud=N][,flow=rtscts][,mtu=N][,unit=N][,eid=N][,peer=N]",
    .summary = "SPDM as MCTP messages on a serial line (DSP0275, DSP0276, DSP0253), to manage a "
               "session",
    .traits = &pst_mctp_spdm_traits,
    .exclusive = true,
    .check = check,
    .connect = connect_to,
    .listen = listen_at,
};
