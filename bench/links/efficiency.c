/* Protocol efficiency of slow buses: the bits of memory that a debugger reads, divided by all bits
 * that the bus carries for it in both directions.
 *
 * On I3C a bit is one SCL period from START to STOP; IBIs and idle polls count. On serial lines
 * start bits, stop bits, framing and acknowledgements count. A complete TS and DTS run in one
 * thread with the link's engines between them and a simulated clock. Nothing is timed, so the
 * results are the same on every run, except for about 0.1 % on serial lines: the number of bytes to
 * escape depends on the ciphertext.
 *
 * The reads have three sizes and are submitted one after the other ("one by one") or all together
 * ("batched"). The cost of security is measured against the same reads without a session: an SPP
 * engine and an SPP client on the same link engines and framing, with packets in clear messages. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "openssl/openssl_port.h"
#include "openssl/pki.h"
#include "posix/links/i3c/model.h"
#include "postern/debugger.h"
#include "postern/links/mctp_link.h"
#include "postern/links/serial.h"
#include "postern/target.h"
#include "tests/spp/open_gate.h"

enum { MESSAGE = PST_LINK_MAX_MESSAGE, BUFFER = 3 * MESSAGE, READS = 64, RAM = 4096 * READS };
#define BASE 0x80000000u
#define DEVICE "Acme:Pump:0042"
#define BAUD 115200

static void die(const char *what)
{
    fprintf(stderr, "efficiency: %s\n", what);
    exit(1);
}

static void must(pst_err err, const char *what)
{
    if (err != PST_OK) {
        fprintf(stderr, "efficiency: %s: %s\n", what, pst_err_text(err));
        exit(1);
    }
}

static uint64_t now_ms;
static uint8_t ram[RAM];

static uint64_t now(void *ctx)
{
    (void)ctx;
    return now_ms;
}

/* --- hops: carry messages from one end to the other and count the bits --- */

struct hop {
    const char *name;
    const struct pst_link_traits *traits;
    void (*open)(void);
    bool (*send)(bool to_target, uint8_t kind, const uint8_t *msg, size_t len); /* false: full */
    bool (*receive)(bool at_target, uint8_t *kind, uint8_t **msg, size_t *len);
    bool (*step)(void); /* returns whether anything moved */
    bool (*up)(void);
    uint64_t (*bits)(void);
    unsigned settle_ms; /* time until everything is acknowledged */
};

static struct {
    struct pst_i3c_model model;
    struct pst_i3c_adaptor adaptor;
    struct pst_i3c_view view;
    struct pst_i3c_debugger debugger;
    uint8_t send[2][BUFFER], receive[2][MESSAGE];
    uint64_t base_ms, idle_ms;
} i3c;

static void i3c_open(void)
{
    const struct pst_i3c_target_config ts = {
        .buffers = {i3c.send[0], BUFFER, i3c.receive[0], MESSAGE},
          .ports = PST_I3C_PORTS
    };

    pst_i3c_model_init(&i3c.model, 1);
    pst_i3c_adaptor_init(&i3c.adaptor, 1);
    must(pst_i3c_target_init(&i3c.adaptor.engine, &ts), "I3C target");
    must(pst_i3c_model_attach(&i3c.model, &i3c.adaptor.device), "attach");
    pst_i3c_model_look(&i3c.view, &i3c.model, true);
    const struct pst_i3c_debugger_config dts = {
        .bus = &i3c.view.bus,
        .buffers = {i3c.send[1], BUFFER, i3c.receive[1], MESSAGE},
        .id = 1,
        .port = PST_I3C_PORT_MESSAGES,
    };
    must(pst_i3c_debugger_init(&i3c.debugger, &dts, now_ms), "I3C debugger");
    i3c.base_ms = now_ms;
    i3c.idle_ms = 0;
}

static uint64_t i3c_bits(void)
{
    return pst_i3c_model_bits(&i3c.model);
}

