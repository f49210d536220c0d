/* postern: one program, one file a subcommand. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "posix/links/mqtt/mqtt.h"
#include "postern/version.h"
#include "tools/tool.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *what; /* NULL: internal, not listed */
} commands[] = {
    {"pki",        pst_cmd_pki,        "make and look at identities, CAs and grants"   },
    {"target",     pst_cmd_target,     "the agent of a Target System"                  },
    {"gdb",        pst_cmd_gdb,        "a server for gdb, in front of a target"        },
    {"mem",        pst_cmd_mem,        "read, write, dump and load memory of a target" },
    {"info",       pst_cmd_info,       "identify a device and show the rights on it"   },
    {"bridge",     pst_cmd_bridge,     "join two links, and record what passes"        },
    {"links",      pst_cmd_links,      "the kinds of link, and what is present here"   },
    {"find",       pst_cmd_find,       "the devices that are announced at a broker"    },
    {"spdm",       pst_cmd_spdm,       "the security agent alone, for interoperability"},
    {"supervisor", pst_cmd_supervisor, NULL                                            },
};

static void help(FILE *out)
{
    fputs("Usage: postern COMMAND [OPTION...] ...\n"
          "Secure remote debug: the MIPI Security Specification for Debug, in C.\n\n",
          out);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (commands[i].what != NULL) {
            fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].what);
        }
    }
    fputs("\n'postern COMMAND --help' tells more; so does postern(1).\n", out);
}

int main(int argc, char **argv)
{
    pst_mqtt_enter(argc, argv);
    (void)signal(SIGPIPE, SIG_IGN); /* a closed peer is an error of the write */
    if (argc < 2) {
        help(stderr);
        return PST_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        help(stdout);
        return PST_EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("postern " PST_VERSION);
        return PST_EXIT_OK;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    fprintf(stderr, "postern: '%s': unknown command; see postern --help\n", argv[1]);
    return PST_EXIT_USAGE;
}
