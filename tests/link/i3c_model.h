/* A simulated I3C bus: two targets with dynamic addresses, NACK, IBI arbitration, bus reset, and
 * seeded faults. Each debugger has a view of its own. */
#ifndef I3C_MODEL_H
#define I3C_MODEL_H

#include "pst_test.h"

#include "postern/i3c.h"

enum { MODEL_TARGETS = 2, MODEL_IBIS = 8, MODEL_LOG = 64 };

/* How often, in a thousand. */
struct model_faults {
    unsigned nack, pend;
    unsigned lose;        /* a write that was acknowledged and went nowhere */
    unsigned twice;       /* a write that arrives twice */
    unsigned broken;      /* a transfer that breaks off, after it worked or not */
    unsigned write, read; /* one bit changed */
    unsigned cut;         /* a read that ends early */
    unsigned drop_ibi;    /* accepted, then forgotten */
    unsigned refuse_ibi;  /* not accepted */
    unsigned bus_reset;
};

struct model_target {
    struct pst_i3c_target engine;
    uint64_t id;
    uint8_t address; /* 0: none */
    bool absent;
    struct pst_i3c_ibi queue[MODEL_IBIS];
    size_t queued;
    unsigned lost_arbitration, ibis;
};

struct model {
    struct model_target targets[MODEL_TARGETS];
    struct model_faults faults;
    struct pst_test_rng rng;
    unsigned generation; /* of addresses */
    unsigned resets, finds, writes, reads, patterns;
    bool along;              /* the reply comes inside the IBI */
    uint16_t log[MODEL_LOG]; /* code << 8 | defining byte; bit 15 is always set by the codes */
    size_t logged;
    uint8_t last_write[PST_I3C_MAX];
    size_t last_len;
};

struct model_view {
    struct model *model;
    struct pst_i3c_bus bus;
    unsigned generation;
    const void *pending; /* what the call that is under way was given */
};

static inline bool model_chance(struct model *m, unsigned in_thousand)
{
    return in_thousand > 0 && pst_test_rng_below(&m->rng, 1000) < in_thousand;
}

static inline void model_flip(struct model *m, uint8_t *at, size_t len)
{
    if (len > 0)
        at[pst_test_rng_below(&m->rng, len)] ^= (uint8_t)(1U << pst_test_rng_below(&m->rng, 8));
}

/* Takes all addresses away; what waited in the controller is gone. */
static inline void model_bus_reset(struct model *m)
{
    for (size_t i = 0; i < MODEL_TARGETS; i++) {
        m->targets[i].address = 0;
        m->targets[i].queued = 0;
    }
    m->generation++;
    m->resets++;
}

/* While the bus is free: every target that wants to interrupt sends its address; the lowest wins.
 */
static inline void model_arbitrate(struct model *m)
{
    struct model_target *winner = NULL;
    uint8_t ibi[2];

    for (size_t i = 0; i < MODEL_TARGETS; i++) {
        struct model_target *t = &m->targets[i];

        if (t->address == 0 || t->absent || pst_i3c_target_ibi(&t->engine, ibi) == 0)
            continue;
        struct model_target *loser = winner;
        if (winner == NULL || t->address < winner->address)
            winner = t;
        else
            loser = t;
        if (loser != NULL)
            loser->lost_arbitration++;
    }
    if (winner == NULL || winner->queued == MODEL_IBIS || model_chance(m, m->faults.refuse_ibi))
        return;
    CHECK_EQ(pst_i3c_target_ibi(&winner->engine, ibi), 2);
    pst_i3c_target_ibi_done(&winner->engine, ibi);
    winner->ibis++;
    if (model_chance(m, m->faults.drop_ibi))
        return;
    struct pst_i3c_ibi *at = &winner->queue[winner->queued++];
    memcpy(at->bytes, ibi, sizeof ibi);
    at->len = sizeof ibi;
    if (m->along && ibi[0] == PST_I3C_IBI_DATA) {
        uint8_t reply[PST_I3C_MAX];
        const size_t len = pst_i3c_target_read(&winner->engine, reply);

        CHECK(len + 2 <= PST_I3C_MAX);
        memcpy(at->bytes + 2, reply, len);
        at->len += len;
    }
}

