/* Secured messages: one SPDM session's records (spec: DSP0277 1.0 to 1.2).
 *
 * A record is SessionID u32 | sequence number (0, 2 or 8 bytes, depending on the binding) | Length
 * u16 | ciphertext | tag. With encryption the ciphertext holds ApplicationDataLength u16, the data,
 * and optional random bytes. A MAC-only record has neither, and its data is in the clear.
 *
 * Both directions work in place. To seal, the caller leaves `pst_record_head` bytes free before the
 * payload and PST_TAG_LEN (plus random bytes) after it. After opening, the payload lies inside the
 * record. Nothing is copied or allocated.
 *
 * The record layer has no policy: the SCM decides what a bad tag means for the session. The record
 * layer counts records and bad tags, and stops at its limits. */
#ifndef POSTERN_PARTS_RECORD_H
#define POSTERN_PARTS_RECORD_H

#include "postern/parts/keys.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Most bytes that a record adds: head 16 (with 8 sequence bytes), tag 16. */
#define PST_RECORD_OVERHEAD 32
#define PST_RECORD_MAX_PAYLOAD (65535 - 2 - PST_TAG_LEN)

struct pst_record_config {
    const struct pst_crypto *crypto;
    pst_direction sends;  /* PST_TO_RESPONDER for a requester */
    uint8_t sequence_len; /* 0, 2 or 8 bytes on the wire */
    bool window;    /* for a lossy link (sequence_len 2 or 8): accept any number within 64 of the
                       newest that was not seen before; otherwise only the next number */
    uint64_t limit; /* most records under one key; 0: 2^23 */
    uint32_t forgery_limit; /* bad tags under one key before PST_ERR_LIMIT; 0: 2^16 */
};

struct pst_record_half { /* private */
    struct pst_aead aead;
    uint8_t iv[PST_IV_LEN];
    uint64_t sequence; /* next to use; when receiving: next expected, or newest + 1 */
    uint64_t seen;     /* bit n: sequence - 1 - n was received */
    uint32_t forgeries;
    uint8_t phase;
    bool ready;
};

struct pst_record { /* private; this is all the memory that a session's records need */
    struct pst_record_config config;
    uint32_t session_id;
    bool encrypt;
    struct pst_record_half send;
    struct pst_record_half receive;
};

/* A sentence that names the field of `config` that is missing or wrong. NULL: the configuration is
 * valid. */
const char *pst_record_config_check(const struct pst_record_config *config);
/* Starts without keys; pst_record_place gives them. PST_ERR_CONFIG: pst_record_config_check says
 * why; `r` is untouched. */
PST_MUST_CHECK pst_err pst_record_init(struct pst_record *r,
                                       const struct pst_record_config *config);
/* Sets the key of one direction (as pst_key_port.place). Sequence number and counts restart at 0.
 * PST_ERR_STATE: keys of another session are in place. PST_ERR_ARGUMENT: `encrypt` differs from the
 * other direction's. In both cases nothing changes. Errors of the crypto port leave the direction
 * without a key. */
PST_MUST_CHECK pst_err pst_record_place(struct pst_record *r, uint32_t session_id,
                                        pst_key_phase phase, pst_direction direction, bool encrypt,
                                        const struct pst_traffic_key *key);
/* Wipes all keys. Nothing else is needed at the end of the object's life; another session may also
 * be placed in it. */
void pst_record_wipe(struct pst_record *r);

/* Bytes before the payload in a record of this session. */
size_t pst_record_head(const struct pst_record *r);

/* Seals the payload at `buf + pst_record_head(r)`. Afterwards `buf` begins with the record,
 * `*record_len` bytes. `random_len` random bytes (0 for most bindings) follow the payload as
 * padding; MAC-only records have none and ignore `random_len`. PST_ERR_STATE: no key.
 * PST_ERR_SPACE: the record exceeds `cap` or 64 KiB. PST_ERR_LIMIT: the key is used up; rekey or
 * end the session. On any error nothing was sealed and no number was used. */
PST_MUST_CHECK pst_err pst_record_seal(struct pst_record *r, uint8_t *buf, size_t cap,
                                       size_t payload_len, size_t random_len, size_t *record_len);

/* The session that a record claims to belong to. Nothing is verified. PST_ERR_DECODE: too short to
 * be a record. */
PST_MUST_CHECK pst_err pst_record_session(const uint8_t *rec, size_t len, uint32_t *session_id);

/* Opens in place; `payload` aliases `rec`. Bytes after the record's Length are ignored (transport
 * padding). PST_ERR_DECODE: malformed, or of another session. PST_ERR_REPLAY: the number was used
 * before, is too old, or is not the next. PST_ERR_AUTH: bad tag, which is counted. PST_ERR_LIMIT:
 * the forgery limit is reached, or the key is used up. PST_ERR_STATE: no key. After any error the
 * receive state is unchanged (except for that count) and `rec` is unusable. */
PST_MUST_CHECK pst_err pst_record_open(struct pst_record *r, uint8_t *rec, size_t len,
                                       struct pst_bytes *payload, pst_key_phase *phase);

/* How many records the keys in place may still protect: the smaller number of both directions.
 * Rekey long before it reaches 0. 0 without any key. */
uint64_t pst_record_left(const struct pst_record *r);

/* The records of all sessions of one agent, used through a key port. The array and its initialised
 * records belong to the caller and outlive the port. */
struct pst_record_set {
    struct pst_record *records;
    size_t count;
};

/* A key port for the set. `place` opens a session in a free record (PST_ERR_LIMIT: none is free),
 * and `drop` wipes it. */
struct pst_key_port pst_record_key_port(struct pst_record_set *set);
/* The record of a session. NULL: no key of it is in place. */
struct pst_record *pst_record_find(const struct pst_record_set *set, uint32_t session_id);

#ifdef __cplusplus
}
#endif

#endif
