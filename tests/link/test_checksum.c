/* Published check values. */
#include "pst_test.h"

#include "postern/links/checksum.h"

static void test_crc32c(void **state)
{
    uint8_t bytes[48];

    (void)state;
    CHECK_EQ(pst_crc32c(0, "", 0), 0);
    CHECK_EQ(pst_crc32c(0, "123456789", 9), 0xE3069283);
    /* spec: RFC 3720, B.4; there as bytes in the order of the wire */
    memset(bytes, 0, 32);
    CHECK_EQ(pst_crc32c(0, bytes, 32), 0x8A9136AA);
    memset(bytes, 0xFF, 32);
    CHECK_EQ(pst_crc32c(0, bytes, 32), 0x62A8AB43);
    for (size_t i = 0; i < 32; i++) {
        bytes[i] = (uint8_t)i;
    }
    CHECK_EQ(pst_crc32c(0, bytes, 32), 0x46DD794E);
    for (size_t i = 0; i < 32; i++) {
        bytes[i] = (uint8_t)(31 - i);
    }
    CHECK_EQ(pst_crc32c(0, bytes, 32), 0x113FDB5C);
    CHECK_EQ(pst_test_hex("01c00000 00000000 00000000 00000000 14000000 00000400 00000014 00000018"
                          "28000000 00000000 02000000 00000000",
                          bytes, sizeof bytes),
             48);
    CHECK_EQ(pst_crc32c(0, bytes, 48), 0xD9963A56);
}

static void test_fcs16(void **state)
{
    uint8_t with_fcs[11] = "123456789";

    (void)state;
    CHECK_EQ(pst_fcs16(PST_FCS16_START, "", 0), 0xFFFF);
    CHECK_EQ(pst_fcs16(PST_FCS16_START, "123456789", 9), 0x6F91);
    /* spec: RFC 1662, C.2: a frame with its complemented FCS always gives F0B8 */
    with_fcs[9] = 0x91 ^ 0xFF;
    with_fcs[10] = 0x6F ^ 0xFF;
    CHECK_EQ(pst_fcs16(PST_FCS16_START, with_fcs, sizeof with_fcs), 0xF0B8);
}

static void test_in_pieces(void **state)
{
    struct pst_test_rng rng = {.state = 1};
    uint8_t bytes[100];

    (void)state;
    pst_test_rng_fill(&rng, bytes, sizeof bytes);
    for (size_t cut = 0; cut <= sizeof bytes; cut++) {
        CHECK_EQ(pst_crc32c(pst_crc32c(0, bytes, cut), bytes + cut, sizeof bytes - cut),
                 pst_crc32c(0, bytes, sizeof bytes));
        CHECK_EQ(pst_fcs16(pst_fcs16(PST_FCS16_START, bytes, cut), bytes + cut, 100 - cut),
                 pst_fcs16(PST_FCS16_START, bytes, sizeof bytes));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc32c),
        cmocka_unit_test(test_fcs16),
        cmocka_unit_test(test_in_pieces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
