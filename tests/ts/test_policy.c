/* Grants: the grammar, the intersection, the decision, and that a grant never grows.
 * pst-link: ts */
#include "pst_test.h"

#include "postern/policy.h"

static pst_err parse(struct pst_grants *g, const char *text, bool fenced)
{
    size_t at = 0;

    return pst_grants_parse(g, text, strlen(text), fenced, &at);
}

static struct pst_grants grants(const char *text)
{
    struct pst_grants g;

    CHECK_EQ(parse(&g, text, true), PST_OK);
    return g;
}

/* Field by field: padding has no meaning. */
static void check_same(const struct pst_grants *a, const struct pst_grants *b)
{
    CHECK_EQ(a->count, b->count);
    for (uint8_t i = 0; i < a->count; i++) {
        CHECK_EQ(a->ranges[i].space, b->ranges[i].space);
        CHECK_EQ(a->ranges[i].rights, b->ranges[i].rights);
        CHECK_EQ(a->ranges[i].first, b->ranges[i].first);
        CHECK_EQ(a->ranges[i].last, b->ranges[i].last);
    }
    CHECK(strcmp(a->device, b->device) == 0);
    CHECK_EQ(a->epoch, b->epoch);
    CHECK_EQ(a->until, b->until);
    CHECK_EQ(a->session_s, b->session_s);
}

static void check_text(const char *text, const char *expected)
{
    struct pst_grants g = grants(text);
    struct pst_grants again;
    char out[PST_GRANTS_TEXT];

    CHECK_EQ(pst_grants_text(&g, out, sizeof out), strlen(expected));
    assert_string_equal(out, expected);
    again = grants(out);
    CHECK_BYTES(&again.device, &g.device, sizeof g.device);
    CHECK_EQ(again.count, g.count);
    CHECK_EQ(again.until, g.until);
}

static void test_words(void **state)
{
    (void)state;
    check_text("debug", "debug");
    check_text("debug run observe", "debug");
    check_text("observe", "observe");
    check_text("run, observe", "run observe");
    check_text("run:r", "run:r");
    check_text("halt", "halt");
    check_text("observe halt", "observe halt");
    check_text("halt memory:r:0x0-0xfff", "halt memory:r:0x0-0xfff"); /* reaches no more memory */
    check_text("trace;stream", "trace stream");
    check_text("memory:r:0x80000000-0x8000ffff", "memory:r:0x80000000-0x8000ffff");
    check_text("memory:rw:16-31", "memory:rw:0x10-0x1f");
    check_text("memory:w:0-0xffffffffffffffff", "memory:w:0x0-0xffffffffffffffff");
    check_text("memory:r:0-0xffffffffffffffff", "memory:r:0x0-0xffffffffffffffff");
    check_text(" ;debug,, device=Acme:Pump:* epoch=3 until=1767225600 session=3600 ",
               "debug device=Acme:Pump:* epoch=3 until=1767225600 session=3600");
    check_text("", "");
    check_text("memory:r:0x10-0x1f memory:rw:0x0-0xff", "memory:rw:0x0-0xff");
}

static void test_bad_words(void **state)
{
    static const char *const bad[] = {
        "Debug",
        "debugx",
        "debug:r",
        "observe:rw",
        "memory",
        "memory:",
        "memory:r",
        "memory:r:",
        "memory:r:1",
        "memory:r:1-",
        "memory:r:-1",
        "memory:r:2-1",
        "memory:x:1-2",
        "memory:r:1-2x",
        "memory:r:0x-0x1",
        "memory:r:0-0x10000000000000000",
        "memory:r:0-18446744073709551616",
        "memory:r:+1-2",
        "memory:wr:1-2",
        "device=",
        "device=a*b",
        "device=a device=b",
        "epoch=",
        "epoch=4294967296",
        "epoch=1 epoch=2",
        "until=0",
        "until=1 until=1",
        "session=0",
        "session=4294967296",
        "everything",
        "debug\n",
        "debug\trun",
    };
    struct pst_grants g;
    struct pst_grants zero;

    (void)state;
    memset(&zero, 0, sizeof zero);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (parse(&g, bad[i], true) != PST_ERR_DECODE) {
            fprintf(stderr, "%s\n", bad[i]);
        }
        CHECK_EQ(parse(&g, bad[i], true), PST_ERR_DECODE);
        check_same(&g, &zero);
    }
    CHECK_EQ(pst_grants_parse(&g, "debug\0run", 9, true, NULL), PST_ERR_DECODE);
}

