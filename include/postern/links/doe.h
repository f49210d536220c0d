/* PCI Express Data Object Exchange: a mailbox in a device's configuration space.
 *
 * A device that has one shows it as extended capability 002E: control, status, and a word to write
 * and one to read (spec: PCI Express Base Specification 6.x, "Data Object Exchange"). A requester
 * writes an object word by word, sets Go, waits until an answer is ready and reads it, word by
 * word: one question, one answer. The device never speaks first, and there is one mailbox for all
 * of the host's software.
 *
 * Sans-I/O: configuration space is behind two functions, and time is an argument. The two may take
 * long (some devices work during the access), so call from where that does no harm. Nothing that
 * the device says is trusted: lists are walked for a bounded number of steps, lengths are compared
 * with the buffer, and all ones mean that the device is gone.
 *
 * The second half of this header puts link messages (link.h) into data objects and back, for the
 * DTS side of a mailbox and for the SPDM server behind one.
 */
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
#define PST_DOE_MOST 0x11000 /* bytes of the largest object with a link message in it */

struct pst_doe_port { /* `at`: bytes from the start of configuration space, a multiple of 4 */
    void *ctx;
    pst_err (*read)(void *ctx, uint16_t at, uint32_t *word);
    pst_err (*write)(void *ctx, uint16_t at, uint32_t word);
};

/* The next mailbox behind `after` (0: the first). PST_ERR_UNSUPPORTED: there is none;
 * PST_ERR_CLOSED: there is no device (any more); PST_ERR_DECODE: a list without an end; or what the
 * port says. `version`: of the capability. */
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
    bool cleared;    /* of what others have left in the mailbox */
    pst_err failing; /* what the request in hand ends with after the abort */
    uint32_t wait_ms;
    uint64_t wake_ms, deadline_ms;
    uint32_t objects, aborts;
};
/* Answers come to `buffer`, of `cap` bytes, and are waited for `limit_ms`. Both stay the owner's.
 * The first request begins with an abort: of what somebody else did not finish. */
void pst_doe_init(struct pst_doe *d, const struct pst_doe_port *port, uint16_t at,
                  uint32_t limit_ms, uint8_t *buffer, size_t cap);
/* Begins with a request: a whole object, of the caller's memory until the answer. PST_ERR_STATE:
 * there is one in hand. PST_ERR_ARGUMENT: its header contradicts `len`. */
PST_MUST_CHECK pst_err pst_doe_start(struct pst_doe *d, const uint8_t *object, size_t len,
                                     uint64_t now_ms);
/* Goes on. PST_OK: the answer, valid until the next start, whole and of the request's type.
 * PST_PENDING: again at pst_doe_wake. All else ends the request, with the mailbox cleared as far as
 * it can be, and another may begin: PST_ERR_PEER: the device reports an error; PST_ERR_TIMEOUT: no
 * answer, or it stays busy; PST_ERR_DECODE: a cut or malformed object; PST_ERR_UNEXPECTED: one of
 * another type; PST_ERR_LIMIT: longer than the buffer; PST_ERR_CLOSED: the device is gone; or what
 * the port says. */
PST_MUST_CHECK pst_err pst_doe_step(struct pst_doe *d, uint64_t now_ms, struct pst_bytes *answer);
uint64_t pst_doe_wake(const struct pst_doe *d);
/* Forgets the current request, and aborts it in the device. */
void pst_doe_cancel(struct pst_doe *d);

/* --- discovery: which objects a mailbox knows --- */

struct pst_doe_survey {
    bool spdm, secured; /* found so far */
    uint8_t next;       /* private */
    uint8_t version;
};
/* `version`: of the capability. */
void pst_doe_survey_init(struct pst_doe_survey *s, uint8_t version);
/* The next request; its length. */
size_t pst_doe_survey_ask(const struct pst_doe_survey *s, uint8_t out[12]);
/* Its answer. PST_PENDING: ask again. PST_OK: that was all. PST_ERR_DECODE. */
PST_MUST_CHECK pst_err pst_doe_survey_take(struct pst_doe_survey *s, const uint8_t *object,
                                           size_t len);

/* --- link messages in data objects --- */

extern const struct pst_link_traits pst_doe_traits;

/* An object of a link message: `len` bytes of payload lie at `buf + PST_DOE_HEAD` and `cap` leaves
 * PST_DOE_SPARE bytes behind them. SPDM messages and records become objects of type 1 and 2 (spec:
 * DOE, CMA/SPDM). Control messages have no type of their own: they go inside a clear
 * VENDOR_DEFINED message (provisional), a response if `answer`; a device that knows nothing of
 * them says ERROR, in SPDM. PST_ERR_UNSUPPORTED: another kind. PST_ERR_SPACE. */
#define PST_DOE_SPARE 16
PST_MUST_CHECK pst_err pst_doe_wrap(uint8_t kind, bool answer, uint8_t *buf, size_t cap, size_t len,
                                    size_t *total);
/* The other way; `payload` aliases the object, and may end in padding. `*kind` is 0 for discovery.
 * PST_ERR_DECODE: neither. */
PST_MUST_CHECK pst_err pst_doe_unwrap(const uint8_t *object, size_t len, uint8_t *kind,
                                      struct pst_bytes *payload);

/* One end of a mailbox as a stream of link messages: a DTS writes to it and reads what a target
 * says, or a TS what a debugger says. One message is in hand each way. */
struct pst_doe_end { /* private */
    struct pst_framing stream;
    uint8_t *buffer; /* the object in hand */
    size_t cap, len;
    uint8_t kind;
    const uint8_t *out; /* what the owner has not read yet */
    size_t out_len;
    uint8_t small[PST_LINK_HEADER + PST_LINK_CONTROL_MAX];
    bool target, full, numbered, up, swallow;
};
/* `target`: the owner is the TS. `buffer`: `cap` bytes, for objects of at most cap -
 * PST_DOE_SPARE. */
void pst_doe_end_init(struct pst_doe_end *e, bool target, uint8_t *buffer, size_t cap);
/* Takes bytes of the owner's; how many. It stops after a message, while that one is in hand.
 * PST_ERR_DECODE: no link messages; PST_ERR_UNSUPPORTED: of a kind that a mailbox does not carry.
 */
PST_MUST_CHECK pst_err pst_doe_end_write(struct pst_doe_end *e, const uint8_t *bytes, size_t len,
                                         size_t *taken);
/* The object in hand; NULL: none. Drop it once it is sent. */
const uint8_t *pst_doe_end_object(const struct pst_doe_end *e, size_t *len);
void pst_doe_end_drop(struct pst_doe_end *e);
/* An object for the owner, as it comes: `object` is written to, and stays until all of it is read.
 * PST_ERR_STATE: what came before is not read yet. PST_ERR_DECODE: no object of ours.
 * PST_ERR_PROFILE: the owner's own hop needs numbers in records, and a device that does not know
 * HELLO cannot be told. */
PST_MUST_CHECK pst_err pst_doe_end_take(struct pst_doe_end *e, uint8_t *object, size_t len);
/* Of a TS: the other side is a requester that sends no HELLO. The owner reads one that stands for
 * it, and the owner's own is not sent. PST_ERR_STATE: what came before is not read yet. */
PST_MUST_CHECK pst_err pst_doe_end_assume(struct pst_doe_end *e);
/* What the owner may read, and how many bytes of it the owner has read. */
struct pst_bytes pst_doe_end_peek(const struct pst_doe_end *e);
void pst_doe_end_read(struct pst_doe_end *e, size_t len);

#ifdef __cplusplus
}
#endif

#endif
