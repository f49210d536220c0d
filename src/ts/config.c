/* What a target's configuration must have. Rules are numbers, so that pst_target_init does without
 * their texts. */
#include "spdm/config.h"
#include "crypto/check.h"
#include "ts/ts.h"

#define NEEDED                                                                                     \
    (PST_CAP_CERT | PST_CAP_ENCRYPT | PST_CAP_MAC | PST_CAP_MUT_AUTH | PST_CAP_KEY_EX |            \
     PST_CAP_ENCAP)
#define MIN_QUEUE 256
/* KEY_EXCHANGE and its response with the smallest algorithms, P-256 and SHA-256 */
#define MIN_REQUEST (4 + 2 + 2 + 32 + 64 + 2 + 20)
#define MIN_ANSWER (4 + 2 + 2 + 32 + 64 + 2 + 12 + 64 + 32)

enum rule {
    FINE,
    NO_SPDM,
    NO_SLOT,
    NO_MUTUAL,
    NO_KNOWN_PEER,
    FEW_CAPABILITIES,
    SHORT_TRANSFER,
    NO_POLICY,
    MANY_RANGES,
    NO_DEVICE,
    NO_AUDIT,
    SCM_SPACE,
    SPACE_FUNCTION,
    NO_NATIVE,
    NO_PATH_COUNT,
    NO_PATHS,
    FEW_CONTEXTS,
    SHORT_QUEUE,
    SHORT_MAILBOX,
};

static const char *const texts[] = {
    [NO_SPDM] = "spdm is not set",
    [NO_SLOT] = "spdm.slots[0] is not set",
    [NO_MUTUAL] = "spdm.mutual is not set: engineers must be authenticated",
    [NO_KNOWN_PEER] = "spdm.known_peer is not set, as PST_MUTUAL_PLAIN needs",
    [FEW_CAPABILITIES] = "spdm.capabilities lacks CERT, ENCRYPT, MAC, MUT_AUTH, KEY_EX or ENCAP",
    [SHORT_TRANSFER] = "spdm.transfer_size is below 126: KEY_EXCHANGE does not fit",
    [NO_POLICY] = "policy is not set",
    [MANY_RANGES] = "policy.allow.count is above PST_MAX_RANGES",
    [NO_DEVICE] = "device is not set",
    [NO_AUDIT] = "audit.line is not set: without a log there is no session",
    [SCM_SPACE] = "spaces[PST_AS_SCM] is set: that space is the target's own",
    [SPACE_FUNCTION] = "an access space has no right or no perform function",
    [NO_NATIVE] = "data is set, but not native, which it needs",
    [NO_PATH_COUNT] = "data is set, but path_count is 0",
    [NO_PATHS] = "path_count is set, but paths is not",
    [FEW_CONTEXTS] = "at least two contexts with buffers are needed: one live, one pending",
    [SHORT_QUEUE] = "a queue has less than 256 bytes",
    [SHORT_MAILBOX] = "a mailbox is shorter than twice spdm.transfer_size, or than 428 bytes",
};

/* What a target wants beyond what its engines do. */
static enum rule check_spdm(const struct pst_spdm_config *s)
{
    if (s == NULL) {
        return NO_SPDM;
    }
    if (s->slots[0] == NULL) {
        return NO_SLOT;
    }
    if (s->mutual == PST_MUTUAL_NONE) {
        return NO_MUTUAL;
    }
    if (s->mutual == PST_MUTUAL_PLAIN && s->known_peer == NULL) {
        return NO_KNOWN_PEER;
    }
    if ((s->capabilities & NEEDED) != NEEDED) {
        return FEW_CAPABILITIES;
    }
    return s->transfer_size < MIN_REQUEST ? SHORT_TRANSFER : FINE;
}

static enum rule check_policy(const struct pst_target_config *c)
{
    if (c->policy == NULL) {
        return NO_POLICY;
    }
    if (c->policy->allow.count > PST_MAX_RANGES) {
        return MANY_RANGES;
    }
    if (c->device == NULL || c->device[0] == '\0') {
        return NO_DEVICE;
    }
    return c->audit.line == NULL ? NO_AUDIT : FINE;
}

static enum rule check_spaces(const struct pst_target_config *c)
{
    if (c->spaces[PST_AS_SCM] != NULL) {
        return SCM_SPACE;
    }
    for (size_t i = 0; i < PST_AS_COUNT; i++) {
        const struct pst_space *space = c->spaces[i];

        if (space != NULL && (space->right == NULL || space->perform == NULL)) {
            return SPACE_FUNCTION;
        }
    }
    return FINE;
}

static enum rule check_paths(const struct pst_target_config *c)
{
    if (c->data != NULL && c->native == NULL) {
        return NO_NATIVE;
    }
    if (c->data != NULL && c->path_count == 0) {
        return NO_PATH_COUNT;
    }
    return c->path_count > 0 && c->paths == NULL ? NO_PATHS : FINE;
}

static enum rule check_buffers(const struct pst_target_config *c,
                               const struct pst_target_buffers *buffers, size_t count)
{
    if (count < 2 || buffers == NULL) {
        return FEW_CONTEXTS;
    }
    for (size_t i = 0; i < count; i++) {
        const struct pst_target_buffers *b = &buffers[i];

        if (b->queue == NULL || b->queue_len < MIN_QUEUE) {
            return SHORT_QUEUE;
        }
        if (b->mailbox == NULL || b->mailbox_len / 2 < c->spdm->transfer_size ||
            b->mailbox_len / 2 < MIN_ANSWER) {
            return SHORT_MAILBOX;
        }
    }
    return FINE;
}

static enum rule own_rule(const struct pst_target_config *config,
                          const struct pst_target_buffers *buffers, size_t count)
{
    enum rule rule = check_spdm(config->spdm);

    rule = rule != FINE ? rule : check_policy(config);
    rule = rule != FINE ? rule : check_spaces(config);
    rule = rule != FINE ? rule : check_paths(config);
    return rule != FINE ? rule : check_buffers(config, buffers, count);
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
    return own_rule(config, buffers, count) == FINE && engine_rule(config) == 0;
}

const char *pst_target_config_check(const struct pst_target_config *config,
                                    const struct pst_target_buffers *buffers, size_t count)
{
    const enum rule rule = own_rule(config, buffers, count);

    return rule != FINE ? texts[rule] : psti_config_text(engine_rule(config));
}
