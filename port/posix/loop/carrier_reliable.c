#include "posix/loop/carrier_reliable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "posix/loop/crc32c.h"

/* `writable` is called once this much of the buffer is free: few large writes are cheaper. */
#define ROOM_SHARE 4

uint64_t pst_rcarrier_now(void)
{
    return uv_hrtime() / 1000000;
}

pst_err pst_rcarrier_numbers(struct pst_reliable_config *cfg)
{
    uint32_t random[2];

    if (uv_random(NULL, NULL, random, sizeof random, 0, NULL) != 0) {
        return PST_ERR_IO;
    }
    cfg->id = random[0];
    cfg->start = random[1];
    return PST_OK;
}

pst_err pst_rcarrier_buffers(struct pst_rcarrier *c, struct pst_reliable_config *cfg, size_t send,
                             size_t receive)
{
    const size_t sent = PST_RELIABLE_MAX_SENT * sizeof *cfg->sent;

    PST_TRY(pst_rcarrier_numbers(cfg));
    c->memory = malloc(sent + send + receive + PST_LINK_MAX_MESSAGE);
    if (c->memory == NULL) {
        return PST_ERR_IO;
    }
    cfg->sent = (void *)c->memory;
    cfg->sent_count = PST_RELIABLE_MAX_SENT;
    cfg->send = c->memory + sent;
    cfg->send_cap = send;
    cfg->receive = cfg->send + send;
    cfg->receive_cap = receive;
    cfg->message = cfg->receive + receive; /* never touched: bytes are what goes through */
    cfg->message_cap = PST_LINK_MAX_MESSAGE;
    cfg->crc32c = pst_crc32c_fast;
    return PST_OK;
}

/* --- the owner's side --- */

static bool alive(const struct pst_rcarrier *c)
{
    return c->link->state == PST_OK || c->link->state == PST_PENDING;
}

static void arm(struct pst_rcarrier *c);

static size_t write_bytes(struct pst_carrier *base, const uint8_t *bytes, size_t len)
{
    struct pst_rcarrier *c = (struct pst_rcarrier *)base;

    if (!c->open || c->finishing || c->ending) {
        c->full = true;
        return 0;
    }
    if (!alive(c)) { /* discarded: an owner that reads only after it has written must continue */
        return len;
    }
    const size_t n = pst_reliable_write(c->link, bytes, len);
    c->full = n < len;
    c->hop->flush(c);
    if (!alive(c)) { /* the peer's silence was noticed in here, and no timer will run any more */
        pst_rcarrier_kick(c);
    }
    arm(c);
    return n;
}

static void read_on_off(struct pst_carrier *base, bool on)
{
    struct pst_rcarrier *c = (struct pst_rcarrier *)base;

    if (on && !c->reading) {
        pst_rcarrier_kick(c);
    }
    c->reading = on;
}

static void finish(struct pst_carrier *base)
{
    struct pst_rcarrier *c = (struct pst_rcarrier *)base;

    if (c->finishing || c->ending) {
        return;
    }
    c->finishing = true;
    c->finish_ms = pst_rcarrier_now() + PST_CARRIER_FINISH_MS;
    if (c->open) {
        pst_reliable_close(c->link);
    } else {
        pst_rcarrier_fail(c, PST_OK, "closed");
    }
    pst_rcarrier_kick(c);
}

static void close_now(struct pst_carrier *base)
{
    struct pst_rcarrier *c = (struct pst_rcarrier *)base;

    pst_rcarrier_fail(c, PST_OK, "closed");
}

static const struct pst_carrier_ops ops = {
    .write = write_bytes, .read = read_on_off, .finish = finish, .close = close_now};

/* --- the loop's side --- */

static void on_timer(uv_timer_t *timer)
{
    pst_rcarrier_turn(timer->data);
}

static void arm(struct pst_rcarrier *c)
{
    const uint64_t now = pst_rcarrier_now();
    uint64_t at = c->hop->wake(c);

    if (c->down) {
        return;
    }
    if (c->finishing && c->finish_ms < at) {
        at = c->finish_ms;
    }
    if (c->call_ms > 0 && !c->open && c->call_ms < at) {
        at = c->call_ms;
    }
    if (c->kicked) {
        uv_timer_start(&c->timer, on_timer, 0, 0);
    } else if (at == UINT64_MAX) {
        uv_timer_stop(&c->timer);
    } else { /* never 0 for an overdue timer: libuv would run nothing else */
        uv_timer_start(&c->timer, on_timer, at > now ? at - now : 1, 0);
    }
}

void pst_rcarrier_calls(struct pst_rcarrier *c)
{
    c->call_ms = pst_rcarrier_now() + PST_RCARRIER_CALL_MS;
}

void pst_rcarrier_kick(struct pst_rcarrier *c)
{
    if (!c->kicked && !c->down) {
        c->kicked = true;
        uv_timer_start(&c->timer, on_timer, 0, 0);
    }
}

