/* PCI Express Data Object Exchange: a mailbox in a device's configuration space.
 *
 * A device that has one shows it as extended capability 002E: a control word, a status word, a word
 * to write and a word to read (spec: PCI Express Base Specification 6.x, "Data Object Exchange"). A
 * requester writes an object word by word, sets Go, waits until the answer is ready, and reads it
 * word by word. Each request has one answer, and the device never sends first. All software of the
 * host shares the mailbox.
 *
 * Sans-I/O: two functions give access to configuration space, and time is an argument. The two
 * functions may take long (some devices do their work during the access), so call this from a place
 * that may block. The device is not trusted: list walks are bounded, lengths are compared with the
 * buffer, and a word of all ones means that the device is gone.
 *
 * The second half of this header converts link messages (link.h) to data objects and back, for the
 * DTS side of a mailbox and for the SPDM server behind it. */
#ifndef POSTERN_LINKS_DOE_H
#define POSTERN_LINKS_DOE_H

#include "postern/link.h"
#include "postern/links/binding.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_DOE_CAPABILITY 0x002E
#define PST_DOE_HEAD 8       /* bytes before an object's body */
#define PST_DOE_OBJECT 4608  /* bytes of the largest object that QEMU's devices take */
#define PST_DOE_MOST 0x11000 /* bytes, enough for an object with any link message */

struct pst_doe_port { /* `at`: bytes from the start of configuration space, a multiple of 4 */
    void *ctx;
    pst_err (*read)(void *ctx, uint16_t at, uint32_t *word);
    pst_err (*write)(void *ctx, uint16_t at, uint32_t word);
};

/* Finds the first mailbox, or the next one after `after` if that is not 0. `*version` is that of
 * the capability. PST_ERR_UNSUPPORTED: there is none. PST_ERR_CLOSED: there is no device, or no
 * longer. PST_ERR_DECODE: the list of capabilities has no end. Other errors are the port's. */
PST_MUST_CHECK pst_err pst_doe_find(const struct pst_doe_port *port, uint16_t after, uint16_t *at,
                                    uint8_t *version);

struct pst_doe { /* private but for the counters */
    struct pst_doe_port port;
    uint16_t at;
    uint32_t limit_ms;
    uint8_t *buffer;
    size_t cap;
    const uint8_t *object;
    size_t len;
    uint8_t state;
    bool cleared;    /* what others left in the mailbox was aborted */
    pst_err failing; /* how the current request ends after the abort */
    uint32_t wait_ms;
    uint64_t wake_ms, deadline_ms;
    uint32_t objects, aborts;
};
/* Answers are read into `buffer` of `cap` bytes, and must come within `limit_ms`. The buffer and
 * the port's context belong to the owner. The first request begins with an abort, in case somebody
 * left a request unfinished. */
void pst_doe_init(struct pst_doe *d, const struct pst_doe_port *port, uint16_t at,
                  uint32_t limit_ms, uint8_t *buffer, size_t cap);
/* Starts a request: a complete object, in the caller's memory, which must stay valid until the
 * answer. PST_ERR_STATE: a request is under way. PST_ERR_ARGUMENT: the object's header contradicts
 * `len`. */
PST_MUST_CHECK pst_err pst_doe_start(struct pst_doe *d, const uint8_t *object, size_t len,
                                     uint64_t now_ms);
/* Continues the request. PST_OK: `*answer` is complete, of the request's type, and valid until the
 * next start. PST_PENDING: call again at pst_doe_wake. Any other result ends the request, after an
 * attempt to clear the mailbox, and another may be started. PST_ERR_PEER: the device reports an
 * error. PST_ERR_TIMEOUT: no answer, or the mailbox stays busy. PST_ERR_DECODE: the answer is
 * truncated or malformed. PST_ERR_UNEXPECTED: it has another type. PST_ERR_LIMIT: it is longer than
 * the buffer. PST_ERR_CLOSED: the device is gone. Other errors are the port's. */
PST_MUST_CHECK pst_err pst_doe_step(struct pst_doe *d, uint64_t now_ms, struct pst_bytes *answer);
uint64_t pst_doe_wake(const struct pst_doe *d);
/* Drops the current request, and aborts it in the device. */
void pst_doe_cancel(struct pst_doe *d);

/* --- discovery: which objects a mailbox supports --- */

