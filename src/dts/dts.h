/* What the files of the DTS share. Each file uses only files below it:
 *
 * debugger.c  data_watch.c  the public functions: messages in and out
 * steps.c                   what each state does next
 * exchange.c                one SPDM request and its response
 * native.c                  batches in SPDM messages, for links that carry nothing else
 * client.c                  SPP client and requester
 * state.c                   state, waiting operations, the end of a session
 * config.c                  the check of a configuration
 */
#ifndef PST_DTS_DTS_H
#define PST_DTS_DTS_H

#include "postern/debugger.h"

/* Records that are kept back for the exchange of new keys and for what is in flight then. */
#define REKEY_SPARE 65536u

/* --- config.c --- */
/* What pst_debugger_config_check says, without its texts. true: nothing is wrong. */
bool psti_dts_config_fits(const struct pst_debugger_config *c);

/* --- state.c --- */
uint64_t psti_dts_now(const struct pst_debugger *d);
void psti_dts_set_state(struct pst_debugger *d, pst_debugger_state_id state);
/* Hands an operation of the caller to the SPP client. */
void psti_dts_submit(struct pst_debugger *d, struct pst_spp_op *op);
/* Operations that the caller submitted before they could be sent: sends them, or fails them. */
void psti_dts_release_waiting(struct pst_debugger *d);
void psti_dts_fail_waiting(struct pst_debugger *d, pst_err why);
/* The one way a session ends on this side. Does nothing if it has ended already. */
void psti_dts_close(struct pst_debugger *d, pst_err why);
/* Opens a record. PST_WANT_MORE: it does not open, and the link's traits say to drop such ones. */
PST_MUST_CHECK pst_err psti_dts_open_record(struct pst_debugger *d, uint8_t *msg, size_t len,
                                            struct pst_bytes *payload);

/* --- client.c --- */
/* A fresh SPP client: each command engine of the TS needs one. */
void psti_dts_start_client(struct pst_debugger *d, size_t credit);
/* Starts an SPDM operation; closes the session if it cannot be started. */
void psti_dts_start_op(struct pst_debugger *d, const struct pst_op *op);
/* Bytes of a batch that fit one VENDOR_DEFINED request. */
size_t psti_dts_native_room(const struct pst_debugger *d);

/* --- native.c --- */
void psti_dts_native_start(struct pst_debugger *d);
PST_MUST_CHECK pst_err psti_dts_native_receive(struct pst_debugger *d, uint8_t kind, uint8_t *msg,
                                               size_t len);
size_t psti_dts_native_output(struct pst_debugger *d, uint8_t *kind, uint8_t *out, size_t cap);
/* In a session, while no SPDM operation runs: starts the next one if there is something to send or
 * it is time to poll. True: it did. */
bool psti_dts_native_begin(struct pst_debugger *d);
/* An SPDM operation has got an answer: if it carried a batch and is over, takes the responses. */
void psti_dts_native_finish(struct pst_debugger *d);

/* --- exchange.c --- */
/* Moves the running SPDM operation on. True while it runs. */
bool psti_dts_pump(struct pst_debugger *d);

/* --- steps.c --- */
/* Begins on a link that is up. */
PST_MUST_CHECK pst_err psti_dts_start(struct pst_debugger *d, const struct pst_link_traits *traits,
                                      bool native);
/* Does everything that the state can do now. */
void psti_dts_run(struct pst_debugger *d);

/* --- data_watch.c --- */
/* Polls a data link that is silent, and ends the session if it stays silent. */
void psti_dts_data_watch(struct pst_debugger *d);

#endif
