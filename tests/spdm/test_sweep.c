/* Truncates every message of a run at every position and changes every byte, for both roles. The
 * result must be a clean error or a valid message, and the engines must work again after
 * GET_VERSION. A change of bytes covered by a signature or MAC must be detected.
 *
 * Long messages are tested completely at both ends and in steps in between. */
#include "parts/wired.h"

#include <stdlib.h>

static struct wired w;

struct sweep {
    unsigned target, seen; /* message to change, counted from 0 */
    size_t place;
    bool cut;
    uint8_t flip;
    size_t len;   /* of the target */
    uint8_t code; /* of the target */
    bool done;
};

static void change(struct wired *wire, pst_role to, uint32_t context, uint8_t *msg, size_t *len)
{
    struct sweep *s = wire->tap_ctx;

    (void)to;
    (void)context;
    if (s->seen++ != s->target) {
        return;
    }
    s->len = *len;
    s->code = msg[1];
    s->done = true;
    if (s->cut) {
        *len = s->place;
    } else if (s->place < *len) {
        msg[s->place] ^= s->flip;
    }
}

/* Returns whether both ends hold an established session at the end of the first half. */
static bool run_once(pst_err *result)
{
    struct pst_op op = {.kind = PST_OP_CHALLENGE, .summary = 1};

    *result = wired_op(&w, PST_OP_CONNECT);
    if (*result == PST_OK) {
        *result = wired_op(&w, PST_OP_DIGESTS);
    }
    if (*result == PST_OK) {
        *result = wired_op(&w, PST_OP_CERTIFICATE);
    }
    if (*result == PST_OK) {
        *result = wired_run(&w, &op);
    }
    if (*result == PST_OK) {
        *result = wired_op(&w, PST_OP_SESSION);
    }
    bool both = *result == PST_OK && w.ts.log.established == 1;
    op = (struct pst_op){.kind = PST_OP_MEASUREMENTS,
                         .index = 0xff,
                         .sign = true,
                         .context = pst_requester_session(&w.q)};
    if (*result == PST_OK) {
        *result = wired_run(&w, &op);
    }
    static const pst_op_kind rest[] = {PST_OP_HEARTBEAT, PST_OP_KEY_UPDATE, PST_OP_ENCAPSULATED,
                                       PST_OP_END_SESSION};
    if (*result == PST_OK && both) {
        CHECK_EQ(pst_responder_want_key_update(&w.r, pst_requester_session(&w.q)), PST_OK);
    }
    for (size_t i = 0; i < 4 && *result == PST_OK; i++) {
        *result = wired_op(&w, rest[i]);
    }
    return both;
}

/* Covered by CHALLENGE_AUTH, signed MEASUREMENTS, KEY_EXCHANGE_RSP or FINISH, so that any change
 * must be noticed. */
static bool covered(uint8_t code)
{
    static const uint8_t codes[] = {
        PST_GET_MEASUREMENTS, PST_MEASUREMENTS,   PST_GET_VERSION,          PST_VERSION,
        PST_GET_CAPABILITIES, PST_CAPABILITIES,   PST_NEGOTIATE_ALGORITHMS, PST_ALGORITHMS,
        PST_GET_DIGESTS,      PST_DIGESTS,        PST_GET_CERTIFICATE,      PST_CERTIFICATE,
        PST_CHALLENGE,        PST_CHALLENGE_AUTH, PST_KEY_EXCHANGE,         PST_KEY_EXCHANGE_RSP,
        PST_FINISH,           PST_FINISH_RSP,
    };

    return memchr(codes, code, sizeof codes) != NULL;
}

static void one(const struct wired_options *o, struct sweep *s)
{
    pst_err result;

    s->seen = 0;
    s->done = false;
    wired_setup(&w, o);
    w.tolerant = true;
    w.tap = change;
    w.tap_ctx = s;
    wired_start(&w);
    bool both = run_once(&result);
    CHECK(s->done);
    if (covered(s->code) && both && result == PST_OK) {
        fprintf(stderr, "message %u (%02x), place %zu, %s: not noticed\n", s->target, s->code,
                s->place, s->cut ? "cut" : "changed");
        CHECK(!"a change of what is covered was noticed");
    }
    w.tap = NULL;
    w.now += 100000;
    (void)pst_responder_poll(&w.r);
    w.tolerant = false;
    if (s->place % 8 == 0) {
        CHECK_EQ(wired_try_session(&w), PST_OK);
    } else {
        CHECK_EQ(wired_op(&w, PST_OP_CONNECT), PST_OK);
    }
    wired_end(&w);
}

static size_t next_place(size_t place, size_t len)
{
    return place >= 64 && place + 64 < len ? place + 29 : place + 1;
}

static void sweep(const struct wired_options *o, bool cuts)
{
    struct sweep s = {.target = UINT32_MAX};
    pst_err result;
    unsigned runs = 0;

    wired_setup(&w, o);
    w.tap = change;
    w.tap_ctx = &s;
    wired_start(&w);
    CHECK(run_once(&result));
    CHECK_EQ(result, PST_OK);
    unsigned messages = s.seen;
    wired_end(&w);
    for (s.target = 0; s.target < messages; s.target++) {
        s.len = 1;
        for (s.place = 0; s.place < s.len; s.place = next_place(s.place, s.len)) {
            s.cut = false;
            s.flip = (uint8_t)(1u << (s.place * 5 + s.target) % 8);
            one(o, &s);
            runs++;
            s.cut = true;
            if (cuts) {
                one(o, &s);
                runs++;
            }
        }
    }
    print_message("%u messages, %u runs\n", messages, runs);
}

static void encrypted(void **state)
{
    struct wired_options o = wired_defaults();

    (void)state;
    o.multi_key = true;
    sweep(&o, true);
}

static void in_the_clear(void **state)
{
    struct wired_options o = wired_defaults();

    (void)state;
    o.minor = 2;
    o.clear_handshake = true;
    o.mutual = PST_MUTUAL_DIGESTS;
    sweep(&o, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encrypted),
        cmocka_unit_test(in_the_clear),
    };

    return cmocka_run_group_tests_name("spdm.sweep", tests, NULL, NULL);
}
