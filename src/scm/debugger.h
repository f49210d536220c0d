/* The SCM of a DTS, inside: what debugger.c and debugger_steps.c share. */
#ifndef PST_SCM_DEBUGGER_H
#define PST_SCM_DEBUGGER_H

#include "postern/debugger.h"

/* Records that an exchange of keys and what is in flight may still use. */
#define REKEY_SPARE 65536u

uint64_t dbg_now(const struct pst_debugger *d);
void dbg_set_state(struct pst_debugger *d, pst_debugger_state_id state);
/* What the caller submitted while it could not be sent: sent now, or given back. */
void dbg_release_waiting(struct pst_debugger *d);
void dbg_fail_waiting(struct pst_debugger *d, pst_err why);
/* The one way a session ends on this side. Safe to call again. */
void dbg_close(struct pst_debugger *d, pst_err why);

/* A fresh SPP client, as each engine of the TS needs one. */
void dbg_start_client(struct pst_debugger *d, size_t credit);
/* Does whatever the state has to do now. */
void dbg_run(struct pst_debugger *d);

#endif
