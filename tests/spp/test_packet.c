/* SPP packets: the public vectors, round trips, every truncation and every changed byte. */
#include "pst_test.h"

#include "postern/parts/spp.h"
#include "spp/packet.h"

static const struct vector {
    const char *command, *response;
    uint8_t opcode;
    uint32_t count;
} vectors[] = {
    {"22300000 11EE7788A5C3C3A5",                                          "22000000 11EE7744A5C3C3A5",          PST_SPP_INIT,         0},
    {"12300000 11EE7788A5C3C3A5",                                          "12000000 11EE7744A5C3C3A5",          PST_SPP_NOP,          0},
    {"32300000 11EE7788A5C3C3A5",                                          "32000000 11EE7744A5C3C3A5",          PST_SPP_UNBLOCK,      0},
    {"42300400 60000000",                                                  "42000400 01000000",                  PST_SPP_READ_CONFIG,  4},
    {"52300400 CC000000 FFFFFFFF",                                         "52000400",                           PST_SPP_WRITE_CONFIG, 4},
    {"72300200 04100000 AABB",                                             "72000200",                           PST_SPP_WRITE,        2},
    {"82300300 24180000 010203",                                           "82000300 040506",                    PST_SPP_WRITE_READ,   3},
    {"62310400 0000008000000000",                                          "62000400 DEADBEEF",                  PST_SPP_READ,         4},
    {"72310100 0000008000000000 55",                                       "72000100",                           PST_SPP_WRITE,        1},
    {"92311400 0000008000000000 0400010001000000000000000100000000000000",
     "92000800 0100000000000000",                                                                                PST_SPP_LOOP,         8},
    {"63310300 80000000 0000008001000000",                                 "63200300 00000000 0000000000000000", PST_SPP_READ,         0},
};

static void test_public_vectors(void **state)
{
    uint8_t bytes[64], again[64];

    (void)state;
    for (size_t i = 0; i + 1 < sizeof vectors / sizeof vectors[0]; i++) {
        struct pst_spp_packet p;
        size_t len = pst_test_hex(vectors[i].command, bytes, sizeof bytes);
        struct pst_reader r = pst_reader_of(bytes, len);
        struct pst_writer w = pst_writer_of(again, sizeof again);

        CHECK_EQ(pst_spp_get_command(&r, &p), PST_OK);
        CHECK_EQ(r.left, 0);
        CHECK_EQ(p.opcode, vectors[i].opcode);
        CHECK_EQ(p.style, PST_SPP_TINY);
        CHECK(p.immediate && p.last && !p.proceed);
        pst_spp_put_command(&w, &p);
        CHECK_EQ(w.used, len);
        CHECK_BYTES(again, bytes, len);

        len = pst_test_hex(vectors[i].response, bytes, sizeof bytes);
        r = pst_reader_of(bytes, len);
        w = pst_writer_of(again, sizeof again);
        CHECK_EQ(pst_spp_get_response(&r, &p), PST_OK);
        CHECK_EQ(r.left, 0);
        CHECK_EQ(p.status, PST_SPP_OK);
        CHECK_EQ(p.count, vectors[i].count);
        CHECK(p.last);
        pst_spp_put_response(&w, &p);
        CHECK_EQ(w.used, len);
        CHECK_BYTES(again, bytes, len);
    }
}

static void test_fields(void **state)
{
    uint8_t bytes[32];
    struct pst_spp_packet p;
    size_t len = pst_test_hex("42300400 CC000000", bytes, sizeof bytes);
    struct pst_reader r = pst_reader_of(bytes, len);

    (void)state;
    CHECK_EQ(pst_spp_get_command(&r, &p), PST_OK);
    CHECK_EQ(p.address, PST_SPC_AS_EN_CLEAR);
    len = pst_test_hex("634A 3412 00010000 EFCDAB8967452301", bytes, sizeof bytes);
    r = pst_reader_of(bytes, len);
    CHECK_EQ(pst_spp_get_command(&r, &p), PST_OK);
    CHECK_EQ(p.style, PST_SPP_FULL);
    CHECK_EQ(p.space, 2);
    CHECK_EQ(p.action, 1);
    CHECK(p.proceed && !p.immediate && !p.last);
    CHECK_EQ(p.tag, 0x1234);
    CHECK_EQ(p.count, 256);
    CHECK_EQ(p.address, 0x0123456789ABCDEF);
}

static struct pst_spp_packet random_command(struct pst_test_rng *rng, const uint8_t *data)
{
    struct pst_spp_packet p = {
        .style = pst_test_rng_below(rng, 2) == 0 ? PST_SPP_TINY : PST_SPP_FULL,
        .opcode = (uint8_t)pst_test_rng_below(rng, PST_SPP_LOOP + 1),
        .space = (uint8_t)pst_test_rng_below(rng, 8),
        .proceed = pst_test_rng_below(rng, 2) == 0,
        .immediate = pst_test_rng_below(rng, 2) == 0,
        .last = pst_test_rng_below(rng, 2) == 0,
    };
    const bool tiny = p.style == PST_SPP_TINY;

