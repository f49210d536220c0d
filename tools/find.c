/* postern find: the devices that are announced at a broker. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "posix/links/mqtt/find.h"
#include "posix/links/table.h"
#include "tools/tool.h"

#define NAME "find"
#define MOST_ROWS 1000000 /* anybody with write access to the broker decides how many there are */

struct row {
    char id[PST_MQTT_ID];
    char device[PST_MAX_NAME]; /* "": the name is not known */
    int64_t age_s;
    bool here, foreign, wanted; /* wanted: named with --device */
};

struct rows {
    struct row *at;
    size_t count, room;
    bool failed; /* out of memory, or too many */
};

static struct row *add_row(struct rows *r)
{
    if (r->count == MOST_ROWS) {
        r->failed = true;
        return NULL;
    }
    if (r->count == r->room) {
        const size_t room = r->room > 0 ? 2 * r->room : 64;
        struct row *at = realloc(r->at, room * sizeof *at);
        if (at == NULL) {
            r->failed = true;
            return NULL;
        }
        r->at = at;
        r->room = room;
    }
    struct row *row = &r->at[r->count++];
    memset(row, 0, sizeof *row);
    row->age_s = -1;
    return row;
}

static void on_found(void *ctx, const struct pst_mqtt_found *f)
{
    struct row *row = add_row(ctx);

    if (row != NULL) {
        memcpy(row->id, f->id, sizeof row->id);
        row->age_s = f->age_s;
        row->foreign = f->foreign;
        row->here = true;
    }
}

static int by_id(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    const int order = strcmp(x->id, y->id);
    return order != 0 ? order : (int)y->here - (int)x->here;
}

/* A known name and what was found under its id become one row. */
static void merge(struct rows *r)
{
    size_t n = 0;

    if (r->count > 0) {
        qsort(r->at, r->count, sizeof *r->at, by_id);
    }
    for (size_t i = 0; i < r->count; i++) {
        struct row *last = n > 0 ? &r->at[n - 1] : NULL, *row = &r->at[i];
        if (last == NULL || strcmp(last->id, row->id) != 0) {
            r->at[n++] = *row;
            continue;
        }
        if (last->device[0] == '\0') {
            memcpy(last->device, row->device, sizeof last->device);
        }
        last->wanted = last->wanted || row->wanted;
    }
    r->count = n;
}

/* --- the known names --- */

static int know(struct rows *known, const struct pst_mqtt_secret *secret, const char *device,
                bool wanted)
{
    struct row *row = strlen(device) < PST_MAX_NAME ? add_row(known) : NULL;

    if (row == NULL || pst_mqtt_id(secret, device, row->id) != PST_OK) {
        tool_say(NAME,
                 "'%.100s' is not a device id (expected MANUFACTURER:PRODUCT:SERIAL), or no memory",
                 device);
        return PST_EXIT_USAGE;
    }
    snprintf(row->device, sizeof row->device, "%s", device);
    row->wanted = wanted;
    return PST_EXIT_OK;
}

static int know_file(struct rows *known, const struct pst_mqtt_secret *secret, const char *path)
{
    char line[512];
    int code = PST_EXIT_OK;
    FILE *file = fopen(path, "r");

    if (file == NULL) {
        tool_say(NAME, "%s: cannot be read", path);
        return PST_EXIT_LOCAL;
    }
    while (code == PST_EXIT_OK && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] != '\0' && line[0] != '#') {
            code = know(known, secret, line, false);
        }
    }
    fclose(file);
    return code;
}

/* --- output --- */

static void print_rows(const struct rows *r, const char *broker)
{
    size_t here = 0;

    for (size_t i = 0; i < r->count; i++) {
        const struct row *row = &r->at[i];
        here += row->here;
        if (row->here) {
            printf("%s  %-32s  unverified%s", row->id, row->device[0] != '\0' ? row->device : "-",
                   row->foreign ? ", another profile" : "");
            if (row->age_s >= 0) {
                printf(", said so %" PRId64 " s ago", row->age_s);
            }
            putchar('\n');
        } else if (row->wanted) {
            printf("%s  %-32s  not announced\n", row->id, row->device);
        }
    }
    tool_say(NAME,
             "broker %s: %zu announced; whoever may write there can claim it, so nothing is proven "
             "before a session is",
             broker, here);
}

static int print_json(const struct rows *r, const char *broker)
{
    json_t *devices = json_array(), *absent = json_array();

    for (size_t i = 0; i < r->count; i++) {
        const struct row *row = &r->at[i];
        if (row->here) {
            json_array_append_new(
                devices, json_pack("{s:s, s:o, s:s, s:o, s:b}", "id", row->id, "device",
                                   row->device[0] != '\0' ? json_string(row->device) : json_null(),
                                   "presence", "unverified", "age_s",
                                   row->age_s >= 0 ? json_integer(row->age_s) : json_null(),
                                   "same_profile", !row->foreign));
        } else if (row->wanted) {
            json_array_append_new(absent, json_string(row->device));
        }
    }
    json_t *all =
        json_pack("{s:s, s:o, s:o}", "broker", broker, "devices", devices, "absent", absent);
    const int rc = all != NULL ? json_dumpf(all, stdout, JSON_INDENT(2)) : -1;
    putchar('\n');
    json_decref(all);
    return rc == 0 ? PST_EXIT_OK : PST_EXIT_LOCAL;
}

