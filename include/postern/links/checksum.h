/* Checksums: they find transmission errors. They do not protect against attackers; records do.
 *
 * Both work piece by piece: begin with the initial value, and pass each result on to the next
 * call.
 */
#ifndef POSTERN_LINKS_CHECKSUM_H
#define POSTERN_LINKS_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* CRC-32C (Castagnoli), as iSCSI has it (spec: RFC 3720, 12.1): start with 0; the result is what
 * goes on the wire, least significant byte first. */
uint32_t pst_crc32c(uint32_t crc, const void *at, size_t len);

/* FCS-16 (spec: RFC 1662, C.2): start with PST_FCS16_START. PPP sends the complement; MCTP over
 * serial sends it as it is. */
#define PST_FCS16_START 0xFFFF
uint16_t pst_fcs16(uint16_t fcs, const void *at, size_t len);

#ifdef __cplusplus
}
#endif

#endif
