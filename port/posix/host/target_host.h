/* A target on a libuv loop: listeners, links, the stub behind its supervisor, files, the audit log.
 *
 * Order matters: the supervisor is started before any key is loaded (pst_target_host_prepare), and
 * shares no memory with the agent.
 */
#ifndef POSTERN_POSIX_HOST_TARGET_HOST_H
#define POSTERN_POSIX_HOST_TARGET_HOST_H

#include "openssl/openssl_port.h"
#include "posix/host/audit_file.h"
#include "posix/host/process.h"
#include "posix/host/stub_host.h"
#include "posix/host/target_config.h"
#include "posix/loop/link.h"
#include "postern/profile.h"
#include "postern/target.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_TARGET_HOST_CONTEXTS 8
#define PST_TARGET_HOST_QUEUE (128 * 1024)

struct pst_target_host;
struct pst_target_host_link {
    struct pst_link link;
    struct pst_target_host *host;
    uint32_t id;
    uint64_t up_ms;
    bool used, up, ending;
    struct pst_target_host_call *call; /* NULL: accepted from a listener */
};

/* A peer that the target calls repeatedly, for devices that cannot be called themselves. */
struct pst_target_host_call {
    const struct pst_address *to;
    uint64_t since_ms, next_ms, pause_ms;
    bool busy; /* a link is up or connecting */
};

struct pst_target_host { /* allocate with pst_secret_alloc */
    struct pst_target target;
    void (*note)(void *ctx, const char *text); /* human-readable; may be NULL */
    void *note_ctx;
    /* private */
    const struct pst_target_settings *settings;
    uv_loop_t *loop;
    struct pst_spdm_config spdm;
    struct pst_target_config config;
    struct pst_link_config link_config, call_config;
    struct pst_policy policy;
    struct pst_audit_file audit;
    struct pst_stub_host_config stub_config;
    struct pst_stub_host stub;
    struct pst_memory memory;
    struct pst_space memory_space, run_space;
    struct pst_listener *listeners[PST_CONFIG_LISTS];
    struct pst_target_host_call calls[PST_CONFIG_LISTS];
    uv_timer_t timer;
    uv_prepare_t prepare;
    uv_signal_t signals[2];
    bool stopping, stopped, stub_on;
    uint64_t stop_ms;
    uint64_t release_ms; /* deadline for a stub that does not detach; 0: none */
    uint32_t next_id;
    struct pst_target_path paths[PST_TARGET_HOST_CONTEXTS];
    struct pst_target_context contexts[PST_TARGET_HOST_CONTEXTS];
    struct pst_target_buffers buffers[PST_TARGET_HOST_CONTEXTS];
    uint8_t queues[PST_TARGET_HOST_CONTEXTS][PST_TARGET_HOST_QUEUE];
    uint8_t mailboxes[PST_TARGET_HOST_CONTEXTS][2 * PST_PROFILE_TRANSFER];
    struct pst_target_host_link links[PST_TARGET_LINKS];
};

/* Opens audit log and files, starts the supervisor as `program supervisor ...`. `settings` are
 * finished and outlive the host. PST_ERR_IO, PST_ERR_AUDIT with `why`. */
PST_MUST_CHECK pst_err pst_target_host_prepare(struct pst_target_host *h,
                                               const struct pst_target_settings *settings,
                                               const char *program, char *why, size_t why_cap);
/* Listens and calls. `identity` and `trust` outlive the host. PST_ERR_IO with `why`. */
PST_MUST_CHECK pst_err pst_target_host_start(struct pst_target_host *h, uv_loop_t *loop,
                                             const struct pst_identity *identity,
                                             const struct pst_trust *trust, char *why,
                                             size_t why_cap);
/* Runs until SIGTERM or SIGINT, then ends every session in order. */
void pst_target_host_run(struct pst_target_host *h);
/* Closes everything that prepare and start have opened, also after a failure; wipes. */
void pst_target_host_close(struct pst_target_host *h);

#ifdef __cplusplus
}
#endif

#endif
