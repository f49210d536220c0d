/* The OpenSSL port: AEAD, Diffie-Hellman, signatures, HMAC. */
#include "pst_test.h"

#define OPENSSL_API_COMPAT 0x10100000L
#include <openssl/ec.h>
#include <openssl/objects.h>

#include "openssl/internal.h"
#include "openssl/openssl_port.h"

static const struct pst_crypto *crypto(void)
{
    return pst_openssl_crypto();
}

struct digest_case {
    pst_hash_id id;
    const char *digest;
};

static void digests_of_abc(void **state)
{
    static const struct digest_case cases[] = {
        {PST_SHA256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {PST_SHA384, "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
                     "8086072ba1e7cc2358baeca134c825a7"            },
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        uint8_t want[PST_MAX_HASH], got[PST_MAX_HASH];
        size_t n = pst_test_hex(cases[i].digest, want, sizeof want);
        CHECK_EQ(pst_hash_once(crypto(), cases[i].id, "abc", 3, got), PST_OK);
        CHECK_BYTES(got, want, n);
    }
    uint8_t d[PST_MAX_HASH];
    CHECK_EQ(pst_hash_once(crypto(), PST_HASH_NONE, "abc", 3, d), PST_ERR_UNSUPPORTED);
}

/* RFC 4231, test cases 2 and 6 (a key longer than the block) */
static void hmac_matches_rfc_4231(void **state)
{
    uint8_t key[131], want[48], got[48];

    (void)state;
    CHECK_EQ(crypto()->hmac(NULL, PST_SHA256, "Jefe", 4, "what do ya want for nothing?", 28, got),
             PST_OK);
    pst_test_hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", want, 32);
    CHECK_BYTES(got, want, 32);
    CHECK_EQ(crypto()->hmac(NULL, PST_SHA384, "Jefe", 4, "what do ya want for nothing?", 28, got),
             PST_OK);
    pst_test_hex("af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
                 "8e2240ca5e69e2c78b3239ecfab21649",
                 want, 48);
    CHECK_BYTES(got, want, 48);
    memset(key, 0xAA, sizeof key);
    CHECK_EQ(crypto()->hmac(NULL, PST_SHA256, key, sizeof key,
                            "Test Using Larger Than Block-Size Key - Hash Key First", 54, got),
             PST_OK);
    pst_test_hex("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54", want, 32);
    CHECK_BYTES(got, want, 32);
    CHECK_EQ(crypto()->hmac(NULL, PST_SHA256, NULL, 0, NULL, 0, got), PST_OK);
    pst_test_hex("b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad", want, 32);
    CHECK_BYTES(got, want, 32);
}

struct aead_case {
    pst_aead_id id;
    const char *key, *iv, *aad, *plain, *cipher, *tag;
};

/* The GCM specification's test cases 1-4 and 13-16; RFC 8439 section 2.8.2 */
static const struct aead_case aead_cases[] = {
    {PST_AES_128_GCM,       "00000000000000000000000000000000",                                 "000000000000000000000000", "",                                         "",                                 "",
     "58e2fccefa7e3061367f1d57a4e7455a"                                                                                                                                                                                                                                           },
    {PST_AES_128_GCM,       "00000000000000000000000000000000",                                 "000000000000000000000000", "",
     "00000000000000000000000000000000",                                                                                                                                                                    "0388dace60b6a392f328c2b971b2fe78",
     "ab6e47d42cec13bdf53a67b21257bddf"                                                                                                                                                                                                                                           },
    {PST_AES_128_GCM,       "feffe9928665731c6d6a8f9467308308",                                 "cafebabefacedbaddecaf888", "",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",                                                                                                                                    "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
     "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091473f5985",                                                                                                "4d5c2af327cd64a62cf35abd2ba6fab4"},
    {PST_AES_128_GCM,       "feffe9928665731c6d6a8f9467308308",                                 "cafebabefacedbaddecaf888",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",                                                                                                                        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",                                                                                            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
     "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",                                                                "5bc94fbc3221a5db94fae95ae7121a47"},
    {PST_AES_256_GCM,       "0000000000000000000000000000000000000000000000000000000000000000",
     "000000000000000000000000",                                                                                            "",                                         "",                                 "",                                 "530f8afbc74536b9a963b4f1c4cb738b"},
    {PST_AES_256_GCM,       "0000000000000000000000000000000000000000000000000000000000000000",
     "000000000000000000000000",                                                                                            "",                                         "00000000000000000000000000000000",
     "cea7403d4d606b6e074ec5d3baf39d18",                                                                                                                                                                                                        "d0d1c8a799996bf0265b98b5d48ab919"},
    {PST_AES_256_GCM,       "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
     "cafebabefacedbaddecaf888",                                                                                            "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",                                                                                                                                            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",                                                                                                                "76fc6ece0f4e1768cddf8853bb2d551b"},
    {PST_CHACHA20_POLY1305, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
     "070000004041424344454647",                                                                                            "50515253c0c1c2c3c4c5c6c7",
     "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a20"
     "4966204920636f756c64206f6666657220796f75206f6e6c79206f6e652074697020666f722074686520"
     "6675747572652c2073756e73637265656e20776f756c642062652069742e",                                                                                                                                        "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca967128"
     "2fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fa"
     "b324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b6116",                                                                                                  "1ae10b594f09e26a7e902ecbd0600691"},
};

static void aead_matches_published_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof aead_cases / sizeof aead_cases[0]; i++) {
        const struct aead_case *t = &aead_cases[i];
        uint8_t key[32], iv[12], aad[32], plain[128], want[128], want_tag[16], buf[128], tag[16];
        struct pst_aead a = {0};
        size_t aad_len = pst_test_hex(t->aad, aad, sizeof aad);
        size_t len = pst_test_hex(t->plain, plain, sizeof plain);

        pst_test_hex(t->key, key, sizeof key);
        pst_test_hex(t->iv, iv, sizeof iv);
        CHECK_EQ(pst_test_hex(t->cipher, want, sizeof want), len);
        pst_test_hex(t->tag, want_tag, sizeof want_tag);
        CHECK_EQ(crypto()->aead_init(NULL, &a, t->id, key), PST_OK);
        /* twice: the context is reused */
        for (int round = 0; round < 2; round++) {
            memcpy(buf, plain, len);
            CHECK_EQ(crypto()->aead_seal(NULL, &a, iv, aad, aad_len, buf, len, tag), PST_OK);
            CHECK_BYTES(buf, want, len);
            CHECK_BYTES(tag, want_tag, 16);
            CHECK_EQ(crypto()->aead_open(NULL, &a, iv, aad, aad_len, buf, len, tag), PST_OK);
            CHECK_BYTES(buf, plain, len);
        }
        crypto()->aead_wipe(NULL, &a);
        crypto()->aead_wipe(NULL, &a);
        CHECK_EQ(crypto()->aead_seal(NULL, &a, iv, aad, aad_len, buf, len, tag), PST_ERR_STATE);
    }
}

