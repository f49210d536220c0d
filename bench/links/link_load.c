/* Moves memory over any link, with and without the security layer.
 *
 *   link_load serve LINK                        runs a TS without security: the same framing and
 *                                               SPP engine, no records
 *   link_load read LINK SECONDS                 reads from a TS without security
 *   link_load read LINK SECONDS ID TRUST        reads from a `postern target`
 *   link_load rtt LINK COUNT [ID TRUST]         reads 64 bytes COUNT times, one after the other
 *
 * `read` prints bytes per second, `rtt` the median round trip in microseconds. Bytes and time are
 * counted up to the last message that arrived, because a message takes a large part of a second on
 * a slow link. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "openssl/openssl_port.h"
#include "posix/host/debugger_host.h"
#include "posix/links/mqtt/mqtt.h"
#include "posix/links/table.h"
#include "tests/spp/open_gate.h"

#define BASE 0x80000000u
#define SIZE (1u << 20)
#define DEPTH 2 /* operations in progress; each needs many packets */
#define SMALL 64
#define MOST_TRIPS 100000

static uint8_t memory[SIZE];

static void fail(const char *what)
{
    fprintf(stderr, "link_load: %s\n", what);
    exit(1);
}

/* --- a TS without security --- */

struct server {
    struct pst_link link;
    struct pst_spp_engine engine;
    bool used;
    uint8_t queue[128 * 1024];
};

static uv_loop_t loop;
static struct server server;

static uint8_t any_right(void *ctx, uint64_t address, bool write)
{
    (void)ctx, (void)address;
    return write ? PST_RIGHT_WRITE : PST_RIGHT_READ;
}

static pst_err perform(void *ctx, struct pst_access *a)
{
    (void)ctx;
    if (a->address < BASE || a->address - BASE > SIZE || a->len > SIZE - (a->address - BASE)) {
        return PST_ERR_FAULT;
    }
    memcpy(a->data, memory + (a->address - BASE), a->len);
    return PST_OK;
}

static const struct pst_space space = {.right = any_right, .perform = perform, .urgent_first = 1};

static void served_up(void *ctx, struct pst_link *link)
{
    (void)ctx, (void)link;
    const struct pst_spp_engine_config config = {.spaces[PST_AS_MEMORY] = &space,
                                                 .gate = &open_gate,
                                                 .queue = server.queue,
                                                 .queue_len = sizeof server.queue};
    if (pst_spp_engine_init(&server.engine, &config) != PST_OK) {
        fail("engine");
    }
}

static pst_err served_message(void *ctx, struct pst_link *link, uint8_t kind, uint8_t *msg,
                              size_t len)
{
    (void)ctx, (void)link, (void)kind;
    return pst_spp_engine_receive(&server.engine, msg, len);
}

static size_t served_output(void *ctx, struct pst_link *link, uint8_t *kind, uint8_t *out,
                            size_t cap)
{
    (void)ctx, (void)link;
    *kind = PST_LINK_CLEAR;
    /* As much as a record holds, so that both servers use messages of the same size. */
    return pst_spp_engine_output(&server.engine, out,
                                 cap < PST_RECORD_MAX_PAYLOAD ? cap : PST_RECORD_MAX_PAYLOAD);
}

static void served_down(void *ctx, struct pst_link *link, pst_err why, const char *text)
{
    (void)ctx, (void)link, (void)why, (void)text;
    server.used = false;
}

static const struct pst_link_config served = {.target = true,
                                              .up = served_up,
                                              .message = served_message,
                                              .output = served_output,
                                              .down = served_down};

static void on_peer(void *ctx, struct pst_carrier *c)
{
    (void)ctx;
    if (!server.used) {
        server.used = pst_link_accept(&server.link, &loop, &served, c) == PST_OK;
    }
}

static const struct pst_listener_events listener_events = {.peer = on_peer};

static int serve(const struct pst_address *at)
{
    struct pst_listener *listener;
    char why[512];

    if (pst_carrier_listen(&loop, at, &listener_events, NULL, &listener, why, sizeof why) !=
        PST_OK) {
        fail(why);
    }
    fprintf(stderr, "listens at %s\n", listener->place);
    return uv_run(&loop, UV_RUN_DEFAULT);
}

