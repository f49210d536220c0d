/* What a peer may do: the intersection of its grant with the policy. */
#include <string.h>

#include "ts/grants.h"

/* --- intersection --- */

static uint64_t sooner(uint64_t a, uint64_t b)
{
    if (a == 0 || b == 0) {
        return a + b;
    }
    return a < b ? a : b;
}

/* Does every device that `narrow` names also match `wide`? */
static bool device_within(const char *wide, const char *narrow)
{
    const size_t len = strlen(wide);

    if (len == 0) {
        return true;
    }
    if (wide[len - 1] != '*') {
        return strcmp(wide, narrow) == 0;
    }
    return strlen(narrow) >= len - 1 && memcmp(wide, narrow, len - 1) == 0;
}

static bool intersect_range(const struct pst_grant_range *a, const struct pst_grant_range *b,
                            struct pst_grant_range *out)
{
    *out = (struct pst_grant_range){
        .space = a->space,
        .rights = a->rights & b->rights,
        .first = a->first > b->first ? a->first : b->first,
        .last = a->last < b->last ? a->last : b->last,
    };
    return a->space == b->space && out->rights != 0 && out->first <= out->last;
}

static pst_err intersect_ranges(struct pst_grants *out, const struct pst_grants *a,
                                const struct pst_grants *b)
{
    struct pst_grant_range r;

    for (uint8_t i = 0; i < a->count; i++) {
        for (uint8_t k = 0; k < b->count; k++) {
            if (intersect_range(&a->ranges[i], &b->ranges[k], &r)) {
                PST_TRY(psti_grants_add(out, r));
            }
        }
    }
    return PST_OK;
}

pst_err pst_grants_intersect(struct pst_grants *out, const struct pst_grants *a,
                             const struct pst_grants *b)
{
    struct pst_grants g = {
        .epoch = a->epoch < b->epoch ? a->epoch : b->epoch,
        .until = sooner(a->until, b->until),
        .session_s = (uint32_t)sooner(a->session_s, b->session_s),
    };
    const bool a_wider = device_within(a->device, b->device);

    memcpy(g.device, a_wider ? b->device : a->device, sizeof g.device);
    /* Grants for different devices have nothing in common. */
    if (a_wider || device_within(b->device, a->device)) {
        PST_TRY(intersect_ranges(&g, a, b));
    }
    *out = g;
    return PST_OK;
}

/* --- decision --- */

static pst_err refuse(const char **why, const char *text)
{
    *why = text;
    return PST_ERR_DENIED;
}

static uint32_t epoch_floor(const struct pst_policy *policy)
{
    return policy->epoch_floor > policy->allow.epoch ? policy->epoch_floor : policy->allow.epoch;
}

/* What the certificate asks for, into `out`. */
static pst_err parse_asked(const struct pst_policy *policy, const struct pst_peer *peer,
                           struct pst_grants *out, const char **why)
{
    if (!peer->role_eku) {
        return refuse(why,
                      "the certificate is not for a debugger: its extended key usage lacks the "
                      "requester's role");
    }
    if (peer->grant_len == 0 || peer->grant_len > sizeof peer->grant) {
        return refuse(why, "the certificate carries no grant");
    }
    const pst_err err =
        pst_grants_parse(out, (const char *)peer->grant, peer->grant_len, policy->fenced, NULL);
    if (err == PST_ERR_DENIED) {
        return refuse(why, "the grant combines whole-device rights with memory ranges");
    }
    return err == PST_OK ? PST_OK : refuse(why, "the certificate's grant is malformed");
}

/* Works in `out`, because two sets of grants are too large for a small stack. */
static pst_err decide(const struct pst_policy *policy, const struct pst_peer *peer,
                      const char *device, uint64_t now, struct pst_grants *out, const char **why)
{
    PST_TRY(parse_asked(policy, peer, out, why));
    const uint32_t epoch = out->epoch;

    if (!device_within(out->device, device)) {
        return refuse(why, "the grant is for another device");
    }
    if (!device_within(policy->allow.device, device)) {
        return refuse(why, "the policy is for another device");
    }
    if (epoch < epoch_floor(policy)) {
        return refuse(why, "the grant was revoked: its epoch is below the target's floor");
    }
    if (pst_grants_intersect(out, out, &policy->allow) != PST_OK) {
        return refuse(why, "the grant and the policy together need too many ranges");
    }
    if (out->count == 0) {
        return refuse(why, "the grant and the policy have nothing in common");
    }
    out->epoch = epoch;
    out->until = sooner(out->until, peer->not_after);
    if (now != 0 && out->until != 0 && now >= out->until) {
        return refuse(why, "the grant has expired");
    }
    return PST_OK;
}

pst_err pst_policy_decide(const struct pst_policy *policy, const struct pst_peer *peer,
                          const char *device, uint64_t now, struct pst_grants *out,
                          const char **why)
{
    const pst_err err = decide(policy, peer, device, now, out, why);

    if (err != PST_OK) {
        memset(out, 0, sizeof *out);
    }
    return err;
}
