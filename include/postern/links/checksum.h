/* Checksums: they find transmission errors. They do not protect against attackers; records do.
 *
 * Both can be computed in pieces: start with the initial value, and pass each result to the next
 * call. */
#ifndef POSTERN_LINKS_CHECKSUM_H
#define POSTERN_LINKS_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* CRC-32C (Castagnoli), as in iSCSI (spec: RFC 3720, 12.1). Start with 0. The result is sent as it
 * is, least significant byte first. */
uint32_t pst_crc32c(uint32_t crc, const void *at, size_t len);

/* FCS-16 (spec: RFC 1662, C.2). Start with PST_FCS16_START. PPP sends the complement of the result,
 * MCTP over serial the result itself. */
#define PST_FCS16_START 0xFFFF
uint16_t pst_fcs16(uint16_t fcs, const void *at, size_t len);

#ifdef __cplusplus
}
#endif

#endif