/* --- readers: over a session, or over the link without security --- */

static struct {
    bool secure, rtt, over;
    struct pst_debugger_host *host;
    struct pst_link *link;
    struct pst_spp_client client;
    struct pst_spp_op setup[3], ops[DEPTH];
    uint8_t words[2][4];
    uint64_t moved, began, end_ns;
    uint64_t counted, counted_at; /* bytes received, and when */
    size_t trips, wanted;
} me;
static uint32_t trips[MOST_TRIPS];
static uint8_t sink[DEPTH][SIZE];

static void submit(struct pst_spp_op *op)
{
    if (me.secure) {
        pst_debugger_host_submit(me.host, op);
    } else {
        pst_spp_client_submit(&me.client, op);
    }
}

static void done(void *ctx, struct pst_spp_op *op);

static void read_again(size_t i)
{
    me.ops[i] = (struct pst_spp_op){.opcode = PST_SPP_READ,
                                    .space = PST_AS_MEMORY,
                                    .address = BASE,
                                    .data = sink[i],
                                    .len = me.rtt ? SMALL : SIZE,
                                    .result = PST_PENDING,
                                    .done = done,
                                    .ctx = &me.ops[i]};
    if (me.rtt) {
        me.began = uv_hrtime();
    }
    submit(&me.ops[i]);
}

