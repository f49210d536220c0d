/* The SCM of a DTS, inside: what debugger.c and debugger_steps.c share. */
#ifndef PST_DTS_DTS_H
#define PST_DTS_DTS_H

#include "postern/debugger.h"

/* Records that an exchange of keys and what is in flight may still use. */
#define REKEY_SPARE 65536u

uint64_t psti_dts_now(const struct pst_debugger *d);
void psti_dts_set_state(struct pst_debugger *d, pst_debugger_state_id state);
/* What the caller submitted while it could not be sent: sent now, or given back. */
void psti_dts_release_waiting(struct pst_debugger *d);
void psti_dts_fail_waiting(struct pst_debugger *d, pst_err why);
/* The one way a session ends on this side. Safe to call again. */
void psti_dts_close(struct pst_debugger *d, pst_err why);

/* A fresh SPP client, as each engine of the TS needs one. */
void psti_dts_start_client(struct pst_debugger *d, size_t credit);
/* Does whatever the state has to do now. */
void psti_dts_run(struct pst_debugger *d);
void psti_dts_start_op(struct pst_debugger *d, const struct pst_op *op);
/* Begins on a link, natively or in band. */
PST_MUST_CHECK pst_err psti_dts_start(struct pst_debugger *d, const struct pst_link_traits *traits,
                                      bool native);
/* Opens a record. PST_WANT_MORE: it was a bad one, which the link's traits tell to drop. */
PST_MUST_CHECK pst_err psti_dts_open_record(struct pst_debugger *d, uint8_t *msg, size_t len,
                                            struct pst_bytes *payload);

/* debugger_data.c: asks on a data link that is silent, and ends the session when that goes on. */
void psti_dts_data_watch(struct pst_debugger *d);

/* debugger_native.c: the way of links that carry SPDM messages and records only. */
void psti_dts_native_start(struct pst_debugger *d);
/* Bytes of a batch in one VENDOR_DEFINED request. */
size_t psti_dts_native_room(const struct pst_debugger *d);
PST_MUST_CHECK pst_err psti_dts_native_receive(struct pst_debugger *d, uint8_t kind, uint8_t *msg,
                                               size_t len);
size_t psti_dts_native_output(struct pst_debugger *d, uint8_t *kind, uint8_t *out, size_t cap);
/* In a session, when no SPDM operation runs: begins the next one, if there is reason to. */
bool psti_dts_native_begin(struct pst_debugger *d);
/* The operation that carried a batch is over. */
void psti_dts_native_finish(struct pst_debugger *d);
/* Something was submitted that makes a CPU run. */
void psti_dts_native_resumed(struct pst_debugger *d);

#endif
