#include "posix/links/i3c/model.h"

#include <string.h>

/* SCL periods. */
#define EDGE 1u /* START, repeated START, STOP */
#define BYTE 9u
#define HEAD (EDGE + BYTE) /* START 7E/W ACK */
#define PATTERN 14u

static uint64_t draw(struct pst_i3c_model *m)
{
    uint64_t z = (m->random += UINT64_C(0x9E3779B97F4A7C15));

    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static size_t below(struct pst_i3c_model *m, size_t n)
{
    return n == 0 ? 0 : (size_t)(draw(m) % n);
}

static bool chance(struct pst_i3c_model *m, unsigned in_thousand)
{
    return in_thousand > 0 && below(m, 1000) < in_thousand;
}

static void flip(struct pst_i3c_model *m, uint8_t *at, size_t len)
{
    if (len > 0) {
        at[below(m, len)] ^= (uint8_t)(1U << below(m, 8));
    }
}

static void spend(struct pst_i3c_model *m, enum pst_i3c_bits on, size_t bits)
{
    m->bits[on] += bits;
}

uint64_t pst_i3c_model_bits(const struct pst_i3c_model *m)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < PST_I3C_BITS_KINDS; i++) {
        sum += m->bits[i];
    }
    return sum;
}

/* --- addresses --- */

static struct pst_i3c_device *at_address(const struct pst_i3c_model *m, uint8_t address)
{
    for (size_t i = 0; i < m->count; i++) {
        if (address != 0 && m->devices[i]->address == address) {
            return m->devices[i];
        }
    }
    return NULL;
}

static uint8_t free_address(struct pst_i3c_model *m)
{
    uint8_t address;

    do {
        address = (uint8_t)(8 + below(m, 100));
        /* spec: I3C basic, an address one bit away from 7E is never assigned */
    } while (address == 0x3E || address == 0x5E || at_address(m, address) != NULL);
    return address;
}

/* The lowest id wins each round. */
static struct pst_i3c_device *next_nameless(const struct pst_i3c_model *m)
{
    struct pst_i3c_device *winner = NULL;

    for (size_t i = 0; i < m->count; i++) {
        struct pst_i3c_device *d = m->devices[i];

        if (d->address == 0 && !d->absent && (winner == NULL || d->id < winner->id)) {
            winner = d;
        }
    }
    return winner;
}

static void assign(struct pst_i3c_model *m)
{
    struct pst_i3c_device *d = next_nameless(m);

    if (d == NULL) {
        return;
    }
    spend(m, PST_I3C_BITS_DAA, HEAD + BYTE);
    for (; d != NULL; d = next_nameless(m)) {
        d->address = free_address(m);
        spend(m, PST_I3C_BITS_DAA, EDGE + BYTE + 64 + BYTE); /* id and two registers; address */
    }
    spend(m, PST_I3C_BITS_DAA, EDGE + BYTE + EDGE); /* no device is left: NACK */
}

void pst_i3c_model_init(struct pst_i3c_model *m, uint64_t seed)
{
    memset(m, 0, sizeof *m);
    m->random = seed;
    m->generation = 1;
}

pst_err pst_i3c_model_attach(struct pst_i3c_model *m, struct pst_i3c_device *d)
{
    for (size_t i = 0; i < m->count; i++) {
        if (m->devices[i]->id == d->id) {
            return PST_ERR_BUSY;
        }
    }
    if (m->count == PST_I3C_DEVICES) {
        return PST_ERR_LIMIT;
    }
    d->address = 0;
    d->queued = 0;
    m->devices[m->count++] = d;
    if (m->finds > 0) {
        m->joins++;
        spend(m, PST_I3C_BITS_DAA, HEAD + EDGE); /* START 02/W ACK STOP */
        assign(m);
    }
    return PST_OK;
}

void pst_i3c_model_detach(struct pst_i3c_model *m, struct pst_i3c_device *d)
{
    for (size_t i = 0; i < m->count; i++) {
        if (m->devices[i] == d) {
            m->devices[i] = m->devices[--m->count];
            return;
        }
    }
}

void pst_i3c_model_reset(struct pst_i3c_model *m)
{
    for (size_t i = 0; i < m->count; i++) {
        m->devices[i]->address = 0;
        m->devices[i]->queued = 0;
    }
    m->generation++;
    m->resets++;
    spend(m, PST_I3C_BITS_DAA, HEAD + BYTE + EDGE); /* RSTDAA */
}

