/* Shared by the files of the controller's side. */
#ifndef PST_LINK_I3C_DEBUGGER_H
#define PST_LINK_I3C_DEBUGGER_H

#include "postern/links/i3c.h"

#define PAUSE_MAX_MS 64 /* longest pause between attempts */

/* Something succeeded: the next pause is the shortest again. */
void psti_i3c_calm(struct pst_i3c_debugger *d);
/* Makes the next step read. */
void psti_i3c_poll_soon(struct pst_i3c_debugger *d);
/* There was nothing to read: the interval to the next poll grows. */
void psti_i3c_rest(struct pst_i3c_debugger *d);
/* Pause after a failure, longer each time: before writes and steps of the bring-up, and before
 * reads. */
void psti_i3c_pause_writes(struct pst_i3c_debugger *d);
void psti_i3c_pause_reads(struct pst_i3c_debugger *d);

#endif
