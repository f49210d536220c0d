/* The command engine's system commands: gate, access space, response. */
#include <string.h>

#include "engine.h"

/* One system command that runs. */
struct job {
    struct pst_spp_engine *e;
    struct psti_output *o;
    const struct pst_spp_command *c;
    const struct pst_spp_packet *p; /* of `c` */
    const struct pst_space *space;
    size_t at;     /* of the command in the queue */
    uint8_t *data; /* of the command, in the queue */
};

static void put_head(struct psti_output *o, const struct pst_spp_packet *p)
{
    struct pst_writer w = pst_writer_of(o->at + o->used, o->cap - o->used);

    pst_spp_put_response(&w, p);
    o->used += w.used;
}

void psti_output_head(struct psti_output *o, const struct pst_spp_packet *p, uint32_t count,
                      bool last)
{
    put_head(
        o,
        &(struct pst_spp_packet){
            .style = p->style, .opcode = p->opcode, .tag = p->tag, .count = count, .last = last});
}

enum psti_step psti_output_fail(struct psti_output *o, const struct pst_spp_packet *p,
                                uint8_t status, pst_err err)
{
    put_head(o, &(struct pst_spp_packet){.style = p->style,
                                         .opcode = p->opcode,
                                         .tag = p->tag,
                                         .status = status,
                                         .code = (uint8_t) - (int)err,
                                         .last = true});
    return PST_STEP_DONE;
}

void psti_output_event(struct psti_output *o, const struct pst_spp_packet *p, uint8_t space,
                       uint32_t len)
{
    put_head(o, &(struct pst_spp_packet){.style = p->style,
                                         .opcode = p->opcode,
                                         .tag = p->tag,
                                         .count = len,
                                         .code = space,
                                         .last = true});
    o->used += len;
}

bool psti_engine_urgent(const struct pst_spp_engine *e, const struct pst_spp_packet *p)
{
    const struct pst_space *space = e->config.spaces[p->space];

    return p->style == PST_SPP_FULL && psti_spp_is_system(p->opcode) && space != NULL &&
           p->address >= space->urgent_first && p->address <= space->urgent_last;
}

static enum psti_step fail(const struct job *j, uint8_t status, pst_err err)
{
    if (j->p->space != PST_AS_SCM && !j->p->proceed) {
        j->e->blocked = true;
    }
    return psti_output_fail(j->o, j->p, status, err);
}

static enum psti_step fail_access(const struct job *j, pst_err err)
{
    const bool denied = err == PST_ERR_DENIED || err == PST_ERR_AUDIT;

    return fail(j, denied ? PST_SPP_DENIED : PST_SPP_FAULT, err);
}

static pst_err perform(const struct job *j, struct pst_access *a)
{
    a->address = j->p->address;
    a->gate = j->e->config.gate;
    return j->space->perform(j->space->ctx, a);
}

/* The session ended or was opened during the access: the command is no longer queued. */
static bool is_gone(const struct job *j)
{
    return j->e->stopped || j->at >= j->e->tail;
}

static enum psti_step read_part(const struct job *j, uint32_t count, uint32_t moved)
{
    const struct pst_spp_packet *p = j->p;
    const bool cut = moved < count && (p->space != PST_AS_MEMORY || moved == 0);
    const bool last = moved == p->count || cut;

    psti_output_head(j->o, p, moved, last);
    j->o->used += moved;
    if (last) {
        return PST_STEP_DONE;
    }
    psti_spp_poke_rest(j->e->config.queue + j->at, p->style, p->address + moved, p->count - moved);
    return PST_STEP_PART;
}

static enum psti_step read_space(const struct job *j)
{
    const struct psti_output *o = j->o;
    const size_t room = o->cap - o->used - psti_spp_response_head(j->p->style, j->p->opcode);
    uint32_t count = j->p->count;

    if (count > room && o->used > 0) {
        return PST_STEP_ROOM;
    }
    if (count > room && j->p->space == PST_AS_JTAG) {
        return fail(j, PST_SPP_FAULT, PST_ERR_SPACE);
    }
    if (count > room) {
        count = (uint32_t)room;
    }
    struct pst_access a = {.data = o->at + (o->cap - room), .len = count};
    const pst_err err = perform(j, &a);
    if (is_gone(j)) {
        return PST_STEP_ROOM;
    }
    if (err == PST_PENDING) {
        return PST_STEP_WAIT;
    }
    if (err != PST_OK) {
        return fail_access(j, err);
    }
    return read_part(j, count, a.len < count ? a.len : count);
}

