/* postern pki: certificates for devices and engineers. */
#include <inttypes.h>
#include <popt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "openssl/pki.h"
#include "postern/policy.h"
#include "tools/pki_cmd.h"

static const char usage_text[] =
    "usage: postern pki COMMAND ...\n"
    "  init DIR                                    make the roots for devices and engineers\n"
    "  target --ca DIR --id M:P:S OUTDIR           make a device's identity\n"
    "  engineer --ca DIR --name NAME --grant GRANT OUTDIR\n"
    "                                              make an engineer's identity\n"
    "  show CHAIN                                  what a chain or identity says\n"
    "  lint CHAIN                                  which rules it breaks\n"
    "Each has --help. See postern-pki(1).\n";

/* --- what the creating commands share --- */

struct making {
    struct pst_pki_options options;
    char *algorithm;
    int days, force;
};

static int finish_options(struct making *m)
{
    const char *name = m->algorithm != NULL ? m->algorithm : "ecdsa-p256";

    m->options.algorithm = pst_sig_from_name(name);
    if (m->options.algorithm == PST_SIG_NONE) {
        return pst_pki_refuse("--alg '%s': expected ecdsa-p256, ecdsa-p384 or ed25519", name);
    }
    if (m->days < 0) {
        return pst_pki_refuse("--days %d: expected a number of days, at least 1", m->days);
    }
    m->options.days = (uint32_t)m->days;
    m->options.force = m->force != 0;
    return PST_EXIT_OK;
}

static int report(pst_err err, const char *why)
{
    if (err == PST_OK) {
        return PST_EXIT_OK;
    }
    fprintf(stderr, "postern pki: %s\n", why[0] != '\0' ? why : pst_err_text(err));
    return err == PST_ERR_ARGUMENT ? PST_EXIT_USAGE : PST_EXIT_LOCAL;
}

#define MAKING_OPTIONS(m)                                                                          \
    {"alg", 0, POPT_ARG_STRING, &(m).algorithm, 0, "ecdsa-p256, ecdsa-p384 or ed25519", "NAME"},   \
        {"days", 0, POPT_ARG_INT, &(m).days, 0, "how long it is valid", "N"},                      \
    {                                                                                              \
        "force", 0, POPT_ARG_NONE, &(m).force, 0, "replace what is there", NULL                    \
    }

static int run_init(int argc, const char **argv)
{
    struct making m = {0};
    const struct poptOption options[] = {MAKING_OPTIONS(m), POPT_AUTOHELP POPT_TABLEEND};
    poptContext popt = poptGetContext("postern pki init", argc, argv, options, 0);
    const char *dir = NULL;
    char why[512] = "";

    poptSetOtherOptionHelp(popt, "DIR");
    int rc = pst_pki_parse(popt, &dir, "a directory for the two roots");
    if (rc == PST_EXIT_OK) {
        rc = finish_options(&m);
    }
    if (rc == PST_EXIT_OK) {
        rc = report(pst_pki_init(dir, &m.options, why, sizeof why), why);
    }
    free(m.algorithm);
    poptFreeContext(popt);
    return rc;
}

static int run_target(int argc, const char **argv)
{
    struct making m = {0};
    char *ca = NULL, *id = NULL;
    const struct poptOption options[] = {
        {"ca", 0, POPT_ARG_STRING, &ca, 0, "the directory that pki init made",        "DIR"},
        {"id", 0, POPT_ARG_STRING, &id, 0, "the device: Manufacturer:Product:Serial", "ID" },
        MAKING_OPTIONS(m),
        POPT_AUTOHELP POPT_TABLEEND,
    };
    poptContext popt = poptGetContext("postern pki target", argc, argv, options, 0);
    const char *dir = NULL;
    char why[512] = "";

    poptSetOtherOptionHelp(popt, "--ca DIR --id ID OUTDIR");
    int rc = pst_pki_parse(popt, &dir, "a directory for the identity");
    if (rc == PST_EXIT_OK) {
        rc = finish_options(&m);
    }
    if (rc == PST_EXIT_OK && (ca == NULL || id == NULL)) {
        rc = pst_pki_refuse("%s is missing",
                            ca == NULL ? "--ca DIR" : "--id Manufacturer:Product:Serial");
    }
    if (rc == PST_EXIT_OK) {
        rc = report(pst_pki_target(ca, id, dir, &m.options, why, sizeof why), why);
    }
    free(m.algorithm);
    free(ca);
    free(id);
    poptFreeContext(popt);
    return rc;
}

/* --- engineer --- */

struct engineer {
    struct making making;
    char *ca, *name, *device;
    char **grants;
    int epoch, session;
    char text[PST_MAX_GRANT + 1];
    size_t len;
};

/* One more clause of the grant; false when it does not fit. */
static bool add_clause(struct engineer *e, const char *prefix, const char *value)
{
    size_t room = sizeof e->text - e->len;
    int n = snprintf(e->text + e->len, room, "%s%s%s", e->len > 0 ? "; " : "", prefix, value);

    if (n < 0 || (size_t)n >= room) {
        return false;
    }
    e->len += (size_t)n;
    return true;
}

static bool add_number(struct engineer *e, const char *prefix, int value)
{
    char digits[16];

    snprintf(digits, sizeof digits, "%d", value);
    return value == 0 || add_clause(e, prefix, digits);
}

