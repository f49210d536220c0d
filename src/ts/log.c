/* Audit lines. Each has a number, so that a missing one shows. */
#include <string.h>

#include "ts/text.h"
#include "ts/ts.h"

/* More refusals than this in a second are only counted, so that a flood cannot push history out. */
#define REFUSALS_PER_S 5

static struct psti_text begin(struct pst_target_context *c, char line[PST_AUDIT_LINE],
                              const char *event)
{
    struct pst_target *t = c->target;
    struct psti_text s = psti_text_of(line, PST_AUDIT_LINE - 2);
    psti_put(&s, "{\"n\":");
    psti_put_u64(&s, ++t->lines);
    psti_put(&s, ",\"time\":");
    psti_put_u64(&s, psti_ts_wall(t));
    psti_put(&s, ",\"event\":\"");
    psti_put(&s, event);
    psti_put(&s, "\",\"session\":\"");
    psti_put_hex(&s, c->session_id);
    psti_put(&s, "\",\"engineer\":");
    psti_put_json(&s, c->name);
    return s;
}

static pst_err end(struct pst_target_context *c, struct psti_text *s, enum pst_audit_when when)
{
    struct pst_target *t = c->target;
    const struct pst_audit_sink *sink = &t->config->audit;

    /* begin() left room for the bracket and the newline. */
    s->cap = PST_AUDIT_LINE;
    psti_put(s, "}");
    pst_err err = sink->line == NULL ? PST_ERR_AUDIT : sink->line(sink->ctx, s->at, s->len, when);
    t->audit_failed = err != PST_OK;
    return err == PST_OK ? PST_OK : PST_ERR_AUDIT;
}

pst_err psti_ts_log_open(struct pst_target_context *c, const char *grants)
{
    char line[PST_AUDIT_LINE];
    memset(&c->target->repeats, 0, sizeof c->target->repeats);
    struct psti_text s = begin(c, line, "open");
    psti_put(&s, ",\"key\":\"");
    psti_put_hex_bytes(&s, c->fingerprint, sizeof c->fingerprint);
    psti_put(&s, "\",\"sharing\":");
    psti_put(&s, c->observer ? "true" : "false");
    if (!c->time_checked) {
        psti_put(&s, ",\"time_checked\":false");
    }
    psti_put(&s, ",\"grants\":");
    psti_put_json(&s, grants);
    return end(c, &s, PST_AUDIT_DURABLE);
}

/* --- run control that comes again --- */

/* Puts a batch first among the recent ones; the oldest makes room. true: it was among them. */
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

/* The batch of this line and the recent others, up to `ahead` times in all. */
static void announce(struct pst_target *t, struct psti_text *s, uint8_t ahead)
{
    struct pst_target_repeats *r = &t->repeats;
    psti_put(s, ",\"and_again\":");
    psti_put_u64(s, ahead);
    for (size_t i = 0; i < sizeof r->recent / sizeof *r->recent && r->recent[i].len > 0; i++) {
        r->recent[i].announced = true;
        if (i > 0) {
            psti_put(s, i == 1 ? ",\"or\":[[" : "],[");
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
    char line[PST_AUDIT_LINE];
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
    struct psti_text s = begin(c, line, "effect");
    psti_put(&s, ",\"do\":[");
    psti_put_bytes(&s, what, len);
    psti_put(&s, "]");
    if (announced) {
        r->left--;
        psti_put(&s, ",\"announced\":");
        psti_put_u64(&s, r->line);
    } else if (known && ahead > 0) {
        announce(t, &s, ahead);
    }
    pst_err err = end(c, &s, announced ? PST_AUDIT_ANNOUNCED : PST_AUDIT_DURABLE);
    if (err != PST_OK) {
        memset(r, 0, sizeof *r);
    }
    return err;
}

/* --- sessions and refusals --- */

/* True when this one is to be written; otherwise it was only counted. */
static bool refusal_allowed(struct pst_target *t)
{
    uint64_t now = psti_ts_now(t);
    if (now - t->refusals_ms >= 1000) {
        t->refusals_ms = now;
        t->refusals = 0;
    }
    if (t->refusals >= REFUSALS_PER_S) {
        t->refusals_unsaid++;
        return false;
    }
    t->refusals++;
    return true;
}

static void put_unsaid(struct pst_target *t, struct psti_text *s)
{
    if (t->refusals_unsaid > 0) {
        psti_put(s, ",\"also_refused\":");
        psti_put_u64(s, t->refusals_unsaid);
        t->refusals_unsaid = 0;
    }
}

void psti_ts_log_refused(struct pst_target_context *c, const char *why)
{
    if (!refusal_allowed(c->target)) {
        return;
    }
    char line[PST_AUDIT_LINE];
    struct psti_text s = begin(c, line, "refused");
    psti_put(&s, ",\"link\":");
    psti_put_u64(&s, c->link);
    psti_put(&s, ",\"why\":");
    psti_put_json(&s, why);
    put_unsaid(c->target, &s);
    (void)end(c, &s,
              PST_AUDIT_WRITTEN); /* a refusal has no effect that would have to wait for it */
}

void psti_ts_log_denied(struct pst_target_context *c, uint8_t space, uint8_t rights,
                        uint64_t address, uint64_t len)
{
    if (!refusal_allowed(c->target)) {
        return;
    }
    char line[PST_AUDIT_LINE];
    struct psti_text s = begin(c, line, "denied");
    psti_put(&s, ",\"space\":");
    psti_put_u64(&s, space);
    psti_put(&s, ",\"rights\":");
    psti_put_u64(&s, rights);
    psti_put(&s, ",\"address\":\"");
    psti_put_hex(&s, address);
    psti_put(&s, "\",\"bytes\":");
    psti_put_u64(&s, len);
    put_unsaid(c->target, &s);
    (void)end(c, &s, PST_AUDIT_WRITTEN);
}

void psti_ts_log_end(struct pst_target_context *c, pst_err why)
{
    char line[PST_AUDIT_LINE];
    struct psti_text s = begin(c, line, "end");
    psti_put(&s, ",\"why\":");
    psti_put_json(&s, why == PST_OK ? "ended by the engineer" : pst_err_text(why));
    psti_put(&s, ",\"reads\":");
    psti_put_u64(&s, c->reads);
    psti_put(&s, ",\"bytes\":");
    psti_put_u64(&s, c->read_bytes);
    psti_put(&s, ",\"effects\":");
    psti_put_u64(&s, c->effects);
    (void)end(c, &s, PST_AUDIT_DURABLE);
}
