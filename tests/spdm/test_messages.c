/* Messages one by one, between the two engines: CHALLENGE, MEASUREMENTS, VENDOR_DEFINED, slow
 * signers, refusals, limits and time. */
#include "parts/wired.h"

static struct wired w;

static void begin(const struct wired_options *o)
{
    wired_setup(&w, o);
    wired_start(&w);
}

static void begin_default(void)
{
    struct wired_options o = wired_defaults();

    begin(&o);
}

static void connect_all(void)
{
    CHECK_EQ(wired_op(&w, PST_OP_CONNECT), PST_OK);
    CHECK_EQ(wired_op(&w, PST_OP_DIGESTS), PST_OK);
    CHECK_EQ(wired_op(&w, PST_OP_CERTIFICATE), PST_OK);
}

static void challenge(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        static const uint8_t summaries[] = {0, 1, 0xff};
        struct wired_options o = wired_defaults();
        struct pst_op op = {.kind = PST_OP_CHALLENGE, .summary = summaries[i % 3]};

        o.minor = i / 3 % 2 ? 2 : 3;
        o.hash = i / 6 ? PST_SHA384 : PST_SHA256;
        begin(&o);
        w.ts.config.basic_mutual = i == 4 || i == 9;
        connect_all();
        CHECK_EQ(wired_run(&w, &op), PST_OK);
        CHECK_EQ(wired_run(&w, &op), PST_OK); /* without B */
        CHECK_EQ(wired_op(&w, PST_OP_DIGESTS), PST_OK);
        CHECK_EQ(wired_run(&w, &op), PST_OK); /* with half of B */
        if (w.ts.config.basic_mutual && o.minor == 2) {
            CHECK(strcmp(w.ts.log.name, "ada") == 0);
        }
        CHECK_EQ(wired_op(&w, PST_OP_SESSION), PST_OK);
        wired_end(&w);
    }
}

/* After a basic mutual authentication the responder knows the requester: no encapsulation. */
static void plain_mutual(void **state)
{
    struct wired_options o = wired_defaults();

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        o.minor = 2;
        o.mutual = PST_MUTUAL_PLAIN;
        o.clear_handshake = i & 1;
        o.dts_slot = i & 2 ? 3 : 0;
        begin(&o);
        w.ts.config.basic_mutual = true;
        connect_all();
        CHECK_EQ(wired_op(&w, PST_OP_CHALLENGE), PST_OK);
        unsigned before = w.messages;
        CHECK_EQ(wired_op(&w, PST_OP_SESSION), PST_OK);
        CHECK_EQ(w.messages - before, 2);
        wired_end(&w);
        /* unknown requester: the encapsulated flow instead */
        begin(&o);
        (void)wired_session(&w);
        CHECK(strcmp(w.ts.log.name, "ada") == 0);
        wired_end(&w);
    }
}

static void measurements(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        struct wired_options o = wired_defaults();
        struct pst_op op = {.kind = PST_OP_MEASUREMENTS};

        o.minor = i & 1 ? 2 : 3;
        begin(&o);
        if (i & 2) {
            op.context = wired_session(&w);
        } else {
            connect_all();
        }
        op.raw = (i & 4) != 0;
        CHECK_EQ(wired_run(&w, &op), PST_OK); /* how many */
        CHECK_EQ(pst_requester_answer(&w.q).at[0], 3);
        op.index = 2;
        CHECK_EQ(wired_run(&w, &op), PST_OK);
        CHECK_EQ(pst_requester_answer(&w.q).len, op.raw ? 7 + 300 : 7 + 32);
        op.sign = true;
        op.index = 0xff;
        CHECK_EQ(wired_run(&w, &op), PST_OK); /* signs all three */
        CHECK_EQ(wired_run(&w, &op), PST_OK);
        op.sign = false;
        CHECK_EQ(wired_run(&w, &op), PST_OK);
        op.index = 9;
        uint8_t code;
        CHECK_EQ(wired_run(&w, &op), PST_ERR_PEER); /* unknown index: the log starts again */
        CHECK_EQ(pst_requester_result(&w.q, &code), PST_ERR_PEER);
        CHECK_EQ(code, PST_SPDM_INVALID_REQUEST);
        op.sign = true;
        op.index = 1;
        CHECK_EQ(wired_run(&w, &op), PST_OK);
        wired_end(&w);
    }
}