/* Steps the debugger. The clock advances with the bus; i3c.idle_ms counts the time without work. */
static bool i3c_step(void)
{
    uint32_t wait = 0;

    must(pst_i3c_debugger_step(&i3c.debugger, now_ms, &wait), "I3C step");
    i3c.idle_ms += wait > 0;
    now_ms = i3c.base_ms + i3c.idle_ms + i3c_bits() / PST_I3C_MODEL_KHZ;
    return wait == 0;
}

static bool i3c_send(bool to_target, uint8_t kind, const uint8_t *msg, size_t len)
{
    return (to_target ? pst_i3c_debugger_send(&i3c.debugger, kind, msg, len)
                      : pst_i3c_target_send(&i3c.adaptor.engine, kind, msg, len)) == PST_OK;
}

static bool i3c_receive(bool at_target, uint8_t *kind, uint8_t **msg, size_t *len)
{
    return (at_target ? pst_i3c_target_receive(&i3c.adaptor.engine, kind, msg, len)
                      : pst_i3c_debugger_receive(&i3c.debugger, kind, msg, len)) == PST_OK;
}

static bool i3c_up(void)
{
    return pst_i3c_debugger_is_up(&i3c.debugger);
}

/* Both kinds of serial line. End 0 is the TS. */
static struct {
    bool mctp;
    struct pst_serial raw[2];
    struct pst_mctp_line line[2];
    struct pst_reliable_sent sent[2][PST_RELIABLE_MAX_SENT];
    uint8_t message[2][MESSAGE], send[2][BUFFER], receive[2][BUFFER];
    uint8_t work[2][16384];
    uint64_t bytes;
} serial;

enum { RAW_MTU = 1024, MCTP_MTU = 4 * PST_MCTP_BASELINE - PST_MCTP_LINK_HEAD };

static struct pst_reliable *serial_link(bool dts)
{
    return serial.mctp ? &serial.line[dts].mctp.link : &serial.raw[dts].link;
}

static struct pst_reliable_config serial_config(bool dts, uint16_t mtu)
{
    return (struct pst_reliable_config){
        .target = !dts,
        .id = 100u + dts,
        .start = 200u + dts,
        .mtu_first = mtu,
        .mtu_most = mtu,
        .message = serial.message[dts],
        .message_cap = MESSAGE,
        .send = serial.send[dts],
        .send_cap = BUFFER,
        .receive = serial.receive[dts],
        .receive_cap = BUFFER,
        .sent = serial.sent[dts],
        .sent_count = PST_RELIABLE_MAX_SENT,
    };
}

static void raw_open(void)
{
    serial.mctp = false;
    serial.bytes = 0;
    for (int dts = 0; dts < 2; dts++) {
        struct pst_serial_config c = {
            .link = serial_config(dts == 1, RAW_MTU),
            .listens = dts == 0,
            .baud = BAUD,
            .work = serial.work[dts],
            .work_len = sizeof serial.work[dts],
        };
        c.link.timing = pst_serial_timing(BAUD, RAW_MTU);
        must(pst_serial_open(&serial.raw[dts], &c, now_ms), "serial");
    }
}

static void mctp_open(void)
{
    serial.mctp = true;
    serial.bytes = 0;
    for (int dts = 0; dts < 2; dts++) {
        struct pst_mctp_link_config c = {
            .link = serial_config(dts == 1, MCTP_MTU),
            .listens = dts == 0,
            .eid = (uint8_t)(9 - dts),
            .unit = PST_MCTP_BASELINE,
            .work = serial.work[dts],
            .work_len = sizeof serial.work[dts],
        };
        c.link.timing = pst_mctp_line_timing(BAUD, MCTP_MTU, PST_MCTP_BASELINE, &c.pause_ms);
        must(pst_mctp_line_open(&serial.line[dts], &c, BAUD, now_ms), "MCTP line");
    }
}

