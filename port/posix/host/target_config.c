#include "posix/host/target_config.h"
#include "posix/links/table.h"

#include <errno.h>
#include <ini.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postern/profile.h"

/* Upper bounds for the number of regions, files and settings of [target] and [stub]. */
#define MOST_KEYS (3 * PST_CONFIG_REGIONS + 5 * PST_CONFIG_FILES + 32)
#define DEFAULT_AUDIT_AHEAD 60 /* steps that one line of the audit log may announce */

struct why {
    char *at;
    size_t cap;
};

static pst_err bad(struct why why, const char *what, const char *value, const char *expected)
{
    snprintf(why.at, why.cap, "%s '%.80s': expected %s", what, value, expected);
    return PST_ERR_DECODE;
}

/* --- values --- */

static pst_err take_path(char out[static PST_CONFIG_PATH], const char *key, const char *value,
                         struct why why)
{
    if (value[0] == '\0' || strlen(value) >= PST_CONFIG_PATH) {
        return bad(why, key, value, "a path of at most 511 characters");
    }
    strcpy(out, value);
    return PST_OK;
}

static pst_err take_bool(bool *out, const char *key, const char *value, struct why why)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(value, words[i]) == 0) {
            *out = i % 2 != 0;
            return PST_OK;
        }
    }
    return bad(why, key, value, "yes or no");
}

static bool number(const char *value, uint64_t *out)
{
    char *end;
    bool hex = strncmp(value, "0x", 2) == 0;
    if (value[0] < '0' || value[0] > '9') {
        return false;
    }
    errno = 0;
    *out = strtoull(value, &end, hex ? 16 : 10);
    return errno == 0 && *end == '\0' && end > value + (hex ? 2 : 0);
}

static pst_err take_address(uint64_t *out, const char *key, const char *value, struct why why)
{
    return number(value, out) ? PST_OK
                              : bad(why, key, value, "a number such as 0x80000000 or 65536");
}

static pst_err take_u32(uint32_t *out, uint32_t most, const char *key, const char *value,
                        struct why why)
{
    char expected[48];
    uint64_t n;
    if (!number(value, &n) || n > most) {
        snprintf(expected, sizeof expected, "a number from 0 to %" PRIu32, most);
        return bad(why, key, value, expected);
    }
    *out = (uint32_t)n;
    return PST_OK;
}

/* --- [target] and [stub] --- */

static pst_err add_trust(struct pst_target_settings *s, const char *value, struct why why)
{
    if (s->trusts == PST_CONFIG_LISTS) {
        return bad(why, "trust", value, "at most 8 of them");
    }
    PST_TRY(take_path(s->trust[s->trusts], "trust", value, why));
    s->trusts++;
    return PST_OK;
}

static pst_err add_listen(struct pst_target_settings *s, const char *value, struct why why)
{
    if (s->listens == PST_CONFIG_LISTS) {
        return bad(why, "listen", value, "at most 8 of them");
    }
    PST_TRY(pst_address_parse(&s->listen[s->listens], pst_schemes, value, why.at, why.cap));
    s->listens++;
    return PST_OK;
}

static pst_err add_call(struct pst_target_settings *s, const char *value, struct why why)
{
    if (s->calls == PST_CONFIG_LISTS) {
        return bad(why, "call", value, "at most 8 of them");
    }
    PST_TRY(pst_address_parse(&s->call[s->calls], pst_schemes, value, why.at, why.cap));
    if (s->call[s->calls].listen) {
        return bad(why, "call", value,
                   "a link to call; use 'listen' for a link that waits for peers");
    }
    s->calls++;
    return PST_OK;
}

static pst_err add_policy(struct pst_target_settings *s, const char *value, struct why why)
{
    size_t len = strlen(s->policy_text);
    int n = snprintf(s->policy_text + len, sizeof s->policy_text - len, "%s%s", len > 0 ? " " : "",
                     value);
    return n >= 0 && (size_t)n < sizeof s->policy_text - len
               ? PST_OK
               : bad(why, "policy", value, "at most 1023 characters in all");
}

static pst_err set_device(struct pst_target_settings *s, const char *value, struct why why)
{
    if (value[0] == '\0' || strlen(value) >= sizeof s->device) {
        return bad(why, "device", value, "MANUFACTURER:PRODUCT:SERIAL");
    }
    strcpy(s->device, value);
    return PST_OK;
}

