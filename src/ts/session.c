/* From an unauthenticated connection to a session with rights: the hooks of the SPDM responder, and
 * the SPP engine of each stage. */
#include <string.h>

#include "ts/ts.h"

static void open_engine(struct pst_target_context *c, const struct pst_spp_engine_config *config)
{
    /* It can only fail on a configuration that pst_target_init has checked. */
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

/* A space works on one access at a time. An access of an observer waits until neither the holder
 * nor another observer has one. */
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

/* An observer reaches only spaces that the holder has opened, and only while there is a holder. */
static pst_err watch_perform(void *ctx, struct pst_access *a)
{
    struct pst_target_watch *w = ctx;
    const struct pst_space *space = watched(w);
    const struct pst_target_context *holder = psti_ts_holder(w->context->target);

    if (holder == NULL || holder->phase != PST_CONTEXT_LIVE ||
        (holder->engine.enabled >> w->number & 1) == 0) {
        w->pending = false; /* the holder has closed the space, which gave the access up */
        return PST_ERR_STATE;
    }
    if (!w->pending && !is_free(w->context->target, holder)) {
        return PST_PENDING;
    }
    pst_err err = space->perform(space->ctx, a);
    w->pending = err == PST_PENDING;
    return err;
}

/* Gives up the access that the observer began: until then the space works for nobody else. */
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

/* An observer reads the holder's spaces. It does not open or close them, and gets no events. */
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

/* THE place where access spaces become reachable: for an authenticated session with grants. */
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

/* Names appear in logs and on screens: printable ASCII only. */
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

/* Reduces the grants to those of an observer. */
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
        c->closing = PST_ERR_AUTH; /* mutual authentication is required */
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

/* Logged at once, because the verifier may serve another peer next. The peer learns only that its
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

/* A context has one session, named by `session_id` from KEY_EXCHANGE on. */
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
    c->spdm.hooks.peer = NULL; /* grants are decided after FINISH, and told inside the session */
    c->spdm.hooks.chain_refused = chain_refused;
    c->spdm.hooks.established = established;
    c->spdm.hooks.ended = ended;
    c->spdm.require_mutual = true;
}
