/* The command engine: the queue, the configuration space, and the order of commands. */
#include <string.h>

#include "engine.h"

#define ALL_BUT_SCM ((uint8_t) ~(1U << PST_AS_SCM))

pst_err pst_spp_engine_init(struct pst_spp_engine *e, const struct pst_spp_engine_config *config)
{
    const struct pst_gate *gate = config->gate;

    if (config->queue == NULL || config->queue_len < PST_SPP_QUEUE_MIN) {
        return PST_ERR_ARGUMENT;
    }
    if (gate != NULL && (gate->covers == NULL || gate->announce == NULL || gate->admit == NULL ||
                         gate->allow == NULL)) {
        return PST_ERR_ARGUMENT;
    }
    memset(e, 0, sizeof *e);
    e->config = *config;
    if (config->spaces[PST_AS_SCM] != NULL) {
        e->enabled = e->available = 1U << PST_AS_SCM;
    }
    return PST_OK;
}

/* --- the queue --- */

/* The command at `at`; 0 at the end of the queue, else its size. */
static size_t command_at(const struct pst_spp_engine *e, size_t at, struct pst_spp_command *c)
{
    return at < e->tail ? psti_spp_load(e->config.queue + at, c) : 0;
}

static bool is_done(const struct pst_spp_command *c)
{
    return (c->marks & PST_MARK_DONE) != 0;
}

static bool is_begun(const struct pst_spp_command *c)
{
    return (c->marks & PST_MARK_BEGUN) != 0;
}

/* Skips commands that are done. */
static void advance(struct pst_spp_engine *e)
{
    struct pst_spp_command c;
    size_t size = command_at(e, e->head, &c);

    while (size > 0 && is_done(&c)) {
        e->head += size;
        size = command_at(e, e->head, &c);
    }
    if (size == 0) {
        e->head = e->tail = 0;
    }
}

/* Drops commands that are done and moves the others to the front, so that all free bytes are behind
 * them. */
static void squeeze(struct pst_spp_engine *e)
{
    struct pst_spp_command c;
    size_t to = 0, at = e->head, size;

    while ((size = command_at(e, at, &c)) > 0) {
        if (!is_done(&c)) {
            memmove(e->config.queue + to, e->config.queue + at, size);
            to += size;
        }
        at += size;
    }
    e->head = 0;
    e->tail = to;
}

/* Decodes and decides `len` bytes behind the tail. Nobody parses them again. */
static pst_err decode_batch(const struct pst_spp_engine *e, size_t len)
{
    uint8_t *at = e->config.queue + e->tail;
    struct pst_reader r = pst_reader_of(at, len);
    struct pst_spp_packet p;

    while (r.left > 0) {
        uint8_t *first = at + (len - r.left);

        PST_TRY(pst_spp_get_command(&r, &p));
        if (p.action != 0) {
            return PST_ERR_DECODE;
        }
        psti_engine_decide(e, &p, first);
    }
    return PST_OK;
}

bool pst_spp_batch_next(struct pst_spp_batch *b, struct pst_spp_command *c)
{
    if (b->left == 0) {
        return false;
    }
    const size_t size = psti_spp_load(b->at, c);

    b->at += size;
    b->left -= size;
    return true;
}

pst_err pst_spp_engine_receive(struct pst_spp_engine *e, const uint8_t *batch, size_t len)
{
    const struct pst_gate *gate = e->config.gate;

    if (e->stopped) {
        return PST_ERR_CLOSED;
    }
    if (len == 0) {
        return PST_OK;
    }
    squeeze(e);
    if (len > e->config.queue_len - e->tail) {
        return PST_ERR_LIMIT;
    }
    memcpy(e->config.queue + e->tail, batch, len);
    PST_TRY(decode_batch(e, len));
    if (!psti_engine_limited(e)) {
        PST_TRY(gate->announce(gate->ctx, (struct pst_spp_batch){e->config.queue + e->tail, len}));
    }
    e->tail += len;
    return PST_OK;
}

/* --- opening and releasing access spaces --- */

static pst_err switch_space(const struct pst_spp_engine *e, uint8_t number, bool on)
{
    const struct pst_space *space = e->config.spaces[number];

    if (space == NULL || space->enable == NULL) {
        return PST_OK;
    }
    return space->enable(space->ctx, on, e->config.gate);
}

