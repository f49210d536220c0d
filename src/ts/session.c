/* From a link without a peer to a session that may do something: the hooks of the security agent,
 * and the engines that each stage is given. */
#include <string.h>

#include "ts/ts.h"

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

pst_err psti_ts_open_bootstrap(struct pst_target_context *c)
{
    struct pst_spp_engine_config e = engine_config(c);
    e.bootstrap = true;
    return pst_spp_engine_init(&c->engine, &e);
}

static const struct pst_space *watched(const struct pst_target_watch *w)
{
    return w->context->target->config->spaces[w->number];
}

static uint8_t watch_right(void *ctx, uint64_t address, bool write)
{
    const struct pst_space *space = watched(ctx);
    return space->right(space->ctx, address, write);
}

/* A space works on one access at a time: an observer's waits until the holder, and every other
 * observer, has none. */
static bool is_free(const struct pst_target *t, const struct pst_target_context *holder)
{
    if (pst_spp_engine_waiting(&holder->engine)) {
        return false;
    }
    for (size_t i = 0; i < t->count; i++) {
        if (t->contexts[i].watch[0].pending || t->contexts[i].watch[1].pending) {
            return false;
        }
    }
    return true;
}

/* Only what the holder has opened is reached, and only while it is there. */
static pst_err watch_perform(void *ctx, struct pst_access *a)
{
    struct pst_target_watch *w = ctx;
    const struct pst_space *space = watched(w);
    const struct pst_target_context *holder = psti_ts_holder(w->context->target);

    if (holder == NULL || holder->phase != PST_CONTEXT_LIVE ||
        (holder->engine.enabled >> w->number & 1) == 0) {
        return PST_ERR_STATE;
    }
    if (!w->pending && !is_free(w->context->target, holder)) {
        return PST_PENDING;
    }
    pst_err err = space->perform(space->ctx, a);
    w->pending = err == PST_PENDING;
    return err;
}

/* What the observer began is given up, or the space would work for nobody else any more. */
static void watch_cancel(void *ctx)
{
    struct pst_target_watch *w = ctx;
    const struct pst_space *space = watched(w);
    if (w->pending && space->cancel != NULL) {
        space->cancel(space->ctx);
    }
    w->pending = false;
}

void psti_ts_stop_watching(struct pst_target *t)
{
    for (size_t i = 0; i < t->count; i++) {
        for (size_t j = 0; j < 2; j++) {
            if (t->contexts[i].watch[j].pending) {
                watch_cancel(&t->contexts[i].watch[j]);
            }
        }
    }
}

/* An observer sees the holder's spaces, but neither opens, closes nor hears them. */
static const struct pst_space *as_observer(struct pst_target_context *c, uint8_t number)
{
    const struct pst_space *space = c->target->config->spaces[number];
    if ((number != PST_AS_MEMORY && number != PST_AS_RUN) || space == NULL) {
        return NULL;
    }
    struct pst_target_watch *w = &c->watch[number - PST_AS_MEMORY];
    *w = (struct pst_target_watch){.context = c, .number = number};
    c->shared[number - PST_AS_MEMORY] = (struct pst_space){
        .ctx = w,
        .right = watch_right,
        .perform = watch_perform,
        .cancel = watch_cancel,
        .urgent_first = 1,
    };
    return &c->shared[number - PST_AS_MEMORY];
}

/* THE place where access spaces become reachable: an authenticated session with grants. */
static void open_session_engine(struct pst_target_context *c)
{
    const struct pst_target_config *config = c->target->config;
    struct pst_spp_engine_config e = engine_config(c);

    e.gate = &c->gate;
    for (uint8_t i = 0; i < PST_AS_COUNT; i++) {
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
    psti_ts_log_refused(c, why != NULL ? why : "the target is held by another engineer");
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
    c->since_ms = psti_ts_now(c->target);
    c->since_s = psti_ts_wall(c->target);
    psti_ts_mailbox_clear(c);
    if (peer == NULL) {
        c->closing = PST_ERR_AUTH; /* mutual authentication is not optional here */
        return;
    }
    copy_name(c->name, peer->name);
    memcpy(c->fingerprint, peer->fingerprint, sizeof c->fingerprint);
    c->time_checked = peer->time_checked;
    if (pst_policy_decide(config->policy, peer, config->device, psti_ts_wall(c->target), &c->grants,
                          &why) != PST_OK) {
        refuse(c, why != NULL ? why : "no grant");
        return;
    }
    if (psti_ts_holder(c->target) != NULL) {
        if (!config->policy->share_read_only) {
            refuse(c, NULL);
            return;
        }
        c->observer = true;
        read_only(&c->grants);
    }
    (void)pst_grants_text(&c->grants, text, sizeof text);
    if (psti_ts_log_open(c, text) != PST_OK) {
        refuse(c, "the audit log cannot be written");
        return;
    }
    c->phase = PST_CONTEXT_LIVE;
    open_session_engine(c);
}

/* In words, and at once: the verifier may serve another peer next. The peer is told only that its
 * chain was refused. */
static void chain_refused(void *ctx, const struct pst_cert_refusal *refusal)
{
    struct pst_target_context *c = ctx;
    char text[PST_MAX_REFUSAL];

    pst_cert_refusal_text(refusal, text, sizeof text);
    psti_ts_log_refused(c, text);
    c->refused = true;
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

void psti_ts_spdm_init(struct pst_target_context *c)
{
    c->spdm = *c->target->config->spdm;
    c->spdm.keys = (struct pst_key_port){.ctx = c, .place = place, .drop = drop};
    if (c->target->config->data != NULL) {
        c->spdm.keys.exported = c->target->config->data->exported;
    }
    c->spdm.hooks.ctx = c;
    c->spdm.hooks.peer = NULL; /* who may do what is told after FINISH, in the session */
    c->spdm.hooks.chain_refused = chain_refused;
    c->spdm.hooks.established = established;
    c->spdm.hooks.ended = ended;
    c->spdm.require_mutual = true;
}
