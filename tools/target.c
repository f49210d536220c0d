/* postern target: the agent of a Target System. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "posix/host/target_host.h"
#include "tools/tool.h"

struct arguments {
    char *config, *identity, *debug, *audit, *device;
    char **trust, **listen, **call, **policy;
    int check, verbose;
};

static void say_note(void *ctx, const char *text)
{
    (void)ctx;
    tool_say("target", "%s", text);
}

static pst_err set(struct pst_target_settings *s, const char *section, const char *key,
                   const char *value)
{
    char why[512];
    pst_err err = pst_target_settings_set(s, section, key, value, why, sizeof why);
    if (err != PST_OK) {
        tool_say("target", "--%s: %s", strcmp(key, "address") == 0 ? "debug" : key, why);
    }
    return err;
}

static pst_err set_all(struct pst_target_settings *s, const char *key, char *const *values)
{
    for (; values != NULL && *values != NULL; values++) {
        PST_TRY(set(s, "target", key, *values));
    }
    return PST_OK;
}

/* Values of the command line replace those of the file; a list replaces the whole list. */
static pst_err override(struct pst_target_settings *s, const struct arguments *a)
{
    s->trusts = a->trust != NULL ? 0 : s->trusts;
    s->listens = a->listen != NULL ? 0 : s->listens;
    s->calls = a->call != NULL ? 0 : s->calls;
    s->policy_text[0] = a->policy != NULL ? '\0' : s->policy_text[0];
    PST_TRY(set_all(s, "trust", a->trust));
    PST_TRY(set_all(s, "listen", a->listen));
    PST_TRY(set_all(s, "call", a->call));
    PST_TRY(set_all(s, "policy", a->policy));
    if (a->identity != NULL) {
        PST_TRY(set(s, "target", "identity", a->identity));
    }
    if (a->audit != NULL) {
        PST_TRY(set(s, "target", "audit", a->audit));
    }
    if (a->device != NULL) {
        PST_TRY(set(s, "target", "device", a->device));
    }
    return a->debug != NULL ? set(s, "stub", "address", a->debug) : PST_OK;
}

static int load_settings(struct pst_target_settings *s, const struct arguments *a)
{
    char why[768];

    pst_target_settings_init(s);
    if (a->config != NULL) {
        pst_err err = pst_target_settings_load(s, a->config, why, sizeof why);
        if (err != PST_OK) {
            tool_say("target", "%s", why);
            return err == PST_ERR_IO ? PST_EXIT_LOCAL : PST_EXIT_USAGE;
        }
    }
    if (override(s, a) != PST_OK) {
        return PST_EXIT_USAGE;
    }
    if (pst_target_settings_finish(s, why, sizeof why) != PST_OK) {
        tool_say("target", "%s%s%s", a->config != NULL ? a->config : "",
                 a->config != NULL ? ": " : "", why);
        return PST_EXIT_USAGE;
    }
    return PST_EXIT_OK;
}

static int load_keys(const struct pst_target_settings *s, struct pst_identity *identity,
                     struct pst_trust *trust)
{
    char why[512];

    if (pst_trust_init(trust) != PST_OK) {
        tool_say("target", "no memory for trust anchors");
        return PST_EXIT_LOCAL;
    }
    for (size_t i = 0; i < s->trusts; i++) {
        if (pst_trust_add(trust, s->trust[i], why, sizeof why) != PST_OK) {
            tool_say("target", "%s", why);
            return PST_EXIT_LOCAL;
        }
    }
    if (pst_identity_load(identity, s->identity, why, sizeof why) != PST_OK) {
        tool_say("target", "%s", why);
        return PST_EXIT_LOCAL;
    }
    return PST_EXIT_OK;
}

static int serve(struct pst_target_host *h, const struct pst_target_settings *s,
                 struct pst_identity *identity, struct pst_trust *trust, uv_loop_t *loop)
{
    char why[768], program[512];
    ssize_t len = readlink("/proc/self/exe", program, sizeof program - 1);

    if (len < 0) {
        tool_say("target", "/proc/self/exe cannot be read; it names the supervisor's program");
        return PST_EXIT_LOCAL;
    }
    program[len] = '\0';
    if (pst_target_host_prepare(h, s, program, why, sizeof why) != PST_OK) {
        tool_say("target", "%s", why);
        return PST_EXIT_LOCAL;
    }
    pst_process_harden();
    int code = load_keys(s, identity, trust);
    if (code != PST_EXIT_OK) {
        return code;
    }
    if (pst_target_host_start(h, loop, identity, trust, why, sizeof why) != PST_OK) {
        tool_say("target", "%s", why);
        h->stopped = true;
        return PST_EXIT_LINK;
    }
    pst_target_host_run(h);
    tool_say("target", "ended");
    return PST_EXIT_OK;
}

