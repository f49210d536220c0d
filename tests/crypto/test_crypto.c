/* The registry, HKDF and SPDM's key expansion, on published vectors. */
#include "pst_test.h"

#include "openssl/openssl_port.h"
#include "postern/crypto.h"

static void registry_maps_both_ways(void **state)
{
    (void)state;
    CHECK(pst_hash_row(PST_HASH_NONE) == NULL);
    CHECK(pst_hash_row((pst_hash_id)3) == NULL);
    CHECK(pst_sig_row((pst_sig_id)4) == NULL);
    CHECK(pst_dh_row((pst_dh_id)200) == NULL);
    CHECK(pst_aead_row((pst_aead_id)4) == NULL);
    for (int i = PST_SHA256; i <= PST_SHA384; i++) {
        const struct pst_algorithm *row = pst_hash_row((pst_hash_id)i);
        CHECK_EQ(row->id, i);
        CHECK_EQ(pst_hash_from_bit(row->spdm_bit), i);
        CHECK_EQ(pst_hash_from_name(row->name), i);
    }
    for (int i = PST_ECDSA_P256; i <= PST_ED25519; i++) {
        const struct pst_algorithm *row = pst_sig_row((pst_sig_id)i);
        CHECK_EQ(row->id, i);
        CHECK(row->size <= PST_MAX_SIGNATURE);
        CHECK_EQ(pst_sig_from_name(row->name), i);
    }
    for (int i = PST_SECP256R1; i <= PST_SECP384R1; i++) {
        const struct pst_algorithm *row = pst_dh_row((pst_dh_id)i);
        CHECK_EQ(row->id, i);
        CHECK(row->size <= PST_MAX_DH && row->secret <= PST_MAX_Z);
        CHECK_EQ(pst_dh_from_name(row->name), i);
    }
    for (int i = PST_AES_128_GCM; i <= PST_CHACHA20_POLY1305; i++) {
        const struct pst_algorithm *row = pst_aead_row((pst_aead_id)i);
        CHECK_EQ(row->id, i);
        CHECK(row->size <= PST_MAX_KEY);
        CHECK_EQ(pst_aead_from_name(row->name), i);
    }
}

static void registry_has_the_bits_of_the_specification(void **state)
{
    (void)state;
    CHECK_EQ(pst_sig_row(PST_ECDSA_P256)->spdm_bit, 0x10);
    CHECK_EQ(pst_sig_row(PST_ECDSA_P384)->spdm_bit, 0x80);
    CHECK_EQ(pst_sig_row(PST_ED25519)->spdm_bit, 0x400);
    CHECK_EQ(pst_hash_from_bit(2), PST_SHA384);
    CHECK_EQ(pst_dh_row(PST_SECP256R1)->spdm_bit, 8);
    CHECK_EQ(pst_aead_row(PST_CHACHA20_POLY1305)->spdm_bit, 4);
    CHECK_EQ(pst_measurement_hash_bit(PST_SHA256), 2);
    CHECK_EQ(pst_measurement_hash_bit(PST_SHA384), 4);
    CHECK_EQ(pst_measurement_hash_bit(PST_HASH_NONE), 0);
    /* none, several at once, unknown */
    CHECK_EQ(pst_hash_from_bit(0), 0);
    CHECK_EQ(pst_hash_from_bit(3), 0);
    CHECK_EQ(pst_sig_from_name("rsa"), 0);
    CHECK_EQ(pst_sig_from_name(""), 0);
}

struct hkdf_case {
    const char *ikm, *salt, *info, *prk, *okm; /* okm: the first digest of the published one */
};

/* RFC 5869, appendix A.1 to A.3 */
static const struct hkdf_case hkdf_cases[] = {
    {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c",
     "f0f1f2f3f4f5f6f7f8f9",                                                                                                  "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
     "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"                                                                                                                                                                                             },
    {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
     "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
     "404142434445464748494a4b4c4d4e4f",        "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f"
     "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
     "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf", "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
     "d0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeef"
     "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
     "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"                                                                                                                                                                                             },
    {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "",                              "",
     "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",                                                                                                                          "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"},
};

static void hkdf_matches_rfc_5869(void **state)
{
    const struct pst_crypto *c = pst_openssl_crypto();

    (void)state;
    for (size_t i = 0; i < sizeof hkdf_cases / sizeof hkdf_cases[0]; i++) {
        const struct hkdf_case *t = &hkdf_cases[i];
        uint8_t ikm[80], salt[80], info[80], want[32], prk[32], okm[32];
        size_t ikm_len = pst_test_hex(t->ikm, ikm, sizeof ikm);
        size_t salt_len = pst_test_hex(t->salt, salt, sizeof salt);
        size_t info_len = pst_test_hex(t->info, info, sizeof info);

        CHECK_EQ(pst_hkdf_extract(c, PST_SHA256, salt, salt_len, ikm, ikm_len, prk), PST_OK);
        pst_test_hex(t->prk, want, sizeof want);
        CHECK_BYTES(prk, want, 32);
        pst_test_hex(t->okm, want, sizeof want);
        for (size_t n = 0; n <= 32; n++) {
            memset(okm, 0xA5, sizeof okm);
            CHECK_EQ(pst_hkdf_expand(c, PST_SHA256, prk, info, info_len, okm, n), PST_OK);
            CHECK_BYTES(okm, want, n);
            CHECK(n == 32 || okm[n] == 0xA5);
        }
    }
}

