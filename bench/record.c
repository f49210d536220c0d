/* Compares sealing and opening a record with the bare AEAD calls of the same library on the same
 * bytes.
 *
 * Both are timed in short alternating turns, so that other load on the machine affects both alike.
 * The result is the median of the ratios of all turns. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

#include "openssl/openssl_port.h"
#include "postern/parts/record.h"

#define TURNS 401
#define TURN_NS 200000.0

struct bare {
    EVP_CIPHER_CTX *seal, *open;
    uint8_t iv[PST_IV_LEN];
    uint8_t aad[8];
    uint8_t data[65536];
    uint8_t tag[PST_TAG_LEN];
};

struct ends {
    struct pst_record from, to;
    uint8_t buf[65536 + PST_RECORD_OVERHEAD];
};

static void die(const char *what)
{
    fprintf(stderr, "bench record: %s failed\n", what);
    exit(1);
}

static double now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void bare_open(struct bare *b, const uint8_t key[32])
{
    b->seal = EVP_CIPHER_CTX_new();
    b->open = EVP_CIPHER_CTX_new();
    if (b->seal == NULL || b->open == NULL ||
        EVP_EncryptInit_ex(b->seal, EVP_aes_256_gcm(), NULL, key, b->iv) != 1 ||
        EVP_DecryptInit_ex(b->open, EVP_aes_256_gcm(), NULL, key, b->iv) != 1) {
        die("EVP init");
    }
}

static void bare_once(struct bare *b, int len)
{
    int n = 0;

    b->iv[0]++;
    if (EVP_EncryptInit_ex(b->seal, NULL, NULL, NULL, b->iv) != 1 ||
        EVP_EncryptUpdate(b->seal, NULL, &n, b->aad, (int)sizeof b->aad) != 1 ||
        EVP_EncryptUpdate(b->seal, b->data, &n, b->data, len) != 1 ||
        EVP_EncryptFinal_ex(b->seal, b->data + n, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(b->seal, EVP_CTRL_AEAD_GET_TAG, PST_TAG_LEN, b->tag) != 1) {
        die("EVP seal");
    }
    if (EVP_DecryptInit_ex(b->open, NULL, NULL, NULL, b->iv) != 1 ||
        EVP_DecryptUpdate(b->open, NULL, &n, b->aad, (int)sizeof b->aad) != 1 ||
        EVP_DecryptUpdate(b->open, b->data, &n, b->data, len) != 1 ||
        EVP_CIPHER_CTX_ctrl(b->open, EVP_CTRL_AEAD_SET_TAG, PST_TAG_LEN, b->tag) != 1 ||
        EVP_DecryptFinal_ex(b->open, b->data + n, &n) != 1) {
        die("EVP open");
    }
}

static void ends_open(struct ends *e, const struct pst_traffic_key *key)
{
    struct pst_record_config config = {.crypto = pst_openssl_crypto(),
                                       .sends = PST_TO_RESPONDER,
                                       .sequence_len = 2,
                                       .limit = UINT64_C(1) << 40};

    if (pst_record_init(&e->from, &config) != PST_OK) {
        die("init");
    }
    config.sends = PST_TO_REQUESTER;
    if (pst_record_init(&e->to, &config) != PST_OK ||
        pst_record_place(&e->from, 1, PST_KEYS_APPLICATION, PST_TO_RESPONDER, true, key) !=
            PST_OK ||
        pst_record_place(&e->to, 1, PST_KEYS_APPLICATION, PST_TO_RESPONDER, true, key) != PST_OK) {
        die("place");
    }
}

static void ends_once(struct ends *e, size_t len)
{
    struct pst_bytes payload;
    pst_key_phase phase;
    size_t record_len;

    if (pst_record_seal(&e->from, e->buf, sizeof e->buf, len, 0, &record_len) != PST_OK ||
        pst_record_open(&e->to, e->buf, record_len, &payload, &phase) != PST_OK ||
        payload.len != len) {
        die("record");
    }
}

static double time_bare(struct bare *b, size_t len, int times)
{
    double start = now_ns();

    for (int i = 0; i < times; i++) {
        bare_once(b, (int)len);
    }
    return (now_ns() - start) / times;
}

static double time_ends(struct ends *e, size_t len, int times)
{
    double start = now_ns();

    for (int i = 0; i < times; i++) {
        ends_once(e, len);
    }
    return (now_ns() - start) / times;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static void measure(struct bare *b, struct ends *e, size_t len, const char *name, double goal)
{
    static double ratio[TURNS], ns[TURNS];
    int times = 1 + (int)(TURN_NS / (1 + time_bare(b, len, 20)));

    (void)time_ends(e, len, times); /* warm-up of both */
    for (int turn = 0; turn < TURNS; turn++) {
        double bare, ends;

        if (turn % 2 == 0) {
            bare = time_bare(b, len, times);
            ends = time_ends(e, len, times);
        } else {
            ends = time_ends(e, len, times);
            bare = time_bare(b, len, times);
        }
        ratio[turn] = ends / bare;
        ns[turn] = ends;
    }
    qsort(ratio, TURNS, sizeof ratio[0], ascending);
    qsort(ns, TURNS, sizeof ns[0], ascending);
    double value = ratio[TURNS / 2];
    printf("{\"name\": \"record seal + open, %s, over bare AES-256-GCM\", \"value\": %.3f, "
           "\"unit\": \"times\", \"goal\": %.2f, \"holds\": %s}\n",
           name, value, goal, value <= goal ? "true" : "false");
    printf("{\"name\": \"record seal + open, %s\", \"value\": %.0f, \"unit\": \"ns\", "
           "\"goal\": null, \"holds\": null}\n",
           name, ns[TURNS / 2]);
}

int main(void)
{
    static const struct {
        size_t len;
        const char *name;
        double goal;
    } sizes[] = {
        {64,        "64 B",   1.60},
        {256,       "256 B",  1.60},
        {1024,      "1 KiB",  1.25},
        {4 * 1024,  "4 KiB",  1.10},
        {16 * 1024, "16 KiB", 1.05},
        {60 * 1024, "60 KiB", 1.05},
    };
    static struct bare bare;
    static struct ends ends;
    struct pst_traffic_key key = {.aead = PST_AES_256_GCM};

    memset(key.key, 7, sizeof key.key);
    bare_open(&bare, key.key);
    ends_open(&ends, &key);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        measure(&bare, &ends, sizes[i].len, sizes[i].name, sizes[i].goal);
    }
    pst_record_wipe(&ends.from);
    pst_record_wipe(&ends.to);
    EVP_CIPHER_CTX_free(bare.seal);
    EVP_CIPHER_CTX_free(bare.open);
    return 0;
}