/* Advances one millisecond and moves as many bytes as the line carries in it, in each direction. */
static bool serial_step(void)
{
    uint8_t bytes[2][BAUD / 10000];
    size_t len[2];

    now_ms++;
    for (int dts = 0; dts < 2; dts++) {
        len[dts] =
            serial.mctp
                ? pst_mctp_line_output(&serial.line[dts], bytes[dts], sizeof bytes[dts], now_ms)
                : pst_serial_output(&serial.raw[dts], bytes[dts], sizeof bytes[dts], now_ms);
    }
    for (int dts = 0; dts < 2; dts++) {
        if (serial.mctp) {
            pst_mctp_line_input(&serial.line[dts], bytes[1 - dts], len[1 - dts], now_ms);
        } else {
            pst_serial_input(&serial.raw[dts], bytes[1 - dts], len[1 - dts], now_ms);
        }
    }
    serial.bytes += len[0] + len[1];
    return len[0] + len[1] > 0;
}

static bool serial_send(bool to_target, uint8_t kind, const uint8_t *msg, size_t len)
{
    return pst_reliable_send(serial_link(to_target), kind, msg, len) == PST_OK;
}

static bool serial_receive(bool at_target, uint8_t *kind, uint8_t **msg, size_t *len)
{
    return pst_reliable_receive(serial_link(!at_target), kind, msg, len) == PST_OK;
}

static bool serial_up(void)
{
    return serial_link(true)->state == PST_OK && serial_link(false)->state == PST_OK;
}

static uint64_t serial_bits(void)
{
    return serial.bytes * 10;
}

static const struct hop hops[] = {
    {"I3C",            &pst_i3c_traits,    i3c_open,  i3c_send,    i3c_receive,    i3c_step,    i3c_up,    i3c_bits,    20  },
    {"serial",         &pst_serial_traits, raw_open,  serial_send, serial_receive, serial_step, serial_up,
     serial_bits,                                                                                                       1000},
    {"MCTP on serial", &pst_serial_traits, mctp_open, serial_send, serial_receive, serial_step,
     serial_up,                                                                                            serial_bits, 1000},
};

/* --- the target's memory --- */

static uint8_t any_right(void *ctx, uint64_t address, bool write)
{
    (void)ctx, (void)address;
    return write ? PST_RIGHT_WRITE : PST_RIGHT_READ;
}

static pst_err perform(void *ctx, struct pst_access *a)
{
    (void)ctx;
    if (a->write || a->address < BASE || a->address - BASE > RAM - a->len) {
        return PST_ERR_FAULT;
    }
    memcpy(a->data, ram + (a->address - BASE), a->len);
    return PST_OK;
}

static const struct pst_space memory_space = {
    .right = any_right, .perform = perform, .urgent_first = 1};

/* --- ends, with and without security --- */

struct ends {
    bool secure;
    const struct hop *hop;
    struct pst_link_traits traits;
    /* with security */
    struct pst_identity pump, ada;
    struct pst_trust devices, engineers;
    struct pst_spdm_config dts_spdm, ts_spdm;
    struct pst_policy policy;
    struct pst_target target;
    struct pst_target_config ts;
    struct pst_target_context contexts[2];
    struct pst_target_buffers buffers[2];
    uint8_t queue[2][8192], ts_mailbox[2][8192], dts_mailbox[3 * 4096];
    struct pst_debugger debugger;
    struct pst_debugger_config dts;
    /* without security */
    struct pst_spp_engine engine;
    struct pst_spp_client client;
    /* messages that wait because the hop is full */
    uint8_t waiting[2][MESSAGE];
    size_t waiting_len[2];
    uint8_t waiting_kind[2];
};
static struct ends ends;

static uint64_t wall(void *ctx)
{
    (void)ctx;
    return 1700000000;
}

static pst_err no_line(void *ctx, const char *line, size_t len, enum pst_audit_when when)
{
    (void)ctx, (void)line, (void)len, (void)when;
    return PST_OK;
}

