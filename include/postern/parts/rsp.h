/* Packets of the gdb remote serial protocol: their framing, and the numbers and texts inside.
 *
 * A packet is `$payload#cc`, cc being the sum of the payload's bytes as sent, in two hex digits. In
 * the payload `}` escapes the next byte (sent xor 0x20), and from a stub `*` repeats the byte
 * before it. `+` and `-` acknowledge, a lone 0x03 interrupts, `%name:…#cc` notifies. The reader
 * takes a stream in pieces of any size and yields one item at a time, with its payload decoded. It
 * does not acknowledge packets: its owner does, or not.
 *
 * Both ends use this: the client of a stub (stub.h) and the server for gdb (gdb_server.h).
 * Described in "Debugging with GDB", appendix E.1 to E.3.
 */
#ifndef POSTERN_PARTS_RSP_H
#define POSTERN_PARTS_RSP_H

#include "postern/parts/wire.h"

#ifdef __cplusplus
extern "C" {
#endif

enum pst_rsp_item {
    PST_RSP_NOTHING = 0, /* all input was taken, no item is complete */
    PST_RSP_PACKET,      /* payload in `buffer`, `len` bytes; valid until the next read */
    PST_RSP_NOTICE,      /* the same for a notification */
    PST_RSP_ACK,
    PST_RSP_NAK,
    PST_RSP_BREAK, /* 0x03 outside a packet */
    PST_RSP_BAD,   /* a packet with a wrong sum, escape or run length, or too long: dropped */
};

struct pst_rsp_reader {
    uint8_t *buffer; /* the caller's; always ends in a NUL that `len` does not count */
    size_t cap, len;
    bool runs; /* expand run lengths: true for packets of a stub, false for packets of gdb */
    /* private */
    uint8_t state, sum, given, kind;
    bool bad;
};
/* `cap` is the longest payload + 1, and at least 2. */
void pst_rsp_reader_init(struct pst_rsp_reader *r, uint8_t *buffer, size_t cap, bool runs);
/* Takes bytes up to the end of one item and returns how many. */
size_t pst_rsp_read(struct pst_rsp_reader *r, const uint8_t *in, size_t len,
                    enum pst_rsp_item *item);
/* True between the first and the last byte of a packet. */
bool pst_rsp_inside(const struct pst_rsp_reader *r);

/* --- writing: begin, put, end; if it does not fit, the writer has failed --- */
struct pst_rsp_writer {
    struct pst_writer *w;
    uint8_t sum;
};
struct pst_rsp_writer pst_rsp_begin(struct pst_writer *w);
/* Characters that need no escape. */
void pst_rsp_put_char(struct pst_rsp_writer *p, char c);
void pst_rsp_put_text(struct pst_rsp_writer *p, const char *text);
/* Any bytes, escaped where needed. */
void pst_rsp_put_binary(struct pst_rsp_writer *p, const void *at, size_t len);
/* Two lower-case hex digits a byte. */
void pst_rsp_put_hex(struct pst_rsp_writer *p, const void *at, size_t len);
/* Hex without leading zeros. */
void pst_rsp_put_number(struct pst_rsp_writer *p, uint64_t v);
void pst_rsp_end(struct pst_rsp_writer *p);
/* The length of `len` bytes when escaped. */
size_t pst_rsp_binary_len(const void *at, size_t len);

/* --- reading payloads --- */
/* The value of a hex digit, 0 to 15; -1: it is none. */
int pst_rsp_nibble(uint8_t c);
/* True: the reader began with `text` or `c`, which is taken. False: nothing is taken. */
bool pst_rsp_take(struct pst_reader *r, const char *text);
bool pst_rsp_take_char(struct pst_reader *r, char c);
/* One hex number of 1 to 16 digits, leading zeros not counted; otherwise the reader has failed. */
uint64_t pst_rsp_get_number(struct pst_reader *r);
/* Decodes pairs of hex digits up to the first other character and returns how many bytes. An odd
 * digit or more than `cap` bytes: 0, and the reader has failed. */
size_t pst_rsp_get_hex(struct pst_reader *r, uint8_t *out, size_t cap);
/* Everything before `end`, which is taken too; without an `end`, all that is left. */
struct pst_bytes pst_rsp_get_until(struct pst_reader *r, char end);

/* A thread: "tid", "ppid.tid", "-1" (all: UINT64_MAX), "0" (any). */
struct pst_rsp_thread {
    uint64_t pid, tid;
    bool has_pid;
};
#define PST_RSP_ALL UINT64_MAX
struct pst_rsp_thread pst_rsp_get_thread(struct pst_reader *r);

#ifdef __cplusplus
}
#endif

#endif
