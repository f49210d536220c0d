/* SPDM messages as link messages: a complete session with debug data in VENDOR_DEFINED messages,
 * polled events, and one request at a time; and all messages that must be refused there. */
#include "ts/net.h"
#include "ts/ts.h"

static struct net *native_net(void)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    n->traits.mtu = 1024;
    n->traits.native = true;
    n->traits.pushes = false;
    return n;
}

/* Checks the link: only SPDM and records, none too long, and never two requests in a row. */
static bool watch(struct net *n, bool to_target, uint8_t *kind, uint8_t *msg, size_t *len)
{
    (void)msg;
    CHECK(*kind == PST_LINK_SPDM || *kind == PST_LINK_RECORD);
    CHECK(*len <= n->traits.mtu);
    CHECK_EQ(n->seen, to_target ? 0 : 1);
    n->seen = to_target ? 1 : 0;
    return true;
}

static struct net_side *ready(struct net *n)
{
    struct net_side *s = net_connect(n, 0, &net_keys.ada);
    CHECK_EQ(pst_debugger_state(&s->dts), PST_DEBUGGER_READY);
    return s;
}

static void test_session(void **state)
{
    struct net *n = native_net();
    static uint8_t big[20000], back[20000];
    struct pst_test_rng rng = {.state = 1};
    (void)state;

    n->tamper = watch;
    struct net_side *s = ready(n);
    CHECK(net_logged(n, "\"engineer\":\"ada\""));
    CHECK(strstr(s->dts.grants, "debug") != NULL || s->dts.grants[0] != '\0');
    pst_test_rng_fill(&rng, big, sizeof big);
    CHECK_EQ(net_op(s, true, PST_AS_MEMORY, NET_RAM_AT, big, sizeof big), PST_OK);
    CHECK_EQ(net_op(s, false, PST_AS_MEMORY, NET_RAM_AT, back, sizeof back), PST_OK);
    CHECK_BYTES(back, big, sizeof big);
    CHECK_EQ(net_op(s, true, PST_AS_MEMORY, 16, big, 4), PST_ERR_FAULT);
    CHECK_EQ(net_op(s, false, PST_AS_MEMORY, NET_RAM_AT, back, 4), PST_OK);
    pst_debugger_stop(&s->dts);
    net_run_for(n, 0);
    CHECK_EQ(pst_debugger_state(&s->dts), PST_DEBUGGER_CLOSED);
    CHECK_EQ(pst_debugger_why(&s->dts), PST_OK);
    CHECK(net_logged(n, "\"reason\":\"ended by the engineer\""));
    net_free(n);
}

static struct net *mctp_net(void)
{
    struct net *n = native_net();
    n->traits.shared = true;
    n->traits.sequence_len = 2;
    n->traits.inner = PST_LINK_INNER;
    return n;
}

/* Records as MCTP's binding has them. */
static void test_mctp_records(void **state)
{
    struct net *n = mctp_net();
    uint8_t words[600] = {7}, back[600];
    (void)state;

    n->tamper = watch;
    struct net_side *s = ready(n);
    CHECK_EQ(net_op(s, true, PST_AS_MEMORY, NET_RAM_AT, words, sizeof words), PST_OK);
    CHECK_EQ(net_op(s, false, PST_AS_MEMORY, NET_RAM_AT, back, sizeof back), PST_OK);
    CHECK_BYTES(back, words, sizeof words);
    /* session id, number, Length, { ApplicationDataLength, data }, tag */
    CHECK_EQ(pst_record_head(&s->dts.record), 4 + 2 + 2 + 2);
    CHECK_EQ(s->dts.record.config.sequence_len, 2);
    pst_debugger_stop(&s->dts);
    net_run_for(n, 0);
    CHECK_EQ(pst_debugger_why(&s->dts), PST_OK);
    net_free(n);
}

/* One end prefixes its messages with the type and the other does not expect that, or the reverse.
 */
static void test_mctp_type_missing(void **state)
{
    uint8_t word[4] = {0};
    (void)state;

    for (unsigned ts = 0; ts < 2; ts++) {
        struct net *n = ts != 0 ? mctp_net() : native_net();
        struct net_side *s = ready(n);
        struct pst_link_traits other = *s->dts.traits;

        other.inner = ts != 0 ? 0 : PST_LINK_INNER;
        s->dts.traits = &other;
        CHECK(net_op(s, false, PST_AS_MEMORY, NET_RAM_AT, word, 4) != PST_OK);
        CHECK_EQ(n->effects, 0);
        net_free(n);
    }
}