static enum psti_step write_space(const struct job *j)
{
    struct pst_access a = {.data = j->data, .len = j->p->count, .write = true};
    const pst_err err = perform(j, &a);

    if (is_gone(j)) {
        return PST_STEP_ROOM;
    }
    if (err == PST_PENDING) {
        return PST_STEP_WAIT;
    }
    if (err != PST_OK) {
        return fail_access(j, err);
    }
    psti_output_head(j->o, j->p, j->p->count, true);
    return PST_STEP_DONE;
}

static enum psti_step exchange(const struct job *j)
{
    struct psti_output *o = j->o;
    const uint32_t count = j->p->count;
    const size_t room = o->cap - o->used - psti_spp_response_head(j->p->style, j->p->opcode);

    if (count > room) {
        return o->used > 0 ? PST_STEP_ROOM : fail(j, PST_SPP_FAULT, PST_ERR_SPACE);
    }
    struct pst_access a = {.data = j->data, .len = count, .write = true, .exchange = true};
    const pst_err err = perform(j, &a);
    if (is_gone(j)) {
        return PST_STEP_ROOM;
    }
    if (err == PST_PENDING) {
        return PST_STEP_WAIT;
    }
    if (err != PST_OK) {
        return fail_access(j, err);
    }
    psti_output_head(o, j->p, count, true);
    if (count > 0) {
        /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): a count comes with its data */
        memcpy(o->at + o->used, j->data, count);
    }
    o->used += count;
    return PST_STEP_DONE;
}

/* --- polling loops --- */

static bool is_width(uint8_t width)
{
    return width == 1 || width == 2 || width == 4 || width == 8;
}

/* The first attempt was admitted with the command; each later one is an access of its own. */
static pst_err allow_again(const struct job *j)
{
    const struct pst_gate *gate = j->e->config.gate;

    if (j->p->space == PST_AS_SCM) {
        return PST_OK;
    }
    return gate->allow(gate->ctx, j->p->space, j->c->rights, j->p->address, j->c->len);
}

static enum psti_step end_loop(const struct job *j, uint64_t value, bool found)
{
    struct psti_output *o = j->o;

    if (found) {
        psti_output_head(o, j->p, 8, true);
    } else {
        struct pst_spp_packet p = *j->p;

        if (p.space != PST_AS_SCM && !p.proceed) {
            j->e->blocked = true;
        }
        p.status = PST_SPP_TIMEOUT;
        p.code = (uint8_t) - (int)PST_ERR_TIMEOUT;
        p.count = 8;
        p.last = true;
        p.data = (struct pst_bytes){NULL, 0};
        put_head(o, &p);
    }
    pst_poke_u64(o->at + o->used, value);
    o->used += 8;
    return PST_STEP_DONE;
}

/* The number of attempts is counted down in the queued operand, so a loop can pause after any
 * attempt. */
static enum psti_step loop(const struct job *j)
{
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): packet.c demands the operand */
    const uint8_t width = j->data[0];
    const uint64_t mask = pst_peek_u64(j->data + 4);
    const uint64_t match = pst_peek_u64(j->data + 12);

    for (unsigned i = 0; i < PST_LOOP_BURST; i++) {
        uint8_t bytes[8] = {0};
        struct pst_access a = {.data = bytes, .len = width};
        const pst_err err = perform(j, &a);

        if (is_gone(j)) {
            return PST_STEP_ROOM;
        }
        if (err == PST_PENDING) {
            return PST_STEP_WAIT;
        }
        if (err != PST_OK || a.len < width) {
            return fail_access(j, err != PST_OK ? err : PST_ERR_FAULT);
        }
        const uint64_t value = pst_peek_u64(bytes);
        const uint16_t left = (uint16_t)(pst_peek_u16(j->data + 2) - 1U);
        pst_poke_u16(j->data + 2, left);
        if ((value & mask) == match || left == 0) {
            return end_loop(j, value, (value & mask) == match);
        }
        const pst_err again = allow_again(j);
        if (again != PST_OK) {
            return fail_access(j, again);
        }
    }
    return PST_STEP_WAIT;
}