static pst_err set_target(struct pst_target_settings *s, const char *key, const char *value,
                          struct why why)
{
    if (strcmp(key, "identity") == 0) {
        return take_path(s->identity, key, value, why);
    } else if (strcmp(key, "audit") == 0) {
        return take_path(s->audit, key, value, why);
    } else if (strcmp(key, "trust") == 0) {
        return add_trust(s, value, why);
    } else if (strcmp(key, "listen") == 0) {
        return add_listen(s, value, why);
    } else if (strcmp(key, "call") == 0) {
        return add_call(s, value, why);
    } else if (strcmp(key, "policy") == 0) {
        return add_policy(s, value, why);
    } else if (strcmp(key, "device") == 0) {
        return set_device(s, value, why);
    } else if (strcmp(key, "epoch") == 0) {
        return take_u32(&s->policy.epoch_floor, UINT32_MAX, key, value, why);
    } else if (strcmp(key, "share-read-only") == 0) {
        return take_bool(&s->policy.share_read_only, key, value, why);
    } else if (strcmp(key, "hold-on-end") == 0) {
        return take_bool(&s->policy.hold_on_end, key, value, why);
    } else if (strcmp(key, "fenced") == 0) {
        return take_bool(&s->policy.fenced, key, value, why);
    } else if (strcmp(key, "heartbeat") == 0) {
        return take_u32(&s->heartbeat_s, 255, key, value, why);
    } else if (strcmp(key, "session") == 0) {
        return take_u32(&s->session_s, UINT32_MAX / 1000, key, value, why);
    } else if (strcmp(key, "audit-ahead") == 0) {
        return take_u32(&s->audit_ahead, 255, key, value, why);
    } else if (strcmp(key, "handshake") == 0) {
        uint32_t seconds = 0;
        PST_TRY(take_u32(&seconds, 3600, key, value, why));
        s->handshake_ms = seconds * 1000;
        return PST_OK;
    }
    return bad(why, "key", key,
               "identity, trust, policy, audit, listen, call, device, epoch, share-read-only, "
               "hold-on-end, fenced, heartbeat, session, audit-ahead or handshake");
}

static pst_err set_stub(struct pst_target_settings *s, const char *key, const char *value,
                        struct why why)
{
    if (strcmp(key, "address") != 0) {
        return bad(why, "key", key, "address");
    }
    s->has_stub = true;
    return pst_address_parse_socket(&s->stub, pst_schemes, value, why.at, why.cap);
}

/* --- [memory NAME] and [file NAME] --- */

/* The rest of "memory NAME"; NULL when `section` is not of that kind. */
static const char *section_name(const char *section, const char *kind)
{
    size_t len = strlen(kind);
    if (strncmp(section, kind, len) != 0 || section[len] != ' ') {
        return NULL;
    }
    section += len + strspn(section + len, " ");
    return section[0] != '\0' && strlen(section) < PST_CONFIG_NAME ? section : NULL;
}

static pst_err set_region(struct pst_target_settings *s, const char *name, const char *key,
                          const char *value, struct why why)
{
    static const char *const kinds[] = {
        [PST_REGION_RAM] = "ram", [PST_REGION_ROM] = "rom", [PST_REGION_FLASH] = "flash"};
    struct pst_config_region *r = s->regions;

    while (r < s->regions + s->map_len && strcmp(r->name, name) != 0) {
        r++;
    }
    if (r == s->regions + PST_CONFIG_REGIONS) {
        return bad(why, "section", name, "at most 32 regions of memory");
    }
    if (r == s->regions + s->map_len) {
        s->map_len++;
        strcpy(r->name, name);
    }
    if (strcmp(key, "first") == 0) {
        r->has_first = true;
        return take_address(&r->first, key, value, why);
    } else if (strcmp(key, "last") == 0) {
        r->has_last = true;
        return take_address(&r->last, key, value, why);
    } else if (strcmp(key, "kind") == 0) {
        for (uint8_t i = PST_REGION_RAM; i <= PST_REGION_FLASH; i++) {
            if (strcmp(value, kinds[i]) == 0) {
                r->kind = i;
                return PST_OK;
            }
        }
        return bad(why, key, value, "ram, rom or flash");
    }
    return bad(why, "key", key, "first, last or kind");
}

