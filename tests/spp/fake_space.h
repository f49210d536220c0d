/* An access space of plain memory that can be slow, unreliable or broken, and a gate that records
 * its calls. */
#ifndef FAKE_SPACE_H
#define FAKE_SPACE_H

#include "pst_test.h"

#include "postern/parts/spp.h"

#define FAKE_SIZE 4096

struct fake {
    struct pst_space space;
    uint8_t bytes[FAKE_SIZE];
    unsigned delay; /* PENDING answers before each access is performed */
    unsigned waited;
    bool stuck;            /* PENDING forever, except for the urgent range */
    uint64_t bad;          /* an access that touches this address faults; 0: none */
    uint32_t end;          /* reads are shortened here */
    uint32_t most;         /* bytes of one read; 0: any */
    unsigned enable_delay; /* PENDING answers of enable */
    pst_err enable_err;
    unsigned rights; /* how often `right` was asked */
    uint8_t lie;     /* what `right` answers from the second call on; 0: the correct right */
    unsigned performed, enabled, disabled, cancelled, urgent;
    uint8_t event[200];
    size_t event_len;
};

static inline uint8_t fake_right(void *ctx, uint64_t address, bool write)
{
    struct fake *f = ctx;

    if (f->rights++ > 0 && f->lie != 0) {
        return f->lie;
    }
    if (address == 0xF00) {
        return 0;
    }
    return write ? PST_RIGHT_WRITE : PST_RIGHT_READ;
}

static inline bool fake_is_urgent(const struct fake *f, uint64_t address)
{
    return address >= f->space.urgent_first && address <= f->space.urgent_last;
}

static inline pst_err fake_perform(void *ctx, struct pst_access *a)
{
    struct fake *f = ctx;

    if (fake_is_urgent(f, a->address)) {
        f->urgent++;
    } else if (f->stuck) {
        return PST_PENDING;
    } else if (f->waited < f->delay) {
        f->waited++;
        return PST_PENDING;
    }
    f->waited = 0;
    f->performed++;
    if (a->exchange) {
        for (uint32_t i = 0; i < a->len; i++) {
            a->data[i] ^= 0xFF;
        }
        return PST_OK;
    }
    if (a->address >= FAKE_SIZE || a->len > FAKE_SIZE - a->address) {
        return PST_ERR_ARGUMENT;
    }
    if (f->bad != 0 && a->address <= f->bad && f->bad - a->address < a->len) {
        return PST_ERR_FAULT;
    }
    if (a->write) {
        memcpy(f->bytes + a->address, a->data, a->len);
        return PST_OK;
    }
    if (f->most != 0 && a->len > f->most) {
        a->len = f->most;
    }
    if (f->end != 0 && a->address + a->len > f->end) {
        a->len = a->address < f->end ? f->end - (uint32_t)a->address : 0;
    }
    if (a->len > 0) {
        memcpy(a->data, f->bytes + a->address, a->len);
    }
    return PST_OK;
}

static inline void fake_cancel(void *ctx)
{
    struct fake *f = ctx;

    f->cancelled++;
    f->waited = 0;
}

static inline pst_err fake_enable(void *ctx, bool on, const struct pst_gate *gate)
{
    struct fake *f = ctx;

    (void)gate;
    if (f->enable_delay > 0) {
        f->enable_delay--;
        return PST_PENDING;
    }
    if (on) {
        f->enabled++;
    } else {
        f->disabled++;
    }
    return f->enable_err;
}

static inline size_t fake_event(void *ctx, uint8_t *out, size_t cap)
{
    struct fake *f = ctx;
    const size_t len = f->event_len < cap ? f->event_len : cap;

    if (len > 0) {
        memcpy(out, f->event, len);
    }
    f->event_len = 0;
    return len;
}

static inline void fake_init(struct fake *f)
{
    memset(f, 0, sizeof *f);
    f->space = (struct pst_space){
        .ctx = f,
        .right = fake_right,
        .perform = fake_perform,
        .cancel = fake_cancel,
        .enable = fake_enable,
        .event = fake_event,
        .urgent_first = 0x10,
        .urgent_last = 0x13,
    };
}

struct fake_gate {
    struct pst_gate gate;
    uint8_t spaces;          /* bit n: granted */
    uint64_t denied;         /* an access that touches this address is denied; 0: none */
    unsigned asked, implied; /* not counting rights 0 */
    uint8_t rights;          /* all rights that were requested */
    unsigned batches, announced, admitted, refused;
    pst_err announce_err;
    uint8_t announced_rights, admitted_rights; /* of the last command */
};

static inline bool fake_granted(const struct fake_gate *g, uint8_t space, uint64_t address,
                                uint64_t len)
{
    CHECK(space != PST_AS_SCM);
    return (g->spaces & (1U << space)) != 0 &&
           !(g->denied != 0 && address <= g->denied && g->denied - address < len);
}

static inline bool fake_covers(void *ctx, uint8_t space, uint8_t rights, uint64_t address,
                               uint64_t len)
{
    struct fake_gate *g = ctx;

    CHECK(rights != 0);
    g->rights |= rights;
    g->asked++;
    return fake_granted(g, space, address, len);
}

static inline pst_err fake_announce(void *ctx, struct pst_spp_batch batch)
{
    struct fake_gate *g = ctx;
    struct pst_spp_command c;

    g->batches++;
    while (pst_spp_batch_next(&batch, &c)) {
        if (c.rights != 0 && c.allowed) {
            g->announced++;
            g->announced_rights = c.rights;
        }
    }
    return g->announce_err;
}

static inline pst_err fake_admit(void *ctx, const struct pst_spp_command *c)
{
    struct fake_gate *g = ctx;

    CHECK(c->packet.space != PST_AS_SCM && c->rights != 0);
    g->admitted += c->allowed;
    g->refused += !c->allowed;
    g->admitted_rights = c->rights;
    return c->allowed ? PST_OK : PST_ERR_DENIED;
}

static inline pst_err fake_allow(void *ctx, uint8_t space, uint8_t rights, uint64_t address,
                                 uint64_t len)
{
    struct fake_gate *g = ctx;

    g->rights |= rights;
    g->asked += rights != 0;
    g->implied += rights != 0;
    return fake_granted(g, space, address, len) ? PST_OK : PST_ERR_DENIED;
}

static inline void fake_gate_init(struct fake_gate *g)
{
    memset(g, 0, sizeof *g);
    g->gate = (struct pst_gate){.ctx = g,
                                .covers = fake_covers,
                                .announce = fake_announce,
                                .admit = fake_admit,
                                .allow = fake_allow};
    g->spaces = 0xFF;
}

#endif
