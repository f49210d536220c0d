/* Grants: their grammar, what they cover, and their text. */
#include <string.h>

#include "ts/grants.h"

#define ALL_RIGHTS (PST_RIGHT_READ | PST_RIGHT_WRITE | PST_RIGHT_RUN | PST_RIGHT_TRACE)
#define CONTROL (PST_RIGHT_READ | PST_RIGHT_WRITE | PST_RIGHT_RUN)

/* Words that mean one whole access space. */
static const struct word {
    const char *text;
    uint8_t space, rights;
} words[] = {
    {"run",    PST_AS_RUN,    CONTROL                                           },
    {"run:r",  PST_AS_RUN,    PST_RIGHT_READ                                    },
    {"halt",   PST_AS_RUN,    PST_RIGHT_READ | PST_RIGHT_RUN                    },
    {"trace",  PST_AS_TRACE,  PST_RIGHT_READ | PST_RIGHT_WRITE | PST_RIGHT_TRACE},
    {"stream", PST_AS_STREAM, PST_RIGHT_READ | PST_RIGHT_WRITE                  },
};

struct parse {
    struct pst_grants *g;
    bool whole;   /* a clause that reaches all memory */
    bool partial; /* a clause for a part of the memory */
    uint8_t seen; /* each setting may appear once */
};

static bool is_whole(const struct pst_grant_range *r)
{
    return r->first == 0 && r->last == UINT64_MAX;
}

static bool contains(const struct pst_grant_range *a, const struct pst_grant_range *b)
{
    return a->space == b->space && (a->rights & b->rights) == b->rights && a->first <= b->first &&
           b->last <= a->last;
}

/* Ranges that another one contains are dropped, so that equal grants have equal text. */
pst_err psti_grants_add(struct pst_grants *g, struct pst_grant_range r)
{
    uint8_t kept = 0;

    for (uint8_t i = 0; i < g->count; i++) {
        if (contains(&g->ranges[i], &r)) {
            return PST_OK;
        }
    }
    for (uint8_t i = 0; i < g->count; i++) {
        if (!contains(&r, &g->ranges[i])) {
            g->ranges[kept++] = g->ranges[i];
        }
    }
    g->count = kept;
    if (kept == PST_MAX_RANGES) {
        return PST_ERR_LIMIT;
    }
    g->ranges[g->count++] = r;
    return PST_OK;
}

static pst_err add_space(struct pst_grants *g, uint8_t space, uint8_t rights)
{
    return psti_grants_add(
        g,
        (struct pst_grant_range){.space = space, .rights = rights, .first = 0, .last = UINT64_MAX});
}

/* --- grammar --- */

static bool is_separator(char c)
{
    return c == ' ' || c == ',' || c == ';';
}

static bool is_word(struct pst_bytes clause, const char *word)
{
    return clause.len == strlen(word) && memcmp(clause.at, word, clause.len) == 0;
}

/* Takes `prefix` off the front of `clause`. */
static bool take(struct pst_bytes *clause, const char *prefix)
{
    const size_t len = strlen(prefix);

    if (clause->len < len || memcmp(clause->at, prefix, len) != 0) {
        return false;
    }
    clause->at += len;
    clause->len -= len;
    return true;
}

static unsigned digit_of(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return (unsigned)(c - '0');
    }
    if (c >= 'a' && c <= 'f') {
        return (unsigned)(c - 'a') + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return (unsigned)(c - 'A') + 10;
    }
    return 16;
}

/* Takes a decimal or 0x number off the front: no sign, no overflow, at least one digit. */
static bool take_number(struct pst_bytes *clause, uint64_t *value)
{
    const unsigned base = take(clause, "0x") ? 16 : 10;
    size_t digits = 0;
    uint64_t v = 0;

    while (clause->len > 0 && digit_of(*clause->at) < base) {
        const unsigned digit = digit_of(*clause->at);

        if (v > (UINT64_MAX - digit) / base) {
            return false;
        }
        v = v * base + digit;
        clause->at++;
        clause->len--;
        digits++;
    }
    *value = v;
    return digits > 0;
}