/* L of a session and L outside are two logs; other messages start a log again. */
static void measurement_logs(void **state)
{
    (void)state;
    begin_default();
    uint32_t id = wired_session(&w);
    struct pst_op in = {.kind = PST_OP_MEASUREMENTS, .context = id, .index = 1};
    struct pst_op out = {.kind = PST_OP_MEASUREMENTS, .index = 2};
    for (unsigned round = 0; round < 2; round++) {
        in.sign = out.sign = false;
        CHECK_EQ(wired_run(&w, &in), PST_OK);
        CHECK_EQ(wired_run(&w, &out), PST_OK);
        if (round == 1) {
            CHECK_EQ(wired_op(&w, PST_OP_HEARTBEAT), PST_OK);
        }
        in.sign = out.sign = true;
        CHECK_EQ(wired_run(&w, &out), PST_OK);
        CHECK_EQ(wired_run(&w, &in), PST_OK);
    }
    wired_end(&w);
}

static void vendor(void **state)
{
    static const uint8_t id[] = {0x1a, 0x02}, payload[700] = {1, 2, 3};
    struct pst_op op = {
        .kind = PST_OP_VENDOR,
        .standard = 6,
        .vendor_id = {id,      sizeof id     },
        .payload = {payload, sizeof payload}
    };

    (void)state;
    begin_default();
    op.context = wired_session(&w);
    CHECK_EQ(wired_run(&w, &op), PST_OK);
    CHECK_EQ(pst_requester_answer(&w.q).len, sizeof payload);
    CHECK_EQ(pst_requester_answer(&w.q).at[0], 0xfe);
    op.context = 0;
    op.vendor_id.len = 0;
    op.payload.len = 0;
    CHECK_EQ(wired_run(&w, &op), PST_OK);
    w.ts.config.hooks.vendor = NULL;
    CHECK_EQ(wired_run(&w, &op), PST_ERR_PEER);
    CHECK_EQ(w.last_error, PST_SPDM_UNSUPPORTED_REQUEST);
    wired_end(&w);
}

static void slow_signers(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct wired_options o = wired_defaults();
        struct pst_op op = {.kind = PST_OP_MEASUREMENTS, .sign = true, .index = 0xff};

        o.defer = i & 1;
        o.minor = i & 2 ? 2 : 3;
        begin(&o);
        w.ts.config.basic_mutual = true;
        connect_all();
        w.ts_signer.pending = 3;
        w.dts_signer.pending = 2;
        CHECK_EQ(wired_op(&w, PST_OP_CHALLENGE), PST_OK);
        CHECK_EQ(w.ts_signer.calls, 4);
        w.ts_signer.pending = 3;
        w.dts_signer.pending = 2;
        CHECK_EQ(wired_op(&w, PST_OP_SESSION), PST_OK);
        op.context = pst_requester_session(&w.q);
        w.ts_signer.pending = 5;
        CHECK_EQ(wired_run(&w, &op), PST_OK);
        CHECK(o.defer == (w.last_error == PST_SPDM_RESPONSE_NOT_READY));
        CHECK_EQ(w.ts_signer.cancelled, 0);
        wired_end(&w);
    }
}

static const uint8_t digests_13[] = {0x13, PST_GET_DIGESTS, 0, 0};