/* Every flipped bit of ciphertext, associated data, IV and tag is detected, the decrypted bytes are
 * wiped, and the next correct message opens. */
static void aead_notices_every_flip(void **state)
{
    uint8_t key[32] = {7}, iv[12] = {1}, aad[7] = "header", buf[40], tag[16];
    static const uint8_t zeros[20];

    (void)state;
    for (int id = PST_AES_128_GCM; id <= PST_CHACHA20_POLY1305; id++) {
        struct pst_aead a = {0};
        CHECK_EQ(crypto()->aead_init(NULL, &a, (pst_aead_id)id, key), PST_OK);
        for (size_t bit = 0; bit < 8 * (12 + 7 + 20 + 16); bit++) {
            uint8_t work[12 + 7 + 20 + 16];
            memset(buf, 'x', 20);
            CHECK_EQ(crypto()->aead_seal(NULL, &a, iv, aad, 7, buf, 20, tag), PST_OK);
            memcpy(work, iv, 12);
            memcpy(work + 12, aad, 7);
            memcpy(work + 19, buf, 20);
            memcpy(work + 39, tag, 16);
            work[bit / 8] = (uint8_t)(work[bit / 8] ^ 1u << bit % 8);
            CHECK_EQ(crypto()->aead_open(NULL, &a, work, work + 12, 7, work + 19, 20, work + 39),
                     PST_ERR_AUTH);
            CHECK_BYTES(work + 19, zeros, 20);
            CHECK_EQ(crypto()->aead_open(NULL, &a, iv, aad, 7, buf, 20, tag), PST_OK);
            CHECK(buf[0] == 'x' && buf[19] == 'x');
        }
        crypto()->aead_wipe(NULL, &a);
    }
}