unsigned pst_i3c_model_pattern(struct pst_i3c_model *m)
{
    unsigned taken = 0;

    for (size_t i = 0; i < m->count; i++) {
        const struct pst_i3c_device *d = m->devices[i];
        taken += !d->absent && d->ops->pattern(d->ctx);
    }
    m->patterns++;
    spend(m, PST_I3C_BITS_DAA, PATTERN + 2 * EDGE);
    return taken;
}

/* --- interrupts --- */

/* Every device that wants to interrupt sends its address; the lowest wins. A device whose
   interrupts nobody collects is left out, as if disabled by DISEC: the others continue. */
static struct pst_i3c_device *arbitrate(const struct pst_i3c_model *m)
{
    struct pst_i3c_device *winner = NULL;
    uint8_t ibi[2];

    for (size_t i = 0; i < m->count; i++) {
        struct pst_i3c_device *d = m->devices[i], *loser = winner;

        if (d->address == 0 || d->absent || d->queued == PST_I3C_MODEL_IBIS ||
            d->ops->ibi(d->ctx, ibi) == 0) {
            continue;
        }
        if (winner == NULL || d->address < winner->address) {
            winner = d;
        } else {
            loser = d;
        }
        if (loser != NULL) {
            loser->lost_arbitration++;
        }
    }
    return winner;
}

static void accept_ibi(struct pst_i3c_model *m, struct pst_i3c_device *d)
{
    uint8_t ibi[2];

    const size_t n = d->ops->ibi(d->ctx, ibi);
    if (n == 0 || n > sizeof ibi) {
        return;
    }
    d->ops->ibi_done(d->ctx, ibi);
    d->ibis++;
    struct pst_i3c_ibi got = {.len = n};
    memcpy(got.bytes, ibi, n);
    if (m->along && ibi[0] == PST_I3C_IBI_DATA) {
        uint8_t reply[PST_I3C_MAX];
        const size_t len = d->ops->read(d->ctx, d->address, reply);

        m->misused += len > PST_I3C_MAX - n; /* no longer one may be loaded */
        if (len <= PST_I3C_MAX - n) {
            memcpy(got.bytes + n, reply, len);
            got.len += len;
        }
    }
    spend(m, PST_I3C_BITS_IBI, EDGE + BYTE + BYTE * got.len + EDGE);
    if (!chance(m, m->faults.drop_ibi)) {
        d->queue[d->queued++] = got;
    }
}

/* While the bus is free. */
static void interrupt(struct pst_i3c_model *m)
{
    struct pst_i3c_device *winner = arbitrate(m);

    if (winner == NULL) {
        return;
    }
    if (chance(m, m->faults.refuse_ibi)) {
        spend(m, PST_I3C_BITS_IBI, EDGE + BYTE + EDGE);
    } else {
        accept_ibi(m, winner);
    }
}

/* --- transfers --- */

/* false: it takes longer. */
static bool begin(struct pst_i3c_view *v, const void *what)
{
    struct pst_i3c_model *m = v->model;

    m->misused += v->pending != NULL && v->pending != what;
    v->pending = what;
    if (chance(m, m->faults.pend)) {
        return false;
    }
    v->pending = NULL;
    return true;
}

/* What every transfer begins with. PST_OK and the device, if it answers. */
static pst_err begin_transfer(struct pst_i3c_view *v, uint8_t address, const void *what,
                              struct pst_i3c_device **device)
{
    struct pst_i3c_model *m = v->model;

    if (!begin(v, what)) {
        return PST_PENDING;
    }
    if (chance(m, m->faults.bus_reset)) {
        pst_i3c_model_reset(m);
    }
    if (v->generation != m->generation) {
        return PST_ERR_CLOSED;
    }
    *device = at_address(m, address);
    if (*device == NULL || (*device)->absent || chance(m, m->faults.nack)) {
        spend(m, PST_I3C_BITS_NACK, HEAD + EDGE + BYTE + EDGE);
        return PST_ERR_BUSY;
    }
    return PST_OK;
}

