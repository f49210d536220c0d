/* The one gate: whether an access may run, and that its effect stands in the log before it does.
 *
 * Effects are announced batch by batch, when the batch arrives (`scm_announce`), so that one line
 * and one sync serve all of it; the gate then lets through only what the grants cover. What a
 * command implies (halting the CPU to read, gathered memory) is not in the batch and is logged by
 * itself when it has an effect. */
#include "scm/scm.h"
#include "scm/text.h"

#define EFFECTS (PST_RIGHT_WRITE | PST_RIGHT_RUN | PST_RIGHT_TRACE)

static const char *const space_names[PST_AS_COUNT] = {
    [PST_AS_JTAG] = "jtag",   [PST_AS_MEMORY] = "memory", [PST_AS_RUN] = "run",
    [PST_AS_TRACE] = "trace", [PST_AS_STREAM] = "stream", [PST_AS_SCM] = "scm",
};

static bool covered(const struct pst_target_context *c, uint8_t space, uint8_t rights,
                    uint64_t address, uint64_t len)
{
    return c->phase == PST_CONTEXT_LIVE &&
           pst_grants_cover(&c->grants, space, rights, address, len);
}

static void put_effect(struct scm_text *s, uint8_t space, uint64_t address, uint64_t len)
{
    scm_put(s, s->len > 0 ? ",\"" : "\"");
    const char *name = space < PST_AS_COUNT ? space_names[space] : NULL;
    scm_put(s, name != NULL ? name : "space");
    scm_put(s, " ");
    scm_put_hex(s, address);
    scm_put(s, "+");
    scm_put_u64(s, len);
    scm_put(s, "\"");
}

static pst_err allow(void *ctx, uint8_t space, uint8_t rights, uint64_t address, uint64_t len,
                     bool implied)
{
    struct pst_target_context *c = ctx;

    if (space == PST_AS_SCM) {
        return PST_OK; /* a session may always talk to its own security agent */
    }
    if (!covered(c, space, rights, address, len)) {
        scm_log_denied(c, space, rights, address, len);
        return PST_ERR_DENIED;
    }
    if ((rights & EFFECTS) == 0) {
        c->reads++;
        c->read_bytes += len;
        return PST_OK;
    }
    c->effects++;
    if (implied) {
        char text[80];
        struct scm_text s = scm_text_of(text, sizeof text);
        put_effect(&s, space, address, len);
        return scm_log_effect(c, text, s.len);
    }
    return c->target->audit_failed ? PST_ERR_AUDIT : PST_OK;
}

void scm_gate_init(struct pst_target_context *c)
{
    c->gate = (struct pst_gate){.ctx = c, .allow = allow};
}

/* Which right a command needs; 0 when it does not reach an access space. */
static uint8_t right_of(const struct pst_target_context *c, const struct pst_spp_packet *p)
{
    if (p->opcode < PST_SPP_READ || p->opcode > PST_SPP_LOOP || p->space >= PST_AS_COUNT) {
        return 0;
    }
    const struct pst_space *space = c->engine.config.spaces[p->space];
    bool write = p->opcode == PST_SPP_WRITE || p->opcode == PST_SPP_WRITE_READ;
    return space == NULL ? 0 : space->right(space->ctx, p->address, write);
}

/* Neighbouring writes are one effect: a long operation arrives as many packets. */
struct run {
    uint8_t space;
    uint64_t address, len;
};

static pst_err flush(struct pst_target_context *c, struct scm_text *s)
{
    pst_err err = s->len == 0 ? PST_OK : scm_log_effect(c, s->at, s->len);
    s->len = 0;
    return err;
}

static pst_err announce_run(struct pst_target_context *c, struct scm_text *s, const struct run *run)
{
    if (run->len == 0) {
        return PST_OK;
    }
    if (s->len + 48 > s->cap) {
        PST_TRY(flush(c, s));
    }
    put_effect(s, run->space, run->address, run->len);
    return PST_OK;
}

pst_err scm_announce(struct pst_target_context *c, const uint8_t *batch, size_t len)
{
    char text[256];
    struct scm_text s = scm_text_of(text, sizeof text);
    struct pst_reader r = pst_reader_of(batch, len);
    struct pst_spp_packet p;
    struct run run = {0};

    while (r.left > 0) {
        PST_TRY(pst_spp_get_command(&r, &p));
        uint8_t right = right_of(c, &p);
        uint64_t bytes = p.opcode == PST_SPP_LOOP && p.data.len > 0 ? p.data.at[0] : p.count;
        bytes = bytes > 0 ? bytes : 1;
        if (p.space == PST_AS_SCM || (right & EFFECTS) == 0 ||
            !covered(c, p.space, right, p.address, bytes)) {
            continue; /* no effect, or the gate will refuse it */
        }
        if (p.space == run.space && p.address == run.address + run.len) {
            run.len += bytes;
            continue;
        }
        PST_TRY(announce_run(c, &s, &run));
        run = (struct run){.space = p.space, .address = p.address, .len = bytes};
    }
    PST_TRY(announce_run(c, &s, &run));
    return flush(c, &s);
}
