/* The entry point that every fuzz target defines, and common helpers. A target returns 0, aborts on
 * a broken invariant, and keeps no state between calls. */
#ifndef PST_FUZZ_H
#define PST_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void need(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* Input that is read piece by piece. At its end it returns zeros. */
struct input {
    const uint8_t *at;
    size_t left;
};

static inline uint8_t next(struct input *in)
{
    if (in->left == 0) {
        return 0;
    }
    in->left--;
    return *in->at++;
}

/* Reads a length byte and so many bytes, at most `cap`. */
static inline size_t some(struct input *in, uint8_t *out, size_t cap)
{
    size_t len = next(in);

    len = len < cap ? len : cap;
    len = len < in->left ? len : in->left;
    if (len > 0) {
        memcpy(out, in->at, len);
    }
    in->at += len;
    in->left -= len;
    return len;
}

#endif
