/* gdb's side and a real stub in one process: the gdb server, an SPP client, an SPP engine and the
 * stub client, without link, record and session. gdb starts it:
 *
 *     target extended-remote | gdb_harness STUB-SOCKET [COUNTS-FILE [RTT-MS]]
 *
 * It counts round trips as batches that leave the client, and writes what it counted to a file.
 * pst-link: gdb stub spp wire */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "postern/parts/gdb_server.h"
#include "postern/parts/stub.h"
#include "spp/open_gate.h"

#define PACKET 65536u
#define BATCH 60000u
#define MEMORY (PST_GDB_MEMORY(PACKET, 65536) + 262144)

struct harness {
    struct pst_gdb_server server;
    struct pst_spp_client client;
    struct pst_spp_engine engine;
    struct pst_stub stub;
    struct pst_space memory_space, run_space;
    const char *path;
    int stub_fd;
    unsigned batches, events;
    uint64_t rtt_ms, due_ms; /* a batch on its way arrives then */
    size_t batch_len;
    bool ready, gone;
    uint8_t memory[MEMORY], stub_buffer[65536], queue[65536], batch[BATCH], answer[BATCH];
    uint8_t from_gdb[65536];
    size_t from_gdb_len;
    uint8_t as_bits[4], as_stat[4];
    struct pst_spp_op init, request, set, stat;
};

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* GDB_HARNESS_TRACE=FILE: writes operations and the traffic between the stub and its client. */
static void trace(const char *what, const uint8_t *at, size_t len)
{
    static FILE *f;
    if (f == NULL && getenv("GDB_HARNESS_TRACE") != NULL) {
        f = fopen(getenv("GDB_HARNESS_TRACE"), "w");
    }
    if (f != NULL) {
        fprintf(f, "%s: %.*s\n", what, (int)len, (const char *)at);
        fflush(f);
    }
}

static pst_err open_stub(void *ctx, bool on)
{
    struct harness *h = ctx;
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (!on) {
        if (h->stub_fd >= 0) {
            close(h->stub_fd);
        }
        h->stub_fd = -1;
        return PST_OK;
    }
    snprintf(a.sun_path, sizeof a.sun_path, "%s", h->path);
    h->stub_fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (h->stub_fd < 0 || connect(h->stub_fd, (struct sockaddr *)&a, sizeof a) != 0) {
        perror(h->path);
        return PST_ERR_IO;
    }
    return PST_OK;
}

static void submit(void *ctx, struct pst_spp_op *op)
{
    struct harness *h = ctx;
    char text[80];
    int n =
        snprintf(text, sizeof text, "batch %u, opcode %d space %d address %llx len %u", h->batches,
                 (int)op->opcode, (int)op->space, (unsigned long long)op->address, op->len);
    trace("op", (const uint8_t *)text, (size_t)n);
    pst_spp_client_submit(&h->client, op);
}

static void notice(void *ctx, const char *text)
{
    (void)ctx;
    fprintf(stderr, "postern: %s\n", text);
}

static void event(void *ctx, struct pst_bytes payload, uint8_t space)
{
    struct harness *h = ctx;
    if (space == PST_AS_RUN) {
        h->events++;
        pst_gdb_server_event(&h->server, payload);
    }
}

static void enabled(void *ctx, struct pst_spp_op *op)
{
    struct harness *h = ctx;
    if (op->result != PST_OK || (h->as_stat[0] & 1u << PST_AS_RUN) == 0) {
        pst_gdb_server_lost(&h->server, "the access spaces could not be enabled");
        return;
    }
    h->batches = 0;
    pst_gdb_server_start(&h->server);
}

