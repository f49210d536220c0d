#include "posix/loop/crc32c.h"

#include <string.h>

#include "postern/links/checksum.h"

#if defined(__x86_64__) && defined(__GNUC__)

__attribute__((target("sse4.2"))) static uint32_t with_sse(uint32_t crc, const uint8_t *at,
                                                           size_t len)
{
    uint64_t sum = ~crc, word;

    for (; len >= sizeof word; at += sizeof word, len -= sizeof word) {
        memcpy(&word, at, sizeof word);
        sum = __builtin_ia32_crc32di(sum, word);
    }
    for (; len > 0; at++, len--) {
        sum = __builtin_ia32_crc32qi((uint32_t)sum, *at);
    }
    return ~(uint32_t)sum;
}

uint32_t pst_crc32c_fast(uint32_t crc, const void *at, size_t len)
{
    return __builtin_cpu_supports("sse4.2") ? with_sse(crc, at, len) : pst_crc32c(crc, at, len);
}

#else

uint32_t pst_crc32c_fast(uint32_t crc, const void *at, size_t len)
{
    return pst_crc32c(crc, at, len);
}

#endif
