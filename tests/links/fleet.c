/* A fleet behind one broker: many devices in one process, many sessions in another.
 *
 *     fleet targets LINK COUNT
 *         makes keys in ca/ and fleet/, serves COUNT devices until SIGTERM
 *     fleet sessions LINK COUNT AT_ONCE
 *         opens one session with each device, AT_ONCE at a time
 *
 * LINK is `HOST:PORT,option=value...`. Every device announces itself with its own connection. When
 * it is called it becomes a complete TS (SPDM responder, records, policy, SPP engine); its memory
 * contains its device id. Every session is mutually authenticated for that id and reads it.
 *
 * pst-link: all */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "openssl/pki.h"
#include "posix/host/debugger_host.h"
#include "posix/host/process.h"
#include "posix/links/mqtt/mqtt.h"
#include "posix/links/table.h"
#include "postern/target.h"

enum { CONTEXTS = 2, QUEUE = 16384, MEMORY = 64, BASE = 0x1000, TRIES = 3, TICK_MS = 50 };

static uv_loop_t loop;
static uv_prepare_t prepare;
static uv_timer_t timer;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "fleet: %s: %s\n", what, why);
    exit(1);
}

static void must(pst_err err, const char *what, const char *why)
{
    if (err != PST_OK) {
        die(what, why);
    }
}

static void on_timer(uv_timer_t *t)
{
    (void)t;
}

static void start_loop(uv_prepare_cb on_prepare)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    if (uv_loop_init(&loop) != 0 || uv_prepare_init(&loop, &prepare) != 0 ||
        uv_timer_init(&loop, &timer) != 0 || uv_prepare_start(&prepare, on_prepare) != 0 ||
        uv_timer_start(&timer, on_timer, TICK_MS, TICK_MS) != 0) {
        die("loop", "no resources");
    }
}

static void device_id(char out[PST_MAX_NAME], unsigned number)
{
    snprintf(out, PST_MAX_NAME, "Acme:Pump:%04u", number);
}

static void device_address(struct pst_address *a, const char *scheme, const char *link,
                           const char *device)
{
    char text[PST_ADDRESS_TEXT], why[640];
    const size_t end = strcspn(link, ",");

    snprintf(text, sizeof text, "%s:%.*s/%s%s", scheme, (int)end, link, device, link + end);
    must(pst_address_parse(a, pst_schemes, text, why, sizeof why), text, why);
}

/* --- the devices --- */

struct call { /* one connection, and the TS that serves it */
    struct call *next;
    struct device *device;
    struct pst_link link;
    struct pst_identity identity;
    struct pst_spdm_config spdm;
    struct pst_target_config config;
    struct pst_target target;
    struct pst_space space;
    struct pst_target_context contexts[CONTEXTS];
    uint8_t queues[CONTEXTS][QUEUE], mailboxes[CONTEXTS][2 * PST_PROFILE_TRANSFER];
    char memory[MEMORY];
    bool up, ending, gone;
};

struct device {
    char id[PST_MAX_NAME];
    struct pst_listener *listener;
};

static struct {
    struct device *devices;
    struct call *calls;
    unsigned count, announced, open, most;
    struct pst_trust engineers;
    struct pst_policy policy;
    bool stopping;
} fleet;

static uint8_t memory_right(void *ctx, uint64_t address, bool write)
{
    (void)ctx;
    (void)address;
    return write ? PST_RIGHT_WRITE : PST_RIGHT_READ;
}

static pst_err memory_perform(void *ctx, struct pst_access *a)
{
    const struct call *c = ctx;

    if (a->write || a->address < BASE || a->address - BASE > MEMORY ||
        a->len > MEMORY - (a->address - BASE)) {
        return PST_ERR_FAULT;
    }
    memcpy(a->data, c->memory + (a->address - BASE), a->len);
    return PST_OK;
}

static pst_err audit_line(void *ctx, const char *line, size_t len, enum pst_audit_when when)
{
    (void)ctx;
    (void)line;
    (void)len;
    (void)when;
    return PST_OK;
}

static uint64_t audit_wall(void *ctx)
{
    (void)ctx;
    return (uint64_t)time(NULL);
}

static void call_up(void *ctx, struct pst_link *link)
{
    struct call *c = link->owner;

    (void)ctx;
    must(pst_target_link_up(&c->target, 1, &link->traits), c->device->id, "link up");
    c->up = true;
}

static pst_err call_message(void *ctx, struct pst_link *link, uint8_t kind, uint8_t *msg,
                            size_t len)
{
    struct call *c = link->owner;

    (void)ctx;
    return pst_target_receive(&c->target, 1, kind, msg, len);
}

