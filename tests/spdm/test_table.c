/* The dispatch tables. docs/spdm-table.md is printed from them, and this test fails when it is
 * stale (`test_table --write docs/spdm-table.md` prints it anew). Then every request code in every
 * phase, version and set of capabilities goes into a live engine, reached by messages, and the
 * answer is compared with what the specification says, restated here by hand. */
#include "parts/wired.h"

#include <stdlib.h>

#include "spdm/messages.h"
#include "spdm/session.h"
#include "spdm/table.h"

#define DOC "../docs/spdm-table.md"

static struct wired w;

/* -- the document -- */

static const struct {
    uint8_t code;
    const char *name;
} names[] = {
    {PST_GET_VERSION,                   "GET_VERSION"                  },
    {PST_GET_CAPABILITIES,              "GET_CAPABILITIES"             },
    {PST_NEGOTIATE_ALGORITHMS,          "NEGOTIATE_ALGORITHMS"         },
    {PST_GET_DIGESTS,                   "GET_DIGESTS"                  },
    {PST_GET_CERTIFICATE,               "GET_CERTIFICATE"              },
    {PST_CHALLENGE,                     "CHALLENGE"                    },
    {PST_GET_MEASUREMENTS,              "GET_MEASUREMENTS"             },
    {PST_KEY_EXCHANGE,                  "KEY_EXCHANGE"                 },
    {PST_FINISH,                        "FINISH"                       },
    {PST_HEARTBEAT,                     "HEARTBEAT"                    },
    {PST_KEY_UPDATE,                    "KEY_UPDATE"                   },
    {PST_GET_ENCAPSULATED_REQUEST,      "GET_ENCAPSULATED_REQUEST"     },
    {PST_DELIVER_ENCAPSULATED_RESPONSE, "DELIVER_ENCAPSULATED_RESPONSE"},
    {PST_END_SESSION,                   "END_SESSION"                  },
    {PST_VENDOR_DEFINED_REQUEST,        "VENDOR_DEFINED_REQUEST"       },
    {PST_RESPOND_IF_READY,              "RESPOND_IF_READY"             },
};

static const char *name_of(uint8_t code)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].code == code) {
            return names[i].name;
        }
    }
    return "?";
}

static const char *cap_name(uint32_t flag)
{
    static const struct {
        uint32_t flag;
        const char *name;
    } caps[] = {
        {PST_CAP_CERT,    "CERT"   },
        {PST_CAP_CHAL,    "CHAL"   },
        {PST_CAP_MEAS,    "MEAS"   },
        {PST_CAP_KEY_EX,  "KEY_EX" },
        {PST_CAP_ENCAP,   "ENCAP"  },
        {PST_CAP_HBEAT,   "HBEAT"  },
        {PST_CAP_KEY_UPD, "KEY_UPD"},
    };

    for (size_t i = 0; i < sizeof caps / sizeof caps[0]; i++) {
        if (caps[i].flag == flag) {
            return caps[i].name;
        }
    }
    return flag == 0 ? "–" : "?";
}

static void print_row(FILE *f, const struct pst_row *row)
{
    static const char *const phase_names[] = {
        "start", "version", "capabilities", "clear", "clear handshake", "handshake", "application"};
    bool first = true;

    fprintf(f, "| %s | %02X | ", name_of(row->code), row->code);
    if (row->since == 0) {
        fprintf(f, "all");
    } else if (row->since == row->until) {
        fprintf(f, "1.%u", row->since);
    } else {
        fprintf(f, "1.%u–1.%u", row->since, row->until);
    }
    fprintf(f, " | ");
    for (unsigned i = 0; i < 7; i++) {
        if ((row->phases >> i & 1) == 0) {
            continue;
        }
        fprintf(f, "%s%s", first ? "" : ", ", phase_names[i]);
        first = false;
    }
    fprintf(f, " | %s | %s | %s | %s%u |", row->kinds == PST_KIND_CERT ? "certificate" : "any",
            cap_name(row->ours), cap_name(row->theirs), row->flags & PST_ROW_EXACT ? "" : "≥ ",
            row->size);
    fprintf(f, "%s%s%s%s |\n", row->flags & PST_ROW_IN_FLOW ? " in flow" : "",
            row->flags & PST_ROW_CLEARS_M ? " clears M" : "",
            row->flags & PST_ROW_KEEPS_L ? " keeps L" : "",
            row->flags & PST_ROW_KEEPS_D ? " keeps D" : "");
}