static int run(const struct pst_target_settings *s)
{
    struct pst_identity identity = {0};
    struct pst_trust trust = {0};
    uv_loop_t loop;
    struct pst_target_host *h = pst_secret_alloc(sizeof *h);

    if (h == NULL || uv_loop_init(&loop) != 0) {
        tool_say("target", "out of memory, or cannot create an event loop");
        return PST_EXIT_LOCAL;
    }
    h->note = say_note;
    int code = serve(h, s, &identity, &trust, &loop);
    pst_target_host_close(h);
    (void)uv_loop_close(&loop);
    pst_secret_free(h, sizeof *h);
    pst_identity_free(&identity);
    if (trust.priv != NULL) {
        pst_trust_free(&trust);
    }
    pst_process_soften();
    return code;
}

/* --check: does everything but open the links and the stub. */
static int check(const struct pst_target_settings *s)
{
    struct pst_identity identity = {0};
    struct pst_trust trust = {0};
    char grants[512];

    int code = load_keys(s, &identity, &trust);
    if (code == PST_EXIT_OK) {
        (void)pst_grants_text(&s->policy.allow, grants, sizeof grants);
        printf("%s allows: %s\n", s->device[0] != '\0' ? s->device : identity.name, grants);
    }
    pst_identity_free(&identity);
    if (trust.priv != NULL) {
        pst_trust_free(&trust);
    }
    return code;
}

static void free_list(char **list)
{
    for (char **one = list; one != NULL && *one != NULL; one++) {
        free(*one);
    }
    free(list);
}

static int act(const struct arguments *a)
{
    static struct pst_target_settings settings;
    int code = load_settings(&settings, a);
    if (code != PST_EXIT_OK) {
        return code;
    }
    if (settings.default_policy) {
        tool_say("target", "no policy is set: engineers may do whatever their certificates grant");
    }
    if (settings.default_audit && !a->check) {
        tool_say("target", "the audit log is %s", settings.audit);
    }
    return a->check ? check(&settings) : run(&settings);
}

int pst_cmd_target(int argc, char **argv)
{
    struct arguments a = {0};
    const struct poptOption options[] = {
        {"config",   'c',  POPT_ARG_STRING, &a.config,   0,
         "the configuration file; options override it",                                                  "FILE"},
        {"check",    '\0', POPT_ARG_NONE,   &a.check,    0, "check the configuration and exit",          NULL  },
        {"identity", 'i',  POPT_ARG_STRING, &a.identity, 0, "the device: chain.pem and key.pem",
         "DIR"                                                                                                 },
        {"trust",    't',  POPT_ARG_ARGV,   &a.trust,    0, "CA certificates of engineers; repeatable",
         "PEM"                                                                                                 },
        {"policy",   'p',  POPT_ARG_ARGV,   &a.policy,   0, "what engineers may do at most; repeatable",
         "GRANT"                                                                                               },
        {"debug",    '\0', POPT_ARG_STRING, &a.debug,    0, "the gdb stub",                              "LINK"},
        {"listen",   'l',  POPT_ARG_ARGV,   &a.listen,   0,
         "where to listen; repeatable (tcp:127.0.0.1:7606)",                                             "LINK"},
        {"call",     '\0', POPT_ARG_ARGV,   &a.call,     0,
         "call a debugger or a bridge, again and again; repeatable",                                     "LINK"},
        {"audit",    'a',  POPT_ARG_STRING, &a.audit,    0, "the audit log",                             "FILE"},
        {"device",   'd',  POPT_ARG_STRING, &a.device,   0, "the device's id (as the identity says)",
         "ID"                                                                                                  },
        POPT_AUTOHELP POPT_TABLEEND,
    };
    poptContext popt = tool_options("target", argc, argv, options, "[OPTION...]");
    int code = tool_take_options("target", popt);
    if (code == PST_EXIT_OK && poptPeekArg(popt) != NULL) {
        tool_say("target", "'%s': expected options only", poptPeekArg(popt));
        code = PST_EXIT_USAGE;
    }
    code = code == PST_EXIT_OK ? act(&a) : code;
    poptFreeContext(popt);
    free_list(a.trust);
    free_list(a.policy);
    free_list(a.listen);
    free_list(a.call);
    free(a.config);
    free(a.identity);
    free(a.debug);
    free(a.audit);
    free(a.device);
    return code;
}

/* Internal: the process that the agent starts. */
int pst_cmd_supervisor(int argc, char **argv)
{
    uint64_t fd;
    if (argc != 4 || !tool_parse_u64(argv[1], &fd) || fd > 1024 ||
        (strcmp(argv[3], "hold") != 0 && strcmp(argv[3], "resume") != 0)) {
        tool_say("supervisor", "this is started by postern target, not by hand");
        return PST_EXIT_USAGE;
    }
    return pst_supervisor_run((int)fd, argv[2], strcmp(argv[3], "hold") == 0) == 0 ? PST_EXIT_OK
                                                                                   : PST_EXIT_LOST;
}
