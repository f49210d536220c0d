/* The target: links, contexts, time, and which message goes to which context. */
#include "postern/target.h"

#include <string.h>

#include "ts/ts.h"

#define DEFAULT_HANDSHAKE_MS 10000
#define REFUSED_MS 5000 /* time for the peer to read the reason */

pst_err pst_target_init(struct pst_target *t, const struct pst_target_config *config,
                        struct pst_target_context *contexts,
                        const struct pst_target_buffers *buffers, size_t count)
{
    if (!psti_ts_config_fits(config, buffers, count)) {
        return PST_ERR_CONFIG;
    }
    memset(t, 0, sizeof *t);
    t->config = config;
    t->contexts = contexts;
    t->count = count;
    for (size_t i = 0; i < count; i++) {
        struct pst_target_context *c = &contexts[i];
        memset(c, 0, sizeof *c);
        c->target = t;
        c->session_id = PST_SPDM_CLEAR;
        c->queue = buffers[i].queue;
        c->queue_len = buffers[i].queue_len;
        psti_ts_gate_init(c);
        psti_ts_mailbox_init(c, &buffers[i]);
        psti_ts_spdm_init(c);
    }
    for (size_t i = 0; i < config->path_count; i++) {
        memset(&config->paths[i], 0, sizeof config->paths[i]);
    }
    return PST_OK;
}

pst_err pst_target_link_up(struct pst_target *t, uint32_t link,
                           const struct pst_link_traits *traits)
{
    const uint8_t numbers = traits->sequence_len;

    if (traits->mtu < PST_LINK_MIN_MESSAGE || (numbers != 0 && numbers != 2 && numbers != 8) ||
        (traits->lossy && numbers == 0)) {
        return PST_ERR_ARGUMENT;
    }
    if (psti_ts_link(t, link) != NULL) {
        return PST_ERR_STATE;
    }
    for (size_t i = 0; i < PST_TARGET_LINKS; i++) {
        if (t->links[i].traits == NULL) {
            t->links[i] = (struct pst_target_link){.id = link, .traits = traits};
            return PST_OK;
        }
    }
    return PST_ERR_LIMIT;
}

void pst_target_link_down(struct pst_target *t, uint32_t link)
{
    for (size_t i = 0; i < t->count; i++) {
        struct pst_target_context *c = &t->contexts[i];
        if (c->phase != PST_CONTEXT_FREE && psti_ts_runs_over(c, link)) {
            psti_ts_teardown(c, PST_ERR_IO);
            c->orphan =
                c->link ==
                link; /* the number may be given to another link before the context is released */
        }
    }
    struct pst_target_link *l = psti_ts_link(t, link);
    if (l != NULL) {
        memset(l, 0, sizeof *l);
    }
}

/* On a native link an SPDM message must fit one link message; in band the mailbox reassembles it.
 */
static void choose_way(struct pst_target_context *c, const struct pst_target_link *link,
                       bool native)
{
    const struct pst_target_config *config = c->target->config;

    c->native = native;
    c->spdm.transfer_size = config->spdm->transfer_size;
    c->spdm.message_size = config->spdm->message_size;
    c->spdm.hooks.vendor = NULL;
    if (!native) {
        return;
    }
    if (c->spdm.transfer_size > link->traits->mtu - PST_RECORD_OVERHEAD) {
        c->spdm.transfer_size = link->traits->mtu - PST_RECORD_OVERHEAD;
    }
    c->spdm.message_size = 0;
    c->spdm.hooks.vendor = config->native->vendor;
}

