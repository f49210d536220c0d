/* postern gdb: the server for gdb, on a pipe of gdb or for one connection to a socket. */
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posix/links/table.h"
#include "posix/loop/socket.h"
#include "postern/parts/gdb_server.h"
#include "tools/tool.h"

#define PACKET_SIZE 16384
#define DESCRIPTION_SIZE 65536
#define CACHE_SIZE (256 * 1024)
#define SPACES (1u << PST_AS_MEMORY | 1u << PST_AS_RUN)

struct gdb {
    struct tool_session session;
    struct tool_session_options options;
    char *summary, *local;
    int port, keep_osabi;
    uint64_t began_ms;

    struct pst_gdb_server server;
    uint8_t *memory;
    bool started, done;
    int exit_code;

    /* the connection to gdb: stdin and stdout, or one socket */
    struct pst_address address;
    struct pst_socket listener, in_, out_;
    uv_stream_t *in, *out;
    uv_timer_t timer;
    uv_prepare_t prepare;
    uv_signal_t term;
    uint8_t input[32768];
    size_t input_at, input_len;
    bool reading, writing;
    uv_write_t write;
    uint8_t output[32768];

    /* the summary */
    json_t *result;
};

/* --- the target's side --- */

static void submit(void *ctx, struct pst_spp_op *op)
{
    struct gdb *g = ctx;
    op->urgent = op->space == PST_AS_RUN && op->address == PST_RUN_INTERRUPT;
    pst_debugger_host_submit(g->session.host, op);
}

static void notice(void *ctx, const char *text)
{
    (void)ctx;
    tool_say("gdb", "%s", text);
}

static void put_text(struct pst_writer *w, const char *text)
{
    pst_put_bytes(w, text, strlen(text));
}

static void monitor(void *ctx, const char *what, struct pst_writer *text)
{
    const struct gdb *g = ctx;
    const struct pst_session_info info = g->session.info;
    char line[1024];
    uint64_t age_s = (pst_process_now_ms(NULL) - g->began_ms) / 1000;

    if (strcmp(what, "whoami") == 0) {
        snprintf(line, sizeof line,
                 "engineer %s debugs device %s\nthe device's certificate: %s, SHA-256 "
                 "%02x%02x%02x%02x%02x%02x%02x%02x…, issued by a CA of --trust\n",
                 g->session.identity.name, info.device->device, info.device->name,
                 info.device->fingerprint[0], info.device->fingerprint[1],
                 info.device->fingerprint[2], info.device->fingerprint[3],
                 info.device->fingerprint[4], info.device->fingerprint[5],
                 info.device->fingerprint[6], info.device->fingerprint[7]);
    } else if (strcmp(what, "session") == 0) {
        snprintf(line, sizeof line,
                 "session 0x%08" PRIx32 ", %" PRIu64 " s old\nSPDM 1.%u; device signs with %s, "
                 "engineer with %s; %s, %s, %s, %s\n",
                 info.session_id, age_s, info.spdm_minor, info.signature, info.peer_signature,
                 info.exchange, info.hash, info.aead,
                 info.encrypted ? "encrypted" : "authenticated only");
    } else {
        snprintf(line, sizeof line, "granted: %s\n", g->session.host->debugger.grants);
    }
    put_text(text, line);
}

/* gdb polls the stderr of `target extended-remote | postern gdb` before every single character that
 * it reads from us, as long as stderr is open. So it is closed once the session is open, and
 * messages go to gdb's console. */
static bool is_stderr_gdbs(const struct gdb *g)
{
    struct stat st;
    return g->local == NULL && g->port < 0 && fstat(STDERR_FILENO, &st) == 0 &&
           (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

static void leave_stderr(void)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null >= 0) {
        (void)dup2(null, STDERR_FILENO);
        close(null);
    }
}

static void on_ready(void *ctx)
{
    struct gdb *g = ctx;

    tool_session_introduce(&g->session);
    if ((g->session.info.spaces & SPACES) == 0) {
        tool_say("gdb",
                 "refused: this engineer may neither access memory nor control the CPU; "
                 "granted: %s",
                 g->session.host->debugger.grants);
        g->exit_code = PST_EXIT_REFUSED;
        g->done = true;
        return;
    }
    if (is_stderr_gdbs(g)) {
        leave_stderr();
    }
    g->began_ms = pst_process_now_ms(NULL);
    g->started = true;
    pst_gdb_server_start(&g->server);
}

static void on_event(void *ctx, uint8_t space, struct pst_bytes payload)
{
    struct gdb *g = ctx;
    if (space == PST_AS_RUN && g->started) {
        pst_gdb_server_event(&g->server, payload);
    }
}

