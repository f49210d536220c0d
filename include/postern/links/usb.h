/* USB: the debug class, from both ends.
 *
 * A TS is a device with a *debug function*: an interface association of a Debug-Control interface
 * and a data interface with bulk endpoints (USB 3.1 Device Class for Debug Devices, revision 1.0:
 * class 0xDC). The general-purpose function (DvC.GP) carries the bytes of a link both ways, the
 * trace function (DvC.Trace) goes one way. Codes, descriptors and request numbers are public; what
 * the requests say and how bytes travel on the pipes is ours (mipi_profile.h).
 *
 * Three parts, for firmware and host alike: descriptors (built by the device, found by the host in
 * bytes that it does not trust), class requests, and the *pipe*, which makes an ordered byte stream
 * of bulk transfers.
 *
 * **Transfers.** Each begins with a head: kind, length, stream. A transfer is never a multiple of
 * 64 bytes long (if it would be, a byte is added), so it always ends in a short packet, at every
 * speed: nobody has to send, or wait for, a packet of length zero. Bulk endpoints lose nothing and
 * have flow control: a side that does not read makes the other one wait.
 *
 * **A new stream** is opened by the host, under a random number: first the class request SET_RESET,
 * which gets through when the pipes are stuck, then an OPEN transfer. What either side still had
 * under way from a former connection has another number, or is cut off and no valid transfer, and
 * is dropped. If such a rest swallows the OPEN, the host repeats it under the next number.
 *
 * **Keepalive.** USB does not tell a device that the program that used it is gone, and a pipe may
 * be full for a long time. So while a stream is open the host makes a class request each second
 * (GET_INFO).
 *
 * Sans-I/O, no allocation; nothing here is authenticated.
 */
#ifndef POSTERN_LINKS_USB_H
#define POSTERN_LINKS_USB_H

#include "postern/link.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const struct pst_link_traits pst_usb_traits;

/* --- descriptors --- */

#define PST_USB_CLASS 0xDC
enum pst_usb_subclass { PST_USB_DVC_GP = 5, PST_USB_DVC_TRACE = 7, PST_USB_CONTROL = 8 };
enum pst_usb_speed { PST_USB_FULL, PST_USB_HIGH, PST_USB_SUPER };

/* One debug function of a device; it has two interfaces, numbered from `first`. */
struct pst_usb_function {
    uint8_t subclass; /* PST_USB_DVC_GP or PST_USB_DVC_TRACE */
    uint8_t protocol; /* 0: vendor */
    uint8_t first;
    uint8_t in, out; /* endpoint addresses: `in` with bit 7 set; no `out` for trace */
    uint8_t control_text, data_text; /* string numbers; 0: none */
    bool attributes; /* with the class's own descriptor: Linux's FunctionFS refuses it */
};
#define PST_USB_FUNCTION_MAX 91 /* bytes of one function */
#define PST_USB_CONFIG_HEAD 9

/* Appends the descriptors of a function; `*count` grows by how many. PST_ERR_SPACE, and
 * PST_ERR_ARGUMENT for endpoints that contradict the subclass; then nothing is written. */
PST_MUST_CHECK pst_err pst_usb_function_put(const struct pst_usb_function *f,
                                            enum pst_usb_speed speed, uint8_t *out, size_t cap,
                                            size_t *len, unsigned *count);
/* A whole configuration: its head (value 1, bus powered, 100 mA or 144) and at most
 * 127 functions. */
PST_MUST_CHECK pst_err pst_usb_config_put(const struct pst_usb_function *functions, size_t n,
                                          enum pst_usb_speed speed, uint8_t *out, size_t cap,
                                          size_t *len);

struct pst_usb_found {
    uint8_t configuration; /* its value */
    bool has_control;
    uint8_t control, data, alternate; /* interface numbers; setting of the data interface */
    uint8_t subclass, protocol;
    uint8_t in, out; /* endpoint addresses; out 0: none */
    uint16_t packet; /* largest packet of `in` */
};
/* The first function of `subclass` in a configuration descriptor with all that belongs to it, from
 * a device that nobody trusts. Numbers in the interface association are not relied on: Linux
 * leaves them wrong in composite gadgets. PST_ERR_UNSUPPORTED: none that could be used.
 * PST_ERR_DECODE: malformed before one was found. */
PST_MUST_CHECK pst_err pst_usb_find(const uint8_t *config, size_t len, uint8_t subclass,
                                    struct pst_usb_found *found);

/* --- class requests, to the Debug-Control interface --- */

enum pst_usb_request {
    PST_USB_SET_OPERATING_MODE = 0x05,
    PST_USB_SET_RESET = 0x0A,
    PST_USB_GET_OPERATING_MODE = 0x85,
    PST_USB_GET_INFO = 0x87,
    PST_USB_GET_ERROR = 0x88,
};
#define PST_USB_SETUP 8
void pst_usb_setup_put(uint8_t out[PST_USB_SETUP], uint8_t request, uint16_t value,
                       uint8_t interface, uint16_t len);

