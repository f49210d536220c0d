/* Records of a data link: debug travels on a link of its own, beside the one on which the session
 * is managed.
 *
 * They have the form of the session's records (record.h) and its session id, but keys of their own,
 * derived from the session's Export Master Secret with labels that name the link and the direction
 * (mipi_profile.h). So a record of one link is never accepted on the other. SPDM does not change
 * these keys. They *ratchet*: after PST_DATA_RATCHET records the secret of a direction is replaced
 * by the next one, from which the old one cannot be computed, and its records count from 0 again.
 * Both ends count, so no message announces it. The link must keep order and lose nothing.
 */
#ifndef POSTERN_PARTS_DATA_H
#define POSTERN_PARTS_DATA_H

#include "postern/mipi_profile.h"
#include "postern/parts/record.h"

#ifdef __cplusplus
extern "C" {
#endif

struct pst_data { /* private */
    struct pst_record record;
    uint8_t secret[2][PST_MAX_HASH]; /* by pst_direction */
    uint8_t hash, minor, aead;
};

/* First keys of both directions. `config` is copied: `window` must be false, `limit` is ignored.
 * PST_ERR_CONFIG: as pst_record_init. PST_ERR_ARGUMENT: a window, or unknown algorithms. After
 * these and the crypto port's errors there are no keys. */
PST_MUST_CHECK pst_err pst_data_init(struct pst_data *d, const struct pst_record_config *config,
                                     uint32_t session_id, const struct pst_export *from);
/* How many bytes of sequence number the records carry: 0, 2 or 8, before the first is opened. */
void pst_data_shape(struct pst_data *d, uint8_t sequence_len);
/* As pst_record_seal and pst_record_open. An error of the crypto port while a key is changed leaves
 * that direction without one. */
PST_MUST_CHECK pst_err pst_data_seal(struct pst_data *d, uint8_t *buf, size_t cap,
                                     size_t payload_len, size_t *record_len);
PST_MUST_CHECK pst_err pst_data_open(struct pst_data *d, uint8_t *rec, size_t len,
                                     struct pst_bytes *payload);
/* Bytes before the payload. */
size_t pst_data_head(const struct pst_data *d);
/* Safe on zeroed storage, and again. */
void pst_data_wipe(struct pst_data *d);

#ifdef __cplusplus
}
#endif

#endif
