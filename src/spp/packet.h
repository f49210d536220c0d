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

/* A queued command. It has the size that it has on the wire, so that the credit counts wire bytes.
 * Of its first two bytes the engine keeps opcode, style, space and the continue-on-fault flag; the
 * seven bits that are constant on the wire, or that mean nothing to an engine, hold the decision
 * and the progress:
 *
 *     byte 0  opcode (4)  done  begun  allowed  style (1: FullSPP)
 *     byte 1  rights (4)  proceed  space (3)
 */
enum { PST_MARK_BEGUN = 1 /* the gate admitted it */, PST_MARK_DONE = 2 };
/* Turns the command at `at`, checked by pst_spp_get_command, into a queued one. */
void psti_spp_keep(uint8_t *at, uint8_t rights, bool allowed);
/* Reads the queued command at `at`. Returns its size. */
size_t psti_spp_load(const uint8_t *at, struct pst_spp_command *c);
void psti_spp_mark(uint8_t *at, unsigned marks);
/* What of the queued read at `at` is left to do. */
void psti_spp_poke_rest(uint8_t *at, pst_spp_style style, uint64_t address, uint32_t count);

#endif
