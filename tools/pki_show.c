/* postern pki show and lint: print a chain, and the rules that it breaks. */
#include <inttypes.h>
#include <jansson.h>
#include <popt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "openssl/pki.h"
#include "postern/policy.h"
#include "tools/pki_cmd.h"

#define SCHEMA_SHOW "postern.pki.show/1"
#define SCHEMA_LINT "postern.pki.lint/1"

struct output {
    bool json, lint;
    json_t *list; /* when json */
    pst_role role;
    unsigned broken;
};

static void date_text(uint64_t seconds, char out[32])
{
    time_t t = (time_t)seconds;
    struct tm tm;

    if (gmtime_r(&t, &tm) == NULL || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) {
        snprintf(out, 32, "%" PRIu64, seconds);
    }
}

static void hex_text(const uint8_t *at, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++) {
        snprintf(out + 2 * i, 3, "%02x", at[i]);
    }
}

/* A grant may contain any bytes; the output, text or JSON, is printable ASCII. */
static void grant_text(const struct pst_chain_entry *e, char out[PST_MAX_GRANT + 1])
{
    for (size_t i = 0; i < e->grant_len; i++) {
        out[i] = e->grant[i] >= 0x20 && e->grant[i] < 0x7F ? (char)e->grant[i] : '?';
    }
    out[e->grant_len] = '\0';
}

static const char *usage_text(const struct pst_chain_entry *e)
{
    return e->eku_requester && e->eku_responder ? "both"
           : e->eku_requester                   ? "requester"
           : e->eku_responder                   ? "responder"
                                                : "none";
}

static void show_json(struct output *o, const struct pst_chain_entry *e)
{
    char begin[32], end[32], hash[65], grant[PST_MAX_GRANT + 1];

    date_text(e->not_before, begin);
    date_text(e->not_after, end);
    hex_text(e->fingerprint, 32, hash);
    grant_text(e, grant);
    json_array_append_new(
        o->list, json_pack("{s:i, s:s?, s:s?, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:s}",
                           "index", (int)e->index, "subject", e->subject, "issuer", e->issuer,
                           "name", e->name, "device", e->device, "grant", grant, "key", e->key,
                           "not_before", begin, "not_after", end, "spdm_usage", usage_text(e), "ca",
                           e->is_ca, "hardware_identity", e->hardware_identity, "sha256", hash));
}

static void show_text(const struct pst_chain_entry *e)
{
    char begin[32], end[32], hash[65], grant[PST_MAX_GRANT + 1];

    date_text(e->not_before, begin);
    date_text(e->not_after, end);
    hex_text(e->fingerprint, 32, hash);
    grant_text(e, grant);
    printf("certificate %u: %s\n", e->index, e->subject);
    printf("  issuer     %s\n", e->issuer);
    printf("  key        %s%s\n", e->key, e->is_ca ? ", a CA" : "");
    printf("  valid      %s to %s\n", begin, end);
    printf("  SPDM usage %s%s\n", usage_text(e), e->hardware_identity ? ", hardware identity" : "");
    if (e->device[0] != '\0') {
        printf("  device     %s\n", e->device);
    }
    if (e->grant_len > 0) {
        printf("  grant      %s\n", grant);
    }
    printf("  sha256     %s\n", hash);
}

static void report_broken(void *ctx, const struct pst_chain_entry *e,
                          const struct pst_cert_refusal *refusal)
{
    struct output *o = ctx;
    char text[PST_MAX_REFUSAL];

    o->broken++;
    if (o->json) {
        json_array_append_new(o->list,
                              json_pack("{s:i, s:s?, s:s?, s:s}", "index", (int)refusal->index,
                                        "subject", e != NULL ? e->subject : NULL, "field",
                                        refusal->field, "rule", refusal->rule));
    } else {
        pst_cert_refusal_text(refusal, text, sizeof text);
        printf("%s\n", text);
    }
}

static void report_grant(struct output *o, const struct pst_chain_entry *e, const char *rule)
{
    const struct pst_cert_refusal refusal = {
        .index = (uint16_t)e->index, .field = "grant", .rule = rule};

    report_broken(o, e, &refusal);
}

/* A grant that the policy cannot parse grants nothing, whatever its author intended. */
static void lint_grant(struct output *o, const struct pst_chain_entry *e)
{
    struct pst_grants parsed;
    size_t at;

    if (!e->leaf || e->grant_len == 0 || o->role != PST_ROLE_REQUESTER) {
        return;
    }
    pst_err err = pst_grants_parse(&parsed, (const char *)e->grant, e->grant_len, false, &at);
    if (err == PST_ERR_DENIED) {
        report_grant(o, e, "whole-device rights together with address ranges");
    } else if (err != PST_OK) {
        report_grant(o, e, "cannot be parsed");
    }
}

static void each_certificate(void *ctx, const struct pst_chain_entry *e)
{
    struct output *o = ctx;

    if (o->lint) {
        lint_grant(o, e);
    } else if (o->json) {
        show_json(o, e);
    } else {
        show_text(e);
    }
}

