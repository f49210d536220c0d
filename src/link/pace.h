/* When a serial line has taken what it was given: output is handed out no faster, so that a deep
 * buffer in a driver does not delay what is urgent. */
#ifndef PST_LINK_PACE_H
#define PST_LINK_PACE_H

#include <stddef.h>

#include "postern/links/pace.h"

/* Microseconds that `len` bytes take with 8 data bits and one stop bit; 0 without pacing. */
uint64_t psti_pace_us(uint32_t baud, size_t len);
/* The line is about to be free. Otherwise it is `held`; psti_pace_wake says until when. */
bool psti_pace_free(struct pst_pace *p, uint64_t now_ms);
/* `len` bytes were handed out. */
void psti_pace_take(struct pst_pace *p, size_t len, uint64_t now_ms);
uint64_t psti_pace_wake(const struct pst_pace *p);

#endif