static void print_head(FILE *f, const char *title, const char *text)
{
    fprintf(
        f,
        "\n## %s\n\n%s\n\n| Message | Code | Versions | Phases | Session | Ours | Theirs | Size "
        "| Transcripts, flow |\n|---|---|---|---|---|---|---|---|---|\n",
        title, text);
}

static void print_document(FILE *f)
{
    fprintf(f,
            "# Which SPDM message may come when\n\n"
            "Printed from the dispatch tables by `tests/spdm/test_table.c`; do not edit. What is "
            "not here is answered with\n`ERROR UnsupportedRequest`.\n\n"
            "Phases of the connection: *start* (before VERSION), *version*, *capabilities*, "
            "*clear* (negotiated, outside a\nsession), *clear handshake* (the same, while a "
            "handshake without encryption is under way). Phases of a session:\n*handshake*, "
            "*application*.\n\n"
            "A message that fails is answered, in this order of checks: unknown code: "
            "UnsupportedRequest; header version:\nVersionMismatch; version of the row or a "
            "capability missing: UnsupportedRequest; outside its phases:\nSessionRequired when "
            "it exists only inside a session and a negotiated connection sent it in the clear, "
            "otherwise\nUnexpectedRequest; longer than our DataTransferSize: RequestTooLarge; "
            "wrong size: InvalidRequest; while the answer to\nan encapsulated request is "
            "awaited, unless marked *in flow*: RequestInFlight.\n");
    print_head(f, "Requests that the responder answers",
               "*Ours* are the responder's capabilities.");
    for (size_t i = 0; i < psti_responder_row_count; i++) {
        print_row(f, &psti_responder_rows[i]);
    }
    print_head(
        f, "Encapsulated requests that the requester answers",
        "*Ours* are the requester's capabilities. In a handshake any other ends the session.");
    for (size_t i = 0; i < psti_encap_row_count; i++) {
        print_row(f, &psti_encap_rows[i]);
    }
    print_head(f, "Requests that the requester sends", "*Size* is that of the answer.");
    for (size_t i = 1; i < PST_STEPS; i++) {
        print_row(f, &psti_step_rows[i].row);
    }
}

static void document_is_fresh(void **state)
{
    char *text = NULL, *stored;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    (void)state;
    print_document(f);
    fclose(f);
    f = fopen(DOC, "r");
    CHECK(f != NULL);
    stored = calloc(1, len + 2);
    CHECK(stored != NULL);
    size_t n = fread(stored, 1, len + 1, f);
    fclose(f);
    bool same = n == len && memcmp(stored, text, len) == 0;
    free(stored);
    free(text);
    CHECK(same); /* run test_table --write docs/spdm-table.md */
}

/* -- the specification, by hand -- */

/* Phases: s start, v version, c capabilities, o outside, h HANDSHAKE in the clear, H handshake,
 * A application. */
struct rule {
    uint8_t code;
    const char *phases;
    uint32_t ts, dts; /* capabilities: any bit of each side's */
};

static const struct rule rules[] = {
    {0x84, "svcoh", 0,        0       },
    {0xe1, "v",     0,        0       },
    {0xe3, "c",     0,        0       },
    {0x81, "ohA",   1u << 1,  0       },
    {0x82, "ohA",   1u << 1,  0       },
    {0x83, "oh",    1u << 2,  0       },
    {0xe0, "ohA",   3u << 3,  0       },
    {0xfe, "ohA",   0,        0       },
    {0xff, "ohHA",  0,        0       },
    {0xe4, "o",     1u << 9,  1u << 9 },
    {0xe5, "hH",    1u << 9,  1u << 9 },
    {0xe8, "A",     1u << 13, 1u << 13},
    {0xe9, "A",     1u << 14, 1u << 14},
    {0xea, "ohHA",  1u << 12, 1u << 12},
    {0xeb, "ohHA",  1u << 12, 1u << 12},
    {0xec, "A",     0,        0       },
};

static uint32_t in_force(uint32_t caps, uint8_t minor)
{
    return minor == 2 && (caps & PST_CAP_MUT_AUTH) != 0 ? caps | PST_CAP_ENCAP : caps;
}

