/* From a link without a peer to a session that may do something: the hooks of the security agent,
 * and the engines that each stage is given. */
#include <string.h>

#include "scm/scm.h"

static void open_engine(struct pst_target_context *c, const struct pst_spp_engine_config *config)
{
    /* Only a queue of no length could be refused, and pst_target_init has looked. */
    if (pst_spp_engine_init(&c->engine, config) != PST_OK) {
        c->closing = PST_ERR_ARGUMENT;
    }
}

static struct pst_spp_engine_config engine_config(struct pst_target_context *c)
{
    const struct pst_target_config *config = c->target->config;
    struct pst_spp_engine_config e = {
        .queue = c->queue,
        .queue_len = c->queue_len,
        .idcode = config->idcode,
        .product = config->product,
    };
    e.spaces[PST_AS_SCM] = &c->scm;
    return e;
}

pst_err scm_open_bootstrap(struct pst_target_context *c)
{
    struct pst_spp_engine_config e = engine_config(c);
    e.bootstrap = true;
    return pst_spp_engine_init(&c->engine, &e);
}

/* An observer sees the holder's spaces, but neither opens, closes nor hears them. */
static const struct pst_space *as_observer(struct pst_target_context *c, size_t number)
{
    const struct pst_space *space = c->target->config->spaces[number];
    if ((number != PST_AS_MEMORY && number != PST_AS_RUN) || space == NULL) {
        return NULL;
    }
    struct pst_space *copy = &c->shared[number - PST_AS_MEMORY];
    *copy = *space;
    copy->enable = NULL;
    copy->event = NULL;
    copy->cancel = NULL;
    return copy;
}

/* THE place where access spaces become reachable: an authenticated session with grants. */
static void open_session_engine(struct pst_target_context *c)
{
    const struct pst_target_config *config = c->target->config;
    struct pst_spp_engine_config e = engine_config(c);

    e.gate = &c->gate;
    for (size_t i = 0; i < PST_AS_COUNT; i++) {
        if (i != PST_AS_SCM) {
            e.spaces[i] = c->observer ? as_observer(c, i) : config->spaces[i];
        }
    }
    open_engine(c, &e);
}

static void open_refused_engine(struct pst_target_context *c)
{
    struct pst_spp_engine_config e = engine_config(c);
    e.gate = &c->gate;
    open_engine(c, &e);
}

/* Names go into logs and onto screens: printable ASCII only. */
static void copy_name(char out[PST_MAX_NAME], const char *in)
{
    size_t i = 0;
    for (; i + 1 < PST_MAX_NAME && in[i] != '\0'; i++) {
        out[i] = in[i] >= 0x20 && in[i] < 0x7F ? in[i] : '?';
    }
    out[i] = '\0';
}

static void refuse(struct pst_target_context *c, const char *why)
{
    c->phase = PST_CONTEXT_REFUSED;
    c->refusal = why;
    memset(&c->grants, 0, sizeof c->grants);
    scm_log_refused(c, why != NULL ? why : "the target is held by another engineer");
    open_refused_engine(c);
}

/* What is left of the grants for one who only watches. */
static void read_only(struct pst_grants *g)
{
    uint8_t n = 0;
    for (uint8_t i = 0; i < g->count; i++) {
        struct pst_grant_range range = g->ranges[i];
        range.rights &= PST_RIGHT_READ;
        if (range.rights != 0) {
            g->ranges[n++] = range;
        }
    }
    g->count = n;
}

static void established(void *ctx, uint32_t session_id, const struct pst_peer *peer)
{
    struct pst_target_context *c = ctx;
    const struct pst_target_config *config = c->target->config;
    const char *why = NULL;
    char text[256];

    c->session_id = session_id;
    c->since_ms = scm_now(c->target);
    c->since_s = scm_wall(c->target);
    scm_mailbox_clear(c);
    if (peer == NULL) {
        c->closing = PST_ERR_AUTH; /* mutual authentication is not optional here */
        return;
    }
    copy_name(c->name, peer->name);
    memcpy(c->fingerprint, peer->fingerprint, sizeof c->fingerprint);
    c->time_checked = peer->time_checked;
    if (pst_policy_decide(config->policy, peer, config->device, scm_wall(c->target), &c->grants,
                          &why) != PST_OK) {
        refuse(c, why != NULL ? why : "no grant");
        return;
    }
    if (scm_holder(c->target) != NULL) {
        if (!config->policy->share_read_only) {
            refuse(c, NULL);
            return;
        }
        c->observer = true;
        read_only(&c->grants);
    }
    (void)pst_grants_text(&c->grants, text, sizeof text);
    if (scm_log_open(c, text) != PST_OK) {
        refuse(c, "the audit log cannot be written");
        return;
    }
    c->phase = PST_CONTEXT_LIVE;
    open_session_engine(c);
}

static void ended(void *ctx, uint32_t session_id, pst_err why)
{
    struct pst_target_context *c = ctx;
    if (session_id == c->session_id && c->closing == PST_OK) {
        c->closing = why == PST_OK ? PST_ERR_CLOSED : why;
    }
}

/* One session a context: it is what `session_id` names from KEY_EXCHANGE on. */
static pst_err place(void *ctx, uint32_t session_id, pst_key_phase phase, pst_direction direction,
                     bool encrypt, const struct pst_traffic_key *key)
{
    struct pst_target_context *c = ctx;
    if (c->session_id == PST_SPDM_CLEAR) {
        c->session_id = session_id;
    }
    if (c->session_id != session_id) {
        return PST_ERR_LIMIT;
    }
    if (!encrypt && !c->target->config->policy->allow_mac_only) {
        return PST_ERR_DENIED;
    }
    return pst_record_place(&c->record, session_id, phase, direction, encrypt, key);
}

static void drop(void *ctx, uint32_t session_id)
{
    struct pst_target_context *c = ctx;
    if (c->session_id == session_id) {
        pst_record_wipe(&c->record);
    }
}

void scm_spdm_init(struct pst_target_context *c)
{
    c->spdm = *c->target->config->spdm;
    c->spdm.keys = (struct pst_key_port){.ctx = c, .place = place, .drop = drop};
    c->spdm.hooks.ctx = c;
    c->spdm.hooks.peer = NULL; /* who may do what is told after FINISH, in the session */
    c->spdm.hooks.established = established;
    c->spdm.hooks.ended = ended;
    c->spdm.hooks.vendor = NULL;
    c->spdm.require_mutual = true;
}
