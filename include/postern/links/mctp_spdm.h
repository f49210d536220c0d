/* SPDM over MCTP (spec: DSP0275, DSP0276): the way to a security agent on a management bus.
 *
 * Each SPDM message in the clear is one MCTP message of type 05, each record one of type 06, and
 * inside a record the data begins with 05 again. The sender of a request owns the tag; the answer
 * has the same tag. Nothing else is on the bus: no HELLO, no profile. So this translates between
 * such messages and the stream of link messages (link.h) that a TS or a DTS speaks. SPDM messages
 * and records pass. HELLO and BYE stop here: the owner reads a HELLO that stands for the peer, of a
 * link that carries SPDM alone (`native`) and has records as MCTP's binding has them (`mctp`).
 *
 * **Loss.** MCTP repeats nothing (mctp.h), and a debug batch must not run twice. SPDM has one
 * request outstanding at a time and lets a requester send the same bytes again. So the requester's
 * side repeats the same message, with the same tag, if no answer comes in time, and gives up after
 * some tries. The responder's side remembers its last request. If that comes again, the owner does
 * not see it: it is answered with the same bytes as before (or not at all while the owner still
 * works on it). So a record is sealed once and opened once, however often it travels: its number is
 * not used again, and the numbers that either end sees go up by one. In the clear, GET_VERSION is
 * never answered from memory, because it starts a new connection, and neither is GET_MEASUREMENTS,
 * whose answer must be current.
 *
 * A responder of another implementation, without such a memory, answers again in the clear, as
 * DSP0274 requires. In a session it drops the repeated record; then the retries fail and the
 * session ends in order, as it would have without them.
 *
 * Nothing below the records is authenticated: whoever can write to the bus can end or delay a
 * session. So the link declares itself `shared`, and a bad record is dropped.
 *
 * Sans-I/O: packets in and out at pst_mctp_spdm_input and _output, the owner's stream at _write and
 * _read. After any of them ask for output until there is none, and again at the wake time. Below
 * stands its use on a serial line, DSP0253.
 */
#ifndef POSTERN_LINKS_MCTP_SPDM_H
#define POSTERN_LINKS_MCTP_SPDM_H

#include "postern/link.h"
#include "postern/links/mctp.h"
#include "postern/links/pace.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_MCTP_SPDM_UNIT 251   /* most body bytes of a packet on a serial line */
#define PST_MCTP_SPDM_SLOTS 2    /* ours, and somebody else's on the same bus */
#define PST_MCTP_SPDM_LEAST 256  /* smallest `most` */
#define PST_MCTP_SPDM_MOST 65535 /* largest one */
/* Bytes of work memory for messages of at most `most`. */
#define PST_MCTP_SPDM_WORK(most)                                                                   \
    ((1 + PST_MCTP_SPDM_SLOTS) * ((size_t)(most) + 1) + PST_LINK_HEADER + (size_t)(most))

/* Of such a hop; the caller's own has the `mtu` of its configuration. */
extern const struct pst_link_traits pst_mctp_spdm_traits;

struct pst_mctp_spdm_config {
    bool listens;       /* the responder's side: the owner is a TS */
    uint8_t eid;        /* ours; packets to it and to the null id are taken. Null: all */
    uint8_t peer;       /* whom to ask, or who alone may ask; null: whoever answers, or asks */
    size_t unit;        /* body bytes of a packet, >= PST_MCTP_BASELINE */
    size_t most;        /* bytes of the longest SPDM message or record */
    uint32_t answer_ms; /* from the end of a request to the first packet of its answer */
    uint32_t pause_ms;  /* between two packets of a message, before it counts as lost */
    uint8_t tries;      /* how often a request is sent in all, >= 1 */
    uint8_t *work;      /* the caller's, PST_MCTP_SPDM_WORK(most) bytes */
    size_t work_len;
};

