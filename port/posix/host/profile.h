/* The default security profile of the host side, as an SPDM configuration.
 *
 * SPDM 1.2 or 1.3; certificates both ways, the target asks for the engineer's in the handshake and
 * accepts none without; encrypted and authenticated records; handshake never in the clear;
 * heartbeat and key update. What algorithms there are is the crypto port's registry.
 */
#ifndef POSTERN_POSIX_HOST_PROFILE_H
#define POSTERN_POSIX_HOST_PROFILE_H

#include "openssl/openssl_port.h"
#include "postern/parts/spdm.h"

#define PST_PROFILE_TRANSFER 4096
#define PST_PROFILE_HEARTBEAT_S 5
#define PST_PROFILE_AUDIT_AHEAD 60 /* steps that one line of the audit log may announce */

/* Fills `config`; identity and trust outlive it. `heartbeat_s` 0: none. */
void pst_profile_target(struct pst_spdm_config *config, const struct pst_identity *identity,
                        const struct pst_trust *trust, uint8_t heartbeat_s);
void pst_profile_debugger(struct pst_spdm_config *config, const struct pst_identity *identity,
                          const struct pst_trust *trust);
/* Monotonic milliseconds; `ctx` is ignored. */
uint64_t pst_profile_now_ms(void *ctx);

/* No core dumps and no other process of ours looks into this one (secrets live here). */
void pst_process_harden(void);
/* At the end, when every secret is wiped: tools that look at an exiting process may. */
void pst_process_soften(void);
/* Zeroed memory that stays out of core dumps; NULL when there is none. */
void *pst_secret_alloc(size_t len);
void pst_secret_free(void *at, size_t len); /* wipes */

#endif
