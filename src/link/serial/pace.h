/* What a serial line takes at which time, so that no deep buffer of a driver delays what is urgent.
 */
#ifndef PST_LINK_SERIAL_PACE_H
#define PST_LINK_SERIAL_PACE_H

#include "postern/links/serial.h"

/* Of 8 data bits and one stop bit; 0 without pacing. */
uint64_t psti_pace_us(uint32_t baud, size_t len);
/* Is the line about to be free? Otherwise it is `held`, and psti_pace_wake says until when. */
bool psti_pace_free(struct pst_pace *p, uint64_t now_ms);
void psti_pace_take(struct pst_pace *p, size_t len, uint64_t now_ms);
uint64_t psti_pace_wake(const struct pst_pace *p);

#endif