static void set_up(struct harness *h)
{
    static const struct pst_region map[] = {
        {0x80000000, 0x8001ffff, PST_REGION_RAM}
    };
    const struct pst_stub_config stub = {.map = map,
                                         .map_len = 1,
                                         .open = open_stub,
                                         .ctx = h,
                                         .buffer = h->stub_buffer,
                                         .buffer_len = sizeof h->stub_buffer};
    h->stub_fd = -1;
    if (pst_stub_init(&h->stub, &stub) != PST_OK) {
        fail("pst_stub_init");
    }
    h->memory_space = pst_stub_memory(&h->stub);
    h->run_space = pst_stub_run(&h->stub);
    const struct pst_spp_engine_config engine = {
        .spaces = {[PST_AS_MEMORY] = &h->memory_space, [PST_AS_RUN] = &h->run_space},
        .gate = &open_gate,
        .queue = h->queue,
        .queue_len = sizeof h->queue
    };
    const struct pst_gdb_server_config server = {
        .backend = {.ctx = h, .submit = submit, .notice = notice},
        .memory = h->memory,
        .memory_len = sizeof h->memory,
        .packet_size = PACKET,
        .description_size = 65536,
        .bare_metal = true
    };
    if (pst_spp_engine_init(&h->engine, &engine) != PST_OK ||
        pst_gdb_server_init(&h->server, &server) != PST_OK) {
        fail("init");
    }
    pst_spp_client_init(&h->client, PST_SPP_FULL, 16384, sizeof h->queue);
    h->client.event = event;
    h->client.ctx = h;
    h->as_bits[0] = 1u << PST_AS_MEMORY | 1u << PST_AS_RUN;
    h->init = (struct pst_spp_op){.opcode = PST_SPP_INIT};
    h->request = (struct pst_spp_op){.opcode = PST_SPP_WRITE_CONFIG,
                                     .address = PST_SPC_AS_AVAIL_REQ_SET,
                                     .data = h->as_bits,
                                     .len = 4};
    h->set = (struct pst_spp_op){
        .opcode = PST_SPP_WRITE_CONFIG, .address = PST_SPC_AS_EN_SET, .data = h->as_bits, .len = 4};
    h->stat = (struct pst_spp_op){.opcode = PST_SPP_READ_CONFIG,
                                  .address = PST_SPC_AS_EN_STAT,
                                  .data = h->as_stat,
                                  .len = 4,
                                  .done = enabled,
                                  .ctx = h};
    pst_spp_client_submit(&h->client, &h->init);
    pst_spp_client_submit(&h->client, &h->request);
    pst_spp_client_submit(&h->client, &h->set);
    pst_spp_client_submit(&h->client, &h->stat);
}

/* --- moving bytes --- */

static bool to_engine(struct harness *h)
{
    if (h->batch_len == 0) {
        h->batch_len = pst_spp_client_batch(&h->client, h->batch, sizeof h->batch);
        if (h->batch_len == 0) {
            return false;
        }
        h->batches++;
        h->due_ms = h->rtt_ms == 0 ? 0 : now_ms() + h->rtt_ms;
    }
    if (h->due_ms != 0 && now_ms() < h->due_ms) {
        return false;
    }
    if (pst_spp_engine_receive(&h->engine, h->batch, h->batch_len) != PST_OK) {
        fail("engine refuses a batch");
    }
    h->batch_len = 0;
    return true;
}

static bool from_engine(struct harness *h)
{
    size_t n = pst_spp_engine_output(&h->engine, h->answer, sizeof h->answer);
    if (n > 0 && pst_spp_client_receive(&h->client, h->answer, n) != PST_OK) {
        fail("client refuses an answer");
    }
    return n > 0;
}

static bool to_stub(struct harness *h)
{
    struct pst_bytes out = pst_stub_pending(&h->stub);
    if (out.len == 0 || h->stub_fd < 0) {
        return false;
    }
    trace("to stub", out.at, out.len);
    ssize_t n = write(h->stub_fd, out.at, out.len);
    if (n < 0) {
        pst_stub_closed(&h->stub);
        return true;
    }
    pst_stub_sent(&h->stub, (size_t)n);
    return true;
}

static bool to_gdb(struct harness *h)
{
    struct pst_bytes out = pst_gdb_server_pending(&h->server);
    if (out.len == 0 || h->gone) {
        return false;
    }
    ssize_t n = write(STDOUT_FILENO, out.at, out.len);
    if (n < 0) {
        h->gone = true;
        return false;
    }
    pst_gdb_server_sent(&h->server, (size_t)n);
    return true;
}

static bool to_server(struct harness *h)
{
    size_t n = pst_gdb_server_receive(&h->server, h->from_gdb, h->from_gdb_len);
    memmove(h->from_gdb, h->from_gdb + n, h->from_gdb_len - n);
    h->from_gdb_len -= n;
    return n > 0;
}

