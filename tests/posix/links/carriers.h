/* Two ends of a link that send and expect bytes, for tests of carriers on a real loop.
 *
 * A seeded generator makes the bytes of each direction, so that a lost, duplicated or changed byte
 * is found at its position. */
#ifndef PST_TEST_CARRIERS_H
#define PST_TEST_CARRIERS_H

#include <stdlib.h>
#include <uv.h>

#include "posix/links/table.h"
#include "posix/loop/carrier.h"
#include "pst_test.h"

enum { CHUNK = 30000, TEXT = 512 };

struct end {
    uv_loop_t *loop;
    struct pst_carrier *carrier;
    struct pst_test_rng out_rng, in_rng;
    uint64_t to_send, sent, to_get, got;
    size_t chunk_at, chunk_len;
    uint8_t chunk[CHUNK];
    bool open, down, paused;
    pst_err why;
    char text[TEXT];
};

struct door { /* a listener; each caller becomes the next of `ends` */
    struct pst_listener *listener;
    struct end *ends[8];
    unsigned taken, count, notes;
    char note[TEXT];
};

static inline void end_push(struct end *e)
{
    while (e->open && !e->down && (e->chunk_at < e->chunk_len || e->sent < e->to_send)) {
        if (e->chunk_at == e->chunk_len) {
            const uint64_t left = e->to_send - e->sent;

            e->chunk_at = 0;
            e->chunk_len = left < CHUNK ? (size_t)left : CHUNK;
            pst_test_rng_fill(&e->out_rng, e->chunk, e->chunk_len);
            e->sent += e->chunk_len;
        }
        const size_t n =
            pst_carrier_write(e->carrier, e->chunk + e->chunk_at, e->chunk_len - e->chunk_at);
        e->chunk_at += n;
        if (e->chunk_at < e->chunk_len) {
            return;
        }
    }
}

static inline void end_open(void *ctx)
{
    struct end *e = ctx;

    CHECK(!e->open && !e->down);
    e->open = true;
    pst_carrier_read(e->carrier, !e->paused);
    end_push(e);
}

static inline void end_receive(void *ctx, const uint8_t *bytes, size_t len)
{
    struct end *e = ctx;

    CHECK(e->open && !e->down && !e->paused && len > 0 && len <= PST_CARRIER_CHUNK);
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != (uint8_t)pst_test_rng_u64(&e->in_rng)) {
            fprintf(stderr, "byte %llu is wrong\n", (unsigned long long)(e->got + i));
            CHECK(0);
        }
    }
    e->got += len;
    CHECK(e->got <= e->to_get);
}

static inline void end_writable(void *ctx)
{
    end_push(ctx);
}

static inline void end_down(void *ctx, pst_err why, const char *text)
{
    struct end *e = ctx;

    CHECK(!e->down);
    e->down = true;
    e->why = why;
    e->carrier = NULL;
    CHECK(text != NULL);
    snprintf(e->text, sizeof e->text, "%s", text);
}

static const struct pst_carrier_events end_events = {
    .open = end_open, .receive = end_receive, .writable = end_writable, .down = end_down};

static inline void end_init(struct end *e, uv_loop_t *loop)
{
    memset(e, 0, sizeof *e);
    e->loop = loop;
}

/* Adds `bytes` to send from `a` to `b`. */
static inline void end_owes(struct end *a, struct end *b, uint64_t bytes)
{
    if (a->to_send == 0) {
        a->out_rng.state = b->in_rng.state = (uint64_t)rand();
    }
    a->to_send += bytes;
    b->to_get += bytes;
    end_push(a);
}

static inline void link_of(struct pst_address *a, const char *text)
{
    char why[TEXT] = "";

    if (pst_address_parse(a, pst_schemes, text, why, sizeof why) != PST_OK) {
        fprintf(stderr, "%s\n", why);
    }
    CHECK_EQ(why[0], '\0');
}

static inline void end_connect(struct end *e, const char *text)
{
    struct pst_address a;
    char why[TEXT] = "";

    link_of(&a, text);
    if (pst_carrier_connect(e->loop, &a, &end_events, e, &e->carrier, why, sizeof why) != PST_OK) {
        fprintf(stderr, "%s\n", why);
        CHECK(0);
    }
}

static inline void door_peer(void *ctx, struct pst_carrier *c)
{
    struct door *d = ctx;

    if (d->taken >= d->count) {
        return; /* it is closed for us */
    }
    struct end *e = d->ends[d->taken++];
    pst_carrier_own(c, &end_events, e);
    e->carrier = c;
    end_open(e);
}

static inline void door_note(void *ctx, const char *text)
{
    struct door *d = ctx;

    d->notes++;
    snprintf(d->note, sizeof d->note, "%s", text);
}

static const struct pst_listener_events door_events = {.peer = door_peer, .note = door_note};

static inline void door_open(struct door *d, uv_loop_t *loop, const char *text)
{
    struct pst_address a;
    char why[TEXT] = "";

    link_of(&a, text);
    if (pst_carrier_listen(loop, &a, &door_events, d, &d->listener, why, sizeof why) != PST_OK) {
        fprintf(stderr, "%s\n", why);
        CHECK(0);
    }
}

static inline void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

static inline uint64_t clock_ms(void)
{
    return uv_hrtime() / 1000000;
}

/* Runs the loop until `done`. An idle machine takes at most `ms`, a busy one ten times as long. */
#define UNTIL(loop, done, ms)                                                                      \
    do {                                                                                           \
        uv_timer_t tick_;                                                                          \
        const uint64_t end_ = clock_ms() + 10 * (uint64_t)(ms);                                    \
        uv_timer_init((loop), &tick_);                                                             \
        uv_timer_start(&tick_, on_tick, 5, 5);                                                     \
        while (!(done) && clock_ms() < end_)                                                       \
            uv_run((loop), UV_RUN_ONCE);                                                           \
        uv_close((uv_handle_t *)&tick_, NULL);                                                     \
        uv_run((loop), UV_RUN_NOWAIT);                                                             \
        CHECK(done);                                                                               \
    } while (0)

/* Closes all that is open. No handle may stay in the loop. */
static inline void loop_end(uv_loop_t *loop)
{
    const uint64_t until = clock_ms() + 30000;

    while (uv_run(loop, UV_RUN_NOWAIT) != 0 && clock_ms() < until) {
        uv_sleep(1);
    }
    CHECK_EQ(uv_loop_close(loop), 0);
}

#endif
