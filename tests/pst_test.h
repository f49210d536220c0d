/* Included by every test: cmocka and the headers that cmocka.h needs, CHECK, bytes from hex, and
 * random numbers that are the same on every run. */
#ifndef PST_TEST_H
#define PST_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Fails the running test and prints the place and the reason. Outside a cmocka test it ends the
 * program. */
#define CHECK(expr) pst_test_check((expr) ? 1 : 0, #expr, __FILE__, __LINE__)

/* Checks that two integers are equal; prints both if not. */
#define CHECK_EQ(a, b)                                                                             \
    pst_test_check_eq((long long)(a), (long long)(b), #a " == " #b, __FILE__, __LINE__)

/* Checks that `len` bytes are equal; prints both in hex if not. */
#define CHECK_BYTES(a, b, len)                                                                     \
    pst_test_check_bytes((a), (b), (len), #a " == " #b, __FILE__, __LINE__)

static inline void pst_test_check(int ok, const char *what, const char *file, int line)
{
    if (ok) {
        return;
    }
    fprintf(stderr, "%s:%d: CHECK(%s) failed\n", file, line, what);
    _fail(file, line);
}

static inline void pst_test_check_eq(long long a, long long b, const char *what, const char *file,
                                     int line)
{
    if (a == b) {
        return;
    }
    fprintf(stderr, "%s:%d: %lld is not %lld\n", file, line, a, b);
    pst_test_check(0, what, file, line);
}

static inline void pst_test_print(const char *label, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;

    fprintf(stderr, "%s[%zu] ", label, len);
    for (size_t i = 0; i < len; i++) {
        fprintf(stderr, "%02x", at[i]);
    }
    fputc('\n', stderr);
}

static inline void pst_test_check_bytes(const void *a, const void *b, size_t len, const char *what,
                                        const char *file, int line)
{
    if (len == 0 || memcmp(a, b, len) == 0) {
        return;
    }
    pst_test_print("  left  ", a, len);
    pst_test_print("  right ", b, len);
    pst_test_check(0, what, file, line);
}

static inline int pst_test_nibble(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

/* Decodes a hex string into bytes and returns their number. Blanks and colons are ignored. The test
 * fails if the text is not hex, has an odd number of digits or needs more than `cap` bytes. */
static inline size_t pst_test_hex(const char *hex, uint8_t *out, size_t cap)
{
    size_t digits = 0;

    for (; *hex != '\0'; hex++) {
        if (strchr(" \t\r\n:", *hex) != NULL) {
            continue;
        }
        int nibble = pst_test_nibble(*hex);
        CHECK(nibble >= 0);
        CHECK(digits / 2 < cap);
        if (digits % 2 == 0) {
            out[digits / 2] = (uint8_t)(nibble << 4);
        } else {
            out[digits / 2] = (uint8_t)(out[digits / 2] | nibble);
        }
        digits++;
    }
    CHECK(digits % 2 == 0);
    return digits / 2;
}

/* A small random number generator (SplitMix64) for tests, never for keys. Start with
 * {.state = any seed}. */
struct pst_test_rng {
    uint64_t state;
};

static inline uint64_t pst_test_rng_u64(struct pst_test_rng *rng)
{
    uint64_t z = rng->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Returns a number in [0, limit), or 0 if limit is 0. */
static inline size_t pst_test_rng_below(struct pst_test_rng *rng, size_t limit)
{
    return limit == 0 ? 0 : (size_t)(pst_test_rng_u64(rng) % limit);
}

static inline void pst_test_rng_fill(struct pst_test_rng *rng, void *out, size_t len)
{
    uint8_t *at = out;

    for (size_t i = 0; i < len; i++) {
        at[i] = (uint8_t)pst_test_rng_u64(rng);
    }
}

#endif
