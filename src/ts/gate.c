/* The one gate: whether an access may run, and that its effect stands in the log before it does.
 *
 * Effects are announced batch by batch, when the batch arrives (`psti_ts_announce`), so that one
 * line and one sync serve all of it; the gate then lets through only what the grants cover. What a
 * command implies (halting the CPU to read, gathered memory) is not in the batch and is logged by
 * itself when it has an effect. */
#include "ts/text.h"
#include "ts/ts.h"

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

static void put_effect(struct psti_text *s, uint8_t space, uint64_t address, uint64_t len)
{
    psti_put(s, s->len > 0 ? ",\"" : "\"");
    const char *name = space < PST_AS_COUNT ? space_names[space] : NULL;
    psti_put(s, name != NULL ? name : "space");
    psti_put(s, " ");
    psti_put_hex(s, address);
    psti_put(s, "+");
    psti_put_u64(s, len);
    psti_put(s, "\"");
}

static pst_err allow(void *ctx, uint8_t space, uint8_t rights, uint64_t address, uint64_t len,
                     bool implied)
{
    struct pst_target_context *c = ctx;

    if (space == PST_AS_SCM) {
        return PST_OK; /* a session may always talk to its own security agent */
    }
    if (!covered(c, space, rights, address, len)) {
        psti_ts_log_denied(c, space, rights, address, len);
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
        struct psti_text s = psti_text_of(text, sizeof text);
        put_effect(&s, space, address, len);
        return psti_ts_log_effect(c, text, s.len, rights == PST_RIGHT_RUN);
    }
    return c->target->audit_failed ? PST_ERR_AUDIT : PST_OK;
}

void psti_ts_gate_init(struct pst_target_context *c)
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

/* What a batch has for the log, not written yet. Neighbouring writes are one effect: a long
 * operation arrives as many packets. */
struct notes {
    struct pst_target_context *c;
    struct psti_text text;
    bool run; /* nothing but run control is in `text` */
    uint8_t space, right;
    uint64_t address, len; /* an effect that may still grow */
};

static pst_err flush(struct notes *n)
{
    pst_err err =
        n->text.len == 0 ? PST_OK : psti_ts_log_effect(n->c, n->text.at, n->text.len, n->run);
    n->text.len = 0;
    n->run = true;
    return err;
}

static pst_err make_room(struct notes *n, uint8_t right)
{
    if (n->text.len + 48 > n->text.cap) {
        PST_TRY(flush(n));
    }
    n->run = n->run && right == PST_RIGHT_RUN;
    return PST_OK;
}

static pst_err end_effect(struct notes *n)
{
    if (n->len == 0) {
        return PST_OK;
    }
    PST_TRY(make_room(n, n->right));
    put_effect(&n->text, n->space, n->address, n->len);
    n->len = 0;
    return PST_OK;
}

/* Breakpoints by what they are: it says more than that some were changed. */
static pst_err note_breaks(struct notes *n, struct pst_bytes entries)
{
    struct pst_reader r = pst_reader_of(entries.at, entries.len);
    PST_TRY(end_effect(n));
    while (r.left > 0) {
        bool set = pst_get_u8(&r) != 0;
        uint8_t type = pst_get_u8(&r);
        uint16_t kind = pst_get_u16(&r);
        pst_skip(&r, 4);
        uint64_t address = pst_get_u64(&r);
        PST_TRY(make_room(n, PST_RIGHT_RUN));
        psti_put(&n->text, n->text.len > 0 ? ",\"" : "\"");
        psti_put(&n->text, set ? "Z" : "z");
        psti_put_u64(&n->text, type);
        psti_put(&n->text, " ");
        psti_put_hex(&n->text, address);
        psti_put(&n->text, ",");
        psti_put_u64(&n->text, kind);
        psti_put(&n->text, "\"");
    }
    return PST_OK;
}

static pst_err note(struct notes *n, const struct pst_spp_packet *p, uint8_t right, uint64_t bytes)
{
    if (p->space == PST_AS_RUN && p->address == PST_RUN_BREAK && p->data.len % 16 == 0 &&
        p->data.len > 0 && p->opcode == PST_SPP_WRITE) {
        return note_breaks(n, p->data);
    }
    if (n->len > 0 && p->space == n->space && right == n->right &&
        p->address == n->address + n->len) {
        n->len += bytes;
        return PST_OK;
    }
    PST_TRY(end_effect(n));
    n->space = p->space;
    n->right = right;
    n->address = p->address;
    n->len = bytes;
    return PST_OK;
}

pst_err psti_ts_announce(struct pst_target_context *c, const uint8_t *batch, size_t len)
{
    char text[256];
    struct notes n = {.c = c, .text = psti_text_of(text, sizeof text), .run = true};
    struct pst_reader r = pst_reader_of(batch, len);
    struct pst_spp_packet p;

    while (r.left > 0) {
        PST_TRY(pst_spp_get_command(&r, &p));
        uint8_t right = right_of(c, &p);
        uint64_t bytes = p.opcode == PST_SPP_LOOP && p.data.len > 0 ? p.data.at[0] : p.count;
        if (p.space != PST_AS_SCM && (right & EFFECTS) != 0 &&
            covered(c, p.space, right, p.address, bytes > 0 ? bytes : 1)) {
            PST_TRY(note(&n, &p, right, bytes > 0 ? bytes : 1));
        } /* otherwise it has no effect, or the gate will refuse it */
    }
    PST_TRY(end_effect(&n));
    return flush(&n);
}

pst_err psti_ts_take_batch(struct pst_target_context *c, const uint8_t *batch, size_t len)
{
    if (c->phase == PST_CONTEXT_LIVE && psti_ts_announce(c, batch, len) == PST_ERR_AUDIT) {
        return PST_ERR_AUDIT;
    }
    /* Authenticated or not: a peer that cannot speak SPP, or ignores its credit, is done. */
    return pst_spp_engine_receive(&c->engine, batch, len) == PST_OK ? PST_OK : PST_ERR_DECODE;
}