/* Messages without data (MAC only), without associated data, and with neither, in turn. */
static void aead_empty_parts(void **state)
{
    static const size_t lens[] = {0, 1, 15, 16, 17, 64};
    uint8_t key[32] = {9}, iv[12] = {0}, aad[64] = {3}, buf[64], tag[16];

    (void)state;
    for (int id = PST_AES_128_GCM; id <= PST_CHACHA20_POLY1305; id++) {
        struct pst_aead a = {0};
        CHECK_EQ(crypto()->aead_init(NULL, &a, (pst_aead_id)id, key), PST_OK);
        for (size_t i = 0; i < 36; i++) {
            size_t aad_len = lens[i / 6], len = lens[i % 6];
            iv[0]++;
            memset(buf, 1, sizeof buf);
            CHECK_EQ(crypto()->aead_seal(NULL, &a, iv, aad, aad_len, buf, len, tag), PST_OK);
            if (aad_len > 0) {
                uint8_t copy[64];
                memcpy(copy, buf, sizeof copy);
                aad[0] ^= 1;
                CHECK_EQ(crypto()->aead_open(NULL, &a, iv, aad, aad_len, copy, len, tag),
                         PST_ERR_AUTH);
                aad[0] ^= 1;
            }
            CHECK_EQ(crypto()->aead_open(NULL, &a, iv, aad, aad_len, buf, len, tag), PST_OK);
            for (size_t n = 0; n < sizeof buf; n++) {
                CHECK(buf[n] == 1);
            }
        }
        crypto()->aead_wipe(NULL, &a);
    }
}

static void dh_agrees_and_validates(void **state)
{
    (void)state;
    for (int i = PST_SECP256R1; i <= PST_SECP384R1; i++) {
        pst_dh_id id = (pst_dh_id)i;
        struct pst_dh_key a = {0}, b = {0};
        uint8_t pa[PST_MAX_DH], pb[PST_MAX_DH], za[PST_MAX_Z], zb[PST_MAX_Z];
        size_t size = pst_dh_row(id)->size;

        CHECK_EQ(crypto()->dh_generate(NULL, id, &a, pa), PST_OK);
        CHECK_EQ(crypto()->dh_generate(NULL, id, &b, pb), PST_OK);
        CHECK_EQ(crypto()->dh_shared(NULL, &a, pb, za), PST_OK);
        CHECK_EQ(crypto()->dh_shared(NULL, &b, pa, zb), PST_OK);
        CHECK_BYTES(za, zb, pst_dh_row(id)->secret);
        /* off the curve, zero, not reduced */
        pb[size - 1] ^= 1;
        CHECK_EQ(crypto()->dh_shared(NULL, &a, pb, za), PST_ERR_DECODE);
        memset(pb, 0, sizeof pb);
        CHECK_EQ(crypto()->dh_shared(NULL, &a, pb, za), PST_ERR_DECODE);
        memset(pb, 0xFF, sizeof pb);
        CHECK_EQ(crypto()->dh_shared(NULL, &a, pb, za), PST_ERR_DECODE);
        crypto()->dh_wipe(NULL, &a);
        crypto()->dh_wipe(NULL, &a);
        crypto()->dh_wipe(NULL, &b);
        CHECK_EQ(crypto()->dh_shared(NULL, &a, pa, za), PST_ERR_STATE);
    }
    struct pst_dh_key k = {0};
    uint8_t p[PST_MAX_DH];
    CHECK_EQ(crypto()->dh_generate(NULL, PST_DH_NONE, &k, p), PST_ERR_UNSUPPORTED);
}

/* d·G for a small d, as a peer would send it. */
static void multiple_of_base(pst_dh_id id, unsigned d, uint8_t *xy)
{
    const EC_GROUP *g = pst_ossl_group(id);
    EC_POINT *p = EC_POINT_new(g);
    BIGNUM *n = BN_new();
    uint8_t point[1 + PST_MAX_DH];
    size_t len = 1 + (size_t)pst_dh_row(id)->size;

    CHECK(BN_set_word(n, d) == 1 && EC_POINT_mul(g, p, n, NULL, NULL, NULL) == 1);
    CHECK(EC_POINT_point2oct(g, p, POINT_CONVERSION_UNCOMPRESSED, point, len, NULL) == len);
    memcpy(xy, point + 1, len - 1);
    EC_POINT_free(p);
    BN_free(n);
}

/* About one secret in 256 starts with a zero byte, which must be kept. The test finds such secrets
 * from the product of both scalars, computed without the function under test. */