static pst_err open_context(struct pst_target_context *c, const struct pst_target_link *link,
                            bool native)
{
    const struct pst_record_config record = {
        .crypto = c->spdm.crypto,
        .sends = PST_TO_REQUESTER,
        .sequence_len = link->traits->sequence_len,
        .window = link->traits->lossy,
    };
    c->link = link->id;
    c->protected_ = c->keyed = c->observer = c->orphan = c->refused = false;
    c->closing = PST_OK;
    c->refusal = NULL;
    c->reads = c->read_bytes = c->effects = 0;
    c->name[0] = '\0';
    c->since_ms = psti_ts_now(c->target);
    c->session_id = PST_SPDM_CLEAR;
    choose_way(c, link, native);
    psti_ts_mailbox_clear(c);
    PST_TRY(pst_record_init(&c->record, &record));
    PST_TRY(pst_responder_init(&c->responder, &c->spdm));
    PST_TRY(psti_ts_open_bootstrap(c));
    c->phase = PST_CONTEXT_PENDING;
    return PST_OK;
}

/* The pending context of this link, opened if a context is free; NULL: none is. There are at least
 * two contexts, so the holder's cannot be taken. A context that has agreed on keys accepts records
 * only: a clear message is from another peer. */
static struct pst_target_context *pending_context(struct pst_target *t,
                                                  const struct pst_target_link *link, bool native)
{
    struct pst_target_context *free_one = NULL;
    for (size_t i = 0; i < t->count; i++) {
        struct pst_target_context *c = &t->contexts[i];
        if (c->phase == PST_CONTEXT_PENDING && c->link == link->id && !c->orphan && !c->keyed &&
            !c->protected_ && c->native == native) {
            return c;
        }
        if (c->phase == PST_CONTEXT_FREE && free_one == NULL) {
            free_one = c;
        }
    }
    if (free_one == NULL || open_context(free_one, link, native) != PST_OK) {
        return NULL;
    }
    return free_one;
}

static struct pst_target_context *session_context(struct pst_target *t, uint32_t link, uint32_t id)
{
    for (size_t i = 0; i < t->count; i++) {
        struct pst_target_context *c = &t->contexts[i];
        if (c->phase != PST_CONTEXT_FREE && c->phase != PST_CONTEXT_ENDING && c->link == link &&
            id != PST_SPDM_CLEAR && c->session_id == id) {
            return c;
        }
    }
    return NULL;
}

/* The first record has opened. A batch is answered with the protection that it came with, so no
 * clear batch may still wait. And nothing that was written in the clear may stay in the mailbox,
 * where a command from a record could run it. */
static bool become_protected(struct pst_target_context *c)
{
    if (c->protected_) {
        return true;
    }
    if (pst_spp_engine_waiting(&c->engine) || c->mailbox.running) {
        return false;
    }
    psti_ts_mailbox_clear(c);
    c->protected_ = true;
    return true;
}

/* The content of a link message or record: for the responder, or for the engine. */
static void take_payload(struct pst_target_context *c, const uint8_t *at, size_t len)
{
    if (c->native) {
        c->target->config->native->receive(c, at, len);
        return;
    }
    pst_err err = psti_ts_take_batch(c, at, len);
    if (err != PST_OK) {
        psti_ts_teardown(c, err);
    }
}

/* A context uses this link, so a newcomer for whom none is free must not close it. */
static bool is_used(const struct pst_target *t, const struct pst_target_link *link)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct pst_target_context *c = &t->contexts[i];
        if (c->phase != PST_CONTEXT_FREE && psti_ts_runs_over(c, link->id)) {
            return true;
        }
    }
    return false;
}

static pst_err receive_clear(struct pst_target *t, struct pst_target_link *link, bool native,
                             const uint8_t *msg, size_t len)
{
    struct pst_target_context *c = pending_context(t, link, native);
    if (c == NULL) {
        link->busy = native;
        return native || is_used(t, link) ? PST_OK : PST_ERR_BUSY;
    }
    take_payload(c, msg, len);
    return PST_OK;
}

/* false: the byte that this path puts before an SPDM message is missing. */
static bool strip_inner(const struct pst_target_context *c, const struct pst_link_traits *traits,
                        struct pst_bytes *message)
{
    if (!c->native || traits->inner == 0) {
        return true;
    }
    if (message->len == 0 || *message->at != traits->inner) {
        return false;
    }
    message->at++;
    message->len--;
    return true;
}

