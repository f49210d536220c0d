/* SPDM bindings: unwraps any bytes. A wrapped message must unwrap to the same message. An unwrapped
 * message that is wrapped again must be the same, except for padding and reserved bytes. Input: a
 * byte for binding and kind, then the message or body. */
#include "fuzz.h"

#include <stdbool.h>

#include "postern/links/binding.h"

#define CAP 4096

static void unwrap(const struct pst_binding *b, const uint8_t *data, size_t size)
{
    struct pst_bytes body;
    pst_bound kind;

    if (pst_binding_unwrap(b, data, size, &kind, &body) != PST_OK) {
        return;
    }
    need(body.len <= size);
    need(body.len == 0 || (body.at >= data && body.at + body.len <= data + size));
    need(kind == PST_BOUND_SPDM || kind == PST_BOUND_RECORD || kind == PST_BOUND_DISCOVERY);
    if (kind == PST_BOUND_RECORD) {
        (void)!pst_binding_get_inner(b, &body);
    }
}

static void round_trip(const struct pst_binding *b, pst_bound kind, const uint8_t *data,
                       size_t size, size_t cap)
{
    uint8_t *buf = malloc(cap + 1);
    struct pst_bytes body;
    pst_bound back;
    size_t total = 0;

    if (b->head + size <= cap) {
        if (size > 0) {
            memcpy(buf + b->head, data, size);
        }
        if (pst_binding_wrap(b, kind, buf, cap, size, &total) == PST_OK) {
            need(total <= cap && total >= b->head + size && total - b->head - size < 4);
            if (size > 0 && pst_binding_unwrap(b, buf, total, &back, &body) == PST_OK) {
                need(b->id == PST_BINDING_NONE || back == kind);
                need(body.len >= size && memcmp(body.at, data, size) == 0);
            } else {
                need(size < 4 || kind == PST_BOUND_DISCOVERY); /* not a complete message or word */
            }
        }
    }
    free(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"none", "mctp", "doe", "other"};
    const struct pst_binding *b;
    uint8_t how;

    if (size == 0) {
        return 0;
    }
    how = data[0];
    b = pst_binding_find(names[how & 3]);
    if (b == NULL || size > CAP) {
        return 0;
    }
    unwrap(b, data + 1, size - 1);
    round_trip(b, (pst_bound)(how >> 2 & 1), data + 1, size - 1, size + PST_BINDING_HEAD + 3);
    round_trip(b, (pst_bound)(how >> 2 & 1), data + 1, size - 1, how >> 3);
    if (b->id == PST_BINDING_DOE) {
        uint8_t out[12];
        (void)!pst_binding_discover(b, how >> 3, out);
    }
    return 0;
}