static uint8_t expected(uint8_t code, char phase, uint8_t minor, uint32_t ts, uint32_t dts)
{
    const struct rule *r = NULL;
    bool agreed = phase != 's' && phase != 'v';

    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (rules[i].code == code) {
            r = &rules[i];
        }
    }
    if (r == NULL) {
        return PST_SPDM_UNSUPPORTED_REQUEST;
    }
    /* only GET_VERSION has another header version, and the walk sends the negotiated one */
    if (agreed && r->ts != 0 && (in_force(ts, minor) & r->ts) == 0) {
        return PST_SPDM_UNSUPPORTED_REQUEST;
    }
    if (agreed && r->dts != 0 && (in_force(dts, minor) & r->dts) == 0) {
        return PST_SPDM_UNSUPPORTED_REQUEST;
    }
    /* let in by its size, but in the clear handshake the requester's chain is awaited */
    if (code == 0xe0 && phase == 'h' &&
        ((in_force(ts, minor) & in_force(dts, minor)) >> 12 & 1) != 0) {
        return PST_SPDM_REQUEST_IN_FLIGHT;
    }
    if (strchr(r->phases, phase) != NULL) {
        return PST_SPDM_INVALID_REQUEST; /* let in: then its size is wrong */
    }
    if ((phase == 'o' || phase == 'h') && strpbrk(r->phases, "svco") == NULL) {
        return PST_SPDM_SESSION_REQUIRED;
    }
    return PST_SPDM_UNEXPECTED_REQUEST;
}

/* -- the walk through the responder -- */

static unsigned cells;

static void walk_codes(uint32_t context, char phase)
{
    uint8_t minor = w.ts.config.max_minor;

    for (unsigned code = 0; code < 256; code++) {
        uint8_t out[WIRED_BUFFER];
        uint8_t req[5] = {(uint8_t)(code == 0x84 ? 0x10 : 0x10 | minor), (uint8_t)code, 0, 1, 0xff};
        uint8_t want =
            expected(req[1], phase, minor, w.ts.config.capabilities, w.dts.config.capabilities);

        CHECK_EQ(wired_request(&w, context, req, sizeof req, out), 4);
        CHECK_EQ(out[1], PST_ERROR);
        if (out[2] != want) {
            fprintf(stderr, "code %02x, phase %c, 1.%u\n", code, phase, minor);
        }
        CHECK_EQ(out[2], want);
        CHECK_EQ(out[3], want == PST_SPDM_UNSUPPORTED_REQUEST ? code : 0);
        cells++;
        /* one of another version */
        if (phase != 's' && phase != 'v' && strchr("\x84", (int)code) == NULL) {
            req[0] ^= 1;
            CHECK_EQ(wired_request(&w, context, req, sizeof req, out), 4);
            bool known = want != PST_SPDM_UNSUPPORTED_REQUEST || strcmp(name_of(req[1]), "?") != 0;
            CHECK_EQ(out[2], known ? PST_SPDM_VERSION_MISMATCH : PST_SPDM_UNSUPPORTED_REQUEST);
        }
    }
}

/* Sends what the requester would send next, and takes the answer. */
static void step(uint32_t *context)
{
    uint8_t req[WIRED_BUFFER], out[WIRED_BUFFER];
    size_t len;

    CHECK_EQ(pst_requester_next(&w.q, context, req, sizeof req, &len), PST_OK);
    pst_requester_sent(&w.q);
    size_t n = wired_request(&w, *context, req, len, out);
    pst_err err = pst_requester_receive(&w.q, *context, out, n);
    CHECK_EQ(err, PST_OK);
}

static void walk_connection(void)
{
    struct pst_op op = {.kind = PST_OP_CONNECT};
    uint32_t context;

    walk_codes(0, 's');
    CHECK_EQ(pst_requester_start(&w.q, &op), PST_OK);
    step(&context);
    walk_codes(0, 'v');
    step(&context);
    walk_codes(0, 'c');
    step(&context);
    walk_codes(0, 'o');
}

