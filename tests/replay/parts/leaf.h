/* The public key at the end of a recorded chain, taken out by OpenSSL alone. */
#ifndef REPLAY_LEAF_H
#define REPLAY_LEAF_H

#include "case.h"

/* `chain` is an SPDM chain structure with a root hash of `hash_len` bytes. */
bool leaf_of_chain(struct pst_bytes chain, size_t hash_len, pst_sig_id id,
                   struct pst_public_key *key);
/* From a SubjectPublicKeyInfo. */
bool leaf_of_key(struct pst_bytes info, pst_sig_id id, struct pst_public_key *key);

#endif
