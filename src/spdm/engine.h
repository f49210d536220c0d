/* What the files of this folder share: one message on its way through an engine, and the helpers
 * that every message needs. Nothing here is public. */
#ifndef PST_SPDM_ENGINE_H
#define PST_SPDM_ENGINE_H

#include <string.h>

#include "postern/parts/requester.h"
#include "postern/parts/responder.h"
#include "spdm/codes.h"

/* The phase of the connection, or of the session that carried the message. One bit each, so that a
 * table row can list the phases in which its message may come. */
enum pst_phase {
    PST_AT_START = 1,
    PST_AT_VERSION = 2,
    PST_AT_CAPABILITIES = 4,
    PST_AT_CLEAR = 8,            /* negotiated, outside a session */
    PST_AT_CLEAR_HANDSHAKE = 16, /* the same, while a handshake in the clear is under way */
    PST_AT_HANDSHAKE = 32,
    PST_AT_APPLICATION = 64,
};

/* One request that was received and the response that is being written. In the requester also its
 * own request (`out`) and the answer to it (`in`). */
struct pst_exchange {
    struct pst_spdm *c;
    struct pst_responder *r; /* one of these two */
    struct pst_requester *q;
    const uint8_t *in;
    size_t in_len;
    struct pst_writer out;
    size_t base; /* where in `out` the message begins (after an encapsulation header) */
    uint32_t context;
    struct pst_spdm_session *session; /* of `context`, or whose clear handshake this is */
    uint8_t code;                     /* of the message handled */
    uint8_t in_at;                    /* bytes in front of `in`: an encapsulation header */
    /* What the message ends with, whether it succeeded at once, later or not at all. NULL: nothing.
     * It is told how the handler ended and says how the message does. */
    pst_err (*end)(struct pst_exchange *x, pst_err err);
    uint8_t refusal;       /* ERROR code to answer with, when the handler failed and named one */
    uint32_t refusal_size; /* of ResponseTooLarge */
};

typedef pst_err pst_handler(struct pst_exchange *x);

/* The message fails with this ERROR code. */
pst_err psti_refuse(struct pst_exchange *x, uint8_t error_code);
/* The ERROR code that stands for `err` when no handler named one. */
uint8_t psti_error_code(pst_err err);
/* Replaces what was written by an ERROR; by nothing if there is no room. */
void psti_write_error(struct pst_exchange *x, uint8_t code, uint8_t data);

/* Reads `x->in` behind its four bytes of header. */
struct pst_reader psti_body(const struct pst_exchange *x);
/* The message ends where `r` is. Outside sessions up to three zero bytes of a binding's padding may
 * follow; they are cut off. PST_ERR_DECODE: it is shorter or longer. */
PST_MUST_CHECK pst_err psti_close(struct pst_exchange *x, const struct pst_reader *r);
/* Four bytes of header. */
void psti_put_header(struct pst_exchange *x, uint8_t code, uint8_t param1, uint8_t param2);
PST_MUST_CHECK pst_err psti_put_random(struct pst_exchange *x, size_t len);
/* What was written of the message so far. */
struct pst_bytes psti_out_bytes(const struct pst_exchange *x);

bool psti_both(const struct pst_spdm *c, uint32_t flag);
size_t psti_hash_len(const struct pst_spdm *c);
uint64_t psti_now(const struct pst_spdm *c);
/* 2^exponent microseconds, in milliseconds rounded up. */
uint64_t psti_exponent_ms(uint8_t exponent);
void psti_spdm_start(struct pst_spdm *c, const struct pst_spdm_config *config, pst_role role);
enum pst_phase psti_phase_of(const struct pst_spdm *c, const struct pst_exchange *x);

/* -- our own slots (own.c) -- */
const struct pst_slot *psti_own_slot(const struct pst_spdm *c, unsigned slot); /* NULL: unusable */
uint8_t psti_own_mask(const struct pst_spdm *c);
size_t psti_own_chain_len(const struct pst_spdm *c, const struct pst_slot *s);
/* Bytes of the chain structure from `offset`. The caller has checked that they exist. */
PST_MUST_CHECK pst_err psti_own_chain_read(const struct pst_spdm *c, const struct pst_slot *s,
                                           size_t offset, uint8_t *out, size_t len);
PST_MUST_CHECK pst_err psti_own_digest(struct pst_spdm *c, unsigned slot, uint8_t *digest);
bool psti_own_may(const struct pst_spdm *c, const struct pst_slot *s, uint16_t usage);

/* -- signatures (sign.c) -- */
enum pst_purpose {
    PST_SIGN_CHALLENGE, /* the role of the signer selects the context string */
    PST_SIGN_MEASUREMENTS,
    PST_SIGN_KEY_EXCHANGE,
    PST_SIGN_FINISH,
};
size_t psti_signature_len(const struct pst_spdm *c, pst_role signer);
/* Signs `digest` at the end of what was written, then runs `done`. */
PST_MUST_CHECK pst_err psti_sign(struct pst_exchange *x, unsigned slot, enum pst_purpose purpose,
                                 const uint8_t *digest, pst_handler *done);
/* Verifies the known peer's `signature`, which lies in x->in, over `digest`, then runs `done`.
 * PST_ERR_AUTH: it does not verify, or there is no peer. */
PST_MUST_CHECK pst_err psti_verify(struct pst_exchange *x, enum pst_purpose purpose,
                                   const uint8_t *digest, const uint8_t *signature,
                                   pst_handler *done);

/* -- operations that take longer than a call (wait.c): of the signer, the crypto port and the
 * verifier of certificates. A handler that meets PST_PENDING leaves a step behind, which asks again
 * and goes on from there; it finds the exchange as it was: session, context, code, what is written
 * and, if it says so, what was received. -- */
/* The answer `err` of an operation. PST_PENDING is noted with its step, and with how to give the
 * operation up (NULL: wiping its objects does); anything else ends the wait. Returns `err`. */
PST_MUST_CHECK pst_err psti_await(struct pst_exchange *x, pst_err err, pst_handler *step,
                                  void (*give_up)(struct pst_spdm *c));
/* Takes the noted step. The caller has set c, r or q, in, out, context and session. */
PST_MUST_CHECK pst_err psti_wait_again(struct pst_exchange *x);
/* Runs x->end, unless `err` is PST_PENDING. */
PST_MUST_CHECK pst_err psti_ended(struct pst_exchange *x, pst_err err);
/* Gives up what is waited for, if anything. */
void psti_wait_cancel(struct pst_spdm *c);

/* -- opaque data of KEY_EXCHANGE (opaque.c) -- */
void psti_put_version_list(struct pst_writer *w);
void psti_put_version_choice(struct pst_writer *w, uint16_t version);
/* PST_ERR_VERSION: no version in common. */
PST_MUST_CHECK pst_err psti_opaque_pick(struct pst_bytes opaque, uint16_t *version);
PST_MUST_CHECK pst_err psti_opaque_chosen(struct pst_bytes opaque, uint16_t *version);
/* OpaqueLength and data, or none where no format was agreed on. */
struct pst_bytes psti_get_opaque(struct pst_reader *r, const struct pst_spdm *c);

#endif