static void test_bad_place(void **state)
{
    struct pst_grants g;
    char device[8 + PST_MAX_NAME];
    size_t at = 0;

    (void)state;
    CHECK_EQ(pst_grants_parse(&g, "observe  what epoch=1", 21, false, &at), PST_ERR_DECODE);
    CHECK_EQ(at, 9);
    memcpy(device, "device=", 7);
    memset(device + 7, 'a', PST_MAX_NAME);
    CHECK_EQ(pst_grants_parse(&g, device, 7 + PST_MAX_NAME - 1, false, &at), PST_OK);
    CHECK_EQ(pst_grants_parse(&g, device, 7 + PST_MAX_NAME, false, &at), PST_ERR_DECODE);
}

static void test_whole_device_and_ranges(void **state)
{
    struct pst_grants g;

    (void)state;
    CHECK_EQ(parse(&g, "run memory:r:0-0xff", false), PST_ERR_DENIED);
    CHECK_EQ(g.count, 0);
    CHECK_EQ(parse(&g, "memory:r:0-0xff debug", false), PST_ERR_DENIED);
    CHECK_EQ(parse(&g, "debug memory:r:0-0xff", false), PST_ERR_DENIED);
    CHECK_EQ(parse(&g, "run memory:r:0-0xff", true), PST_OK);
    CHECK_EQ(g.count, 2);
    CHECK_EQ(parse(&g, "run observe", false), PST_OK);
    CHECK_EQ(parse(&g, "observe memory:r:0-0xff", false), PST_OK);
    CHECK_EQ(parse(&g, "run memory:rw:0-0xffffffffffffffff", false), PST_OK);
}

static void test_too_many_ranges(void **state)
{
    char text[1024] = "";
    struct pst_grants g;

    (void)state;
    for (unsigned i = 0; i <= PST_MAX_RANGES; i++) {
        CHECK_EQ(parse(&g, text, false), PST_OK);
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "memory:r:%u-%u ", i * 16, i * 16 + 3);
    }
    CHECK_EQ(parse(&g, text, false), PST_ERR_LIMIT);
    CHECK_EQ(g.count, 0);
}

static void test_cover(void **state)
{
    const struct pst_grants g = grants("memory:r:0x1000-0x1fff memory:rw:0x2000-0x20ff "
                                       "memory:r:0xfffffffffffffff0-0xffffffffffffffff");

    (void)state;
    CHECK(pst_grants_cover(&g, PST_AS_MEMORY, PST_RIGHT_READ, 0x1000, 0x1000));
    CHECK(pst_grants_cover(&g, PST_AS_MEMORY, PST_RIGHT_READ, 0x1000, 0x1100));
    CHECK(!pst_grants_cover(&g, PST_AS_MEMORY, PST_RIGHT_READ, 0x1000, 0x1101));
    CHECK(!pst_grants_cover(&g, PST_AS_MEMORY, PST_RIGHT_READ, 0xfff, 2));
    CHECK(!pst_grants_cover(&g, PST_AS_MEMORY, PST_RIGHT_WRITE, 0x1fff, 2));
    CHECK(pst_grants_cover(&g, PST_AS_MEMORY, PST_RIGHT_WRITE, 0x2000, 0x100));
    CHECK(pst_grants_cover(&g, PST_AS_MEMORY, PST_RIGHT_READ, 0x1000, 0));
    CHECK(!pst_grants_cover(&g, PST_AS_MEMORY, PST_RIGHT_READ, 0, 0));
    CHECK(!pst_grants_cover(&g, PST_AS_MEMORY, PST_RIGHT_RUN, 0x1000, 1));
    CHECK(!pst_grants_cover(&g, PST_AS_RUN, PST_RIGHT_READ, 0x1000, 1));
    CHECK(!pst_grants_cover(&g, PST_AS_JTAG, PST_RIGHT_READ, 0x1000, 1));
    /* the end of the address space, and around it */
    CHECK(pst_grants_cover(&g, PST_AS_MEMORY, PST_RIGHT_READ, UINT64_MAX - 15, 16));
    CHECK(!pst_grants_cover(&g, PST_AS_MEMORY, PST_RIGHT_READ, UINT64_MAX - 15, 17));
    CHECK(!pst_grants_cover(&g, PST_AS_MEMORY, PST_RIGHT_READ, UINT64_MAX, UINT64_MAX));
    /* is there anything in it */
    CHECK(pst_grants_cover(&g, PST_AS_MEMORY, 0, 0, 0));
    CHECK(!pst_grants_cover(&g, PST_AS_RUN, 0, 0, 0));
}

