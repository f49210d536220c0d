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
 * Sans-I/O mirror of target.h: link messages in and out, operations through the SPP client. The
 * steps (bootstrap, SPDM, mutual authentication, enabling of access spaces) run by themselves after
 * pst_debugger_start; `pst_debugger_state` tells how far. Only once READY are operations of the
 * caller sent; before that, and after the end, nothing of them leaves this object.
 *
 * On a link whose traits say `native` SPDM messages are link messages, and operations travel in
 * VENDOR_DEFINED requests (target.h): one at a time, and while an answer or a stop of the CPU is
 * awaited it asks again, after 1 ms at first and at most every 50 ms.
 *
 * The device is named (Manufacturer:Product:Serial) and any other, also a genuine one, is refused
 * before FINISH: PST_ERR_IDENTITY.
 */
#ifndef POSTERN_DEBUGGER_H
#define POSTERN_DEBUGGER_H

#include "postern/link.h"
#include "postern/parts/record.h"
#include "postern/parts/requester.h"
#include "postern/parts/spp.h"

typedef enum {
    PST_DEBUGGER_IDLE,
    PST_DEBUGGER_CONNECTING, /* bootstrap and VCA */
    PST_DEBUGGER_AUTHENTICATING,
    PST_DEBUGGER_ENABLING, /* session open, access spaces being enabled */
    PST_DEBUGGER_READY,
    PST_DEBUGGER_ENDING, /* END_SESSION on its way */
    PST_DEBUGGER_CLOSED, /* pst_debugger_why tells why */
} pst_debugger_state_id;

struct pst_debugger_config {            /* const, outlives the debugger */
    const struct pst_spdm_config *spdm; /* identity, verifier, algorithms; keys and hooks ignored */
    const char *device; /* the one device; NULL: any that the trust anchors vouch for */
    uint8_t spaces;     /* bit n: access space n is wanted; fewer may be granted */
    bool allow_mac_only;
    void (*event)(void *ctx, uint8_t space,
                  struct pst_bytes payload); /* stop events and the like */
    void (*changed)(void *ctx);              /* the state changed; may be NULL */
    void *ctx;
    uint8_t *mailbox; /* one SPDM message each way: twice the transfer size. On a native link a
                         third part holds the batch, and the transfer size is cut to what fits */
    size_t mailbox_len;
    uint32_t answer_ms;   /* longest wait for an answer of the security agent, in a session since
                             anything was heard; 0: 10,000 */
    uint32_t rekey_after; /* records under one key before new keys are agreed; 0: 8,000,000 */
};

#include "postern/state/debugger.h"

PST_MUST_CHECK pst_err pst_debugger_init(struct pst_debugger *d,
                                         const struct pst_debugger_config *config);
/* The link is up (HELLO exchanged): begins. */
PST_MUST_CHECK pst_err pst_debugger_start(struct pst_debugger *d,
                                          const struct pst_link_traits *traits);
PST_MUST_CHECK pst_err pst_debugger_receive(struct pst_debugger *d, uint8_t kind, uint8_t *msg,
                                            size_t len);
/* The next link message, whole, into `out`; 0 when there is none now. */
size_t pst_debugger_output(struct pst_debugger *d, uint8_t *kind, uint8_t *out, size_t cap);
uint64_t pst_debugger_poll(struct pst_debugger *d); /* ms until the next call is needed */
/* The link is lost, or either of two. */
void pst_debugger_link_down(struct pst_debugger *d);

/* Out of band, in place of pst_debugger_start: the session is managed on one link (natively,
 * whatever its traits say of that) and debugs on another, which keeps order and loses nothing (and
 * is none of MCTP, where a record is an SPDM message). `receive` and `output` are the management's;
 * the data link has these two, whose meaning is the same. Kinds other than PST_LINK_RECORD say
 * nothing there. One that stays silent, asked or not, ends the session after a minute.
 * PST_ERR_ARGUMENT: such a data link cannot be. */
PST_MUST_CHECK pst_err pst_debugger_start_data(struct pst_debugger *d,
                                               const struct pst_link_traits *management,
                                               const struct pst_link_traits *data);
PST_MUST_CHECK pst_err pst_debugger_receive_data(struct pst_debugger *d, uint8_t kind, uint8_t *msg,
                                                 size_t len);
size_t pst_debugger_output_data(struct pst_debugger *d, uint8_t *kind, uint8_t *out, size_t cap);

pst_debugger_state_id pst_debugger_state(const struct pst_debugger *d);
pst_err pst_debugger_why(const struct pst_debugger *d);
/* Ends the session in order (END_SESSION), then CLOSED. */
void pst_debugger_stop(struct pst_debugger *d);

/* The end of the object's life: closes what is open and wipes all keys. */
void pst_debugger_wipe(struct pst_debugger *d);

/* Operations: op->space, address, data, len, done, ctx set by the caller; completed through
 * op->done / op->result, PST_ERR_CLOSED when the session ends first. Batched: everything submitted
 * before the next output travels together. */
void pst_debugger_read(struct pst_debugger *d, struct pst_spp_op *op);
void pst_debugger_write(struct pst_debugger *d, struct pst_spp_op *op);

/* For people: who the device is, the suite, the grants; valid when READY. */
struct pst_session_info {
    const struct pst_peer *device;
    uint8_t spdm_minor;
    const char *signature, *peer_signature, *exchange, *hash, *aead;
    bool encrypted;
    uint32_t session_id;
    uint8_t spaces; /* bit n: enabled */
};
void pst_debugger_info(const struct pst_debugger *d, struct pst_session_info *info);

#endif
