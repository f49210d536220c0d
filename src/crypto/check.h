/* Checks of a crypto port, made once at init. A check returns a rule number, or 0 if nothing is
 * missing. The texts are separate, so that firmware that never shows them does not link them. */
#ifndef PST_CRYPTO_CHECK_H
#define PST_CRYPTO_CHECK_H

#include "postern/crypto.h"

/* Checks what the security agent needs: everything but ciphers. `c` may be NULL. */
uint8_t psti_check_crypto(const struct pst_crypto *c);
/* Checks what records need: ciphers, and randomness for padding. */
uint8_t psti_check_ciphers(const struct pst_crypto *c);
/* A sentence that says what is missing or wrong. NULL for rule 0. */
const char *psti_crypto_text(uint8_t rule);

#endif