/* Operations submitted together are sent as one batch in one request. */
static void test_batch(void **state)
{
    struct net *n = native_net();
    struct pst_spp_op ops[8];
    uint8_t words[8][4];
    (void)state;

    struct net_side *s = ready(n);
    const unsigned before = s->messages_out;
    for (unsigned i = 0; i < 8; i++) {
        ops[i] = (struct pst_spp_op){
            .space = PST_AS_MEMORY, .address = NET_RAM_AT + 64 * i, .data = words[i], .len = 4};
        pst_debugger_read(&s->dts, &ops[i]);
    }
    net_run_for(n, 0);
    for (unsigned i = 0; i < 8; i++) {
        CHECK_EQ(ops[i].result, PST_OK);
    }
    CHECK_EQ(s->messages_out - before, 1);
    net_free(n);
}

/* Steps of a millisecond, as an event loop would. */
static void run_ms(struct net *n, struct net_side *s, unsigned ms)
{
    for (unsigned i = 0; i < ms; i++) {
        n->now++;
        (void)pst_target_poll(&n->target);
        (void)pst_debugger_poll(&s->dts);
        while (net_move(s)) {
        }
    }
}

static void test_events_and_pauses(void **state)
{
    struct net *n = native_net();
    uint8_t resume[24] = {1};
    (void)state;

    struct net_side *s = ready(n);
    run_ms(n, s, 2000);
    unsigned before = s->messages_out;
    run_ms(n, s, 5000);
    CHECK(s->messages_out - before <= 11); /* nothing is expected: polled twice a second */
    CHECK_EQ(net_op(s, true, PST_AS_RUN, PST_RUN_RESUME, resume, sizeof resume), PST_OK);
    run_ms(n, s, 1000);
    before = s->messages_out;
    run_ms(n, s, 5000);
    CHECK(s->messages_out - before >= 90 && s->messages_out - before <= 101);
    n->run_event = true;
    run_ms(n, s, 50);
    CHECK_EQ(s->events, 1);
    run_ms(n, s, 2000);
    before = s->messages_out;
    run_ms(n, s, 5000);
    CHECK(s->messages_out - before <= 11); /* it stopped */
    CHECK_EQ(net_op(s, true, PST_AS_RUN, PST_RUN_RESUME, resume, sizeof resume), PST_OK);
    n->run_event = true;
    run_ms(n, s, 5);
    CHECK_EQ(s->events, 2); /* a quick stop is reported at once */
    net_free(n);
}

/* A request whose command waits is answered at once without data, and urgent commands overtake it.
 */
static void test_pending(void **state)
{
    struct net *n = native_net();
    uint8_t word[4], zero[4] = {0};
    (void)state;

    struct net_side *s = ready(n);
    n->memory_pending = true;
    struct pst_spp_op op = {.space = PST_AS_MEMORY, .address = NET_RAM_AT, .data = word, .len = 4};
    pst_debugger_read(&s->dts, &op);
    n->tamper = watch; /* it checks for a request without an answer */
    run_ms(n, s, 30000);
    CHECK_EQ(op.result, PST_PENDING);
    CHECK_EQ(pst_debugger_state(&s->dts), PST_DEBUGGER_READY);
    const unsigned effects = n->effects;
    CHECK_EQ(net_op(s, true, PST_AS_RUN, PST_RUN_INTERRUPT, zero, 4), PST_OK);
    CHECK_EQ(n->effects, effects + 1);
    n->memory_pending = false;
    run_ms(n, s, 51);
    CHECK_EQ(op.result, PST_OK);
    net_free(n);
}

static void test_heartbeat(void **state)
{
    struct net *n = native_net();
    (void)state;

    struct net_side *s = ready(n);
    net_run_for(n, 60000);
    CHECK_EQ(pst_debugger_state(&s->dts), PST_DEBUGGER_READY);
    s->up = false; /* silence */
    net_run_for(n, 10000);
    CHECK_EQ(n->contexts[0].phase, PST_CONTEXT_FREE);
    s->up = true;
    net_cut(s);
    net_free(n);
}

static void test_lost_link(void **state)
{
    struct net *n = native_net();
    uint8_t word[4];
    (void)state;

    struct net_side *s = ready(n);
    n->memory_pending = true;
    struct pst_spp_op op = {.space = PST_AS_MEMORY, .address = NET_RAM_AT, .data = word, .len = 4};
    pst_debugger_read(&s->dts, &op);
    net_run_for(n, 100);
    net_cut(s);
    CHECK_EQ(op.result, PST_ERR_CLOSED);
    CHECK_EQ(pst_debugger_why(&s->dts), PST_ERR_IO);
    CHECK_EQ(n->contexts[0].phase, PST_CONTEXT_FREE);
    n->memory_pending = false;
    (void)ready(n);
    net_free(n);
}