static size_t call_output(void *ctx, struct pst_link *link, uint8_t *kind, uint8_t *out, size_t cap)
{
    struct call *c = link->owner;

    (void)ctx;
    return pst_target_output(&c->target, 1, kind, out, cap);
}

static void call_down(void *ctx, struct pst_link *link, pst_err why, const char *text)
{
    struct call *c = link->owner;

    (void)ctx;
    if (c->up) {
        pst_target_link_down(&c->target, 1);
    }
    if (why != PST_OK && why != PST_ERR_CLOSED && !fleet.stopping) {
        fprintf(stderr, "fleet: %s: %s\n", c->device->id, text);
    }
    c->gone = true;
}

static const struct pst_link_config call_config = {
    .target = true,
    .hello_ms = 20000,
    .up = call_up,
    .message = call_message,
    .output = call_output,
    .down = call_down,
};

static void init_target(struct call *c)
{
    struct pst_target_buffers buffers[CONTEXTS];

    pst_profile_target(&c->spdm, &(const struct pst_profile_parts){
                                     .crypto = pst_openssl_crypto(),
                                     .slot = &c->identity.slot,
                                     .verifier = &fleet.engineers.verifier,
                                     .now_ms = pst_process_now_ms,
                                 });
    c->spdm.heartbeat_s = 0;
    snprintf(c->memory, sizeof c->memory, "the memory of %.40s", c->device->id);
    c->space = (struct pst_space){.ctx = c,
                                  .right = memory_right,
                                  .perform = memory_perform,
                                  .urgent_first = 1,
                                  .urgent_last = 0};
    c->config = (struct pst_target_config){
        .spdm = &c->spdm,
        .policy = &fleet.policy,
        .device = c->identity.name,
        .audit = {.line = audit_line, .wall_s = audit_wall},
        .handshake_ms = 60000,
    };
    c->config.spaces[PST_AS_MEMORY] = &c->space;
    for (size_t i = 0; i < CONTEXTS; i++) {
        buffers[i] = (struct pst_target_buffers){
            .queue = c->queues[i],
            .queue_len = QUEUE,
            .mailbox = c->mailboxes[i],
            .mailbox_len = sizeof c->mailboxes[i],
        };
    }
    must(pst_target_init(&c->target, &c->config, c->contexts, buffers, CONTEXTS), "target",
         c->device->id);
}

static void on_peer(void *ctx, struct pst_carrier *carrier)
{
    struct device *d = ctx;
    struct call *c = calloc(1, sizeof *c);
    char dir[128], why[512];

    if (c == NULL) {
        die(d->id, "no memory");
    }
    c->device = d;
    snprintf(dir, sizeof dir, "fleet/%s", d->id);
    must(pst_identity_load(&c->identity, dir, why, sizeof why), d->id, why);
    init_target(c);
    c->link.owner = c;
    must(pst_link_accept(&c->link, &loop, &call_config, carrier), d->id, "link");
    c->next = fleet.calls;
    fleet.calls = c;
    fleet.open++;
    fleet.most = fleet.open > fleet.most ? fleet.open : fleet.most;
}

static void on_note(void *ctx, const char *text)
{
    const struct device *d = ctx;

    if (strstr(text, "is announced") == NULL) {
        fprintf(stderr, "fleet: %s: %s\n", d->id, text);
    } else if (++fleet.announced == fleet.count) {
        printf("%u announced\n", fleet.announced);
        (void)fflush(stdout);
    }
}

static const struct pst_listener_events listener_events = {.peer = on_peer, .note = on_note};

static void serve_calls(uv_prepare_t *p)
{
    (void)p;
    for (struct call **at = &fleet.calls, *c = *at; c != NULL; c = *at) {
        if (c->gone) {
            *at = c->next;
            pst_identity_free(&c->identity);
            free(c);
            fleet.open--;
            continue;
        }
        (void)pst_target_poll(&c->target);
        if (c->up) {
            pst_link_pump(&c->link);
        }
        if (c->up && !c->ending && !c->gone &&
            (pst_target_wants_close(&c->target, 1) || fleet.stopping)) {
            c->ending = true;
            pst_link_close(&c->link, PST_ERR_CLOSED);
        }
        at = &c->next;
    }
    if (fleet.stopping && fleet.calls == NULL && uv_is_active((uv_handle_t *)&prepare)) {
        (void)uv_prepare_stop(&prepare);
        uv_close((uv_handle_t *)&prepare, NULL);
        uv_close((uv_handle_t *)&timer, NULL);
    }
}

