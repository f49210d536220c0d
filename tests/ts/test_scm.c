/* Both SCMs together: opening a session, what a session may do, and all attempts to bypass it. */
#include "ts/net.h"

static void check_open(struct net_side *s)
{
    if (pst_debugger_state(&s->dts) != PST_DEBUGGER_READY) {
        fprintf(stderr, "state %d why %d\n", (int)pst_debugger_state(&s->dts),
                (int)pst_debugger_why(&s->dts));
    }
    CHECK_EQ(pst_debugger_state(&s->dts), PST_DEBUGGER_READY);
}

static void test_session(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    struct net_side *s = net_connect(n, 0, &net_keys.ada);
    uint8_t big[40000], back[40000];
    struct pst_test_rng rng = {.state = 1};
    (void)state;

    check_open(s);
    CHECK_EQ(n->opened, 2);
    CHECK(net_logged(n, "\"event\":\"open\"") && net_logged(n, "\"engineer\":\"ada\""));
    pst_test_rng_fill(&rng, big, sizeof big);
    CHECK_EQ(net_op(s, true, PST_AS_MEMORY, NET_RAM_AT + 3, big, sizeof big), PST_OK);
    CHECK_BYTES(n->ram + 3, big, sizeof big);
    CHECK(net_logged(n, "memory 0x80000003+"));
    CHECK_EQ(net_op(s, false, PST_AS_MEMORY, NET_RAM_AT + 3, back, sizeof back), PST_OK);
    CHECK_BYTES(back, big, sizeof big);
    CHECK_EQ(net_op(s, true, PST_AS_RUN, PST_RUN_DETACH, big, 1), PST_OK);
    CHECK_EQ(net_op(s, false, PST_AS_MEMORY, 0, back, 4), PST_ERR_FAULT);
    CHECK_EQ(net_op(s, false, PST_AS_MEMORY, NET_RAM_AT, back, 4), PST_OK);
    n->run_event = true;
    net_run_for(n, 0);
    CHECK_EQ(s->events, 1);
    pst_debugger_stop(&s->dts);
    net_run_for(n, 0);
    CHECK_EQ(pst_debugger_state(&s->dts), PST_DEBUGGER_CLOSED);
    CHECK_EQ(pst_debugger_why(&s->dts), PST_OK);
    CHECK(net_logged(n, "\"event\":\"end\"") && net_logged(n, "ended by the engineer"));
    CHECK_EQ(n->released, 2);
    net_free(n);
}

static void test_sessions_follow_each_other(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    uint8_t word[4];
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct net_side *s = net_connect(n, 0, &net_keys.ada);
        check_open(s);
        CHECK_EQ(net_op(s, false, PST_AS_MEMORY, NET_RAM_AT, word, 4), PST_OK);
        net_cut(s);
        net_run_for(n, 0);
        CHECK_EQ(n->released, 2 * (i + 1));
    }
    net_free(n);
}

/* Checks the error of a refused engineer or device, and that no space was reached. */
static void check_refused(const struct pst_identity *target, const struct pst_identity *engineer,
                          pst_err want)
{
    struct net *n = net_new(target, "debug");
    if (target != &net_keys.pump) {
        n->config.device = NET_DEVICE; /* also a device with a false name */
    }
    struct net_side *s = net_connect(n, 0, engineer);
    CHECK_EQ(pst_debugger_state(&s->dts), PST_DEBUGGER_CLOSED);
    CHECK_EQ(pst_debugger_why(&s->dts), want);
    CHECK_EQ(n->opened + n->reads + n->effects, 0);
    CHECK(!net_logged(n, "\"event\":\"open\""));
    net_run_for(n, 20000);
    n->config.device = NET_DEVICE;
    CHECK(!net_held(n));
    net_free(n);
}

static void test_refusals(void **state)
{
    (void)state;
    check_refused(&net_keys.impostor, &net_keys.ada, PST_ERR_CERT);
    check_refused(&net_keys.pump43, &net_keys.ada, PST_ERR_IDENTITY);
    check_refused(&net_keys.pump, &net_keys.nobody, PST_ERR_DENIED);
}

