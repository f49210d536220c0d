/* The TS side put together: one SCM that decides what may pass. On a stream of bytes take stream.h;
 * this is for links that carry whole messages, and for many of them. A complete program:
 *
 *     #include "postern/profile.h"
 *     #include "postern/target.h"
 *
 *     // what the vendor's drivers are: the crypto port, this device's identity, whom it trusts,
 *     // memory, a log, a clock, and a link that carries whole messages
 *     extern const struct pst_profile_parts parts;
 *     extern const struct pst_space memory;
 *     extern const struct pst_link_traits traits;
 *     pst_err log_line(void *ctx, const char *piece, size_t len, enum pst_audit_when when);
 *     size_t link_read(uint8_t *kind, uint8_t *to, size_t cap); // 0: no message
 *     void link_write(uint8_t kind, const uint8_t *from, size_t len);
 *
 *     static struct pst_spdm_config spdm;
 *     static struct pst_policy policy;
 *     static const struct pst_target_config config = {
 *         .spdm = &spdm,
 *         .policy = &policy,
 *         .device = "Acme:Pump:0042",
 *         .spaces = {[PST_AS_MEMORY] = &memory},
 *         .audit = {.line = log_line},
 *         .native = &pst_target_native,
 *     };
 *     static struct pst_target target;
 *     static struct pst_target_context contexts[2]; // one live, one pending
 *     static uint8_t queues[2][512], mailboxes[2][2 * 512], message[2048];
 *
 *     int main(void)
 *     {
 *         const struct pst_target_buffers buffers[2] = {
 *             {queues[0], sizeof queues[0], mailboxes[0], sizeof mailboxes[0]},
 *             {queues[1], sizeof queues[1], mailboxes[1], sizeof mailboxes[1]},
 *         };
 *         uint8_t kind;
 *         size_t len;
 *
 *         pst_profile_target(&spdm, &parts);
 *         spdm.transfer_size = 512;
 *         if (pst_grants_parse(&policy.allow, "debug", 5, false, NULL) != PST_OK ||
 *             pst_target_init(&target, &config, contexts, buffers, 2) != PST_OK ||
 *             pst_target_link_up(&target, 1, &traits) != PST_OK) {
 *             return 1;
 *         }
 *         for (;;) {
 *             len = link_read(&kind, message, sizeof message);
 *             if (len > 0 && pst_target_receive(&target, 1, kind, message, len) != PST_OK) {
 *                 pst_target_link_down(&target, 1);
 *                 return 1; // or connect the link anew, and pst_target_link_up
 *             }
 *             while ((len = pst_target_output(&target, 1, &kind, message, sizeof message)) > 0) {
 *                 link_write(kind, message, len);
 *             }
 *             (void)pst_target_poll(&target);
 *         }
 *     }
 *
 * A target has *links* (numbered by the caller; a TCP connection is one) and *contexts*. A context
 * is one peer's connection: its SPDM responder, its records, its SPP engine. A clear message on a
 * link without a context opens a pending one; while it is pending it reaches the bootstrap engine
 * only: nothing but SPDM through the SCM mailbox. When its FINISH is accepted it becomes *live*, if
 * the policy grants it something and nobody holds the target. Otherwise the peer can read the
 * reason inside the session, which is then closed. Clear messages never disturb a live session.
 *
 * THE RULE: nothing in `config.spaces` is reached except by a record under the application keys of
 * a session whose required authentication is complete, through the one gate (src/ts/gate.c).
 *
 * SPDM reaches the agent *in band*, through the SCM mailbox of an SPP engine, or *natively*: a
 * clear PST_LINK_SPDM message is one SPDM message, and so is what a record of such a session holds.
 * There debug data travels in VENDOR_DEFINED requests of MIPI (mipi_profile.h), one batch of SPP
 * packets each. The response comes at once, with the SPP responses and events that are ready by
 * then, so an empty request is a poll. Gate, grants and teardown are the same. DataTransferSize is
 * cut to what fits one link message.
 *
 * *Out of band*, a native session is managed on one link and has its debug data on another
 * (parts/data.h): from the first of its records that opens there, batches of SPP packets travel on
 * that data link only. The session ends when either link goes down. A record that does not open is
 * treated as on any other link.
 *
 * Sans-I/O: messages in, messages out, time by poll. Teardown is one function (src/ts/teardown.c)
 * whatever the cause: keys wiped, spaces released, breakpoints out, CPU left as policy says, a line
 * in the log.
 */
#ifndef POSTERN_TARGET_H
#define POSTERN_TARGET_H

