/* The DTS side put together: connect to one named device, then read and write its access spaces. A
 * complete program:
 *
 *     #include <stdio.h>
 *
 *     #include "postern/debugger.h"
 *     #include "postern/profile.h"
 *
 *     // the crypto port, the engineer's identity, whom it trusts, a clock; and a link: HELLO was
 *     // exchanged on it (struct pst_link_end), and it carries whole messages
 *     extern const struct pst_profile_parts parts;
 *     extern const struct pst_link_traits traits;
 *     size_t link_read(uint8_t *kind, uint8_t *to, size_t cap); // 0: no message yet
 *     void link_write(uint8_t kind, const uint8_t *from, size_t len);
 *
 *     static struct pst_spdm_config spdm;
 *     static struct pst_debugger debugger;
 *     static uint8_t mailbox[2 * PST_PROFILE_TRANSFER], message[65536];
 *
 *     static void turn(void)
 *     {
 *         uint8_t kind;
 *         size_t len;
 *
 *         while ((len = pst_debugger_output(&debugger, &kind, message, sizeof message)) > 0) {
 *             link_write(kind, message, len);
 *         }
 *         len = link_read(&kind, message, sizeof message);
 *         if (len > 0 && pst_debugger_receive(&debugger, kind, message, len) != PST_OK) {
 *             pst_debugger_link_down(&debugger);
 *         }
 *         (void)pst_debugger_poll(&debugger);
 *     }
 *
 *     int main(void)
 *     {
 *         const struct pst_debugger_config config = {
 *             .spdm = &spdm,
 *             .device = "Acme:Pump:0042",
 *             .spaces = 1u << PST_AS_MEMORY,
 *             .mailbox = mailbox,
 *             .mailbox_len = sizeof mailbox,
 *         };
 *         uint8_t bytes[16];
 *         struct pst_spp_op read = {.space = PST_AS_MEMORY, .address = 0x20000000,
 *                                   .data = bytes, .len = sizeof bytes};
 *
 *         pst_profile_debugger(&spdm, &parts);
 *         if (pst_debugger_init(&debugger, &config) != PST_OK ||
 *             pst_debugger_start(&debugger, &traits) != PST_OK) {
 *             return 1;
 *         }
 *         pst_debugger_read(&debugger, &read); // sent once the session is open
 *         while (read.result == PST_PENDING) {
 *             turn();
 *         }
 *         puts(pst_err_text(read.result));
 *         pst_debugger_stop(&debugger);
 *         while (pst_debugger_state(&debugger) != PST_DEBUGGER_CLOSED) {
 *             turn();
 *         }
 *         pst_debugger_wipe(&debugger);
 *         return read.result != PST_OK;
 *     }
 *
 * Sans-I/O, the mirror of target.h: link messages go in and out, operations go through the SPP
 * client. After pst_debugger_start the steps (bootstrap, SPDM, mutual authentication, enabling of
 * access spaces) run by themselves; pst_debugger_state tells how far. Operations of the caller are
 * sent only in READY. Before it they wait; after the end they fail.
 *
 * On a link whose traits say `native`, SPDM messages are link messages, and operations travel in
 * VENDOR_DEFINED requests (target.h), one at a time. While an answer or a stop of the CPU is
 * awaited the debugger polls, after 1 ms at first and at most every 50 ms.
 *
 * The device is named Manufacturer:Product:Serial. Any other device is refused before FINISH, even
 * if its certificate is genuine: PST_ERR_IDENTITY.
 */
#ifndef POSTERN_DEBUGGER_H
#define POSTERN_DEBUGGER_H

#include "postern/link.h"
#include "postern/parts/record.h"
#include "postern/parts/requester.h"
#include "postern/parts/spp.h"

