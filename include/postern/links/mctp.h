/* MCTP (spec: DSP0236), and its framing on a serial line (spec: DSP0253). Everything here is fixed.
 *
 * A packet is a 4-byte header and a body of at least one byte; every endpoint takes bodies of 64
 * bytes. A message longer than the unit goes out as several packets: the first has the start flag
 * (SOM), the last the end flag (EOM), a two-bit sequence number counts the packets, and all but the
 * last carry the same number of bytes. Packets with the same source, tag and tag owner belong
 * together.
 *
 * MCTP itself never repeats a packet: a message that lost one is lost, and the requester must
 * repeat its request. SPDM does so with its own timing; the reliable link (mctp_link.h) does it for
 * link messages.
 *
 * A message starts with its type byte (05 SPDM, 06 secured: binding.h). Sans-I/O: packets in,
 * messages out, and the reverse. All memory is the caller's. */
#ifndef POSTERN_LINKS_MCTP_H
#define POSTERN_LINKS_MCTP_H

#include "postern/parts/wire.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_MCTP_HEADER 4
#define PST_MCTP_BASELINE 64 /* body bytes of a packet that every endpoint takes */
#define PST_MCTP_EID_NULL 0x00
#define PST_MCTP_EID_ALL 0xFF

struct pst_mctp_header {
    uint8_t destination, source; /* endpoint ids */
    bool som, eom;
    uint8_t sequence; /* 0..3 */
    bool owner;       /* TO: the sender chose the tag; set in requests, clear in responses */
    uint8_t tag;      /* 0..7 */
};
/* Reads a packet: its header, and its body, which aliases the packet. PST_ERR_VERSION: header
 * version other than 1. PST_ERR_DECODE: shorter than a header. */
PST_MUST_CHECK pst_err pst_mctp_get(const uint8_t *packet, size_t len, struct pst_mctp_header *h,
                                    struct pst_bytes *body);
void pst_mctp_put(uint8_t out[PST_MCTP_HEADER], const struct pst_mctp_header *h);

/* One message that is being sent. */
struct pst_mctp_sender { /* private */
    struct pst_mctp_header next;
    struct pst_bytes message;
    size_t unit;
};
/* Starts to send a message. `to`: destination, source, owner and tag; the rest is ignored.
 * `message` belongs to the caller and must stay valid until the last packet is made. `unit`: body
 * bytes of a packet, >= PST_MCTP_BASELINE. PST_ERR_ARGUMENT: an empty message, or a smaller
 * unit. */
PST_MUST_CHECK pst_err pst_mctp_send(struct pst_mctp_sender *s, const struct pst_mctp_header *to,
                                     const uint8_t *message, size_t len, size_t unit);
/* Makes the next packet. PST_OK: `*len` is its length. PST_ERR_STATE: all packets were made.
 * PST_ERR_SPACE: `out` is smaller than the packet; nothing was done. */
PST_MUST_CHECK pst_err pst_mctp_next(struct pst_mctp_sender *s, uint8_t *out, size_t cap,
                                     size_t *len);

/* One message that is being reassembled. */
struct pst_mctp_slot {
    uint8_t *buffer; /* the caller's */
    size_t cap;      /* bytes of the longest message in several packets */
    /* private */
    struct pst_mctp_header from;
    size_t have, unit;
    uint64_t since_ms;
    bool busy;
};
struct pst_mctp_counters {
    uint32_t messages;
    uint32_t dropped;   /* packets: not for us, unknown version, malformed, without a start */
    uint32_t abandoned; /* messages that began but were never completed, for any reason */
};
struct pst_mctp_receiver {
    uint8_t eid; /* ours; packets to it and to the null id are taken. Null: any destination */
    struct pst_mctp_slot *slots; /* the caller's; buffer and cap set, the rest zero */
    size_t slot_count;           /* most messages of several packets at the same time */
    uint32_t timeout_ms;         /* longest time between two packets of a message */
    struct pst_mctp_counters counters;
};
/* Takes one packet. PST_OK: a message is complete; `from` tells whom to answer, `message` aliases a
 * slot or the packet and is valid until the next call. PST_WANT_MORE: part of a message. Any other
 * result: the packet was dropped, and also the message that it would have continued if DSP0236 says
 * so; the receiver continues with other messages.
 *   PST_ERR_VERSION, PST_ERR_DECODE  header version; too short or without a body
 *   PST_ERR_IDENTITY                 addressed to another endpoint
 *   PST_ERR_UNEXPECTED               middle or end without a start; out of sequence; a middle of
 *                                    another size than the start, an end of a larger one
 *   PST_ERR_SPACE                    the message is longer than the slot
 *   PST_ERR_BUSY                     all slots hold messages that are not complete */
PST_MUST_CHECK pst_err pst_mctp_receive(struct pst_mctp_receiver *rx, const uint8_t *packet,
                                        size_t len, uint64_t now_ms, struct pst_mctp_header *from,
                                        struct pst_bytes *message);

/* --- serial framing, DSP0253: 7E 01 count packet FCS 7E --- */
#define PST_MCTP_SERIAL_MAX 255 /* bytes of a packet, header included */
/* Most bytes that a packet of `n` bytes takes on the line. */
#define PST_MCTP_SERIAL_ROOM(n) (6 + 2 * (size_t)(n))

/* Encodes a packet as a frame. PST_ERR_ARGUMENT: not a packet (shorter than a header, or longer
 * than 255 bytes). PST_ERR_SPACE: `cap` is too small. */
PST_MUST_CHECK pst_err pst_mctp_serial_put(const uint8_t *packet, size_t len, uint8_t *out,
                                           size_t cap, size_t *written);

struct pst_mctp_serial { /* private but for the counters */
    uint8_t packet[PST_MCTP_SERIAL_MAX];
    uint8_t state, count, have;
    uint16_t fcs;
    uint32_t frames;  /* good ones */
    uint32_t damaged; /* frames dropped: FCS, escape, length, or cut by a new frame */
    uint32_t skipped; /* bytes outside frames */
};
void pst_mctp_serial_init(struct pst_mctp_serial *s);
/* Takes bytes until one packet is complete; `*used` is how many bytes of `in` were taken. PST_OK:
 * `packet`, valid until the next call. PST_WANT_MORE: all of `in` was taken. Damaged frames are
 * counted and skipped; the next frame is found by its flag. */
PST_MUST_CHECK pst_err pst_mctp_serial_receive(struct pst_mctp_serial *s, const uint8_t *in,
                                               size_t len, size_t *used, struct pst_bytes *packet);

#ifdef __cplusplus
}
#endif

#endif
