/* What a configuration must have for a target. Each text names the field; nothing here is written
 * to. */
#include "postern/target.h"

#define NEEDED                                                                                     \
    (PST_CAP_CERT | PST_CAP_ENCRYPT | PST_CAP_MAC | PST_CAP_MUT_AUTH | PST_CAP_KEY_EX |            \
     PST_CAP_ENCAP)
#define MIN_QUEUE 256

static bool is_empty(const uint8_t *list)
{
    return list == NULL || list[0] == 0;
}

static const char *check_slot(const struct pst_slot *slot)
{
    if (slot == NULL || slot->certs == NULL || slot->certs_len == 0) {
        return "spdm.slots[0] has no certificate chain";
    }
    if (slot->root_len == 0 || slot->root_len > slot->certs_len) {
        return "spdm.slots[0].root_len is not the length of the first certificate";
    }
    if (slot->signer == NULL || slot->signer->sign == NULL) {
        return "spdm.slots[0] has no signer";
    }
    return NULL;
}

static const char *check_algorithms(const struct pst_spdm_config *s)
{
    if (is_empty(s->hashes)) {
        return "spdm.hashes is empty";
    }
    if (is_empty(s->sigs)) {
        return "spdm.sigs is empty";
    }
    if (is_empty(s->peer_sigs)) {
        return "spdm.peer_sigs is empty";
    }
    if (is_empty(s->dhs)) {
        return "spdm.dhs is empty";
    }
    return is_empty(s->aeads) ? "spdm.aeads is empty" : NULL;
}

static const char *check_spdm(const struct pst_spdm_config *s)
{
    const char *why = check_slot(s->slots[0]);

    if (s->crypto == NULL) {
        return "spdm.crypto is not set";
    }
    if (s->now_ms == NULL) {
        return "spdm.now_ms is not set";
    }
    if (s->verifier == NULL) {
        return "spdm.verifier is not set: no engineer could be authenticated";
    }
    if (s->mutual == PST_MUTUAL_NONE) {
        return "spdm.mutual is not set: engineers must be authenticated";
    }
    if (s->mutual == PST_MUTUAL_PLAIN && s->known_peer == NULL) {
        return "spdm.known_peer is not set, as PST_MUTUAL_PLAIN needs";
    }
    if ((s->capabilities & NEEDED) != NEEDED) {
        return "spdm.capabilities lacks CERT, ENCRYPT, MAC, MUT_AUTH, KEY_EX or ENCAP";
    }
    if (s->min_minor < 2 || s->max_minor > 3 || s->min_minor > s->max_minor) {
        return "spdm.min_minor and max_minor are not a range within 2 to 3";
    }
    if (s->transfer_size < PST_SPDM_MIN_TRANSFER) {
        return "spdm.transfer_size is below PST_SPDM_MIN_TRANSFER";
    }
    if (s->ct_exponent > 31) {
        return "spdm.ct_exponent is above 31";
    }
    return why != NULL ? why : check_algorithms(s);
}

static const char *check_policy(const struct pst_target_config *c)
{
    if (c->policy == NULL) {
        return "policy is not set";
    }
    if (c->policy->allow.count > PST_MAX_RANGES) {
        return "policy.allow.count is above PST_MAX_RANGES";
    }
    if (c->device == NULL || c->device[0] == '\0') {
        return "device is not set";
    }
    return c->audit.line == NULL ? "audit.line is not set: without a log there is no session"
                                 : NULL;
}

static const char *check_spaces(const struct pst_target_config *c)
{
    if (c->spaces[PST_AS_SCM] != NULL) {
        return "spaces[PST_AS_SCM] is set: that space is the target's own";
    }
    for (size_t i = 0; i < PST_AS_COUNT; i++) {
        const struct pst_space *space = c->spaces[i];

        if (space != NULL && (space->right == NULL || space->perform == NULL)) {
            return "an access space has no right or no perform function";
        }
    }
    return NULL;
}

static const char *check_paths(const struct pst_target_config *c)
{
    if (c->data != NULL && c->native == NULL) {
        return "data is set, but not native, which it needs";
    }
    if (c->data != NULL && c->path_count == 0) {
        return "data is set, but path_count is 0";
    }
    return c->path_count > 0 && c->paths == NULL ? "path_count is set, but paths is not" : NULL;
}

static const char *check_buffers(const struct pst_target_config *c,
                                 const struct pst_target_buffers *buffers, size_t count)
{
    if (count < 2 || buffers == NULL) {
        return "at least two contexts with buffers are needed: one live, one pending";
    }
    for (size_t i = 0; i < count; i++) {
        const struct pst_target_buffers *b = &buffers[i];

        if (b->queue == NULL || b->queue_len < MIN_QUEUE) {
            return "a queue has less than 256 bytes";
        }
        if (b->mailbox == NULL || b->mailbox_len / 2 < c->spdm->transfer_size) {
            return "a mailbox is shorter than twice spdm.transfer_size";
        }
    }
    return NULL;
}

const char *pst_target_config_check(const struct pst_target_config *config,
                                    const struct pst_target_buffers *buffers, size_t count)
{
    const char *why = config->spdm == NULL ? "spdm is not set" : check_spdm(config->spdm);

    why = why != NULL ? why : check_policy(config);
    why = why != NULL ? why : check_spaces(config);
    why = why != NULL ? why : check_paths(config);
    return why != NULL ? why : check_buffers(config, buffers, count);
}
