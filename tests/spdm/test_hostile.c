/* A hostile peer: a chain without its key, skipped steps, messages of other flows, and false fields
 * that no signature covers. */
#include "parts/wired.h"

static struct wired w;

static void connect_all(void)
{
    CHECK_EQ(wired_op(&w, PST_OP_CONNECT), PST_OK);
    CHECK_EQ(wired_op(&w, PST_OP_DIGESTS), PST_OK);
    CHECK_EQ(wired_op(&w, PST_OP_CERTIFICATE), PST_OK);
}

static void begin(void)
{
    struct wired_options o = wired_defaults();

    wired_setup(&w, &o);
    wired_start(&w);
}

/* Signs with another key of the same kind: the requester's instead of the device's, and back. */
static void impostors(void **state)
{
    const struct pst_signer *device =
        wired_identity(PST_ROLE_RESPONDER, PST_ECDSA_P256)->slot.signer;
    const struct pst_signer *engineer =
        wired_identity(PST_ROLE_REQUESTER, PST_ECDSA_P256)->slot.signer;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct wired_options o = wired_defaults();

        o.clear_handshake = i;
        wired_setup(&w, &o);
        wired_start(&w);
        connect_all();
        w.ts_signer.real = engineer;
        CHECK_EQ(wired_op(&w, PST_OP_CHALLENGE), PST_ERR_AUTH);
        struct pst_op op = {.kind = PST_OP_MEASUREMENTS, .sign = true, .index = 0xff};
        CHECK_EQ(wired_run(&w, &op), PST_ERR_AUTH);
        CHECK_EQ(wired_op(&w, PST_OP_SESSION), PST_ERR_AUTH);
        CHECK_EQ(w.dts.keys.placed, 0);
        w.ts_signer.real = device;
        w.dts_signer.real = device;
        w.now += 60000;
        (void)pst_responder_poll(&w.r);
        CHECK_EQ(wired_op(&w, PST_OP_SESSION), PST_ERR_PEER);
        CHECK_EQ(w.last_error, PST_SPDM_DECRYPT_ERROR);
        CHECK_EQ(w.ts.log.established, 0);
        w.dts_signer.real = engineer;
        CHECK_EQ(wired_op(&w, PST_OP_SESSION), PST_OK);
        wired_end(&w);
    }
}

/* Runs KEY_EXCHANGE and returns the next message that the requester would send. */
static uint32_t half_open(void)
{
    struct pst_op op = {.kind = PST_OP_SESSION};
    uint8_t req[WIRED_BUFFER], out[WIRED_BUFFER];
    uint32_t context;
    size_t len;

    CHECK_EQ(pst_requester_start(&w.q, &op), PST_OK);
    CHECK_EQ(pst_requester_next(&w.q, &context, req, sizeof req, &len), PST_OK);
    size_t n = wired_request(&w, context, req, len, out);
    CHECK_EQ(out[1], PST_KEY_EXCHANGE_RSP);
    pst_err err = pst_requester_receive(&w.q, context, out, n);
    CHECK_EQ(err, PST_OK);
    return pst_requester_session(&w.q);
}

/* CVE-2023-31127 and similar attacks: nothing may replace the requester's proof. */
static void finish_too_early(void **state)
{
    static const uint8_t others[] = {
        0xe7 /* PSK_FINISH */,      PST_HEARTBEAT,       PST_KEY_UPDATE, PST_END_SESSION,
        PST_VENDOR_DEFINED_REQUEST, PST_GET_MEASUREMENTS};

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct wired_options o = wired_defaults();
        uint8_t req[4 + 64 + 32] = {0x13, PST_FINISH}, out[WIRED_BUFFER];

        o.clear_handshake = i & 1;
        o.mutual = i & 2 ? PST_MUTUAL_DIGESTS : PST_MUTUAL_ENCAP;
        wired_setup(&w, &o);
        wired_start(&w);
        connect_all();
        uint32_t id = half_open();
        uint32_t context = o.clear_handshake ? 0 : id;
        CHECK_EQ(wired_request(&w, context, req, 4 + 32, out), 4);
        CHECK_EQ(out[2], PST_SPDM_REQUEST_IN_FLIGHT);
        req[2] = 1;
        CHECK_EQ(wired_request(&w, context, req, sizeof req, out), 4);
        CHECK_EQ(out[2], PST_SPDM_REQUEST_IN_FLIGHT);
        for (size_t k = 0; k < sizeof others; k++) {
            req[1] = others[k];
            req[2] = 0;
            CHECK_EQ(wired_request(&w, id, req, others[k] == 0xe7 ? 36 : 4, out), 4);
            CHECK_EQ(out[1], PST_ERROR);
        }
        CHECK_EQ(w.ts.log.established, 0);
        CHECK_EQ(w.ts.keys.session[0].phase[0], PST_KEYS_HANDSHAKE);
        pst_requester_cancel(&w.q, PST_ERR_CLOSED);
        wired_end(&w);
    }
}