static pst_err find(void *ctx, uint64_t id, uint8_t *address)
{
    struct pst_i3c_view *v = ctx;
    struct pst_i3c_model *m = v->model;

    if (!begin(v, address)) {
        return PST_PENDING;
    }
    m->finds++;
    if (chance(m, m->faults.nack)) {
        return PST_ERR_BUSY;
    }
    assign(m);
    for (size_t i = 0; i < m->count; i++) {
        if (m->devices[i]->id == id && !m->devices[i]->absent) {
            v->generation = m->generation;
            *address = m->devices[i]->address;
            return PST_OK;
        }
    }
    return PST_ERR_BUSY;
}

static pst_err run_ccc(struct pst_i3c_model *m, const struct pst_i3c_device *d,
                       struct pst_i3c_ccc *c)
{
    uint8_t out[PST_I3C_STATUS_LEN];
    size_t len = 0;

    if (c->read_cap == 0) {
        return d->ops->ccc(d->ctx, c->code, c->defining, c->write, c->write_len);
    }
    m->misused += c->write_len != 0;
    PST_TRY(d->ops->ccc_read(d->ctx, c->code, c->defining, out, &len));
    c->read_len = len < c->read_cap ? len : c->read_cap;
    memcpy(c->read, out, c->read_len);
    return PST_OK;
}

static pst_err ccc(void *ctx, uint8_t address, struct pst_i3c_ccc *c)
{
    struct pst_i3c_view *v = ctx;
    struct pst_i3c_model *m = v->model;
    struct pst_i3c_device *d;

    PST_TRY(begin_transfer(v, address, c, &d));
    if (m->logged < PST_I3C_MODEL_LOG) {
        m->log[m->logged++] = (uint16_t)(c->code << 8 | c->defining);
    }
    const bool broken = chance(m, m->faults.broken);
    if (broken && chance(m, 500)) {
        return PST_ERR_IO;
    }
    c->read_len = 0;
    const pst_err err = run_ccc(m, d, c);
    spend(m, err == PST_OK ? PST_I3C_BITS_CCC : PST_I3C_BITS_NACK,
          HEAD + 2 * BYTE + EDGE + BYTE + BYTE * (c->write_len + c->read_len) + EDGE);
    interrupt(m);
    if (broken) {
        return PST_ERR_IO;
    }
    return err == PST_OK ? PST_OK : PST_ERR_BUSY;
}

static void deliver(struct pst_i3c_model *m, const struct pst_i3c_device *d, const uint8_t *data,
                    size_t len)
{
    uint8_t changed[PST_I3C_MAX];

    memcpy(changed, data, len);
    if (chance(m, m->faults.write)) {
        flip(m, changed, len);
    }
    d->ops->write(d->ctx, d->address, changed, len);
}

static pst_err private_write(void *ctx, uint8_t address, const uint8_t *data, size_t len)
{
    struct pst_i3c_view *v = ctx;
    struct pst_i3c_model *m = v->model;
    struct pst_i3c_device *d;

    if (len == 0 || len > PST_I3C_MAX) {
        m->misused++;
        return PST_ERR_ARGUMENT;
    }
    PST_TRY(begin_transfer(v, address, data, &d));
    if (!d->ops->ready(d->ctx)) {
        spend(m, PST_I3C_BITS_NACK, HEAD + EDGE + BYTE + EDGE);
        return PST_ERR_BUSY;
    }
    m->writes++;
    memcpy(m->last_write, data, len);
    m->last_len = len;
    spend(m, PST_I3C_BITS_WRITE, HEAD + EDGE + BYTE + BYTE * len + EDGE);
    const bool broken = chance(m, m->faults.broken);
    if (broken && chance(m, 500)) {
        return PST_ERR_IO;
    }
    if (!chance(m, m->faults.lose)) {
        deliver(m, d, data, len);
    }
    if (chance(m, m->faults.twice)) {
        deliver(m, d, data, len);
    }
    interrupt(m);
    return broken ? PST_ERR_IO : PST_OK;
}

static pst_err private_read(void *ctx, uint8_t address, uint8_t *out, size_t cap, size_t *len)
{
    struct pst_i3c_view *v = ctx;
    struct pst_i3c_model *m = v->model;
    struct pst_i3c_device *d;
    uint8_t bytes[PST_I3C_MAX];

    if (cap < PST_I3C_MAX) {
        m->misused++;
        return PST_ERR_ARGUMENT;
    }
    PST_TRY(begin_transfer(v, address, out, &d));
    size_t n = d->ops->read(d->ctx, d->address, bytes);
    spend(m, n == 0 ? PST_I3C_BITS_NACK : PST_I3C_BITS_READ, HEAD + EDGE + BYTE + BYTE * n + EDGE);
    interrupt(m);
    if (n == 0) {
        return PST_ERR_BUSY;
    }
    m->reads++;
    if (chance(m, m->faults.broken)) {
        return PST_ERR_IO;
    }
    if (chance(m, m->faults.cut)) {
        n = below(m, n);
    }
    if (chance(m, m->faults.read)) {
        flip(m, bytes, n);
    }
    memcpy(out, bytes, n);
    *len = n;
    return PST_OK;
}