/* A deferred response belongs to its context, code and token; anything else drops it. */
static void deferred_is_bound(void **state)
{
    struct wired_options o = wired_defaults();
    uint8_t out[WIRED_BUFFER];

    (void)state;
    o.defer = true;
    begin(&o);
    uint32_t id = wired_session(&w);
    uint8_t ask[45 + 8] = {0x13, PST_GET_MEASUREMENTS, 1, 0xff};
    size_t len = 4 + 32 + 1 + 8;
    w.ts_signer.pending = 1;
    CHECK_EQ(wired_request(&w, id, ask, len, out), 8);
    CHECK_EQ(out[2], PST_SPDM_RESPONSE_NOT_READY);
    uint8_t token = out[6];
    CHECK(out[7] >= 2);
    uint8_t ready[] = {0x13, PST_RESPOND_IF_READY, PST_GET_MEASUREMENTS, token};
    CHECK_EQ(wired_request(&w, 0, ready, 4, out), 4); /* in the clear */
    CHECK_EQ(out[2], PST_SPDM_UNEXPECTED_REQUEST);
    ready[3]++;
    CHECK_EQ(wired_request(&w, id, ready, 4, out), 4);
    CHECK_EQ(out[2], PST_SPDM_INVALID_REQUEST);
    ready[3]--;
    ready[2] = PST_CHALLENGE;
    CHECK_EQ(wired_request(&w, id, ready, 4, out), 4);
    CHECK_EQ(out[2], PST_SPDM_INVALID_REQUEST);
    ready[2] = PST_GET_MEASUREMENTS;
    CHECK(wired_request(&w, id, ready, 4, out) > 100);
    CHECK_EQ(out[1], PST_MEASUREMENTS);
    CHECK_EQ(wired_request(&w, id, ready, 4, out), 4); /* once only */
    CHECK_EQ(out[2], PST_SPDM_UNEXPECTED_REQUEST);
    w.ts_signer.pending = 100;
    CHECK_EQ(wired_request(&w, id, ask, len, out), 8);
    CHECK(wired_request(&w, 0, digests_13, 4, out) > 4);
    CHECK_EQ(w.ts_signer.cancelled, 1);
    ready[3] = out[6];
    CHECK_EQ(wired_request(&w, id, ready, 4, out), 4);
    CHECK_EQ(out[2], PST_SPDM_UNEXPECTED_REQUEST);
    wired_end(&w);
}

static void broken_signer(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct wired_options o = wired_defaults();

        o.defer = i & 1;
        begin(&o);
        connect_all();
        w.ts_signer.broken = i < 2;
        w.dts_signer.broken = i >= 2;
        CHECK(wired_op(&w, PST_OP_SESSION) != PST_OK);
        w.ts_signer.broken = w.dts_signer.broken = false;
        w.now += 60000;
        (void)pst_responder_poll(&w.r);
        CHECK_EQ(wired_op(&w, PST_OP_SESSION), PST_OK);
        CHECK_EQ(w.ts.log.established, 1);
        wired_end(&w);
    }
}

/* Who is refused is refused before FINISH. */
static void refused_peers(void **state)
{
    (void)state;
    begin_default();
    w.dts.log.refuse = PST_ERR_IDENTITY;
    CHECK_EQ(wired_try_session(&w), PST_ERR_IDENTITY);
    CHECK_EQ(wired_op(&w, PST_OP_SESSION), PST_ERR_STATE);
    CHECK_EQ(w.ts.keys.placed, 0);
    w.dts.log.refuse = PST_OK;
    w.ts.log.refuse = PST_ERR_DENIED;
    CHECK_EQ(wired_try_session(&w), PST_ERR_PEER);
    CHECK_EQ(w.last_error, PST_SPDM_UNSPECIFIED);
    CHECK_EQ(w.ts.log.established, 0);
    CHECK_EQ(w.dts.log.established, 0);
    w.ts.log.refuse = PST_OK;
    CHECK_EQ(wired_try_session(&w), PST_OK);
    wired_end(&w);
}

static void wrong_digests(struct wired *wire, pst_role to, uint32_t context, uint8_t *msg,
                          size_t *len)
{
    (void)context;
    if (to == *(pst_role *)wire->tap_ctx && *len > 8) {
        if (msg[1] == PST_DIGESTS) {
            msg[4] ^= 1;
        }
        if (msg[1] == PST_DELIVER_ENCAPSULATED_RESPONSE && msg[5] == PST_DIGESTS) {
            msg[8] ^= 1;
        }
    }
}

static void digest_is_compared(void **state)
{
    static pst_role roles[] = {PST_ROLE_REQUESTER, PST_ROLE_RESPONDER};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        begin_default();
        w.tap = wrong_digests;
        w.tap_ctx = &roles[i];
        pst_err err = wired_try_session(&w);
        CHECK_EQ(err, i == 0 ? PST_ERR_AUTH : PST_ERR_PEER);
        CHECK_EQ(w.ts.log.established + w.dts.log.established, 0);
        wired_end(&w);
    }
}