/* Keys change between two requests, with operations waiting on both sides. */
static void test_rekey(void **state)
{
    struct net *n = native_net();
    static uint8_t big[30000], back[30000];
    struct pst_test_rng rng = {.state = 2};
    (void)state;

    struct net_side *s = net_join(n, 0, &net_keys.ada, &net_keys.devices);
    s->config.rekey_after = 20;
    net_start(s);
    net_run_for(n, 0);
    CHECK_EQ(pst_debugger_state(&s->dts), PST_DEBUGGER_READY);
    pst_test_rng_fill(&rng, big, sizeof big);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(net_op(s, true, PST_AS_MEMORY, NET_RAM_AT, big, sizeof big), PST_OK);
        CHECK_EQ(net_op(s, false, PST_AS_MEMORY, NET_RAM_AT, back, sizeof back), PST_OK);
        CHECK_BYTES(back, big, sizeof big);
        CHECK(s->dts.record.send.sequence < 40);
    }
    CHECK(s->messages_out > 200);
    net_free(n);
}

/* Both kinds of session side by side: one holds the target, the other is told who. */
static void test_held(void **state)
{
    struct net *n = native_net();
    (void)state;

    struct net_side *a = ready(n);
    struct net_side *b = net_connect(n, 1, &net_keys.olga);
    CHECK_EQ(pst_debugger_why(&b->dts), PST_ERR_BUSY);
    CHECK(strstr(b->dts.who, "held by ada") != NULL);
    n->traits.native = false; /* in band, beside it */
    struct net_side *c = net_connect(n, 2, &net_keys.olga);
    CHECK_EQ(pst_debugger_why(&c->dts), PST_ERR_BUSY);
    CHECK_EQ(pst_debugger_state(&a->dts), PST_DEBUGGER_READY);
    net_free(n);
}

/* No context is free: a new DTS gets Busy, retries for a while, and reports it. */
static void test_busy(void **state)
{
    struct net *n = native_net();
    static const uint8_t clear[4] = {0x10, PST_GET_VERSION, 0, 0};
    uint8_t msg[4];
    (void)state;

    for (uint32_t link = 10; link < 10 + NET_CONTEXTS; link++) {
        CHECK_EQ(pst_target_link_up(&n->target, link, &n->traits), PST_OK);
        memcpy(msg, clear, 4);
        CHECK_EQ(pst_target_receive(&n->target, link, PST_LINK_SPDM, msg, 4), PST_OK);
    }
    struct net_side *s = net_connect(n, 0, &net_keys.ada);
    net_run_for(n, 8000);
    CHECK_EQ(pst_debugger_why(&s->dts), PST_ERR_BUSY);
    net_cut(s);
    net_run_for(n, 15000);
    (void)ready(n);
    net_free(n);
}

/* --- messages that must be refused --- */

/* A VENDOR_DEFINED request around one write to MEMORY. */
static size_t put_vendor(uint8_t *out, uint16_t standard, uint8_t id_len, uint8_t minor)
{
    struct pst_writer w = pst_writer_of(out, 128);
    uint8_t batch[64];
    struct pst_writer b = pst_writer_of(batch, sizeof batch);
    const struct pst_spp_packet init = {
        .style = PST_SPP_FULL, .opcode = PST_SPP_INIT, .immediate = true, .last = true};
    const struct pst_spp_packet write = {
        .style = PST_SPP_FULL,
        .opcode = PST_SPP_WRITE,
        .space = PST_AS_MEMORY,
        .immediate = true,
        .last = true,
        .tag = 1,
        .count = 4,
        .address = NET_RAM_AT,
        .data = {(const uint8_t *)"evil", 4}
    };
    pst_spp_put_command(&b, &init);
    pst_spp_put_command(&b, &write);
    pst_put_u8(&w, (uint8_t)(0x10 | minor));
    pst_put_u8(&w, PST_VENDOR_DEFINED_REQUEST);
    pst_put_u16(&w, 0);
    pst_put_u16(&w, standard);
    pst_put_u8(&w, id_len);
    for (unsigned i = 0; i < id_len; i++) {
        pst_put_u8(&w, 0);
    }
    pst_put_u16(&w, (uint16_t)b.used);
    pst_put_bytes(&w, batch, b.used);
    return w.used;
}

