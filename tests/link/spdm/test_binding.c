/* MCTP and DOE bindings: known bytes, every truncation, and messages of the other binding. */
#include "postern/links/binding.h"
#include "pst_test.h"

static void test_known_bytes(void **state)
{
    const uint8_t get_version[] = {0x10, 0x84, 0, 0};
    const uint8_t mctp[] = {0x05, 0x10, 0x84, 0, 0};
    const uint8_t doe[] = {1, 0, 1, 0, 3, 0, 0, 0, 0x10, 0x84, 0, 0};
    uint8_t buf[64];
    size_t len;
    (void)state;

    const struct pst_binding *b = pst_binding_find("mctp");
    memcpy(buf + b->head, get_version, 4);
    CHECK_EQ(pst_binding_wrap(b, PST_BOUND_SPDM, buf, sizeof buf, 4, &len), PST_OK);
    CHECK_EQ(len, sizeof mctp);
    CHECK_BYTES(buf, mctp, len);
    b = pst_binding_find("doe");
    memcpy(buf + b->head, get_version, 4);
    CHECK_EQ(pst_binding_wrap(b, PST_BOUND_SPDM, buf, sizeof buf, 4, &len), PST_OK);
    CHECK_EQ(len, sizeof doe);
    CHECK_BYTES(buf, doe, len);
    CHECK(pst_binding_find("i3c") == NULL);
}

static void test_round_trip(void **state)
{
    static const char *const names[] = {"none", "mctp", "doe"};
    uint8_t buf[64];
    (void)state;
    for (size_t n = 0; n < 3; n++) {
        const struct pst_binding *b = pst_binding_find(names[n]);
        for (size_t len = 1; len < 40; len++) {
            struct pst_bytes body;
            pst_bound kind;
            size_t total;
            pst_bound want = n > 0 && len % 2 ? PST_BOUND_RECORD : PST_BOUND_SPDM;
            memset(buf, 0xEE, sizeof buf);
            memset(buf + b->head, 7, len);
            CHECK_EQ(pst_binding_wrap(b, want, buf, sizeof buf, len, &total), PST_OK);
            CHECK_EQ(pst_binding_unwrap(b, buf, total, &kind, &body), PST_OK);
            CHECK_EQ(kind, want);
            CHECK(body.len >= len && body.len - len < 4 && body.at == buf + b->head);
            for (size_t i = 0; i < body.len; i++) {
                CHECK_EQ(body.at[i], i < len ? 7 : 0); /* padding is zeros */
            }
            CHECK_EQ(pst_binding_wrap(b, want, buf, b->head + len - 1, len, &total), PST_ERR_SPACE);
        }
    }
}

static void test_refused(void **state)
{
    const uint8_t doe[] = {1, 0, 2, 0, 4, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
    uint8_t buf[sizeof doe];
    struct pst_bytes body;
    pst_bound kind;
    const struct pst_binding *b = pst_binding_find("doe");
    (void)state;

    for (size_t len = 0; len < sizeof doe; len++) {
        CHECK_EQ(pst_binding_unwrap(b, doe, len, &kind, &body), PST_ERR_DECODE);
    }
    for (size_t i = 0; i < 8; i++) {
        memcpy(buf, doe, sizeof doe);
        buf[i] ^= 0x08;
        bool reserved = i == 3 || i > 5; /* what a receiver ignores, or bits above the length */
        pst_err err = pst_binding_unwrap(b, buf, sizeof buf, &kind, &body);
        CHECK(err == PST_ERR_DECODE || reserved);
    }
    b = pst_binding_find("mctp");
    CHECK_EQ(pst_binding_unwrap(b, doe, sizeof doe, &kind, &body), PST_ERR_DECODE);
    CHECK_EQ(pst_binding_unwrap(b, (const uint8_t *)"\x05", 1, &kind, &body), PST_ERR_DECODE);
}

static void test_discovery(void **state)
{
    const struct pst_binding *b = pst_binding_find("doe");
    uint8_t out[12];
    uint8_t index = 0, seen = 0;
    (void)state;
    do {
        CHECK_EQ(pst_binding_discover(b, index, out), PST_OK);
        CHECK_EQ(pst_peek_u16(out + 8), 1);
        seen |= (uint8_t)(1u << out[10]);
        index = out[11];
    } while (index != 0);
    CHECK_EQ(seen, 7);
    CHECK_EQ(pst_binding_discover(b, 3, out), PST_ERR_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_bytes),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_discovery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
