/* A target on a byte stream: sessions in pieces of any size, a carrier that disconnects and
 * reconnects, strangers, and timeouts. */
#include "postern/stream.h"

#include <stdlib.h>

#include "examples/firmware/fake_crypto.c"
#include "firmware/dts.h"

enum { RAM = 512, RAM_AT = 0x1000 };

struct board {
    uint64_t now;
    struct pst_stream stream;
    struct pst_target_config config;
    struct pst_spdm_config spdm;
    struct pst_policy policy;
    struct pst_space memory;
    struct pst_chain chain;
    struct pst_chain_verifier chains;
    struct pst_chain_config trust;
    struct pst_cert_verifier verifier;
    struct pst_bytes root;
    struct pst_slot slot;
    struct pst_signer signer;
    uint8_t certificate[1024], buffer[PST_STREAM_BUFFER(512, 2048)], ram[RAM];
    char log[4096];
    size_t log_len;
    size_t chunk; /* most bytes that move at a time */
    struct dts dts;
    bool hung_up;
};

static uint64_t now_ms(void *ctx)
{
    return ((struct board *)ctx)->now;
}

static pst_err sign(void *ctx, pst_hash_id hash, const void *message, size_t len,
                    uint8_t *signature)
{
    (void)ctx;
    return fake_crypto_sign(device_public, hash, message, len, signature);
}

static pst_err log_line(void *ctx, const char *piece, size_t len, enum pst_audit_when when)
{
    struct board *b = ctx;

    (void)when;
    CHECK(b->log_len + len < sizeof b->log);
    memcpy(b->log + b->log_len, piece, len);
    b->log_len += len;
    return PST_OK;
}

static uint8_t right(void *ctx, uint64_t address, bool write)
{
    (void)ctx;
    (void)address;
    return write ? PST_RIGHT_WRITE : PST_RIGHT_READ;
}

static pst_err perform(void *ctx, struct pst_access *a)
{
    struct board *b = ctx;

    if (a->address < RAM_AT || a->address - RAM_AT > RAM - a->len) {
        return PST_ERR_FAULT;
    }
    uint8_t *at = b->ram + (a->address - RAM_AT);
    memmove(a->write ? at : a->data, a->write ? a->data : at, a->len);
    return PST_OK;
}

static struct board *board_new(size_t chunk)
{
    struct board *b = calloc(1, sizeof *b);

    CHECK(b != NULL);
    b->now = 1000;
    b->chunk = chunk;
    b->root = (struct pst_bytes){engineer_chain, ENGINEER_ROOT_LEN};
    b->trust =
        (struct pst_chain_config){.crypto = &fake_crypto, .anchors = &b->root, .anchor_count = 1};
    CHECK_EQ(pst_chain_verifier_init(&b->chains, &b->trust, &b->chain, 1, b->certificate,
                                     sizeof b->certificate, &b->verifier),
             PST_OK);
    b->signer = (struct pst_signer){.sig_id = PST_ECDSA_P256, .sign = sign};
    b->slot = (struct pst_slot){.certs = device_chain,
                                .certs_len = sizeof device_chain,
                                .root_len = DEVICE_ROOT_LEN,
                                .signer = &b->signer,
                                .model = 1};
    b->memory = (struct pst_space){.ctx = b, .right = right, .perform = perform, .urgent_first = 1};
    pst_profile_target(&b->spdm, &(const struct pst_profile_parts){.crypto = &fake_crypto,
                                                                   .slot = &b->slot,
                                                                   .verifier = &b->verifier,
                                                                   .now_ms = now_ms,
                                                                   .now_ctx = b});
    b->spdm.transfer_size = 512;
    CHECK_EQ(pst_grants_parse(&b->policy.allow, "debug", 5, false, NULL), PST_OK);
    b->config = (struct pst_target_config){
        .spdm = &b->spdm,
        .policy = &b->policy,
        .device = "Acme:Pump:0042",
        .audit = {.ctx = b, .line = log_line}
    };
    b->config.spaces[PST_AS_MEMORY] = &b->memory;
    CHECK_EQ(pst_stream_init(&b->stream, &b->config, NULL, b->buffer, sizeof b->buffer), PST_OK);
    return b;
}

static void plug(struct board *b)
{
    b->hung_up = false;
    dts_open(&b->dts, now_ms, b);
    pst_stream_carrier(&b->stream, true);
    pst_stream_carrier(&b->stream, true);
}

