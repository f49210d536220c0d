/* The peer's certificate chain as it arrives: each portion is hashed and passed on to the verifier,
 * so that only the digest and the peer are kept. */
#ifndef PST_SPDM_CHAIN_H
#define PST_SPDM_CHAIN_H

#include "spdm/engine.h"

/* Forgets peer and digest. */
void psti_chain_forget(struct pst_spdm *c);
/* A new chain begins; `digest` from DIGESTS, or NULL when it was not asked. */
PST_MUST_CHECK pst_err psti_chain_begin(struct pst_spdm *c, unsigned slot, const uint8_t *digest);
/* The next portion. PST_WANT_MORE until `remainder` is 0, then the verdict: PST_OK with the peer
 * known and accepted, or PST_ERR_CERT, PST_ERR_AUTH (digest), or what hooks.peer said. PST_PENDING:
 * the verifier needs time; call again with the same portion. */
PST_MUST_CHECK pst_err psti_chain_feed(struct pst_spdm *c, struct pst_bytes portion,
                                       uint16_t remainder);
/* A chain is under way: it is still fetched, or checked. */
bool psti_chain_arrives(const struct pst_spdm *c);
/* The known peer is this one. */
bool psti_chain_is(const struct pst_spdm *c, unsigned slot, const uint8_t *digest);
/* Asks the application about the known peer. */
PST_MUST_CHECK pst_err psti_chain_accept(struct pst_spdm *c);

#endif
