/* Data links: the debug data of a session on a link of its own, in records under keys that the
 * session exported. The first record that opens binds the link to the session. */
#include <string.h>

#include "ts/ts.h"

/* Without a free path the session has no data link: its debug data travels with its SPDM. */
static pst_err exported(void *ctx, uint32_t session_id, const struct pst_export *e)
{
    struct pst_target_context *c = ctx;
    const struct pst_target_config *config = c->target->config;
    const struct pst_record_config record = {.crypto = c->spdm.crypto, .sends = PST_TO_REQUESTER};

    for (size_t i = 0; c->native && i < config->path_count; i++) {
        struct pst_target_path *p = &config->paths[i];

        if (p->context == NULL) {
            PST_TRY(pst_data_init(&p->records, &record, session_id, e));
            p->context = c;
            p->bound = false;
            c->data = p;
            break;
        }
    }
    return PST_OK;
}

/* The rule: only an established session has a data link, and only as long as its management link
 * lives. */
static bool is_open(const struct pst_target_path *p)
{
    const struct pst_target_context *c = p->context;

    return c != NULL && c->closing == PST_OK &&
           (c->phase == PST_CONTEXT_LIVE || c->phase == PST_CONTEXT_REFUSED);
}

static struct pst_target_path *find(const struct pst_target_config *config, uint32_t link,
                                    uint32_t session_id)
{
    struct pst_target_path *unbound = NULL;

    for (size_t i = 0; i < config->path_count; i++) {
        struct pst_target_path *p = &config->paths[i];

        if (!is_open(p) || p->context->session_id != session_id) {
            continue;
        }
        if (p->bound && p->link == link) {
            return p;
        }
        unbound = p->bound ? unbound : p;
    }
    return unbound;
}

static void receive(struct pst_target *t, const struct pst_target_link *link, uint32_t session_id,
                    uint8_t *msg, size_t len)
{
    struct pst_target_path *p = find(t->config, link->id, session_id);
    struct pst_bytes batch;

    if (p == NULL || link->traits->lossy || link->traits->inner != 0) {
        return;
    }
    if (!p->bound) {
        pst_data_shape(&p->records, link->traits->sequence_len);
    }
    pst_err err = pst_data_open(&p->records, msg, len, &batch);
    if (err != PST_OK) {
        /* Before the link is bound, a bad record may come from anybody. After too many of them the
         * session goes on without a data link. */
        if (p->bound) {
            psti_ts_bad_record(p->context, link->traits, err);
        } else if (err == PST_ERR_LIMIT) {
            t->config->data->release(p->context);
        }
        return;
    }
    p->bound = true;
    p->link = link->id;
    err = psti_ts_take_batch(p->context, batch.at, batch.len);
    if (err != PST_OK) {
        psti_ts_teardown(p->context, err);
    }
}

static size_t path_output(struct pst_target_path *p, uint8_t *out, size_t cap)
{
    const size_t head = pst_data_head(&p->records);
    size_t room = cap - head - PST_TAG_LEN;

    if (room > PST_RECORD_MAX_PAYLOAD) {
        room = PST_RECORD_MAX_PAYLOAD;
    }
    size_t len = pst_spp_engine_output(&p->context->engine, out + head, room);
    if (len == 0) {
        return 0;
    }
    pst_err err = pst_data_seal(&p->records, out, cap, len, &len);
    if (err != PST_OK) {
        psti_ts_teardown(p->context, err);
        return 0;
    }
    return len;
}

static size_t output(struct pst_target *t, const struct pst_target_link *link, uint8_t *out,
                     size_t cap)
{
    for (size_t i = 0; i < t->config->path_count; i++) {
        struct pst_target_path *p = &t->config->paths[i];

        if (!is_open(p) || !p->bound || p->link != link->id) {
            continue;
        }
        size_t len = path_output(p, out, cap);
        if (len > 0) {
            return len;
        }
    }
    return 0;
}

static bool others_run_over(const struct pst_target_context *c, uint32_t link)
{
    const struct pst_target *t = c->target;

    for (size_t i = 0; i < t->count; i++) {
        const struct pst_target_context *other = &t->contexts[i];
        if (other != c && other->phase != PST_CONTEXT_FREE && psti_ts_runs_over(other, link)) {
            return true;
        }
    }
    return false;
}

static void release(struct pst_target_context *c)
{
    struct pst_target_path *p = c->data;
    struct pst_target_link *link = p->bound ? psti_ts_link(c->target, p->link) : NULL;

    if (link != NULL && !others_run_over(c, link->id)) {
        link->close = !link->traits->shared;
    }
    pst_data_wipe(&p->records);
    p->bound = false;
    p->context = NULL;
    c->data = NULL;
}

const struct pst_target_data pst_target_data = {
    .exported = exported,
    .receive = receive,
    .output = output,
    .release = release,
};
