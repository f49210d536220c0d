/* The default security profile: an SPDM configuration that is safe as it is.
 *
 *     static struct pst_spdm_config spdm;
 *     pst_profile_target(&spdm, &(struct pst_profile_parts){
 *                                   .crypto = &crypto,       // crypto.h
 *                                   .slot = &slot,           // our chain and its key
 *                                   .verifier = &verifier,   // trust anchors for the peer
 *                                   .now_ms = milliseconds,
 *                               });
 *
 * The profile: SPDM 1.2 or 1.3. Certificates both ways; the target asks for the engineer's chain
 * during the handshake and accepts no session without it. Records are encrypted and authenticated.
 * The handshake is never in the clear. Heartbeats and key updates are on. Algorithms, best first:
 * SHA-384, SHA-256; ECDSA P-384, P-256, Ed25519; ECDHE P-384, P-256; AES-256-GCM,
 * ChaCha20-Poly1305, AES-128-GCM.
 *
 * A field of the result may be changed before an engine is given it: `transfer_size` to save
 * memory, `hashes` or `dhs` to leave out what the crypto port lacks, `measurements` to add some.
 * The lists that the configuration points to are constant.
 */
#ifndef POSTERN_PROFILE_H
#define POSTERN_PROFILE_H

#include "postern/parts/spdm.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_PROFILE_TRANSFER 4096 /* bytes of the largest SPDM message, unless it is changed */
#define PST_PROFILE_HEARTBEAT_S 5 /* seconds; the target's choice */

/* What an end brings along. Everything outlives the configuration. */
struct pst_profile_parts {
    const struct pst_crypto *crypto;
    const struct pst_slot *slot;              /* slot 0 of this end; `slot->signer` is set */
    const struct pst_cert_verifier *verifier; /* of the peer's chain */
    uint64_t (*now_ms)(void *ctx);            /* monotonic milliseconds */
    void *now_ctx;
};

/* Fill `config` for a target (SPDM's responder) and for a debugger (the requester). They cannot
 * fail: what the parts lack is found when the engine is initialised. */
void pst_profile_target(struct pst_spdm_config *config, const struct pst_profile_parts *parts);
void pst_profile_debugger(struct pst_spdm_config *config, const struct pst_profile_parts *parts);

#ifdef __cplusplus
}
#endif

#endif
