/* A TS with the sizes of bench/size/ts.c: 2 KiB messages, 512 bytes for SPDM, a queue of 512 bytes,
 * one buffer for both directions. And the audit log of a stepping debugger. */
#define NET_QUEUE 512
#define NET_TRANSFER 512
#include "ts/net.h"

static struct net *small_net(void)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    n->traits.mtu = 2048;
    return n;
}

static void test_small(void **state)
{
    struct net *n = small_net();
    struct net_side *s = net_connect(n, 0, &net_keys.ada);
    uint8_t big[5000], back[5000];
    struct pst_test_rng rng = {.state = 1};
    (void)state;

    CHECK_EQ(pst_debugger_state(&s->dts), PST_DEBUGGER_READY);
    CHECK(net_logged(n, "\"engineer\":\"ada\""));
    pst_test_rng_fill(&rng, big, sizeof big);
    CHECK_EQ(net_op(s, true, PST_AS_MEMORY, NET_RAM_AT, big, sizeof big), PST_OK);
    CHECK_EQ(net_op(s, false, PST_AS_MEMORY, NET_RAM_AT, back, sizeof back), PST_OK);
    CHECK_BYTES(back, big, sizeof big);
    /* A second engineer gets a context of its own, authenticates, and hears who holds the target.
     */
    struct net_side *second = net_connect(n, 1, &net_keys.olga);
    CHECK_EQ(pst_debugger_why(&second->dts), PST_ERR_BUSY);
    CHECK(strstr(second->dts.who, "held by ada") != NULL);
    CHECK_EQ(net_op(s, false, PST_AS_MEMORY, NET_RAM_AT, back, 4), PST_OK);
    net_cut(second);
    pst_debugger_stop(&s->dts);
    net_run_for(n, 0);
    CHECK_EQ(pst_debugger_why(&s->dts), PST_OK);
    net_free(n);
}

/* Runs n steps and counts audit lines and durable ones. */
static void step(struct net_side *s, unsigned times, unsigned lines, unsigned durable)
{
    uint8_t resume[24] = {1};
    struct net *n = s->net;
    unsigned lines_before = n->lines, durable_before = n->durable_lines;
    for (unsigned i = 0; i < times; i++) {
        CHECK_EQ(net_op(s, true, PST_AS_RUN, PST_RUN_RESUME, resume, sizeof resume), PST_OK);
    }
    CHECK_EQ(n->lines - lines_before, lines);
    CHECK_EQ(n->durable_lines - durable_before, durable);
}

static void test_audit_ahead(void **state)
{
    struct net *n = small_net();
    struct net_side *s = net_connect(n, 0, &net_keys.ada);
    uint8_t word[4] = {1};
    (void)state;

    step(s, 3, 3, 3); /* by default each line is durable */
    n->config.audit_ahead = 2;
    step(s, 1, 1, 1);
    CHECK(strstr(n->log[n->lines - 1], "\"announces\":2") != NULL);
    step(s, 2, 2, 0);
    CHECK(strstr(n->log[n->lines - 1], "\"announced_by\":") != NULL);
    step(s, 3, 3, 1);
    /* Another effect ends it, and is never announced itself. */
    for (int i = 0; i < 3; i++) {
        unsigned durable = n->durable_lines;
        CHECK_EQ(net_op(s, true, PST_AS_MEMORY, NET_RAM_AT, word, 4), PST_OK);
        CHECK_EQ(n->durable_lines - durable, 1);
    }
    step(s, 1, 1, 1);
    CHECK(strstr(n->log[n->lines - 1], "\"announces\"") == NULL);
    step(s, 2, 2, 1);
    net_run_for(n, PST_AUDIT_AHEAD_MS); /* and so does time */
    step(s, 1, 1, 1);
    n->log_fails = true;
    unsigned effects = n->effects;
    CHECK(net_op(s, true, PST_AS_RUN, PST_RUN_RESUME, (uint8_t[24]){1}, 24) != PST_OK);
    CHECK_EQ(n->effects, effects);
    n->log_fails = false;
    net_free(n);
}

/* Run control of `len` bytes: it is logged, durably or not. */
static void control(struct net_side *s, uint64_t address, uint8_t *bytes, uint32_t len,
                    bool durable)
{
    struct net *n = s->net;
    unsigned before = n->durable_lines;
    CHECK_EQ(net_op(s, true, PST_AS_RUN, address, bytes, len), PST_OK);
    CHECK_EQ(n->durable_lines - before, durable);
}

static void test_audit_ahead_breaks(void **state)
{
    struct net *n = small_net();
    uint8_t set[16] = {1, 0, 2, 0, 0, 0, 0, 0, 4, 2, 0, 0x80}, clear[16], resume[24] = {1};
    (void)state;

    n->config.audit_ahead = 15;
    struct net_side *s = net_connect(n, 0, &net_keys.ada);
    memcpy(clear, set, sizeof clear);
    clear[0] = 0;
    control(s, PST_RUN_BREAK, set, 16, true);
    CHECK(strstr(n->log[n->lines - 1], "\"effects\":[\"Z0 0x80000204,2\"]") != NULL);
    control(s, PST_RUN_RESUME, resume, 24, true);
    control(s, PST_RUN_BREAK, clear, 16, true);
    CHECK(strstr(n->log[n->lines - 1], "\"effects\":[\"z0 0x80000204,2\"]") != NULL);
    control(s, PST_RUN_RESUME, resume, 24, true);
    CHECK(strstr(n->log[n->lines - 1], "\"announces\":15,\"alternatives\":[[\"z0 0x80000204,2\"],"
                                       "[\"Z0 0x80000204,2\"]]") != NULL);
    for (int i = 0; i < 5; i++) { /* as it was, in any order */
        control(s, PST_RUN_BREAK, set, 16, false);
        control(s, PST_RUN_RESUME, resume, 24, false);
        control(s, PST_RUN_BREAK, clear, 16, false);
    }
    control(s, PST_RUN_BREAK, set, 16, true);
    set[8] = clear[8] = 8; /* elsewhere */
    control(s, PST_RUN_BREAK, set, 16, true);
    control(s, PST_RUN_RESUME, resume, 24, false);
    control(s, PST_RUN_BREAK, clear, 16, true);
    net_free(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small),
        cmocka_unit_test(test_audit_ahead),
        cmocka_unit_test(test_audit_ahead_breaks),
    };
    return cmocka_run_group_tests(tests, net_keys_make, net_keys_free);
}
