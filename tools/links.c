/* postern links: the schemes of links, and which devices of each are present on this machine. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "posix/links/table.h"
#include "posix/loop/carrier.h"
#include "tools/tool.h"

static bool built_in(const struct pst_scheme *t)
{
    return t->connect != NULL || t->listen != NULL;
}

static void print_found(void *ctx, const char *link, const char *what)
{
    (void)ctx;
    printf("%-12s   %s  (%s)\n", "", link, what);
}

static void print_one(const struct pst_scheme *t)
{
    printf("%-12s %s\n", t->name, t->form);
    printf("%-12s %s\n", "", t->summary);
    if (!built_in(t)) {
        printf("%-12s not built in: its library was missing\n", "");
        return;
    }
    printf("%-12s %s; %s, %s\n", "",
           t->listen == NULL    ? "calls only"
           : t->connect == NULL ? "listens only"
                                : "calls and listens",
           t->traits->shared ? "shared: others can write into it" : "private to two ends",
           t->traits->pushes ? "the target may send without being asked" : "the target is polled");
    if (t->present != NULL) {
        t->present(print_found, NULL);
    }
}

static void add_found(void *ctx, const char *link, const char *what)
{
    json_array_append_new(ctx, json_pack("{s:s, s:s}", "link", link, "what", what));
}

static json_t *describe(const struct pst_scheme *t)
{
    json_t *found = json_array();

    if (built_in(t) && t->present != NULL) {
        t->present(add_found, found);
    }
    return json_pack("{s:s, s:s, s:s, s:b, s:b, s:b, s:{s:b, s:b, s:b, s:b, s:b, s:i}, s:o}",
                     "scheme", t->name, "form", t->form, "summary", t->summary, "built_in",
                     built_in(t), "calls", t->connect != NULL, "listens", t->listen != NULL,
                     "traits", "ordered", t->traits->ordered, "lossy", t->traits->lossy, "shared",
                     t->traits->shared, "pushes", t->traits->pushes, "native", t->traits->native,
                     "mtu", (int)t->traits->mtu, "present", found);
}

static int print_json(void)
{
    json_t *all = json_array();

    for (size_t i = 0; pst_schemes[i] != NULL; i++) {
        json_array_append_new(all, describe(pst_schemes[i]));
    }
    int rc = json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
    return rc == 0 ? PST_EXIT_OK : PST_EXIT_LOCAL;
}

int pst_cmd_links(int argc, char **argv)
{
    int json = 0;
    const struct poptOption options[] = {
        {"json", 'j', POPT_ARG_NONE, &json, 0, "as JSON", NULL},
        POPT_AUTOHELP POPT_TABLEEND,
    };
    poptContext popt = tool_options("links", argc, argv, options, "[OPTION...]");
    int code = tool_take_options("links", popt);
    if (code == PST_EXIT_OK && poptPeekArg(popt) != NULL) {
        tool_say("links", "'%s': expected options only", poptPeekArg(popt));
        code = PST_EXIT_USAGE;
    }
    poptFreeContext(popt);
    if (code != PST_EXIT_OK || json) {
        return code != PST_EXIT_OK ? code : print_json();
    }
    for (size_t i = 0; pst_schemes[i] != NULL; i++) {
        print_one(pst_schemes[i]);
    }
    return PST_EXIT_OK;
}
