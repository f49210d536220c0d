/* What a configuration must have: checked once, so that a forgotten field shows at init and not as
 * an answer to a peer. Nothing here is written to. */
#include "spdm/config.h"

#include "crypto/check.h"
#include "spdm/messages.h"

enum rule {
    FINE,
    VERSIONS = 0x40, /* below: of crypto/check.h */
    TRANSFER,
    MESSAGE,
    EXPONENT,
    CAPABILITIES,
    CLOCK,
    PLACE,
    DROP,
    HASHES,
    SIGS,
    PEER_SIGS,
    DHS,
    AEADS,
    CHAIN,
    CHAIN_LONG,
    ROOT,
    SIGNER,
    SIGNER_ID,
    NO_SLOT,
    NO_VERIFIER,
    VERIFIER,
    MUTUAL,
    MUTUAL_CAPABILITY,
    REQUIRE,
    HEARTBEAT,
    MEASUREMENTS,
    MEASUREMENT_HASH,
    SIGS_UNUSED,
};

static bool has(const struct pst_spdm_config *c, uint32_t flags)
{
    return (c->capabilities & flags) != 0;
}

/* A list without members, or with one that is none of ours: `known` is the highest id. */
static bool bad(const uint8_t *ids, uint8_t known)
{
    if (ids == NULL || *ids == 0) {
        return true;
    }
    while (*ids != 0 && *ids <= known) {
        ids++;
    }
    return *ids != 0;
}

/* There are slots, but `sigs` names the algorithm of none: no peer could ever use one. */
static bool none_signs(const struct pst_spdm_config *c)
{
    bool any = false;

    for (size_t i = 0; i < PST_MAX_SLOTS; i++) {
        if (c->slots[i] == NULL) {
            continue;
        }
        any = true;
        for (const uint8_t *sig = c->sigs; *sig != 0; sig++) {
            if (*sig == c->slots[i]->signer->sig_id) {
                return false;
            }
        }
    }
    return any;
}

/* The slots are sound. */
static enum rule check_algorithms(const struct pst_spdm_config *c, bool responds)
{
    bool mutual = has(c, PST_CAP_MUT_AUTH), session = has(c, PST_CAP_KEY_EX);
    bool signs = responds ? has(c, PST_CAP_CERT | PST_CAP_CHAL | PST_CAP_MEAS_SIGNED) : mutual;

    if (bad(c->hashes, PST_SHA384)) {
        return HASHES;
    }
    if (signs && bad(c->sigs, PST_ED25519)) {
        return SIGS;
    }
    if (signs && none_signs(c)) {
        return SIGS_UNUSED;
    }
    if ((mutual || !responds) && bad(c->peer_sigs, PST_ED25519)) {
        return PEER_SIGS;
    }
    if (session && bad(c->dhs, PST_SECP384R1)) {
        return DHS;
    }
    return session && bad(c->aeads, PST_CHACHA20_POLY1305) ? AEADS : FINE;
}

static enum rule check_chain(const struct pst_slot *s)
{
    if (s->certs == NULL || s->certs_len == 0) {
        return CHAIN;
    }
    if (s->certs_len > PST_MAX_CHAIN - 4 - PST_MAX_HASH) {
        return CHAIN_LONG;
    }
    return s->root_len == 0 || s->root_len > s->certs_len ? ROOT : FINE;
}

static enum rule check_slot(const struct pst_slot *s)
{
    enum rule rule = check_chain(s);

    if (rule != FINE) {
        return rule;
    }
    if (s->signer == NULL || s->signer->sign == NULL) {
        return SIGNER;
    }
    return pst_sig_row(s->signer->sig_id) == NULL ? SIGNER_ID : FINE;
}

static enum rule check_slots(const struct pst_spdm_config *c, bool responds)
{
    bool needed = responds && has(c, PST_CAP_CERT);
    enum rule rule = c->known_peer != NULL ? check_chain(c->known_peer) : FINE;
    bool any = false;

    for (size_t i = 0; i < PST_MAX_SLOTS && rule == FINE; i++) {
        if (c->slots[i] != NULL) {
            any = true;
            rule = check_slot(c->slots[i]);
        }
    }
    return rule == FINE && !any && needed ? NO_SLOT : rule;
}

static enum rule check_verifier(const struct pst_spdm_config *c, bool responds)
{
    const struct pst_cert_verifier *v = c->verifier;

    if (v == NULL) {
        return !responds || c->mutual != PST_MUTUAL_NONE ? NO_VERIFIER : FINE;
    }
    return v->begin == NULL || v->feed == NULL || v->finish == NULL || v->abort == NULL ||
                   v->refusal == NULL
               ? VERIFIER
               : FINE;
}

static bool contradict(const struct pst_spdm_config *c, pst_role role)
{
    unsigned minor = c->min_minor;

    while (minor <= c->max_minor && psti_capabilities_fit(c->capabilities, role, (uint8_t)minor)) {
        minor++;
    }
    return minor <= c->max_minor;
}

static enum rule check_rest(const struct pst_spdm_config *c, pst_role role)
{
    if (c->min_minor < 2 || c->max_minor > 3 || c->min_minor > c->max_minor) {
        return VERSIONS;
    }
    if (c->transfer_size < PST_SPDM_MIN_TRANSFER) {
        return TRANSFER;
    }
    if (c->message_size != 0 && c->message_size != c->transfer_size && !has(c, PST_CAP_CHUNK)) {
        return MESSAGE;
    }
    if (c->ct_exponent > 31) {
        return EXPONENT;
    }
    if (contradict(c, role)) {
        return CAPABILITIES;
    }
    return c->now_ms == NULL ? CLOCK : FINE;
}

static enum rule check_responder(const struct pst_spdm_config *c)
{
    unsigned mutual = c->mutual;

    if (mutual > PST_MUTUAL_DIGESTS || mutual == 3) {
        return MUTUAL;
    }
    if (mutual != PST_MUTUAL_NONE && !has(c, PST_CAP_MUT_AUTH)) {
        return MUTUAL_CAPABILITY;
    }
    if (mutual == PST_MUTUAL_NONE && c->require_mutual) {
        return REQUIRE;
    }
    if (c->heartbeat_s != 0 && !has(c, PST_CAP_HBEAT)) {
        return HEARTBEAT;
    }
    if (has(c, PST_CAP_MEAS) && (c->measurements == NULL || c->measurements->get == NULL)) {
        return MEASUREMENTS;
    }
    return has(c, PST_CAP_MEAS) && pst_hash_row(c->measurement_hash) == NULL ? MEASUREMENT_HASH
                                                                             : FINE;
}

uint8_t psti_profile_rule(const struct pst_spdm_config *config, pst_role role)
{
    bool responds = role == PST_ROLE_RESPONDER;
    uint8_t crypto = psti_check_crypto(config->crypto);
    enum rule rule = check_rest(config, role);

    if (crypto != 0) {
        return crypto;
    }
    rule = rule != FINE ? rule : check_slots(config, responds);
    rule = rule != FINE ? rule : check_algorithms(config, responds);
    rule = rule != FINE ? rule : check_verifier(config, responds);
    return (uint8_t)(rule == FINE && responds ? check_responder(config) : rule);
}

uint8_t psti_config_rule(const struct pst_spdm_config *config, pst_role role)
{
    uint8_t rule = psti_profile_rule(config, role);

    if (rule != FINE) {
        return rule;
    }
    if (config->keys.place == NULL) {
        return PLACE;
    }
    return config->keys.drop == NULL ? DROP : FINE;
}
