/* SipHash-2-4 (Aumasson, Bernstein 2012): a short keyed hash, for cookies. Not for records. */
#ifndef PST_LINK_RELIABLE_SIPHASH_H
#define PST_LINK_RELIABLE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t psti_siphash(const uint8_t key[16], const void *at, size_t len);

#endif
