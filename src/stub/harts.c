/* Harts: a number of our own for each thread of the stub, below 256. */
#include "stub/stub.h"

uint32_t psti_stub_hart(const struct pst_stub *s, size_t slot)
{
    uint64_t thread = s->harts[slot].thread;
    return thread < 0x80 ? (uint32_t)thread : (uint32_t)(0x80 + slot);
}

uint32_t psti_stub_hart_of(struct pst_stub *s, uint64_t thread)
{
    size_t spare = PST_STUB_HARTS;
    if (thread == 0 || thread == PST_RSP_ALL) {
        return psti_stub_first_hart(s);
    }
    for (size_t i = 0; i < PST_STUB_HARTS; i++) {
        if (s->harts[i].used && s->harts[i].thread == thread) {
            s->harts[i].seen = true;
            return psti_stub_hart(s, i);
        }
        if (!s->harts[i].used && spare == PST_STUB_HARTS) {
            spare = i;
        }
    }
    if (spare == PST_STUB_HARTS) {
        return psti_stub_first_hart(s);
    }
    s->harts[spare].used = true;
    s->harts[spare].seen = true;
    s->harts[spare].thread = thread;
    return psti_stub_hart(s, spare);
}

uint64_t psti_stub_thread_of(const struct pst_stub *s, uint32_t hart)
{
    for (size_t i = 0; i < PST_STUB_HARTS; i++) {
        if (s->harts[i].used && psti_stub_hart(s, i) == hart) {
            return s->harts[i].thread;
        }
    }
    return 0;
}

uint32_t psti_stub_first_hart(const struct pst_stub *s)
{
    for (size_t i = 0; i < PST_STUB_HARTS; i++) {
        if (s->harts[i].used) {
            return psti_stub_hart(s, i);
        }
    }
    return 1;
}
