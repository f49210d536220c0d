/* Fixed-width integers in place, checked sums, and the two operations on secrets. */
#include <string.h>

#include "postern/parts/wire.h"

static void poke(uint8_t *at, uint64_t v, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        at[i] = (uint8_t)(v >> (8 * i));
    }
}

static uint64_t peek(const uint8_t *at, size_t len)
{
    uint64_t v = 0;

    for (size_t i = len; i > 0; i--) {
        v = v << 8 | at[i - 1];
    }
    return v;
}

void pst_poke_u16(uint8_t *at, uint16_t v)
{
    poke(at, v, 2);
}

void pst_poke_u32(uint8_t *at, uint32_t v)
{
    poke(at, v, 4);
}

void pst_poke_u64(uint8_t *at, uint64_t v)
{
    poke(at, v, 8);
}

uint16_t pst_peek_u16(const uint8_t *at)
{
    return (uint16_t)peek(at, 2);
}

uint32_t pst_peek_u32(const uint8_t *at)
{
    return (uint32_t)peek(at, 4);
}

uint64_t pst_peek_u64(const uint8_t *at)
{
    return peek(at, 8);
}

bool pst_add_u64(uint64_t a, uint64_t b, uint64_t *sum)
{
    if (b > UINT64_MAX - a) {
        return false;
    }
    *sum = a + b;
    return true;
}

bool pst_equal_ct(const void *a, const void *b, size_t len)
{
    const uint8_t *x = a;
    const uint8_t *y = b;
    /* volatile: the compiler may not notice that the outcome is settled and leave the loop. */
    volatile uint8_t differ = 0;

    for (size_t i = 0; i < len; i++) {
        differ = (uint8_t)(differ | (x[i] ^ y[i]));
    }
    return differ == 0;
}

void pst_wipe(void *at, size_t len)
{
    if (len == 0) {
        return;
    }
    memset(at, 0, len);
    /* The bytes count as read here, so the memset is not dead. */
    __asm__ __volatile__("" : : "r"(at) : "memory");
}

size_t pst_digits(uint64_t v, unsigned base, char out[PST_DIGITS])
{
    char reversed[PST_DIGITS];
    size_t len = 0;

    do {
        reversed[len++] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v > 0);
    for (size_t i = 0; i < len; i++) {
        out[i] = reversed[len - 1 - i];
    }
    return len;
}
