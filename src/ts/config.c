/* What a configuration must have for a target. Each text names the field; nothing here is written
 * to. */
#include "spdm/config.h"
#include "crypto/check.h"
#include "ts/ts.h"

#define NEEDED                                                                                     \
    (PST_CAP_CERT | PST_CAP_ENCRYPT | PST_CAP_MAC | PST_CAP_MUT_AUTH | PST_CAP_KEY_EX |            \
     PST_CAP_ENCAP)
#define MIN_QUEUE 256

/* What a target wants beyond what its engines do. */
static const char *check_spdm(const struct pst_spdm_config *s)
{
    if (s == NULL) {
        return "spdm is not set";
    }
    if (s->slots[0] == NULL) {
        return "spdm.slots[0] is not set";
    }
    if (s->mutual == PST_MUTUAL_NONE) {
        return "spdm.mutual is not set: engineers must be authenticated";
    }
    if (s->mutual == PST_MUTUAL_PLAIN && s->known_peer == NULL) {
        return "spdm.known_peer is not set, as PST_MUTUAL_PLAIN needs";
    }
    return (s->capabilities & NEEDED) != NEEDED
               ? "spdm.capabilities lacks CERT, ENCRYPT, MAC, MUT_AUTH, KEY_EX or ENCAP"
               : NULL;
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

static const char *check_own(const struct pst_target_config *config,
                             const struct pst_target_buffers *buffers, size_t count)
{
    const char *why = check_spdm(config->spdm);

    why = why != NULL ? why : check_policy(config);
    why = why != NULL ? why : check_spaces(config);
    why = why != NULL ? why : check_paths(config);
    return why != NULL ? why : check_buffers(config, buffers, count);
}

/* The target gives its engines their keys itself. */
static uint8_t engine_rule(const struct pst_target_config *config)
{
    uint8_t rule = psti_check_ciphers(config->spdm->crypto);

    return rule != 0 ? rule : psti_profile_rule(config->spdm, PST_ROLE_RESPONDER);
}

bool psti_ts_config_fits(const struct pst_target_config *config,
                         const struct pst_target_buffers *buffers, size_t count)
{
    return check_own(config, buffers, count) == NULL && engine_rule(config) == 0;
}

const char *pst_target_config_check(const struct pst_target_config *config,
                                    const struct pst_target_buffers *buffers, size_t count)
{
    const char *why = check_own(config, buffers, count);

    return why != NULL ? why : psti_config_text(engine_rule(config));
}