static struct pst_spdm_config spdm_config(const struct pst_identity *id, struct pst_trust *trust)
{
    static const uint8_t hashes[] = {PST_SHA256, 0}, sigs[] = {PST_ECDSA_P256, 0},
                         dhs[] = {PST_SECP256R1, 0}, aeads[] = {PST_AES_256_GCM, 0};

    return (struct pst_spdm_config){
        .crypto = pst_openssl_crypto(),
        .verifier = &trust->verifier,
        .slots = {&id->slot},
        .now_ms = now,
        .min_minor = 2,
        .max_minor = 3,
        .capabilities = PST_CAP_CERT | PST_CAP_ENCRYPT | PST_CAP_MAC | PST_CAP_MUT_AUTH |
                        PST_CAP_KEY_EX | PST_CAP_ENCAP | PST_CAP_HBEAT | PST_CAP_KEY_UPD,
        .ct_exponent = 20,
        .transfer_size = 4096,
        .hashes = hashes,
        .sigs = sigs,
        .peer_sigs = sigs,
        .dhs = dhs,
        .aeads = aeads,
        .mutual = PST_MUTUAL_ENCAP,
        .heartbeat_s = 250, /* longer than a measurement */
    };
}

static void make_keys(struct ends *e)
{
    const struct pst_pki_options o = {.algorithm = PST_ECDSA_P256};
    char dir[] = "/tmp/postern-bench.XXXXXX", why[256] = "";

    if (mkdtemp(dir) == NULL || chdir(dir) != 0) {
        die("a temporary directory");
    }
    must(pst_pki_init("ca", &o, why, sizeof why), why);
    must(pst_pki_target("ca", DEVICE, "pump", &o, why, sizeof why), why);
    must(pst_pki_engineer("ca", "ada", "debug", "ada", &o, why, sizeof why), why);
    must(pst_identity_load(&e->pump, "pump", why, sizeof why), why);
    must(pst_identity_load(&e->ada, "ada", why, sizeof why), why);
    must(pst_trust_init(&e->devices), "trust");
    must(pst_trust_init(&e->engineers), "trust");
    must(pst_trust_add(&e->devices, "ca/devices.pem", why, sizeof why), why);
    must(pst_trust_add(&e->engineers, "ca/engineers.pem", why, sizeof why), why);
    (void)!system("rm -rf ca pump ada");
    (void)!rmdir(dir);
}

static void open_secure(struct ends *e)
{
    static const char policy[] = "debug";
    size_t at;

    e->dts_spdm = spdm_config(&e->ada, &e->devices);
    e->ts_spdm = spdm_config(&e->pump, &e->engineers);
    must(pst_grants_parse(&e->policy.allow, policy, strlen(policy), false, &at), "policy");
    e->ts = (struct pst_target_config){
        .spdm = &e->ts_spdm,
        .policy = &e->policy,
        .device = DEVICE,
        .spaces = {[PST_AS_MEMORY] = &memory_space},
        .audit = {.line = no_line, .wall_s = wall},
    };
    for (size_t i = 0; i < 2; i++) {
        e->buffers[i] = (struct pst_target_buffers){e->queue[i], sizeof e->queue[i],
                                                    e->ts_mailbox[i], sizeof e->ts_mailbox[i]};
    }
    must(pst_target_init(&e->target, &e->ts, e->contexts, e->buffers, 2), "target");
    e->dts = (struct pst_debugger_config){
        .spdm = &e->dts_spdm,
        .device = DEVICE,
        .spaces = 1u << PST_AS_MEMORY,
        .mailbox = e->dts_mailbox,
        .mailbox_len = sizeof e->dts_mailbox,
    };
    must(pst_debugger_init(&e->debugger, &e->dts), "debugger");
    must(pst_target_link_up(&e->target, 0, &e->traits), "link");
    must(pst_debugger_start(&e->debugger, &e->traits), "start");
}