#ifdef __cplusplus
extern "C" {
#endif

struct pst_debugger; /* state/debugger.h */

typedef enum {
    PST_DEBUGGER_IDLE,
    PST_DEBUGGER_CONNECTING, /* bootstrap and VCA */
    PST_DEBUGGER_AUTHENTICATING,
    PST_DEBUGGER_ENABLING, /* session open, access spaces being enabled */
    PST_DEBUGGER_READY,
    PST_DEBUGGER_ENDING, /* END_SESSION was sent */
    PST_DEBUGGER_CLOSED, /* pst_debugger_why tells why */
} pst_debugger_state_id;

struct pst_debugger_config {            /* const, outlives the debugger */
    const struct pst_spdm_config *spdm; /* identity, verifier, algorithms; keys and hooks ignored */
    const char *device; /* the one device; NULL: any with a certificate of a trust anchor */
    uint8_t spaces;     /* bit n: access space n is requested; fewer may be granted */
    bool allow_mac_only;
    void (*event)(void *ctx, uint8_t space,
                  struct pst_bytes payload); /* stop reports and the like */
    void (*changed)(void *ctx);              /* the state changed; may be NULL */
    void *ctx;
    uint8_t *mailbox; /* one SPDM message each way: twice the transfer size. On a native link a
                         third part holds the batch, and the transfer size is cut to what fits */
    size_t mailbox_len;
    uint32_t answer_ms;   /* longest wait for an answer of the security agent; in a session, since
                             the last record; 0: 10,000 */
    uint32_t rekey_after; /* records under one key before new keys are agreed; 0: 8,000,000 */
};

#include "postern/state/debugger.h"

/* PST_ERR_ARGUMENT: no `spdm`, or a mailbox too small for its transfer size. Else what
 * pst_requester_init says. The object may be wiped in any case. */
/* What is missing or wrong in a configuration, in a sentence that names the field; NULL: nothing.
 */
const char *pst_debugger_config_check(const struct pst_debugger_config *config);
/* PST_ERR_CONFIG: pst_debugger_config_check says why; `d` is untouched. `config` and what it points
 * to are only read. */
PST_MUST_CHECK pst_err pst_debugger_init(struct pst_debugger *d,
                                         const struct pst_debugger_config *config);
/* The link is up (HELLO was exchanged): begins. `traits` outlive the debugger. PST_ERR_STATE: it
 * has begun already. */
PST_MUST_CHECK pst_err pst_debugger_start(struct pst_debugger *d,
                                          const struct pst_link_traits *traits);
/* Takes a link message; `msg` is decrypted in place. PST_ERR_CLOSED: the session has ended, or has
 * not begun. Any other error: the session has ended because of it, pst_debugger_why says the same.
 */
PST_MUST_CHECK pst_err pst_debugger_receive(struct pst_debugger *d, uint8_t kind, uint8_t *msg,
                                            size_t len);
/* Writes the next link message into `out` and returns its length; 0: there is none now. */
size_t pst_debugger_output(struct pst_debugger *d, uint8_t *kind, uint8_t *out, size_t cap);
/* Timeouts and heartbeats. Returns the ms until the next call is needed; UINT64_MAX: none is. */
uint64_t pst_debugger_poll(struct pst_debugger *d);
/* The link is lost, or one of the two: ends the session. */
void pst_debugger_link_down(struct pst_debugger *d);

/* Out of band, instead of pst_debugger_start: the session is managed on one link and the debug data
 * travels on another. The management link is used natively, whatever its traits say. The data link
 * must keep order and lose nothing, and must not be MCTP, where a record is an SPDM message.
 * pst_debugger_receive and _output are those of the management link; the two functions below do the
 * same for the data link. Messages on it other than PST_LINK_RECORD are ignored. If it stays silent
 * for a minute, although it was polled, the session ends. PST_ERR_ARGUMENT: the data link is lossy
 * or of MCTP. */
PST_MUST_CHECK pst_err pst_debugger_start_data(struct pst_debugger *d,
                                               const struct pst_link_traits *management,
                                               const struct pst_link_traits *data);
PST_MUST_CHECK pst_err pst_debugger_receive_data(struct pst_debugger *d, uint8_t kind, uint8_t *msg,
                                                 size_t len);
size_t pst_debugger_output_data(struct pst_debugger *d, uint8_t *kind, uint8_t *out, size_t cap);

pst_debugger_state_id pst_debugger_state(const struct pst_debugger *d);
/* Why the session has ended; PST_OK: it was asked to, or has not ended. */
pst_err pst_debugger_why(const struct pst_debugger *d);
/* After PST_ERR_CERT: which certificate of the device's chain was refused, and by which rule; its
 * `rule` is NULL when the chain itself was acceptable but does not fit the connection. */
const struct pst_cert_refusal *pst_debugger_refusal(const struct pst_debugger *d);
/* Ends the session in order (END_SESSION); the state is then ENDING, later CLOSED. */
void pst_debugger_stop(struct pst_debugger *d);

/* Ends the session at once and wipes all keys: the end of the object's life. */
void pst_debugger_wipe(struct pst_debugger *d);

/* Operations. The caller sets op->space, address, data, len, done and ctx; op->result tells the
 * outcome when op->done is called. PST_ERR_CLOSED: the session ended first. Everything that is
 * submitted before the next output travels together. */
void pst_debugger_read(struct pst_debugger *d, struct pst_spp_op *op);
void pst_debugger_write(struct pst_debugger *d, struct pst_spp_op *op);

/* For people: who the device is, and the algorithms. Valid in READY. */
struct pst_session_info {
    const struct pst_peer *device;
    uint8_t spdm_minor;
    const char *signature, *peer_signature, *exchange, *hash, *aead;
    bool encrypted;
    uint32_t session_id;
    uint8_t spaces; /* bit n: enabled */
};
void pst_debugger_info(const struct pst_debugger *d, struct pst_session_info *info);

#ifdef __cplusplus
}
#endif

#endif
