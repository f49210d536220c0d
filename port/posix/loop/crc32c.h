/* CRC-32C as pst_crc32c computes it, with the processor's own instruction where there is one. */
#ifndef POSTERN_POSIX_LOOP_CRC32C_H
#define POSTERN_POSIX_LOOP_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t pst_crc32c_fast(uint32_t crc, const void *at, size_t len);

#endif
