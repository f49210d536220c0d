/* Names out of certificates, as text for people and for policy. */
#ifndef PST_CERT_TEXT_H
#define PST_CERT_TEXT_H

#include "postern/parts/certificate.h"

/* Is this a string type of ASN.1 that a name may use, and are its characters well-formed? */
bool psti_text_is_string(uint8_t tag, struct pst_bytes contents);
/* Writes the string as UTF-8 with a NUL. False, and `out` holds nothing of use: it is empty, needs
 * more than PST_MAX_NAME bytes, or holds a character that a screen or a log could obey: control
 * characters, and those that change the direction of writing or separate lines. */
bool psti_text_take(uint8_t tag, struct pst_bytes contents, char out[PST_MAX_NAME]);

#endif
