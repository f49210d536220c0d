/* Checks of a crypto port, made once at init. A check answers with a number, 0 for "all is there";
 * the texts stand apart, so that firmware that never shows them does not carry them. */
#ifndef PST_CRYPTO_CHECK_H
#define PST_CRYPTO_CHECK_H

#include "postern/crypto.h"

/* What the security agent needs: all but ciphers. `c` may be NULL. */
uint8_t psti_check_crypto(const struct pst_crypto *c);
/* What records need: ciphers, and randomness for padding. */
uint8_t psti_check_ciphers(const struct pst_crypto *c);
/* What is missing or wrong, in a sentence; NULL for 0. */
const char *psti_crypto_text(uint8_t rule);

#endif