static pst_err set_file(struct pst_target_settings *s, const char *name, const char *key,
                        const char *value, struct why why)
{
    struct pst_config_file *f = s->files;

    while (f < s->files + s->file_count && strcmp(f->name, name) != 0) {
        f++;
    }
    if (f == s->files + PST_CONFIG_FILES) {
        return bad(why, "section", name, "at most 4 files");
    }
    if (f == s->files + s->file_count) {
        s->file_count++;
        strcpy(f->name, name);
    }
    if (strcmp(key, "path") == 0) {
        return take_path(f->path, key, value, why);
    } else if (strcmp(key, "base") == 0) {
        f->has_base = true;
        return take_address(&f->base, key, value, why);
    } else if (strcmp(key, "size") == 0) {
        return take_address(&f->size, key, value, why);
    } else if (strcmp(key, "offset") == 0) {
        return take_address(&f->offset, key, value, why);
    } else if (strcmp(key, "write") == 0) {
        return take_bool(&f->write, key, value, why);
    }
    return bad(why, "key", key, "path, base, size, offset or write");
}

pst_err pst_target_settings_set(struct pst_target_settings *s, const char *section, const char *key,
                                const char *value, char *why_at, size_t why_cap)
{
    const struct why why = {why_at, why_cap};
    const char *name;

    if (strcmp(section, "target") == 0) {
        return set_target(s, key, value, why);
    } else if (strcmp(section, "stub") == 0) {
        return set_stub(s, key, value, why);
    } else if ((name = section_name(section, "memory")) != NULL) {
        return set_region(s, name, key, value, why);
    } else if ((name = section_name(section, "file")) != NULL) {
        return set_file(s, name, key, value, why);
    }
    return bad(why, "section", section,
               "[target], [stub], [memory NAME] or [file NAME], with a NAME of at most 31 "
               "characters");
}

/* --- the file --- */

struct parse {
    struct pst_target_settings *settings;
    FILE *file;
    char *why;
    size_t why_cap;
    int line;                 /* the line read last */
    int bad_line;             /* 0: none */
    char seen[MOST_KEYS][64]; /* sections and keys that may appear only once */
    size_t seen_count;
};

static void fail(struct parse *p, const char *what)
{
    if (p->bad_line == 0) {
        p->bad_line = p->line;
        if (what != NULL) {
            snprintf(p->why, p->why_cap, "%s", what);
        }
    }
}

/* Reads lines for inih, which would silently cut two kinds of them: long ones, and those with a ';'
   after a blank. Either could lose a restriction of the policy. */
static char *read_line(char *out, int cap, void *ctx)
{
    struct parse *p = ctx;
    if (p->bad_line != 0 || fgets(out, cap, p->file) == NULL) {
        return NULL;
    }
    p->line++;
    const char *text = out + strspn(out, " \t");
    size_t len = strlen(out);
    if (len > 0 && out[len - 1] != '\n' && !feof(p->file)) {
        fail(p, "the line is too long; expected at most 198 characters (policy and trust may "
                "stand several times)");
    } else if (*text != ';' && *text != '#' && (strstr(text, " ;") || strstr(text, "\t;"))) {
        fail(p, "a ';' after a blank; expected comments on lines of their own");
    } else if (text != out && *text != '\n' && *text != '\r' && *text != '\0') {
        fail(p, "the line is indented; expected [SECTION] or KEY = VALUE from its first column");
    }
    return p->bad_line == 0 ? out : NULL;
}

static bool repeated(struct parse *p, const char *section, const char *key)
{
    static const char *const lists[] = {"trust", "listen", "call", "policy"};
    char both[64];
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        if (strcmp(key, lists[i]) == 0) {
            return false;
        }
    }
    snprintf(both, sizeof both, "%.40s/%.20s", section, key);
    for (size_t i = 0; i < p->seen_count; i++) {
        if (strcmp(p->seen[i], both) == 0) {
            return true;
        }
    }
    if (p->seen_count < sizeof p->seen / sizeof *p->seen) {
        strcpy(p->seen[p->seen_count++], both);
    }
    return false;
}

static int on_key(void *ctx, const char *section, const char *key, const char *value)
{
    struct parse *p = ctx;
    char text[64];
    if (p->bad_line != 0) {
        return 0;
    }
    if (repeated(p, section, key)) {
        snprintf(text, sizeof text, "key '%.30s' is given twice", key);
        fail(p, text);
    } else if (pst_target_settings_set(p->settings, section, key, value, p->why, p->why_cap) !=
               PST_OK) {
        fail(p, NULL);
    }
    return p->bad_line == 0;
}