static void open_plain(struct ends *e)
{
    const struct pst_spp_engine_config config = {.spaces[PST_AS_MEMORY] = &memory_space,
                                                 .gate = &open_gate,
                                                 .queue = e->queue[0],
                                                 .queue_len = sizeof e->queue[0]};

    must(pst_spp_engine_init(&e->engine, &config), "engine");
    pst_spp_client_init(&e->client, PST_SPP_FULL, PST_RECORD_MAX_PAYLOAD - PST_SPP_FULL_HEADER,
                        sizeof e->queue[0]);
}

static size_t output(struct ends *e, bool dts, uint8_t *kind, uint8_t *out)
{
    if (e->secure) {
        return dts ? pst_debugger_output(&e->debugger, kind, out, MESSAGE)
                   : pst_target_output(&e->target, 0, kind, out, MESSAGE);
    }
    *kind = PST_LINK_CLEAR;
    return dts ? pst_spp_client_batch(&e->client, out, PST_RECORD_MAX_PAYLOAD)
               : pst_spp_engine_output(&e->engine, out, PST_RECORD_MAX_PAYLOAD);
}

static pst_err input(struct ends *e, bool dts, uint8_t kind, uint8_t *msg, size_t len)
{
    if (e->secure) {
        return dts ? pst_debugger_receive(&e->debugger, kind, msg, len)
                   : pst_target_receive(&e->target, 0, kind, msg, len);
    }
    return dts ? pst_spp_client_receive(&e->client, msg, len)
               : pst_spp_engine_receive(&e->engine, msg, len);
}

/* Moves messages from both ends to the hop, and from the hop to both ends. */
static bool move(struct ends *e)
{
    uint8_t kind, *msg;
    bool moved = false;
    size_t len;

    for (int dts = 0; dts < 2; dts++) {
        while (e->hop->receive(dts == 0, &kind, &msg, &len)) {
            must(input(e, dts == 1, kind, msg, len), "message");
            moved = true;
        }
        if (e->waiting_len[dts] == 0) {
            e->waiting_len[dts] = output(e, dts == 1, &e->waiting_kind[dts], e->waiting[dts]);
        }
        if (e->waiting_len[dts] > 0 &&
            e->hop->send(dts == 1, e->waiting_kind[dts], e->waiting[dts], e->waiting_len[dts])) {
            e->waiting_len[dts] = 0;
            moved = true;
        }
    }
    return moved;
}

static void turn(struct ends *e)
{
    while (move(e)) {
    }
    (void)e->hop->step();
    if (e->secure) {
        (void)pst_target_poll(&e->target);
        (void)pst_debugger_poll(&e->debugger);
    }
}

static void settle(struct ends *e)
{
    for (const uint64_t end = now_ms + e->hop->settle_ms; now_ms < end;) {
        turn(e);
    }
}

static void submit(struct ends *e, struct pst_spp_op *op)
{
    if (e->secure) {
        pst_debugger_read(&e->debugger, op);
    } else {
        op->opcode = op->opcode == PST_SPP_PAD ? PST_SPP_READ : op->opcode;
        pst_spp_client_submit(&e->client, op);
    }
}

static void finish(struct ends *e, const struct pst_spp_op *op)
{
    for (unsigned i = 0; op->result == PST_PENDING && i < 10000000; i++) {
        turn(e);
    }
    must(op->result, "a read");
}

