/* postern bridge: joins two links, without keys and without looking inside. */
#include <popt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "posix/bridge/bridge.h"
#include "posix/links/table.h"
#include "tools/tool.h"

static void print_note(void *ctx, const char *text)
{
    const int *verbose = ctx;
    if (*verbose) {
        fprintf(stderr, "postern bridge: %s\n", text);
    }
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    uv_stop(handle->loop);
}

/* `capture`: where capture_path is to be written. */
static int run(struct pst_bridge_config *config, struct pst_pcapng *capture,
               const char *capture_path)
{
    uv_signal_t term, interrupt;
    uv_loop_t loop;
    char why[512];

    if (capture_path != NULL) {
        if (pst_pcapng_open(capture, capture_path) != PST_OK) {
            perror(capture_path);
            return PST_EXIT_LOCAL;
        }
        config->capture = capture;
    }
    if (uv_loop_init(&loop) < 0 || uv_signal_init(&loop, &term) < 0 ||
        uv_signal_init(&loop, &interrupt) < 0) {
        fputs("postern bridge: cannot create an event loop\n", stderr);
        return PST_EXIT_LOCAL;
    }
    (void)uv_signal_start(&term, on_signal, SIGTERM);
    (void)uv_signal_start(&interrupt, on_signal, SIGINT);
    uv_unref((uv_handle_t *)&term);
    uv_unref((uv_handle_t *)&interrupt);
    pst_err err = pst_bridge_run(&loop, config, why, sizeof why);
    if (err != PST_OK) {
        fprintf(stderr, "postern bridge: %s\n", why);
    }
    uv_close((uv_handle_t *)&term, NULL);
    uv_close((uv_handle_t *)&interrupt, NULL);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&loop);
    if (pst_pcapng_close(capture) != PST_OK) {
        perror(capture_path);
        return PST_EXIT_LOCAL;
    }
    return err == PST_OK ? PST_EXIT_OK : PST_EXIT_LINK;
}

int pst_cmd_bridge(int argc, char **argv)
{
    struct pst_bridge_config config = {0};
    struct pst_pcapng capture = {0};
    char *capture_path = NULL;
    int verbose = 0;
    char why[512];
    const struct poptOption options[] = {
        {"capture", 'c', POPT_ARG_STRING, &capture_path, 0,
         "record everything that passes, as pcapng",                                                      "FILE"},
        {"verbose", 'v', POPT_ARG_NONE,   &verbose,      0, "report connections that open, end and fail",
         NULL                                                                                                   },
        POPT_AUTOHELP POPT_TABLEEND,
    };
    const char **args = (void *)argv; /* popt's prototype promises what argv's type cannot */
    poptContext popt = poptGetContext("postern bridge", argc, args, options, 0);
    poptSetOtherOptionHelp(popt, "[OPTION...] LINK LINK\n"
                                 "Joins two links of any kinds. SCHEME-listen: waits for peers; "
                                 "each gets a connection of its own\nto the other side. "
                                 "`postern links` lists the kinds.\n");
    int exit_code = PST_EXIT_USAGE;
    int odd = poptGetNextOpt(popt);
    const char *a = poptGetArg(popt), *b = poptGetArg(popt);
    if (odd < -1) {
        fprintf(stderr, "postern bridge: %s: %s\n", poptBadOption(popt, 0), poptStrerror(odd));
    } else if (b == NULL || poptPeekArg(popt) != NULL) {
        fputs("postern bridge: expected two links, such as tcp-listen:HOST:PORT "
              "serial:/dev/ttyUSB0\n",
              stderr);
    } else if (pst_address_parse(&config.a, pst_schemes, a, why, sizeof why) != PST_OK ||
               pst_address_parse(&config.b, pst_schemes, b, why, sizeof why) != PST_OK) {
        fprintf(stderr, "postern bridge: %s\n", why);
    } else {
        config.note = print_note;
        config.ctx = &verbose;
        exit_code = run(&config, &capture, capture_path);
    }
    poptFreeContext(popt);
    free(capture_path);
    return exit_code;
}
