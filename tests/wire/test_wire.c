/* Cursors, in-place integers, checked sums, constant-time compare, wipe, error texts. */
#include "pst_test.h"

#include "postern/parts/wire.h"

static void integers_round_trip(void **state)
{
    uint8_t buf[27];
    struct pst_writer w = pst_writer_of(buf, sizeof buf);
    size_t len = 0;

    (void)state;
    pst_put_u8(&w, 0x01);
    pst_put_u16(&w, 0x0203);
    pst_put_u24(&w, 0x040506);
    pst_put_u32(&w, 0x0708090a);
    pst_put_u64(&w, 0x0b0c0d0e0f101112u);
    pst_put_be16(&w, 0x1314);
    pst_put_be32(&w, 0x15161718);
    pst_put_zeros(&w, 1);
    pst_put_bytes(&w, "ab", 2);
    CHECK_EQ(pst_written(&w, &len), PST_OK);
    CHECK_EQ(len, sizeof buf);
    uint8_t want[27];
    pst_test_hex("01 0302 060504 0a090807 1211100f0e0d0c0b 1314 15161718 00 6162", want,
                 sizeof want);
    CHECK_BYTES(buf, want, sizeof buf);

    struct pst_reader r = pst_reader_of(buf, sizeof buf);
    CHECK_EQ(pst_get_u8(&r), 0x01);
    CHECK_EQ(pst_get_u16(&r), 0x0203);
    CHECK_EQ(pst_get_u24(&r), 0x040506);
    CHECK_EQ(pst_get_u32(&r), 0x0708090a);
    CHECK_EQ(pst_get_u64(&r), 0x0b0c0d0e0f101112);
    CHECK_EQ(pst_get_be16(&r), 0x1314);
    CHECK_EQ(pst_get_be32(&r), 0x15161718);
    pst_skip(&r, 1);
    CHECK_EQ(pst_finish(&r), PST_ERR_DECODE); /* two bytes are left */
    CHECK(pst_reader_ok(&r));
    uint8_t ab[2];
    pst_get_copy(&r, ab, 2);
    CHECK_BYTES(ab, "ab", 2);
    CHECK_EQ(pst_finish(&r), PST_OK);
}

static void decode_all(struct pst_reader *r)
{
    (void)pst_get_u8(r);
    (void)pst_get_u24(r);
    (void)pst_get_block(r, 5);
    (void)pst_get_be32(r);
    (void)pst_get_u64(r);
}

static void every_truncation_fails(void **state)
{
    uint8_t buf[21] = {0};

    (void)state;
    for (size_t n = 0; n <= sizeof buf + 1; n++) {
        uint8_t big[22] = {0};
        struct pst_reader r = pst_reader_of(big, n);
        decode_all(&r);
        CHECK_EQ(pst_finish(&r), n == sizeof buf ? PST_OK : PST_ERR_DECODE);
    }
}

static void failure_sticks_and_reads_zero(void **state)
{
    uint8_t buf[3] = {1, 2, 3};
    uint8_t copy[4] = {9, 9, 9, 9};
    struct pst_reader r = pst_reader_of(buf, sizeof buf);

    (void)state;
    CHECK_EQ(pst_get_u32(&r), 0);
    CHECK_EQ(pst_get_u8(&r), 0); /* there is a byte, but it is too late */
    pst_get_copy(&r, copy, sizeof copy);
    CHECK(copy[0] == 0 && copy[3] == 0);
    struct pst_bytes b = pst_get_block(&r, 1);
    CHECK(b.at == NULL && b.len == 0);
    CHECK(!pst_reader_ok(&r));
    r = pst_reader_of(buf, sizeof buf);
    pst_require(&r, true);
    CHECK(pst_reader_ok(&r));
    pst_require(&r, false);
    CHECK_EQ(pst_get_u8(&r), 0);
    r = pst_reader_of(buf, sizeof buf);
    b = pst_get_block(&r, SIZE_MAX);
    CHECK(b.at == NULL && !pst_reader_ok(&r));
}

static void empty_cursors(void **state)
{
    struct pst_reader r = pst_reader_of(NULL, 0);
    struct pst_writer w = pst_writer_of(NULL, 0);
    size_t len = 7;

    (void)state;
    CHECK_EQ(pst_get_block(&r, 0).len, 0);
    CHECK_EQ(pst_finish(&r), PST_OK);
    pst_put_bytes(&w, NULL, 0);
    pst_put_zeros(&w, 0);
    CHECK_EQ(pst_written(&w, &len), PST_OK);
    CHECK_EQ(len, 0);
    pst_put_u8(&w, 1);
    len = 7;
    CHECK_EQ(pst_written(&w, &len), PST_ERR_SPACE);
    CHECK_EQ(len, 7);
}