static int build_grant(struct engineer *e)
{
    struct pst_grants parsed;
    size_t at = 0;
    bool fits = true;

    for (char **g = e->grants; g != NULL && *g != NULL; g++) {
        fits = fits && add_clause(e, "", *g);
    }
    if (e->len == 0) {
        return pst_pki_refuse("--grant GRANT is missing, for example --grant debug");
    }
    if (e->epoch < 0 || e->session < 0) {
        return pst_pki_refuse("--%s %d: expected a number, at least 1",
                              e->epoch < 0 ? "epoch" : "session",
                              e->epoch < 0 ? e->epoch : e->session);
    }
    fits = fits && (e->device == NULL || add_clause(e, "device=", e->device));
    fits = fits && add_number(e, "epoch=", e->epoch) && add_number(e, "session=", e->session);
    if (!fits) {
        return pst_pki_refuse("the grant is too long: expected at most %d bytes", PST_MAX_GRANT);
    }
    pst_err err = pst_grants_parse(&parsed, e->text, e->len, false, &at);
    if (err == PST_ERR_DENIED) {
        return pst_pki_refuse(
            "--grant '%s': run and debug reach all memory, so an address range beside "
            "them would protect nothing; expected one or the other",
            e->text);
    }
    if (err != PST_OK) {
        return pst_pki_refuse(
            "--grant '%s': not understood at '%s'; expected debug, observe, run, "
            "memory:r:0xFIRST-0xLAST, memory:rw:0xFIRST-0xLAST, device=, until=, epoch= "
            "or session=",
            e->text, at < e->len ? e->text + at : "");
    }
    if (parsed.count == 0) {
        return pst_pki_refuse(
            "--grant '%s': grants nothing; expected at least one of debug, observe, run, "
            "memory:...",
            e->text);
    }
    return PST_EXIT_OK;
}

static int make_engineer(struct engineer *e, const char *dir)
{
    char why[512] = "";
    int rc = finish_options(&e->making);

    if (rc != PST_EXIT_OK) {
        return rc;
    }
    if (e->ca == NULL || e->name == NULL) {
        return pst_pki_refuse("%s is missing", e->ca == NULL ? "--ca DIR" : "--name NAME");
    }
    rc = build_grant(e);
    if (rc != PST_EXIT_OK) {
        return rc;
    }
    return report(
        pst_pki_engineer(e->ca, e->name, e->text, dir, &e->making.options, why, sizeof why), why);
}

static int run_engineer(int argc, const char **argv)
{
    struct engineer e = {0};
    const struct poptOption options[] = {
        {"ca",      0, POPT_ARG_STRING, &e.ca,      0, "the directory that pki init made",    "DIR"    },
        {"name",    0, POPT_ARG_STRING, &e.name,    0, "whose it is",                         "NAME"   },
        {"grant",   0, POPT_ARG_ARGV,   &e.grants,  0, "what it allows; may be repeated",     "GRANT"  },
        {"device",  0, POPT_ARG_STRING, &e.device,  0,
         "on which devices: an id, or a start of one and *",                                  "PATTERN"},
        {"epoch",   0, POPT_ARG_INT,    &e.epoch,   0, "devices refuse it below their floor", "N"      },
        {"session", 0, POPT_ARG_INT,    &e.session, 0, "longest session",                     "SECONDS"},
        MAKING_OPTIONS(e.making),
        POPT_AUTOHELP POPT_TABLEEND,
    };
    poptContext popt = poptGetContext("postern pki engineer", argc, argv, options, 0);
    const char *dir = NULL;

    poptSetOtherOptionHelp(popt, "--ca DIR --name NAME --grant GRANT OUTDIR");
    int rc = pst_pki_parse(popt, &dir, "a directory for the identity");
    if (rc == PST_EXIT_OK) {
        rc = make_engineer(&e, dir);
    }
    for (char **g = e.grants; g != NULL && *g != NULL; g++) {
        free(*g);
    }
    free(e.grants);
    free(e.making.algorithm);
    free(e.ca);
    free(e.name);
    free(e.device);
    poptFreeContext(popt);
    return rc;
}

/* --- the subcommands --- */

struct command {
    const char *name, *title;
    int (*run)(int argc, const char **argv);
};

static const struct command commands[] = {
    {"init",     "postern pki init",     run_init        },
    {"target",   "postern pki target",   run_target      },
    {"engineer", "postern pki engineer", run_engineer    },
    {"show",     "postern pki show",     pst_pki_run_show},
    {"lint",     "postern pki lint",     pst_pki_run_lint},
};

/* popt wants pointers to const; `argv` has none. */
static int run_const(const struct command *c, int argc, char **argv)
{
    const char **copy = calloc((size_t)argc + 1, sizeof *copy);

    if (copy == NULL) {
        return PST_EXIT_LOCAL;
    }
    copy[0] = c->title; /* for the usage text */
    for (int i = 1; i < argc; i++) {
        copy[i] = argv[i];
    }
    int rc = c->run(argc, copy);
    free(copy);
    return rc;
}

int pst_cmd_pki(int argc, char **argv)
{
    if (argc < 2) {
        fputs(usage_text, stderr);
        return PST_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "-?") == 0) {
        fputs(usage_text, stdout);
        return PST_EXIT_OK;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return run_const(&commands[i], argc - 1, argv + 1);
        }
    }
    return pst_pki_refuse("'%s': expected init, target, engineer, show or lint", argv[1]);
}
