/* SPDM over MCTP (spec: DSP0275, DSP0276): the management path to a security agent on a management
 * bus.
 *
 * Each SPDM message in the clear is one MCTP message of type 05, each record one of type 06, and
 * inside a record the data begins with 05 again. The sender of a request owns the tag; the answer
 * has the same tag. Nothing else is on the bus: no HELLO, no profile. So this engine translates
 * between these messages and the stream of link messages (link.h) that a TS or a DTS sends and
 * receives. SPDM messages and records pass. HELLO and BYE are not sent: the owner reads a HELLO in
 * the peer's name, for a link that carries SPDM only (`native`) with records in the form of MCTP's
 * binding (`mctp`).
 *
 * **Loss.** MCTP repeats nothing (mctp.h), and a debug batch must not run twice. SPDM has one
 * request outstanding at a time and lets a requester send the same bytes again. So the requester's
 * side repeats the same message, with the same tag, if no answer comes in time, and gives up after
 * some tries. The responder's side remembers its last request. If that comes again, the owner does
 * not see it: it gets the same bytes as answer (or none while the owner still works on it). So a
 * record is sealed once and opened once, however often it is sent. No sequence number is used
 * twice, and each end sees consecutive numbers. In the clear, GET_VERSION is never answered from
 * this memory, because it starts a new connection. Neither is GET_MEASUREMENTS, because its answer
 * must be current.
 *
 * A responder of another implementation, without such a memory, processes a repeated request in the
 * clear again, as DSP0274 requires. In a session it drops the repeated record: then the retries
 * fail and the session ends in order, as it would have without them.
 *
 * Nothing below the records is authenticated: whoever can write to the bus can end or delay a
 * session. So the link declares itself `shared`, and bad records are dropped.
 *
 * Sans-I/O: packets pass through pst_mctp_spdm_input and _output, the owner's stream through _write
 * and _read. After any of them ask for output until there is none, and again at pst_mctp_spdm_wake.
 * The end of this header uses the engine on a serial line, DSP0253. */
#ifndef POSTERN_LINKS_MCTP_SPDM_H
#define POSTERN_LINKS_MCTP_SPDM_H

#include "postern/link.h"
#include "postern/links/mctp.h"
#include "postern/links/pace.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_MCTP_SPDM_UNIT 251   /* largest unit on a serial line */
#define PST_MCTP_SPDM_SLOTS 2    /* one message of ours, and another one on the same bus */
#define PST_MCTP_SPDM_LEAST 256  /* smallest `most` */
#define PST_MCTP_SPDM_MOST 65535 /* largest `most` */
/* Bytes of work memory for messages of at most `most` bytes. */
#define PST_MCTP_SPDM_WORK(most)                                                                   \
    ((1 + PST_MCTP_SPDM_SLOTS) * ((size_t)(most) + 1) + PST_LINK_HEADER + (size_t)(most))

/* The traits of an SPDM over MCTP hop. `mtu` is the maximum: a caller lowers it to its `most`. */
extern const struct pst_link_traits pst_mctp_spdm_traits;

struct pst_mctp_spdm_config {
    bool listens;       /* the responder's side: the owner is a TS */
    uint8_t eid;        /* our EID; packets to it and to the null id are accepted. Null: all are */
    uint8_t peer;       /* EID to ask, or the only one that may ask; null: any */
    size_t unit;        /* body bytes of a packet, >= PST_MCTP_BASELINE */
    size_t most;        /* bytes of the longest SPDM message or record */
    uint32_t answer_ms; /* longest time from a request to the first packet of its answer */
    uint32_t pause_ms;  /* longest time between two packets of a message; then it is lost */
    uint8_t tries;      /* how often a request is sent in total, >= 1 */
    uint8_t *work;      /* the caller's, PST_MCTP_SPDM_WORK(most) bytes */
    size_t work_len;
};