/* Sends `msg` to the TS in records of the session. Returns the SPDM code of the answer, 0 for none.
 */
static uint8_t say(struct net_side *s, const uint8_t *msg, size_t len, uint8_t *answer)
{
    struct net *n = s->net;
    static uint8_t record[1100];
    struct pst_bytes payload;
    pst_key_phase phase;
    uint8_t kind = 0;
    size_t n_out = 0;

    if (len > 0) {
        memcpy(record + pst_record_head(&s->dts.record), msg, len);
    }
    CHECK_EQ(pst_record_seal(&s->dts.record, record, sizeof record, len, 0, &len), PST_OK);
    (void)!pst_target_receive(&n->target, 0, PST_LINK_RECORD, record, len);
    n_out = pst_target_output(&n->target, 0, &kind, record, sizeof record);
    if (n_out == 0) {
        return 0;
    }
    CHECK_EQ(kind, PST_LINK_RECORD);
    CHECK_EQ(pst_record_open(&s->dts.record, record, n_out, &payload, &phase), PST_OK);
    memcpy(answer, payload.at, payload.len < 64 ? payload.len : 64);
    return payload.at[1];
}

static void test_malformed(void **state)
{
    uint8_t msg[128], answer[64];
    (void)state;

    for (unsigned how = 0; how < 7; how++) {
        struct net *n = native_net();
        struct net_side *s = ready(n);
        size_t len = put_vendor(msg, how == 0 ? 3 : PST_VENDOR_STANDARD, how == 1 ? 4 : 2, 3);
        const size_t payload = 4 + 2 + 1 + 2 + 2;
        s->net->lines_at_effect = n->lines;
        if (how == 2) {
            msg[7] = 0x5A; /* another vendor */
        } else if (how == 3) {
            msg[6] = 255; /* the id is longer than the message */
        } else if (how == 4) {
            pst_poke_u16(msg + payload - 2, 500); /* and so is the payload */
        } else if (how == 5) {
            len--; /* cut short */
        } else if (how == 6) {
            msg[payload] = 0x0F; /* no SPP */
        }
        CHECK_EQ(say(s, msg, len, answer), PST_ERROR);
        CHECK_EQ(n->effects, 0);
        net_run_for(n, 0);
        /* Malformed SPP ends the session. The other messages only get an error answer. */
        CHECK_EQ(n->contexts[0].phase == PST_CONTEXT_LIVE, how != 6);
        net_cut(s);
        net_free(n);
    }
}

/* For comparison: the well-formed message does write. */
static void test_well_formed(void **state)
{
    struct net *n = native_net();
    struct net_side *s = ready(n);
    uint8_t msg[128], answer[64];
    const size_t len = put_vendor(msg, PST_VENDOR_STANDARD, 2, 3);
    (void)state;

    n->lines_at_effect = n->lines;
    CHECK_EQ(say(s, msg, len, answer), PST_VENDOR_DEFINED_RESPONSE);
    CHECK_EQ(n->effects, 1);
    CHECK(net_logged(n, "memory 0x80000000+4"));
    net_cut(s);
    net_free(n);
}

static void clear_vendor(struct net *n, uint32_t link, uint8_t minor)
{
    uint8_t msg[1024], kind = 0;
    const size_t len = put_vendor(msg, PST_VENDOR_STANDARD, 2, minor);

    (void)!pst_target_receive(&n->target, link, PST_LINK_SPDM, msg, len);
    while (pst_target_output(&n->target, link, &kind, msg, sizeof msg) > 0) {
        CHECK(kind == PST_LINK_SPDM && msg[1] == PST_ERROR);
    }
}

static unsigned turn;
static bool vendor_between(struct net *n, bool to_target, uint8_t *kind, uint8_t *msg, size_t *len)
{
    (void)msg;
    (void)len;
    (void)kind;
    if (to_target && n->seen++ == turn) {
        clear_vendor(n, 0, 3);
    }
    return true;
}

/* In the clear, at every moment of a handshake, and beside a session. */
static void test_vendor_in_the_clear(void **state)
{
    (void)state;
    for (turn = 0; turn < 16; turn++) {
        struct net *n = native_net();
        n->tamper = vendor_between;
        struct net_side *s = net_connect(n, 0, &net_keys.ada);
        clear_vendor(n, 0, 3);
        CHECK_EQ(n->effects, 0);
        net_run_for(n, 20000);
        CHECK_EQ(pst_debugger_state(&s->dts), PST_DEBUGGER_READY);
        CHECK_EQ(n->effects, 0);
        net_free(n);
    }
}