static pst_err parse_memory(struct parse *p, struct pst_bytes clause)
{
    struct pst_grant_range r = {.space = PST_AS_MEMORY};

    if (take(&clause, "rw:")) {
        r.rights = PST_RIGHT_READ | PST_RIGHT_WRITE;
    } else if (take(&clause, "r:")) {
        r.rights = PST_RIGHT_READ;
    } else if (take(&clause, "w:")) {
        r.rights = PST_RIGHT_WRITE;
    } else {
        return PST_ERR_DECODE;
    }
    if (!take_number(&clause, &r.first) || !take(&clause, "-") || !take_number(&clause, &r.last) ||
        clause.len > 0 || r.last < r.first) {
        return PST_ERR_DECODE;
    }
    p->partial = p->partial || !is_whole(&r);
    return psti_grants_add(p->g, r);
}

static bool is_device_char(uint8_t c)
{
    return c > ' ' && c < 0x7F;
}

static pst_err parse_device(struct parse *p, struct pst_bytes value)
{
    if (value.len == 0 || value.len >= sizeof p->g->device) {
        return PST_ERR_DECODE;
    }
    for (size_t i = 0; i < value.len; i++) {
        if (!is_device_char(value.at[i]) || (value.at[i] == '*' && i + 1 < value.len)) {
            return PST_ERR_DECODE;
        }
    }
    memcpy(p->g->device, value.at, value.len);
    p->g->device[value.len] = '\0';
    return PST_OK;
}

/* Each setting may appear once: of two, one would be ignored silently. */
static bool first_time(struct parse *p, uint8_t bit)
{
    const bool first = (p->seen & bit) == 0;

    p->seen |= bit;
    return first;
}

static pst_err parse_number(struct pst_bytes value, uint64_t least, uint64_t most, uint64_t *out)
{
    if (!take_number(&value, out) || value.len > 0 || *out < least || *out > most) {
        return PST_ERR_DECODE;
    }
    return PST_OK;
}

static pst_err parse_setting(struct parse *p, struct pst_bytes clause)
{
    uint64_t v = 0;

    if (take(&clause, "device=")) {
        return first_time(p, 1) ? parse_device(p, clause) : PST_ERR_DECODE;
    }
    if (take(&clause, "epoch=")) {
        PST_TRY(parse_number(clause, 0, UINT32_MAX, &v));
        p->g->epoch = (uint32_t)v;
        return first_time(p, 2) ? PST_OK : PST_ERR_DECODE;
    }
    /* 0 would mean "no limit", but reads like "nothing at all". */
    if (take(&clause, "until=")) {
        PST_TRY(parse_number(clause, 1, UINT64_MAX, &p->g->until));
        return first_time(p, 4) ? PST_OK : PST_ERR_DECODE;
    }
    if (take(&clause, "session=")) {
        PST_TRY(parse_number(clause, 1, UINT32_MAX, &v));
        p->g->session_s = (uint32_t)v;
        return first_time(p, 8) ? PST_OK : PST_ERR_DECODE;
    }
    return PST_ERR_DECODE;
}

static pst_err parse_clause(struct parse *p, struct pst_bytes clause)
{
    if (is_word(clause, "debug")) {
        p->whole = true;
        for (uint8_t space = 0; space < PST_AS_COUNT; space++) {
            PST_TRY(add_space(p->g, space, ALL_RIGHTS));
        }
        return PST_OK;
    }
    if (is_word(clause, "observe")) {
        PST_TRY(add_space(p->g, PST_AS_MEMORY, PST_RIGHT_READ));
        return add_space(p->g, PST_AS_RUN, PST_RIGHT_READ);
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (is_word(clause, words[i].text)) {
            p->whole = p->whole || words[i].rights == CONTROL;
            return add_space(p->g, words[i].space, words[i].rights);
        }
    }
    if (take(&clause, "memory:")) {
        return parse_memory(p, clause);
    }
    return parse_setting(p, clause);
}