static void wait_for_more(struct harness *h)
{
    struct pollfd fds[2] = {
        {.fd = STDIN_FILENO, .events = POLLIN},
        {.fd = h->stub_fd,   .events = POLLIN}
    };
    uint8_t bytes[65536];
    uint64_t beat = pst_gdb_server_poll(&h->server, now_ms());
    int ms = h->batch_len > 0 ? 1 : beat > 1000 ? 1000 : (int)beat;
    if (h->from_gdb_len == sizeof h->from_gdb) {
        fds[0].fd = -1;
    }
    if (poll(fds, 2, ms) < 0) {
        fail("poll");
    }
    if (fds[0].revents != 0) {
        ssize_t n =
            read(STDIN_FILENO, h->from_gdb + h->from_gdb_len, sizeof h->from_gdb - h->from_gdb_len);
        h->gone = n <= 0;
        h->from_gdb_len += n > 0 ? (size_t)n : 0;
    }
    if (fds[1].revents != 0) {
        ssize_t n = read(h->stub_fd, bytes, sizeof bytes);
        if (n > 0) {
            trace("from stub", bytes, (size_t)n);
            pst_stub_receive(&h->stub, bytes, (size_t)n);
        } else {
            pst_stub_closed(&h->stub);
            close(h->stub_fd);
            h->stub_fd = -1;
        }
    }
}

static bool move_bytes(struct harness *h)
{
    bool moved = to_server(h);
    moved = to_engine(h) || moved;
    moved = from_engine(h) || moved;
    moved = to_stub(h) || moved;
    return to_gdb(h) || moved;
}

/* GDB_HARNESS_LISTEN=PATH: gdb connects by a Unix socket. With `target remote | command` gdb 13
 * checks the command's stderr before each character, which takes more time than all the rest. */
static void listen_for_gdb(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 1) != 0) {
        fail(path);
    }
    int gdb = accept(fd, NULL, NULL);
    if (gdb < 0 || dup2(gdb, STDIN_FILENO) < 0 || dup2(gdb, STDOUT_FILENO) < 0) {
        fail(path);
    }
    close(gdb);
    close(fd);
}

static void report(const struct harness *h, const char *path)
{
    const struct pst_gdb_counters *c = pst_gdb_server_counts(&h->server);
    FILE *f = path != NULL ? fopen(path, "w") : NULL;
    if (f == NULL) {
        return;
    }
    fprintf(f,
            "packets %llu\nround_trips %llu\nresumes %llu\nbatches %u\nevents %u\nhits %llu\n"
            "misses %llu\nahead %llu\ngathered %llu\nerrors %llu\n",
            (unsigned long long)c->packets, (unsigned long long)c->round_trips,
            (unsigned long long)c->resumes, h->batches, h->events, (unsigned long long)c->hits,
            (unsigned long long)c->misses, (unsigned long long)c->ahead,
            (unsigned long long)c->gathered, (unsigned long long)c->errors);
    fclose(f);
}

int main(int argc, char **argv)
{
    static struct harness h;
    if (argc < 2) {
        fprintf(stderr, "usage: %s STUB-SOCKET [COUNTS-FILE [RTT-MS]]\n", argv[0]);
        return 2;
    }
    h.path = argv[1];
    h.rtt_ms = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
    if (getenv("GDB_HARNESS_LISTEN") != NULL) {
        listen_for_gdb(getenv("GDB_HARNESS_LISTEN"));
    }
    if (getenv("GDB_HARNESS_MUTE") != NULL) {
        close(STDERR_FILENO);
    }
    set_up(&h);
    while (!h.gone && !(pst_gdb_server_ended(&h.server))) {
        while (move_bytes(&h)) {
        }
        wait_for_more(&h);
    }
    report(&h, argc > 2 ? argv[2] : NULL);
    /* Releases the stub like the end of a session. */
    for (int i = 0; i < 200 && pst_spp_engine_stop(&h.engine) == PST_PENDING; i++) {
        struct pollfd fd = {.fd = h.stub_fd, .events = POLLIN};
        uint8_t bytes[4096];
        while (to_stub(&h)) {
        }
        if (poll(&fd, 1, 10) > 0) {
            ssize_t n = read(h.stub_fd, bytes, sizeof bytes);
            if (n <= 0) {
                pst_stub_closed(&h.stub);
                break;
            }
            pst_stub_receive(&h.stub, bytes, (size_t)n);
        }
    }
    return 0;
}
