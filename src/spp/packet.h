/* What engine and client both know of packets. */
#ifndef PST_SPP_PACKET_H
#define PST_SPP_PACKET_H

#include "postern/parts/spp.h"

#define PST_SPP_TINY_MAX 127

/* Bytes of a command before its data, and of a response before its data. */
size_t psti_spp_command_head(pst_spp_style style, unsigned opcode, unsigned space);
size_t psti_spp_response_head(pst_spp_style style, unsigned opcode);
/* Does a command carry data; does its response? */
bool psti_spp_sends_data(unsigned opcode);
bool psti_spp_returns_data(unsigned opcode);
/* READ, WRITE, WRITE_READ, LOOP: an access space performs them. */
bool psti_spp_is_system(unsigned opcode);
/* In the encoded command at `at`: what of it is left to read. */
void psti_spp_poke_rest(uint8_t *at, pst_spp_style style, uint64_t address, uint32_t count);

#endif