static void test_debug_covers_all(void **state)
{
    const struct pst_grants g = grants("debug");

    (void)state;
    for (uint8_t space = 0; space < PST_AS_COUNT; space++) {
        CHECK(pst_grants_cover(&g, space, 15, 0, UINT64_MAX));
        CHECK(pst_grants_cover(&g, space, 15, UINT64_MAX, 1));
    }
    CHECK(!pst_grants_cover(&g, PST_AS_COUNT, 1, 0, 1));
}

static void check_meet(const char *a, const char *b, const char *expected)
{
    struct pst_grants x = grants(a);
    struct pst_grants y = grants(b);
    struct pst_grants g;
    char out[PST_GRANTS_TEXT];

    CHECK_EQ(pst_grants_intersect(&g, &x, &y), PST_OK);
    pst_grants_text(&g, out, sizeof out);
    assert_string_equal(out, expected);
    CHECK_EQ(pst_grants_intersect(&x, &x, &y), PST_OK); /* in place */
    check_same(&x, &g);
}

static void test_meet(void **state)
{
    (void)state;
    check_meet("debug", "debug", "debug");
    check_meet("debug", "observe", "observe");
    check_meet("observe", "run", "run:r");
    check_meet("run", "halt", "halt");
    check_meet("run observe", "debug", "run observe");
    check_meet("memory:rw:0x10-0x2f", "memory:r:0x20-0x3f", "memory:r:0x20-0x2f");
    check_meet("memory:rw:0x10-0x1f", "memory:r:0x20-0x3f", "");
    check_meet("memory:r:0-1", "memory:w:0-1", "");
    check_meet("debug", "", "");
    check_meet("debug device=A:B:*", "debug device=A:*", "debug device=A:B:*");
    check_meet("debug device=A:B:*", "debug device=A:B:7", "debug device=A:B:7");
    check_meet("debug", "debug device=A:B:7", "debug device=A:B:7");
    check_meet("debug until=5 session=9", "debug until=4", "debug until=4 session=9");
    check_meet("debug epoch=5", "debug epoch=3", "debug epoch=3");
}

static void test_meet_other_device(void **state)
{
    const struct pst_grants a = grants("debug device=A:B:*");
    const struct pst_grants b = grants("debug device=A:C:*");
    struct pst_grants g;

    (void)state;
    CHECK_EQ(pst_grants_intersect(&g, &a, &b), PST_OK);
    CHECK_EQ(g.count, 0);
}

static void test_meet_limit(void **state)
{
    char many[2][512] = {"", ""};
    struct pst_grants a, b, g;

    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        size_t used = strlen(many[0]);
        snprintf(many[0] + used, sizeof many[0] - used, "memory:r:%u-%u ", i * 16, i * 16 + 8);
        used = strlen(many[1]);
        snprintf(many[1] + used, sizeof many[1] - used, "memory:r:%u-%u ", i * 16 + 6, i * 16 + 17);
    }
    a = grants(many[0]);
    b = grants(many[1]);
    memset(&g, 0x5a, sizeof g);
    CHECK_EQ(pst_grants_intersect(&g, &a, &b), PST_ERR_LIMIT);
    CHECK_EQ(g.count, 0x5a); /* untouched */
}

static struct pst_grants random_grants(struct pst_test_rng *rng)
{
    struct pst_grants g;

