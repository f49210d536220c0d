/* spdm: SPDM over TCP (DSP0287), the way to a security agent out of band; a carrier over tcp's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "posix/loop/carrier.h"
#include "postern/links/spdm_tcp.h"

struct spdm_carrier {
    struct pst_carrier base;
    struct pst_carrier *tcp; /* NULL: gone */
    struct pst_spdm_tcp frames;
    uv_timer_t greeting; /* HELLO in the peer's name, from the loop */
    bool target;         /* the owner is a TS: the side that listens */
    bool greeted, reading, finishing, closing;
    pst_err why;
    char text[160];
    size_t out_at, out_len;
    uint8_t out[PST_CARRIER_READ + PST_SPDM_TCP_MORE];
    uint8_t in[PST_CARRIER_READ + PST_SPDM_TCP_MORE]; /* TCP delivers no more than this at once */
};

struct spdm_listener {
    struct pst_listener base;
    uv_loop_t *loop;
    struct pst_listener *tcp;
};

static void on_greeting_closed(uv_handle_t *handle)
{
    struct spdm_carrier *c = handle->data;
    if (c->base.events != NULL) {
        c->base.events->down(c->base.ctx, c->why, c->text);
    }
    free(c);
}

static void end(struct spdm_carrier *c, pst_err why, const char *text)
{
    if (c->closing) {
        return;
    }
    c->closing = true;
    c->why = why;
    snprintf(c->text, sizeof c->text, "%s", text);
    if (c->tcp != NULL) {
        pst_carrier_close(c->tcp); /* on_down does the cleanup */
    }
}

static bool flush(struct spdm_carrier *c)
{
    if (c->out_at < c->out_len && c->tcp != NULL) {
        c->out_at += pst_carrier_write(c->tcp, c->out + c->out_at, c->out_len - c->out_at);
    }
    return c->out_at == c->out_len;
}

_Static_assert(PST_CARRIER_READ + PST_SPDM_TCP_MORE <= PST_CARRIER_CHUNK, "as given out");

static size_t write_bytes(struct pst_carrier *base, const uint8_t *bytes, size_t len)
{
    struct spdm_carrier *c = (struct spdm_carrier *)base;
    size_t taken = 0;

    /* Short of `len` only when TCP was, for then `writable` follows. */
    while (taken < len && !c->closing && !c->finishing && flush(c)) {
        const size_t n = len - taken < PST_CARRIER_READ ? len - taken : PST_CARRIER_READ;
        pst_err err = pst_spdm_tcp_out(&c->frames, bytes + taken, n, c->out, &c->out_len);
        c->out_at = 0;
        if (err != PST_OK) {
            c->out_len = 0;
            end(c, err,
                err == PST_ERR_PROFILE ? "this link cannot tell the peer that another hop is shared"
                                       : "SPDM over TCP carries SPDM messages and records only");
            break;
        }
        taken += n;
        (void)flush(c);
    }
    return taken;
}

static void greet(struct spdm_carrier *c)
{
    uint8_t hello[PST_SPDM_TCP_GREETING];

    if (!c->greeted) {
        c->greeted = true;
        c->base.events->receive(c->base.ctx, hello, pst_spdm_tcp_greet(c->target, hello));
    }
}

static void on_greeting(uv_timer_t *timer)
{
    struct spdm_carrier *c = timer->data;
    if (!c->closing && !c->finishing && c->reading) {
        greet(c);
    }
    if (!c->closing && c->reading && c->tcp != NULL) {
        pst_carrier_read(c->tcp, true);
    }
}

static void read_on_off(struct pst_carrier *base, bool on)
{
    struct spdm_carrier *c = (struct spdm_carrier *)base;

    c->reading = on;
    if (c->tcp == NULL || c->closing) {
        return;
    }
    if (on && !c->greeted) {
        (void)uv_timer_start(&c->greeting, on_greeting, 0, 0);
    } else {
        pst_carrier_read(c->tcp, on);
    }
}

static void finish(struct pst_carrier *base)
{
    struct spdm_carrier *c = (struct spdm_carrier *)base;

    c->finishing = true;
    if (c->tcp != NULL && flush(c)) {
        pst_carrier_finish(c->tcp);
    }
}

static void close_now(struct pst_carrier *base)
{
    end((struct spdm_carrier *)base, PST_OK, "");
}

static const struct pst_carrier_ops ops = {
    .write = write_bytes, .read = read_on_off, .finish = finish, .close = close_now};

/* --- events of TCP --- */

static void on_open(void *ctx)
{
    struct spdm_carrier *c = ctx;
    c->base.events->open(c->base.ctx);
}

static void on_receive(void *ctx, const uint8_t *bytes, size_t len)
{
    struct spdm_carrier *c = ctx;
    char text[96];
    size_t made;

    if (c->closing || c->finishing) {
        return;
    }
    pst_err err = pst_spdm_tcp_in(&c->frames, bytes, len, c->in, &made);
    if (err != PST_OK) {
        snprintf(text, sizeof text,
                 err == PST_ERR_PEER ? "the peer reports error 0x%02x of SPDM over TCP"
                                     : "not SPDM over TCP (DSP0287): is this another service?",
                 c->frames.peer_error);
        end(c, err, text);
    } else if (made > 0) {
        c->base.events->receive(c->base.ctx, c->in, made);
    }
}