static void deliveries(void **state)
{
    uint8_t req[64] = {0x13, PST_DELIVER_ENCAPSULATED_RESPONSE, 0, 0, 0x13, PST_DIGESTS},
            out[WIRED_BUFFER];
    static const uint8_t get[] = {0x13, PST_GET_ENCAPSULATED_REQUEST, 0, 0};

    (void)state;
    begin();
    connect_all();
    uint32_t id = half_open();
    CHECK_EQ(wired_request(&w, id, req, 42, out), 4); /* nothing was asked */
    CHECK_EQ(out[2], PST_SPDM_UNEXPECTED_REQUEST);
    CHECK_EQ(wired_request(&w, 0, get, 4, out), 4); /* elsewhere */
    CHECK_EQ(out[2], PST_SPDM_NO_PENDING_REQUESTS);
    CHECK_EQ(wired_request(&w, id, get, 4, out), 8);
    CHECK_EQ(out[5], PST_GET_DIGESTS);
    uint8_t number = out[2];
    CHECK_EQ(wired_request(&w, id, get, 4, out), 4);
    CHECK_EQ(out[2], PST_SPDM_REQUEST_IN_FLIGHT);
    req[2] = (uint8_t)(number + 1);
    CHECK_EQ(wired_request(&w, id, req, 42, out), 4);
    CHECK_EQ(out[2], PST_SPDM_INVALID_RESPONSE_CODE);
    req[2] = number;
    req[5] = PST_CERTIFICATE;
    CHECK_EQ(wired_request(&w, id, req, 42, out), 4);
    CHECK_EQ(out[2], PST_SPDM_INVALID_RESPONSE_CODE);
    CHECK_EQ(wired_request(&w, 0, req, 42, out), 4);
    CHECK_EQ(out[2], PST_SPDM_UNEXPECTED_REQUEST);
    CHECK_EQ(w.ts.keys.session[0].id, id);
    req[5] = PST_ERROR;
    CHECK_EQ(wired_request(&w, id, req, 8, out), 4); /* no chain, no session */
    CHECK_EQ(out[1], PST_ERROR);
    CHECK_EQ(w.ts.keys.session[0].id, 0);
    pst_requester_cancel(&w.q, PST_ERR_CLOSED);
    wired_end(&w);
}

/* A message that only the responder received clears its log, so the signature covers less. */
static void logs_are_cleared(void **state)
{
    static const uint8_t beat[] = {0x13, PST_HEARTBEAT, 0, 0}, digests[] = {0x13, 0x81, 0, 0};
    uint8_t out[WIRED_BUFFER];

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        begin();
        uint32_t id = wired_session(&w);
        struct pst_op op = {.kind = PST_OP_MEASUREMENTS, .index = 1};
        op.context = i & 1 ? id : 0;
        CHECK_EQ(wired_run(&w, &op), PST_OK);
        /* in the other context it leaves the log alone */
        bool same = i < 2;
        if (same == (op.context != 0)) {
            (void)wired_request(&w, id, beat, 4, out);
        } else {
            (void)wired_request(&w, 0, digests, 4, out);
        }
        op.sign = true;
        CHECK_EQ(wired_run(&w, &op), same ? PST_ERR_AUTH : PST_OK);
        wired_end(&w);
    }
}

static void longer(struct wired *wire, pst_role to, uint32_t context, uint8_t *msg, size_t *len)
{
    unsigned *count = wire->tap_ctx;

    (void)context;
    (void)len;
    if (to == PST_ROLE_REQUESTER && msg[1] == PST_CERTIFICATE && ++*count == 3) {
        msg[6]++;
    }
}

static void total_is_constant(void **state)
{
    struct wired_options o = wired_defaults();
    unsigned count = 0;

    (void)state;
    o.portion = 100;
    wired_setup(&w, &o);
    wired_start(&w);
    w.tap = longer;
    w.tap_ctx = &count;
    CHECK_EQ(wired_try_session(&w), PST_ERR_CERT);
    CHECK_EQ(count, 3);
    wired_end(&w);
}

/* -- opaque data of KEY_EXCHANGE -- */

struct opaque_case {
    const char *hex;
    bool good;
};

