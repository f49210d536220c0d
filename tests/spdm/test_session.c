/* Whole connections, requester against responder: every version, algorithm, form of mutual
 * authentication, portion size; and everything that a session can do. */
#include "parts/wired.h"

static struct wired w;

static void everything(const struct wired_options *o)
{
    wired_setup(&w, o);
    wired_start(&w);
    uint32_t id = wired_session(&w);
    CHECK_EQ(w.ts.log.established, 1);
    CHECK_EQ(w.dts.log.established, 1);
    CHECK(strcmp(w.dts.log.name, WIRED_DEVICE) == 0);
    CHECK_EQ(w.ts.log.id, id);
    CHECK_EQ(wired_op(&w, PST_OP_HEARTBEAT), PST_OK);
    CHECK_EQ(wired_op(&w, PST_OP_KEY_UPDATE), PST_OK);
    struct pst_op all = {.kind = PST_OP_KEY_UPDATE, .context = id, .all = true};
    CHECK_EQ(wired_run(&w, &all), PST_OK);
    CHECK_EQ(wired_op(&w, PST_OP_ENCAPSULATED), PST_OK);
    CHECK_EQ(pst_responder_want_key_update(&w.r, id), PST_OK);
    CHECK_EQ(wired_op(&w, PST_OP_ENCAPSULATED), PST_OK);
    CHECK_EQ(wired_op(&w, PST_OP_HEARTBEAT), PST_OK);
    CHECK_EQ(wired_op(&w, PST_OP_END_SESSION), PST_OK);
    CHECK_EQ(w.ts.log.ended, 1);
    CHECK_EQ(w.dts.log.ended, 1);
    wired_end(&w);
}

static void forms(void **state)
{
    static const pst_mutual mutual[] = {PST_MUTUAL_NONE, PST_MUTUAL_ENCAP, PST_MUTUAL_DIGESTS};

    (void)state;
    for (unsigned i = 0; i < 3 * 2 * 2 * 2 * 2; i++) {
        struct wired_options o = wired_defaults();

        o.mutual = mutual[i % 3];
        o.minor = i / 3 % 2 ? 2 : 3;
        o.clear_handshake = i / 6 % 2;
        o.multi_key = i / 12 % 2;
        o.mac_only = i / 24 % 2;
        everything(&o);
    }
}

static void algorithms(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2 * 3 * 3 * 2; i++) {
        struct wired_options o = wired_defaults();

        o.hash = i % 2 ? PST_SHA384 : PST_SHA256;
        o.rsp_sig = (pst_sig_id)(1 + i / 2 % 3);
        o.req_sig = (pst_sig_id)(1 + i / 6 % 3);
        o.dh = i / 18 % 2 ? PST_SECP384R1 : PST_SECP256R1;
        o.aead = (pst_aead_id)(1 + i % 3);
        o.minor = i % 5 < 2 ? 2 : 3;
        everything(&o);
    }
}

static void portions(void **state)
{
    static const uint16_t sizes[] = {1, 2, 3, 7, 35, 36, 37, 100, 255, 1000};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct wired_options o = wired_defaults();

        o.portion = sizes[i];
        everything(&o);
    }
}

static void slots(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        struct wired_options o = wired_defaults();

        o.ts_slot = i;
        o.dts_slot = 7 - i;
        o.mutual = i % 2 ? PST_MUTUAL_DIGESTS : PST_MUTUAL_ENCAP;
        o.minor = i % 3 ? 3 : 2;
        everything(&o);
    }
}

/* Each call fails in turn: every object that was begun must be ended, and the next session must
 * open. */
static void failures(void **state)
{
    static const struct {
        pst_mutual mutual;
        uint8_t minor;
        bool multi_key;
    } kinds[] = {
        {PST_MUTUAL_NONE,    3, false},
        {PST_MUTUAL_ENCAP,   3, true },
        {PST_MUTUAL_DIGESTS, 2, false},
    };

    (void)state;
    for (unsigned i = 0; i < 2 * sizeof kinds / sizeof kinds[0]; i++) {
        struct wired_options o = wired_defaults();
        bool done = false;

        o.mutual = kinds[i / 2].mutual;
        o.minor = kinds[i / 2].minor;
        o.multi_key = kinds[i / 2].multi_key;
        for (unsigned n = 1; !done; n++) {
            wired_setup(&w, &o);
            wired_start(&w);
            w.tolerant = true;
            struct strict *s = i % 2 ? &w.ts.strict : &w.dts.strict;
            s->fail_at = n;
            (void)(wired_try_session(&w) == PST_OK && wired_op(&w, PST_OP_CHALLENGE) == PST_OK);
            done = s->calls < n;
            s->fail_at = 0;
            CHECK_EQ(wired_op(&w, PST_OP_CONNECT), PST_OK);
            (void)wired_session(&w);
            wired_end(&w);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms), cmocka_unit_test(algorithms), cmocka_unit_test(portions),
        cmocka_unit_test(slots), cmocka_unit_test(failures),
    };

    return cmocka_run_group_tests_name("spdm.session", tests, NULL, NULL);
}