static void receive_record(struct pst_target *t, const struct pst_target_link *link, uint8_t *msg,
                           size_t len)
{
    uint32_t id;
    struct pst_bytes batch;
    pst_key_phase phase;

    if (pst_record_session(msg, len, &id) != PST_OK) {
        return;
    }
    struct pst_target_context *c = session_context(t, link->id, id);
    if (c == NULL) { /* spec: DSP0274: a record of an unknown session is dropped silently */
        if (t->config->data != NULL) {
            t->config->data->receive(t, link, id, msg, len);
        }
        return;
    }
    pst_err err = pst_record_open(&c->record, msg, len, &batch, &phase);
    if (err != PST_OK) {
        psti_ts_bad_record(c, link->traits, err);
        return;
    }
    pst_responder_heard(&c->responder, id);
    /* Handshake keys reach the bootstrap engine only. The session's engine is opened with the
     * application keys, and the handshake keys are gone by then. */
    bool session = c->phase == PST_CONTEXT_LIVE || c->phase == PST_CONTEXT_REFUSED;
    if (session != (phase == PST_KEYS_APPLICATION)) {
        psti_ts_teardown(c, PST_ERR_UNEXPECTED);
        return;
    }
    if (!become_protected(c)) {
        return;
    }
    if (!strip_inner(c, link->traits, &batch)) {
        psti_ts_teardown(c, PST_ERR_DECODE);
        return;
    }
    take_payload(c, batch.at, batch.len);
}

pst_err pst_target_receive(struct pst_target *t, uint32_t link, uint8_t kind, uint8_t *msg,
                           size_t len)
{
    struct pst_target_link *l = psti_ts_link(t, link);
    if (l == NULL) {
        return PST_ERR_ARGUMENT;
    }
    if (kind == PST_LINK_CLEAR) {
        PST_TRY(receive_clear(t, l, false, msg, len));
    } else if (kind == PST_LINK_SPDM && t->config->native != NULL) {
        PST_TRY(receive_clear(t, l, true, msg, len));
    } else if (kind == PST_LINK_RECORD) {
        receive_record(t, l, msg, len);
    }
    return l->close ? PST_ERR_CLOSED : PST_OK;
}

/* The next link message of one context, whole; 0: none. */
static size_t context_output(struct pst_target_context *c, const struct pst_link_traits *traits,
                             uint8_t *kind, uint8_t *out, size_t cap)
{
    bool record = c->protected_;
    size_t inner = record && c->native && traits->inner != 0 ? 1 : 0;
    size_t head = (record ? pst_record_head(&c->record) : 0) + inner;
    size_t tail = record ? PST_TAG_LEN : 0;
    if (cap < head + tail + 64) {
        return 0;
    }
    size_t room = cap - head - tail;
    if (record && room > PST_RECORD_MAX_PAYLOAD) {
        room = PST_RECORD_MAX_PAYLOAD;
    }
    size_t len = c->native ? c->target->config->native->output(c, out + head, room)
                           : pst_spp_engine_output(&c->engine, out + head, room);
    if (len == 0) {
        return 0;
    }
    *kind = record ? PST_LINK_RECORD : c->native ? PST_LINK_SPDM : PST_LINK_CLEAR;
    if (record) {
        if (inner > 0) {
            out[head - 1] = traits->inner;
        }
        pst_err err = pst_record_seal(&c->record, out, cap, len + inner, 0, &len);
        if (err != PST_OK) {
            psti_ts_teardown(c, err);
            return 0;
        }
    }
    if (c->mailbox.delivered) {
        c->mailbox.delivered = false;
        c->keyed = c->keyed || c->record.receive.ready;
        pst_responder_sent(&c->responder);
    }
    return len;
}

/* spec: DSP0274, ERROR: Busy */
static const uint8_t busy_answer[4] = {0x10, 0x7F, 0x03, 0x00};