struct pst_usb_control { /* of a device; zeroed at first */
    uint8_t mode;        /* enum pst_usb_mode */
    uint8_t error;       /* enum pst_usb_error: why the last request was refused */
};
typedef enum { PST_USB_STALL, PST_USB_ACCEPT, PST_USB_ANSWER } pst_usb_verdict;
/* Answers a setup packet for an interface of the function. PST_USB_STALL: refuse. PST_USB_ACCEPT:
 * there is no data, acknowledge; after SET_RESET (`*reset`) the owner drops the stream
 * (pst_usb_pipe_drop) first. PST_USB_ANSWER: `*len` bytes of `out`, cut to what the host asked
 * for. No request with data from the host is accepted. */
pst_usb_verdict pst_usb_control_run(struct pst_usb_control *c, const uint8_t setup[PST_USB_SETUP],
                                    uint8_t out[PST_USB_INFO_LEN], size_t *len, bool *reset);
/* Reads what GET_INFO answered. PST_ERR_UNSUPPORTED: not our pipe. PST_ERR_PROFILE: another
 * profile. */
PST_MUST_CHECK pst_err pst_usb_info_get(const uint8_t *info, size_t len);

/* --- the pipe --- */

/* Bytes of the largest transfer. Whoever reads offers this many, and gets less. */
#define PST_USB_TRANSFER 16384
#define PST_USB_PAYLOAD (PST_USB_TRANSFER - 1 - PST_USB_HEAD)
#define PST_USB_OPEN_MS 1000 /* the host asks again */
#define PST_USB_OPEN_TRIES 3
#define PST_USB_ALIVE_MS 1000 /* host: from one request to the next */
#define PST_USB_DEAD_MS 5000

typedef enum {
    PST_USB_NOTHING, /* it concerned the pipe alone, or was dropped */
    PST_USB_OPENED,  /* device: a host began a stream (a former one has ended by it); host: the
                        device took ours */
    PST_USB_BYTES,
    PST_USB_CLOSED, /* by the peer, after all its bytes; host: or the device did not take it */
    PST_USB_LOST,   /* bytes of the stream are missing, or the device has forgotten it */
} pst_usb_event;

struct pst_usb_pipe { /* private but for the first */
    bool open;        /* there is a stream */
    bool device, calling;
    uint8_t reply, tries; /* reply: kind of a transfer to send before anything else, or 0 */
    uint32_t stream, reply_stream, refused;
    uint32_t sent, received; /* DATA transfers, modulo 2^32 */
    uint64_t wake;           /* host: the next OPEN or ALIVE; device: the host is taken for dead */
};
void pst_usb_pipe_listen(struct pst_usb_pipe *p);
/* A host begins: `stream` is random. */
void pst_usb_pipe_call(struct pst_usb_pipe *p, uint32_t stream, uint64_t now_ms);

/* One transfer as it came, whole. PST_USB_BYTES: `*bytes` alias it, and are not empty. */
pst_usb_event pst_usb_pipe_receive(struct pst_usb_pipe *p, uint64_t now_ms, const uint8_t *transfer,
                                   size_t len, struct pst_bytes *bytes);
/* A device heard a class request: the host is alive. */
void pst_usb_pipe_heard(struct pst_usb_pipe *p, uint64_t now_ms);
/* What the pipe itself has to send: a transfer of `*len` bytes. Ask after each input, after close,
 * and at pst_usb_pipe_wake. PST_WANT_MORE: nothing now. PST_ERR_TIMEOUT: host: the device does not
 * answer, now and ever after; device: the host is silent, and the stream has ended. */
#define PST_USB_OWN (PST_USB_HEAD + 1)
PST_MUST_CHECK pst_err pst_usb_pipe_output(struct pst_usb_pipe *p, uint64_t now_ms,
                                           uint8_t out[PST_USB_OWN], size_t *len);
/* Device: the host has been silent for too long; output says so too, where there is room for it. */
bool pst_usb_pipe_is_dead(const struct pst_usb_pipe *p, uint64_t now_ms);
/* When to ask for output at the latest; UINT64_MAX: not at all. */
uint64_t pst_usb_pipe_wake(const struct pst_usb_pipe *p);
/* A transfer with as many of the bytes as fit into `cap`: `*taken`, and `*len` to send. Takes
 * nothing unless the stream is open and output is empty. */
void pst_usb_pipe_send(struct pst_usb_pipe *p, const uint8_t *bytes, size_t bytes_len, uint8_t *out,
                       size_t cap, size_t *taken, size_t *len);
/* Ends the stream; the peer is told, after all that was sent. */
void pst_usb_pipe_close(struct pst_usb_pipe *p);
/* Ends it without a word: SET_RESET, a bus reset, unplugged. */
void pst_usb_pipe_drop(struct pst_usb_pipe *p);

#ifdef __cplusplus
}
#endif

#endif
