/* The independent half of a replay. It recomputes transcripts, key schedule, verify data and
 * records from the wire bytes, the shared secrets and the chains, and verifies every signature. It
 * uses the crypto port and the record layer, but not the SPDM engines. */
#ifndef REPLAY_CHECK_H
#define REPLAY_CHECK_H

#include "case.h"

/* Returns false and sets `why` of the recording on a failure. */
bool check_case(struct recording *c);

/* The SPDM (or other) message inside a clear wire message, binding bytes removed; for a record, the
 * record. `secured` tells which. false: not one of this binding. */
bool unwrap(binding_id binding, struct pst_bytes wire, struct pst_bytes *body, bool *secured);

#endif