size_t pst_target_output(struct pst_target *t, uint32_t link, uint8_t *kind, uint8_t *out,
                         size_t cap)
{
    struct pst_target_link *l = psti_ts_link(t, link);
    if (l == NULL) {
        return 0;
    }
    if (l->busy) {
        l->busy = false;
        *kind = PST_LINK_SPDM;
        memcpy(out, busy_answer, sizeof busy_answer);
        return sizeof busy_answer;
    }
    cap = cap < l->traits->mtu ? cap : l->traits->mtu;
    for (size_t i = 0; i < t->count; i++) {
        struct pst_target_context *c = &t->contexts[i];
        if (c->link != link || c->phase == PST_CONTEXT_FREE || c->phase == PST_CONTEXT_ENDING) {
            continue;
        }
        size_t len = c->closing == PST_OK ? context_output(c, l->traits, kind, out, cap) : 0;
        if (c->closing != PST_OK) {
            psti_ts_teardown(c, c->closing);
        }
        if (len > 0) {
            return len;
        }
    }
    *kind = PST_LINK_RECORD;
    return t->config->data != NULL ? t->config->data->output(t, l, out, cap) : 0;
}

bool pst_target_wants_close(const struct pst_target *t, uint32_t link)
{
    for (size_t i = 0; i < PST_TARGET_LINKS; i++) {
        if (t->links[i].traits != NULL && t->links[i].id == link) {
            return t->links[i].close;
        }
    }
    return false;
}

static void expire(struct pst_target_context *c, uint64_t now)
{
    const struct pst_target_config *config = c->target->config;
    uint64_t age = now - c->since_ms;
    uint64_t limit = UINT64_MAX;
    uint64_t wall = psti_ts_wall(c->target);

    if (c->phase == PST_CONTEXT_PENDING) {
        limit = config->handshake_ms > 0 ? config->handshake_ms : DEFAULT_HANDSHAKE_MS;
    } else if (c->phase == PST_CONTEXT_REFUSED) {
        limit = REFUSED_MS;
    } else if (c->phase == PST_CONTEXT_LIVE) {
        uint32_t own = c->grants.session_s, all = config->session_s;
        uint32_t seconds = own > 0 && (all == 0 || own < all) ? own : all;
        limit = seconds > 0 ? (uint64_t)seconds * 1000 : UINT64_MAX;
        if (c->grants.until > 0 && wall >= c->grants.until) {
            limit = 0;
        }
    }
    if (age >= limit) {
        psti_ts_teardown(c, c->phase == PST_CONTEXT_LIVE ? PST_ERR_LIMIT : PST_ERR_TIMEOUT);
    }
}

uint64_t pst_target_poll(struct pst_target *t)
{
    uint64_t next = UINT64_MAX;
    uint64_t now = psti_ts_now(t);

    for (size_t i = 0; i < t->count; i++) {
        struct pst_target_context *c = &t->contexts[i];
        if (c->phase == PST_CONTEXT_FREE) {
            continue;
        }
        if (c->phase != PST_CONTEXT_ENDING) {
            uint64_t wake = pst_responder_poll(&c->responder);
            next = wake < next ? wake : next;
            expire(c, now);
        }
        if (c->closing != PST_OK) {
            psti_ts_teardown(c, c->closing);
        }
        psti_ts_teardown_poll(c);
        next = next < 250 ? next : 250; /* contexts in use are checked four times a second */
    }
    return next;
}

pst_err pst_target_stop(struct pst_target *t, pst_err why)
{
    pst_err err = PST_OK;
    for (size_t i = 0; i < t->count; i++) {
        psti_ts_teardown(&t->contexts[i], why);
        psti_ts_teardown_poll(&t->contexts[i]);
        if (t->contexts[i].phase != PST_CONTEXT_FREE) {
            err = PST_PENDING;
        }
    }
    return err;
}

bool pst_target_releasing(const struct pst_target *t)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->contexts[i].phase == PST_CONTEXT_ENDING) {
            return true;
        }
    }
    return false;
}
