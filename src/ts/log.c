/* Audit lines (audit.h lists their keys). Each has a number, so that a missing one shows. */
#include <string.h>

#include "ts/ts.h"

/* More refusals than this in a second are only counted, so that a flood cannot push older lines out
 * of the log. */
#define REFUSALS_PER_S 5

#define PIECE 128 /* bytes that a line is collected in before they go to the sink */

struct line {
    struct pst_target *target;
    struct psti_text text; /* in `piece` */
    size_t left;           /* bytes until PST_AUDIT_LINE, less those of the end */
    pst_err err;           /* of the sink: the rest of the line does not go there */
    char piece[PIECE];
};

static void give(struct line *l, size_t len, enum pst_audit_when when)
{
    const struct pst_audit_sink *sink = &l->target->config->audit;

    if (l->err == PST_OK) {
        l->err = sink->line(sink->ctx, l->piece, len, when);
    }
}

static bool more(void *ctx, const char *at, size_t len)
{
    struct line *l = ctx;

    (void)at; /* it is l->piece */
    len = len < l->left ? len : l->left;
    l->left -= len;
    give(l, len, PST_AUDIT_MORE);
    return l->left > 0;
}

static void put_key(struct psti_text *s, const char *key)
{
    psti_put(s, ",\"");
    psti_put(s, key);
    psti_put(s, "\":");
}

static void put_number(struct psti_text *s, const char *key, uint64_t v)
{
    put_key(s, key);
    psti_put_u64(s, v);
}

static void put_string(struct psti_text *s, const char *key, const char *v)
{
    put_key(s, key);
    psti_put_json(s, v);
}

static void put_hex(struct psti_text *s, const char *key, uint64_t v)
{
    put_key(s, key);
    psti_put(s, "\"");
    psti_put_hex(s, v);
    psti_put(s, "\"");
}

/* All eight digits, as the tools print it: one search finds both. */
static void put_session(struct psti_text *s, uint32_t id)
{
    const uint8_t bytes[4] = {(uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8),
                              (uint8_t)id};

    put_key(s, "session");
    psti_put(s, "\"0x");
    psti_put_hex_bytes(s, bytes, sizeof bytes);
    psti_put(s, "\"");
}

static void begin(struct line *l, struct pst_target_context *c, const char *event)
{
    struct psti_text *s = &l->text;

    l->target = c->target;
    l->left = PST_AUDIT_LINE - PIECE;
    l->err = PST_OK;
    *s = psti_text_of(l->piece, PIECE - 1); /* end() puts a bracket */
    s->more = more;
    s->ctx = l;
    psti_put(s, "{\"line\":");
    psti_put_u64(s, ++c->target->lines);
    put_number(s, "time", psti_ts_wall(c->target));
    put_string(s, "event", event);
    put_session(s, c->session_id);
    put_string(s, "engineer", c->name);
}

static pst_err end(struct line *l, enum pst_audit_when when)
{
    l->piece[l->text.len] = '}';
    give(l, l->text.len + 1, when);
    l->target->audit_failed = l->err != PST_OK;
    return l->err == PST_OK ? PST_OK : PST_ERR_AUDIT;
}

pst_err psti_ts_log_open(struct pst_target_context *c, const char *grants)
{
    struct line l;
    memset(&c->target->repeats, 0, sizeof c->target->repeats);
    begin(&l, c, "open");
    put_key(&l.text, "fingerprint");
    psti_put(&l.text, "\"");
    psti_put_hex_bytes(&l.text, c->fingerprint, sizeof c->fingerprint);
    psti_put(&l.text, "\"");
    put_key(&l.text, "observer");
    psti_put(&l.text, c->observer ? "true" : "false");
    if (!c->time_checked) {
        psti_put(&l.text, ",\"time_checked\":false");
    }
    put_string(&l.text, "grants", grants);
    return end(&l, PST_AUDIT_DURABLE);
}

/* --- repeated run control --- */

/* Puts a batch first among the recent ones and drops the oldest. true: it was among them. */
static bool to_front(struct pst_target_repeats *r, const char *what, size_t len)
{
    size_t last = sizeof r->recent / sizeof *r->recent - 1, at = 0;
    while (at < last && (r->recent[at].len != len || memcmp(r->recent[at].what, what, len) != 0)) {
        at++;
    }
    bool known = r->recent[at].len == len && memcmp(r->recent[at].what, what, len) == 0;
    bool announced = known && r->recent[at].announced;
    memmove(&r->recent[1], &r->recent[0], at * sizeof *r->recent);
    memcpy(r->recent[0].what, what, len);
    r->recent[0].len = (uint8_t)len;
    r->recent[0].announced = announced;
    return known;
}

