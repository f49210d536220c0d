#include "link/pace.h"

#define BITS_A_BYTE 10 /* one start bit, eight data bits, one stop bit */
#define AHEAD_US 2000  /* the clock counts milliseconds: give the line enough for two */

uint64_t psti_pace_us(uint32_t baud, size_t len)
{
    return baud == 0 ? 0 : (uint64_t)len * BITS_A_BYTE * 1000000 / baud;
}

bool psti_pace_free(struct pst_pace *p, uint64_t now_ms)
{
    p->held = p->busy_us > now_ms * 1000 + AHEAD_US;
    return !p->held;
}

void psti_pace_take(struct pst_pace *p, size_t len, uint64_t now_ms)
{
    if (p->busy_us < now_ms * 1000) {
        p->busy_us = now_ms * 1000;
    }
    p->busy_us += psti_pace_us(p->baud, len);
}

uint64_t psti_pace_wake(const struct pst_pace *p)
{
    return (p->busy_us - AHEAD_US + 999) / 1000;
}