static void writer_never_passes_its_end(void **state)
{
    (void)state;
    for (size_t cap = 0; cap < 12; cap++) {
        uint8_t buf[13];
        memset(buf, 0x5A, sizeof buf);
        struct pst_writer w = pst_writer_of(buf, cap);
        size_t len = 0;
        pst_put_u32(&w, 0);
        pst_put_be16(&w, 0);
        pst_put_bytes(&w, "abcd", 4);
        pst_put_u16(&w, 0);
        CHECK_EQ(pst_written(&w, &len), PST_ERR_SPACE);
        for (size_t i = cap; i < sizeof buf; i++) {
            CHECK_EQ(buf[i], 0x5A);
        }
        CHECK(pst_put_room(&w, 0) == NULL);
    }
    uint8_t buf[8];
    struct pst_writer w = pst_writer_of(buf, sizeof buf);
    pst_put_u24(&w, 0x1000000); /* does not fit 24 bits: never truncated silently */
    size_t len;
    CHECK_EQ(pst_written(&w, &len), PST_ERR_SPACE);
}

static void in_place_integers(void **state)
{
    uint8_t at[8];

    (void)state;
    pst_poke_u16(at, 0xfedc);
    CHECK(at[0] == 0xdc && at[1] == 0xfe);
    CHECK_EQ(pst_peek_u16(at), 0xfedc);
    pst_poke_u32(at, 0xfedcba98u);
    CHECK(at[0] == 0x98 && at[3] == 0xfe);
    CHECK(pst_peek_u32(at) == 0xfedcba98u);
    pst_poke_u64(at, 0xfedcba9876543210u);
    CHECK(at[0] == 0x10 && at[7] == 0xfe);
    CHECK(pst_peek_u64(at) == 0xfedcba9876543210u);
}

static void sums_are_checked(void **state)
{
    uint64_t u = 1;

    (void)state;
    CHECK(pst_add_u64(UINT64_MAX - 1, 1, &u) && u == UINT64_MAX);
    CHECK(!pst_add_u64(2, UINT64_MAX - 1, &u) && u == UINT64_MAX);
}

static void compare_and_wipe(void **state)
{
    uint8_t a[33], b[33];

    (void)state;
    memset(a, 0x77, sizeof a);
    memcpy(b, a, sizeof b);
    CHECK(pst_equal_ct(a, b, sizeof a));
    CHECK(pst_equal_ct(a, NULL, 0));
    for (size_t bit = 0; bit < 8 * sizeof a; bit++) {
        b[bit / 8] = (uint8_t)(b[bit / 8] ^ 1u << bit % 8);
        CHECK(!pst_equal_ct(a, b, sizeof a));
        b[bit / 8] = a[bit / 8];
    }
    pst_wipe(a, 32);
    for (size_t i = 0; i < 32; i++) {
        CHECK_EQ(a[i], 0);
    }
    CHECK_EQ(a[32], 0x77);
    pst_wipe(NULL, 0);
}

static void every_error_has_its_own_words(void **state)
{
    static const int values[] = {0,   -1,  -2,  -10, -11, -12, -13, -20, -21, -22,
                                 -23, -24, -25, -26, -27, -28, -29, -40, -41, -42,
                                 -43, -44, -45, -46, -60, -61, -62, -63};
    size_t n = sizeof values / sizeof values[0];

    (void)state;
    for (size_t i = 0; i < n; i++) {
        CHECK(strcmp(pst_err_text((pst_err)values[i]), "unknown error") != 0);
        for (size_t j = 0; j < i; j++) {
            CHECK(strcmp(pst_err_text((pst_err)values[i]), pst_err_text((pst_err)values[j])) != 0);
        }
    }
    CHECK(strcmp(pst_err_text((pst_err)-99), "unknown error") == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_round_trip),
        cmocka_unit_test(every_truncation_fails),
        cmocka_unit_test(failure_sticks_and_reads_zero),
        cmocka_unit_test(empty_cursors),
        cmocka_unit_test(writer_never_passes_its_end),
        cmocka_unit_test(in_place_integers),
        cmocka_unit_test(sums_are_checked),
        cmocka_unit_test(compare_and_wipe),
        cmocka_unit_test(every_error_has_its_own_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