static void find_role(void *ctx, const struct pst_chain_entry *e)
{
    pst_role *role = ctx;

    if (e->leaf) {
        *role = e->eku_requester ? PST_ROLE_REQUESTER : PST_ROLE_RESPONDER;
    }
}

static pst_err visit_chain(struct output *o, const uint8_t *chain, size_t len, uint64_t now)
{
    const struct pst_chain_visitor visitor = {
        .ctx = o,
        .each = each_certificate,
        .broken = o->lint ? report_broken : NULL,
    };

    return pst_chain_walk(chain, len, o->role, now, &visitor);
}

static int print_result(struct output *o, const char *path, pst_err err)
{
    if (o->json) {
        json_t *all = json_pack("{s:s, s:s, s:O}", "schema", o->lint ? SCHEMA_LINT : SCHEMA_SHOW,
                                "path", path, o->lint ? "broken" : "certificates", o->list);
        if (all == NULL || json_dumpf(all, stdout, JSON_COMPACT) != 0) {
            err = PST_ERR_IO;
        }
        fputc('\n', stdout);
        json_decref(all);
    }
    if (err != PST_OK) {
        fprintf(stderr, "postern pki: %s: %s\n", path,
                err == PST_ERR_DECODE ? "expected a chain of X.509 certificates, root first"
                                      : pst_err_text(err));
        return err == PST_ERR_DECODE ? PST_EXIT_AUTH : PST_EXIT_LOCAL;
    }
    return o->lint && o->broken > 0 ? PST_EXIT_AUTH : PST_EXIT_OK;
}

static int run_on(struct output *o, const char *path, uint64_t now, bool guess_role)
{
    uint8_t *chain = NULL;
    size_t len = 0;
    char why[512] = "";

    if (pst_chain_read(path, &chain, &len, why, sizeof why) != PST_OK) {
        fprintf(stderr, "postern pki: %s\n", why);
        return PST_EXIT_LOCAL;
    }
    o->list = json_array();
    pst_err err = PST_OK;
    if (guess_role) {
        const struct pst_chain_visitor visitor = {.ctx = &o->role, .each = find_role};
        err = pst_chain_walk(chain, len, PST_ROLE_RESPONDER, 0, &visitor);
    }
    if (err == PST_OK || !o->lint) {
        err = visit_chain(o, chain, len, now);
    }
    int rc = print_result(o, path, err);
    json_decref(o->list);
    free(chain);
    return rc;
}

int pst_pki_run_show(int argc, const char **argv)
{
    struct output o = {.role = PST_ROLE_RESPONDER};
    int json = 0;
    const struct poptOption options[] = {
        {"json", 0, POPT_ARG_NONE, &json, 0, "one JSON object on standard output", NULL},
        POPT_AUTOHELP POPT_TABLEEND,
    };
    poptContext popt = poptGetContext("postern pki show", argc, argv, options, 0);
    const char *path;

    poptSetOtherOptionHelp(popt, "CHAIN");
    int rc = pst_pki_parse(popt, &path, "a chain (PEM or DER) or an identity directory");
    o.json = json != 0;
    if (rc == PST_EXIT_OK) {
        rc = run_on(&o, path, 0, false);
    }
    poptFreeContext(popt);
    return rc;
}

static int parse_role(const char *text, pst_role *role, bool *guess)
{
    *guess = text == NULL;
    if (text == NULL || strcmp(text, "device") == 0) {
        *role = PST_ROLE_RESPONDER;
    } else if (strcmp(text, "engineer") == 0) {
        *role = PST_ROLE_REQUESTER;
    } else {
        fprintf(stderr, "postern pki: --role '%s': expected device or engineer\n", text);
        return PST_EXIT_USAGE;
    }
    return PST_EXIT_OK;
}

int pst_pki_run_lint(int argc, const char **argv)
{
    struct output o = {.lint = true};
    int json = 0, no_clock = 0;
    bool guess;
    char *role = NULL;
    const struct poptOption options[] = {
        {"role",     0, POPT_ARG_STRING, &role,     0, "device or engineer; otherwise by its EKU", "ROLE"},
        {"no-clock", 0, POPT_ARG_NONE,   &no_clock, 0, "do not compare dates with the clock",      NULL  },
        {"json",     0, POPT_ARG_NONE,   &json,     0, "one JSON object on standard output",       NULL  },
        POPT_AUTOHELP POPT_TABLEEND,
    };
    poptContext popt = poptGetContext("postern pki lint", argc, argv, options, 0);
    const char *path;

    poptSetOtherOptionHelp(popt, "[--role ROLE] CHAIN");
    int rc = pst_pki_parse(popt, &path, "a chain (PEM or DER) or an identity directory");
    if (rc == PST_EXIT_OK) {
        rc = parse_role(role, &o.role, &guess);
    }
    o.json = json != 0;
    time_t now = no_clock ? 0 : time(NULL);
    if (rc == PST_EXIT_OK) {
        rc = run_on(&o, path, now > 0 ? (uint64_t)now : 0, guess);
    }
    if (rc == PST_EXIT_OK && !o.json) {
        printf("%s: no rule is broken (%s)\n", path,
               o.role == PST_ROLE_REQUESTER ? "engineer" : "device");
    }
    free(role);
    poptFreeContext(popt);
    return rc;
}