    memset(&g, 0, sizeof g);
    g.count = (uint8_t)pst_test_rng_below(rng, 4);
    for (uint8_t i = 0; i < g.count; i++) {
        uint64_t first = pst_test_rng_below(rng, 24);
        uint64_t last = first + pst_test_rng_below(rng, 12);

        if (pst_test_rng_below(rng, 4) == 0) { /* the top of the address space */
            last = UINT64_MAX - pst_test_rng_below(rng, 4);
            first = pst_test_rng_below(rng, 2) == 0 ? last - pst_test_rng_below(rng, 6) : first;
        }
        g.ranges[i] = (struct pst_grant_range){
            .space = (uint8_t)pst_test_rng_below(rng, 3),
            .rights = (uint8_t)(1 + pst_test_rng_below(rng, 15)),
            .first = first,
            .last = last,
        };
    }
    return g;
}

static bool naive_cover(const struct pst_grants *g, uint8_t space, uint8_t rights, uint64_t at)
{
    uint8_t have = 0;

    for (uint8_t i = 0; i < g->count; i++) {
        const struct pst_grant_range *r = &g->ranges[i];
        if (r->space == space && r->first <= at && at <= r->last) {
            have |= r->rights;
        }
    }
    return (have & rights) == rights;
}

/* The intersection covers only what both grants cover, and all that one range of each covers. */
static void check_property(const struct pst_grants *a, const struct pst_grants *b,
                           struct pst_test_rng *rng)
{
    struct pst_grants g;

    if (pst_grants_intersect(&g, a, b) != PST_OK) {
        return;
    }
    for (unsigned n = 0; n < 60; n++) {
        const uint8_t space = (uint8_t)pst_test_rng_below(rng, 3);
        const uint8_t right = (uint8_t)(1U << pst_test_rng_below(rng, 4));
        const uint64_t len = 1 + pst_test_rng_below(rng, 9);
        uint64_t at = pst_test_rng_below(rng, 36);
        bool all = true;

        if (pst_test_rng_below(rng, 3) == 0) {
            at = UINT64_MAX - at;
        }
        const bool wraps = at > UINT64_MAX - (len - 1);
        for (uint64_t i = 0; i < len; i++) {
            all =
                all && naive_cover(a, space, right, at + i) && naive_cover(b, space, right, at + i);
        }
        CHECK_EQ(pst_grants_cover(&g, space, right, at, len), all && !wraps);
    }
}

static void test_meet_never_enlarges(void **state)
{
    struct pst_test_rng rng = {.state = 1};

    (void)state;
    for (unsigned n = 0; n < 3000; n++) {
        const struct pst_grants a = random_grants(&rng);
        const struct pst_grants b = random_grants(&rng);

        check_property(&a, &b, &rng);
    }
}

static struct pst_peer peer_with(const char *grant)
{
    struct pst_peer peer;

    memset(&peer, 0, sizeof peer);
    peer.role_eku = true;
    peer.grant_len = (uint16_t)strlen(grant);
    memcpy(peer.grant, grant, peer.grant_len);
    return peer;
}

static pst_err decide(const char *policy_text, const char *grant, uint64_t now,
                      struct pst_grants *out, const char **why)
{
    const struct pst_policy policy = {.allow = grants(policy_text), .epoch_floor = 2};
    const struct pst_peer peer = peer_with(grant);

    *why = NULL;
    return pst_policy_decide(&policy, &peer, "Acme:Pump:7", now, out, why);
}

