/* A debugger on a libuv loop, over one link or over two: one for the management (out of band), one
   for the debug data.

   Operations that are submitted in one turn of the loop travel together. However the session ends,
   every operation is completed before `ended` is called, once. */
#ifndef POSTERN_POSIX_HOST_DEBUGGER_HOST_H
#define POSTERN_POSIX_HOST_DEBUGGER_HOST_H

#include "openssl/openssl_port.h"
#include "posix/host/process.h"
#include "posix/loop/link.h"
#include "postern/debugger.h"
#include "postern/profile.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_DEBUGGER_HOST_TEXT (PST_ADDRESS_TEXT + 480)

typedef enum { /* the kind of end, from which the tools derive their exit codes */
               PST_END_ASKED,
               PST_END_LINK,    /* no connection, or not a Postern peer */
               PST_END_AUTH,    /* authentication, identity, certificates, algorithms */
               PST_END_REFUSED, /* no grant, or another engineer holds the target */
               PST_END_LOST,    /* it was ready and then failed */
} pst_end;

struct pst_debugger_host_config { /* copied */
    const struct pst_identity *identity;
    const struct pst_trust *trust;
    const char *device; /* NULL: any */
    uint8_t spaces;
    uint32_t answer_ms; /* 0: 10,000 */
    void *ctx;
    void (*ready)(void *ctx);
    void (*event)(void *ctx, uint8_t space, struct pst_bytes payload); /* may be NULL */
    void (*ended)(void *ctx, pst_end end, const char *text); /* text: one line, human-readable */
};

struct pst_debugger_host { /* allocate with pst_secret_alloc */
    struct pst_debugger debugger;
    struct pst_link link; /* the management link's, if there are two */
    struct pst_link data;
    uint64_t commands; /* operations submitted */
    /* private */
    struct pst_debugger_host_config config;
    struct pst_debugger_config debugger_config;
    struct pst_spdm_config spdm;
    struct pst_link_config link_config;
    uint8_t mailbox[2 * PST_PROFILE_TRANSFER];
    uv_loop_t *loop;
    uv_timer_t timer;
    uv_prepare_t prepare;
    uint64_t stop_ms;
    pst_debugger_state_id reached;
    struct pst_address
        data_to; /* called once the management link is up, or when the target loses patience */
    bool told_ready, told_ended, two, stopping, data_begun;
    bool link_up, link_gone, data_up, data_gone, data_lost; /* lost: it caused the end */
    pst_err link_why;
    char link_text[PST_ADDRESS_TEXT + 160];
};

/* Begins to connect to `to`, or to listen there; and to `data` for the debug data (NULL: `to`
   carries both). PST_ERR_IO, PST_ERR_ARGUMENT with `why`: nothing was started. */
PST_MUST_CHECK pst_err pst_debugger_host_start(struct pst_debugger_host *h, uv_loop_t *loop,
                                               const struct pst_debugger_host_config *config,
                                               const struct pst_address *to,
                                               const struct pst_address *data, char *why,
                                               size_t why_cap);
/* op->opcode is PST_SPP_READ or PST_SPP_WRITE. */
void pst_debugger_host_submit(struct pst_debugger_host *h, struct pst_spp_op *op);
/* Sends submitted operations now; without it they go out when the loop sleeps. */
void pst_debugger_host_flush(struct pst_debugger_host *h);
/* Ends the session in order. `ended` follows within two seconds, whatever the peer does. */
void pst_debugger_host_stop(struct pst_debugger_host *h);
/* Everything is closed: the memory may be freed (after pst_debugger_host_wipe). */
bool pst_debugger_host_gone(const struct pst_debugger_host *h);
void pst_debugger_host_wipe(struct pst_debugger_host *h);

#ifdef __cplusplus
}
#endif

#endif