static pst_err poll_ibi(void *ctx, uint8_t address, struct pst_i3c_ibi *ibi)
{
    struct pst_i3c_view *v = ctx;

    if (v->generation != v->model->generation) {
        return PST_PENDING;
    }
    interrupt(v->model);
    struct pst_i3c_device *d = at_address(v->model, address);
    if (d == NULL || d->queued == 0) {
        return PST_PENDING;
    }
    *ibi = d->queue[0];
    d->queued--;
    memmove(d->queue, d->queue + 1, d->queued * sizeof d->queue[0]);
    return PST_OK;
}

/* RSTACT, then the pattern, which every device sees. */
static pst_err reset(void *ctx, uint8_t address, uint8_t action)
{
    struct pst_i3c_view *v = ctx;
    struct pst_i3c_model *m = v->model;
    struct pst_i3c_device *d;

    PST_TRY(begin_transfer(v, address, ctx, &d));
    const pst_err err = d->ops->ccc(d->ctx, PST_I3C_RSTACT, action, NULL, 0);
    spend(m, PST_I3C_BITS_CCC, HEAD + 2 * BYTE + EDGE + BYTE + EDGE);
    if (err != PST_OK) {
        return PST_ERR_BUSY;
    }
    m->misused += pst_i3c_model_pattern(m) != 1;
    return PST_OK;
}

void pst_i3c_model_look(struct pst_i3c_view *v, struct pst_i3c_model *m, bool interrupts)
{
    *v = (struct pst_i3c_view){.model = m};
    v->bus = (struct pst_i3c_bus){
        .ctx = v,
        .find = find,
        .ccc = ccc,
        .write = private_write,
        .read = private_read,
        .poll_ibi = interrupts ? poll_ibi : NULL,
        .reset = reset,
    };
}

/* --- the adaptor --- */

static bool adaptor_ready(void *ctx)
{
    return pst_i3c_target_ready(ctx);
}

static void adaptor_write(void *ctx, uint8_t address, const uint8_t *data, size_t len)
{
    (void)address;
    const pst_err err = pst_i3c_target_write(ctx, data, len);
    (void)err; /* whatever it returns, the bytes were acknowledged */
}

static size_t adaptor_read(void *ctx, uint8_t address, uint8_t out[PST_I3C_MAX])
{
    (void)address;
    return pst_i3c_target_read(ctx, out);
}

static pst_err adaptor_ccc(void *ctx, uint8_t code, uint8_t defining, const uint8_t *data,
                           size_t len)
{
    return pst_i3c_target_ccc(ctx, code, defining, data, len);
}

static pst_err adaptor_ccc_read(void *ctx, uint8_t code, uint8_t defining,
                                uint8_t out[PST_I3C_STATUS_LEN], size_t *len)
{
    return pst_i3c_target_ccc_read(ctx, code, defining, out, len);
}

static size_t adaptor_ibi(void *ctx, uint8_t out[2])
{
    return pst_i3c_target_ibi(ctx, out);
}

static void adaptor_ibi_done(void *ctx, const uint8_t ibi[2])
{
    pst_i3c_target_ibi_done(ctx, ibi);
}

static bool adaptor_pattern(void *ctx)
{
    return pst_i3c_target_pattern(ctx);
}

static const struct pst_i3c_device_ops adaptor_ops = {
    .ready = adaptor_ready,
    .write = adaptor_write,
    .read = adaptor_read,
    .ccc = adaptor_ccc,
    .ccc_read = adaptor_ccc_read,
    .ibi = adaptor_ibi,
    .ibi_done = adaptor_ibi_done,
    .pattern = adaptor_pattern,
};

void pst_i3c_adaptor_init(struct pst_i3c_adaptor *a, uint64_t id)
{
    a->device = (struct pst_i3c_device){.ops = &adaptor_ops, .ctx = &a->engine, .id = id};
}