static bool before_finish(struct net *n, bool to_target, uint8_t *kind, uint8_t *msg, size_t *len)
{
    (void)msg;
    (void)len;
    if (!to_target || *kind != PST_LINK_RECORD || n->seen > 0) {
        return true;
    }
    n->seen = 1; /* the first record is lost; the test goes on by itself */
    return false;
}

/* Under handshake keys, by an engineer with a valid certificate who does not send FINISH. */
static void test_vendor_before_finish(void **state)
{
    struct net *n = native_net();
    uint8_t msg[128], answer[64];
    (void)state;

    n->tamper = before_finish;
    struct net_side *s = net_connect(n, 0, &net_keys.ada);
    CHECK_EQ(n->seen, 1);
    CHECK_EQ(n->contexts[0].phase, PST_CONTEXT_PENDING);
    s->dts.record.send.sequence = 0; /* in place of the lost one */
    const size_t len = put_vendor(msg, PST_VENDOR_STANDARD, 2, 3);
    CHECK_EQ(say(s, msg, len, answer), PST_ERROR);
    CHECK_EQ(n->effects + n->opened + n->reads, 0);
    CHECK_EQ(n->contexts[0].phase, PST_CONTEXT_PENDING);
    n->tamper = NULL;
    net_cut(s);
    CHECK_EQ(n->contexts[0].phase, PST_CONTEXT_FREE);
    (void)ready(n);
    net_free(n);
}

/* The mailbox of the SCM space leads back to the security agent, so it is absent. WHO and GRANTS
 * are present. */
static void test_no_mailbox_inside(void **state)
{
    struct net *n = native_net();
    struct net_side *s = ready(n);
    static const uint64_t closed[] = {PST_SCM_STATUS,   PST_SCM_GO,          PST_SCM_DATA,
                                      PST_SCM_RESPONSE, PST_SCM_DATA + 4000, UINT64_MAX - 3};
    uint8_t word[4] = {4};
    (void)state;

    for (unsigned i = 0; i < sizeof closed / sizeof *closed; i++) {
        CHECK(net_op(s, true, PST_AS_SCM, closed[i], word, 4) != PST_OK);
        CHECK(net_op(s, false, PST_AS_SCM, closed[i], word, 4) != PST_OK);
    }
    CHECK_EQ(net_op(s, false, PST_AS_SCM, PST_SCM_GRANTS, word, 4), PST_OK);
    CHECK_EQ(pst_debugger_state(&s->dts), PST_DEBUGGER_READY);
    net_free(n);
}

/* The log fails: no effect, and the session is over. */
static void test_no_log_no_effect(void **state)
{
    struct net *n = native_net();
    struct net_side *s = ready(n);
    uint8_t word[4] = {1};
    (void)state;

    n->log_fails = true;
    CHECK(net_op(s, true, PST_AS_MEMORY, NET_RAM_AT, word, 4) != PST_OK);
    CHECK_EQ(n->effects, 0);
    CHECK_EQ(n->contexts[0].phase, PST_CONTEXT_FREE);
    net_free(n);
}

/* A TS that does not enable native SPDM ignores it. */
static void test_not_registered(void **state)
{
    struct net *n = native_net();
    uint8_t msg[4] = {0x10, PST_GET_VERSION, 0, 0}, kind = 0, out[1024];
    (void)state;

    n->config.native = NULL;
    CHECK_EQ(pst_target_link_up(&n->target, 0, &n->traits), PST_OK);
    CHECK_EQ(pst_target_receive(&n->target, 0, PST_LINK_SPDM, msg, 4), PST_OK);
    CHECK_EQ(pst_target_output(&n->target, 0, &kind, out, sizeof out), 0);
    CHECK_EQ(n->contexts[0].phase, PST_CONTEXT_FREE);
    net_free(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session),
        cmocka_unit_test(test_mctp_records),
        cmocka_unit_test(test_mctp_type_missing),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_events_and_pauses),
        cmocka_unit_test(test_pending),
        cmocka_unit_test(test_heartbeat),
        cmocka_unit_test(test_lost_link),
        cmocka_unit_test(test_rekey),
        cmocka_unit_test(test_held),
        cmocka_unit_test(test_busy),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_well_formed),
        cmocka_unit_test(test_vendor_in_the_clear),
        cmocka_unit_test(test_vendor_before_finish),
        cmocka_unit_test(test_no_mailbox_inside),
        cmocka_unit_test(test_no_log_no_effect),
        cmocka_unit_test(test_not_registered),
    };
    return cmocka_run_group_tests(tests, net_keys_make, net_keys_free);
}
