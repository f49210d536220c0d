/* Transcripts: running hashes over the messages, exactly as transferred (spec: DSP0274,
 * transcripts; the rows are named after its letters).
 *
 *   A      VERSION, CAPABILITIES, ALGORITHMS: raw until the hash is agreed on, then one hash that
 *          every other transcript starts from as a clone
 *   M      A, B (digests, certificates), C (challenge)
 *   L      A and every GET_MEASUREMENTS since the last reset; one outside, one in each session
 *   TH     in the session (session.h)
 *
 * Every byte is hashed once. All may fail with what the crypto port fails with.
 */
#ifndef PST_SPDM_TRANSCRIPT_H
#define PST_SPDM_TRANSCRIPT_H

#include "spdm/engine.h"

/* PST_ERR_SPACE: more than PST_VCA_MAX in all. */
PST_MUST_CHECK pst_err psti_vca_add(struct pst_spdm *c, const uint8_t *at, size_t len);
/* The hash is agreed on. After an error there is no A, and the connection is of no use. */
PST_MUST_CHECK pst_err psti_vca_close(struct pst_spdm *c);
/* Ends A, M and L; those of sessions end with them. */
void psti_transcript_end(struct pst_spdm *c);
PST_MUST_CHECK pst_err psti_m_add(struct pst_spdm *c, const uint8_t *at, size_t len);
void psti_m_clear(struct pst_spdm *c);
/* `s` NULL: outside sessions. */
PST_MUST_CHECK pst_err psti_l_add(struct pst_spdm *c, struct pst_spdm_session *s, const uint8_t *at,
                                  size_t len);
void psti_l_clear(struct pst_spdm *c, struct pst_spdm_session *s);
PST_MUST_CHECK pst_err psti_m_digest(struct pst_spdm *c, uint8_t *digest);
PST_MUST_CHECK pst_err psti_l_digest(struct pst_spdm *c, struct pst_spdm_session *s,
                                     uint8_t *digest);

#endif