static void begin(struct ends *e, const struct hop *hop, bool secure)
{
    const struct pst_hello hello = pst_link_hello_of(hop->traits, true, MESSAGE);
    static uint8_t word[4];

    e->hop = hop;
    e->secure = secure;
    e->waiting_len[0] = e->waiting_len[1] = 0;
    pst_link_agree(&e->traits, hop->traits, &hello);
    hop->open();
    for (unsigned i = 0; !hop->up() && i < 1000000; i++) {
        (void)hop->step();
    }
    if (secure) {
        open_secure(e);
        for (unsigned i = 0; pst_debugger_state(&e->debugger) != PST_DEBUGGER_READY && i < 10000000;
             i++) {
            turn(e);
        }
        if (pst_debugger_state(&e->debugger) != PST_DEBUGGER_READY) {
            die("no session");
        }
    } else {
        static const struct {
            pst_spp_opcode opcode;
            uint16_t address;
        } steps[] = {
            {PST_SPP_INIT,         0                       },
            {PST_SPP_WRITE_CONFIG, PST_SPC_AS_AVAIL_REQ_SET},
            {PST_SPP_WRITE_CONFIG, PST_SPC_AS_EN_SET       },
        };
        open_plain(e);
        pst_poke_u32(word, 1u << PST_AS_MEMORY);
        for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
            struct pst_spp_op op = {.opcode = steps[i].opcode,
                                    .address = steps[i].address,
                                    .data = i > 0 ? word : NULL,
                                    .len = i > 0 ? sizeof word : 0};
            submit(e, &op);
            finish(e, &op);
        }
    }
    settle(e);
}

/* Bits of memory divided by bits on the bus. */
static double measure(struct ends *e, uint32_t size, bool batched, uint64_t *bits)
{
    static struct pst_spp_op ops[READS];
    static uint8_t got[RAM];
    const unsigned count = size > 1000 ? 16 : READS;
    const uint64_t before = e->hop->bits();

    memset(got, 0, sizeof got);
    for (unsigned i = 0; i < count; i++) {
        ops[i] = (struct pst_spp_op){.space = PST_AS_MEMORY,
                                     .address = BASE + (uint64_t)i * size,
                                     .data = got + (size_t)i * size,
                                     .len = size};
        submit(e, &ops[i]);
        if (!batched) {
            finish(e, &ops[i]);
        }
    }
    for (unsigned i = 0; i < count; i++) {
        finish(e, &ops[i]);
    }
    settle(e);
    if (memcmp(got, ram, (size_t)count * size) != 0) {
        die("wrong memory");
    }
    *bits = e->hop->bits() - before;
    return 8.0 * (double)size * count / (double)*bits;
}

static void row(const struct hop *hop, uint32_t size, bool batched, const char *what, double value)
{
    printf("{\"name\":\"%s: reads of %u bytes, %s: %s\",\"value\":%.1f,\"unit\":\"%%\","
           "\"goal\":null,\"holds\":null}\n",
           hop->name, size, batched ? "batched" : "one by one", what, 100 * value);
}

int main(void)
{
    static const uint32_t sizes[] = {4, 64, 4096};
    enum { SIZES = sizeof sizes / sizeof sizes[0] };

    for (size_t i = 0; i < RAM; i++) {
        ram[i] = (uint8_t)(i * 7 + i / 251);
    }
    make_keys(&ends);
    for (size_t h = 0; h < sizeof hops / sizeof hops[0]; h++) {
        uint64_t bits[2][SIZES][2];
        double value[2][SIZES][2];

        for (int secure = 0; secure < 2; secure++) {
            begin(&ends, &hops[h], secure == 1);
            for (size_t i = 0; i < SIZES; i++) {
                for (int b = 0; b < 2; b++) {
                    value[secure][i][b] = measure(&ends, sizes[i], b == 1, &bits[secure][i][b]);
                }
            }
            if (secure == 1) {
                pst_debugger_wipe(&ends.debugger);
                while (pst_target_stop(&ends.target, PST_OK) == PST_PENDING) {
                }
            }
        }
        for (size_t i = 0; i < SIZES; i++) {
            for (int b = 0; b < 2; b++) {
                row(&hops[h], sizes[i], b == 1, "efficiency", value[1][i][b]);
                row(&hops[h], sizes[i], b == 1, "bits that are security's",
                    1 - (double)bits[0][i][b] / (double)bits[1][i][b]);
            }
        }
    }
    return 0;
}
