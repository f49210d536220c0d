/* Sessions: the transcript TH, the key schedule, and the one way a session ends.
 *
 * A session is created by KEY_EXCHANGE and is of that kind for good. Keys leave through
 * config->keys and are wiped here; what stays are the secrets for the next step.
 */
#ifndef PST_SPDM_SESSION_H
#define PST_SPDM_SESSION_H

#include "spdm/engine.h"

/* What a session was created by; more kinds are more bits. */
enum { PST_KIND_CERT = 1 };
enum pst_session_phase { PST_SESSION_FREE, PST_SESSION_HANDSHAKE, PST_SESSION_APPLICATION };

/* The session of this id, or NULL. */
struct pst_spdm_session *psti_session_find(struct pst_spdm *c, uint32_t id);
/* The one whose handshake is under way in the clear, or NULL. */
struct pst_spdm_session *psti_session_clear(struct pst_spdm *c);
/* A free place, or NULL. */
struct pst_spdm_session *psti_session_vacant(struct pst_spdm *c);
void psti_session_create(struct pst_spdm *c, struct pst_spdm_session *s, uint32_t id);
/* The only teardown: wipes, drops the keys, tells hooks.ended if hooks.established was told. */
void psti_session_end(struct pst_spdm *c, struct pst_spdm_session *s, pst_err why);

/* TH begins with a clone of `start`: A and, in a multi-key connection, D. */
PST_MUST_CHECK pst_err psti_th_start(struct pst_spdm *c, struct pst_spdm_session *s,
                                     const struct pst_hash *start);
PST_MUST_CHECK pst_err psti_th_add(struct pst_spdm *c, struct pst_spdm_session *s,
                                   const uint8_t *at, size_t len);
PST_MUST_CHECK pst_err psti_th_digest(struct pst_spdm *c, struct pst_spdm_session *s,
                                      uint8_t *digest);

/* TH ends with the signature of KEY_EXCHANGE_RSP; secret[0] is the shared secret. Leaves master and
 * finished keys, places the handshake keys unless the handshake is in the clear. */
PST_MUST_CHECK pst_err psti_session_handshake(struct pst_spdm *c, struct pst_spdm_session *s);
/* HMAC over TH as it is, under the finished key of `role`. */
PST_MUST_CHECK pst_err psti_session_verify_data(struct pst_spdm *c, struct pst_spdm_session *s,
                                                pst_role role, uint8_t *out);
/* TH is complete: leaves the data secrets. Keys are placed by psti_session_establish. */
PST_MUST_CHECK pst_err psti_session_master(struct pst_spdm *c, struct pst_spdm_session *s);
PST_MUST_CHECK pst_err psti_session_establish(struct pst_spdm *c, struct pst_spdm_session *s);
/* The next key of one direction, sequence numbers from 0. */
PST_MUST_CHECK pst_err psti_session_update(struct pst_spdm *c, struct pst_spdm_session *s,
                                           pst_direction direction);

#endif