static void test_engineer_of_another_ca(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    struct net_side *s = net_connect(n, 0, &net_keys.eve);
    (void)state;
    net_run_for(n, 20000);
    CHECK_EQ(pst_debugger_state(&s->dts), PST_DEBUGGER_CLOSED);
    CHECK(pst_debugger_why(&s->dts) != PST_OK);
    CHECK_EQ(n->opened + n->reads + n->effects, 0);
    CHECK_EQ(n->lines, 1);
    CHECK(net_logged(n, "\"event\":\"refused\""));
    CHECK(net_logged(n, "\"reason\":\"certificate 0: "));
    net_free(n);
}

static void test_read_only(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    struct net_side *s = net_connect(n, 0, &net_keys.olga);
    uint8_t word[4] = {1, 2, 3, 4};
    (void)state;

    check_open(s);
    CHECK_EQ(net_op(s, false, PST_AS_MEMORY, NET_RAM_AT, word, 4), PST_OK);
    CHECK_EQ(net_op(s, true, PST_AS_MEMORY, NET_RAM_AT, word, 4), PST_ERR_DENIED);
    CHECK_EQ(net_op(s, true, PST_AS_RUN, PST_RUN_RESUME, word, 4), PST_ERR_DENIED);
    CHECK_EQ(n->effects, 0);
    CHECK(net_logged(n, "\"event\":\"denied\""));
    CHECK(net_logged(n, "\"space\":\"memory\",\"rights\":\"write\",\"address\":\"0x80000000\""));
    CHECK_EQ(net_op(s, false, PST_AS_MEMORY, NET_RAM_AT, word, 4), PST_OK);
    net_free(n);
}

static void test_range(void **state)
{
    struct net *n = net_new(&net_keys.pump, "memory:rw:0x80001000-0x80001fff");
    struct net_side *s = net_connect(n, 0, &net_keys.ada);
    uint8_t word[4] = {1, 2, 3, 4};
    (void)state;

    check_open(s);
    CHECK_EQ(net_op(s, true, PST_AS_MEMORY, NET_RAM_AT + 0x1000, word, 4), PST_OK);
    CHECK_EQ(net_op(s, true, PST_AS_MEMORY, NET_RAM_AT + 0x1ffd, word, 4), PST_ERR_DENIED);
    CHECK_EQ(net_op(s, false, PST_AS_MEMORY, NET_RAM_AT + 0xfff, word, 4), PST_ERR_DENIED);
    CHECK_EQ(net_op(s, false, PST_AS_MEMORY, UINT64_MAX - 3, word, 4), PST_ERR_DENIED);
    CHECK_EQ(n->opened, 1); /* RUN is not even opened */
    CHECK_EQ(n->effects, 1);
    net_free(n);
}

static void test_second_engineer(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    struct net_side *first = net_connect(n, 0, &net_keys.ada);
    struct net_side *second = net_connect(n, 1, &net_keys.olga);
    uint8_t word[4];
    (void)state;

    check_open(first);
    CHECK_EQ(pst_debugger_state(&second->dts), PST_DEBUGGER_CLOSED);
    CHECK_EQ(pst_debugger_why(&second->dts), PST_ERR_BUSY);
    CHECK(strstr(second->dts.who, "held by ada") != NULL);
    CHECK_EQ(net_op(first, false, PST_AS_MEMORY, NET_RAM_AT, word, 4), PST_OK);
    net_cut(first);
    net_cut(second);
    net_run_for(n, 10);
    second = net_connect(n, 1, &net_keys.olga);
    check_open(second);
    net_free(n);
}

