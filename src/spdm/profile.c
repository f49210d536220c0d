/* The default security profile, for both roles. */
#include "postern/profile.h"

#include <string.h>

#include "spdm/codes.h"

static const uint8_t hashes[] = {PST_SHA384, PST_SHA256, 0};
static const uint8_t sigs[] = {PST_ECDSA_P384, PST_ECDSA_P256, PST_ED25519, 0};
/* What an end can sign with: its key has one algorithm. */
static const uint8_t own_sigs[][2] = {
    [PST_SIG_NONE] = {0},
    [PST_ECDSA_P256] = {PST_ECDSA_P256, 0},
    [PST_ECDSA_P384] = {PST_ECDSA_P384, 0},
    [PST_ED25519] = {PST_ED25519, 0},
};
static const uint8_t dhs[] = {PST_SECP384R1, PST_SECP256R1, 0};
static const uint8_t aeads[] = {PST_AES_256_GCM, PST_CHACHA20_POLY1305, PST_AES_128_GCM, 0};

static const uint8_t *sigs_of(const struct pst_slot *slot)
{
    const size_t id = slot != NULL && slot->signer != NULL ? slot->signer->sig_id : PST_SIG_NONE;

    return own_sigs[id < sizeof own_sigs / sizeof *own_sigs ? id : PST_SIG_NONE];
}

static void both(struct pst_spdm_config *config, const struct pst_profile_parts *parts)
{
    memset(config, 0, sizeof *config);
    config->crypto = parts->crypto;
    config->verifier = parts->verifier;
    config->slots[0] = parts->slot;
    config->now_ms = parts->now_ms;
    config->now_ctx = parts->now_ctx;
    config->min_minor = 2;
    config->max_minor = 3;
    config->ct_exponent = 20;
    config->transfer_size = PST_PROFILE_TRANSFER;
    config->hashes = hashes;
    config->sigs = sigs_of(parts->slot);
    config->peer_sigs = sigs;
    config->dhs = dhs;
    config->aeads = aeads;
    config->measurement_hash = PST_SHA384;
    config->capabilities = PST_CAP_CERT | PST_CAP_ENCRYPT | PST_CAP_MAC | PST_CAP_MUT_AUTH |
                           PST_CAP_KEY_EX | PST_CAP_ENCAP | PST_CAP_HBEAT | PST_CAP_KEY_UPD;
}

void pst_profile_target(struct pst_spdm_config *config, const struct pst_profile_parts *parts)
{
    both(config, parts);
    config->mutual = PST_MUTUAL_ENCAP;
    config->require_mutual = true;
    config->heartbeat_s = PST_PROFILE_HEARTBEAT_S;
    config->caller_waits = true;
}

void pst_profile_debugger(struct pst_spdm_config *config, const struct pst_profile_parts *parts)
{
    both(config, parts);
}