/* Announces the batch of this line and the other recent ones, up to `ahead` times in all. */
static void announce(struct pst_target *t, struct psti_text *s, uint8_t ahead)
{
    struct pst_target_repeats *r = &t->repeats;
    put_number(s, "announces", ahead);
    for (size_t i = 0; i < sizeof r->recent / sizeof *r->recent && r->recent[i].len > 0; i++) {
        r->recent[i].announced = true;
        if (i > 0) {
            psti_put(s, i == 1 ? ",\"alternatives\":[[" : "],[");
            psti_put_bytes(s, r->recent[i].what, r->recent[i].len);
        }
    }
    psti_put(s, r->recent[1].len > 0 ? "]]" : "");
    r->left = ahead;
    r->line = t->lines;
    r->ms = psti_ts_now(t);
}

pst_err psti_ts_log_effect(struct pst_target_context *c, const char *what, size_t len, bool run)
{
    struct line l;
    struct pst_target *t = c->target;
    struct pst_target_repeats *r = &t->repeats;
    uint8_t ahead = t->config->audit_ahead;
    bool known = false, announced = false;
    if (run && len > 0 && len <= sizeof r->recent[0].what) {
        known = to_front(r, what, len);
        announced =
            r->recent[0].announced && r->left > 0 && psti_ts_now(t) - r->ms < PST_AUDIT_AHEAD_MS;
    } else {
        memset(r, 0, sizeof *r);
    }
    begin(&l, c, "effect");
    psti_put(&l.text, ",\"effects\":[");
    psti_put_bytes(&l.text, what, len);
    psti_put(&l.text, "]");
    if (announced) {
        r->left--;
        put_number(&l.text, "announced_by", r->line);
    } else if (known && ahead > 0) {
        announce(t, &l.text, ahead);
    }
    pst_err err = end(&l, announced ? PST_AUDIT_ANNOUNCED : PST_AUDIT_DURABLE);
    if (err != PST_OK) {
        memset(r, 0, sizeof *r);
    }
    return err;
}

/* --- sessions and refusals --- */

/* true: write this one; false: it was only counted. */
static bool refusal_allowed(struct pst_target *t)
{
    uint64_t now = psti_ts_now(t);
    if (now - t->refusals_ms >= 1000) {
        t->refusals_ms = now;
        t->refusals = 0;
    }
    if (t->refusals >= REFUSALS_PER_S) {
        t->refusals_suppressed++;
        return false;
    }
    t->refusals++;
    return true;
}

static void put_suppressed(struct pst_target *t, struct psti_text *s)
{
    if (t->refusals_suppressed > 0) {
        put_number(s, "suppressed", t->refusals_suppressed);
        t->refusals_suppressed = 0;
    }
}

void psti_ts_log_refused(struct pst_target_context *c, const char *why)
{
    if (!refusal_allowed(c->target)) {
        return;
    }
    struct line l;
    begin(&l, c, "refused");
    put_number(&l.text, "link", c->link);
    put_string(&l.text, "reason", why);
    put_suppressed(c->target, &l.text);
    (void)end(&l, PST_AUDIT_WRITTEN); /* a refusal has no effect that would have to wait for it */
}

void psti_ts_put_space(struct psti_text *s, uint8_t space)
{
    static const char *const names[PST_AS_COUNT] = {
        [PST_AS_JTAG] = "jtag",   [PST_AS_MEMORY] = "memory", [PST_AS_RUN] = "run",
        [PST_AS_TRACE] = "trace", [PST_AS_STREAM] = "stream", [PST_AS_SCM] = "scm",
    };

    if (space < PST_AS_COUNT && names[space] != NULL) {
        psti_put(s, names[space]);
    } else {
        psti_put(s, "space");
        psti_put_u64(s, space);
    }
}

/* "write", "write+read"; "open" when it was asked whether the space may be opened. */
static void put_rights(struct psti_text *s, uint8_t rights)
{
    static const char *const names[] = {"read", "write", "run", "trace"};
    const char *between = "";

    psti_put(s, rights == 0 ? "open" : "");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if ((rights >> i & 1) != 0) {
            psti_put(s, between);
            psti_put(s, names[i]);
            between = "+";
        }
    }
}

void psti_ts_log_denied(struct pst_target_context *c, uint8_t space, uint8_t rights,
                        uint64_t address, uint64_t len)
{
    if (!refusal_allowed(c->target)) {
        return;
    }
    struct line l;
    begin(&l, c, "denied");
    psti_put(&l.text, ",\"space\":\"");
    psti_ts_put_space(&l.text, space);
    psti_put(&l.text, "\",\"rights\":\"");
    put_rights(&l.text, rights);
    psti_put(&l.text, "\"");
    put_hex(&l.text, "address", address);
    put_number(&l.text, "bytes", len);
    put_suppressed(c->target, &l.text);
    (void)end(&l, PST_AUDIT_WRITTEN);
}

void psti_ts_log_end(struct pst_target_context *c, pst_err why)
{
    struct line l;
    begin(&l, c, "end");
    put_string(&l.text, "reason", why == PST_OK ? "ended by the engineer" : pst_err_text(why));
    put_number(&l.text, "read_count", c->reads);
    put_number(&l.text, "read_bytes", c->read_bytes);
    put_number(&l.text, "effect_count", c->effects);
    (void)end(&l, PST_AUDIT_DURABLE);
}
