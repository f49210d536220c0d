/* Secured messages: one SPDM session's records (spec: DSP0277 1.0 to 1.2).
 *
 * A record is SessionID u32 | sequence number (0, 2 or 8 bytes, the binding says) | Length u16 |
 * ciphertext | tag. With encryption the ciphertext holds ApplicationDataLength u16, the data, and
 * optional random bytes; MAC-only leaves the data in the clear and has neither.
 *
 * Both directions work in place: to seal, the caller leaves `pst_record_head` bytes free before
 * the payload and PST_TAG_LEN (plus random) after it; to open, the payload is found inside the
 * record. Nothing is copied or allocated.
 *
 * The record layer knows no policy: the SCM decides what a bad tag means for the session. It counts
 * records and bad tags and stops at its limits.
 */
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
    pst_direction sends;    /* PST_TO_RESPONDER for a requester */
    uint8_t sequence_len;   /* 0, 2 or 8 bytes on the wire */
    bool window;            /* lossy link: accept any number not seen before, within 64 of the
                               newest; otherwise exactly the next one (sequence_len 2 or 8) */
    uint64_t limit;         /* records under one key and direction; 0: 2^23, see below */
    uint32_t forgery_limit; /* bad tags under one key before PST_ERR_LIMIT; 0: 2^16 */
};

struct pst_record_half { /* private */
    struct pst_aead aead;
    uint8_t iv[PST_IV_LEN];
    uint64_t sequence; /* next to use; on receive: next expected, or newest + 1 */
    uint64_t seen;     /* bit n: sequence - 1 - n was received */
    uint32_t forgeries;
    uint8_t phase;
    bool ready;
};

struct pst_record { /* private; the size is the whole memory of a session's records */
    struct pst_record_config config;
    uint32_t session_id;
    bool encrypt;
    struct pst_record_half send;
    struct pst_record_half receive;
};

/* What is missing or wrong in a configuration, in a sentence that names the field; NULL: nothing.
 */
const char *pst_record_config_check(const struct pst_record_config *config);
/* No keys yet; they arrive through pst_record_place. PST_ERR_CONFIG: pst_record_config_check says
 * why; `r` is untouched. */
PST_MUST_CHECK pst_err pst_record_init(struct pst_record *r,
                                       const struct pst_record_config *config);
/* A key for one direction (the meaning of pst_key_port.place): sequence and counts restart at 0.
 * PST_ERR_STATE: keys of another session are held; PST_ERR_ARGUMENT: the other direction has the
 * other kind of protection. In both cases nothing changed. Errors of the crypto port leave the
 * direction without a key. */
PST_MUST_CHECK pst_err pst_record_place(struct pst_record *r, uint32_t session_id,
                                        pst_key_phase phase, pst_direction direction, bool encrypt,
                                        const struct pst_traffic_key *key);
/* Wipes all keys. Also the end of the object's life, unless another session is placed in it. */
void pst_record_wipe(struct pst_record *r);

/* Bytes before the payload in a record of this session. */
size_t pst_record_head(const struct pst_record *r);

/* The payload lies at `buf + pst_record_head(r)`. Afterwards the record is `buf[0 .. *record_len)`.
 * `random_len` bytes of padding (0 for most bindings) are drawn after the payload; MAC-only records
 * have none, whatever is asked.
 * PST_ERR_STATE: no key. PST_ERR_SPACE: `cap` or 64 KiB exceeded. PST_ERR_LIMIT: the key is used
 * up; rekey or end the session. On any error nothing was sealed and no number was used. */
PST_MUST_CHECK pst_err pst_record_seal(struct pst_record *r, uint8_t *buf, size_t cap,
                                       size_t payload_len, size_t random_len, size_t *record_len);

/* Which session a record claims to belong to, before anything is believed. PST_ERR_DECODE: too
 * short to be one. */
PST_MUST_CHECK pst_err pst_record_session(const uint8_t *rec, size_t len, uint32_t *session_id);

/* Opens in place; `payload` aliases `rec`. Bytes after the record's Length are ignored (transport
 * padding). PST_ERR_DECODE: malformed, or of another session; PST_ERR_REPLAY: number used, too old
 * or not the next; PST_ERR_AUTH: bad tag, counted; PST_ERR_LIMIT: forgery limit reached;
 * PST_ERR_STATE: no key. After any error the receive state is as before (but for the count) and
 * `rec` is unusable. */
PST_MUST_CHECK pst_err pst_record_open(struct pst_record *r, uint8_t *rec, size_t len,
                                       struct pst_bytes *payload, pst_key_phase *phase);

/* How many records the keys in place may still protect, the lesser of both directions: rekey long
 * before 0. 0 without any key. */
uint64_t pst_record_left(const struct pst_record *r);

/* The records of all sessions of one agent: what usually stands behind a key port. The array and
 * its records, each initialised, are the caller's and outlive the port. */
struct pst_record_set {
    struct pst_record *records;
    size_t count;
};

/* A key port whose `place` opens the session in a free record of the set (PST_ERR_LIMIT: none is
 * free) and whose `drop` wipes it. */
struct pst_key_port pst_record_key_port(struct pst_record_set *set);
/* The record of a session, NULL when no key of it is held. */
struct pst_record *pst_record_find(const struct pst_record_set *set, uint32_t session_id);

#ifdef __cplusplus
}
#endif

#endif