static void on_ended(void *ctx)
{
    struct gdb *g = ctx;
    if (g->done) {
        return; /* ended by this side */
    }
    g->exit_code = g->session.exit_code;
    tool_say("gdb", "%s", g->session.text);
    if (g->started) {
        pst_gdb_server_lost(&g->server, g->session.text); /* gdb learns it with its next packet */
    } else {
        g->done = true;
    }
}

/* --- gdb's side --- */

static void flush_output(struct gdb *g);

static void on_written(uv_write_t *req, int status)
{
    struct gdb *g = req->data;
    g->writing = false;
    if (status != 0) {
        g->done = true; /* gdb has closed the connection */
    } else {
        flush_output(g);
    }
}

static void flush_output(struct gdb *g)
{
    struct pst_bytes p;
    while (g->out != NULL && !g->writing && !g->done &&
           (p = pst_gdb_server_pending(&g->server)).len > 0) {
        size_t n = p.len < sizeof g->output ? p.len : sizeof g->output;
        memcpy(g->output, p.at, n);
        pst_gdb_server_sent(&g->server, n);
        uv_buf_t buf = uv_buf_init((char *)g->output, (unsigned)n);
        int sent = uv_try_write(g->out, &buf, 1);
        if (sent == (int)n) {
            continue;
        }
        size_t at = sent > 0 ? (size_t)sent : 0;
        buf = uv_buf_init((char *)g->output + at, (unsigned)(n - at));
        g->write.data = g;
        g->writing = uv_write(&g->write, g->out, &buf, 1, on_written) == 0;
        g->done = !g->writing;
    }
    if (g->out != NULL && !g->writing && pst_gdb_server_ended(&g->server)) {
        g->done = true;
    }
}

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    struct gdb *g = handle->data;
    (void)hint;
    *buf = uv_buf_init((char *)g->input, sizeof g->input);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf);

/* Gives the server as much input as it takes; continues reading once all is taken. */
static void feed(struct gdb *g)
{
    if (g->in == NULL || g->done) {
        return;
    }
    while (g->input_at < g->input_len) {
        size_t n =
            pst_gdb_server_receive(&g->server, g->input + g->input_at, g->input_len - g->input_at);
        if (n == 0) {
            break;
        }
        g->input_at += n;
    }
    bool empty = g->input_at == g->input_len;
    if (empty && !g->reading) {
        g->reading = uv_read_start(g->in, on_alloc, on_read) == 0;
    } else if (!empty && g->reading) {
        (void)uv_read_stop(g->in);
        g->reading = false;
    }
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct gdb *g = stream->data;
    (void)buf;
    if (got < 0) {
        g->done = true; /* gdb has closed the connection */
        return;
    }
    g->input_at = 0;
    g->input_len = (size_t)got;
    feed(g);
}

static void on_timer(uv_timer_t *timer)
{
    (void)timer;
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct gdb *g = prepare->data;
    feed(g);
    flush_output(g);
    uint64_t wait = pst_gdb_server_poll(&g->server, pst_process_now_ms(NULL));
    flush_output(g); /* the keepalive */
    if (g->started && !g->session.over) {
        pst_debugger_host_flush(g->session.host);
    }
    if (wait != UINT64_MAX) {
        (void)uv_timer_start(&g->timer, on_timer, wait > 0 ? wait : 1, 0);
    }
    if (g->done) {
        uv_stop(&g->session.loop);
    }
}

static void on_term(uv_signal_t *handle, int number)
{
    struct gdb *g = handle->data;
    (void)number;
    g->done = true;
}