static int by_value(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void count(void)
{
    uint64_t all = me.moved;

    for (size_t i = 0; i < DEPTH; i++) {
        all += me.ops[i].result == PST_PENDING ? me.ops[i].moved : 0;
    }
    if (all != me.counted) {
        me.counted = all;
        me.counted_at = uv_hrtime();
    }
}

static void report(void)
{
    if (me.rtt) {
        qsort(trips, me.trips, sizeof *trips, by_value);
        printf("%.3f\n", trips[me.trips / 2] / 1000.0);
    } else {
        printf("%.0f\n", (double)me.counted * 1e9 / (double)(me.counted_at - me.began));
    }
    me.over = true; /* closes properly, so that the target is free for the next session */
    if (me.secure) {
        pst_debugger_host_stop(me.host);
    } else {
        pst_link_close(me.link, PST_ERR_CLOSED);
    }
}

static void done(void *ctx, struct pst_spp_op *op)
{
    (void)ctx;
    const uint64_t now = uv_hrtime();

    if (me.over) {
        return;
    }
    if (op->result != PST_OK || op->moved != op->len) {
        fail(pst_err_text(op->result));
    }
    me.moved += op->moved;
    if (me.rtt) {
        trips[me.trips++] = (uint32_t)(now - me.began);
    }
    if (me.rtt && me.trips == me.wanted) {
        report();
        return;
    }
    read_again((size_t)(op - me.ops));
}

static void on_tick(uv_timer_t *timer)
{
    count();
    if (me.counted > 0 && uv_hrtime() >= me.end_ns) {
        uv_close((uv_handle_t *)timer, NULL);
        report();
    }
}

static void begin(void)
{
    static uv_timer_t tick;

    me.began = uv_hrtime();
    me.end_ns = me.began + me.wanted * 1000000000u;
    if (!me.rtt) {
        (void)uv_timer_init(&loop, &tick);
        (void)uv_timer_start(&tick, on_tick, 1, 1);
    }
    for (size_t i = 0; i < (me.rtt ? 1 : DEPTH); i++) {
        read_again(i);
    }
}

static void opened(void *ctx, struct pst_spp_op *op)
{
    (void)ctx;
    if (op->result != PST_OK) {
        fail("the memory cannot be opened");
    }
    if (op == &me.setup[2]) {
        begin();
    }
}

static void plain_up(void *ctx, struct pst_link *link)
{
    static const struct {
        pst_spp_opcode opcode;
        uint64_t address;
    } steps[3] = {
        {PST_SPP_INIT,         0                       },
        {PST_SPP_WRITE_CONFIG, PST_SPC_AS_AVAIL_REQ_SET},
        {PST_SPP_WRITE_CONFIG, PST_SPC_AS_EN_SET       }
    };
    (void)ctx;
    pst_spp_client_init(&me.client, PST_SPP_FULL,
                        link->traits.mtu - PST_RECORD_OVERHEAD - PST_SPP_FULL_HEADER,
                        sizeof server.queue);
    for (size_t i = 0; i < 3; i++) {
        if (i > 0) {
            pst_poke_u32(me.words[i - 1], 1u << PST_AS_MEMORY);
        }
        me.setup[i] = (struct pst_spp_op){.opcode = steps[i].opcode,
                                          .address = steps[i].address,
                                          .data = i > 0 ? me.words[i - 1] : NULL,
                                          .len = i > 0 ? 4 : 0,
                                          .result = PST_PENDING,
                                          .done = opened};
        submit(&me.setup[i]);
    }
}

static pst_err plain_message(void *ctx, struct pst_link *link, uint8_t kind, uint8_t *msg,
                             size_t len)
{
    (void)ctx, (void)link, (void)kind;
    return pst_spp_client_receive(&me.client, msg, len);
}

static size_t plain_output(void *ctx, struct pst_link *link, uint8_t *kind, uint8_t *out,
                           size_t cap)
{
    (void)ctx, (void)link;
    *kind = PST_LINK_CLEAR;
    return pst_spp_client_batch(&me.client, out, cap);
}

static void plain_down(void *ctx, struct pst_link *link, pst_err why, const char *text)
{
    (void)ctx, (void)link, (void)why;
    if (!me.over) {
        fail(text);
    }
}

static const struct pst_link_config plain = {
    .up = plain_up, .message = plain_message, .output = plain_output, .down = plain_down};

static void on_ready(void *ctx)
{
    (void)ctx;
    begin();
}

static void on_ended(void *ctx, pst_end end, const char *text)
{
    (void)ctx, (void)end;
    if (!me.over) {
        fail(text);
    }
}

static void open_session(const struct pst_address *to, const char *id, const char *anchors)
{
    static struct pst_identity identity;
    static struct pst_trust trust;
    char why[768];

    if (pst_trust_init(&trust) != PST_OK || pst_trust_add(&trust, anchors, why, sizeof why) ||
        pst_identity_load(&identity, id, why, sizeof why) != PST_OK) {
        fail(why);
    }
    const struct pst_debugger_host_config config = {.identity = &identity,
                                                    .trust = &trust,
                                                    .spaces = 1u << PST_AS_MEMORY,
                                                    .ready = on_ready,
                                                    .ended = on_ended};
    me.secure = true;
    me.host = pst_secret_alloc(sizeof *me.host);
    if (me.host == NULL ||
        pst_debugger_host_start(me.host, &loop, &config, to, NULL, why, sizeof why) != PST_OK) {
        fail(why);
    }
}

static void open_plain(const struct pst_address *to)
{
    static struct pst_link link;
    char why[512];

    me.link = &link;
    if (pst_link_connect(&link, &loop, &plain, to, why, sizeof why) != PST_OK) {
        fail(why);
    }
}

int main(int argc, char **argv)
{
    struct pst_address address;
    char why[512];

    pst_mqtt_enter(argc, argv);
    (void)signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < SIZE; i++) {
        memory[i] = (uint8_t)(i * 2654435761u >> 13);
    }
    if (argc < 3 || uv_loop_init(&loop) != 0) {
        fail("expected serve LINK, read LINK SECONDS [ID TRUST] or rtt LINK COUNT [ID TRUST]");
    }
    if (pst_address_parse(&address, pst_schemes, argv[2], why, sizeof why) != PST_OK) {
        fail(why);
    }
    if (strcmp(argv[1], "serve") == 0) {
        return serve(&address);
    }
    me.rtt = strcmp(argv[1], "rtt") == 0;
    me.wanted = argc > 3 ? (size_t)strtoul(argv[3], NULL, 10) : 0;
    if (me.wanted == 0 || me.wanted > MOST_TRIPS || (argc != 4 && argc != 6)) {
        fail("expected a number, and both or none of ID and TRUST");
    }
    if (argc == 6) {
        open_session(&address, argv[4], argv[5]);
    } else {
        open_plain(&address);
    }
    return uv_run(&loop, UV_RUN_DEFAULT);
}
