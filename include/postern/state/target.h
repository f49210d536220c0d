/* The state of a target. Private: use target.h; this is public only so that callers can own the
 * memory. */
#ifndef POSTERN_STATE_TARGET_H
#define POSTERN_STATE_TARGET_H

#include "postern/parts/data.h"
#include "postern/parts/record.h"
#include "postern/parts/responder.h"
#include "postern/parts/spp.h"
#include "postern/policy.h"

#ifdef __cplusplus
extern "C" {
#endif

#ifndef PST_TARGET_LINKS /* most links at a time; firmware with one UART needs one */
#define PST_TARGET_LINKS 16
#endif

typedef enum {
    PST_CONTEXT_FREE,
    PST_CONTEXT_PENDING, /* not authenticated: bootstrap engine, SPDM only */
    PST_CONTEXT_REFUSED, /* authenticated, but without rights: the target is held by another
                            session, or there is no grant */
    PST_CONTEXT_LIVE,
    PST_CONTEXT_ENDING, /* keys are wiped; spaces are being released */
} pst_context_phase;

struct pst_mailbox { /* the SCM access space of one context */
    uint8_t *request, *answer;
    size_t half;
    size_t request_len, answer_len;
    bool running;   /* the responder works on the request */
    bool delivered; /* the whole answer was read: keys may change once that read is sealed */
};

struct pst_target_watch { /* one access space as an observer sees it */
    struct pst_target_context *context;
    uint8_t number;
    bool pending; /* the space is working on an access of this observer */
};

struct pst_target_context {
    struct pst_target *target;
    pst_context_phase phase;
    uint32_t link;
    bool protected_; /* its batches came in records */
    bool keyed;      /* KEY_EXCHANGE_RSP was sent: the peer's next messages are records */
    bool observer;   /* live, sharing the target read-only */
    bool orphan;     /* its link is gone, but its spaces are still being released */
    bool native;     /* its link messages are SPDM messages, not batches */
    bool refused;    /* the log says that its certificate chain was refused, and why */
    pst_err closing; /* not PST_OK: end it once everything pending is sent */
    const char *refusal;
    struct pst_spdm_config spdm;
    struct pst_responder responder;
    struct pst_record record;
    struct pst_spp_engine engine;
    struct pst_mailbox mailbox;
    struct pst_space scm;
    struct pst_space shared[2]; /* MEMORY and RUN as an observer sees them */
    struct pst_target_watch watch[2];
    struct pst_gate gate;
    struct pst_grants grants;
    char name[PST_MAX_NAME];
    uint8_t fingerprint[8];
    bool time_checked;          /* the clock was trusted when the certificate was checked */
    uint64_t since_ms, since_s; /* start of this phase; since_s is 0 without a trusted clock */
    uint64_t reads, read_bytes, effects;
    uint32_t session_id;
    uint8_t *queue;
    size_t queue_len;
    struct pst_target_path *data; /* NULL: debug data travels on the link of the SPDM messages */
};

struct pst_target_path {                /* the data link of one session */
    struct pst_target_context *context; /* NULL: free */
    struct pst_data records;
    uint32_t link;
    bool bound; /* a record that came on `link` has opened */
};

struct pst_target_link {
    uint32_t id;
    const struct pst_link_traits *traits; /* NULL: free */
    bool close;
    bool busy; /* a Busy answer must be sent */
};

struct pst_target_repeats { /* recent batches of run control (see audit.h) */
    struct {
        char what[54];
        uint8_t len; /* 0: no entry here or after it */
        bool announced;
    } recent[4]; /* newest first */
    uint8_t left;
    uint64_t line, ms; /* of the announcement */
};

struct pst_target {
    const struct pst_target_config *config;
    struct pst_target_context *contexts;
    size_t count;
    struct pst_target_link links[PST_TARGET_LINKS];
    uint64_t lines;       /* of the audit log */
    uint64_t refusals_ms; /* start of the current second of refusals */
    uint32_t refusals;    /* in that second */
    uint32_t refusals_suppressed;
    bool audit_failed;
    struct pst_target_repeats repeats; /* of the holder's session */
};

#ifdef __cplusplus
}
#endif

#endif
