/* The independent half of a replay: from the wire, the shared secrets and the chains alone it
 * recomputes transcripts, key schedule, verify data and records, and verifies every signature. It
 * uses the crypto port and the record layer, and nothing of the SPDM engines. */
#ifndef REPLAY_CHECK_H
#define REPLAY_CHECK_H

#include "case.h"

/* false and `why` in the recording. */
bool check_case(struct recording *c);

/* The SPDM (or other) message inside a clear wire message, binding bytes removed; for a record, the
 * record. `secured` tells which. false: not one of this binding. */
bool unwrap(binding_id binding, struct pst_bytes wire, struct pst_bytes *body, bool *secured);

#endif
