/* postern info: identifies the device and shows the engineer's rights on it. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/tool.h"

#define MAX_REGIONS 64
#define REGION 24 /* bytes of one entry in PST_RUN_MEMORY_MAP */

static const char *const space_names[PST_AS_COUNT] = {
    [PST_AS_JTAG] = "jtag",   [PST_AS_MEMORY] = "memory", [PST_AS_RUN] = "run",
    [PST_AS_TRACE] = "trace", [PST_AS_STREAM] = "stream",
};

static const char *kind_name(uint8_t kind)
{
    switch (kind) {
    case PST_REGION_RAM:
        return "ram";
    case PST_REGION_ROM:
        return "rom";
    case PST_REGION_FLASH:
        return "flash";
    default:
        return "unknown";
    }
}

static json_t *time_json(uint64_t seconds)
{
    char text[32];
    struct tm tm;
    time_t t = (time_t)seconds;
    if (gmtime_r(&t, &tm) == NULL || strftime(text, sizeof text, "%FT%TZ", &tm) == 0) {
        return json_null();
    }
    return json_string(text);
}

static json_t *hex_json(uint64_t v)
{
    return json_sprintf("0x%" PRIx64, v);
}

static json_t *certificate(const struct pst_peer *peer)
{
    char hex[65];
    for (size_t i = 0; i < sizeof peer->fingerprint; i++) {
        snprintf(hex + 2 * i, 3, "%02x", peer->fingerprint[i]);
    }
    return json_pack("{s:s, s:s, s:o, s:o, s:b}", "name", peer->name, "sha256", hex, "not_before",
                     time_json(peer->not_before), "not_after", time_json(peer->not_after),
                     "time_checked", peer->time_checked);
}

static json_t *memory_map(struct tool_session *s)
{
    uint8_t bytes[MAX_REGIONS * REGION];
    uint32_t len = 0;
    json_t *map = json_array();

    if (tool_session_read(s, PST_AS_RUN, PST_RUN_MEMORY_MAP, bytes, sizeof bytes, &len) != PST_OK) {
        return map;
    }
    for (uint32_t at = 0; at + REGION <= len; at += REGION) {
        json_array_append_new(map, json_pack("{s:o, s:o, s:s}", "first",
                                             hex_json(pst_peek_u64(bytes + at)), "last",
                                             hex_json(pst_peek_u64(bytes + at + 8)), "kind",
                                             kind_name(bytes[at + 16])));
    }
    return map;
}

static json_t *collect(struct tool_session *s)
{
    const struct pst_session_info info = s->info;
    const struct pst_debugger *d = &s->host->debugger;
    json_t *spaces = json_array();

    for (size_t i = 0; i < PST_AS_COUNT; i++) { /* SCM is not listed: it is always enabled */
        if ((info.spaces & 1u << i) != 0 && space_names[i] != NULL) {
            json_array_append_new(spaces, json_string(space_names[i]));
        }
    }
    bool run = (info.spaces & 1u << PST_AS_RUN) != 0;
    return json_pack("{s:s, s:o, s:s, s:o, s:o, s:o, s:s, s:o, s:o}", "device", info.device->device,
                     "certificate", certificate(info.device), "engineer", s->identity.name, "spdm",
                     json_sprintf("1.%u", info.spdm_minor), "suite",
                     json_pack("{s:s, s:s, s:s, s:s, s:s, s:b}", "signature", info.signature,
                               "engineer_signature", info.peer_signature, "exchange", info.exchange,
                               "hash", info.hash, "aead", info.aead, "encrypted", info.encrypted),
                     "session", json_sprintf("0x%08" PRIx32, info.session_id), "grants", d->grants,
                     "spaces", spaces, "memory_map", run ? memory_map(s) : json_array());
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text != NULL ? text : "";
}

static void print_people(const json_t *o)
{
    const json_t *certificate_ = json_object_get(o, "certificate");
    const json_t *suite = json_object_get(o, "suite");
    size_t i;
    json_t *one;

    printf("device       %s\n", text_of(o, "device"));
    printf("certificate  %s, until %s, sha256 %.16s…\n", text_of(certificate_, "name"),
           text_of(certificate_, "not_after"), text_of(certificate_, "sha256"));
    printf("engineer     %s\n", text_of(o, "engineer"));
    printf("suite        SPDM %s, %s, %s, %s, %s, %s\n", text_of(o, "spdm"),
           text_of(suite, "signature"), text_of(suite, "exchange"), text_of(suite, "hash"),
           text_of(suite, "aead"),
           json_is_true(json_object_get(suite, "encrypted")) ? "encrypted" : "authenticated only");
    printf("session      %s\n", text_of(o, "session"));
    printf("grants       %s\n", text_of(o, "grants"));
    fputs("spaces      ", stdout);
    json_array_foreach(json_object_get(o, "spaces"), i, one)
    {
        printf(" %s", json_string_value(one));
    }
    putchar('\n');
    json_array_foreach(json_object_get(o, "memory_map"), i, one)
    {
        printf("%s%s-%s %s\n", i == 0 ? "memory map   " : "             ", text_of(one, "first"),
               text_of(one, "last"), text_of(one, "kind"));
    }
}

static int run(const struct tool_session_options *options, const char *link, int json)
{
    struct tool_session s;
    json_t *o = NULL;
    int code = tool_session_init(&s, "info", options, link, 1u << PST_AS_MEMORY | 1u << PST_AS_RUN);
    code = code == PST_EXIT_OK ? tool_session_open(&s) : code;
    code = code == PST_EXIT_OK ? tool_session_wait(&s) : code;
    if (code == PST_EXIT_OK) {
        o = collect(&s);
        if (s.over) {
            tool_say("info", "%s", s.text);
            code = s.exit_code;
        }
    }
    tool_session_close(&s);
    if (code == PST_EXIT_OK && o != NULL && json) {
        json_dumpf(o, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
        putchar('\n');
    } else if (code == PST_EXIT_OK && o != NULL) {
        print_people(o);
    }
    json_decref(o);
    return code;
}

int pst_cmd_info(int argc, char **argv)
{
    struct tool_session_options o = {0};
    int json = 0;
    struct poptOption session[] = {TOOL_SESSION_OPTIONS(&o), POPT_TABLEEND};
    const struct poptOption options[] = {
        {"json", '\0', POPT_ARG_NONE,          &json,   0, "print JSON", NULL},
        {NULL,   '\0', POPT_ARG_INCLUDE_TABLE, session, 0, "Session:",   NULL},
        POPT_AUTOHELP POPT_TABLEEND,
    };
    poptContext popt = tool_options("info", argc, argv, options, "[OPTION...] LINK");
    int code = tool_take_options("info", popt);
    const char *link = poptGetArg(popt);
    if (code == PST_EXIT_OK && poptPeekArg(popt) != NULL) {
        tool_say("info", "too many arguments; expected one link");
        code = PST_EXIT_USAGE;
    }
    code = code == PST_EXIT_OK ? run(&o, link, json) : code;
    poptFreeContext(popt);
    tool_session_options_free(&o);
    return code;
}
