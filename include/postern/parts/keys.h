/* The interface between the security agent and the encryption function.
 *
 * The agent (src/spdm) agrees on keys; the encryption function (src/record) uses them. They may be
 * parts of one program, or run on two cores or in two processes. So they only share this interface:
 * the agent *places* traffic keys for a direction of a session, and *drops* a session. It never
 * reads a key back. */
#ifndef POSTERN_PARTS_KEYS_H
#define POSTERN_PARTS_KEYS_H

#include "postern/crypto.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The direction in which protected messages travel. */
typedef enum {
    PST_TO_RESPONDER, /* requests */
    PST_TO_REQUESTER, /* responses, and whatever else the responder sends */
} pst_direction;

/* What the keys are for. Messages under HANDSHAKE keys reach SPDM and nothing else. */
typedef enum { PST_KEYS_HANDSHAKE, PST_KEYS_APPLICATION } pst_key_phase;

struct pst_traffic_key {
    pst_aead_id aead;
    uint8_t key[PST_MAX_KEY];
    uint8_t iv[PST_IV_LEN];
};

/* What the keys of a data link are derived from (spec: DSP0274, Export Master Secret). */
struct pst_export {
    pst_hash_id hash;
    uint8_t minor; /* the negotiated SPDM version 1.minor, for pst_spdm_expand */
    pst_aead_id aead;
    bool encrypt;
    const uint8_t *secret; /* as long as a digest; the agent wipes it after the call */
};

struct pst_key_port {
    void *ctx;
    /* From now on this key protects messages of `session_id` in `direction`, with sequence numbers
     * from 0. The previous key is gone. The first `place` opens the session. The key is copied or
     * consumed before return; the agent wipes its own copy. `encrypt` false: MAC only. */
    pst_err (*place)(void *ctx, uint32_t session_id, pst_key_phase phase, pst_direction direction,
                     bool encrypt, const struct pst_traffic_key *key);
    /* Wipes all keys of the session. Harmless if there are none. */
    void (*drop)(void *ctx, uint32_t session_id);
    /* Called once, when the session is established, before hooks.established. An error fails the
     * session. NULL: the export secret is not derived. */
    pst_err (*exported)(void *ctx, uint32_t session_id, const struct pst_export *e);
};

#ifdef __cplusplus
}
#endif

#endif
