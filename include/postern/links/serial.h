/* A raw serial line: the reliable link of reliable.h in frames that can be found again after noise.
 *
 * A frame is a datagram (which ends in its CRC-32C), encoded with COBS (Cheshire and Baker 1997) so
 * that it contains no zero bytes, and followed by a zero. A frame that does not directly follow
 * another one also has a zero before it, which ends any noise in between. So a receiver
 * synchronises at the next zero, whatever was lost, damaged or added. Provisional, as reliable.h
 * is; COBS and the CRC are not ours.
 *
 * A line has two ends: one connects, the other listens. When the client restarts, the listener's
 * connection ends with PST_ERR_CLOSED. Open it again with new random numbers: it then accepts the
 * client's next HELLO.
 *
 * **Speed.** Timeouts follow from baud rate and frame length (pst_serial_timing), from 9,600 baud
 * to 4 Mbaud. The engine hands out bytes no faster than the line sends them, one frame ahead, so
 * that a deep buffer in a driver neither delays urgent data nor distorts the measured round trip.
 *
 * Sans-I/O: any number of bytes in, any number out. Messages go through pst_reliable_send and
 * pst_reliable_receive on `link`. After input, send and receive, ask for output until there is
 * none, and again at pst_serial_wake.
 */
#ifndef POSTERN_LINKS_SERIAL_H
#define POSTERN_LINKS_SERIAL_H

#include "postern/links/pace.h"
#include "postern/links/reliable.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const struct pst_link_traits pst_serial_traits;

/* --- COBS --- */

/* Most bytes that `n` bytes become when encoded, without delimiters. */
#define PST_COBS_ROOM(n) ((size_t)(n) + (size_t)(n) / 254 + 1)
/* PST_ERR_SPACE: `cap` is too small. `out` must not overlap `in`. */
PST_MUST_CHECK pst_err pst_cobs_put(const uint8_t *in, size_t len, uint8_t *out, size_t cap,
                                    size_t *written);

struct pst_cobs { /* private but for the counters */
    uint8_t *buffer;
    size_t cap, have;
    uint8_t code, left;
    bool inside, bad;
    uint32_t frames, malformed; /* malformed: too long for the buffer, or too short */
};
void pst_cobs_init(struct pst_cobs *c, uint8_t *buffer, size_t cap);
/* Takes bytes until one frame is complete; `*used` is how many bytes of `in` were taken. PST_OK:
 * `frame` is the decoded frame, never empty, valid until the next call. PST_WANT_MORE: all of `in`
 * was taken. */
PST_MUST_CHECK pst_err pst_cobs_receive(struct pst_cobs *c, const uint8_t *in, size_t len,
                                        size_t *used, struct pst_bytes *frame);

/* --- the line --- */

#define PST_SERIAL_MOST_MTU 4096
/* Bytes of work memory for datagrams of at most `mtu` bytes. */
#define PST_SERIAL_WORK(mtu) (2 * (size_t)(mtu) + PST_COBS_ROOM(mtu) + 2)

struct pst_serial_config {
    struct pst_reliable_config link; /* set mtu_first == mtu_most, usually 64 to 1,024, and timing
                                        as from pst_serial_timing */
    bool listens;
    struct pst_reliable_door door; /* for a listener: a random key */
    uint32_t baud;                 /* 0: no pacing (a pty, a line with its own flow control) */
    uint8_t *work;                 /* the caller's, PST_SERIAL_WORK(mtu_most) bytes */
    size_t work_len;
};
/* Timeouts for a line of 8 data bits and one stop bit. `baud` 0 counts as 4 Mbaud. */
struct pst_reliable_timing pst_serial_timing(uint32_t baud, uint16_t mtu);

struct pst_serial {
    struct pst_reliable link; /* state PST_PENDING: connecting, or listening */
    struct pst_cobs in;
    uint32_t damaged; /* frames with a wrong CRC; if no good ones come: a wrong baud rate */
    /* private */
    struct pst_serial_config cfg;
    uint8_t reply[PST_RELIABLE_REPLY]; /* answer to a stranger */
    size_t reply_len;
    uint8_t *datagram, *frame;
    size_t frame_len, frame_at;
    struct pst_pace pace;
    bool quiet;
};
/* PST_ERR_ARGUMENT: the configuration contradicts its comments. */
PST_MUST_CHECK pst_err pst_serial_open(struct pst_serial *s, const struct pst_serial_config *cfg,
                                       uint64_t now_ms);
void pst_serial_input(struct pst_serial *s, const uint8_t *bytes, size_t len, uint64_t now_ms);
/* Writes up to `cap` bytes for the line, and returns how many. 0: none at the moment. */
size_t pst_serial_output(struct pst_serial *s, uint8_t *out, size_t cap, uint64_t now_ms);
uint64_t pst_serial_wake(const struct pst_serial *s);

#ifdef __cplusplus
}
#endif

#endif