static void unplug(struct board *b)
{
    pst_stream_carrier(&b->stream, false);
    pst_link_end_down(&b->dts.end, PST_OK, "unplugged");
    pst_debugger_link_down(&b->dts.debugger);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* One turn of a firmware's main loop, and of the debugger. */
static bool turn(struct board *b)
{
    struct pst_bytes out = pst_stream_pending(&b->stream);
    bool moved = out.len > 0;

    if (out.len > 0) {
        const size_t n = least(out.len, b->chunk);

        dts_input(&b->dts, out.at, n);
        pst_stream_sent(&b->stream, n);
    } else {
        out = dts_pending(&b->dts);
        moved = out.len > 0;
        if (moved) {
            const size_t n = pst_stream_receive(&b->stream, out.at, least(out.len, b->chunk));
            pst_link_end_sent(&b->dts.end, n);
        }
    }
    b->hung_up = pst_stream_poll(&b->stream) == PST_STREAM_HANG_UP;
    (void)pst_debugger_poll(&b->dts.debugger);
    return moved && !b->hung_up;
}

static void run_for(struct board *b, uint64_t ms)
{
    const uint64_t end = b->now + ms;

    for (;;) {
        while (turn(b)) {
        }
        if (b->hung_up || b->now >= end) {
            return;
        }
        b->now += 100;
    }
}

static pst_err access_ram(struct board *b, bool write, uint64_t address, void *data, uint32_t len)
{
    struct pst_spp_op op = {.space = PST_AS_MEMORY, .address = address, .data = data, .len = len};

    (write ? pst_debugger_write : pst_debugger_read)(&b->dts.debugger, &op);
    run_for(b, 300);
    CHECK(op.result != PST_PENDING);
    return op.result;
}

static void connect(struct board *b)
{
    plug(b);
    run_for(b, 0);
    CHECK_EQ(pst_debugger_state(&b->dts.debugger), PST_DEBUGGER_READY);
}

static void board_free(struct board *b)
{
    unplug(b);
    pst_debugger_wipe(&b->dts.debugger);
    CHECK_EQ(pst_target_stop(&b->stream.target, PST_ERR_CLOSED), PST_OK);
    free(b);
}

static void test_sessions(void **state)
{
    static const size_t chunks[] = {1, 3, 64, 100000};
    (void)state;

    for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
        struct board *b = board_new(chunks[i]);
        uint8_t big[RAM], back[RAM];

        connect(b);
        memset(big, 0x5A, sizeof big);
        CHECK_EQ(access_ram(b, true, RAM_AT, big, sizeof big), PST_OK);
        CHECK_EQ(access_ram(b, false, RAM_AT, back, sizeof back), PST_OK);
        CHECK_BYTES(back, big, sizeof big);
        CHECK_EQ(access_ram(b, false, RAM_AT - 1, back, 4), PST_ERR_FAULT);
        CHECK(strstr(b->log, "\"engineer\":\"ada\"") != NULL);
        pst_debugger_stop(&b->dts.debugger);
        run_for(b, 500);
        CHECK_EQ(pst_debugger_why(&b->dts.debugger), PST_OK);
        board_free(b);
    }
}

/* The line disconnects during a session and comes back: a new HELLO and a new session. */
static void test_again(void **state)
{
    struct board *b = board_new(10);
    uint8_t byte = 7;
    (void)state;

    for (unsigned i = 0; i < 3; i++) {
        connect(b);
        CHECK_EQ(access_ram(b, true, RAM_AT, &byte, 1), PST_OK);
        for (unsigned n = 0; n < i; n++) { /* during an operation */
            struct pst_spp_op op = {
                .space = PST_AS_MEMORY, .address = RAM_AT, .data = &byte, .len = 1};
            pst_debugger_read(&b->dts.debugger, &op);
            (void)turn(b);
            unplug(b);
            CHECK_EQ(op.result, PST_ERR_CLOSED);
            connect(b);
        }
        unplug(b);
        pst_debugger_wipe(&b->dts.debugger);
        CHECK(pst_stream_pending(&b->stream).len == 0);
        CHECK(pst_stream_poll(&b->stream) > 0);
    }
    board_free(b);
}