static void test_sharing(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    uint8_t word[4] = {9, 9, 9, 9};
    (void)state;
    n->policy.share_read_only = true;
    struct net_side *first = net_connect(n, 0, &net_keys.ada);
    struct net_side *second = net_connect(n, 1, &net_keys.ada);

    check_open(first);
    check_open(second);
    CHECK_EQ(net_op(second, false, PST_AS_MEMORY, NET_RAM_AT, word, 4), PST_OK);
    CHECK_EQ(net_op(second, true, PST_AS_MEMORY, NET_RAM_AT, word, 4), PST_ERR_DENIED);
    n->run_event = true;
    net_run_for(n, 0);
    CHECK_EQ(first->events, 1); /* events are the holder's */
    CHECK_EQ(second->events, 0);
    net_cut(second);
    net_run_for(n, 0);
    CHECK_EQ(n->released, 0); /* an observer leaves, the holder keeps what it opened */
    CHECK_EQ(net_op(first, true, PST_AS_MEMORY, NET_RAM_AT, word, 4), PST_OK);
    net_free(n);
}

static void test_no_log_no_effects(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    struct net_side *s = net_connect(n, 0, &net_keys.ada);
    uint8_t word[4] = {1, 2, 3, 4};
    (void)state;

    check_open(s);
    n->log_fails = true;
    CHECK(net_op(s, true, PST_AS_MEMORY, NET_RAM_AT, word, 4) != PST_OK);
    CHECK_EQ(n->effects, 0);
    net_cut(s);
    net_run_for(n, 10);
    s = net_connect(n, 0, &net_keys.ada); /* and no session */
    CHECK_EQ(pst_debugger_state(&s->dts), PST_DEBUGGER_CLOSED);
    CHECK_EQ(n->opened, n->released);
    n->log_fails = false;
    net_free(n);
}

/* An audit log that fails in the middle of a line has failed. */
static unsigned good_pieces;

static pst_err line_fails(void *ctx, const char *piece, size_t len, enum pst_audit_when when)
{
    (void)ctx, (void)piece, (void)len, (void)when;
    return good_pieces-- > 0 ? PST_OK : PST_ERR_IO;
}

static void test_log_fails_within_a_line(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    uint8_t breaks[64] = {1};
    (void)state;

    for (unsigned pieces = 0; pieces < 2; pieces++) { /* of the two that an effect needs */
        n->config.audit.line = net_line;
        struct net_side *s = net_connect(n, 0, &net_keys.ada);
        CHECK_EQ(pst_debugger_state(&s->dts), PST_DEBUGGER_READY);
        good_pieces = pieces;
        n->config.audit.line = line_fails;
        CHECK(net_op(s, true, PST_AS_RUN, PST_RUN_BREAK, breaks, 64) != PST_OK);
        CHECK_EQ(n->effects, 0);
        net_cut(s);
        net_run_for(n, 1000);
    }
    n->config.audit.line = net_line;
    net_free(n);
}

static void test_heartbeat(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    struct net_side *s = net_connect(n, 0, &net_keys.ada);
    uint8_t word[4];
    (void)state;

    check_open(s);
    net_run_for(n, 60000); /* heartbeats keep an idle session open */
    check_open(s);
    n->memory_pending = true; /* and one whose stub hangs */
    struct pst_spp_op stuck = {
        .space = PST_AS_MEMORY, .address = NET_RAM_AT, .data = word, .len = 4};
    pst_debugger_read(&s->dts, &stuck);
    net_run_for(n, 60000);
    check_open(s);
    CHECK_EQ(stuck.result, PST_PENDING);
    n->memory_pending = false;
    net_run_for(n, 1000);
    CHECK_EQ(stuck.result, PST_OK);
    s->up = false; /* the DTS falls silent, its link stays up */
    net_run_for(n, 30000);
    CHECK(!net_held(n));
    CHECK_EQ(n->released, 2);
    s->up = true;
    net_cut(s);
    net_free(n);
}