#include "postern/audit.h"
#include "postern/link.h"
#include "postern/parts/record.h"
#include "postern/parts/responder.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Buffers of one context, owned by the caller. */
struct pst_target_buffers {
    uint8_t *queue; /* waiting SPP commands; its length is the credit told to the DTS */
    size_t queue_len;
    uint8_t *mailbox; /* an SPDM request and its answer, half each: twice the transfer size */
    size_t mailbox_len;
};

/* Optional: native SPDM links, and data links. What a configuration does not name is not linked. */
struct pst_target_native; /* private in content */
extern const struct pst_target_native pst_target_native;
struct pst_target_data; /* private in content; needs the native way, and paths */
extern const struct pst_target_data pst_target_data;

struct pst_target_config {              /* const, outlives the target */
    const struct pst_spdm_config *spdm; /* identity, verifier, algorithms; keys and hooks are the
                                           SCM's and are ignored here */
    const struct pst_policy *policy;
    const char *device;                           /* Manufacturer:Product:Serial of this TS */
    const struct pst_space *spaces[PST_AS_COUNT]; /* not SCM, which is the target's own */
    struct pst_audit_sink audit;
    uint32_t idcode, product;
    uint32_t handshake_ms;                  /* a pending context is dropped after this; 0: 10,000 */
    uint32_t session_s;                     /* longest session; 0: none */
    const struct pst_target_native *native; /* &pst_target_native, or NULL: in band only */
    const struct pst_target_data *data;     /* &pst_target_data, or NULL: no data links */
    struct pst_target_path *paths;          /* one for each session on two links */
    size_t path_count;
    uint8_t audit_ahead; /* see audit.h; 0: each effect is made durable by itself */
};

/* struct pst_target_context and struct pst_target are private in content (state/target.h); sizeof
 * is all their memory. */
#include "postern/state/target.h"

/* What is missing or wrong in a configuration, in a sentence that names the field; NULL: nothing.
 * It reads every function, size and list that an engine relies on, so that a forgotten one shows
 * here and not as an answer to a peer. It does not judge what the configuration means: a policy
 * that allows nothing and a target without access spaces are accepted. */
const char *pst_target_config_check(const struct pst_target_config *config,
                                    const struct pst_target_buffers *buffers, size_t count);
/* `contexts` (at least 2: one live, one pending) with their buffers. `config` and what it points to
 * are read only, except `paths`. PST_ERR_CONFIG: pst_target_config_check says why; `t` is
 * untouched. */
PST_MUST_CHECK pst_err pst_target_init(struct pst_target *t, const struct pst_target_config *config,
                                       struct pst_target_context *contexts,
                                       const struct pst_target_buffers *buffers, size_t count);
/* A link came up. PST_ERR_STATE: `link` is up already; PST_ERR_LIMIT: PST_TARGET_LINKS links are
 * up; PST_ERR_ARGUMENT: traits that no records fit (`mtu` below PST_LINK_MIN_MESSAGE,
 * `sequence_len` not 0, 2 or 8, or 0 on a lossy link). `traits` outlives the link. */
PST_MUST_CHECK pst_err pst_target_link_up(struct pst_target *t, uint32_t link,
                                          const struct pst_link_traits *traits);
/* A link went down: what ran over it ends. */
void pst_target_link_down(struct pst_target *t, uint32_t link);
/* Takes one link message (clear, SPDM or record; control messages are handled by the port). It is
 * decrypted in place. PST_ERR_CLOSED: close the link, after sending what is pending for it.
 * PST_ERR_ARGUMENT: the link is not up. PST_ERR_BUSY: no context is free: close the link. Anything
 * wrong inside a message is handled here and is not an error. */
PST_MUST_CHECK pst_err pst_target_receive(struct pst_target *t, uint32_t link, uint8_t kind,
                                          uint8_t *msg, size_t len);
/* Writes the next message to send on `link` into `out` (capacity `cap` >= 256), and its kind into
 * `*kind`. Returns its length; 0: there is none now. */
size_t pst_target_output(struct pst_target *t, uint32_t link, uint8_t *kind, uint8_t *out,
                         size_t cap);
/* true: close the link once its output is sent. */
bool pst_target_wants_close(const struct pst_target *t, uint32_t link);
/* Call it when time has passed or a stub has answered: it continues what waits, and ends what has
 * expired. Returns milliseconds until the next call is needed; UINT64_MAX: never. */
uint64_t pst_target_poll(struct pst_target *t);
/* Ends every session, for example at shutdown. PST_PENDING: access spaces are still being released;
 * call pst_target_poll until none is. */
pst_err pst_target_stop(struct pst_target *t, pst_err why);
/* true: a session has ended and its access spaces are still being released. If that takes too long,
 * their owner abandons what is behind them (pst_stub_abandon). */
bool pst_target_releasing(const struct pst_target *t);

#ifdef __cplusplus
}
#endif

#endif
