/* The one gate: whether an access may run, and that its effect is in the log before it runs.
 *
 * A batch is decided when it arrives (`covers`, once for each command), and its effects are logged
 * then (`announce`): one line, and one sync, for all of it. Right before a command runs, `admit`
 * takes the decision that was kept with it. Grants do not change while a session is live, so the
 * decision cannot become too generous; it is void once the session is no longer live, and a session
 * whose time is over is ended by pst_target_poll and nowhere else.
 *
 * What no command names (halting the CPU to read, gathered memory) is decided and logged by `allow`
 * when it happens. */
#include "ts/ts.h"

#define EFFECTS (PST_RIGHT_WRITE | PST_RIGHT_RUN | PST_RIGHT_TRACE)

static void put_effect(struct psti_text *s, uint8_t space, uint64_t address, uint64_t len)
{
    psti_put(s, s->len > 0 ? ",\"" : "\"");
    psti_ts_put_space(s, space);
    psti_put(s, " ");
    psti_put_hex(s, address);
    psti_put(s, "+");
    psti_put_u64(s, len);
    psti_put(s, "\"");
}

static bool covers(void *ctx, uint8_t space, uint8_t rights, uint64_t address, uint64_t len)
{
    const struct pst_target_context *c = ctx;

    return c->phase == PST_CONTEXT_LIVE &&
           pst_grants_cover(&c->grants, space, rights, address, len);
}

/* --- before an access runs --- */

static bool has_effect(uint8_t rights)
{
    return (rights & EFFECTS) != 0;
}

static void count(struct pst_target_context *c, uint8_t rights, uint64_t len)
{
    if (has_effect(rights)) {
        c->effects++;
    } else {
        c->reads++;
        c->read_bytes += len;
    }
}

/* An access space works on one access. Observers begin none while the holder has one; what they
 * have begun is given up for it, and they begin it again. What is urgent may come in between. */
static void take_turn(struct pst_target_context *c, const struct pst_spp_packet *p)
{
    const struct pst_space *space = c->target->config->spaces[p->space];

    if (!c->observer && (p->address < space->urgent_first || p->address > space->urgent_last)) {
        psti_ts_stop_watching(c->target);
    }
}

static pst_err admit(void *ctx, const struct pst_spp_command *command)
{
    struct pst_target_context *c = ctx;
    const struct pst_spp_packet *p = &command->packet;

    if (!command->allowed || c->phase != PST_CONTEXT_LIVE) {
        psti_ts_log_denied(c, p->space, command->rights, p->address, command->len);
        return PST_ERR_DENIED;
    }
    count(c, command->rights, command->len);
    if (has_effect(command->rights) && c->target->audit_failed) {
        return PST_ERR_AUDIT;
    }
    take_turn(c, p);
    return PST_OK;
}

static pst_err allow(void *ctx, uint8_t space, uint8_t rights, uint64_t address, uint64_t len)
{
    struct pst_target_context *c = ctx;
    char text[80];
    struct psti_text s = psti_text_of(text, sizeof text);

    if (!covers(c, space, rights, address, len)) {
        psti_ts_log_denied(c, space, rights, address, len);
        return PST_ERR_DENIED;
    }
    count(c, rights, len);
    if (!has_effect(rights)) {
        return PST_OK;
    }
    put_effect(&s, space, address, len);
    return psti_ts_log_effect(c, text, s.len, rights == PST_RIGHT_RUN);
}

/* --- when a batch arrives --- */

/* What a batch has for the log, not written yet. Neighbouring writes are one effect: a long
 * operation arrives as many packets. */
struct notes {
    struct pst_target_context *c;
    struct psti_text text;
    bool run; /* nothing but run control is in `text` */
    uint8_t space, rights;
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

static pst_err make_room(struct notes *n, uint8_t rights)
{
    if (n->text.len + 48 > n->text.cap) {
        PST_TRY(flush(n));
    }
    n->run = n->run && rights == PST_RIGHT_RUN;
    return PST_OK;
}

static pst_err end_effect(struct notes *n)
{
    if (n->len == 0) {
        return PST_OK;
    }
    PST_TRY(make_room(n, n->rights));
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

static pst_err note(struct notes *n, const struct pst_spp_command *c)
{
    const struct pst_spp_packet *p = &c->packet;
    const uint32_t len = c->len > 0 ? c->len : 1;

    if (p->space == PST_AS_RUN && p->address == PST_RUN_BREAK && p->data.len % 16 == 0 &&
        p->data.len > 0 && p->opcode == PST_SPP_WRITE) {
        return note_breaks(n, p->data);
    }
    if (n->len > 0 && p->space == n->space && c->rights == n->rights &&
        p->address == n->address + n->len) {
        n->len += len;
        return PST_OK;
    }
    PST_TRY(end_effect(n));
    n->space = p->space;
    n->rights = c->rights;
    n->address = p->address;
    n->len = len;
    return PST_OK;
}

static pst_err announce(void *ctx, struct pst_spp_batch batch)
{
    char text[256];
    struct notes n = {.c = ctx, .text = psti_text_of(text, sizeof text), .run = true};
    struct pst_spp_command c;

    while (pst_spp_batch_next(&batch, &c)) {
        if (c.allowed && has_effect(c.rights)) {
            PST_TRY(note(&n, &c));
        }
    }
    PST_TRY(end_effect(&n));
    return flush(&n);
}

void psti_ts_gate_init(struct pst_target_context *c)
{
    c->gate = (struct pst_gate){
        .ctx = c, .covers = covers, .announce = announce, .admit = admit, .allow = allow};
}

pst_err psti_ts_take_batch(struct pst_target_context *c, const uint8_t *batch, size_t len)
{
    const pst_err err = pst_spp_engine_receive(&c->engine, batch, len);

    /* Authenticated or not: a peer that cannot speak SPP, or ignores its credit, is done. */
    return err == PST_OK || err == PST_ERR_AUDIT ? err : PST_ERR_DECODE;
}