/* What every call begins with. PST_OK and the target, if it answers. */
static inline pst_err model_begin(struct model_view *v, uint8_t address, const void *what,
                                  struct model_target **target)
{
    struct model *m = v->model;

    CHECK(v->pending == NULL || v->pending == what);
    v->pending = what;
    if (model_chance(m, m->faults.pend))
        return PST_PENDING;
    v->pending = NULL;
    if (model_chance(m, m->faults.bus_reset))
        model_bus_reset(m);
    if (v->generation != m->generation)
        return PST_ERR_CLOSED;
    *target = NULL;
    for (size_t i = 0; i < MODEL_TARGETS; i++) {
        if (address != 0 && m->targets[i].address == address && !m->targets[i].absent)
            *target = &m->targets[i];
    }
    if (*target == NULL || model_chance(m, m->faults.nack))
        return PST_ERR_BUSY;
    return PST_OK;
}

/* Dynamic address assignment: those without one get one, in the order of arbitration by id. */
static inline void model_assign(struct model *m)
{
    for (size_t i = 0; i < MODEL_TARGETS; i++) {
        struct model_target *t = &m->targets[i];

        while (t->address == 0 && !t->absent) {
            const uint8_t address = (uint8_t)(8 + pst_test_rng_below(&m->rng, 100));

            if (m->targets[0].address != address && m->targets[1].address != address)
                t->address = address;
        }
    }
}

static inline pst_err model_find(void *ctx, uint64_t id, uint8_t *address)
{
    struct model_view *v = ctx;
    struct model *m = v->model;

    CHECK(v->pending == NULL || v->pending == address);
    v->pending = address;
    if (model_chance(m, m->faults.pend))
        return PST_PENDING;
    v->pending = NULL;
    m->finds++;
    if (model_chance(m, m->faults.nack))
        return PST_ERR_BUSY;
    model_assign(m);
    for (size_t i = 0; i < MODEL_TARGETS; i++) {
        if (m->targets[i].id == id && !m->targets[i].absent) {
            v->generation = m->generation;
            *address = m->targets[i].address;
            return PST_OK;
        }
    }
    return PST_ERR_BUSY;
}

static inline pst_err model_ccc(void *ctx, uint8_t address, struct pst_i3c_ccc *c)
{
    struct model_view *v = ctx;
    struct model *m = v->model;
    struct model_target *t;
    uint8_t out[PST_I3C_STATUS_LEN];

    PST_TRY(model_begin(v, address, c, &t));
    if (m->logged < MODEL_LOG)
        m->log[m->logged++] = (uint16_t)(c->code << 8 | c->defining);
    const bool broken = model_chance(m, m->faults.broken);
    if (broken && model_chance(m, 500))
        return PST_ERR_IO;
    pst_err err;
    if (c->read_cap > 0) {
        CHECK_EQ(c->write_len, 0);
        err = pst_i3c_target_ccc_read(&t->engine, c->code, c->defining, out, &c->read_len);
        if (err == PST_OK) {
            CHECK(c->read_len <= c->read_cap);
            memcpy(c->read, out, c->read_len);
        }
    } else {
        err = pst_i3c_target_ccc(&t->engine, c->code, c->defining, c->write, c->write_len);
    }
    model_arbitrate(m);
    if (broken)
        return PST_ERR_IO;
    return err == PST_OK ? PST_OK : PST_ERR_BUSY;
}

static inline void model_deliver(struct model *m, struct model_target *t, const uint8_t *data,
                                 size_t len)
{
    uint8_t changed[PST_I3C_MAX];

    memcpy(changed, data, len);
    if (model_chance(m, m->faults.write))
        model_flip(m, changed, len);
    /* Whatever it says, the address was acknowledged. */
    const pst_err err = pst_i3c_target_write(&t->engine, changed, len);
    CHECK(err == PST_OK || err == PST_ERR_BUSY || err == PST_ERR_DECODE);
}

