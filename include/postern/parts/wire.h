/* Cursors over bytes: the only way in which this library reads what a peer sent.
 *
 * A reader or writer remembers its first failure. After it, getters return 0 and putters do
 * nothing. So a message is decoded field by field, in the order of the specification, and checked
 * once at the end. `pst_finish` demands that nothing failed and nothing is left over;
 * `pst_reader_ok` only that nothing failed, for messages that may carry padding.
 *
 * A decoded value may be branched on at once, since a failed read gives 0. It must not index memory
 * or bound a loop before the reader was checked: variable lengths go through `pst_get_block`.
 *
 * Values are little-endian unless the name says `be`. Nothing here allocates or keeps pointers
 * beyond the cursor itself; blocks alias the reader's memory.
 */
#ifndef POSTERN_PARTS_WIRE_H
#define POSTERN_PARTS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "postern/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes that somebody else owns. `at` may be NULL when `len` is 0. */
struct pst_bytes {
    const uint8_t *at;
    size_t len;
};

struct pst_reader {
    const uint8_t *at; /* the next byte */
    size_t left;
    bool failed;
};

struct pst_writer {
    uint8_t *start;
    size_t used;
    size_t cap;
    bool failed;
};

struct pst_reader pst_reader_of(const void *at, size_t len);
uint8_t pst_get_u8(struct pst_reader *r);
uint16_t pst_get_u16(struct pst_reader *r);
uint32_t pst_get_u24(struct pst_reader *r);
uint32_t pst_get_u32(struct pst_reader *r);
uint64_t pst_get_u64(struct pst_reader *r);
uint16_t pst_get_be16(struct pst_reader *r);
uint32_t pst_get_be32(struct pst_reader *r);
/* `len` bytes, aliasing the input; {NULL, 0} if there are fewer. */
struct pst_bytes pst_get_block(struct pst_reader *r, size_t len);
/* Copies `len` bytes to `out`; zeroes `out` if there are fewer. */
void pst_get_copy(struct pst_reader *r, void *out, size_t len);
void pst_skip(struct pst_reader *r, size_t len);
/* Marks the reader failed unless `ok`: for values that the specification forbids. */
void pst_require(struct pst_reader *r, bool ok);
bool pst_reader_ok(const struct pst_reader *r);
/* PST_ERR_DECODE: a read failed, or bytes are left. */
PST_MUST_CHECK pst_err pst_finish(const struct pst_reader *r);

struct pst_writer pst_writer_of(void *at, size_t cap);
void pst_put_u8(struct pst_writer *w, uint8_t v);
void pst_put_u16(struct pst_writer *w, uint16_t v);
void pst_put_u24(struct pst_writer *w, uint32_t v); /* fails if v needs more than 24 bits */
void pst_put_u32(struct pst_writer *w, uint32_t v);
void pst_put_u64(struct pst_writer *w, uint64_t v);
void pst_put_be16(struct pst_writer *w, uint16_t v);
void pst_put_be32(struct pst_writer *w, uint32_t v);
void pst_put_bytes(struct pst_writer *w, const void *at, size_t len);
void pst_put_zeros(struct pst_writer *w, size_t len);
/* Room for `len` bytes, to be filled in place; NULL: it does not fit, and the writer has failed. */
uint8_t *pst_put_room(struct pst_writer *w, size_t len);
/* The length of what was written. PST_ERR_SPACE: something did not fit. */
PST_MUST_CHECK pst_err pst_written(const struct pst_writer *w, size_t *len);

/* Little-endian values in place, for instance a length that is known only at the end. */
void pst_poke_u16(uint8_t *at, uint16_t v);
void pst_poke_u32(uint8_t *at, uint32_t v);
void pst_poke_u64(uint8_t *at, uint64_t v);
uint16_t pst_peek_u16(const uint8_t *at);
uint32_t pst_peek_u32(const uint8_t *at);
uint64_t pst_peek_u64(const uint8_t *at);

/* Writes the digits of a number into `out`, without prefix or NUL, and returns how many. `base` is
 * 10 or 16. */
#define PST_DIGITS 20
size_t pst_digits(uint64_t v, unsigned base, char out[PST_DIGITS]);

/* True, and the sum; false: it overflows. */
bool pst_add_u64(uint64_t a, uint64_t b, uint64_t *sum);

/* Compares in constant time: for MACs, digests and keys. */
bool pst_equal_ct(const void *a, const void *b, size_t len);
/* Overwrites with zeros in a way that no optimiser removes. */
void pst_wipe(void *at, size_t len);

#ifdef __cplusplus
}
#endif

#endif