static void required_mutual(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct wired_options o = wired_defaults();

        o.minor = i ? 2 : 3;
        begin(&o);
        w.ts.config.require_mutual = true;
        w.dts.config.capabilities &= ~(PST_CAP_MUT_AUTH | PST_CAP_ENCAP);
        CHECK_EQ(wired_try_session(&w), PST_ERR_PEER);
        CHECK_EQ(w.last_error, i ? PST_SPDM_UNSPECIFIED : PST_SPDM_INVALID_POLICY);
        wired_end(&w);
    }
}

static void limits_and_time(void **state)
{
    (void)state;
    begin_default();
    uint32_t first = wired_session(&w);
    for (unsigned i = 1; i < PST_SPDM_SESSIONS; i++) {
        CHECK_EQ(wired_op(&w, PST_OP_SESSION), PST_OK);
    }
    CHECK_EQ(pst_requester_heartbeat_s(&w.q, first), 5);
    CHECK(wired_op(&w, PST_OP_SESSION) != PST_OK); /* the requester has no room */
    CHECK_EQ(pst_responder_poll(&w.r), 10000);
    w.now += 9000;
    struct pst_op beat = {.kind = PST_OP_HEARTBEAT, .context = first};
    CHECK_EQ(wired_run(&w, &beat), PST_OK);
    w.now += 1000;
    (void)pst_responder_poll(&w.r); /* the others end */
    CHECK_EQ(w.ts.log.ended, PST_SPDM_SESSIONS - 1);
    CHECK(PST_SPDM_SESSIONS == 1 || w.ts.log.why == PST_ERR_TIMEOUT);
    CHECK_EQ(wired_run(&w, &beat), PST_OK);
    pst_responder_heard(&w.r, first);
    w.now += 10000;
    (void)pst_responder_poll(&w.r);
    CHECK_EQ(w.ts.log.ended, PST_SPDM_SESSIONS);
    pst_requester_wipe(&w.q);
    pst_responder_wipe(&w.r);
}

/* KEY_EXCHANGE without FINISH: the place is free again in time. */
static void handshake_times_out(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct wired_options o = wired_defaults();
        uint8_t req[WIRED_BUFFER], out[WIRED_BUFFER];
        size_t len, out_len;
        uint32_t context;

        o.clear_handshake = i;
        begin(&o);
        connect_all();
        for (unsigned n = 0; n < PST_SPDM_SESSIONS + 1; n++) {
            struct pst_op op = {.kind = PST_OP_SESSION};
            CHECK_EQ(pst_requester_start(&w.q, &op), PST_OK);
            CHECK_EQ(pst_requester_next(&w.q, &context, req, sizeof req, &len), PST_OK);
            out_len = wired_request(&w, 0, req, len, out);
            pst_requester_cancel(&w.q, PST_ERR_TIMEOUT);
            /* one flow at a time, and one handshake in the clear */
            CHECK_EQ(out[1], n == 0 ? PST_KEY_EXCHANGE_RSP : PST_ERROR);
        }
        CHECK(out_len >= 4);
        uint64_t wait = pst_responder_poll(&w.r);
        CHECK(wait > 1000 && wait < 60000);
        w.now += wait;
        CHECK_EQ(pst_responder_poll(&w.r), UINT64_MAX);
        CHECK_EQ(wired_op(&w, PST_OP_SESSION), PST_OK);
        wired_end(&w);
    }
}

static void bad_record(void **state)
{
    uint8_t out[64];
    size_t len = 99;

    (void)state;
    begin_default();
    uint32_t id = wired_session(&w);
    CHECK_EQ(pst_responder_bad_record(&w.r, id + 1, out, sizeof out, &len), PST_OK);
    CHECK_EQ(len, 0);
    CHECK_EQ(pst_responder_bad_record(&w.r, id, out, sizeof out, &len), PST_OK);
    CHECK_EQ(len, 4);
    CHECK_EQ(out[2], PST_SPDM_DECRYPT_ERROR);
    CHECK_EQ(w.ts.log.ended, 0); /* the ERROR goes under its keys */
    pst_responder_sent(&w.r);
    CHECK_EQ(w.ts.log.ended, 1);
    CHECK_EQ(w.ts.log.why, PST_ERR_AUTH);
    pst_requester_end(&w.q, id, PST_ERR_AUTH);
    wired_end(&w);
}

