/* Shared by the files of the reliable link. */
#ifndef PST_LINK_RELIABLE_RELIABLE_H
#define PST_LINK_RELIABLE_RELIABLE_H

#include "postern/links/reliable.h"

#define DATAGRAM_CRC 4
#define HELLO_SIZE (1 + 4 + 4 + 1 + 1 + 2 + 4 + 4 + 4 + 8 + DATAGRAM_CRC)
#define DATA_HEAD (1 + 4 + 1 + 4 + 4) /* ASK and BYTES, no ACK */
#define BACKOFF_MAX 10                /* doublings of a timeout */
#define ACK_SIZE(mask) (4 + 4 + (mask))

enum sent_state { SENT_FREE, SENT_FLYING, SENT_LOST };
enum sent_what { SENT_DATA, SENT_PROBE, SENT_PING, SENT_CREDIT };

/* HELLO and WELCOME. */
struct greeting {
    uint32_t id, sender; /* sender: WELCOME only */
    struct pst_hello hello;
    uint16_t mtu;
    uint32_t start, credit;
    uint64_t cookie; /* HELLO only */
};

struct data {
    uint32_t id, number, ack, credit, offset;
    uint64_t missing;
    uint8_t flags;
    struct pst_bytes bytes;
};

/* wire.c: reading takes the CRC off and checks it; writing puts it on. `crc` may be NULL.
 */
typedef uint32_t pst_crc_fn(uint32_t crc, const void *at, size_t len);
pst_err psti_datagram_open(pst_crc_fn *crc, const uint8_t *datagram, size_t len, uint8_t *type,
                           struct pst_reader *r);
size_t psti_datagram_seal(pst_crc_fn *crc, struct pst_writer *w);
pst_err psti_greeting_get(struct pst_reader *r, bool welcome, struct greeting *g);
size_t psti_greeting_put(uint8_t *out, size_t cap, bool welcome, const struct greeting *g);
pst_err psti_data_get(struct pst_reader *r, struct data *d);
/* Writes a DATA datagram without what follows the offset, the padding, and the CRC. */
void psti_data_put(struct pst_writer *w, const struct data *d);
size_t psti_mask_len(uint64_t missing);

/* a - b for numbers that wrap around. */
static inline int32_t pst_gap(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b);
}

/* sent.c. The earliest datagram in the stream that is in `state` (enum sent_state), or NULL: a
 * receiver that cannot keep track of more gaps takes that one and no other. */
struct pst_reliable_sent *psti_sent_find(struct pst_reliable *r, uint8_t state);
size_t psti_sent_free(const struct pst_reliable *r);               /* slots */
bool psti_sent_flying(const struct pst_reliable *r, uint8_t what); /* enum sent_what */
uint32_t psti_sent_in_flight(const struct pst_reliable *r);        /* bytes of data */
uint64_t psti_sent_expires(const struct pst_reliable *r, const struct pst_reliable_sent *s);
/* Declares lost what has timed out. */
void psti_sent_expire(struct pst_reliable *r, uint64_t now_ms);
/* Handles an answer to our HELLO. It measures the round trip if there was only one HELLO, and makes
 * the next datagram go out at once. */
void psti_reliable_greeted(struct pst_reliable *r, uint64_t now_ms);
void psti_reliable_acked(struct pst_reliable *r, const struct data *d, uint64_t now_ms);

/* out.c */
void psti_reliable_end(struct pst_reliable *r, pst_err why, bool tell);

#endif
