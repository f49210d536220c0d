#include <string.h>

#include "stub/stub.h"

enum { PACKET = 40 /* "$m", two numbers, "#xx" */ };

/* The gate is asked before anything is sent: a range of an earlier report may be outside of the
 * present grants. */
static bool may_read(const struct pst_stub *s, const struct pst_stub_range *range)
{
    return s->gate != NULL && s->gate->allow(s->gate->ctx, PST_AS_MEMORY, PST_RIGHT_READ,
                                             range->address, range->len) == PST_OK;
}

void psti_stub_ahead_follow(struct pst_stub *s, const struct pst_stub_range *ranges, size_t count)
{
    s->ahead_at = s->ahead_len = 0;
    for (size_t i = 0; i < count && s->pipelines && s->link == LINK_OPEN; i++) {
        const struct pst_stub_range *range = &ranges[i];
        if (s->out.cap - s->out.used < 2 * PACKET || !may_read(s, range) ||
            !psti_stub_follow_memory(s, range->address, range->len)) {
            break;
        }
        s->ahead[s->ahead_len++] = *range;
    }
}

void psti_stub_ahead_send(struct pst_stub *s)
{
    psti_stub_ahead_follow(s, s->wanted, s->wanted_len);
    s->wanted_len = 0;
}

bool psti_stub_ahead_take(struct pst_stub *s, uint64_t address, uint32_t len)
{
    for (uint8_t i = s->ahead_at; i < s->ahead_len; i++) {
        if (s->ahead[i].address == address && s->ahead[i].len == len) {
            s->skip = (uint8_t)(s->skip + (i - s->ahead_at));
            s->ahead_at = (uint8_t)(i + 1);
            return true;
        }
    }
    return false;
}

void psti_stub_ahead_drop(struct pst_stub *s)
{
    s->skip = (uint8_t)(s->skip + (s->ahead_len - s->ahead_at) + s->followers);
    s->ahead_at = s->ahead_len = s->followers = 0;
}

void psti_stub_ahead_want(struct pst_stub *s, uint64_t address, uint32_t len)
{
    if (s->wanted_len < PST_STUB_AHEAD && psti_stub_memory_chunk(s, address, len) == len) {
        s->wanted[s->wanted_len++] = (struct pst_stub_range){.address = address, .len = len};
    }
}