static void test_key_update(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    struct net_side *s = net_join(n, 0, &net_keys.ada, &net_keys.devices);
    uint8_t word[4];
    (void)state;

    s->config.rekey_after = 20;
    net_start(s);
    net_run_for(n, 0);
    check_open(s);
    for (uint32_t i = 0; i < 500; i++) {
        pst_poke_u32(word, i);
        n->run_event = i % 3 == 0; /* traffic both ways while keys change */
        CHECK_EQ(net_op(s, true, PST_AS_MEMORY, NET_RAM_AT + 4 * i, word, 4), PST_OK);
        check_open(s);
    }
    net_run_for(n, 0);
    CHECK_EQ(s->events, 167);
    net_free(n);
}

/* --- attempts without a session --- */

static size_t command(uint8_t *out, size_t cap, uint8_t opcode, uint8_t space, uint64_t address)
{
    static uint8_t zeros[4];
    struct pst_spp_packet p = {.style = PST_SPP_FULL,
                               .opcode = opcode,
                               .space = space,
                               .immediate = true,
                               .last = true,
                               .count = 4,
                               .address = address};
    size_t len;
    struct pst_writer w = pst_writer_of(out, cap);
    if (opcode == PST_SPP_WRITE) {
        p.data = (struct pst_bytes){zeros, 4};
    }
    pst_spp_put_command(&w, &p);
    CHECK_EQ(pst_written(&w, &len), PST_OK);
    return len;
}

/* Raw messages on a link of their own, in every kind, to every space, before and beside a session.
 */
static void test_unauthenticated_reach_nothing(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    uint8_t msg[256], out[4096], kind;
    (void)state;

    for (int live = 0; live < 2; live++) {
        struct net_side *s = live ? net_connect(n, 0, &net_keys.ada) : NULL;
        unsigned opened = n->opened;
        CHECK_EQ(pst_target_link_up(&n->target, 9, &n->traits), PST_OK);
        for (unsigned attempt = 0; attempt < 3 * PST_AS_COUNT * 2; attempt++) {
            uint8_t opcode = attempt & 1 ? PST_SPP_WRITE : PST_SPP_READ;
            uint8_t space = (uint8_t)(attempt / 2 % PST_AS_COUNT);
            uint8_t kinds[] = {PST_LINK_CLEAR, PST_LINK_RECORD, PST_LINK_CONTROL};
            size_t len = command(msg, sizeof msg, PST_SPP_INIT, 0, 0);
            (void)!pst_target_receive(&n->target, 9, PST_LINK_CLEAR, msg, len);
            len = command(msg, sizeof msg, opcode, space,
                          space == PST_AS_SCM ? PST_SCM_WHO : NET_RAM_AT);
            (void)!pst_target_receive(&n->target, 9, kinds[attempt / 2 / PST_AS_COUNT], msg, len);
            while (pst_target_output(&n->target, 9, &kind, out, sizeof out) > 0) {
                CHECK_EQ(kind, PST_LINK_CLEAR);
            }
            (void)pst_target_poll(&n->target);
        }
        CHECK_EQ(n->reads + n->effects, 0);
        CHECK_EQ(n->opened, opened);
        pst_target_link_down(&n->target, 9);
        if (live) {
            check_open(s);
            CHECK_EQ(net_op(s, false, PST_AS_MEMORY, NET_RAM_AT, msg, 4), PST_OK);
        }
    }
    net_free(n);
}

/* Commands under handshake keys, or in the clear on the link of the live session. */
static bool clear_beside(struct net *n, bool to_target, uint8_t *kind, uint8_t *msg, size_t *len)
{
    uint8_t extra[64];
    (void)kind;
    (void)msg;
    (void)len;
    if (to_target) {
        size_t extra_len = command(extra, sizeof extra, PST_SPP_WRITE, PST_AS_MEMORY, NET_RAM_AT);
        (void)!pst_target_receive(&n->target, 0, PST_LINK_CLEAR, extra, extra_len);
    }
    return true;
}

static void test_clear_on_a_live_link(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    struct net_side *s = net_connect(n, 0, &net_keys.ada);
    uint8_t word[4];
    (void)state;

    check_open(s);
    n->tamper = clear_beside;
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(net_op(s, false, PST_AS_MEMORY, NET_RAM_AT, word, 4), PST_OK);
    }
    CHECK_EQ(n->effects, 0);
    check_open(s);
    n->tamper = NULL;
    net_free(n);
}

