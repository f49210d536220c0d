/* A key port that serves the records of several sessions. */
#include "postern/parts/record.h"

static bool in_use(const struct pst_record *r)
{
    return r->send.ready || r->receive.ready;
}

struct pst_record *pst_record_find(const struct pst_record_set *set, uint32_t session_id)
{
    for (size_t i = 0; i < set->count; i++) {
        struct pst_record *r = &set->records[i];

        if (in_use(r) && r->session_id == session_id) {
            return r;
        }
    }
    return NULL;
}

static struct pst_record *find_free(const struct pst_record_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        if (!in_use(&set->records[i])) {
            return &set->records[i];
        }
    }
    return NULL;
}

static pst_err place(void *ctx, uint32_t session_id, pst_key_phase phase, pst_direction direction,
                     bool encrypt, const struct pst_traffic_key *key)
{
    struct pst_record_set *set = ctx;
    struct pst_record *r = pst_record_find(set, session_id);

    if (r == NULL) {
        r = find_free(set);
    }
    if (r == NULL) {
        return PST_ERR_LIMIT;
    }
    return pst_record_place(r, session_id, phase, direction, encrypt, key);
}

static void drop(void *ctx, uint32_t session_id)
{
    struct pst_record_set *set = ctx;
    struct pst_record *r = pst_record_find(set, session_id);

    if (r != NULL) {
        pst_record_wipe(r);
    }
}

struct pst_key_port pst_record_key_port(struct pst_record_set *set)
{
    return (struct pst_key_port){.ctx = set, .place = place, .drop = drop};
}