struct pst_doe_survey {
    bool spdm, secured; /* found so far */
    uint8_t next;       /* private */
    uint8_t version;
};
/* `version` is that of the capability. */
void pst_doe_survey_init(struct pst_doe_survey *s, uint8_t version);
/* Writes the next request; returns its length. */
size_t pst_doe_survey_ask(const struct pst_doe_survey *s, uint8_t out[12]);
/* Takes its answer. PST_PENDING: ask again. PST_OK: the survey is complete. PST_ERR_DECODE: the
 * answer is malformed. */
PST_MUST_CHECK pst_err pst_doe_survey_take(struct pst_doe_survey *s, const uint8_t *object,
                                           size_t len);

/* --- link messages in data objects --- */

extern const struct pst_link_traits pst_doe_traits;

/* Makes an object from a link message: `len` bytes of payload lie at `buf + PST_DOE_HEAD`, and
 * `cap` leaves PST_DOE_SPARE bytes after them. Send `*total` bytes. SPDM messages and records
 * become objects of type 1 and 2 (spec: DOE, CMA/SPDM). Control messages have no type of their own:
 * they travel in a VENDOR_DEFINED message in the clear (provisional), a response if `answer`. A
 * device that does not know them answers with SPDM's ERROR. PST_ERR_UNSUPPORTED: another kind.
 * PST_ERR_SPACE: `cap` is too small. */
#define PST_DOE_SPARE 16
PST_MUST_CHECK pst_err pst_doe_wrap(uint8_t kind, bool answer, uint8_t *buf, size_t cap, size_t len,
                                    size_t *total);
/* Gets the link message from an object. `payload` aliases the object, and may end in padding.
 * `*kind` is 0 for discovery. PST_ERR_DECODE: not an object of these types. */
PST_MUST_CHECK pst_err pst_doe_unwrap(const uint8_t *object, size_t len, uint8_t *kind,
                                      struct pst_bytes *payload);

/* One end of a mailbox as a stream of link messages: its owner, a DTS or a TS, writes messages to
 * the other end and reads those that come from it. It holds one message in each direction. */
struct pst_doe_end { /* private */
    struct pst_framing stream;
    uint8_t *buffer; /* the object to send */
    size_t cap, len;
    uint8_t kind;
    const uint8_t *out; /* what the owner has not read yet */
    size_t out_len;
    uint8_t small[PST_LINK_HEADER + PST_LINK_CONTROL_MAX];
    bool target, full, numbered, up, swallow;
};
/* `target`: the owner is the TS. `buffer` has `cap` bytes, for objects of at most cap -
 * PST_DOE_SPARE bytes. */
void pst_doe_end_init(struct pst_doe_end *e, bool target, uint8_t *buffer, size_t cap);
/* Takes bytes from the owner; `*taken` is how many. It stops after one message, until that object
 * is dropped. PST_ERR_DECODE: the bytes are not link messages. PST_ERR_UNSUPPORTED: a mailbox does
 * not carry this kind. */
PST_MUST_CHECK pst_err pst_doe_end_write(struct pst_doe_end *e, const uint8_t *bytes, size_t len,
                                         size_t *taken);
/* The object to send; NULL: none. Drop it once it is sent. */
const uint8_t *pst_doe_end_object(const struct pst_doe_end *e, size_t *len);
void pst_doe_end_drop(struct pst_doe_end *e);
/* Takes a received object for the owner. `object` is modified, and must stay valid until all of it
 * is read. PST_ERR_STATE: the object before it is not read yet. PST_ERR_DECODE: it carries no link
 * message. PST_ERR_PROFILE: the device does not speak HELLO, but the owner's hop needs sequence
 * numbers in records. */
PST_MUST_CHECK pst_err pst_doe_end_take(struct pst_doe_end *e, uint8_t *object, size_t len);
/* For a TS: call this if the other side is a requester that sends no HELLO. The owner reads a HELLO
 * in its name, and the owner's own HELLO is not sent. PST_ERR_STATE: the object before it is not
 * read yet. */
PST_MUST_CHECK pst_err pst_doe_end_assume(struct pst_doe_end *e);
/* `peek` returns what the owner can read; `read` notes how many bytes of it were read. */
struct pst_bytes pst_doe_end_peek(const struct pst_doe_end *e);
void pst_doe_end_read(struct pst_doe_end *e, size_t len);

#ifdef __cplusplus
}
#endif

#endif