static bool replay(struct net *n, bool to_target, uint8_t *kind, uint8_t *msg, size_t *len)
{
    if (to_target && *kind == PST_LINK_RECORD && n->kept_len == 0) {
        memcpy(n->kept, msg, *len);
        n->kept_len = *len;
    }
    return true;
}

static void test_replay(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    struct net_side *s = net_connect(n, 0, &net_keys.ada);
    uint8_t word[4] = {7, 7, 7, 7};
    (void)state;

    check_open(s);
    n->tamper = replay;
    CHECK_EQ(net_op(s, true, PST_AS_MEMORY, NET_RAM_AT, word, 4), PST_OK);
    unsigned effects = n->effects;
    CHECK(n->kept_len > 0);
    (void)!pst_target_receive(&n->target, 0, PST_LINK_RECORD, n->kept, n->kept_len);
    net_run_for(n, 0);
    CHECK_EQ(n->effects, effects);
    /* a record of an old session in a new one */
    net_cut(s);
    net_run_for(n, 10);
    s = net_connect(n, 0, &net_keys.ada);
    check_open(s);
    (void)!pst_target_receive(&n->target, 0, PST_LINK_RECORD, n->kept, n->kept_len);
    net_run_for(n, 0);
    CHECK_EQ(n->effects, effects);
    net_free(n);
}

static bool flip(struct net *n, bool to_target, uint8_t *kind, uint8_t *msg, size_t *len)
{
    (void)to_target;
    (void)kind;
    if (n->kept_len > 0 && n->kept_len-- == 1) {
        msg[n->seen % *len] ^= (uint8_t)(1u << (n->seen % 8));
    }
    return true;
}

/* Flips one bit of each message of a session in turn: no wrong data may be read or written, and the
 * next session must open. */
static void test_flipped_bits(void **state)
{
    (void)state;
    for (unsigned message = 1; message < 60; message++) {
        struct net *n = net_new(&net_keys.pump, "debug");
        uint8_t word[4] = {0};
        n->tamper = flip;
        n->kept_len = message;
        n->seen = message * 37;
        memset(n->ram, 0x5A, sizeof n->ram);
        struct net_side *s = net_connect(n, 0, &net_keys.ada);
        if (pst_debugger_state(&s->dts) != PST_DEBUGGER_CLOSED) {
            pst_err err = net_op(s, false, PST_AS_MEMORY, NET_RAM_AT, word, 4);
            CHECK(err != PST_OK || memcmp(word, "\x5A\x5A\x5A\x5A", 4) == 0);
        }
        net_cut(s);
        n->tamper = NULL;
        net_run_for(n, 15000);
        s = net_connect(n, 0, &net_keys.ada);
        check_open(s);
        net_free(n);
    }
}

/* Drops each message in turn: both sides end within their timeouts and the next session works. */
static bool lose(struct net *n, bool to_target, uint8_t *kind, uint8_t *msg, size_t *len)
{
    (void)to_target;
    (void)kind;
    (void)msg;
    (void)len;
    return n->kept_len == 0 || n->kept_len-- != 1;
}

static void test_lost_messages(void **state)
{
    (void)state;
    for (unsigned message = 1; message < 50; message++) {
        struct net *n = net_new(&net_keys.pump, "debug");
        n->tamper = lose;
        n->kept_len = message;
        struct net_side *s = net_connect(n, 0, &net_keys.ada);
        net_run_for(n, 30000);
        net_cut(s);
        net_run_for(n, 1000);
        s = net_connect(n, 0, &net_keys.ada);
        check_open(s);
        net_free(n);
    }
}