static const struct opaque_case opaques[] = {
    {"01000000 00000900 010103 0010 0011 0012 000000",                   true },
    {"01000000 00000500 010101 0012 000000",                             true },
    {"01000000 00000500 010101 3412 000000",                             true }, /* update, alpha */
    {"02000000 0602aabb 0300 010203 000000 00000500 010101 0012 000000", true }, /* another's */
    {"02000000 00000300 010240 00 00000500 010101 0012 000000",          true }, /* AEAD limit */
    {"01000000 00000500 010101 0020 000000",                             false}, /* 2.0 only */
    {"01000000 00000500 010101 0012 000001",                             false}, /* padding */
    {"01000000 00000500 010102 0012 000000",                             false}, /* count */
    {"01000000 00000300 010100 00",                                      false}, /* empty list */
    {"01000000 00000400 0100 0012",                                      false}, /* a choice */
    {"02000000 00000500 010101 0012 000000",                             false}, /* one missing */
    {"00000000 00000500 010101 0012 000000",                             false}, /* one too many */
    {"00000000",                                                         false},
    {"",                                                                 false},
    {"01000000 00000900 010101 0012 000000",                             false}, /* overruns */
    {"01000000 00ff0500 010101 0012 000000",                             false},
    {"02000000 00000500 010101 0012 000000 00000500 010101 0011 000000", false}, /* twice */
};

static void opaque_data(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof opaques / sizeof opaques[0]; i++) {
        struct pst_op op = {.kind = PST_OP_SESSION};
        uint8_t req[WIRED_BUFFER], out[WIRED_BUFFER];
        uint32_t context;
        size_t len;

        begin();
        connect_all();
        CHECK_EQ(pst_requester_start(&w.q, &op), PST_OK);
        CHECK_EQ(pst_requester_next(&w.q, &context, req, sizeof req, &len), PST_OK);
        len = 40 + 64;
        size_t n = pst_test_hex(opaques[i].hex, req + len + 2, 100);
        req[len] = (uint8_t)n;
        req[len + 1] = 0;
        (void)wired_request(&w, 0, req, len + 2 + n, out);
        if ((out[1] == PST_KEY_EXCHANGE_RSP) != opaques[i].good) {
            fprintf(stderr, "opaque %zu\n", i);
        }
        CHECK_EQ(out[1], opaques[i].good ? PST_KEY_EXCHANGE_RSP : PST_ERROR);
        CHECK(opaques[i].good || out[2] == PST_SPDM_INVALID_REQUEST);
        pst_requester_cancel(&w.q, PST_ERR_CLOSED);
        wired_end(&w);
    }
}

/* Outside sessions a binding may pad with zeros up to four bytes; nothing else may follow. */
static void padding(void **state)
{
    uint8_t req[12] = {0x13, PST_GET_DIGESTS}, out[WIRED_BUFFER];

    (void)state;
    begin();
    uint32_t id = wired_session(&w);
    for (size_t extra = 0; extra < 6; extra++) {
        (void)wired_request(&w, 0, req, 4 + extra, out);
        CHECK_EQ(out[1], extra <= 3 ? PST_DIGESTS : PST_ERROR);
        (void)wired_request(&w, id, req, 4 + extra, out);
        CHECK_EQ(out[1], extra == 0 ? PST_DIGESTS : PST_ERROR);
    }
    req[5] = 1;
    (void)wired_request(&w, 0, req, 6, out);
    CHECK_EQ(out[1], PST_ERROR);
    wired_end(&w);
}

/* Responses that do not fit are refused, never truncated. */
static void small_buffers(void **state)
{
    static const uint8_t all[] = {0x13, PST_GET_MEASUREMENTS, 2, 0xff, 0, 0, 0, 0, 0, 0, 0, 0};
    uint8_t out[WIRED_BUFFER];

    (void)state;
    begin();
    (void)wired_session(&w);
    for (size_t cap = 0; cap < 500; cap++) {
        size_t len = 99;
        memset(out, 0xee, sizeof out);
        CHECK_EQ(pst_responder_handle(&w.r, 0, all, sizeof all, out, cap, &len), PST_OK);
        CHECK(len <= cap && out[cap] == 0xee);
        CHECK(len == 0 || out[1] == PST_MEASUREMENTS || out[2] == PST_SPDM_RESPONSE_TOO_LARGE);
    }
    CHECK_EQ(out[1], PST_MEASUREMENTS);
    wired_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(impostors),         cmocka_unit_test(finish_too_early),
        cmocka_unit_test(deliveries),        cmocka_unit_test(logs_are_cleared),
        cmocka_unit_test(total_is_constant), cmocka_unit_test(opaque_data),
        cmocka_unit_test(padding),           cmocka_unit_test(small_buffers),
    };

    return cmocka_run_group_tests_name("spdm.hostile", tests, NULL, NULL);
}
