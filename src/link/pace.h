/* Pacing of a serial line. Output is handed out no faster than the line sends it, so that a deep
 * buffer in a driver does not delay urgent data. */
#ifndef PST_LINK_PACE_H
#define PST_LINK_PACE_H

#include <stddef.h>

#include "postern/links/pace.h"

/* The time that `len` bytes take on the line, in microseconds, with 8 data bits and one stop bit. 0
 * without pacing. */
uint64_t psti_pace_us(uint32_t baud, size_t len);
/* True if the line is idle or will be within milliseconds. Otherwise `held` is set, and
 * psti_pace_wake tells when to ask again. */
bool psti_pace_free(struct pst_pace *p, uint64_t now_ms);
/* Notes that `len` bytes were handed to the line. */
void psti_pace_take(struct pst_pace *p, size_t len, uint64_t now_ms);
uint64_t psti_pace_wake(const struct pst_pace *p);

#endif