static void on_writable(void *ctx)
{
    struct spdm_carrier *c = ctx;

    if (c->closing || !flush(c)) {
        return;
    }
    if (c->finishing) {
        pst_carrier_finish(c->tcp);
    } else if (c->base.events->writable != NULL) {
        c->base.events->writable(c->base.ctx);
    }
}

static void on_down(void *ctx, pst_err why, const char *text)
{
    struct spdm_carrier *c = ctx;

    c->tcp = NULL;
    end(c, why, text);
    uv_close((uv_handle_t *)&c->greeting, on_greeting_closed);
}

static const struct pst_carrier_events tcp_events = {
    .open = on_open, .receive = on_receive, .writable = on_writable, .down = on_down};

/* --- opening --- */

static struct spdm_carrier *make(uv_loop_t *loop, const char *peer, bool target)
{
    struct spdm_carrier *c = malloc(sizeof *c);

    if (c == NULL || uv_timer_init(loop, &c->greeting) != 0) {
        free(c);
        return NULL;
    }
    c->base = (struct pst_carrier){.ops = &ops, .traits = &pst_spdm_tcp_traits};
    snprintf(c->base.peer, sizeof c->base.peer, "%s", peer);
    c->tcp = NULL;
    pst_spdm_tcp_init(&c->frames);
    c->greeting.data = c;
    c->target = target;
    c->greeted = c->reading = c->finishing = c->closing = false;
    c->why = PST_OK;
    c->text[0] = '\0';
    c->out_at = c->out_len = 0;
    return c;
}

static void discard(uv_handle_t *handle)
{
    free(handle->data);
}

extern const struct pst_scheme pst_scheme_tcp;

static pst_err connect_to(uv_loop_t *loop, const struct pst_address *to,
                          const struct pst_carrier_events *events, void *ctx,
                          struct pst_carrier **carrier, char *why, size_t why_cap)
{
    struct spdm_carrier *c = make(loop, to->text, false);

    if (c == NULL) {
        snprintf(why, why_cap, "link '%s': no memory for a connection", to->text);
        return PST_ERR_IO;
    }
    pst_carrier_own(&c->base, events, ctx);
    pst_err err = pst_scheme_tcp.connect(loop, to, &tcp_events, c, &c->tcp, why, why_cap);
    if (err != PST_OK) {
        uv_close((uv_handle_t *)&c->greeting, discard);
        return err;
    }
    *carrier = &c->base;
    return PST_OK;
}

static void on_peer(void *ctx, struct pst_carrier *tcp)
{
    struct spdm_listener *l = ctx;
    struct spdm_carrier *c = make(l->loop, tcp->peer, true);

    if (c == NULL) {
        return;
    }
    c->tcp = tcp;
    pst_carrier_own(tcp, &tcp_events, c);
    l->base.events->peer(l->base.ctx, &c->base);
    if (c->base.events == NULL) {
        end(c, PST_OK, "");
    }
}

static const struct pst_listener_events tcp_listener_events = {.peer = on_peer};

static void close_listener(struct pst_listener *base)
{
    struct spdm_listener *l = (struct spdm_listener *)base;
    pst_listener_close(l->tcp);
    free(l);
}

static pst_err listen_at(uv_loop_t *loop, const struct pst_address *at,
                         const struct pst_listener_events *events, void *ctx,
                         struct pst_listener **listener, char *why, size_t why_cap)
{
    struct spdm_listener *l = calloc(1, sizeof *l);

    if (l == NULL) {
        snprintf(why, why_cap, "link '%s': no memory to listen", at->text);
        return PST_ERR_IO;
    }
    l->base = (struct pst_listener){.close = close_listener, .events = events, .ctx = ctx};
    l->loop = loop;
    pst_err err = pst_scheme_tcp.listen(loop, at, &tcp_listener_events, l, &l->tcp, why, why_cap);
    if (err != PST_OK) {
        free(l);
        return err;
    }
    snprintf(l->base.place, sizeof l->base.place, "spdm:%s", strchr(l->tcp->place, ':') + 1);
    *listener = &l->base;
    return PST_OK;
}

static pst_err check(struct pst_address *a, char *why, size_t why_cap)
{
    PST_TRY(pst_address_options(a, NULL, why, why_cap));
    return pst_address_host(a, PST_SPDM_TCP_PORT, why, why_cap);
}

const struct pst_scheme pst_scheme_spdm = {
    .name = "spdm",
    .form = "spdm:HOST:PORT",
    .summary = "SPDM over TCP (DSP0287), to manage a session whose debug goes elsewhere; port 4194",
    .traits = &pst_spdm_tcp_traits,
    .check = check,
    .connect = connect_to,
    .listen = listen_at,
};
