/* Sessions: the transcript TH, the key schedule, and the one place where a session ends.
 *
 * KEY_EXCHANGE creates a session, and its kind never changes. Keys leave through config->keys and
 * are wiped here; the secrets for the next step stay.
 */
#ifndef PST_SPDM_SESSION_H
#define PST_SPDM_SESSION_H

#include "spdm/engine.h"

/* What created a session; one bit for each kind. */
enum { PST_KIND_CERT = 1 };
enum pst_session_phase { PST_SESSION_FREE, PST_SESSION_HANDSHAKE, PST_SESSION_APPLICATION };

/* The session of this id, or NULL. */
struct pst_spdm_session *psti_session_find(struct pst_spdm *c, uint32_t id);
/* The one whose handshake is under way in the clear, or NULL. */
struct pst_spdm_session *psti_session_clear(struct pst_spdm *c);
/* A free one, or NULL. */
struct pst_spdm_session *psti_session_vacant(struct pst_spdm *c);
void psti_session_create(struct pst_spdm *c, struct pst_spdm_session *s, uint32_t id);
/* The only teardown: wipes, drops the keys, and calls hooks.ended if hooks.established was called.
 */
void psti_session_end(struct pst_spdm *c, struct pst_spdm_session *s, pst_err why);

/* TH begins with a clone of `start`: A and, in a multi-key connection, D. */
PST_MUST_CHECK pst_err psti_th_start(struct pst_spdm *c, struct pst_spdm_session *s,
                                     const struct pst_hash *start);
PST_MUST_CHECK pst_err psti_th_add(struct pst_spdm *c, struct pst_spdm_session *s,
                                   const uint8_t *at, size_t len);
PST_MUST_CHECK pst_err psti_th_digest(struct pst_spdm *c, struct pst_spdm_session *s,
                                      uint8_t *digest);

/* TH ends with the signature of KEY_EXCHANGE_RSP; secret[0] is the shared secret. Derives the
 * master secret and the finished keys, and places the handshake keys unless the handshake is in the
 * clear. */
PST_MUST_CHECK pst_err psti_session_handshake(struct pst_spdm *c, struct pst_spdm_session *s);
/* HMAC over TH as it is, under the finished key of `role`. */
PST_MUST_CHECK pst_err psti_session_verify_data(struct pst_spdm *c, struct pst_spdm_session *s,
                                                pst_role role, uint8_t *out);
/* TH is complete: derives the data secrets. psti_session_establish places the keys. */
PST_MUST_CHECK pst_err psti_session_master(struct pst_spdm *c, struct pst_spdm_session *s);
PST_MUST_CHECK pst_err psti_session_establish(struct pst_spdm *c, struct pst_spdm_session *s);
/* The next key of one direction, sequence numbers from 0. */
PST_MUST_CHECK pst_err psti_session_update(struct pst_spdm *c, struct pst_spdm_session *s,
                                           pst_direction direction);

#endif