/* --- the command --- */

/* The link as other commands take it, but DEVICE may be omitted. */
static int parse(const char *link, struct pst_mqtt_place *place, bool *named)
{
    char text[PST_ADDRESS_TEXT], why[640];
    struct pst_address address;
    const size_t end = strcspn(link, ",");

    *named = memchr(link, '/', end) != NULL;
    if (strlen(link) + 2 >= sizeof text) { /* a truncated link would have other options */
        tool_say(NAME, "link '%.40s...' has %zu characters; expected at most %zu", link,
                 strlen(link), sizeof text - 3);
        return PST_EXIT_USAGE;
    }
    snprintf(text, sizeof text, "%.*s%s%s", (int)end, link, *named ? "" : "/-", link + end);
    if (strncmp(link, "mqtt:", 5) != 0) {
        tool_say(NAME, "link '%s': expected a broker, mqtt:HOST:PORT[,...]", link);
        return PST_EXIT_USAGE;
    }
    if (pst_address_parse(&address, pst_schemes, text, why, sizeof why) != PST_OK ||
        pst_mqtt_place(&address, place, why, sizeof why) != PST_OK) {
        tool_say(NAME, "%s", why);
        return PST_EXIT_USAGE;
    }
    return PST_EXIT_OK;
}

static int look(const struct pst_mqtt_place *place, struct rows *rows)
{
    char why[640];
    uv_loop_t loop;

    if (uv_loop_init(&loop) != 0) {
        tool_say(NAME, "cannot create an event loop");
        return PST_EXIT_LOCAL;
    }
    const pst_err err = pst_mqtt_find(&loop, place, on_found, rows, why, sizeof why);
    (void)uv_loop_close(&loop);
    if (err != PST_OK || rows->failed) {
        tool_say(NAME, "%s", rows->failed ? "no memory for all that is announced" : why);
        return rows->failed ? PST_EXIT_LOCAL : PST_EXIT_LINK;
    }
    merge(rows);
    return PST_EXIT_OK;
}

static int run(const char *link, char **devices, const char *names, bool json)
{
    struct pst_mqtt_place place;
    struct pst_mqtt_secret secret = {.len = 0};
    struct rows rows = {.count = 0};
    char why[640];
    bool named = false;
    int code = parse(link, &place, &named);

    if (code != PST_EXIT_OK) {
        return code;
    }
    if (pst_mqtt_secret(&place, &secret, why, sizeof why) != PST_OK) {
        tool_say(NAME, "%s", why);
        return PST_EXIT_LOCAL;
    }
    if (named) {
        code = know(&rows, &secret, place.device, true);
    }
    for (; code == PST_EXIT_OK && devices != NULL && *devices != NULL; devices++) {
        code = know(&rows, &secret, *devices, true);
    }
    if (code == PST_EXIT_OK && names != NULL) {
        code = know_file(&rows, &secret, names);
    }
    pst_wipe(&secret, sizeof secret);
    if (code == PST_EXIT_OK) {
        code = look(&place, &rows);
    }
    if (code == PST_EXIT_OK && json) {
        code = print_json(&rows, place.broker);
    } else if (code == PST_EXIT_OK) {
        print_rows(&rows, place.broker);
    }
    free(rows.at);
    return code;
}

int pst_cmd_find(int argc, char **argv)
{
    char **devices = NULL, *names = NULL;
    int json = 0;
    const struct poptOption options[] = {
        {"device", 'd', POPT_ARG_ARGV,   &devices, 0, "look for this one; repeatable",
         "MANUFACTURER:PRODUCT:SERIAL"                                                                },
        {"names",  'n', POPT_ARG_STRING, &names,   0, "device ids that may be there, one a line",
         "FILE"                                                                                       },
        {"json",   'j', POPT_ARG_NONE,   &json,    0, "as JSON",                                  NULL},
        POPT_AUTOHELP POPT_TABLEEND,
    };
    poptContext popt = tool_options(NAME, argc, argv, options,
                                    "[OPTION...] mqtt:HOST:PORT[,OPTION=VALUE...]\n"
                                    "Lists the devices that are announced at a broker.\n");
    int code = tool_take_options(NAME, popt);

    if (code == PST_EXIT_OK) {
        const char *link = poptGetArg(popt);
        if (link == NULL || poptPeekArg(popt) != NULL) {
            tool_say(NAME, "expected one broker, mqtt:HOST:PORT; see postern find --help");
            code = PST_EXIT_USAGE;
        } else {
            code = run(link, devices, names, json != 0);
        }
    }
    poptFreeContext(popt);
    for (char **d = devices; d != NULL && *d != NULL; d++) {
        free(*d);
    }
    free(devices);
    free(names);
    return code;
}