static void wrong_finish(struct wired *wire, pst_role to, uint32_t context, uint8_t *msg,
                         size_t *len)
{
    (void)context;
    (void)wire;
    if (to == PST_ROLE_RESPONDER && msg[1] == PST_FINISH) {
        msg[*len - *(size_t *)wire->tap_ctx] ^= 0x40;
    }
}

static void bad_finish(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct wired_options o = wired_defaults();
        size_t at = i & 1 ? 1 : 40; /* verify data, signature */

        o.clear_handshake = i & 2;
        begin(&o);
        w.tap = wrong_finish;
        w.tap_ctx = &at;
        CHECK_EQ(wired_try_session(&w), PST_ERR_PEER);
        CHECK_EQ(w.last_error, PST_SPDM_DECRYPT_ERROR);
        CHECK_EQ(w.ts.log.established, 0);
        CHECK_EQ(w.ts.keys.session[0].id, 0);
        CHECK_EQ(pst_responder_poll(&w.r), UINT64_MAX);
        wired_end(&w);
    }
}

/* GET_VERSION in the clear forgets this connection; in a session it is out of place. */
static void get_version_resets(void **state)
{
    static const uint8_t version[] = {0x10, PST_GET_VERSION, 0, 0}, odd[] = {0x13, 0x84, 0, 0};
    uint8_t out[WIRED_BUFFER];

    (void)state;
    begin_default();
    uint32_t id = wired_session(&w);
    CHECK_EQ(wired_request(&w, id, version, 4, out), 4);
    CHECK_EQ(out[2], PST_SPDM_UNEXPECTED_REQUEST);
    CHECK_EQ(wired_request(&w, 0, odd, 4, out), 4);
    CHECK_EQ(out[2], PST_SPDM_VERSION_MISMATCH);
    CHECK_EQ(w.ts.log.ended, 0);
    CHECK_EQ(wired_request(&w, 0, version, 4, out), 8);
    CHECK_EQ(w.ts.log.ended, 1);
    CHECK_EQ(wired_request(&w, id, digests_13, 4, out), 0); /* an unknown session: silence */
    CHECK_EQ(wired_request(&w, 0, digests_13, 4, out), 4);
    CHECK_EQ(out[2], PST_SPDM_UNEXPECTED_REQUEST);
    pst_requester_end(&w.q, id, PST_ERR_CLOSED);
    CHECK_EQ(wired_try_session(&w), PST_OK);
    wired_end(&w);
}

static void version_choice(void **state)
{
    (void)state;
    begin_default();
    w.ts.config.min_minor = 2;
    w.dts.config.min_minor = 2;
    (void)wired_session(&w);
    w.ts.config.max_minor = 2;
    pst_requester_end(&w.q, pst_requester_session(&w.q), PST_ERR_CLOSED);
    CHECK_EQ(wired_try_session(&w), PST_OK);
    w.dts.config.min_minor = 3;
    pst_requester_end(&w.q, pst_requester_session(&w.q), PST_ERR_CLOSED);
    CHECK_EQ(wired_op(&w, PST_OP_CONNECT), PST_ERR_VERSION);
    w.dts.config.min_minor = w.dts.config.max_minor = 2;
    w.dhs[0] = PST_SECP384R1;
    static const uint8_t other[] = {PST_SECP256R1, 0};
    w.dts.config.dhs = other;
    CHECK_EQ(wired_op(&w, PST_OP_CONNECT), PST_ERR_PEER);
    CHECK_EQ(w.last_error, PST_SPDM_INVALID_REQUEST);
    wired_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(challenge),
        cmocka_unit_test(plain_mutual),
        cmocka_unit_test(measurements),
        cmocka_unit_test(measurement_logs),
        cmocka_unit_test(vendor),
        cmocka_unit_test(slow_signers),
        cmocka_unit_test(deferred_is_bound),
        cmocka_unit_test(broken_signer),
        cmocka_unit_test(refused_peers),
        cmocka_unit_test(digest_is_compared),
        cmocka_unit_test(required_mutual),
        cmocka_unit_test(limits_and_time),
        cmocka_unit_test(handshake_times_out),
        cmocka_unit_test(bad_record),
        cmocka_unit_test(bad_finish),
        cmocka_unit_test(get_version_resets),
        cmocka_unit_test(version_choice),
    };

    return cmocka_run_group_tests_name("spdm.messages", tests, NULL, NULL);
}
