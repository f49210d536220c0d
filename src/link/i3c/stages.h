/* The stages of the debugger's bring-up, which debugger.c goes through. */
#ifndef PST_LINK_I3C_STAGES_H
#define PST_LINK_I3C_STAGES_H

#include "postern/links/i3c.h"

enum pst_i3c_action { IDLE, FIND, DRAIN, COMMAND, WRITE, READ, RESET, CLOSE };

struct pst_i3c_stage {
    uint8_t action; /* enum pst_i3c_action */
    uint8_t code, defining;
    uint8_t write, read; /* bytes */
    bool fresh;          /* skipped when resuming */
    pst_err (*check)(struct pst_i3c_debugger *d);
    pst_err refused; /* the error if the target keeps answering NACK */
};

#define PST_I3C_STAGES 9
extern const struct pst_i3c_stage psti_i3c_stages[PST_I3C_STAGES];
#define CONFIGURE_STAGE (PST_I3C_STAGES - 1)

#endif