/* A space counts as released whatever its last answer is. */
static void move_space(struct pst_spp_engine *e, uint8_t number)
{
    const uint8_t bit = (uint8_t)(1U << number);

    if ((e->releasing & bit) != 0) {
        if (switch_space(e, number, false) == PST_PENDING) {
            return;
        }
        e->releasing &= (uint8_t)~bit;
    }
    if ((e->enabling & bit) == 0) {
        return;
    }
    const pst_err err = switch_space(e, number, true);
    if (err == PST_PENDING) {
        return;
    }
    e->enabling &= (uint8_t)~bit;
    if (err == PST_OK) {
        e->enabled |= bit;
    } else {
        e->available &= (uint8_t)~bit;
    }
}

static void move_spaces(struct pst_spp_engine *e)
{
    for (uint8_t i = 0; i < PST_AS_COUNT && (e->enabling | e->releasing) != 0; i++) {
        move_space(e, i);
    }
}

static void release(struct pst_spp_engine *e, uint8_t which)
{
    which &= (uint8_t)(e->enabled | e->enabling);
    e->enabled &= (uint8_t)~which;
    e->enabling &= (uint8_t)~which;
    e->releasing |= which;
    for (uint8_t i = 0; i < PST_AS_COUNT; i++) {
        const struct pst_space *space = e->config.spaces[i];

        if (psti_has_bit(which, i) && space != NULL && space->cancel != NULL) {
            space->cancel(space->ctx);
        }
    }
    move_spaces(e);
}

static void open_spaces(struct pst_spp_engine *e, uint8_t which)
{
    const struct pst_gate *gate = e->config.gate;

    which &= (uint8_t)(e->available & ~e->enabled);
    for (uint8_t i = 0; i < PST_AS_COUNT; i++) {
        const uint8_t bit = (uint8_t)(1U << i);

        if ((which & bit) == 0) {
            continue;
        }
        if (gate->allow(gate->ctx, i, 0, 0, 0) == PST_OK) {
            e->enabling |= bit;
        } else {
            e->available &= (uint8_t)~bit;
        }
    }
    move_spaces(e);
}

pst_err pst_spp_engine_stop(struct pst_spp_engine *e)
{
    if (!e->stopped) {
        const struct pst_space *scm = e->config.spaces[PST_AS_SCM];

        e->stopped = true;
        e->head = e->tail = 0;
        e->available = 0;
        if (scm != NULL && scm->cancel != NULL) {
            scm->cancel(scm->ctx);
        }
        release(e, ALL_BUT_SCM);
        e->enabled = 0;
    } else {
        move_spaces(e);
    }
    return e->releasing != 0 ? PST_PENDING : PST_OK;
}

/* --- configuration space --- */

static uint8_t present(const struct pst_spp_engine *e)
{
    unsigned bits = 0;

    for (unsigned i = 0; i < PST_AS_COUNT; i++) {
        bits |= e->config.spaces[i] != NULL ? 1U << i : 0U;
    }
    return (uint8_t)bits;
}

static bool told_before_session(uint64_t address)
{
    return address == PST_SPC_VERSIONS || address == PST_SPC_AS_PRESENT ||
           address == PST_SPC_PROFILE || address == PST_SPC_CREDIT;
}

static pst_err read_register(const struct pst_spp_engine *e, uint64_t address, uint32_t *value)
{
    switch (address) {
    case PST_SPC_VERSIONS:
        *value = 0x0100; /* in the public text byte 1 is 1 for Tiny2 */
        return PST_OK;
    case PST_SPC_IDCODE:
        *value = e->config.idcode;
        return PST_OK;
    case PST_SPC_PROD_ID:
        *value = e->config.product;
        return PST_OK;
    case PST_SPC_AS_PRESENT:
        *value = present(e);
        return PST_OK;
    case PST_SPC_AS_EN_STAT:
        *value = e->enabled;
        return PST_OK;
    case PST_SPC_AS_AVAIL_STAT:
        *value = e->available;
        return PST_OK;
    case PST_SPC_SESSION_MGMT_0:
    case PST_SPC_SESSION_MGMT_1:
        *value = 0; /* sessions are managed by the SCM */
        return PST_OK;
    case PST_SPC_PROFILE:
        *value = PST_PROFILE_VERSION;
        return PST_OK;
    case PST_SPC_CREDIT:
        *value = e->config.queue_len < UINT32_MAX ? (uint32_t)e->config.queue_len : UINT32_MAX;
        return PST_OK;
    default:
        return PST_ERR_ARGUMENT;
    }
}

