/* Drivers of a board that does not exist: a UART and a timer at invented addresses, a log in RAM,
 * and what a program without a C library needs. Enough to link, and to be replaced. */
#include "board.h"

#include <string.h>

struct uart {
    volatile uint32_t connected, hang_up, received, data, room;
};
#define UART ((struct uart *)0x40001000u)
#define MILLISECONDS ((const volatile uint32_t *)0x40002000u) /* a free-running counter */

bool uart_connected(void)
{
    return UART->connected != 0;
}

void uart_hang_up(void)
{
    UART->hang_up = 1;
}

size_t uart_read(void *to, size_t cap)
{
    uint8_t *at = to;
    size_t n = 0;

    while (n < cap && UART->received > 0) {
        at[n++] = (uint8_t)UART->data;
    }
    return n;
}

size_t uart_write(const void *from, size_t len)
{
    const uint8_t *at = from;
    size_t n = 0;

    while (n < len && UART->room > 0) {
        UART->data = at[n++];
    }
    return n;
}

uint64_t board_ms(void *ctx)
{
    static uint32_t high, last;
    const uint32_t now = *MILLISECONDS;

    (void)ctx;
    high += now < last;
    last = now;
    return (uint64_t)high << 32 | now;
}

pst_err board_log(void *ctx, const char *piece, size_t len, enum pst_audit_when when)
{
    static char line[PST_AUDIT_LINE];
    static size_t at;

    (void)ctx;
    if (len > sizeof line - at) {
        at = 0;
        return PST_ERR_SPACE;
    }
    memcpy(line + at, piece, len);
    at = when == PST_AUDIT_MORE ? at + len : 0; /* a real one returns once it is in flash */
    return PST_OK;
}

void board_check(pst_err err)
{
    while (err != PST_OK) {
    }
}

/* --- reset --- */

extern uint8_t bss_start[], bss_end[], data_start[], data_end[], data_load[], stack_top[];
int main(void);
void reset(void);

void reset(void)
{
    memcpy(data_start, data_load, (size_t)(data_end - data_start));
    memset(bss_start, 0, (size_t)(bss_end - bss_start));
    (void)main();
}

#ifdef __riscv
__asm__(".section .vectors, \"ax\"\n"
        ".globl entry\n"
        "entry: la sp, stack_top\n"
        "j reset\n");
#else
extern const void *const entry[];
__attribute__((section(".vectors"), used))
const void *const entry[] = {stack_top, (const void *)reset};
#endif

/* --- the part of string.h that the core uses --- */

void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
    uint8_t *t = to;
    const uint8_t *f = from;

    while (len-- > 0) {
        *t++ = *f++;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t len)
{
    uint8_t *t = to;
    const uint8_t *f = from;

    if (t <= f) {
        return memcpy(to, from, len);
    }
    while (len-- > 0) {
        t[len] = f[len];
    }
    return to;
}

void *memset(void *at, int value, size_t len)
{
    uint8_t *to = at;

    while (len-- > 0) {
        *to++ = (uint8_t)value;
    }
    return at;
}

int memcmp(const void *a, const void *b, size_t len)
{
    const uint8_t *x = a, *y = b;

    for (size_t i = 0; i < len; i++) {
        if (x[i] != y[i]) {
            return x[i] - y[i];
        }
    }
    return 0;
}

void *memchr(const void *at, int value, size_t len)
{
    const uint8_t *from = at;

    for (size_t i = 0; i < len; i++) {
        if (from[i] == (uint8_t)value) {
            return (uint8_t *)(uintptr_t)(from + i);
        }
    }
    return NULL;
}

size_t strlen(const char *s)
{
    size_t n = 0;

    while (s[n] != '\0') {
        n++;
    }
    return n;
}

int strncmp(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (a[i] != b[i] || a[i] == '\0') {
            return (uint8_t)a[i] - (uint8_t)b[i];
        }
    }
    return 0;
}

int strcmp(const char *a, const char *b)
{
    return strncmp(a, b, SIZE_MAX);
}