static void dh_keeps_leading_zeros(void **state)
{
    (void)state;
    for (int i = PST_SECP256R1; i <= PST_SECP384R1; i++) {
        pst_dh_id id = (pst_dh_id)i;
        size_t width = pst_dh_row(id)->secret;
        unsigned found = 0;

        for (unsigned d = 2; d < 3000 && found < 2; d++) {
            uint8_t product[PST_MAX_DH], peer[PST_MAX_DH], z[PST_MAX_Z];
            multiple_of_base(id, 3 * d, product);
            if (product[0] != 0) {
                continue;
            }
            found++;
            struct pst_dh_key three = {
                .store = {0, (uint64_t)id}
            };
            EC_KEY *ec = EC_KEY_new();
            BIGNUM *n = BN_new();
            CHECK(BN_set_word(n, 3) == 1 && EC_KEY_set_group(ec, pst_ossl_group(id)) == 1 &&
                  EC_KEY_set_private_key(ec, n) == 1);
            BN_free(n);
            pst_ossl_keep(three.store, ec);
            multiple_of_base(id, d, peer);
            memset(z, 0xEE, sizeof z);
            CHECK_EQ(crypto()->dh_shared(NULL, &three, peer, z), PST_OK);
            CHECK_EQ(z[0], 0);
            CHECK_BYTES(z, product, width);
            crypto()->dh_wipe(NULL, &three);
        }
        CHECK(found == 2);
    }
}

static EVP_PKEY *new_key(pst_sig_id id)
{
    return id == PST_ED25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
                             : EVP_EC_gen(id == PST_ECDSA_P256 ? "P-256" : "P-384");
}

static void public_of(EVP_PKEY *key, pst_sig_id id, struct pst_public_key *out)
{
    uint8_t bytes[1 + PST_MAX_DH];
    size_t len = sizeof bytes;

    if (id == PST_ED25519) {
        CHECK(EVP_PKEY_get_raw_public_key(key, bytes, &len) == 1);
        CHECK_EQ(pst_ossl_public_key(NULL, out, id, bytes), PST_OK);
    } else {
        CHECK(EVP_PKEY_get_octet_string_param(key, "pub", bytes, sizeof bytes, &len) == 1);
        CHECK_EQ(pst_ossl_public_key(NULL, out, id, bytes + 1), PST_OK);
    }
}

static void signatures_round_trip(void **state)
{
    (void)state;
    for (int i = PST_ECDSA_P256; i <= PST_ED25519; i++) {
        pst_sig_id id = (pst_sig_id)i;
        EVP_PKEY *key = new_key(id);
        struct pst_public_key pub = {0};
        uint8_t sig[PST_MAX_SIGNATURE], bad[PST_MAX_SIGNATURE];
        size_t size = pst_sig_row(id)->size;

        CHECK(key != NULL);
        CHECK_EQ(pst_ossl_sig_of(key), id);
        public_of(key, id, &pub);
        /* enough rounds for an r or s with a leading zero byte */
        for (unsigned n = 0; n < 300; n++) {
            pst_hash_id hash = n % 2 == 0 ? PST_SHA256 : PST_SHA384;
            CHECK_EQ(pst_ossl_sign(key, id, hash, &n, sizeof n, sig), PST_OK);
            CHECK_EQ(crypto()->verify(NULL, &pub, hash, &n, sizeof n, sig), PST_OK);
        }
        unsigned m = 300;
        CHECK_EQ(pst_ossl_sign(key, id, PST_SHA256, &m, sizeof m, sig), PST_OK);
        for (size_t byte = 0; byte < size; byte++) {
            memcpy(bad, sig, size);
            bad[byte] ^= 0x10;
            CHECK_EQ(crypto()->verify(NULL, &pub, PST_SHA256, &m, sizeof m, bad), PST_ERR_AUTH);
        }
        memset(bad, 0, sizeof bad);
        CHECK_EQ(crypto()->verify(NULL, &pub, PST_SHA256, &m, sizeof m, bad), PST_ERR_AUTH);
        memset(bad, 0xFF, sizeof bad);
        CHECK_EQ(crypto()->verify(NULL, &pub, PST_SHA256, &m, sizeof m, bad), PST_ERR_AUTH);
        m++;
        CHECK_EQ(crypto()->verify(NULL, &pub, PST_SHA256, &m, sizeof m, sig), PST_ERR_AUTH);
        m--;
        crypto()->public_key_wipe(NULL, &pub);
        crypto()->public_key_wipe(NULL, &pub);
        CHECK_EQ(crypto()->verify(NULL, &pub, PST_SHA256, &m, sizeof m, sig), PST_ERR_STATE);
        EVP_PKEY_free(key);
    }
}