struct pst_mctp_spdm {
    pst_err state; /* PST_PENDING: a responder that has not received GET_VERSION yet; PST_OK:
                      usable. PST_ERR_TIMEOUT: all tries failed. PST_ERR_DECODE: the owner wrote
                      something that is not a link message; PST_ERR_UNSUPPORTED: a message of a kind
                      or length that MCTP does not carry. After an error the engine has ended: it
                      takes and gives nothing */
    struct pst_mctp_receiver in;
    uint32_t answers;  /* answers that a requester received */
    uint32_t repeated; /* requests sent again; in a responder, received again */
    uint32_t foreign;  /* messages of other types, or unexpected ones */
    /* private */
    struct pst_mctp_spdm_config cfg;
    struct pst_mctp_slot slots[PST_MCTP_SPDM_SLOTS];
    struct pst_mctp_sender out;
    struct pst_mctp_header from; /* of the current request; a requester uses only its tag */
    uint8_t head[PST_LINK_HEADER], control[PST_LINK_CONTROL_MAX];
    uint8_t have;  /* bytes of `head` */
    uint32_t left; /* bytes left of the owner's current message */
    uint8_t fate;  /* enum fate of that message */
    uint8_t phase, tries;
    uint64_t until_ms; /* until then an answer is awaited */
    uint8_t *said;     /* the owner's last message, after its type byte */
    size_t said_len;
    uint8_t *heard; /* the peer's last message, after its link header */
    size_t heard_len, heard_at;
    uint8_t greeting[PST_LINK_HEADER + PST_LINK_CONTROL_MAX];
    size_t greeting_at;
};

/* PST_ERR_ARGUMENT: the configuration contradicts its comments. */
PST_MUST_CHECK pst_err pst_mctp_spdm_open(struct pst_mctp_spdm *m,
                                          const struct pst_mctp_spdm_config *cfg);
/* Takes one packet. PST_OK: it was accepted. Anything else: it was dropped; the caller need not do
 * anything. */
pst_err pst_mctp_spdm_input(struct pst_mctp_spdm *m, const uint8_t *packet, size_t len,
                            uint64_t now_ms);
/* Writes the next packet for the bus and returns its length, or 0. `cap` is at least
 * PST_MCTP_HEADER + unit. */
size_t pst_mctp_spdm_output(struct pst_mctp_spdm *m, uint8_t *out, size_t cap, uint64_t now_ms);
/* When to ask for output again if nothing else happens. UINT64_MAX: never. */
uint64_t pst_mctp_spdm_wake(const struct pst_mctp_spdm *m);
/* Takes link messages from the owner, and returns how many bytes were taken. It takes nothing of a
 * message while the one before it is under way. */
size_t pst_mctp_spdm_write(struct pst_mctp_spdm *m, const uint8_t *bytes, size_t len);
/* Gives link messages to the owner, HELLO first. 0: nothing at the moment. */
size_t pst_mctp_spdm_read(struct pst_mctp_spdm *m, uint8_t *out, size_t cap);
/* True if everything that the owner wrote was sent. (Answers may be outstanding.) */
bool pst_mctp_spdm_sent(const struct pst_mctp_spdm *m);

/* --- on a serial line --- */

struct pst_mctp_spdm_line {
    struct pst_mctp_spdm mctp;
    struct pst_mctp_serial in;
    /* private */
    struct pst_pace pace;
    uint8_t packet[PST_MCTP_SERIAL_MAX], frame[PST_MCTP_SERIAL_ROOM(PST_MCTP_SERIAL_MAX)];
    size_t frame_len, frame_at;
};
/* Sets `answer_ms` and `pause_ms` of `cfg` for a line of `baud` (0: no pacing) and the unit of
 * `cfg`. */
void pst_mctp_spdm_timing(struct pst_mctp_spdm_config *cfg, uint32_t baud);
/* `baud`: for pacing; 0: none. PST_ERR_ARGUMENT: as pst_mctp_spdm_open, or a unit larger than
 * PST_MCTP_SPDM_UNIT. */
PST_MUST_CHECK pst_err pst_mctp_spdm_line_open(struct pst_mctp_spdm_line *l,
                                               const struct pst_mctp_spdm_config *cfg,
                                               uint32_t baud);
void pst_mctp_spdm_line_input(struct pst_mctp_spdm_line *l, const uint8_t *bytes, size_t len,
                              uint64_t now_ms);
/* Writes up to `cap` bytes for the line, and returns how many. 0: none at the moment. */
size_t pst_mctp_spdm_line_output(struct pst_mctp_spdm_line *l, uint8_t *out, size_t cap,
                                 uint64_t now_ms);
uint64_t pst_mctp_spdm_line_wake(const struct pst_mctp_spdm_line *l);

#ifdef __cplusplus
}
#endif

#endif