static void test_decide(void **state)
{
    static const struct {
        const char *policy, *grant;
        uint64_t now;
        pst_err err;
    } cases[] = {
        {"debug",                    "debug epoch=2",                     0,  PST_OK        },
        {"debug",                    "debug epoch=2 device=Acme:Pump:*",  0,  PST_OK        },
        {"debug",                    "debug epoch=2 device=Acme:Pump:7",  0,  PST_OK        },
        {"debug",                    "debug epoch=2 device=*",            0,  PST_OK        },
        {"debug",                    "debug epoch=2 device=Acme:Pump:8",  0,  PST_ERR_DENIED},
        {"debug",                    "debug epoch=2 device=Acme:Pump:77", 0,  PST_ERR_DENIED},
        {"debug device=Acme:Tank:*", "debug epoch=2",                     0,  PST_ERR_DENIED},
        {"debug",                    "debug",                             0,  PST_ERR_DENIED},
        {"debug",                    "debug epoch=1",                     0,  PST_ERR_DENIED},
        {"debug epoch=3",            "debug epoch=2",                     0,  PST_ERR_DENIED},
        {"debug",                    "",                                  0,  PST_ERR_DENIED},
        {"debug",                    "epoch=2",                           0,  PST_ERR_DENIED},
        {"",                         "debug epoch=2",                     0,  PST_ERR_DENIED},
        {"run",                      "memory:r:0-9 epoch=2",              0,  PST_ERR_DENIED},
        {"debug",                    "run memory:r:0-9 epoch=2",          0,  PST_ERR_DENIED},
        {"debug",                    "debug epoch=2 whatever",            0,  PST_ERR_DENIED},
        {"debug",                    "debug epoch=2 until=50",            49, PST_OK        },
        {"debug",                    "debug epoch=2 until=50",            50, PST_ERR_DENIED},
        {"debug",                    "debug epoch=2 until=50",            0,  PST_OK        },
        {"debug until=40",           "debug epoch=2 until=50",            49, PST_ERR_DENIED},
    };
    struct pst_grants g;
    const char *why;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const pst_err err = decide(cases[i].policy, cases[i].grant, cases[i].now, &g, &why);

        if (err != cases[i].err) {
            fprintf(stderr, "case %zu: %s\n", i, why == NULL ? "allowed" : why);
        }
        CHECK_EQ(err, cases[i].err);
        CHECK((why != NULL) == (err != PST_OK));
    }
}

static void test_decide_result(void **state)
{
    const struct pst_policy policy = {.allow = grants("debug session=60")};
    struct pst_peer peer = peer_with("memory:r:0-15 epoch=4 session=90");
    struct pst_grants g;
    const char *why;

    (void)state;
    peer.not_after = 1000;
    CHECK_EQ(pst_policy_decide(&policy, &peer, "A:B:C", 5, &g, &why), PST_OK);
    CHECK_EQ(g.epoch, 4);
    CHECK_EQ(g.session_s, 60);
    CHECK_EQ(g.until, 1000);
    CHECK(!pst_grants_cover(&g, PST_AS_MEMORY, PST_RIGHT_READ, 16, 1));
    CHECK_EQ(pst_policy_decide(&policy, &peer, "A:B:C", 1000, &g, &why), PST_ERR_DENIED);
    peer.role_eku = false;
    CHECK_EQ(pst_policy_decide(&policy, &peer, "A:B:C", 5, &g, &why), PST_ERR_DENIED);
}

static void test_text_cut(void **state)
{
    const struct pst_grants g = grants("memory:r:0-1 memory:rw:16-17 device=Acme:Pump:* until=123");
    char all[PST_GRANTS_TEXT];
    char out[PST_GRANTS_TEXT];
    const size_t len = pst_grants_text(&g, all, sizeof all);

    (void)state;
    for (size_t cap = 0; cap <= sizeof out; cap++) {
        memset(out, '#', sizeof out);
        const size_t n = pst_grants_text(&g, out, cap);

        CHECK(n < cap || cap == 0);
        if (cap < sizeof out) {
            CHECK(out[cap] == '#');
        }
        if (cap == 0) {
            continue;
        }
        CHECK_EQ(strlen(out), n);
        if (n < len && cap > 8) {
            CHECK(strcmp(out + n - 4, " ...") == 0);
        }
        if (cap > len + 4) {
            assert_string_equal(out, all);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_bad_words),
        cmocka_unit_test(test_bad_place),
        cmocka_unit_test(test_whole_device_and_ranges),
        cmocka_unit_test(test_too_many_ranges),
        cmocka_unit_test(test_cover),
        cmocka_unit_test(test_debug_covers_all),
        cmocka_unit_test(test_meet),
        cmocka_unit_test(test_meet_other_device),
        cmocka_unit_test(test_meet_limit),
        cmocka_unit_test(test_meet_never_enlarges),
        cmocka_unit_test(test_decide),
        cmocka_unit_test(test_decide_result),
        cmocka_unit_test(test_text_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
