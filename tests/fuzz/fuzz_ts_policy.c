/* Grants: an accepted text must survive being written and read again, and intersecting a grant with
 * another must never enlarge it. */
#include "fuzz/fuzz.h"

#include "postern/policy.h"

static bool within(const struct pst_grants *part, const struct pst_grants *all)
{
    for (uint8_t i = 0; i < part->count; i++) {
        const struct pst_grant_range *r = &part->ranges[i];
        const uint64_t len = r->last - r->first;

        if (!pst_grants_cover(all, r->space, r->rights, r->first, len) ||
            !pst_grants_cover(all, r->space, r->rights, r->last, 1)) {
            return false;
        }
    }
    return true;
}

static void check_text(const struct pst_grants *g)
{
    struct pst_grants again;
    char text[PST_GRANTS_TEXT];
    const size_t len = pst_grants_text(g, text, sizeof text);

    need(len == strlen(text));
    need(pst_grants_parse(&again, text, len, true, NULL) == PST_OK);
    need(within(&again, g) && within(g, &again));
    need(strcmp(again.device, g->device) == 0 && again.epoch == g->epoch &&
         again.until == g->until && again.session_s == g->session_s);
}

static void check_meet(const struct pst_grants *a, const char *other)
{
    struct pst_grants b, both;

    need(pst_grants_parse(&b, other, strlen(other), true, NULL) == PST_OK);
    if (pst_grants_intersect(&both, a, &b) != PST_OK) {
        return;
    }
    need(within(&both, a) && within(&both, &b));
    need(a->until == 0 || (both.until != 0 && both.until <= a->until));
    need(a->session_s == 0 || (both.session_s != 0 && both.session_s <= a->session_s));
    check_text(&both);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct pst_grants g;
    size_t at = 0;

    if (pst_grants_parse(&g, text, size, true, &at) != PST_OK) {
        need(at <= size && g.count == 0);
        return 0;
    }
    check_text(&g);
    check_meet(&g, "debug session=10");
    check_meet(&g, "observe until=5");
    check_meet(&g, "memory:rw:0x1000-0x1fff run device=Acme:*");
    return 0;
}
