/* The rules of a configuration in words. Their order is that of config.c. */
#include "crypto/check.h"
#include "spdm/config.h"

const char *psti_config_text(uint8_t rule)
{
    static const char *const texts[] = {
        "spdm.min_minor and max_minor are not a range within 2 to 3",
        "spdm.transfer_size is below PST_SPDM_MIN_TRANSFER",
        "spdm.message_size is not transfer_size: that takes PST_CAP_CHUNK",
        "spdm.ct_exponent is above 31",
        "spdm.capabilities contradict each other",
        "spdm.now_ms is not set",
        "spdm.keys.place is not set",
        "spdm.keys.drop is not set",
        "spdm.hashes is empty or names an unknown algorithm",
        "spdm.sigs is empty or names an unknown algorithm",
        "spdm.peer_sigs is empty or names an unknown algorithm",
        "spdm.dhs is empty or names an unknown algorithm",
        "spdm.aeads is empty or names an unknown algorithm",
        "spdm.slots: one has no certificate chain",
        "spdm.slots: a certificate chain is too long",
        "spdm.slots: root_len is not the length of the first certificate",
        "spdm.slots: one has no signer",
        "spdm.slots: signer.sig_id is not known",
        "spdm.slots is empty, but capabilities has PST_CAP_CERT",
        "spdm.verifier is not set: no peer could be authenticated",
        "spdm.verifier lacks begin, feed, finish or abort",
        "spdm.mutual is not a value of pst_mutual",
        "spdm.mutual is set, but capabilities lacks PST_CAP_MUT_AUTH",
        "spdm.require_mutual is set, but not mutual",
        "spdm.heartbeat_s is set, but capabilities lacks PST_CAP_HBEAT",
        "spdm.measurements is not set, but capabilities has PST_CAP_MEAS",
        "spdm.measurement_hash is not set, but capabilities has PST_CAP_MEAS",
        "spdm.sigs names the algorithm of no signer in spdm.slots",
    };

    return rule < 0x40 ? psti_crypto_text(rule) : texts[rule - 0x40];
}

const char *pst_spdm_config_check(const struct pst_spdm_config *config, pst_role role)
{
    return psti_config_text(psti_config_rule(config, role));
}