void pst_rcarrier_fail(struct pst_rcarrier *c, pst_err why, const char *text)
{
    if (!c->ending) {
        c->ending = true;
        c->why = why;
        snprintf(c->text, sizeof c->text, "%s", text);
    }
    pst_rcarrier_kick(c);
}

static void give_out(struct pst_rcarrier *c)
{
    for (struct pst_bytes b; (b = pst_reliable_peek(c->link)).len > 0;) {
        if (!c->finishing && (!c->reading || c->ending)) {
            return;
        }
        pst_reliable_skip(c->link, c->finishing ? b.len : pst_carrier_give(&c->base, b));
    }
}

static void tell_room(struct pst_rcarrier *c)
{
    if (!c->full || c->finishing || c->ending ||
        (alive(c) && pst_reliable_room(c->link) < c->link->cfg.send_cap / ROOM_SHARE)) {
        return;
    }
    c->full = false;
    if (c->base.events->writable != NULL) {
        c->base.events->writable(c->base.ctx);
    }
}

static const char *last_words(const struct pst_rcarrier *c, char *text, size_t cap)
{
    const pst_err why = c->link->state;

    if (why == PST_ERR_CLOSED) {
        return c->link->forgotten ? "the peer was restarted" : "closed by the peer";
    }
    if (why == PST_ERR_TIMEOUT && !c->open) {
        c->hop->silence(c, text, cap);
        return text;
    }
    if (why == PST_ERR_TIMEOUT) {
        snprintf(text, cap, "nothing received from the peer for %u s",
                 (unsigned)(c->link->cfg.timing.dead / 1000));
        return text;
    }
    if (why == PST_ERR_BUSY) {
        return "busy: the peer accepts no more connections";
    }
    return why == PST_ERR_PROFILE ? "the peer has an incompatible version of the protocol"
                                  : pst_err_text(why);
}

/* Has it ended, and was all earlier input delivered? */
static bool over(struct pst_rcarrier *c)
{
    char text[PST_RCARRIER_TEXT];

    if (c->finishing && !c->ending && alive(c) && pst_rcarrier_now() >= c->finish_ms) {
        pst_rcarrier_fail(c, PST_ERR_TIMEOUT, "closed before the peer had received everything");
    }
    if (c->call_ms > 0 && !c->open && !c->ending && pst_rcarrier_now() >= c->call_ms) {
        c->hop->silence(c, text, sizeof text);
        pst_rcarrier_fail(c, PST_ERR_TIMEOUT, text);
    }
    if (c->ending || alive(c)) {
        return c->ending;
    }
    if (c->finishing) {
        pst_rcarrier_fail(c, PST_OK, "closed");
    } else if (pst_reliable_peek(c->link).len == 0) {
        const bool in_order = c->link->state == PST_ERR_CLOSED && !c->link->forgotten;

        pst_rcarrier_fail(c, in_order ? PST_OK : c->link->state, last_words(c, text, sizeof text));
    }
    return c->ending;
}

static void go_down(struct pst_rcarrier *c)
{
    pst_reliable_abort(c->link, PST_ERR_CLOSED);
    c->hop->flush(c);
    c->down = true;
    uv_timer_stop(&c->timer);
    if (c->base.events != NULL) {
        c->base.events->down(c->base.ctx, c->why, c->text);
    }
    c->hop->release(c);
}

void pst_rcarrier_turn(struct pst_rcarrier *c)
{
    if (c->down) {
        return;
    }
    c->kicked = false;
    c->hop->flush(c);
    /* Input that came together with the end is still delivered. */
    if (!c->open && !c->ending &&
        (c->link->state == PST_OK || pst_reliable_peek(c->link).len > 0)) {
        c->open = true;
        c->hop->opened(c);
    }
    if (c->open) {
        /* A hop that takes nothing now is not asked for output, and so not for timers. */
        pst_reliable_look(c->link, pst_rcarrier_now());
        give_out(c);
        tell_room(c);
        c->hop->flush(c);
    }
    if (over(c)) {
        go_down(c);
    } else {
        arm(c);
    }
}

/* --- beginning and end --- */

pst_err pst_rcarrier_init(struct pst_rcarrier *c, uv_loop_t *loop,
                          const struct pst_rcarrier_hop *hop, struct pst_reliable *link,
                          const struct pst_link_traits *traits)
{
    c->base.ops = &ops;
    c->base.traits = traits;
    c->hop = hop;
    c->link = link;
    c->timer.data = c;
    return uv_timer_init(loop, &c->timer) == 0 ? PST_OK : PST_ERR_IO;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct pst_rcarrier *c = handle->data;

    free(c->memory);
    free(c);
}

void pst_rcarrier_free(struct pst_rcarrier *c)
{
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}
