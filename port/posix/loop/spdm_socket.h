/* SPDM over the socket framing that the DMTF emulator and QEMU's `spdm_port` speak: one blocking
 * connection that carries whole transport messages. For `postern spdm` and interoperability tests;
 * a product's links are elsewhere.
 *
 * Spec: a 12-byte header of three big-endian words, command, transport, payload size; then the
 * payload.
 */
#ifndef POSTERN_POSIX_LOOP_SPDM_SOCKET_H
#define POSTERN_POSIX_LOOP_SPDM_SOCKET_H

#include "posix/loop/address.h"
#include "postern/links/binding.h"
#include "postern/parts/record.h"

#define PST_SPDM_SOCKET_MAX 66000 /* bytes of the largest payload */

enum pst_spdm_command {
    PST_SPDM_SOCKET_NORMAL = 0x0001,
    PST_SPDM_SOCKET_KEY_UPDATE = 0x8001, /* out of band: have the responder ask for new keys */
    PST_SPDM_SOCKET_CONTINUE = 0xFFFD,
    PST_SPDM_SOCKET_SHUTDOWN = 0xFFFE,
    PST_SPDM_SOCKET_UNKNOWN = 0xFFFF,
    PST_SPDM_SOCKET_TEST = 0xDEAD,
};

struct pst_spdm_socket {
    int fd;
    const struct pst_binding *binding;
    uint8_t buffer[PST_SPDM_SOCKET_MAX]; /* of the message received last */
};

/* A blocking socket that listens at `a` or is connected to it; -1: see errno. */
int pst_spdm_socket_open(const struct pst_address *a, bool listening);
/* PST_ERR_IO, or PST_ERR_TIMEOUT after 30 s without progress; PST_ERR_CLOSED when the peer left.
 * `payload` aliases the buffer. */
PST_MUST_CHECK pst_err pst_spdm_socket_send(struct pst_spdm_socket *s, uint32_t command,
                                            const uint8_t *payload, size_t len);
PST_MUST_CHECK pst_err pst_spdm_socket_receive(struct pst_spdm_socket *s, uint32_t *command,
                                               uint8_t **payload, size_t *len);

/* The records of up to PST_SPDM_SOCKET_SESSIONS sessions, and SPDM messages in and out of them. */
#define PST_SPDM_SOCKET_SESSIONS 2
struct pst_spdm_wire {
    struct pst_spdm_socket *socket;
    struct pst_record records[PST_SPDM_SOCKET_SESSIONS];
    struct pst_record_set set; /* its parts; the struct must not move after init */
    uint8_t out[PST_SPDM_SOCKET_MAX];
};
PST_MUST_CHECK pst_err pst_spdm_wire_init(struct pst_spdm_wire *w, struct pst_spdm_socket *socket,
                                          const struct pst_crypto *crypto, pst_direction sends);
/* A key port over the records. */
struct pst_key_port pst_spdm_wire_keys(struct pst_spdm_wire *w);
/* Where to put a message before it is sent: `*cap` bytes. */
uint8_t *pst_spdm_wire_room(struct pst_spdm_wire *w, uint32_t context, size_t *cap);
/* Seals it if `context` is a session, wraps it and sends it. */
PST_MUST_CHECK pst_err pst_spdm_wire_send(struct pst_spdm_wire *w, uint32_t context, size_t len);
/* An SPDM message out of a NORMAL payload, opened if it is a record. PST_ERR_AUTH and the like with
 * `*context` set when a record of a known session does not open; PST_ERR_UNEXPECTED for an unknown
 * session; PST_WANT_MORE when it was DOE discovery, which was answered. */
PST_MUST_CHECK pst_err pst_spdm_wire_take(struct pst_spdm_wire *w, uint8_t *payload, size_t len,
                                          uint32_t *context, struct pst_bytes *message);
void pst_spdm_wire_wipe(struct pst_spdm_wire *w);

#endif