pst_err pst_target_settings_load(struct pst_target_settings *s, const char *path, char *why,
                                 size_t why_cap)
{
    char what[512] = "";
    struct parse p = {.settings = s, .why = what, .why_cap = sizeof what};

    p.file = fopen(path, "r");
    if (p.file == NULL) {
        snprintf(why, why_cap, "%s: %s", path, strerror(errno));
        return PST_ERR_IO;
    }
    int rc = ini_parse_stream(read_line, &p, on_key, &p);
    bool failed = ferror(p.file) != 0;
    fclose(p.file);
    if (failed || rc < 0) {
        snprintf(why, why_cap, "%s: it cannot be read", path);
        return PST_ERR_IO;
    }
    if (p.bad_line == 0 && rc > 0) {
        p.bad_line = rc;
        snprintf(what, sizeof what, "expected [SECTION] or KEY = VALUE");
    }
    if (p.bad_line != 0) {
        snprintf(why, why_cap, "%s:%d: %s", path, p.bad_line, what);
        return PST_ERR_DECODE;
    }
    return PST_OK;
}

/* --- the whole configuration --- */

void pst_target_settings_init(struct pst_target_settings *s)
{
    memset(s, 0, sizeof *s);
    s->heartbeat_s = PST_PROFILE_HEARTBEAT_S;
    s->audit_ahead = DEFAULT_AUDIT_AHEAD;
}

static pst_err missing(struct why why, const char *what, const char *option)
{
    snprintf(why.at, why.cap, "%s is missing; expected it in [target] or as %s", what, option);
    return PST_ERR_DECODE;
}

static pst_err parse_policy(struct pst_target_settings *s, struct why why)
{
    size_t at = 0;
    pst_err err = pst_grants_parse(&s->policy.allow, s->policy_text, strlen(s->policy_text),
                                   s->policy.fenced, &at);
    if (err == PST_ERR_DENIED) {
        return bad(why, "policy", s->policy_text,
                   "no range of memory beside run or debug, which reach all memory (unless "
                   "'fenced = yes' says that hardware keeps them out)");
    } else if (err == PST_ERR_LIMIT) {
        return bad(why, "policy", s->policy_text, "at most 8 ranges");
    } else if (err != PST_OK) {
        return bad(why, "policy: clause", s->policy_text + at,
                   "debug, observe, memory:r:FIRST-LAST, memory:rw:FIRST-LAST, run, device=, "
                   "epoch=, until= or session=");
    }
    return PST_OK;
}

static int by_first(const void *a, const void *b)
{
    const struct pst_region *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

static pst_err build_map(struct pst_target_settings *s, struct why why)
{
    for (size_t i = 0; i < s->map_len; i++) {
        const struct pst_config_region *r = &s->regions[i];
        if (!r->has_first || !r->has_last || r->kind == 0 || r->last < r->first) {
            return bad(why, "memory", r->name, "first, last (not before first) and kind");
        }
        s->map[i] = (struct pst_region){.first = r->first, .last = r->last, .kind = r->kind};
    }
    qsort(s->map, s->map_len, sizeof *s->map, by_first);
    for (size_t i = 1; i < s->map_len; i++) {
        if (s->map[i].first <= s->map[i - 1].last) {
            snprintf(why.at, why.cap, "memory: two regions overlap at 0x%" PRIx64, s->map[i].first);
            return PST_ERR_DECODE;
        }
    }
    return PST_OK;
}

pst_err pst_target_settings_finish(struct pst_target_settings *s, char *why_at, size_t why_cap)
{
    const struct why why = {why_at, why_cap};

    if (s->identity[0] == '\0') {
        return missing(why, "identity", "--identity DIR");
    } else if (s->trusts == 0) {
        return missing(why, "trust", "--trust PEM");
    } else if (!s->has_stub && s->file_count == 0) {
        return missing(why, "something to debug: [stub] address, or [file NAME],", "--debug LINK");
    }
    if (s->policy_text[0] == '\0') {
        PST_TRY(add_policy(s, PST_CONFIG_POLICY, why));
        s->default_policy = true;
    }
    if (s->audit[0] == '\0') {
        PST_TRY(take_path(s->audit, "audit", PST_CONFIG_AUDIT, why));
        s->default_audit = true;
    }
    PST_TRY(parse_policy(s, why));
    PST_TRY(build_map(s, why));
    for (size_t i = 0; i < s->file_count; i++) {
        if (s->files[i].path[0] == '\0' || !s->files[i].has_base) {
            return bad(why, "file", s->files[i].name, "path and base");
        }
    }
    if (s->listens == 0 && s->calls == 0) {
        PST_TRY(add_listen(s, "tcp:127.0.0.1:7606", why));
    }
    return PST_OK;
}