    p.tag = tiny ? 0 : (uint16_t)pst_test_rng_u64(rng);
    if (p.opcode >= PST_SPP_READ_CONFIG) {
        p.address = pst_test_rng_u64(rng);
    }
    if (tiny && (p.opcode < PST_SPP_READ || p.space == PST_AS_JTAG)) {
        p.address &= UINT32_MAX;
    }
    if (p.opcode >= PST_SPP_READ) {
        p.count = (uint32_t)pst_test_rng_below(rng, 128);
    } else if (p.opcode >= PST_SPP_READ_CONFIG) {
        p.count = 4;
    }
    if (p.opcode == PST_SPP_LOOP) {
        p.count = PST_SPP_LOOP_OPERAND;
    }
    if (p.opcode == PST_SPP_WRITE_CONFIG || p.opcode > PST_SPP_READ) {
        p.data = (struct pst_bytes){data, p.count};
    }
    return p;
}

static void test_command_round_trip(void **state)
{
    struct pst_test_rng rng = {.state = 2};
    uint8_t data[128], bytes[256];

    (void)state;
    for (unsigned n = 0; n < 4000; n++) {
        struct pst_writer w = pst_writer_of(bytes, sizeof bytes);
        struct pst_spp_packet q;

        pst_test_rng_fill(&rng, data, sizeof data);
        const struct pst_spp_packet p = random_command(&rng, data);
        pst_spp_put_command(&w, &p);
        CHECK(!w.failed);
        struct pst_reader r = pst_reader_of(bytes, w.used);
        CHECK_EQ(pst_spp_get_command(&r, &q), PST_OK);
        CHECK_EQ(r.left, 0);
        CHECK(q.style == p.style && q.opcode == p.opcode && q.space == p.space);
        CHECK(q.proceed == p.proceed && q.immediate == p.immediate && q.last == p.last);
        CHECK(q.tag == p.tag && q.count == p.count && q.address == p.address);
        CHECK_EQ(q.data.len, p.data.len);
        CHECK_BYTES(q.data.at, data, p.data.len);
        for (size_t cut = 0; cut < w.used; cut++) {
            r = pst_reader_of(bytes, cut);
            CHECK_EQ(pst_spp_get_command(&r, &q), PST_ERR_DECODE);
        }
    }
}

/* A packet with a changed byte is refused or parsed as the new packet; both stay in bounds. */
/* A queued command has the size and the contents of its packet, and keeps the decision. */
static void check_kept(const struct pst_spp_packet *p, uint8_t rights, bool allowed, unsigned marks)
{
    uint8_t bytes[64];
    struct pst_writer w = pst_writer_of(bytes, sizeof bytes);
    struct pst_spp_command c;

    pst_spp_put_command(&w, p);
    CHECK(!w.failed);
    psti_spp_keep(bytes, rights, allowed);
    psti_spp_mark(bytes, marks);
    CHECK_EQ(psti_spp_load(bytes, &c), w.used);
    CHECK_EQ(c.packet.style, p->style);
    CHECK_EQ(c.packet.opcode, p->opcode);
    CHECK_EQ(c.packet.space, p->space);
    CHECK_EQ(c.packet.proceed, p->proceed);
    CHECK_EQ(c.packet.tag, p->tag);
    CHECK_EQ(c.packet.count, p->count);
    CHECK_EQ(c.packet.address, p->address);
    CHECK_EQ(c.packet.data.len, p->data.len);
    if (p->data.len > 0) {
        CHECK_BYTES(c.packet.data.at, p->data.at, p->data.len);
    }
    CHECK_EQ(c.len, p->opcode == PST_SPP_LOOP ? p->data.at[0] : p->count);
    CHECK_EQ(c.rights, rights);
    CHECK_EQ(c.allowed, allowed);
    CHECK_EQ(c.marks, marks);
}

static void test_queued_commands(void **state)
{
    static const uint8_t data[PST_SPP_LOOP_OPERAND] = {4, 0, 7, 1, 0xFF};

    (void)state;
    for (unsigned i = 0; i < 2 * (PST_SPP_LOOP + 1) * 8 * 2; i++) {
        const unsigned opcode = i >> 1 & 0x0F, space = i >> 5 & 7;
        struct pst_spp_packet p = {
            .style = (i & 1) != 0 ? PST_SPP_FULL : PST_SPP_TINY,
            .opcode = (uint8_t)opcode,
            .space = (uint8_t)space,
            .proceed = (i >> 8 & 1) != 0,
            .immediate = true,
            .last = true,
            .tag = (i & 1) != 0 ? 0xABCD : 0,
            .count = opcode == PST_SPP_LOOP         ? PST_SPP_LOOP_OPERAND
                     : opcode < PST_SPP_READ_CONFIG ? 0
                     : opcode < PST_SPP_READ        ? 4
                                                    : 9,
        };
        if (opcode > PST_SPP_LOOP) {
            continue;
        }
        if (opcode >= PST_SPP_READ_CONFIG) {
            p.address =
                opcode < PST_SPP_READ || space == PST_AS_JTAG ? 0x89ABCDEF : 0x0123456789ABCDEF;
        }
        if (psti_spp_sends_data(opcode)) {
            p.data = (struct pst_bytes){data, p.count};
        }
        for (unsigned kept = 0; kept < 128; kept++) {
            check_kept(&p, kept & 0x0F, (kept >> 4 & 1) != 0, kept >> 5);
        }
    }
}

