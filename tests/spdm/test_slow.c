/* Slow operations: signer, key agreement, verification and certificate checks answer PST_PENDING
 * any number of times. The messages must be the same, byte for byte, and a pending operation can be
 * cancelled at any step. */
#include "parts/wired.h"

static struct wired w;

/* Randomness that is the same in every run: a key is made from it, a signature is not (Ed25519
 * needs none). */
struct seeded {
    struct pst_crypto crypto;
    const struct pst_crypto *real;
    uint32_t state;
};

static pst_err seeded_random(void *ctx, void *out, size_t len)
{
    struct seeded *s = ctx;
    uint8_t *at = out;

    for (size_t i = 0; i < len; i++) {
        s->state = s->state * 1664525u + 1013904223u;
        at[i] = (uint8_t)(s->state >> 24);
    }
    return PST_OK;
}

/* Diffie-Hellman of numbers: enough to agree on a secret, and the same in every run. */
static pst_err seeded_generate(void *ctx, pst_dh_id id, struct pst_dh_key *key, uint8_t *value)
{
    PST_TRY(seeded_random(ctx, key->store, 8));
    key->store[1] = pst_dh_row(id)->size;
    memset(value, 0, pst_dh_row(id)->size);
    memcpy(value, key->store, 8);
    return PST_OK;
}

static pst_err seeded_shared(void *ctx, const struct pst_dh_key *key, const uint8_t *peer,
                             uint8_t *secret)
{
    (void)ctx;
    memset(secret, 0, (size_t)key->store[1] / 2);
    for (size_t i = 0; i < 8; i++) {
        secret[i] = (uint8_t)(((const uint8_t *)key->store)[i] ^ peer[i]);
    }
    return PST_OK;
}

static void seeded_wipe(void *ctx, struct pst_dh_key *key)
{
    (void)ctx;
    memset(key, 0, sizeof *key);
}

static struct seeded seeds[2];

static void seed(struct strict *s, struct seeded *port, uint32_t start)
{
    port->real = s->real;
    port->crypto = *s->real; /* which keeps no state behind `ctx` */
    port->crypto.ctx = port;
    port->state = start;
    port->crypto.random = seeded_random;
    port->crypto.dh_generate = seeded_generate;
    port->crypto.dh_shared = seeded_shared;
    port->crypto.dh_wipe = seeded_wipe;
    s->real = &port->crypto;
}

/* -- message log, without ResponseNotReady and RESPOND_IF_READY -- */

struct record {
    uint8_t bytes[60000];
    size_t len;
};
static struct record records[2];

static void tap(struct wired *wire, pst_role to, uint32_t context, uint8_t *msg, size_t *len)
{
    struct record *r = wire->tap_ctx;

    (void)to;
    if (msg[1] == PST_RESPOND_IF_READY ||
        (msg[1] == PST_ERROR && msg[2] == PST_SPDM_RESPONSE_NOT_READY)) {
        return;
    }
    CHECK(r->len + *len + 4 <= sizeof r->bytes);
    pst_poke_u32(r->bytes + r->len, context);
    memcpy(r->bytes + r->len + 4, msg, *len);
    r->len += *len + 4;
}

struct form {
    pst_mutual mutual;
    uint8_t minor;
    bool clear_handshake, multi_key, basic, known;
    uint16_t portion;
};

static const struct form forms[] = {
    {PST_MUTUAL_NONE,    3, false, false, false, false, 0  },
    {PST_MUTUAL_NONE,    2, true,  false, false, false, 100},
    {PST_MUTUAL_ENCAP,   3, false, true,  false, false, 100},
    {PST_MUTUAL_ENCAP,   2, true,  false, false, false, 0  },
    {PST_MUTUAL_DIGESTS, 3, true,  true,  false, false, 0  },
    {PST_MUTUAL_DIGESTS, 2, false, false, false, false, 37 },
    {PST_MUTUAL_PLAIN,   2, false, false, true,  false, 0  },
    {PST_MUTUAL_PLAIN,   3, false, false, false, true,  0  },
    {PST_MUTUAL_PLAIN,   2, true,  false, false, true,  0  },
};
#define FORMS (sizeof forms / sizeof forms[0])