static inline pst_err model_write(void *ctx, uint8_t address, const uint8_t *data, size_t len)
{
    struct model_view *v = ctx;
    struct model *m = v->model;
    struct model_target *t;

    CHECK(len > 0 && len <= PST_I3C_MAX);
    PST_TRY(model_begin(v, address, data, &t));
    if (!pst_i3c_target_ready(&t->engine))
        return PST_ERR_BUSY;
    m->writes++;
    memcpy(m->last_write, data, len);
    m->last_len = len;
    const bool broken = model_chance(m, m->faults.broken);
    if (broken && model_chance(m, 500))
        return PST_ERR_IO;
    if (!model_chance(m, m->faults.lose))
        model_deliver(m, t, data, len);
    if (model_chance(m, m->faults.twice))
        model_deliver(m, t, data, len);
    model_arbitrate(m);
    return broken ? PST_ERR_IO : PST_OK;
}

static inline pst_err model_read(void *ctx, uint8_t address, uint8_t *out, size_t cap, size_t *len)
{
    struct model_view *v = ctx;
    struct model *m = v->model;
    struct model_target *t;
    uint8_t bytes[PST_I3C_MAX];

    CHECK(cap >= PST_I3C_MAX);
    PST_TRY(model_begin(v, address, out, &t));
    size_t n = pst_i3c_target_read(&t->engine, bytes);
    model_arbitrate(m);
    if (n == 0)
        return PST_ERR_BUSY;
    m->reads++;
    if (model_chance(m, m->faults.broken))
        return PST_ERR_IO;
    if (model_chance(m, m->faults.cut))
        n = pst_test_rng_below(&m->rng, n);
    if (model_chance(m, m->faults.read))
        model_flip(m, bytes, n);
    memcpy(out, bytes, n);
    *len = n;
    return PST_OK;
}

static inline pst_err model_poll_ibi(void *ctx, uint8_t address, struct pst_i3c_ibi *ibi)
{
    struct model_view *v = ctx;
    struct model *m = v->model;

    if (v->generation != m->generation)
        return PST_PENDING;
    model_arbitrate(m);
    for (size_t i = 0; i < MODEL_TARGETS; i++) {
        struct model_target *t = &m->targets[i];

        if (t->address != address || t->queued == 0)
            continue;
        *ibi = t->queue[0];
        t->queued--;
        memmove(t->queue, t->queue + 1, t->queued * sizeof t->queue[0]);
        return PST_OK;
    }
    return PST_PENDING;
}

/* RSTACT, then the pattern, which every target sees. */
static inline pst_err model_reset(void *ctx, uint8_t address, uint8_t action)
{
    struct model_view *v = ctx;
    struct model_target *t;

    PST_TRY(model_begin(v, address, ctx, &t));
    CHECK_EQ(pst_i3c_target_ccc(&t->engine, PST_I3C_RSTACT, action, NULL, 0), PST_OK);
    for (size_t i = 0; i < MODEL_TARGETS; i++)
        CHECK_EQ(pst_i3c_target_pattern(&v->model->targets[i].engine), &v->model->targets[i] == t);
    v->model->patterns++;
    return PST_OK;
}

static inline void model_init(struct model *m, uint64_t seed)
{
    memset(m, 0, sizeof *m);
    m->rng.state = seed;
    m->targets[0].id = UINT64_C(0x020A01280001);
    m->targets[1].id = UINT64_C(0x020A01280002);
    m->generation = 1;
}

static inline void model_look(struct model_view *v, struct model *m, bool interrupts)
{
    *v = (struct model_view){.model = m};
    v->bus = (struct pst_i3c_bus){
        .ctx = v,
        .find = model_find,
        .ccc = model_ccc,
        .write = model_write,
        .read = model_read,
        .poll_ibi = interrupts ? model_poll_ibi : NULL,
        .reset = model_reset,
    };
}

#endif