static void hkdf_refuses_what_it_cannot_do(void **state)
{
    const struct pst_crypto *c = pst_openssl_crypto();
    uint8_t prk[PST_MAX_HASH] = {0}, out[64] = {0}, info[PST_MAX_INFO + 1] = {0};

    (void)state;
    CHECK_EQ(pst_hkdf_expand(c, PST_SHA256, prk, info, 1, out, 33), PST_ERR_ARGUMENT);
    CHECK_EQ(pst_hkdf_expand(c, PST_SHA384, prk, info, 1, out, 49), PST_ERR_ARGUMENT);
    CHECK_EQ(pst_hkdf_expand(c, PST_SHA256, prk, info, sizeof info, out, 32), PST_ERR_ARGUMENT);
    CHECK_EQ(pst_hkdf_expand(c, PST_SHA256, prk, info, PST_MAX_INFO, out, 32), PST_OK);
    CHECK_EQ(pst_hkdf_expand(c, PST_HASH_NONE, prk, info, 1, out, 1), PST_ERR_ARGUMENT);
    CHECK_EQ(pst_hkdf_extract(c, PST_HASH_NONE, NULL, 0, info, 1, out), PST_ERR_ARGUMENT);
    CHECK_EQ(pst_spdm_expand(c, PST_SHA256, 10, prk, "key", NULL, out, 32), PST_ERR_ARGUMENT);
}

/* spec: DSP0274, key schedule: the label is built here byte by byte from the text */
static void spdm_expand_is_bin_concat(void **state)
{
    const struct pst_crypto *c = pst_openssl_crypto();
    uint8_t secret[32], th1[32], got[32], want[32];
    uint8_t info[53] = "\x20\x00spdm1.2 req hs data";
    uint8_t key_info[13] = {0x10, 0, 's', 'p', 'd', 'm', '1', '.', '1', ' ', 'k', 'e', 'y'};

    (void)state;
    memset(secret, 0x11, sizeof secret);
    memset(th1, 0x22, sizeof th1);
    memcpy(info + 21, th1, 32);
    CHECK_EQ(pst_hkdf_expand(c, PST_SHA256, secret, info, sizeof info, want, 32), PST_OK);
    CHECK_EQ(pst_spdm_expand(c, PST_SHA256, 2, secret, "req hs data", th1, got, 32), PST_OK);
    CHECK_BYTES(got, want, 32);
    CHECK_EQ(pst_hkdf_expand(c, PST_SHA256, secret, key_info, sizeof key_info, want, 16), PST_OK);
    CHECK_EQ(pst_spdm_expand(c, PST_SHA256, 1, secret, "key", NULL, got, 16), PST_OK);
    CHECK_BYTES(got, want, 16);
}

static void a_running_hash_can_be_looked_at(void **state)
{
    const struct pst_crypto *c = pst_openssl_crypto();
    uint8_t message[300], want[PST_MAX_HASH], got[PST_MAX_HASH];
    struct pst_hash h;

    (void)state;
    for (size_t i = 0; i < sizeof message; i++) {
        message[i] = (uint8_t)i;
    }
    for (int id = PST_SHA256; id <= PST_SHA384; id++) {
        size_t size = pst_hash_row((pst_hash_id)id)->size;
        CHECK_EQ(c->hash_init(c->ctx, &h, (pst_hash_id)id), PST_OK);
        for (size_t n = 0; n < sizeof message; n++) {
            CHECK_EQ(pst_hash_peek(c, &h, got), PST_OK);
            CHECK_EQ(pst_hash_once(c, (pst_hash_id)id, message, n, want), PST_OK);
            CHECK_BYTES(got, want, size);
            CHECK_EQ(c->hash_update(c->ctx, &h, message + n, 1), PST_OK);
        }
        CHECK_EQ(c->hash_final(c->ctx, &h, got), PST_OK);
        CHECK_EQ(pst_hash_once(c, (pst_hash_id)id, message, sizeof message, want), PST_OK);
        CHECK_BYTES(got, want, size);
        /* used up */
        CHECK_EQ(c->hash_update(c->ctx, &h, message, 1), PST_ERR_STATE);
        CHECK_EQ(c->hash_final(c->ctx, &h, got), PST_ERR_STATE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registry_maps_both_ways),
        cmocka_unit_test(registry_has_the_bits_of_the_specification),
        cmocka_unit_test(hkdf_matches_rfc_5869),
        cmocka_unit_test(hkdf_refuses_what_it_cannot_do),
        cmocka_unit_test(spdm_expand_is_bin_concat),
        cmocka_unit_test(a_running_hash_can_be_looked_at),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