static void test_changed_bytes(void **state)
{
    uint8_t bytes[64], again[256];

    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        const size_t len = pst_test_hex(vectors[i].command, bytes, sizeof bytes);

        for (size_t at = 0; at < len; at++) {
            const uint8_t was = bytes[at];

            for (unsigned v = 0; v < 256; v++) {
                struct pst_reader r = pst_reader_of(bytes, len);
                struct pst_writer w = pst_writer_of(again, sizeof again);
                struct pst_spp_packet p;

                bytes[at] = (uint8_t)v;
                if (pst_spp_get_command(&r, &p) != PST_OK) {
                    continue;
                }
                pst_spp_put_command(&w, &p);
                CHECK_EQ(w.used, len - r.left);
                CHECK_BYTES(again, bytes, w.used);
            }
            bytes[at] = was;
        }
    }
}

static void test_changed_pattern(void **state)
{
    uint8_t bytes[64];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        for (size_t at = 4; at < 12; at++) {
            struct pst_spp_packet p;
            size_t len = pst_test_hex(vectors[i].command, bytes, sizeof bytes);
            struct pst_reader r = pst_reader_of(bytes, len);

            bytes[at] ^= 1;
            CHECK_EQ(pst_spp_get_command(&r, &p), PST_ERR_DECODE);
            len = pst_test_hex(vectors[i].response, bytes, sizeof bytes);
            r = pst_reader_of(bytes, len);
            bytes[at] ^= 1;
            CHECK_EQ(pst_spp_get_response(&r, &p), PST_ERR_DECODE);
        }
    }
}

static void check_bad_command(const char *hex)
{
    uint8_t bytes[64];
    const size_t len = pst_test_hex(hex, bytes, sizeof bytes);
    struct pst_reader r = pst_reader_of(bytes, len);
    struct pst_spp_packet p;

    CHECK_EQ(pst_spp_get_command(&r, &p), PST_ERR_DECODE);
}

static void test_bad_commands(void **state)
{
    (void)state;
    check_bad_command("");
    check_bad_command("21300000 11EE7788A5C3C3A5"); /* version */
    check_bad_command("24300000 11EE7788A5C3C3A5");
    check_bad_command("22300100 11EE7788A5C3C3A5");      /* a count where none belongs */
    check_bad_command("22300001 11EE7788A5C3C3A5");      /* a short address */
    check_bad_command("42308400 60000000");              /* bit 7 of the count */
    check_bad_command("42300300 60000000");              /* a register of 3 bytes */
    check_bad_command("A2300000 0000000000000000 0000"); /* opcodes that are not */
    check_bad_command("F3300000 00000000 00000000 00000000");
    check_bad_command("73310000 FFFFFFFF 00000000 00000000"); /* more data than there is */
    check_bad_command("93310000 13000000 0000000000000000 00000000000000000000000000000000000000");
}

static void test_responses(void **state)
{
    static const char *const bad[] = {"62400400 00000000",
                                      "62008400 00000000",
                                      "62000500 00000000",
                                      "A2000000",
                                      "63A00000 00000000 00000000 00000000",
                                      "63200000 00000000 00000000 01000000",
                                      "63200000 01000000 00000000 00000000"};
    uint8_t bytes[64];
    struct pst_spp_packet p;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const size_t len = pst_test_hex(bad[i], bytes, sizeof bytes);
        struct pst_reader r = pst_reader_of(bytes, len);

        CHECK_EQ(pst_spp_get_response(&r, &p), PST_ERR_DECODE);
    }
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0] - 1; i++) {
        const size_t len = pst_test_hex(vectors[i].response, bytes, sizeof bytes);

        for (size_t cut = 0; cut < len; cut++) {
            struct pst_reader r = pst_reader_of(bytes, cut);
            CHECK_EQ(pst_spp_get_response(&r, &p), PST_ERR_DECODE);
        }
    }
}

static void test_too_long_for_tiny(void **state)
{
    uint8_t bytes[256];
    struct pst_writer w = pst_writer_of(bytes, sizeof bytes);
    const struct pst_spp_packet p = {.style = PST_SPP_TINY, .opcode = PST_SPP_READ, .count = 128};

    (void)state;
    pst_spp_put_command(&w, &p);
    CHECK(w.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_public_vectors),     cmocka_unit_test(test_fields),
        cmocka_unit_test(test_command_round_trip), cmocka_unit_test(test_queued_commands),
        cmocka_unit_test(test_changed_bytes),      cmocka_unit_test(test_changed_pattern),
        cmocka_unit_test(test_bad_commands),       cmocka_unit_test(test_responses),
        cmocka_unit_test(test_too_long_for_tiny),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