static void test_strangers(void **state)
{
    struct board *b = board_new(64);
    const char *http = "GET / HTTP/1.1\r\n\r\n";
    (void)state;

    plug(b);
    struct pst_bytes hello = pst_stream_pending(&b->stream);
    CHECK_EQ(pst_stream_receive(&b->stream, (const uint8_t *)http, 18), 0); /* not yet */
    pst_stream_sent(&b->stream, hello.len);
    CHECK_EQ(pst_stream_receive(&b->stream, (const uint8_t *)http, 18), 18);
    CHECK_EQ(pst_stream_pending(&b->stream).len, 0);
    CHECK_EQ(pst_stream_poll(&b->stream), PST_STREAM_HANG_UP);
    CHECK_EQ(pst_stream_poll(&b->stream), PST_STREAM_HANG_UP);
    unplug(b);
    connect(b); /* the next one is served */

    unplug(b); /* another target as the peer gets the reason */
    pst_debugger_wipe(&b->dts.debugger);
    plug(b);
    b->dts.end.target = true;
    pst_link_end_open(&b->dts.end, &pst_stream_traits, 0, b->now + 5000);
    while (turn(b)) {
    }
    CHECK(b->hung_up);
    CHECK_EQ(b->dts.end.why, PST_ERR_UNEXPECTED);
    board_free(b);
}

static void test_engineer_not_trusted(void **state)
{
    struct board *b = board_new(64);
    (void)state;

    plug(b);
    b->dts.certs[sizeof b->dts.certs - 1] ^= 1; /* of the signature */
    run_for(b, 2000);
    CHECK_EQ(pst_debugger_state(&b->dts.debugger), PST_DEBUGGER_CLOSED);
    CHECK(strstr(b->log, "\"event\":\"open\"") == NULL);
    board_free(b);
}

static void test_time(void **state)
{
    struct board *b = board_new(64);
    (void)state;

    plug(b); /* no HELLO arrives */
    pst_stream_sent(&b->stream, pst_stream_pending(&b->stream).len);
    CHECK_EQ(pst_stream_poll(&b->stream), PST_STREAM_HELLO_MS);
    b->now += PST_STREAM_HELLO_MS - 1;
    CHECK_EQ(pst_stream_poll(&b->stream), 1);
    b->now++;
    CHECK_EQ(pst_stream_poll(&b->stream), PST_STREAM_HANG_UP);
    unplug(b);

    connect(b); /* an open session is not idle; after its end the link is */
    run_for(b, 2 * PST_STREAM_IDLE_MS);
    CHECK(!b->hung_up);
    CHECK_EQ(pst_debugger_state(&b->dts.debugger), PST_DEBUGGER_READY);
    pst_debugger_stop(&b->dts.debugger);
    run_for(b, 1000);
    CHECK(b->hung_up);
    CHECK_EQ(b->dts.end.bye, PST_ERR_TIMEOUT);
    board_free(b);
}

static void test_config(void **state)
{
    struct board *b = board_new(64);
    struct pst_target_config config = b->config;
    (void)state;

    CHECK_EQ(pst_stream_init(&b->stream, &config, NULL, b->buffer, PST_STREAM_BUFFER(512, 255)),
             PST_ERR_SPACE);
    CHECK_EQ(pst_stream_init(&b->stream, &config, NULL, b->buffer, 100), PST_ERR_SPACE);
    CHECK_EQ(pst_stream_init(&b->stream, &config, NULL, b->buffer, PST_STREAM_BUFFER(512, 256)),
             PST_OK);
    CHECK(pst_stream_config_check(&config, b->buffer, sizeof b->buffer) == NULL);
    CHECK(strstr(pst_stream_config_check(&config, b->buffer, 100), "buffer") != NULL);
    config.device = NULL;
    CHECK(strstr(pst_stream_config_check(&config, b->buffer, sizeof b->buffer), "device") != NULL);
    CHECK(pst_stream_init(&b->stream, &config, NULL, b->buffer, sizeof b->buffer) != PST_OK);
    config.spdm = NULL;
    CHECK(strstr(pst_stream_config_check(&config, b->buffer, sizeof b->buffer), "spdm") != NULL);
    CHECK_EQ(pst_stream_init(&b->stream, &config, NULL, b->buffer, sizeof b->buffer),
             PST_ERR_CONFIG);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sessions),  cmocka_unit_test(test_again),
        cmocka_unit_test(test_strangers), cmocka_unit_test(test_engineer_not_trusted),
        cmocka_unit_test(test_time),      cmocka_unit_test(test_config),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