static pst_err write_register(struct pst_spp_engine *e, uint64_t address, uint32_t value)
{
    const uint8_t which = (uint8_t)(value & ALL_BUT_SCM);

    switch (address) {
    case PST_SPC_AS_EN_SET:
        open_spaces(e, which);
        return PST_OK;
    case PST_SPC_AS_EN_CLEAR:
        release(e, which);
        return PST_OK;
    case PST_SPC_AS_AVAIL_REQ_SET:
        e->available |= which & present(e);
        return PST_OK;
    default:
        return PST_ERR_ARGUMENT;
    }
}

static enum psti_step read_config(struct pst_spp_engine *e, struct psti_output *o,
                                  const struct pst_spp_packet *p)
{
    uint32_t value = 0;
    pst_err err;

    if (psti_engine_limited(e) && !told_before_session(p->address)) {
        return psti_output_fail(o, p, PST_SPP_DENIED, PST_ERR_DENIED);
    }
    /* Waiting here saves polling over a slow link. Not in TinySPP, where it would block commands to
     * the SCM. */
    if (p->address == PST_SPC_AS_EN_STAT && p->style == PST_SPP_FULL &&
        (e->enabling | e->releasing) != 0) {
        return PST_STEP_WAIT;
    }
    err = read_register(e, p->address, &value);
    if (err != PST_OK) {
        return psti_output_fail(o, p, PST_SPP_FAULT, err);
    }
    psti_output_head(o, p, 4, true);
    pst_poke_u32(o->at + o->used, value);
    o->used += 4;
    return PST_STEP_DONE;
}

static enum psti_step write_config(struct pst_spp_engine *e, struct psti_output *o,
                                   const struct pst_spp_packet *p)
{
    pst_err err;

    if (psti_engine_limited(e)) {
        return psti_output_fail(o, p, PST_SPP_DENIED, PST_ERR_DENIED);
    }
    err = write_register(e, p->address, pst_peek_u32(p->data.at));
    if (err != PST_OK) {
        return psti_output_fail(o, p, PST_SPP_FAULT, err);
    }
    psti_output_head(o, p, p->count, true);
    return PST_STEP_DONE;
}

/* --- commands --- */

static enum psti_step control(struct pst_spp_engine *e, struct psti_output *o,
                              const struct pst_spp_packet *p)
{
    if (p->opcode == PST_SPP_PAD) {
        return PST_STEP_DONE;
    }
    if (p->opcode == PST_SPP_INIT) {
        e->initialized = true;
        e->style = (uint8_t)p->style;
    }
    if (p->opcode != PST_SPP_NOP) {
        e->blocked = false;
    }
    psti_output_head(o, p, 0, true);
    return PST_STEP_DONE;
}

static enum psti_step dispatch(struct pst_spp_engine *e, struct psti_output *o, size_t at,
                               const struct pst_spp_command *c)
{
    const struct pst_spp_packet *p = &c->packet;

    if (o->cap - o->used < PST_SHORT_RESPONSE) {
        return PST_STEP_ROOM;
    }
    if (!e->initialized && p->opcode > PST_SPP_INIT) {
        return psti_output_fail(o, p, PST_SPP_BAD_COMMAND, PST_ERR_STATE);
    }
    if (p->opcode == PST_SPP_READ_CONFIG) {
        return read_config(e, o, p);
    }
    if (p->opcode == PST_SPP_WRITE_CONFIG) {
        return write_config(e, o, p);
    }
    if (psti_spp_is_system(p->opcode)) {
        return psti_engine_access(e, o, at, c);
    }
    return control(e, o, p);
}