static void walk_session(const struct wired_options *o)
{
    struct pst_op op = {.kind = PST_OP_SESSION};
    uint8_t req[64];
    uint32_t context;
    size_t len;

    CHECK_EQ(wired_op(&w, PST_OP_DIGESTS), PST_OK);
    CHECK_EQ(wired_op(&w, PST_OP_CERTIFICATE), PST_OK);
    CHECK_EQ(pst_requester_start(&w.q, &op), PST_OK);
    step(&context);
    uint32_t id = pst_requester_session(&w.q);
    walk_codes(o->clear_handshake ? 0 : id, o->clear_handshake ? 'h' : 'H');
    /* another session's id, or one that never was: silence */
    CHECK_EQ(wired_request(&w, id ^ 0x10000, "\x13\xe8\0\0", 4, req), 0);
    while (pst_requester_result(&w.q, NULL) == PST_PENDING) {
        step(&context);
    }
    CHECK_EQ(pst_requester_result(&w.q, NULL), PST_OK);
    walk_codes(id, 'A');
    walk_codes(0, 'o');
    len = wired_request(&w, id, (uint8_t[]){(uint8_t)(0x10 | o->minor), 0xec, 0, 0}, 4, req);
    CHECK_EQ(len, 4);
    CHECK_EQ(req[1], 0x6c);
    pst_requester_end(&w.q, id, PST_ERR_CLOSED);
}

static void responder_walk(void **state)
{
    /* what each round takes away from the responder and from the requester */
    static const struct {
        uint32_t ts, dts;
        bool session;
    } without[] = {
        {0,                                    0,                                true },
        {PST_CAP_MEAS,                         0,                                true },
        {PST_CAP_CHAL,                         0,                                true },
        {PST_CAP_HBEAT,                        0,                                true },
        {0,                                    PST_CAP_HBEAT,                    true },
        {PST_CAP_KEY_UPD,                      0,                                true },
        {0,                                    PST_CAP_KEY_UPD,                  true },
        {PST_CAP_MUT_AUTH | PST_CAP_ENCAP,     0,                                true },
        {0,                                    PST_CAP_MUT_AUTH | PST_CAP_ENCAP, true },
        {PST_CAP_KEY_EX | PST_CAP_MAC | PST_CAP_ENCRYPT | PST_CAP_HBEAT | PST_CAP_KEY_UPD |
             PST_CAP_CLEAR_HANDSHAKE, 0,                                false},
        {0,
         PST_CAP_KEY_EX | PST_CAP_MAC | PST_CAP_ENCRYPT | PST_CAP_HBEAT | PST_CAP_KEY_UPD |
             PST_CAP_CLEAR_HANDSHAKE,                                            false},
        {~(uint32_t)0,                         0,                                false},
    };

    (void)state;
    for (unsigned i = 0; i < 4 * sizeof without / sizeof without[0]; i++) {
        struct wired_options o = wired_defaults();

        o.minor = i & 1 ? 2 : 3;
        o.clear_handshake = i & 2;
        wired_setup(&w, &o);
        w.ts.config.capabilities &= ~without[i / 4].ts;
        w.dts.config.capabilities &= ~without[i / 4].dts;
        if ((w.ts.config.capabilities & PST_CAP_MUT_AUTH) == 0) {
            w.ts.config.mutual = PST_MUTUAL_NONE;
        }
        if ((w.ts.config.capabilities & PST_CAP_HBEAT) == 0) {
            w.ts.config.heartbeat_s = 0;
        }
        wired_start(&w);
        walk_connection();
        if (without[i / 4].session) {
            walk_session(&o);
        }
        wired_end(&w);
    }
    print_message("%u cells\n", cells);
}

/* -- the walk through the requester: encapsulated requests -- */

static struct {
    uint8_t code;   /* what the responder's inner request becomes */
    uint8_t answer; /* inner ERROR code, or 0 */
    bool answered;
} inner;

static void change_inner(struct wired *wire, pst_role to, uint32_t context, uint8_t *msg,
                         size_t *len)
{
    (void)wire;
    (void)context;
    if (to == PST_ROLE_REQUESTER && msg[1] == PST_ENCAPSULATED_REQUEST) {
        msg[5] = inner.code;
        msg[7] = 1;
        msg[8] = 0xff;
        *len = 9;
    }
    if (to == PST_ROLE_RESPONDER && msg[1] == PST_DELIVER_ENCAPSULATED_RESPONSE) {
        inner.answered = true;
        inner.answer = msg[5] == PST_ERROR ? msg[6] : 0;
        CHECK(inner.answer != PST_SPDM_UNSUPPORTED_REQUEST || msg[7] == inner.code);
    }
}