static void on_signal(uv_signal_t *signal, int number)
{
    (void)number;
    fleet.stopping = true;
    for (unsigned i = 0; i < fleet.count; i++) {
        pst_listener_close(fleet.devices[i].listener);
    }
    uv_close((uv_handle_t *)signal, NULL);
}

static void make_keys(unsigned count)
{
    const struct pst_pki_options o = {.algorithm = PST_ECDSA_P256};
    char dir[160], id[PST_MAX_NAME], why[512] = "";

    must(pst_pki_init("ca", &o, why, sizeof why), "ca", why);
    must(pst_pki_engineer("ca", "ada", "observe", "ada", &o, why, sizeof why), "ada", why);
    (void)mkdir("fleet", 0700);
    for (unsigned i = 0; i < count; i++) {
        device_id(id, i);
        snprintf(dir, sizeof dir, "fleet/%s", id);
        must(pst_pki_target("ca", id, dir, &o, why, sizeof why), id, why);
    }
}

static int targets(const char *link, unsigned count)
{
    uv_signal_t term;
    struct pst_address address;
    char why[640];

    make_keys(count);
    must(pst_trust_init(&fleet.engineers), "trust", "no memory");
    must(pst_trust_add(&fleet.engineers, "ca/engineers.pem", why, sizeof why), "trust", why);
    must(pst_grants_parse(&fleet.policy.allow, "observe", 7, false, NULL), "policy", "observe");
    start_loop(serve_calls);
    fleet.count = count;
    fleet.devices = calloc(count, sizeof *fleet.devices);
    if (fleet.devices == NULL || uv_signal_init(&loop, &term) != 0 ||
        uv_signal_start(&term, on_signal, SIGTERM) != 0) {
        die("devices", "no resources");
    }
    for (unsigned i = 0; i < count; i++) {
        struct device *d = &fleet.devices[i];
        device_id(d->id, i);
        device_address(&address, "mqtt-listen", link, d->id);
        must(
            pst_carrier_listen(&loop, &address, &listener_events, d, &d->listener, why, sizeof why),
            d->id, why);
    }
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    printf("ended; %u at once\n", fleet.most);
    pst_trust_free(&fleet.engineers);
    free(fleet.devices);
    return uv_loop_close(&loop) == 0 ? 0 : 1;
}

/* --- the sessions --- */

struct session {
    struct pst_debugger_host *host;
    struct pst_address address;
    struct pst_spp_op op;
    char device[PST_MAX_NAME], wanted[MEMORY], memory[MEMORY];
    unsigned tries;
    bool running, ready, read, ended;
    pst_end end;
};

static struct {
    struct session *all;
    unsigned at_once, ready, most, done, again;
    struct pst_debugger_host *buried[1000];
    size_t buried_count;
    struct pst_identity ada;
    struct pst_trust devices;
} dts;

static void on_read(void *ctx, struct pst_spp_op *op)
{
    struct session *s = ctx;

    if (op->result != PST_OK || op->moved != MEMORY || memcmp(s->memory, s->wanted, MEMORY) != 0) {
        die(s->device, "its memory is not its own");
    }
    s->read = true;
}

static void on_ready(void *ctx)
{
    struct session *s = ctx;

    s->ready = true;
    dts.ready++;
    dts.most = dts.ready > dts.most ? dts.ready : dts.most;
    s->op = (struct pst_spp_op){
        .opcode = PST_SPP_READ,
        .space = PST_AS_MEMORY,
        .address = BASE,
        .data = (uint8_t *)s->memory,
        .len = MEMORY,
        .result = PST_PENDING,
        .done = on_read,
        .ctx = s,
    };
    pst_debugger_host_submit(s->host, &s->op);
}

static void on_ended(void *ctx, pst_end end, const char *text)
{
    struct session *s = ctx;

    dts.ready -= s->ready;
    s->ended = true;
    s->end = end;
    if (end != PST_END_ASKED) {
        fprintf(stderr, "fleet: %s: %s\n", s->device, text);
    }
}

static void start_session(struct session *s, const char *link, unsigned at, unsigned wanted)
{
    struct pst_debugger_host_config config = {
        .identity = &dts.ada,
        .trust = &dts.devices,
        .device = s->device,
        .spaces = 1u << PST_AS_MEMORY,
        .answer_ms = 60000,
        .ctx = s,
        .ready = on_ready,
        .ended = on_ended,
    };
    char id[PST_MAX_NAME], why[640];
    const unsigned tries = s->tries;

    memset(s, 0, sizeof *s);
    s->tries = tries + 1;
    device_id(id, at);
    device_id(s->device, wanted);
    device_address(&s->address, "mqtt", link, id);
    snprintf(s->wanted, sizeof s->wanted, "the memory of %.40s", s->device);
    s->host = pst_secret_alloc(sizeof *s->host);
    if (s->host == NULL) {
        die(s->device, "no memory");
    }
    must(pst_debugger_host_start(s->host, &loop, &config, &s->address, NULL, why, sizeof why),
         s->device, why);
    s->running = true;
}

