/* Records of a data link: a link that carries the debug data of a session that is managed on
 * another link.
 *
 * They have the form of the session's records (record.h) and the same session id, but their own
 * keys. These are derived from the session's Export Master Secret with labels that name the use and
 * the direction (mipi_profile.h). So a record of one link is never accepted on the other. SPDM's
 * key updates do not change these keys. They *ratchet*: after PST_DATA_RATCHET records the secret
 * of a direction is replaced by the next one, from which the old one cannot be computed, and its
 * sequence numbers restart at 0. Both ends count records, so no message announces it. The link must
 * keep order and lose nothing. */
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

/* Derives the first keys of both directions. `config` is copied; its `window` must be false, and
 * its `limit` is ignored. PST_ERR_CONFIG: as pst_record_init. PST_ERR_ARGUMENT: `window` is set, or
 * an algorithm is unknown. After these errors and the crypto port's there are no keys. */
PST_MUST_CHECK pst_err pst_data_init(struct pst_data *d, const struct pst_record_config *config,
                                     uint32_t session_id, const struct pst_export *from);
/* Sets how many bytes of sequence number the records carry: 0, 2 or 8. Call it before the first
 * record is opened. */
void pst_data_shape(struct pst_data *d, uint8_t sequence_len);
/* As pst_record_seal and pst_record_open. If the crypto port fails while a key is replaced, that
 * direction has no key. */
PST_MUST_CHECK pst_err pst_data_seal(struct pst_data *d, uint8_t *buf, size_t cap,
                                     size_t payload_len, size_t *record_len);
PST_MUST_CHECK pst_err pst_data_open(struct pst_data *d, uint8_t *rec, size_t len,
                                     struct pst_bytes *payload);
/* Bytes before the payload. */
size_t pst_data_head(const struct pst_data *d);
/* Wipes keys and secrets. Safe on zeroed storage, and safe to call again. */
void pst_data_wipe(struct pst_data *d);

#ifdef __cplusplus
}
#endif

#endif