struct pst_mctp_spdm {
    pst_err state; /* PST_PENDING: a responder that nobody has asked for a version yet; PST_OK;
                      PST_ERR_TIMEOUT: the tries are used up. PST_ERR_DECODE: the owner said what is
                      no link message; PST_ERR_UNSUPPORTED: of a kind or length that this way does
                      not carry. With an error it is over, and neither says nor takes anything */
    struct pst_mctp_receiver in;
    uint32_t answers;  /* that a requester had */
    uint32_t repeated; /* requests sent again; of a responder: requests that came again */
    uint32_t foreign;  /* messages of other types, or nobody's business */
    /* private */
    struct pst_mctp_spdm_config cfg;
    struct pst_mctp_slot slots[PST_MCTP_SPDM_SLOTS];
    struct pst_mctp_sender out;
    struct pst_mctp_header from; /* of the request in hand; of a requester, its tag alone */
    uint8_t head[PST_LINK_HEADER], control[PST_LINK_CONTROL_MAX];
    uint8_t have;  /* of `head` */
    uint32_t left; /* of the owner's message in hand */
    uint8_t fate;  /* of that message */
    uint8_t phase, tries;
    uint64_t until_ms; /* an answer is awaited */
    uint8_t *said;     /* the owner's last message, behind its type byte */
    size_t said_len;
    uint8_t *heard; /* the peer's last one, behind its link header */
    size_t heard_len, heard_at;
    uint8_t greeting[PST_LINK_HEADER + PST_LINK_CONTROL_MAX];
    size_t greeting_at;
};

/* PST_ERR_ARGUMENT: the configuration contradicts its comments. */
PST_MUST_CHECK pst_err pst_mctp_spdm_open(struct pst_mctp_spdm *m,
                                          const struct pst_mctp_spdm_config *cfg);
/* One packet. PST_OK: it was of a message that matters; anything else: dropped, and nothing to do
 * about it. */
pst_err pst_mctp_spdm_input(struct pst_mctp_spdm *m, const uint8_t *packet, size_t len,
                            uint64_t now_ms);
/* The next packet for the bus, or 0. `cap` is at least PST_MCTP_HEADER + unit. */
size_t pst_mctp_spdm_output(struct pst_mctp_spdm *m, uint8_t *out, size_t cap, uint64_t now_ms);
/* When to ask for output again though nothing happened; UINT64_MAX: never. */
uint64_t pst_mctp_spdm_wake(const struct pst_mctp_spdm *m);
/* What the owner says, as link messages; how many bytes of it were taken. None of a message while
 * the one before it is under way. */
size_t pst_mctp_spdm_write(struct pst_mctp_spdm *m, const uint8_t *bytes, size_t len);
/* What the owner hears, as link messages, first of all HELLO. 0: nothing at the moment. */
size_t pst_mctp_spdm_read(struct pst_mctp_spdm *m, uint8_t *out, size_t cap);
/* Is everything sent that the owner said? (It need not be answered.) */
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
/* Sets both waits of `cfg` for a line of `baud` (0: of no speed) and its unit. */
void pst_mctp_spdm_timing(struct pst_mctp_spdm_config *cfg, uint32_t baud);
/* `baud`: for pacing, 0 for none. PST_ERR_ARGUMENT: as pst_mctp_spdm_open, or a unit larger than
 * PST_MCTP_SPDM_UNIT. */
PST_MUST_CHECK pst_err pst_mctp_spdm_line_open(struct pst_mctp_spdm_line *l,
                                               const struct pst_mctp_spdm_config *cfg,
                                               uint32_t baud);
void pst_mctp_spdm_line_input(struct pst_mctp_spdm_line *l, const uint8_t *bytes, size_t len,
                              uint64_t now_ms);
/* Up to `cap` bytes for the line; 0: none at the moment. */
size_t pst_mctp_spdm_line_output(struct pst_mctp_spdm_line *l, uint8_t *out, size_t cap,
                                 uint64_t now_ms);
uint64_t pst_mctp_spdm_line_wake(const struct pst_mctp_spdm_line *l);

#ifdef __cplusplus
}
#endif

#endif
