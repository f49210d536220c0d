/* Records of the data link: both directions, over several ratchets, with and without sequence
 * numbers. Replayed and reflected records, and those of the other link, must not open. */
#include "openssl/openssl_port.h"
#include "postern/parts/data.h"
#include "pst_test.h"

#define SESSION 0x12345678u

struct ends {
    struct pst_data dts, ts;
};

static void open_ends(struct ends *e, uint8_t sequence_len, bool encrypt)
{
    static const uint8_t secret[PST_MAX_HASH] = {1, 2, 3};
    const struct pst_export from = {.hash = PST_SHA256,
                                    .minor = 3,
                                    .aead = PST_AES_256_GCM,
                                    .encrypt = encrypt,
                                    .secret = secret};
    struct pst_record_config config = {.crypto = pst_openssl_crypto(), .sends = PST_TO_RESPONDER};

    memset(e, 0, sizeof *e);
    config.sequence_len = sequence_len;
    CHECK_EQ(pst_data_init(&e->dts, &config, SESSION, &from), PST_OK);
    config.sends = PST_TO_REQUESTER;
    config.sequence_len = 0; /* it learns it from the link on which the first record comes */
    CHECK_EQ(pst_data_init(&e->ts, &config, SESSION, &from), PST_OK);
    pst_data_shape(&e->ts, sequence_len);
}

static void close_ends(struct ends *e)
{
    static const struct pst_data nothing;

    pst_data_wipe(&e->dts);
    pst_data_wipe(&e->ts);
    CHECK_BYTES(e->dts.secret, nothing.secret, sizeof nothing.secret);
    CHECK(!e->ts.record.send.ready && !e->ts.record.receive.ready);
}

static size_t put(struct pst_data *d, uint8_t rec[64], uint8_t value)
{
    size_t len = 0;

    memset(rec + pst_data_head(d), value, 8);
    CHECK_EQ(pst_data_seal(d, rec, 64, 8, &len), PST_OK);
    return len;
}

static void carry(struct pst_data *from, struct pst_data *to, uint8_t value)
{
    uint8_t rec[64], want[8];
    const size_t len = put(from, rec, value);
    struct pst_bytes got;

    CHECK_EQ(pst_data_open(to, rec, len, &got), PST_OK);
    memset(want, value, sizeof want);
    CHECK_EQ(got.len, 8);
    CHECK_BYTES(got.at, want, 8);
}

static void test_ratchet(void **state)
{
    static const uint8_t lens[] = {0, 2, 8};
    (void)state;

    for (unsigned i = 0; i < 6; i++) {
        struct ends e;
        uint8_t first[2][PST_MAX_HASH];

        open_ends(&e, lens[i % 3], i < 3);
        memcpy(first, e.dts.secret, sizeof first);
        CHECK_BYTES(e.dts.secret, e.ts.secret, sizeof first);
        CHECK(memcmp(first[0], first[1], 32) != 0);
        for (uint32_t n = 0; n < 2 * PST_DATA_RATCHET + 3; n++) {
            carry(&e.dts, &e.ts, (uint8_t)n);
        }
        CHECK_EQ(e.dts.record.send.sequence, 3);
        CHECK_EQ(e.ts.record.receive.sequence, 3);
        CHECK(memcmp(first[PST_TO_RESPONDER], e.ts.secret[PST_TO_RESPONDER], 32) != 0);
        /* the other direction has its own count */
        CHECK_BYTES(first[PST_TO_REQUESTER], e.ts.secret[PST_TO_REQUESTER], 32);
        carry(&e.ts, &e.dts, 1);
        CHECK_EQ(e.ts.record.send.sequence, 1);
        close_ends(&e);
    }
}

static void test_refused(void **state)
{
    uint8_t rec[64], copy[64];
    struct pst_bytes got;
    struct ends e;
    (void)state;

    open_ends(&e, 8, true);
    const size_t len = put(&e.dts, rec, 7);
    memcpy(copy, rec, len);
    CHECK(pst_data_open(&e.dts, copy, len, &got) != PST_OK); /* reflected */
    memcpy(copy, rec, len);
    copy[len - 1] ^= 1;
    CHECK_EQ(pst_data_open(&e.ts, copy, len, &got), PST_ERR_AUTH);
    memcpy(copy, rec, len);
    CHECK_EQ(pst_data_open(&e.ts, copy, len, &got), PST_OK); /* the state was untouched */
    memcpy(copy, rec, len);
    CHECK_EQ(pst_data_open(&e.ts, copy, len, &got), PST_ERR_REPLAY);
    for (uint32_t n = 1; n < PST_DATA_RATCHET; n++) {
        carry(&e.dts, &e.ts, (uint8_t)n);
    }
    CHECK_EQ(e.ts.record.receive.sequence, 0);
    memcpy(copy, rec, len); /* the same number, but another key */
    CHECK_EQ(pst_data_open(&e.ts, copy, len, &got), PST_ERR_AUTH);
    close_ends(&e);
}

static void test_arguments(void **state)
{
    static const uint8_t secret[PST_MAX_HASH];
    const struct pst_export from = {
        .hash = PST_SHA256, .minor = 2, .aead = PST_AES_128_GCM, .secret = secret};
    struct pst_record_config config = {
        .crypto = pst_openssl_crypto(), .sequence_len = 8, .window = true};
    struct pst_data d = {0};
    (void)state;

    CHECK_EQ(pst_data_init(&d, &config, SESSION, &from), PST_ERR_ARGUMENT);
    pst_data_wipe(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ratchet),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