static pst_err parse(struct parse *p, const char *text, size_t len, size_t *at)
{
    const uint8_t *bytes = (const uint8_t *)text;
    size_t i = 0;

    while (i < len) {
        struct pst_bytes clause = {.at = bytes + i};

        if (is_separator(text[i])) {
            i++;
            continue;
        }
        while (i + clause.len < len && !is_separator(text[i + clause.len])) {
            clause.len++;
        }
        *at = i;
        PST_TRY(parse_clause(p, clause));
        i += clause.len;
    }
    *at = len;
    return PST_OK;
}

pst_err pst_grants_parse(struct pst_grants *g, const char *text, size_t len, bool fenced,
                         size_t *at)
{
    struct parse p = {.g = g};
    size_t where = 0;

    memset(g, 0, sizeof *g);
    pst_err err = parse(&p, text, len, &where);
    if (err == PST_OK && p.whole && p.partial && !fenced) {
        err = PST_ERR_DENIED;
    }
    if (err != PST_OK) {
        memset(g, 0, sizeof *g);
    }
    if (at != NULL) {
        *at = where;
    }
    return err;
}

/* --- cover --- */

/* The last address up to which `right` reaches without a gap from `at`; false: not even `at`. */
static bool reach(const struct pst_grants *g, uint8_t space, uint8_t right, uint64_t at,
                  uint64_t *last)
{
    bool any = false;

    for (uint8_t i = 0; i < g->count; i++) {
        const struct pst_grant_range *r = &g->ranges[i];

        if (r->space != space || (r->rights & right) == 0 || r->first > at || r->last < at) {
            continue;
        }
        if (!any || r->last > *last) {
            *last = r->last;
        }
        any = true;
    }
    return any;
}

static bool covers_right(const struct pst_grants *g, uint8_t space, uint8_t right, uint64_t first,
                         uint64_t last)
{
    uint64_t upto = 0;

    /* Each round takes at least one more range. */
    for (uint8_t i = 0; i < g->count; i++) {
        if (!reach(g, space, right, first, &upto)) {
            return false;
        }
        if (upto >= last) {
            return true;
        }
        first = upto + 1;
    }
    return false;
}

static bool has_space(const struct pst_grants *g, uint8_t space)
{
    for (uint8_t i = 0; i < g->count; i++) {
        if (g->ranges[i].space == space) {
            return true;
        }
    }
    return false;
}

bool pst_grants_cover(const struct pst_grants *g, uint8_t space, uint8_t rights, uint64_t address,
                      uint64_t len)
{
    uint64_t last = address;

    if (rights == 0) {
        return has_space(g, space);
    }
    if (len > 0 && !pst_add_u64(address, len - 1, &last)) {
        return false;
    }
    for (unsigned right = 1; right <= rights; right <<= 1) {
        if ((rights & right) != 0 && !covers_right(g, space, (uint8_t)right, address, last)) {
            return false;
        }
    }
    return true;
}

/* --- text --- */

static void put_text(struct pst_writer *w, const char *text)
{
    pst_put_bytes(w, text, strlen(text));
}

static void put_number(struct pst_writer *w, uint64_t v, unsigned base)
{
    char digits[PST_DIGITS];
    put_text(w, base == 16 ? "0x" : "");
    pst_put_bytes(w, digits, pst_digits(v, base, digits));
}

