/* What a vendor has anyway: a UART, a clock, a log, memory, and the keys and certificates that
 * production put into the device. board.c is what a device and a host have in common; bare.c and
 * host.c are the drivers of each. */
#ifndef FIRMWARE_BOARD_H
#define FIRMWARE_BOARD_H

#include "postern/audit.h"
#include "postern/cert.h"
#include "postern/profile.h"
#include "postern/space.h"

/* A UART with a line that tells whether somebody is connected, such as USB's DTR. */
bool uart_connected(void);
void uart_hang_up(void);
size_t uart_read(void *to, size_t cap);          /* what has come, at most `cap`; 0: nothing */
size_t uart_write(const void *from, size_t len); /* how many bytes it took */

uint64_t board_ms(void *ctx); /* milliseconds since reset */
/* Appends a piece of a line to the log in flash. */
pst_err board_log(void *ctx, const char *piece, size_t len, enum pst_audit_when when);
/* Stops the device if `err` is an error: its configuration is wrong. */
void board_check(pst_err err);

extern const struct pst_space board_memory; /* RAM of the product, at BOARD_RAM_AT */
#define BOARD_RAM_AT 0x20000000u
#define BOARD_RAM_LEN 1024u

extern const struct pst_crypto *const board_crypto;
extern const struct pst_slot board_slot;          /* our chain and the key behind it */
extern const struct pst_chain_config board_trust; /* who may debug: the engineers' root */

#endif
