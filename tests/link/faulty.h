/* A simulated path between two ends with a simulated clock and faults: datagrams are lost,
 * duplicated, delayed (and so reordered), corrupted, truncated, too long, or all delayed for a
 * while. The same seed gives the same faults. */
#ifndef PST_TEST_FAULTY_H
#define PST_TEST_FAULTY_H

#include <stdbool.h>

#include "pst_test.h"

enum { PATH_PACKETS = 256, PATH_LONGEST = 9000 };

struct faults {
    unsigned drop, twice, late, damage, cut; /* of 1,000 datagrams */
    uint32_t delay_ms, late_ms;              /* one-way delay, and the maximum additional delay */
    size_t mtu;                              /* longer datagrams are lost; 0: no limit */
    uint64_t stall_from, stall_to;           /* nothing is delivered between these times */
    uint32_t bytes_per_ms;                   /* 0: any */
};

struct path_packet {
    uint64_t due;
    uint64_t order;
    size_t len; /* 0: a free place */
    uint8_t bytes[PATH_LONGEST];
};

struct path { /* one direction */
    struct faults faults;
    struct pst_test_rng rng;
    uint64_t count, busy_until;
    uint64_t moved; /* bytes taken */
    struct path_packet packets[PATH_PACKETS];
};

static inline void path_init(struct path *p, const struct faults *faults, uint64_t seed)
{
    p->faults = *faults;
    p->count = p->busy_until = p->moved = 0;
    for (size_t i = 0; i < PATH_PACKETS; i++) {
        p->packets[i].len = 0;
    }
    p->rng.state = seed;
}

static inline bool path_chance(struct path *p, unsigned of_1000)
{
    return pst_test_rng_below(&p->rng, 1000) < of_1000;
}

static inline void path_place(struct path *p, uint64_t due, const uint8_t *at, size_t len)
{
    for (size_t i = 0; i < PATH_PACKETS; i++) {
        struct path_packet *q = &p->packets[i];

        if (q->len > 0) {
            continue;
        }
        q->due = due;
        q->order = p->count++;
        q->len = len;
        memcpy(q->bytes, at, len);
        if (path_chance(p, p->faults.cut)) {
            q->len = 1 + pst_test_rng_below(&p->rng, len);
        }
        if (path_chance(p, p->faults.damage)) {
            q->bytes[pst_test_rng_below(&p->rng, q->len)] ^=
                (uint8_t)(1u << pst_test_rng_below(&p->rng, 8));
        }
        return;
    }
}

static inline void path_send(struct path *p, uint64_t now, const uint8_t *at, size_t len)
{
    const struct faults *f = &p->faults;
    uint64_t due = now;

    CHECK(len > 0 && len <= PATH_LONGEST);
    p->moved += len;
    if (f->bytes_per_ms > 0) {
        p->busy_until = (p->busy_until > now ? p->busy_until : now) + len / f->bytes_per_ms;
        due = p->busy_until;
    }
    due += f->delay_ms;
    if (path_chance(p, f->late)) {
        due += pst_test_rng_below(&p->rng, f->late_ms + 1);
    }
    if (due >= f->stall_from && due < f->stall_to) {
        due = f->stall_to;
    }
    if (path_chance(p, f->drop) || (f->mtu > 0 && len > f->mtu)) {
        return;
    }
    path_place(p, due, at, len);
    if (path_chance(p, f->twice)) {
        path_place(p, due + pst_test_rng_below(&p->rng, f->late_ms + 1), at, len);
    }
}

/* Returns the next datagram that is due, or NULL. Set its `len` to 0 to free it. */
static inline struct path_packet *path_due(struct path *p, uint64_t now)
{
    struct path_packet *first = NULL;

    for (size_t i = 0; i < PATH_PACKETS; i++) {
        struct path_packet *q = &p->packets[i];

        if (q->len > 0 && q->due <= now &&
            (first == NULL || q->due < first->due ||
             (q->due == first->due && q->order < first->order))) {
            first = q;
        }
    }
    return first;
}

static inline uint64_t path_next(const struct path *p)
{
    uint64_t at = UINT64_MAX;

    for (size_t i = 0; i < PATH_PACKETS; i++) {
        if (p->packets[i].len > 0 && p->packets[i].due < at) {
            at = p->packets[i].due;
        }
    }
    return at;
}

#endif
