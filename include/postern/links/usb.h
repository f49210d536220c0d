/* USB: the debug class, from both ends.
 *
 * A TS is a device with a *debug function*: an interface association of a Debug-Control interface
 * and a data interface with bulk endpoints (USB 3.1 Device Class for Debug Devices, revision 1.0:
 * class 0xDC). The general-purpose function (DvC.GP) carries the bytes of a link in both
 * directions, the trace function (DvC.Trace) only to the host. Codes, descriptors and request
 * numbers are public; the content of the requests and the format on the pipes are provisional
 * (mipi_profile.h).
 *
 * Three parts, for firmware and host alike: descriptors (built by the device; the host parses them
 * without trusting them), class requests, and the *pipe*, which turns bulk transfers into an
 * ordered byte stream.
 *
 * **Transfers.** Each begins with a head: kind, length, stream, number. The length of a transfer is
 * never a multiple of 64 bytes (if it would be, a byte is added). So it always ends in a short
 * packet, at every speed, and zero-length packets are not needed. Bulk endpoints lose nothing and
 * have flow control: a side that does not read makes the other one wait.
 *
 * **A new stream** is opened by the host, under a random number: first with the class request
 * SET_RESET, which works even when the pipes are stuck, then with an OPEN transfer. Data still
 * under way from a former connection has another number or is a truncated transfer, and is dropped.
 * If such a remainder swallows the OPEN, the host repeats it under the next number.
 *
 * **Keepalive.** USB does not tell a device that the program which used it is gone, and a pipe may
 * be full for a long time. So while a stream is open the host sends a class request (GET_INFO)
 * every second.
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

/* One debug function of a device. It has two interfaces, `first` and `first` + 1. */
struct pst_usb_function {
    uint8_t subclass; /* PST_USB_DVC_GP or PST_USB_DVC_TRACE */
    uint8_t protocol; /* 0: vendor */
    uint8_t first;
    uint8_t in, out; /* endpoint addresses; `in` has bit 7 set; `out` is 0 for trace */
    uint8_t control_text, data_text; /* string numbers; 0: none */
    bool attributes; /* include the class's own descriptor, which Linux's FunctionFS refuses */
};
#define PST_USB_FUNCTION_MAX 91 /* most bytes of one function's descriptors */
#define PST_USB_CONFIG_HEAD 9

/* Appends the descriptors of a function at `out + *len`, and adds their number to `*count`.
 * PST_ERR_SPACE: `cap` is too small. PST_ERR_ARGUMENT: the endpoints contradict the subclass. On
 * error nothing is written. */
PST_MUST_CHECK pst_err pst_usb_function_put(const struct pst_usb_function *f,
                                            enum pst_usb_speed speed, uint8_t *out, size_t cap,
                                            size_t *len, unsigned *count);
/* Writes a complete configuration: its head (value 1, bus powered, 100 mA or 144 mA) and at most
 * 127 functions. */
PST_MUST_CHECK pst_err pst_usb_config_put(const struct pst_usb_function *functions, size_t n,
                                          enum pst_usb_speed speed, uint8_t *out, size_t cap,
                                          size_t *len);

struct pst_usb_found {
    uint8_t configuration; /* bConfigurationValue */
    bool has_control;
    uint8_t control, data, alternate; /* interface numbers; setting of the data interface */
    uint8_t subclass, protocol;
    uint8_t in, out; /* endpoint addresses; out 0: none */
    uint16_t packet; /* largest packet of `in` */
};
/* Finds the first function of `subclass` in a complete configuration descriptor of an untrusted
 * device. The numbers in the interface association are ignored, because Linux leaves them wrong in
 * composite gadgets. PST_ERR_UNSUPPORTED: no usable function. PST_ERR_DECODE: malformed before a
 * function was found. */
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

struct pst_usb_control { /* state of a device; zero it first */
    uint8_t mode;        /* enum pst_usb_mode */
    uint8_t error;       /* enum pst_usb_error: why the last request was refused */
};
typedef enum { PST_USB_STALL, PST_USB_ACCEPT, PST_USB_ANSWER } pst_usb_verdict;
/* Answers a setup packet for an interface of the function. PST_USB_STALL: refuse. PST_USB_ACCEPT:
 * there is no data, acknowledge; after SET_RESET (`*reset` is set) the owner first drops the stream
 * (pst_usb_pipe_drop). PST_USB_ANSWER: return `*len` bytes of `out`, at most what the host asked
 * for. Requests with data from the host are refused. */
