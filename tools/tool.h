/* What the subcommands of `postern` share: exit codes, messages, and a session with a target.
 *
 * Results go to stdout, everything for people to stderr, one line each, beginning "postern NAME: ".
 */
#ifndef POSTERN_TOOLS_TOOL_H
#define POSTERN_TOOLS_TOOL_H

#include <popt.h>

#include "openssl/openssl_port.h"
#include "posix/host/debugger_host.h"

/* Documented in postern(1). */
enum tool_exit {
    PST_EXIT_OK = 0,
    PST_EXIT_USAGE = 1,
    PST_EXIT_LINK = 2,    /* no connection, or not a Postern peer */
    PST_EXIT_AUTH = 3,    /* somebody was not who they had to be */
    PST_EXIT_REFUSED = 4, /* policy says no, or somebody else holds the target */
    PST_EXIT_LOST = 5,    /* the session ended before its time */
    PST_EXIT_LOCAL = 6,   /* a file or the machine we run on */
};

/* argv[0] is the subcommand's name. */
int pst_cmd_pki(int argc, char **argv);
int pst_cmd_target(int argc, char **argv);
int pst_cmd_gdb(int argc, char **argv);
int pst_cmd_mem(int argc, char **argv);
int pst_cmd_info(int argc, char **argv);
int pst_cmd_bridge(int argc, char **argv);
int pst_cmd_links(int argc, char **argv);
int pst_cmd_find(int argc, char **argv);
int pst_cmd_spdm(int argc, char **argv);
int pst_cmd_supervisor(int argc, char **argv);

/* "postern NAME: " and the text, on stderr. */
void tool_say(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The options that every command with a session has; include them with
 * {NULL, 0, POPT_ARG_INCLUDE_TABLE, options, 0, "Session options:", NULL}. */
struct tool_session_options {
    char *identity, *device;
    char *scm, *data; /* out of band: both, in place of the one link; freed with the others */
    char **trust;     /* NULL-ended */
    int any_device, timeout_s;
};
#define TOOL_SESSION_OPTIONS(o)                                                                    \
    {                                                                                              \
        "identity", 'i', POPT_ARG_STRING, &(o)->identity, 0, "who I am: chain.pem and key.pem",    \
        "DIR"},                                                                                    \
        {"trust", 't', POPT_ARG_ARGV, &(o)->trust, 0, "CA certificates of devices; repeatable",    \
         "PEM"},                                                                                   \
        {"device",                                                                                 \
         'd',                                                                                      \
         POPT_ARG_STRING,                                                                          \
         &(o)->device,                                                                             \
         0,                                                                                        \
         "the one device that is wanted",                                                          \
         "MANUFACTURER:PRODUCT:SERIAL"},                                                           \
        {"any-device",                                                                             \
         '\0',                                                                                     \
         POPT_ARG_NONE,                                                                            \
         &(o)->any_device,                                                                         \
         0,                                                                                        \
         "whatever device the trust anchors vouch for",                                            \
         NULL},                                                                                    \
        {"scm",     '\0', POPT_ARG_STRING,                                                         \
         &(o)->scm, 0,    "manage the session here, out of band; with --data",                     \
         "LINK"},                                                                                  \
        {"data", '\0', POPT_ARG_STRING, &(o)->data, 0, "and debug here", "LINK"},                  \
    {                                                                                              \
        "timeout", '\0', POPT_ARG_INT, &(o)->timeout_s, 0, "longest wait for an answer (10)",      \
            "SECONDS"                                                                              \
    }

void tool_session_options_free(struct tool_session_options *o);

/* A session with a target, and the loop that it runs on. */
struct tool_session {
    const char *name; /* of the subcommand */
    uv_loop_t loop;
    struct pst_identity identity;
    struct pst_trust trust;
    struct pst_address address, data; /* data: of two links */
    bool two;
    struct pst_debugger_host *host;
    struct pst_debugger_host_config config;
    /* The subcommand's, each may be NULL; set between init and open. */
    void (*ready)(void *ctx);
    void (*event)(void *ctx, uint8_t space, struct pst_bytes payload);
    void (*ended)(void *ctx);
    void *ctx;
    struct pst_session_info info; /* from when it was ready; outlives the session */
    struct pst_peer device;       /* info.device; its key is not ours */
    bool is_ready, over;
    int exit_code;                     /* once over */
    char text[PST_DEBUGGER_HOST_TEXT]; /* why, for people; "" when it ended as asked */
};

/* Loads identity and trust, parses `link`, or --scm and --data when it is NULL. Anything but
 * PST_EXIT_OK was said on stderr. */
int tool_session_init(struct tool_session *s, const char *name,
                      const struct tool_session_options *o, const char *link, uint8_t spaces);
/* Begins to connect. */
int tool_session_open(struct tool_session *s);
/* Runs the loop until the session is ready or over; PST_EXIT_OK when it is ready. */
int tool_session_wait(struct tool_session *s);
/* One operation, and waits for it. Reads may come out shorter: `*moved` (may be NULL) tells. */
pst_err tool_session_do(struct tool_session *s, struct pst_spp_op *op);
pst_err tool_session_read(struct tool_session *s, uint8_t space, uint64_t address, void *data,
                          uint32_t len, uint32_t *moved);
/* Ends the session in order, closes everything, wipes. Harmless after a failed init. */
void tool_session_close(struct tool_session *s);
/* One line: who authenticated whom. */
void tool_session_introduce(const struct tool_session *s);

/* "4096", "0x1000", "64K", "1M", "0x100..." False: none of these, or too large. */
bool tool_parse_u64(const char *text, uint64_t *value);
bool tool_parse_size(const char *text, uint64_t *value);
/* The error of an operation in words, and the exit code that goes with it. */
int tool_exit_of(pst_err err);
/* A popt context for a subcommand; `usage` is what follows the name in --help. */
poptContext tool_options(const char *name, int argc, char **argv, const struct poptOption *options,
                         const char *usage);
/* Takes all options that store by themselves; PST_EXIT_OK, or PST_EXIT_USAGE and said. */
int tool_take_options(const char *name, poptContext popt);
/* "held by ada for 4 s, since 1700000000" with the time as people write it. */
void tool_humanise_since(char *text, size_t cap);

#endif
