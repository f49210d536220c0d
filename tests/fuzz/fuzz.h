/* The entry point that every fuzz target defines. Return 0. Abort on a broken invariant. Keep no
 * state from one call to the next. */
#ifndef PST_FUZZ_H
#define PST_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
