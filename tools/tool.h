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
    PST_EXIT_AUTH = 3,    /* authentication failed */
    PST_EXIT_REFUSED = 4, /* denied by policy, or another engineer holds the target */
    PST_EXIT_LOST = 5,    /* the session ended early */
    PST_EXIT_LOCAL = 6,   /* an error of a file or of this machine */
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

/* Prints "postern NAME: " and the text on stderr. */
void tool_say(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The options that every command with a session has; include them with
 * {NULL, 0, POPT_ARG_INCLUDE_TABLE, options, 0, "Session options:", NULL}. */
struct tool_session_options {
    char *identity, *device;
    char *scm, *data; /* out of band: the two links in place of one; freed with the others */
    char **trust;     /* ends with NULL */
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
    struct pst_address address, data; /* data: the second of two links */
    bool two;
    struct pst_debugger_host *host;
    struct pst_debugger_host_config config;
    /* Callbacks of the subcommand; each may be NULL. Set them between init and open. */
    void (*ready)(void *ctx);
    void (*event)(void *ctx, uint8_t space, struct pst_bytes payload);
    void (*ended)(void *ctx);
    void *ctx;
    struct pst_session_info info; /* valid once ready; outlives the session */
    struct pst_peer device;       /* info.device; its key belongs to the caller */
    bool is_ready, over;
    int exit_code;                     /* once over */
    char text[PST_DEBUGGER_HOST_TEXT]; /* the reason, as text; "" when it ended as asked */
};

/* Loads identity and trust, parses `link`, or --scm and --data when it is NULL. On any result but
   PST_EXIT_OK the error was printed on stderr. */
int tool_session_init(struct tool_session *s, const char *name,
                      const struct tool_session_options *o, const char *link, uint8_t spaces);
/* Begins to connect. */
int tool_session_open(struct tool_session *s);
/* Runs the loop until the session is ready or over; PST_EXIT_OK when it is ready. */
int tool_session_wait(struct tool_session *s);
/* Runs one operation and waits for it. Reads may be shortened: `*moved` (may be NULL) is the
   length. */
pst_err tool_session_do(struct tool_session *s, struct pst_spp_op *op);
pst_err tool_session_read(struct tool_session *s, uint8_t space, uint64_t address, void *data,
                          uint32_t len, uint32_t *moved);
/* Ends the session in order, closes everything, wipes. Safe after a failed init. */
void tool_session_close(struct tool_session *s);
/* Prints one line: who authenticated whom. */
void tool_session_introduce(const struct tool_session *s);

/* Parses "4096", "0x1000", "64K", "1M", "0x100...". False: not such a number, or too large. */
bool tool_parse_u64(const char *text, uint64_t *value);
bool tool_parse_size(const char *text, uint64_t *value);
/* The error of an operation in words, and the exit code that goes with it. */
int tool_exit_of(pst_err err);
/* A popt context for a subcommand; `usage` is what follows the name in --help. */
poptContext tool_options(const char *name, int argc, char **argv, const struct poptOption *options,
                         const char *usage);
/* Parses all options that store their own values. PST_EXIT_OK, or PST_EXIT_USAGE after printing the
   error. */
int tool_take_options(const char *name, poptContext popt);
/* "held by ada for 4 s, since 1700000000", with the time in readable form. */
void tool_humanise_since(char *text, size_t cap);

#endif
