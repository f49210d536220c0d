/* Both engines on a modelled bus, with owners that send each other messages. */
#ifndef I3C_RIG_H
#define I3C_RIG_H

#include "posix/links/i3c/model.h"
#include "pst_test.h"

enum { BIG = PST_LINK_MAX_MESSAGE, SEND = BIG + 600, MODEL_TARGETS = 2 };

/* One debugger with its target, and their messages. */
struct side {
    uint8_t send[SEND], receive[BIG];
    unsigned sent, got;
};
struct pair {
    struct pst_i3c_view view;
    struct pst_i3c_debugger debugger;
    struct pst_i3c_adaptor *target;
    struct side dts, ts;
    bool up, deaf; /* deaf: the TS's owner does not read */
    unsigned closed;
};
static struct rig {
    struct pst_i3c_model model;
    struct pst_i3c_adaptor targets[MODEL_TARGETS];
    struct pair pairs[MODEL_TARGETS];
    uint64_t now, seed;
    unsigned count; /* messages each way */
    unsigned busy;  /* rounds with work to do */
    size_t longest;
    bool plain;
} rig;

static inline struct pst_i3c_buffers buffers_of(struct side *s)
{
    return (struct pst_i3c_buffers){s->send, sizeof s->send, s->receive, sizeof s->receive};
}

static inline void start_debugger(struct pair *p, bool interrupts, uint8_t port)
{
    pst_i3c_model_look(&p->view, &rig.model, interrupts);
    const struct pst_i3c_debugger_config config = {
        .bus = &p->view.bus,
        .buffers = buffers_of(&p->dts),
        .id = p->target->device.id,
        .port = port,
    };
    CHECK_EQ(pst_i3c_debugger_init(&p->debugger, &config, rig.now), PST_OK);
}

static inline void start(uint64_t seed, bool interrupts, uint8_t port)
{
    memset(&rig, 0, sizeof rig);
    rig.seed = seed;
    rig.plain = port == PST_I3C_PORT_SPP;
    pst_i3c_model_init(&rig.model, seed);
    for (size_t i = 0; i < MODEL_TARGETS; i++) {
        struct pair *p = &rig.pairs[i];

        p->target = &rig.targets[i];
        pst_i3c_adaptor_init(p->target, UINT64_C(0x020A01280001) + i);
        CHECK_EQ(pst_i3c_model_attach(&rig.model, &p->target->device), PST_OK);
        const struct pst_i3c_target_config config = {
            .buffers = buffers_of(&p->ts),
            .ports = PST_I3C_PORTS,
            .reset_time = 7,
        };
        CHECK_EQ(pst_i3c_target_init(&p->target->engine, &config), PST_OK);
        start_debugger(p, interrupts, port);
    }
}

/* Makes the n-th message of one side, for the sender and for the check. */
static inline size_t make_message(const struct side *s, unsigned n, uint8_t *kind, uint8_t *out)
{
    static const uint8_t kinds[] = {PST_LINK_CONTROL, PST_LINK_CLEAR, PST_LINK_RECORD,
                                    PST_LINK_SPDM};
    struct pst_test_rng rng = {rig.seed * 1000003 + (uint64_t)(s->send - (uint8_t *)&rig) * 77 + n};
    const size_t limit = pst_test_rng_below(&rng, 4) == 0 ? rig.longest : rig.longest / 100 + 8;
    const size_t len = n == 0 ? rig.longest : pst_test_rng_below(&rng, limit + 1);

    *kind = kinds[pst_test_rng_below(&rng, sizeof kinds)];
    pst_test_rng_fill(&rng, out, len);
    return len;
}

static uint8_t scratch[BIG];

static inline void check_message(struct side *from, unsigned n, uint8_t kind, const uint8_t *at,
                                 size_t len)
{
    uint8_t expected;

    CHECK_EQ(make_message(from, n, &expected, scratch), len);
    CHECK_EQ(kind, expected);
    CHECK_BYTES(at, scratch, len);
}

static inline void talk_dts(struct pair *p)
{
    uint8_t kind, *payload;
    size_t len;

    while (pst_i3c_debugger_receive(&p->debugger, &kind, &payload, &len) == PST_OK) {
        check_message(&p->ts, p->dts.got++, kind, payload, len);
    }
    while (p->dts.sent < rig.count) {
        len = make_message(&p->dts, p->dts.sent, &kind, scratch);
        const pst_err err = pst_i3c_debugger_send(&p->debugger, kind, scratch, len);
        if (err == PST_ERR_BUSY) {
            return;
        }
        CHECK_EQ(err, PST_OK);
        p->dts.sent++;
    }
}

static inline void talk_ts(struct pair *p)
{
    struct pst_i3c_target *t = &p->target->engine;
    uint8_t kind, *payload;
    size_t len;
    pst_err err;

    while ((err = pst_i3c_target_receive(t, &kind, &payload, &len)) == PST_OK) {
        check_message(&p->dts, p->ts.got++, kind, payload, len);
    }
    p->closed += err == PST_ERR_CLOSED;
    CHECK(err == PST_PENDING || err == PST_ERR_CLOSED);
    while (p->ts.sent < rig.count) {
        len = make_message(&p->ts, p->ts.sent, &kind, scratch);
        err = pst_i3c_target_send(t, kind, scratch, len);
        if (err == PST_ERR_BUSY || err == PST_ERR_STATE) {
            return;
        }
        CHECK_EQ(err, PST_OK);
        p->ts.sent++;
    }
}

static inline bool is_done(const struct pair *p)
{
    return p->dts.got == rig.count && p->ts.got == rig.count;
}

/* Runs one round of the first `pairs`. Returns the error of a debugger that failed. */
static inline pst_err turn(size_t pairs)
{
    uint32_t least = UINT32_MAX;

    CHECK_EQ(rig.model.misused, 0);
    for (size_t i = 0; i < pairs; i++) {
        struct pair *p = &rig.pairs[i];
        uint32_t wait = 0;
        const pst_err err = pst_i3c_debugger_step(&p->debugger, rig.now, &wait);

        if (err != PST_OK) {
            return err;
        }
        p->up = p->up || pst_i3c_debugger_is_up(&p->debugger);
        if (rig.count > 0) {
            talk_dts(p);
        }
        if (rig.count > 0 && !p->deaf) {
            talk_ts(p);
        }
        least = wait < least ? wait : least;
    }
    if (least == 0) { /* transfers take time, too */
        rig.now += ++rig.busy % 8 == 0;
    } else {
        rig.now += least < 5 ? least : 5; /* an IBI may come at any time */
    }
    return PST_OK;
}

static inline void deliver(size_t pairs)
{
    for (unsigned i = 0; i < 400000; i++) {
        bool done = true;

        CHECK_EQ(turn(pairs), PST_OK);
        for (size_t j = 0; j < pairs; j++) {
            done = done && is_done(&rig.pairs[j]);
        }
        if (done) {
            return;
        }
    }
    fail_msg("not everything arrived");
}

static inline pst_err run_until_error(void)
{
    for (unsigned i = 0; i < 100000; i++) {
        const pst_err err = turn(1);

        if (err != PST_OK) {
            return err;
        }
    }
    return PST_OK;
}

static inline void run_until_up(size_t pairs)
{
    for (unsigned i = 0; i < 1000; i++) {
        bool up = true;

        CHECK_EQ(turn(pairs), PST_OK);
        for (size_t j = 0; j < pairs; j++) {
            up = up && pst_i3c_debugger_is_up(&rig.pairs[j].debugger);
        }
        if (up) {
            return;
        }
    }
    fail_msg("the link did not come up");
}

#endif