/* More clients than contexts connect and send nothing. */
static void test_flood(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    struct net_side *s = net_connect(n, 0, &net_keys.ada);
    uint8_t msg[64], word[4];
    (void)state;

    check_open(s);
    for (uint32_t link = 100; link < 100 + PST_TARGET_LINKS; link++) {
        if (pst_target_link_up(&n->target, link, &n->traits) != PST_OK) {
            break;
        }
        size_t len = command(msg, sizeof msg, PST_SPP_INIT, 0, 0);
        (void)!pst_target_receive(&n->target, link, PST_LINK_CLEAR, msg, len);
    }
    CHECK_EQ(net_op(s, false, PST_AS_MEMORY, NET_RAM_AT, word, 4), PST_OK);
    net_run_for(n, 11000);
    for (uint32_t link = 100; link < 100 + PST_TARGET_LINKS; link++) {
        pst_target_link_down(&n->target, link);
    }
    struct net_side *second = net_connect(n, 1, &net_keys.olga);
    CHECK_EQ(pst_debugger_why(&second->dts),
             PST_ERR_BUSY); /* it was authenticated and got the answer */
    check_open(s);
    net_free(n);
}

/* --- a slow path: bridges buffer what the TS sends, and it arrives gradually --- */

static struct {
    struct {
        uint8_t kind, bytes[2048];
        size_t len;
    } messages[40];
    unsigned count, given;
} way;

static bool lie(struct net *n, bool to_target, uint8_t *kind, uint8_t *msg, size_t *len)
{
    (void)n;
    if (to_target) {
        return true;
    }
    CHECK(way.count < 40 && *len <= sizeof way.messages[0].bytes);
    way.messages[way.count].kind = *kind;
    way.messages[way.count].len = *len;
    memcpy(way.messages[way.count++].bytes, msg, *len);
    return false;
}

/* The answer to a heartbeat is queued behind half a minute of data: both ends must still see that
 * the peer is alive. */
static void test_long_way(void **state)
{
    static uint8_t bytes[30000];
    struct net *n = net_new(&net_keys.pump, "debug");
    (void)state;

    n->traits.mtu = 2048;
    struct net_side *s = net_connect(n, 0, &net_keys.ada);
    struct pst_spp_op op = {
        .space = PST_AS_MEMORY, .address = NET_RAM_AT, .data = bytes, .len = sizeof bytes};
    memset(&way, 0, sizeof way);
    n->tamper = lie;
    pst_debugger_read(&s->dts, &op);
    for (unsigned i = 0; i < 60 && op.result == PST_PENDING; i++) {
        net_run_for(n, 2000);
        if (way.given < way.count) {
            CHECK_EQ(pst_debugger_receive(&s->dts, way.messages[way.given].kind,
                                          way.messages[way.given].bytes,
                                          way.messages[way.given].len),
                     PST_OK);
            way.given++;
        }
    }
    CHECK_EQ(op.result, PST_OK);
    CHECK(n->now > 25000);
    CHECK_EQ(n->contexts[0].phase, PST_CONTEXT_LIVE);
    /* If nothing arrives any more, the session ends. */
    net_run_for(n, 60000);
    CHECK_EQ(pst_debugger_why(&s->dts), PST_ERR_TIMEOUT);
    n->tamper = NULL;
    net_cut(s);
    net_free(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session),
        cmocka_unit_test(test_sessions_follow_each_other),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_engineer_of_another_ca),
        cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_range),
        cmocka_unit_test(test_second_engineer),
        cmocka_unit_test(test_sharing),
        cmocka_unit_test(test_no_log_no_effects),
        cmocka_unit_test(test_log_fails_within_a_line),
        cmocka_unit_test(test_heartbeat),
        cmocka_unit_test(test_long_way),
        cmocka_unit_test(test_key_update),
        cmocka_unit_test(test_unauthenticated_reach_nothing),
        cmocka_unit_test(test_clear_on_a_live_link),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_flipped_bits),
        cmocka_unit_test(test_lost_messages),
        cmocka_unit_test(test_flood),
    };
    return cmocka_run_group_tests(tests, net_keys_make, net_keys_free);
}
