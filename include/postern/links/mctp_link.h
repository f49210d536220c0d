/* Link messages over MCTP: the reliable link of reliable.h inside vendor-defined messages.
 *
 * MCTP repeats nothing (mctp.h). So each datagram of the reliable link travels as one MCTP message
 * of the type "vendor defined - IANA" with our own head (mipi_profile.h; provisional). A message
 * that lost a packet is a lost datagram. pst_mctp_link takes and gives packets, so it works on any
 * MCTP bus. The second half of this header uses it on a serial line, DSP0253; an I3C or SMBus
 * driver uses pst_mctp_link alone.
 *
 * One side calls, the other listens and has one client at a time. Messages of other types (MCTP
 * control, SPDM) may share the bus: they are handed to the owner unchanged.
 *
 * Sans-I/O. Messages go through pst_reliable_send and pst_reliable_receive on `link`, or its bytes
 * through pst_reliable_write and pst_reliable_read. After input, send and receive, ask for output
 * until there is none, and again at pst_mctp_link_wake. */
#ifndef POSTERN_LINKS_MCTP_LINK_H
#define POSTERN_LINKS_MCTP_LINK_H

#include "postern/links/mctp.h"
#include "postern/links/pace.h"
#include "postern/links/reliable.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_MCTP_LINK_HEAD 6   /* bytes of a message before the datagram */
#define PST_MCTP_LINK_SLOTS 2  /* one message of ours, and another one on the same bus */
#define PST_MCTP_LINK_UNIT 251 /* largest unit on a serial line */
/* Bytes of work memory for datagrams of at most `mtu` bytes. */
#define PST_MCTP_LINK_WORK(mtu) ((1 + PST_MCTP_LINK_SLOTS) * ((size_t)(mtu) + PST_MCTP_LINK_HEAD))

struct pst_mctp_link_config {
    struct pst_reliable_config link; /* choose mtu_first for few packets, in case many are lost */
    bool listens;
    struct pst_reliable_door door; /* for a listener: a random key */
    uint8_t eid;       /* our EID; packets to it and to the null id are accepted. Null: all are */
    uint8_t peer;      /* EID to call, or the only one that may call; null: any */
    size_t unit;       /* body bytes of a packet, >= PST_MCTP_BASELINE */
    uint32_t pause_ms; /* longest time between two packets of a message; then it is lost */
    uint8_t *work;     /* the caller's, PST_MCTP_LINK_WORK(mtu_most) bytes */
    size_t work_len;
};

struct pst_mctp_link {
    struct pst_reliable link; /* state PST_PENDING: connecting, or listening */
    struct pst_mctp_receiver in;
    struct pst_mctp_header from; /* of the last complete message */
    struct pst_bytes other;      /* see pst_mctp_link_input */
    uint32_t damaged;            /* messages of ours with a wrong CRC */
    uint32_t foreign;            /* messages of other types */
    /* private */
    struct pst_mctp_link_config cfg;
    struct pst_mctp_slot slots[PST_MCTP_LINK_SLOTS];
    struct pst_mctp_sender out;
    uint8_t reply[PST_RELIABLE_REPLY];
    size_t reply_len;
    uint8_t reply_to, peer;
};

/* PST_ERR_ARGUMENT: the configuration contradicts its comments. */
PST_MUST_CHECK pst_err pst_mctp_link_open(struct pst_mctp_link *l,
                                          const struct pst_mctp_link_config *cfg, uint64_t now_ms);
/* Takes one packet. PST_OK and PST_WANT_MORE: accepted. PST_ERR_UNSUPPORTED: a message of another
 * type is complete, in `from` and `other` (with its type byte), until the next input. Anything
 * else: dropped. */
pst_err pst_mctp_link_input(struct pst_mctp_link *l, const uint8_t *packet, size_t len,
                            uint64_t now_ms);
/* Writes the next packet for the bus and returns its length, or 0. `cap` is at least
 * PST_MCTP_HEADER + unit. */
size_t pst_mctp_link_output(struct pst_mctp_link *l, uint8_t *out, size_t cap, uint64_t now_ms);
uint64_t pst_mctp_link_wake(const struct pst_mctp_link *l);

/* --- on a serial line --- */

/* Timeouts, as pst_serial_timing. If `pause_ms` is not NULL, it gets the `pause_ms` for the
 * configuration. */
struct pst_reliable_timing pst_mctp_line_timing(uint32_t baud, uint16_t mtu, size_t unit,
                                                uint32_t *pause_ms);

struct pst_mctp_line {
    struct pst_mctp_link mctp;
    struct pst_mctp_serial in;
    /* private */
    struct pst_pace pace;
    uint8_t packet[PST_MCTP_SERIAL_MAX], frame[PST_MCTP_SERIAL_ROOM(PST_MCTP_SERIAL_MAX)];
    size_t frame_len, frame_at;
};
/* `baud`: as in pst_serial_config. PST_ERR_ARGUMENT: as pst_mctp_link_open, or a unit larger than
 * PST_MCTP_LINK_UNIT. */
PST_MUST_CHECK pst_err pst_mctp_line_open(struct pst_mctp_line *l,
                                          const struct pst_mctp_link_config *cfg, uint32_t baud,
                                          uint64_t now_ms);
void pst_mctp_line_input(struct pst_mctp_line *l, const uint8_t *bytes, size_t len,
                         uint64_t now_ms);
/* Writes up to `cap` bytes for the line, and returns how many. 0: none at the moment. */
size_t pst_mctp_line_output(struct pst_mctp_line *l, uint8_t *out, size_t cap, uint64_t now_ms);
uint64_t pst_mctp_line_wake(const struct pst_mctp_line *l);

#ifdef __cplusplus
}
#endif

#endif
