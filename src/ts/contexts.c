/* Contexts, links and clocks of a target, as its other files look them up. */
#include "ts/ts.h"

struct pst_target_link *psti_ts_link(struct pst_target *t, uint32_t id)
{
    for (size_t i = 0; i < PST_TARGET_LINKS; i++) {
        if (t->links[i].traits != NULL && t->links[i].id == id) {
            return &t->links[i];
        }
    }
    return NULL;
}

struct pst_target_context *psti_ts_holder(struct pst_target *t)
{
    for (size_t i = 0; i < t->count; i++) {
        struct pst_target_context *c = &t->contexts[i];
        bool holds =
            c->phase == PST_CONTEXT_LIVE || (c->phase == PST_CONTEXT_ENDING && c->name[0] != '\0');
        if (holds && !c->observer) {
            return c;
        }
    }
    return NULL;
}

uint64_t psti_ts_now(const struct pst_target *t)
{
    return t->config->spdm->now_ms(t->config->spdm->now_ctx);
}

uint64_t psti_ts_wall(const struct pst_target *t)
{
    const struct pst_audit_sink *sink = &t->config->audit;
    return sink->wall_s == NULL ? 0 : sink->wall_s(sink->ctx);
}

bool psti_ts_runs_over(const struct pst_target_context *c, uint32_t link)
{
    return (c->link == link && !c->orphan) ||
           (c->data != NULL && c->data->bound && c->data->link == link);
}
