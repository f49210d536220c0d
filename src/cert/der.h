/* DER on a pst_reader: each getter takes one element and fails the reader for every form that DER
 * forbids (indefinite and overlong lengths, padded integers, BER booleans, tags of more than one
 * byte). A constructed element is read through a reader of its own: psti_der_enter, its fields,
 * psti_der_leave. Nothing recurses and nothing is copied: blocks alias the input. */
#ifndef PST_CERT_DER_H
#define PST_CERT_DER_H

#include "postern/parts/wire.h"

enum {
    DER_BOOLEAN = 0x01,
    DER_INTEGER = 0x02,
    DER_BITS = 0x03,
    DER_OCTETS = 0x04,
    DER_NULL = 0x05,
    DER_OID = 0x06,
    DER_ENUMERATED = 0x0A,
    DER_UTF8 = 0x0C,
    DER_NUMERIC = 0x12,
    DER_PRINTABLE = 0x13,
    DER_T61 = 0x14,
    DER_IA5 = 0x16,
    DER_UTC_TIME = 0x17,
    DER_TIME = 0x18,
    DER_UNIVERSAL = 0x1C,
    DER_BMP = 0x1E,
    DER_SEQUENCE = 0x30,
    DER_SET = 0x31,
    DER_IMPLICIT = 0x80, /* plus the number */
    DER_EXPLICIT = 0xA0, /* plus the number */
};

/* The tag of the next element; 0 when there is none. */
uint8_t psti_der_peek(const struct pst_reader *r);
/* The contents of the next element, whose tag must be `tag`. */
struct pst_bytes psti_der_get(struct pst_reader *r, uint8_t tag);
/* The next element with its header. */
struct pst_bytes psti_der_whole(struct pst_reader *r, uint8_t tag);
/* The contents of the next element of any type. Primitive types of the universal class are checked
 * as far as their form goes. */
struct pst_bytes psti_der_any(struct pst_reader *r, uint8_t *tag);

/* Reads a constructed element; a failed outer reader gives a failed inner one. */
struct pst_reader psti_der_enter(struct pst_reader *r, uint8_t tag);
/* Fails `r` unless `inner` was read whole and without failure. */
void psti_der_leave(struct pst_reader *r, const struct pst_reader *inner);

/* The bytes of an INTEGER in the shortest two's complement. */
struct pst_bytes psti_der_integer(struct pst_reader *r);
/* A BOOLEAN of which DER leaves FALSE, the default, out: true when one is there. */
bool psti_der_flag(struct pst_reader *r);
/* A BIT STRING of whole bytes, without the count of unused bits. */
struct pst_bytes psti_der_bytes(struct pst_reader *r);
/* The contents of an OBJECT IDENTIFIER. */
struct pst_bytes psti_der_oid(struct pst_reader *r);

bool psti_der_same(struct pst_bytes a, struct pst_bytes b);
/* Is it the OID whose contents are the array `known`? */
#define psti_der_is(oid, known) psti_der_same((oid), (struct pst_bytes){(known), sizeof(known)})

#endif