static void requester_walk(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2 * 256; i++) {
        struct wired_options o = wired_defaults();
        uint8_t code = (uint8_t)(i / 2), want = PST_SPDM_UNSUPPORTED_REQUEST;

        o.minor = i & 1 ? 2 : 3;
        wired_setup(&w, &o);
        wired_start(&w);
        uint32_t id = wired_session(&w);
        inner.code = code;
        inner.answered = false;
        w.tap = change_inner;
        CHECK_EQ(pst_responder_want_key_update(&w.r, id), PST_OK);
        pst_err err = wired_op(&w, PST_OP_ENCAPSULATED);
        if (code == PST_GET_DIGESTS || code == PST_GET_CERTIFICATE || code == PST_KEY_UPDATE) {
            want = PST_SPDM_INVALID_REQUEST;
        }
        if (code == PST_CHALLENGE && o.minor == 2) {
            want = PST_SPDM_UNEXPECTED_REQUEST;
        }
        CHECK(inner.answered);
        CHECK_EQ(inner.answer, want);
        CHECK_EQ(err, PST_OK); /* the responder gives up, the session lives */
        CHECK_EQ(w.dts.log.ended + w.ts.log.ended, 0);
        wired_end(&w);

        /* in a handshake, anything but what mutual authentication needs ends it */
        wired_start(&w);
        inner.answered = false;
        CHECK(wired_try_session(&w) != PST_OK);
        CHECK_EQ(inner.answered, code == PST_GET_DIGESTS || code == PST_GET_CERTIFICATE);
        CHECK_EQ(w.dts.keys.session[0].id, 0);
        wired_end(&w);
    }
}

/* Which operations start when. */
static void operations(void **state)
{
    static const struct {
        pst_op_kind kind;
        const char *when; /* 0 nothing yet, 1 connected, 2 with certificate, 3 in session */
    } when[] = {
        {PST_OP_CONNECT,      "0123"},
        {PST_OP_DIGESTS,      "123" },
        {PST_OP_CERTIFICATE,  "123" },
        {PST_OP_CHALLENGE,    "23"  },
        {PST_OP_MEASUREMENTS, "123" },
        {PST_OP_SESSION,      "23"  },
        {PST_OP_HEARTBEAT,    "3"   },
        {PST_OP_KEY_UPDATE,   "3"   },
        {PST_OP_ENCAPSULATED, "3"   },
        {PST_OP_END_SESSION,  "3"   },
        {PST_OP_VENDOR,       "123" },
    };
    static const pst_op_kind advance[] = {PST_OP_CONNECT, PST_OP_CERTIFICATE, PST_OP_SESSION};
    struct wired_options o = wired_defaults();

    (void)state;
    wired_setup(&w, &o);
    wired_start(&w);
    for (unsigned stage = 0; stage < 4; stage++) {
        for (size_t i = 0; i < sizeof when / sizeof when[0]; i++) {
            struct pst_op op = {.kind = when[i].kind};
            bool may = strchr(when[i].when, (int)('0' + stage)) != NULL;

            if (stage == 3 && op.kind >= PST_OP_HEARTBEAT) {
                op.context = pst_requester_session(&w.q);
            }
            if (stage == 3 && (op.kind == PST_OP_KEY_UPDATE || op.kind == PST_OP_ENCAPSULATED ||
                               op.kind == PST_OP_END_SESSION || op.kind == PST_OP_SESSION)) {
                continue; /* giving these up ends the session: test_session runs them */
            }
            CHECK_EQ(pst_requester_start(&w.q, &op), may ? PST_OK : PST_ERR_STATE);
            if (may) {
                CHECK_EQ(pst_requester_start(&w.q, &op), PST_ERR_STATE);
                pst_requester_cancel(&w.q, PST_ERR_CLOSED);
                CHECK_EQ(pst_requester_result(&w.q, NULL), PST_ERR_CLOSED);
            }
        }
        if (stage < 3) {
            CHECK_EQ(wired_op(&w, advance[stage]), PST_OK);
        }
    }
    wired_end(&w);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(document_is_fresh),
        cmocka_unit_test(responder_walk),
        cmocka_unit_test(requester_walk),
        cmocka_unit_test(operations),
    };

    if (argc == 3 && strcmp(argv[1], "--write") == 0) {
        FILE *f = fopen(argv[2], "w");
        if (f == NULL) {
            return 1;
        }
        print_document(f);
        return fclose(f) == 0 ? 0 : 1;
    }
    return cmocka_run_group_tests_name("spdm.table", tests, NULL, NULL);
}