/* A closed session is freed some turns of the loop later, because libuv still uses its handles. */
static void bury(struct session *s)
{
    if (dts.buried_count == sizeof dts.buried / sizeof *dts.buried) {
        die("sessions", "too many were tried again");
    }
    pst_debugger_host_wipe(s->host);
    dts.buried[dts.buried_count++] = s->host;
    s->host = NULL;
    s->running = false;
}

static void free_buried(void)
{
    for (int turns = 0; turns < 3; turns++) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    while (dts.buried_count > 0) {
        pst_secret_free(dts.buried[--dts.buried_count], sizeof *dts.buried[0]);
    }
}

static void nothing(uv_prepare_t *p)
{
    (void)p;
}

/* Runs until all sessions of this wave have read, or one has failed three times. */
static void run_wave(const char *link, unsigned first, unsigned count)
{
    unsigned read = 0, gone = 0;

    for (unsigned i = 0; i < count; i++) {
        dts.all[i].tries = 0;
        start_session(&dts.all[i], link, first + i, first + i);
    }
    while (read < count) {
        (void)uv_run(&loop, UV_RUN_ONCE);
        read = 0;
        for (unsigned i = 0; i < count; i++) {
            struct session *s = &dts.all[i];
            read += s->read;
            if (s->ended && pst_debugger_host_gone(s->host)) {
                if (s->read || s->end != PST_END_LINK || s->tries == TRIES) {
                    die(s->device, "the session did not last");
                }
                bury(s); /* a timeout on a busy machine */
                dts.again++;
                start_session(s, link, first + i, first + i);
            }
        }
    }
    if (dts.ready != count) {
        die("wave", "not all at once");
    }
    for (unsigned i = 0; i < count; i++) {
        pst_debugger_host_stop(dts.all[i].host);
    }
    while (gone < count) {
        (void)uv_run(&loop, UV_RUN_ONCE);
        for (unsigned i = 0; i < count; i++) {
            if (dts.all[i].running && pst_debugger_host_gone(dts.all[i].host)) {
                bury(&dts.all[i]);
                gone++;
            }
        }
    }
    free_buried();
    dts.done += count;
}

/* Calls one device at the address of another one. */
static void try_swapped(const char *link)
{
    struct session *s = &dts.all[0];

    s->tries = 0;
    start_session(s, link, 0, 1);
    while (!s->ended || !pst_debugger_host_gone(s->host)) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    if (s->ready || s->end != PST_END_AUTH) {
        die(s->device, "another device passes for it");
    }
    bury(s);
    free_buried();
}

static int sessions(const char *link, unsigned count, unsigned at_once)
{
    char why[640];

    must(pst_identity_load(&dts.ada, "ada", why, sizeof why), "ada", why);
    must(pst_trust_init(&dts.devices), "trust", "no memory");
    must(pst_trust_add(&dts.devices, "ca/devices.pem", why, sizeof why), "trust", why);
    dts.all = calloc(at_once, sizeof *dts.all);
    if (dts.all == NULL) {
        die("sessions", "no memory");
    }
    start_loop(nothing);
    for (unsigned first = 0; first < count; first += at_once) {
        run_wave(link, first, count - first < at_once ? count - first : at_once);
    }
    try_swapped(link);
    printf("%u sessions, %u at once, %u tried again\n", dts.done, dts.most, dts.again);
    uv_close((uv_handle_t *)&prepare, NULL);
    uv_close((uv_handle_t *)&timer, NULL);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    pst_identity_free(&dts.ada);
    pst_trust_free(&dts.devices);
    free(dts.all);
    return uv_loop_close(&loop) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    pst_mqtt_enter(argc, argv);
    (void)signal(SIGPIPE, SIG_IGN);
    if (argc == 4 && strcmp(argv[1], "targets") == 0) {
        return targets(argv[2], (unsigned)strtoul(argv[3], NULL, 10));
    }
    if (argc == 5 && strcmp(argv[1], "sessions") == 0 && strtoul(argv[4], NULL, 10) > 1) {
        return sessions(argv[2], (unsigned)strtoul(argv[3], NULL, 10),
                        (unsigned)strtoul(argv[4], NULL, 10));
    }
    fputs("fleet targets LINK COUNT | fleet sessions LINK COUNT AT_ONCE\n", stderr);
    return 2;
}