static void begin(const struct form *f, unsigned pending, bool defer)
{
    struct wired_options o = wired_defaults();

    o.mutual = f->mutual;
    o.minor = f->minor;
    o.clear_handshake = f->clear_handshake;
    o.multi_key = f->multi_key;
    o.portion = f->portion;
    o.rsp_sig = o.req_sig = PST_ED25519;
    o.defer = defer;
    wired_setup(&w, &o);
    w.ts.config.basic_mutual = f->basic;
    w.ts.config.known_peer = f->known ? &w.dts_slot : NULL;
    seed(&w.ts.strict, &seeds[0], 1);
    seed(&w.dts.strict, &seeds[1], 2);
    w.ts.strict.pending = w.dts.strict.pending = pending;
    w.slow_signers = pending;
    wired_start(&w);
}

/* Every operation that may be slow, in the clear and in a session. */
static pst_err run(void)
{
    static const pst_op_kind opening[] = {PST_OP_CONNECT, PST_OP_DIGESTS, PST_OP_CERTIFICATE,
                                          PST_OP_CHALLENGE};
    struct pst_op op = {.kind = PST_OP_MEASUREMENTS, .sign = true, .index = 0xff};

    for (size_t i = 0; i < sizeof opening / sizeof opening[0]; i++) {
        PST_TRY(wired_op(&w, opening[i]));
    }
    PST_TRY(wired_run(&w, &op));
    PST_TRY(wired_op(&w, PST_OP_SESSION));
    op.context = pst_requester_session(&w.q);
    PST_TRY(wired_run(&w, &op));
    PST_TRY(wired_op(&w, PST_OP_HEARTBEAT));
    return wired_op(&w, PST_OP_END_SESSION);
}

static void same_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < FORMS; i++) {
        for (unsigned pending = 0; pending < 4; pending++) {
            for (unsigned defer = 0; defer < 2; defer++) {
                struct record *r = &records[pending + defer > 0];

                begin(&forms[i], pending, defer != 0);
                r->len = 0;
                w.tap = tap;
                w.tap_ctx = r;
                CHECK_EQ(run(), PST_OK);
                CHECK_EQ(w.ts.log.established, 1);
                CHECK_EQ(w.ts.log.ended, 1);
                CHECK_EQ(w.dts.log.established, 1);
                CHECK_EQ(w.ts.strict.cancelled + w.dts.strict.cancelled, 0);
                CHECK_EQ(w.ts_signer.cancelled + w.dts_signer.cancelled, 0);
                wired_end(&w);
                CHECK_EQ(r->len, records[0].len);
                CHECK_BYTES(r->bytes, records[0].bytes, r->len);
            }
        }
    }
}

/* -- cancelling -- */

enum how { CANCEL_REQUESTER, VERSION, OTHER_REQUEST, END_SESSIONS, WIPE, HOWS };

static void disturb(enum how how)
{
    static const uint8_t version[] = {0x10, PST_GET_VERSION, 0, 0};
    const uint8_t digests[] = {(uint8_t)(0x10 | w.r.spdm.minor), PST_GET_DIGESTS, 0, 0};
    uint8_t out[WIRED_BUFFER];

    switch (how) {
    case CANCEL_REQUESTER:
        pst_requester_cancel(&w.q, PST_ERR_TIMEOUT);
        break;
    case VERSION:
        CHECK(wired_request(&w, 0, version, sizeof version, out) > 4);
        break;
    case OTHER_REQUEST:
        CHECK(wired_request(&w, 0, digests, sizeof digests, out) >= 4);
        break;
    case END_SESSIONS:
        for (int i = 0; i < PST_SPDM_SESSIONS; i++) {
            if (w.r.spdm.sessions[i].id != 0) {
                pst_responder_end(&w.r, w.r.spdm.sessions[i].id, PST_ERR_CLOSED);
            }
        }
        break;
    case WIPE:
    case HOWS:
    default:
        break;
    }
}