pst_usb_verdict pst_usb_control_run(struct pst_usb_control *c, const uint8_t setup[PST_USB_SETUP],
                                    uint8_t out[PST_USB_INFO_LEN], size_t *len, bool *reset);
/* Checks the answer to GET_INFO. PST_ERR_UNSUPPORTED: not our pipe. PST_ERR_PROFILE: incompatible
 * wire profile. */
PST_MUST_CHECK pst_err pst_usb_info_get(const uint8_t *info, size_t len);

/* --- the pipe --- */

/* Bytes of the largest transfer. A reader offers a buffer of this size, and gets fewer bytes. */
#define PST_USB_TRANSFER 16384
#define PST_USB_PAYLOAD (PST_USB_TRANSFER - 1 - PST_USB_HEAD)
#define PST_USB_OPEN_MS 1000 /* after this time the host repeats OPEN */
#define PST_USB_OPEN_TRIES 3
#define PST_USB_ALIVE_MS 1000 /* host: interval between class requests */
#define PST_USB_DEAD_MS 5000

typedef enum {
    PST_USB_NOTHING, /* it concerned only the pipe, or was dropped */
    PST_USB_OPENED,  /* device: a host began a stream, which ends a former one; host: the device
                        accepted ours */
    PST_USB_BYTES,
    PST_USB_CLOSED, /* by the peer, after all its bytes; host: or the device refused the stream */
    PST_USB_LOST,   /* bytes of the stream are missing, or the device has forgotten it */
} pst_usb_event;

struct pst_usb_pipe { /* private but for the first */
    bool open;        /* a stream is open */
    bool device, calling;
    uint8_t reply, tries; /* reply: kind of transfer to send first, or 0 */
    uint32_t stream, reply_stream, refused;
    uint32_t sent, received; /* DATA transfers, modulo 2^32 */
    uint64_t wake;           /* host: time of the next OPEN; device: when the host counts as dead */
};
void pst_usb_pipe_listen(struct pst_usb_pipe *p);
/* A host begins a stream; `stream` is a random number. */
void pst_usb_pipe_call(struct pst_usb_pipe *p, uint32_t stream, uint64_t now_ms);

/* Takes one complete transfer. PST_USB_BYTES: `*bytes` aliases it and is not empty. */
pst_usb_event pst_usb_pipe_receive(struct pst_usb_pipe *p, uint64_t now_ms, const uint8_t *transfer,
                                   size_t len, struct pst_bytes *bytes);
/* Call this in a device at each class request: the host is alive. */
void pst_usb_pipe_heard(struct pst_usb_pipe *p, uint64_t now_ms);
/* Gives a transfer of `*len` bytes that the pipe itself must send. Call it after each input, after
 * close, and at pst_usb_pipe_wake. PST_WANT_MORE: nothing now. PST_ERR_TIMEOUT: host: the device
 * does not answer, and later calls return the same; device: the host is silent, and the stream has
 * ended. */
#define PST_USB_OWN (PST_USB_HEAD + 1)
PST_MUST_CHECK pst_err pst_usb_pipe_output(struct pst_usb_pipe *p, uint64_t now_ms,
                                           uint8_t out[PST_USB_OWN], size_t *len);
/* Device: true if the host has been silent for too long. Output also reports this, but it needs
 * room to send. */
bool pst_usb_pipe_is_dead(const struct pst_usb_pipe *p, uint64_t now_ms);
/* The latest time to ask for output. UINT64_MAX: never. */
uint64_t pst_usb_pipe_wake(const struct pst_usb_pipe *p);
/* Makes a transfer with as many of the bytes as fit into `cap`: `*taken` bytes were taken, `*len`
 * bytes are to be sent. Takes nothing unless the stream is open and output has nothing to send. */
void pst_usb_pipe_send(struct pst_usb_pipe *p, const uint8_t *bytes, size_t bytes_len, uint8_t *out,
                       size_t cap, size_t *taken, size_t *len);
/* Ends the stream. The peer is told after everything that was sent. */
void pst_usb_pipe_close(struct pst_usb_pipe *p);
/* Ends the stream without telling the peer: after SET_RESET, a bus reset or unplugging. */
void pst_usb_pipe_drop(struct pst_usb_pipe *p);

#ifdef __cplusplus
}
#endif

#endif