static bool is_stream(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

static int open_pipe(struct gdb *g)
{
    if (!is_stream(STDIN_FILENO) || !is_stream(STDOUT_FILENO)) {
        tool_say("gdb",
                 "stdin or stdout is not a pipe; start it from gdb with target extended-remote | "
                 "postern gdb ..., or use --unix or --port");
        return PST_EXIT_USAGE;
    }
    int rc = uv_pipe_init(&g->session.loop, &g->in_.io.pipe, 0);
    g->in_.open = rc == 0;
    rc = rc == 0 ? uv_pipe_open(&g->in_.io.pipe, STDIN_FILENO) : rc;
    rc = rc == 0 ? uv_pipe_init(&g->session.loop, &g->out_.io.pipe, 0) : rc;
    g->out_.open = rc == 0;
    rc = rc == 0 ? uv_pipe_open(&g->out_.io.pipe, STDOUT_FILENO) : rc;
    if (rc != 0) {
        tool_say("gdb", "stdin and stdout: expected pipes or sockets: %s", uv_strerror(rc));
        return PST_EXIT_LOCAL;
    }
    g->in_.io.handle.data = g->out_.io.handle.data = g;
    g->in = &g->in_.io.stream;
    g->out = &g->out_.io.stream;
    return tool_session_open(&g->session);
}

static void on_gdb(uv_stream_t *listener, int status)
{
    struct gdb *g = listener->data;
    if (status != 0 || g->in != NULL) {
        return; /* only one gdb is served */
    }
    if (pst_socket_accept(listener, &g->in_, g) != PST_OK) {
        pst_socket_close(&g->in_, NULL);
        g->done = true;
        g->exit_code = PST_EXIT_LOCAL;
        return;
    }
    pst_socket_close(&g->listener, NULL);
    g->in = g->out = &g->in_.io.stream;
    int code = tool_session_open(&g->session);
    if (code != PST_EXIT_OK) {
        g->exit_code = code;
        g->done = true;
    }
}

static int open_listener(struct gdb *g)
{
    char text[PST_ADDRESS_TEXT + 8], why[512];

    if (g->local != NULL) {
        snprintf(text, sizeof text, "unix:%s", g->local);
    } else {
        snprintf(text, sizeof text, "tcp:127.0.0.1:%d", g->port);
    }
    if (pst_address_parse_socket(&g->address, pst_schemes, text, why, sizeof why) != PST_OK) {
        tool_say("gdb", "%s", why);
        return PST_EXIT_USAGE;
    }
    if (pst_socket_listen(&g->session.loop, &g->listener, &g->address, on_gdb, g, why,
                          sizeof why) != PST_OK) {
        tool_say("gdb", "%s", why);
        return PST_EXIT_LOCAL;
    }
    if (g->local != NULL) {
        tool_say("gdb", "waiting for gdb: target extended-remote %s", g->local);
    } else {
        tool_say("gdb", "waiting for gdb: target extended-remote 127.0.0.1:%d",
                 pst_socket_port(&g->listener));
    }
    return PST_EXIT_OK;
}

/* --- the command --- */

static json_t *summarise(const struct gdb *g)
{
    const struct pst_gdb_counters *n = pst_gdb_server_counts(&g->server);
    const struct pst_debugger_host *h = g->session.host;
    const struct pst_link_counts *l = h->two ? &h->data.counts : &h->link.counts;
    const struct pst_session_info info = g->session.info;
    json_t *o = json_object();

    json_object_set_new(o, "engineer", json_string(g->session.identity.name));
    if (g->started) {
        json_object_set_new(o, "device", json_string(info.device->device));
        json_object_set_new(o, "spdm", json_sprintf("1.%u", info.spdm_minor));
        json_object_set_new(
            o, "suite",
            json_sprintf("%s, %s, %s, %s", info.signature, info.exchange, info.hash, info.aead));
        json_object_set_new(o, "session", json_sprintf("0x%08" PRIx32, info.session_id));
        json_object_set_new(o, "grants", json_string(g->session.host->debugger.grants));
    }
    json_object_set_new(o, "gdb_packets", json_integer((json_int_t)n->packets));
    json_object_set_new(o, "round_trips", json_integer((json_int_t)n->round_trips));
    json_object_set_new(o, "resumes", json_integer((json_int_t)n->resumes));
    json_object_set_new(o, "commands", json_integer((json_int_t)g->session.host->commands));
    json_object_set_new(o, "errors", json_integer((json_int_t)n->errors));
    json_object_set_new(o, "link",
                        json_pack("{s:I, s:I, s:I, s:I, s:I}", "round_trips",
                                  (json_int_t)l->round_trips, "records_out",
                                  (json_int_t)l->records_out, "records_in",
                                  (json_int_t)l->records_in, "bytes_out", (json_int_t)l->bytes_out,
                                  "bytes_in", (json_int_t)l->bytes_in));
    json_object_set_new(o, "exit", json_integer(g->exit_code));
    return o;
}

static int start(struct gdb *g)
{
    size_t len = PST_GDB_MEMORY(PACKET_SIZE, DESCRIPTION_SIZE) + CACHE_SIZE;
    struct pst_gdb_server_config config = {
        .backend = {.ctx = g, .submit = submit, .monitor = monitor},
        .memory = g->memory = calloc(1, len),
        .memory_len = len,
        .packet_size = PACKET_SIZE,
        .description_size = DESCRIPTION_SIZE,
        .bare_metal = g->keep_osabi == 0,
    };
    config.backend.notice = is_stderr_gdbs(g) ? NULL : notice;
    if (g->memory == NULL || pst_gdb_server_init(&g->server, &config) != PST_OK ||
        uv_timer_init(&g->session.loop, &g->timer) != 0 ||
        uv_prepare_init(&g->session.loop, &g->prepare) != 0 ||
        uv_signal_init(&g->session.loop, &g->term) != 0) {
        tool_say("gdb", "out of memory or file descriptors");
        return PST_EXIT_LOCAL;
    }
    g->timer.data = g->prepare.data = g->term.data = g;
    (void)uv_prepare_start(&g->prepare, on_prepare);
    (void)uv_signal_start(&g->term, on_term, SIGTERM);
    return g->local != NULL || g->port >= 0 ? open_listener(g) : open_pipe(g);
}

static void close_handles(struct gdb *g)
{
    pst_socket_close(&g->listener, NULL);
    pst_socket_close(&g->in_, NULL);
    pst_socket_close(&g->out_, NULL);
    if (g->prepare.data != NULL) {
        uv_close((uv_handle_t *)&g->timer, NULL);
        uv_close((uv_handle_t *)&g->prepare, NULL);
        uv_close((uv_handle_t *)&g->term, NULL);
    }
}

static int write_summary(struct gdb *g)
{
    int rc = json_dump_file(g->result, g->summary, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    if (rc != 0) {
        tool_say("gdb", "--summary %s: cannot be written", g->summary);
        return PST_EXIT_LOCAL;
    }
    return PST_EXIT_OK;
}

static int run(struct gdb *g, const char *link)
{
    if (g->local == NULL && g->port < 0) {
        (void)signal(SIGINT, SIG_IGN); /* gdb sends its interrupt through the pipe */
    }
    int code = tool_session_init(&g->session, "gdb", &g->options, link, SPACES);
    if (code != PST_EXIT_OK) {
        tool_session_close(&g->session);
        return code;
    }
    g->session.ready = on_ready;
    g->session.event = on_event;
    g->session.ended = on_ended;
    g->session.ctx = g;
    code = start(g);
    while (code == PST_EXIT_OK && !g->done) {
        (void)uv_run(&g->session.loop, UV_RUN_DEFAULT);
    }
    g->done = true;
    g->exit_code = code != PST_EXIT_OK ? code : g->exit_code;
    g->result = summarise(g);
    close_handles(g);
    tool_session_close(&g->session);
    if (g->summary != NULL && write_summary(g) != PST_EXIT_OK && g->exit_code == PST_EXIT_OK) {
        g->exit_code = PST_EXIT_LOCAL;
    }
    json_decref(g->result);
    free(g->memory);
    return g->exit_code;
}

int pst_cmd_gdb(int argc, char **argv)
{
    static struct gdb g = {.port = -1};
    struct poptOption session[] = {TOOL_SESSION_OPTIONS(&g.options), POPT_TABLEEND};
    const struct poptOption options[] = {
        {"unix",       '\0', POPT_ARG_STRING,        &g.local,      0,
         "serve one gdb at this Unix socket instead of stdin and stdout",               "PATH"},
        {"port",       '\0', POPT_ARG_INT,           &g.port,       0,
         "serve one gdb at this TCP port of the loopback interface (0: any free port)", "N"   },
        {"summary",    '\0', POPT_ARG_STRING,        &g.summary,    0,
         "at the end, write counts and the session to this file as JSON",               "FILE"},
        {"keep-osabi", '\0', POPT_ARG_NONE,          &g.keep_osabi, 0,
         "leave the target description as it is (default: bare metal)",                 NULL  },
        {NULL,         '\0', POPT_ARG_INCLUDE_TABLE, session,       0, "Session:",      NULL  },
        POPT_AUTOHELP POPT_TABLEEND,
    };
    poptContext popt = tool_options("gdb", argc, argv, options, "[OPTION...] LINK");
    int code = tool_take_options("gdb", popt);
    const char *link = poptGetArg(popt);
    if (code == PST_EXIT_OK && poptPeekArg(popt) != NULL) {
        tool_say("gdb", "too many arguments; expected one link");
        code = PST_EXIT_USAGE;
    } else if (code == PST_EXIT_OK && (g.port > 65535 || (g.local != NULL && g.port >= 0))) {
        tool_say("gdb", "expected either --unix PATH or --port N, with N at most 65535");
        code = PST_EXIT_USAGE;
    }
    code = code == PST_EXIT_OK ? run(&g, link) : code;
    poptFreeContext(popt);
    tool_session_options_free(&g.options);
    free(g.local);
    free(g.summary);
    return code;
}
