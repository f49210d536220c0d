/* A target at the end of a stream of bytes: what firmware without an operating system needs.
 *
 * The port moves bytes between its driver and this object, says when the carrier comes and goes,
 * and polls. Framing, HELLO, SPDM, records, SPP, policy and audit are inside. A complete program:
 *
 *     #include "postern/profile.h"
 *     #include "postern/stream.h"
 *
 *     // what the vendor's drivers are: the crypto port, this device's identity, whom it trusts,
 *     // memory, a log, a clock, a UART with a line that tells whether somebody is connected
 *     extern const struct pst_profile_parts parts;
 *     extern const struct pst_space memory;
 *     pst_err log_line(void *ctx, const char *piece, size_t len, enum pst_audit_when when);
 *     bool uart_connected(void);
 *     size_t uart_read(void *to, size_t cap);
 *     size_t uart_write(const void *from, size_t len);
 *     void uart_hang_up(void);
 *
 *     static struct pst_spdm_config spdm;
 *     static struct pst_policy policy;
 *     static const struct pst_target_config config = {
 *         .spdm = &spdm,
 *         .policy = &policy,
 *         .device = "Acme:Pump:0042",
 *         .spaces = {[PST_AS_MEMORY] = &memory},
 *         .audit = {.line = log_line},
 *     };
 *     static struct pst_stream stream;
 *     static uint8_t buffer[PST_STREAM_BUFFER(512, 2048)];
 *
 *     int main(void)
 *     {
 *         uint8_t bytes[64];
 *
 *         pst_profile_target(&spdm, &parts);
 *         spdm.transfer_size = 512;
 *         if (pst_grants_parse(&policy.allow, "debug", 5, false, NULL) != PST_OK ||
 *             pst_stream_init(&stream, &config, NULL, buffer, sizeof buffer) != PST_OK) {
 *             return 1;
 *         }
 *         for (;;) {
 *             pst_stream_carrier(&stream, uart_connected());
 *             const struct pst_bytes out = pst_stream_pending(&stream);
 *             if (out.len > 0) {
 *                 pst_stream_sent(&stream, uart_write(out.at, out.len));
 *             } else {
 *                 (void)pst_stream_receive(&stream, bytes, uart_read(bytes, sizeof bytes));
 *             }
 *             if (pst_stream_poll(&stream) == PST_STREAM_HANG_UP) {
 *                 uart_hang_up();
 *             }
 *         }
 *     }
 *
 * **Memory.** sizeof struct pst_stream (one session, and one context for a peer that is not
 * authenticated yet) and the buffer, part of which serves both directions of the link in turn:
 * nothing is received while anything is pending. A peer sends no more commands than its credit, so
 * a driver that keeps PST_STREAM_QUEUE + 256 bytes meanwhile loses none.
 *
 * **The carrier** brings bytes in order and loses none: a USB or TCP connection, or a serial line
 * with links/serial.h between its driver and this object (pst_reliable_read and pst_reliable_write
 * move the bytes; the carrier is connected while its state is PST_OK). When it goes away whatever
 * session there was ends, and the next connection begins with HELLO again.
 *
 * A link that carries whole messages (PCIe DOE, MCTP) is not for this header but for target.h.
 */
#ifndef POSTERN_STREAM_H
#define POSTERN_STREAM_H

#include "postern/target.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_STREAM_CONTEXTS 2    /* one live, one pending */
#define PST_STREAM_QUEUE 512     /* bytes of commands that wait: the credit of a peer */
#define PST_STREAM_HELLO_MS 5000 /* how long a connected peer may take for its HELLO */
#define PST_STREAM_IDLE_MS 30000 /* and how long it may stay without beginning a session */

/* Bytes of buffer for SPDM messages of `transfer` bytes (pst_spdm_config.transfer_size) and link
 * messages of `message` bytes, 256 or more. */
#define PST_STREAM_BUFFER(transfer, message)                                                       \
    (PST_LINK_HEADER + (message) + PST_STREAM_CONTEXTS * (PST_STREAM_QUEUE + 2 * (transfer)))

#define PST_STREAM_HANG_UP 0 /* of pst_stream_poll */

struct pst_stream { /* private but for `target`, which may be asked and stopped */
    struct pst_target target;
    struct pst_target_context contexts[PST_STREAM_CONTEXTS];
    struct pst_link_end end;
    const struct pst_link_traits *hop;
    uint64_t up_ms; /* since when HELLO is exchanged */
    bool connected, linked;
};

/* `hop` is what the carrier is like; NULL: pst_stream_traits. Link messages take what is left of
 * `buffer`. Everything outlives the stream. PST_ERR_SPACE: the buffer is too small, see
 * PST_STREAM_BUFFER; otherwise the errors of pst_target_init. After an error
 * pst_stream_config_check says what is wrong. */
PST_MUST_CHECK pst_err pst_stream_init(struct pst_stream *s, const struct pst_target_config *config,
                                       const struct pst_link_traits *hop, uint8_t *buffer,
                                       size_t len);
/* What pst_stream_init would refuse, in a sentence that names the field; NULL: nothing. `buffer` is
 * not written to. A firmware that does not call it does not link the sentences. */
const char *pst_stream_config_check(const struct pst_target_config *config, uint8_t *buffer,
                                    size_t len);
/* Is the carrier connected? Call it whenever that may have changed; saying the same again has no
 * effect. A connection begins with HELLO; its end ends the session. */
void pst_stream_carrier(struct pst_stream *s, bool connected);
/* What to give to the carrier next (valid until the next call of any other function here but
 * `sent`), and how many bytes of it the carrier took. Length 0: nothing now. */
struct pst_bytes pst_stream_pending(struct pst_stream *s);
void pst_stream_sent(struct pst_stream *s, size_t len);
/* Bytes from the carrier, any number. Returns how many were taken: all, or, while something is
 * pending, as many as came before it; the port keeps the others. */
size_t pst_stream_receive(struct pst_stream *s, const uint8_t *bytes, size_t len);
/* Time passes and access spaces finish their work. Returns the milliseconds until the next call is
 * needed, UINT64_MAX for never, or PST_STREAM_HANG_UP: this end is done with the connection and
 * everything was sent. Disconnect the carrier then, and say so with pst_stream_carrier. */
uint64_t pst_stream_poll(struct pst_stream *s);

#ifdef __cplusplus
}
#endif

#endif