/* RFC 6979, A.2.5 (P-256) and A.2.6 (P-384), message "sample"; RFC 8032, 7.1, test 2. */
static void signatures_match_published_vectors(void **state)
{
    static const struct {
        pst_sig_id id;
        pst_hash_id hash;
        const char *key, *message, *signature;
    } cases[] = {
        {PST_ECDSA_P256, PST_SHA256,
         "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
         "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299", "73616d706c65",
         "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
         "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"},
        {PST_ECDSA_P256, PST_SHA384,
         "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
         "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299", "73616d706c65",
         "0EAFEA039B20E9B42309FB1D89E213057CBF973DC0CFC8F129EDDDC800EF7719"
         "4861F0491E6998B9455193E34E7B0D284DDD7149A74B95B9261F13ABDE940954"},
        {PST_ECDSA_P384, PST_SHA384,
         "EC3A4E415B4E19A4568618029F427FA5DA9A8BC4AE92E02E06AAE5286B300C64"
         "DEF8F0EA9055866064A254515480BC13"
         "8015D9B72D7D57244EA8EF9AC0C621896708A59367F9DFB9F54CA84B3F1C9DB1"
         "288B231C3AE0D4FE7344FD2533264720",                                 "73616d706c65",
         "94EDBB92A5ECB8AAD4736E56C691916B3F88140666CE9FA73D64C4EA95AD133C"
         "81A648152E44ACF96E36DD1E80FABE46"
         "99EF4AEB15F178CEA1FE40DB2603138F130E740A19624526203B6351D0A3A94F"
         "A329C145786E679E7B82C71A38628AC8"                                },
        {PST_ED25519,    PST_SHA256,
         "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
         "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[PST_MAX_DH], message[16], sig[PST_MAX_SIGNATURE];
        struct pst_public_key key = {0};
        pst_test_hex(cases[i].key, bytes, sizeof bytes);
        size_t len = pst_test_hex(cases[i].message, message, sizeof message);
        CHECK_EQ(pst_test_hex(cases[i].signature, sig, sizeof sig), pst_sig_row(cases[i].id)->size);
        CHECK_EQ(pst_ossl_public_key(NULL, &key, cases[i].id, bytes), PST_OK);
        CHECK_EQ(crypto()->verify(NULL, &key, cases[i].hash, message, len, sig), PST_OK);
        crypto()->public_key_wipe(NULL, &key);
    }
}

static void public_keys_are_validated(void **state)
{
    uint8_t bytes[PST_MAX_DH] = {1, 2, 3};
    struct pst_public_key key = {0};

    (void)state;
    CHECK_EQ(pst_ossl_public_key(NULL, &key, PST_ECDSA_P256, bytes), PST_ERR_DECODE);
    CHECK_EQ(pst_ossl_public_key(NULL, &key, PST_ECDSA_P384, bytes), PST_ERR_DECODE);
    CHECK_EQ(pst_ossl_public_key(NULL, &key, PST_SIG_NONE, bytes), PST_ERR_UNSUPPORTED);
    CHECK_EQ(key.sig_id, 0);
}

static void randomness_differs(void **state)
{
    uint8_t a[32] = {0}, b[32] = {0};

    (void)state;
    CHECK_EQ(crypto()->random(NULL, a, sizeof a), PST_OK);
    CHECK_EQ(crypto()->random(NULL, b, sizeof b), PST_OK);
    CHECK(!pst_equal_ct(a, b, sizeof a));
    CHECK_EQ(crypto()->random(NULL, a, 0), PST_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_of_abc),
        cmocka_unit_test(hmac_matches_rfc_4231),
        cmocka_unit_test(aead_matches_published_vectors),
        cmocka_unit_test(aead_notices_every_flip),
        cmocka_unit_test(aead_empty_parts),
        cmocka_unit_test(dh_agrees_and_validates),
        cmocka_unit_test(dh_keeps_leading_zeros),
        cmocka_unit_test(signatures_round_trip),
        cmocka_unit_test(signatures_match_published_vectors),
        cmocka_unit_test(public_keys_are_validated),
        cmocka_unit_test(randomness_differs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