static unsigned turns, turn_at;
static enum how turn_how;
static bool disturbed;

/* Cancels at the chosen turn if an operation is pending then. */
static bool at_turn(struct wired *wire)
{
    unsigned slow = wire->ts.strict.waits + wire->dts.strict.waits;
    bool waits = slow + wire->ts_signer.waits + wire->dts_signer.waits > 0;

    if (!waits || ++turns != turn_at) {
        return false;
    }
    disturbed = true;
    disturb(turn_how);
    return turn_how == WIPE;
}

static void give_up(const struct form *f, bool defer, enum how how)
{
    disturbed = true;
    for (turn_at = 1; disturbed; turn_at++) {
        turns = 0;
        turn_how = how;
        disturbed = false;
        begin(f, 1, defer);
        w.tolerant = true;
        w.turn = at_turn;
        pst_err err = run();
        if (!disturbed) {
            CHECK_EQ(err, PST_OK);
        } else if (how != WIPE) {
            w.turn = NULL;
            pst_requester_cancel(&w.q, PST_ERR_TIMEOUT);
            w.now += 60000;
            (void)pst_responder_poll(&w.r);
            CHECK_EQ(run(), PST_OK); /* the connection works as if new */
        }
        wired_end(&w);
    }
    CHECK(turn_at > 10);
}

static void given_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < FORMS; i++) {
        for (enum how how = CANCEL_REQUESTER; how < HOWS; how = (enum how)(how + 1)) {
            give_up(&forms[i], (i + how) % 2 != 0, how);
        }
    }
}

/* While a slow verification is pending, the other session's heartbeat is due, and the waiting
 * session can be ended. */
static void time_goes_on(void **state)
{
    static uint8_t req[WIRED_BUFFER], rsp[WIRED_BUFFER];
    uint32_t context;
    size_t len, rsp_len;

    (void)state;
    begin(&forms[2], 0, false);
    uint32_t first = wired_session(&w);
    struct pst_op op = {.kind = PST_OP_SESSION};
    w.ts.strict.pending = 1000000;
    CHECK_EQ(pst_requester_start(&w.q, &op), PST_OK);
    CHECK_EQ(pst_requester_next(&w.q, &context, req, sizeof req, &len), PST_OK);
    CHECK_EQ(pst_responder_handle(&w.r, context, req, len, rsp, sizeof rsp, &rsp_len), PST_PENDING);
    pst_responder_heard(&w.r, first);
    CHECK_EQ(pst_responder_poll(&w.r), 10000);
    CHECK_EQ(w.ts.log.ended, 0);
    w.now += 10000;
    (void)pst_responder_poll(&w.r);
    CHECK_EQ(w.ts.log.ended, 1);
    CHECK_EQ(w.ts.log.why, PST_ERR_TIMEOUT);
    CHECK_EQ(w.ts.strict.waits, 1);
    CHECK_EQ(pst_responder_resume(&w.r, rsp, sizeof rsp, &rsp_len), PST_PENDING);
    pst_responder_wipe(&w.r);
    CHECK_EQ(w.ts.strict.cancelled, 1);
    wired_end(&w);
}

/* Room for ResponseNotReady that holds the signer's message, but not the request besides: the
 * caller waits. */
static void little_room(void **state)
{
    (void)state;
    begin(&forms[2], 2, true);
    for (size_t room = 0; room < 1000; room += 50) {
        pst_responder_defer(&w.r, w.defer, room);
        CHECK_EQ(run(), PST_OK);
    }
    wired_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bytes),
        cmocka_unit_test(given_up),
        cmocka_unit_test(time_goes_on),
        cmocka_unit_test(little_room),
    };

    return cmocka_run_group_tests_name("spdm.slow", tests, NULL, NULL);
}