static void put_range(struct pst_writer *w, const struct pst_grant_range *r)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (words[i].space == r->space && words[i].rights == r->rights && is_whole(r)) {
            put_text(w, words[i].text);
            return;
        }
    }
    if (r->space == PST_AS_MEMORY) {
        put_text(w, "memory:");
    } else { /* the grammar has no word for it, but people must see it */
        put_text(w, "space");
        put_number(w, r->space, 10);
        put_text(w, ":");
    }
    put_text(w, (r->rights & PST_RIGHT_READ) != 0 ? "r" : "");
    put_text(w, (r->rights & PST_RIGHT_WRITE) != 0 ? "w:" : ":");
    put_number(w, r->first, 16);
    put_text(w, "-");
    put_number(w, r->last, 16);
}

static bool is_debug(const struct pst_grants *g)
{
    for (uint8_t space = 0; space < PST_AS_COUNT; space++) {
        if (!pst_grants_cover(g, space, ALL_RIGHTS, 0, UINT64_MAX) ||
            !pst_grants_cover(g, space, ALL_RIGHTS, UINT64_MAX, 1)) {
            return false;
        }
    }
    return true;
}

/* These two ranges together are the word "observe", which may stand beside "run". */
static bool is_observed(const struct pst_grants *g, const struct pst_grant_range *r)
{
    const struct pst_grant_range memory = {PST_AS_MEMORY, PST_RIGHT_READ, 0, UINT64_MAX};
    const struct pst_grant_range run = {PST_AS_RUN, PST_RIGHT_READ, 0, UINT64_MAX};
    bool both[2] = {false, false};

    for (uint8_t i = 0; i < g->count; i++) {
        const struct pst_grant_range *at = &g->ranges[i];

        both[0] = both[0] || (at->rights == PST_RIGHT_READ && contains(at, &memory));
        both[1] = both[1] || contains(at, &run);
    }
    return both[0] && both[1] && r->rights == PST_RIGHT_READ && is_whole(r) &&
           (r->space == PST_AS_MEMORY || r->space == PST_AS_RUN);
}

/* Begins a clause; false: the text is full. */
static bool next_clause(struct pst_writer *w)
{
    if (w->used > 0) {
        put_text(w, " ");
    }
    return !w->failed;
}

static void put_ranges(struct pst_writer *w, const struct pst_grants *g, size_t *whole)
{
    bool observed = false;

    for (uint8_t i = 0; i < g->count && !w->failed; i++) {
        *whole = w->used;
        if (!is_observed(g, &g->ranges[i])) {
            if (next_clause(w)) {
                put_range(w, &g->ranges[i]);
            }
        } else if (!observed) {
            observed = true;
            if (next_clause(w)) {
                put_text(w, "observe");
            }
        }
    }
}

static void put_setting(struct pst_writer *w, const char *name, uint64_t v, size_t *whole)
{
    if (v == 0 || w->failed) {
        return;
    }
    *whole = w->used;
    if (next_clause(w)) {
        put_text(w, name);
        put_number(w, v, 10);
    }
}

size_t pst_grants_text(const struct pst_grants *g, char *out, size_t cap)
{
    static const char cut[] = " ...";
    struct pst_writer w = pst_writer_of(out, cap > sizeof cut ? cap - sizeof cut : 0);
    size_t whole = 0;

    if (cap == 0) {
        return 0;
    }
    if (is_debug(g)) {
        put_text(&w, "debug");
    } else {
        put_ranges(&w, g, &whole);
    }
    if (g->device[0] != '\0' && !w.failed) {
        whole = w.used;
        if (next_clause(&w)) {
            put_text(&w, "device=");
            put_text(&w, g->device);
        }
    }
    put_setting(&w, "epoch=", g->epoch, &whole);
    put_setting(&w, "until=", g->until, &whole);
    put_setting(&w, "session=", g->session_s, &whole);
    if (w.failed && cap > sizeof cut) { /* half a clause could be read as another clause */
        memcpy(out + whole, cut, sizeof cut - 1);
        w.used = whole + sizeof cut - 1;
    }
    out[w.used] = '\0';
    return w.used;
}
