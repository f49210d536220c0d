/* Policy: who may do what, where, until when, on which device.
 *
 * An engineer's certificate carries a grant, and the policy of the TS carries another. The
 * effective grant is their intersection, computed once when the session opens. A certificate
 * without a grant grants nothing. Both use the same syntax:
 *
 *     debug                          everything, the whole device
 *     observe                        read memory, read run state
 *     memory:r:0x80000000-0x8000ffff read that range (rw: and write it)
 *     run                            run control and registers: a whole-device grant
 *     run:r                          read run state, no run control
 *     halt                           stop, step and resume, but no register writes: enough to read
 *                                    memory through a stub that must halt the CPU for it
 *     trace                          trace sources
 *     stream                         byte streams, both ways
 *     device=Acme:Pump:*             only on these devices (a trailing * matches any rest)
 *     epoch=3                        refused if it is below the TS's floor
 *     until=1767225600               seconds since 1970, where the TS has a trusted clock
 *     session=3600                   longest session, in seconds
 *
 * Clauses are separated by spaces, commas or semicolons. Numbers are decimal or 0x hexadecimal; a
 * range includes its last address. Each setting (word=value) may appear once. `run` and `debug`
 * reach all memory, so a grant that combines them with a range of memory is refused, unless the
 * policy says that hardware keeps run control out of other memory (`fenced`). */
#ifndef POSTERN_POLICY_H
#define POSTERN_POLICY_H

#include "postern/cert.h"
#include "postern/parts/spp.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_MAX_RANGES 8

struct pst_grant_range {
    uint8_t space, rights;
    uint64_t first, last;
};
struct pst_grants {
    struct pst_grant_range ranges[PST_MAX_RANGES];
    uint8_t count;             /* 0: nothing is granted */
    char device[PST_MAX_NAME]; /* "": any */
    uint32_t epoch;
    uint64_t until;     /* seconds since 1970; 0: no end in this grant */
    uint32_t session_s; /* 0: no limit in this grant */
};

struct pst_policy { /* const, the TS's side */
    struct pst_grants allow;
    uint32_t epoch_floor;
    bool fenced;          /* hardware keeps run control out of memory that is not granted */
    bool share_read_only; /* a second engineer may observe */
    bool hold_on_end;     /* leave the CPU halted at the end of a session */
    bool allow_mac_only;
};

/* Reads a grant of `len` bytes of text. PST_ERR_DECODE: a malformed or unknown clause at offset
 * `*at` (`at` may be NULL). PST_ERR_LIMIT: more than PST_MAX_RANGES ranges. PST_ERR_DENIED:
 * whole-device rights together with a range of memory, and not `fenced`. On error `g` is all zero.
 */
PST_MUST_CHECK pst_err pst_grants_parse(struct pst_grants *g, const char *text, size_t len,
                                        bool fenced, size_t *at);
/* The intersection: never more than `a` or `b` allows. `out` may be `a` or `b`. If they have
 * nothing in common, or no device, the result is PST_OK with a `count` of 0. PST_ERR_LIMIT: it
 * needs more than PST_MAX_RANGES ranges; `out` is untouched. */
PST_MUST_CHECK pst_err pst_grants_intersect(struct pst_grants *out, const struct pst_grants *a,
                                            const struct pst_grants *b);
/* Decides what this peer may do on `device` at `now` (seconds since 1970, 0: no trusted clock).
 * PST_ERR_DENIED with `*why` set to a constant text and `out` all zero; else PST_OK and `out`. Its
 * `until` is not later than the end of the certificate, and its `epoch` is the certificate's, which
 * must not be below `policy->epoch_floor` or `policy->allow.epoch`. The certificate must carry the
 * EKU of its SPDM role. */
PST_MUST_CHECK pst_err pst_policy_decide(const struct pst_policy *policy,
                                         const struct pst_peer *peer, const char *device,
                                         uint64_t now, struct pst_grants *out, const char **why);
/* True if all of `rights` are granted on every byte of [address, address + len) in `space`; several
 * ranges may cover it together. False if the end wraps around. A `len` of 0 counts as 1. With
 * `rights` 0 it tells whether anything at all is granted in `space`. */
bool pst_grants_cover(const struct pst_grants *g, uint8_t space, uint8_t rights, uint64_t address,
                      uint64_t len);
/* Writes the grant as text, at most `cap` bytes with the NUL, and returns the length without the
 * NUL. If it does not fit, whole clauses are left out and the text ends in " ..."; PST_GRANTS_TEXT
 * bytes are always enough. */
#define PST_GRANTS_TEXT 640
size_t pst_grants_text(const struct pst_grants *g, char *out, size_t cap);

#ifdef __cplusplus
}
#endif

#endif
