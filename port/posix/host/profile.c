#define _DEFAULT_SOURCE /* madvise, MAP_ANONYMOUS */
#include "posix/host/profile.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <uv.h>

#include "spdm/codes.h"

static const uint8_t hashes[] = {PST_SHA384, PST_SHA256, 0};
static const uint8_t sigs[] = {PST_ECDSA_P384, PST_ECDSA_P256, PST_ED25519, 0};
/* What an identity can sign with: its key has one algorithm. */
static const uint8_t own_sigs[][2] = {
    [PST_SIG_NONE] = {0},
    [PST_ECDSA_P256] = {PST_ECDSA_P256, 0},
    [PST_ECDSA_P384] = {PST_ECDSA_P384, 0},
    [PST_ED25519] = {PST_ED25519, 0},
};
static const uint8_t dhs[] = {PST_SECP384R1, PST_SECP256R1, 0};
static const uint8_t aeads[] = {PST_AES_256_GCM, PST_CHACHA20_POLY1305, PST_AES_128_GCM, 0};

uint64_t pst_profile_now_ms(void *ctx)
{
    (void)ctx;
    return uv_hrtime() / 1000000;
}

static void both(struct pst_spdm_config *config, const struct pst_identity *identity,
                 const struct pst_trust *trust)
{
    memset(config, 0, sizeof *config);
    config->crypto = pst_openssl_crypto();
    config->verifier = &trust->verifier;
    config->slots[0] = &identity->slot;
    config->now_ms = pst_profile_now_ms;
    config->min_minor = 2;
    config->max_minor = 3;
    config->ct_exponent = 20;
    config->transfer_size = PST_PROFILE_TRANSFER;
    config->hashes = hashes;
    config->sigs = own_sigs[identity->signer.sig_id];
    config->peer_sigs = sigs;
    config->dhs = dhs;
    config->aeads = aeads;
    config->measurement_hash = PST_SHA384;
    config->capabilities = PST_CAP_CERT | PST_CAP_ENCRYPT | PST_CAP_MAC | PST_CAP_MUT_AUTH |
                           PST_CAP_KEY_EX | PST_CAP_ENCAP | PST_CAP_HBEAT | PST_CAP_KEY_UPD;
}

void pst_profile_target(struct pst_spdm_config *config, const struct pst_identity *identity,
                        const struct pst_trust *trust, uint8_t heartbeat_s)
{
    both(config, identity, trust);
    config->mutual = PST_MUTUAL_ENCAP;
    config->require_mutual = true;
    config->heartbeat_s = heartbeat_s;
    config->wait_for_signer = true;
}

void pst_profile_debugger(struct pst_spdm_config *config, const struct pst_identity *identity,
                          const struct pst_trust *trust)
{
    both(config, identity, trust);
}

void pst_process_harden(void)
{
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

void pst_process_soften(void)
{
    (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

void *pst_secret_alloc(size_t len)
{
    void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
        return NULL;
    }
    (void)madvise(at, len, MADV_DONTDUMP);
    return at;
}

void pst_secret_free(void *at, size_t len)
{
    if (at != NULL) {
        pst_wipe(at, len);
        (void)munmap(at, len);
    }
}
