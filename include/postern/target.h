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
 * only: nothing but SPDM through the SCM mailbox. When its FINISH is accepted it becomes *live*,
 * provided that policy grants it something and nobody holds the target; otherwise it is told who
 * does, in the session, and closed. A live session is never disturbed by what arrives unprotected.
 *
 * THE RULE: nothing in `config.spaces` is reached except by a record under the application keys of
 * a session whose required authentication is complete, through the one gate (src/ts/gate.c).
 *
 * SPDM reaches the agent *in band*, through the SCM mailbox of an SPP engine, or *natively*: a
 * clear PST_LINK_SPDM message is one SPDM message, and so is what a record of such a session holds.
 * There debug travels in VENDOR_DEFINED requests of MIPI (mipi_profile.h), one batch of SPP packets
 * each; the response, which comes at once, carries the responses and events that are ready by then,
 * so an empty request is a poll. The gate, the grants, the end of a session are the same.
 * DataTransferSize is then no more than fits one link message.
 *
 * *Out of band*, such a session is managed on one link and debugs on another (data.h): from the
 * first record of it that opens there, batches of SPP packets travel on that data link and nowhere
 * else. The session ends with its management, or with either link. On the data link nobody but the
 * session is known: what does not open there means no more than on any other link.
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

/* Buffers of one context, all the caller's. */
struct pst_target_buffers {
    uint8_t *queue; /* SPP commands that wait; the credit told to the DTS */
    size_t queue_len;
    uint8_t *mailbox; /* an SPDM request and its answer, half each: twice the transfer size */
    size_t mailbox_len;
};

/* Ways to speak besides in band. One that is not registered in the configuration is not linked. */
struct pst_target_native; /* private in content */
extern const struct pst_target_native pst_target_native;
struct pst_target_data; /* private in content; needs the native way, and paths */
extern const struct pst_target_data pst_target_data;

struct pst_target_config {              /* const, outlives the target */
    const struct pst_spdm_config *spdm; /* identity, verifier, algorithms; keys and hooks are the
                                           SCM's and are ignored here */
    const struct pst_policy *policy;
    const char *device;                           /* Manufacturer:Product:Serial of this TS */
    const struct pst_space *spaces[PST_AS_COUNT]; /* SCM excepted: it is the SCM's own */
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

/* struct pst_target_context and struct pst_target are private in content (target_state.h); sizeof
 * is all their memory. */
#include "postern/state/target.h"

/* What is missing or wrong in a configuration, in a sentence that names the field; NULL: nothing.
 * It reads everything that an engine will rely on, so that a forgotten field shows here and not as
 * an answer to a peer. */
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
/* One link message (clear, SPDM or record; control messages are the port's). It is opened in place.
 * PST_ERR_CLOSED: the link is to be closed (what is pending for it may be sent first). Anything
 * wrong inside a message is dealt with and is not an error here. */
PST_MUST_CHECK pst_err pst_target_receive(struct pst_target *t, uint32_t link, uint8_t kind,
                                          uint8_t *msg, size_t len);
/* The next message to send for `link`, written whole into `out` (capacity `cap` >= 256): its kind
 * and length; 0 length when there is none now. */
size_t pst_target_output(struct pst_target *t, uint32_t link, uint8_t *kind, uint8_t *out,
                         size_t cap);
/* A link that the SCM wants closed once its output is sent: true. */
bool pst_target_wants_close(const struct pst_target *t, uint32_t link);
/* Time passes, stubs answered: moves on what waits. Returns milliseconds until the next call is
 * needed, UINT64_MAX for never. */
uint64_t pst_target_poll(struct pst_target *t);
/* Ends every session, e.g. at shutdown. PST_PENDING: spaces are still being released; poll on. */
pst_err pst_target_stop(struct pst_target *t, pst_err why);
/* A session has ended and its access spaces are still being released: when this lasts too long,
 * their owner lets go of what is behind them (pst_stub_abandon). */
bool pst_target_releasing(const struct pst_target *t);
/* Who holds the target: name of the engineer, or NULL; since when (wall_s of the audit sink). */
const char *pst_target_holder(const struct pst_target *t, uint64_t *since);

#endif