static enum psti_step run(struct pst_spp_engine *e, struct psti_output *o, size_t at,
                          const struct pst_spp_command *c)
{
    const enum psti_step step = dispatch(e, o, at, c);

    /* The access may have ended the session and emptied this queue. */
    if (at >= e->tail) {
        return PST_STEP_ROOM;
    }
    if (step == PST_STEP_DONE) {
        psti_spp_mark(e->config.queue + at, PST_MARK_DONE);
    }
    return step;
}

/* Urgent commands behind the head, except those to the spaces of `held`; those to one access space
 * keep their order. */
static bool run_urgent(struct pst_spp_engine *e, struct psti_output *o, unsigned held)
{
    struct pst_spp_command c;
    size_t at = e->head, size;

    for (; (size = command_at(e, at, &c)) > 0; at += size) {
        const unsigned bit = 1U << c.packet.space;

        if (is_done(&c) || !psti_engine_urgent(e, &c.packet) || (held & bit) != 0) {
            continue;
        }
        const enum psti_step step = at == e->head ? PST_STEP_WAIT : run(e, o, at, &c);
        if (step == PST_STEP_ROOM || step == PST_STEP_PART) {
            return false;
        }
        if (step == PST_STEP_WAIT) {
            held |= bit;
        }
    }
    return true;
}

static void run_queue(struct pst_spp_engine *e, struct psti_output *o)
{
    struct pst_spp_command c;
    enum psti_step step = PST_STEP_DONE;

    /* While the head lacks room only SCM overtakes it, so that run control keeps its order. Once
     * the head has begun, it may take many outputs: then everything urgent overtakes it. */
    if (command_at(e, e->head, &c) > 0 && (is_begun(&c) || e->full) &&
        !run_urgent(e, o, is_begun(&c) ? 0 : ALL_BUT_SCM)) {
        return;
    }
    while (step == PST_STEP_DONE) {
        advance(e);
        if (command_at(e, e->head, &c) == 0) {
            return;
        }
        step = run(e, o, e->head, &c);
        e->full = step == PST_STEP_ROOM && e->head < e->tail;
    }
    if (step == PST_STEP_WAIT) {
        (void)run_urgent(e, o, 0);
    }
}

/* --- events --- */

static size_t event_of(const struct pst_spp_engine *e, uint8_t number, uint8_t *out, size_t cap)
{
    const struct pst_space *space = e->config.spaces[number];

    if (!psti_has_bit(e->enabled, number) || space == NULL || space->event == NULL) {
        return 0;
    }
    const size_t len = space->event(space->ctx, out, cap);
    return len <= cap ? len : 0;
}

/* Each output begins with at most one event, which has all of the room. The spaces take turns. */
static void put_event(struct pst_spp_engine *e, struct psti_output *o)
{
    struct pst_spp_packet p = {.style = (pst_spp_style)e->style, .opcode = PST_SPP_EVENT};

    if (!e->initialized || e->quiet || psti_engine_limited(e)) {
        return;
    }
    const size_t head = psti_spp_response_head(p.style, p.opcode);
    size_t room = o->cap - head;
    if (p.style == PST_SPP_TINY && room > PST_SPP_TINY_MAX) {
        room = PST_SPP_TINY_MAX;
    }
    for (uint8_t i = 0; i < PST_AS_COUNT; i++) {
        const uint8_t number = (uint8_t)((i + e->events) % PST_AS_COUNT);
        const size_t len = event_of(e, number, o->at + head, room);

        if (len == 0) {
            continue;
        }
        p.tag = e->events++;
        psti_output_event(o, &p, number, (uint32_t)len);
        return;
    }
}

size_t pst_spp_engine_output(struct pst_spp_engine *e, uint8_t *out, size_t cap)
{
    struct psti_output o = {.at = out, .cap = cap < UINT32_MAX ? cap : UINT32_MAX};

    if (e->stopped || cap < PST_OUTPUT_MIN) {
        return 0;
    }
    move_spaces(e);
    put_event(e, &o);
    run_queue(e, &o);
    if (!e->stopped) {
        advance(e);
    }
    return o.used;
}

bool pst_spp_engine_waiting(const struct pst_spp_engine *e)
{
    return e->head != e->tail || (e->enabling | e->releasing) != 0;
}