/* --- the decision, on arrival --- */

static bool is_valid(const struct pst_spp_packet *p)
{
    const bool loop = p->opcode == PST_SPP_LOOP;
    const uint64_t len = loop ? p->data.at[0] : p->count;
    uint64_t end = 0;

    if (loop && (!is_width(p->data.at[0]) || p->data.at[1] != 0)) {
        return false;
    }
    if (p->opcode == PST_SPP_WRITE_READ && p->space != PST_AS_JTAG) {
        return false;
    }
    return p->space == PST_AS_JTAG || len == 0 || pst_add_u64(p->address, len - 1, &end);
}

static uint8_t rights_of(const struct pst_space *space, const struct pst_spp_packet *p)
{
    const bool writes = p->opcode == PST_SPP_WRITE || p->opcode == PST_SPP_WRITE_READ;
    uint8_t rights = space->right(space->ctx, p->address, writes);

    if (p->opcode == PST_SPP_WRITE_READ && rights != 0) {
        rights |= space->right(space->ctx, p->address, false);
    }
    return rights;
}

void psti_engine_decide(const struct pst_spp_engine *e, const struct pst_spp_packet *p, uint8_t *at)
{
    const struct pst_space *space = e->config.spaces[p->space];
    const struct pst_gate *gate = e->config.gate;
    uint8_t rights = 0;
    bool allowed = false;

    if (psti_spp_is_system(p->opcode) && space != NULL && is_valid(p)) {
        if (p->space == PST_AS_SCM) {
            allowed = true;
        } else if (!psti_engine_limited(e)) {
            const uint64_t len = p->opcode == PST_SPP_LOOP ? p->data.at[0] : p->count;

            rights = rights_of(space, p);
            allowed = rights != 0 && gate->covers(gate->ctx, p->space, rights, p->address, len);
        }
    }
    psti_spp_keep(at, rights, allowed);
}

/* --- before it runs --- */

static pst_err admit(const struct job *j)
{
    const struct pst_spp_command *c = j->c;
    const struct pst_gate *gate = j->e->config.gate;

    if (c->rights != 0) {
        return gate->admit(gate->ctx, c);
    }
    if (c->allowed) {
        return PST_OK; /* SCM */
    }
    return c->packet.opcode == PST_SPP_WRITE_READ && c->packet.space != PST_AS_JTAG
               ? PST_ERR_UNSUPPORTED
               : PST_ERR_ARGUMENT;
}

enum psti_step psti_engine_access(struct pst_spp_engine *e, struct psti_output *o, size_t at,
                                  const struct pst_spp_command *c)
{
    const struct pst_spp_packet *p = &c->packet;
    const struct job j = {
        .e = e,
        .o = o,
        .p = p,
        .c = c,
        .space = e->config.spaces[p->space],
        .at = at,
        .data = p->data.at == NULL ? NULL : e->config.queue + (p->data.at - e->config.queue),
    };

    if (psti_engine_limited(e) && p->space != PST_AS_SCM) {
        return fail(&j, PST_SPP_DENIED, PST_ERR_DENIED);
    }
    if (j.space == NULL || !psti_has_bit(e->enabled, p->space)) {
        return fail(&j, PST_SPP_BAD_SPACE, PST_ERR_UNSUPPORTED);
    }
    if ((c->marks & PST_MARK_BEGUN) == 0) {
        if (e->blocked && p->space != PST_AS_SCM && !psti_engine_urgent(e, p)) {
            return psti_output_fail(o, p, PST_SPP_BLOCKED, PST_ERR_STATE);
        }
        const pst_err err = admit(&j);
        if (err != PST_OK) {
            return fail_access(&j, err);
        }
        psti_spp_mark(e->config.queue + at, PST_MARK_BEGUN);
    }
    switch (p->opcode) {
    case PST_SPP_READ:
        return read_space(&j);
    case PST_SPP_WRITE:
        return write_space(&j);
    case PST_SPP_WRITE_READ:
        return exchange(&j);
    default:
        return loop(&j);
    }
}
