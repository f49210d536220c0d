/* Where a link goes, as people write it: SCHEME:PLACE[,KEY=VALUE...].
 *
 * `tcp:HOST:PORT`, `unix:PATH`, `serial:/dev/ttyUSB0,baud=115200`: `postern links` lists the
 * schemes, and the file of each kind of link says what its place and options mean.
 * `SCHEME-listen:` means that the peer connects to us. Where only one direction makes sense (a
 * debug stub), both forms mean that direction.
 */
#ifndef POSTERN_POSIX_LOOP_ADDRESS_H
#define POSTERN_POSIX_LOOP_ADDRESS_H

#include "postern/link.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_ADDRESS_TEXT 512

struct pst_scheme;

struct pst_address {
    char text[PST_ADDRESS_TEXT]; /* the original text; for messages */
    const struct pst_scheme *scheme;
    bool listen;                    /* SCHEME-listen */
    char place[PST_ADDRESS_TEXT];   /* between the scheme and the first comma */
    char options[PST_ADDRESS_TEXT]; /* after it; "" for none */
    /* For sockets: filled by their scheme. */
    bool local; /* Unix socket: `host` is its path */
    char host[256];
    char port[6];
};

/* `schemes` are the allowed ones; the list ends with NULL. PST_ERR_DECODE: `why` quotes the text
   and says what was expected. */
PST_MUST_CHECK pst_err pst_address_parse(struct pst_address *a,
                                         const struct pst_scheme *const *schemes, const char *text,
                                         char *why, size_t why_cap);
/* The same, and it must be a socket: tcp or unix. */
PST_MUST_CHECK pst_err pst_address_parse_socket(struct pst_address *a,
                                                const struct pst_scheme *const *schemes,
                                                const char *text, char *why, size_t why_cap);

/* For schemes. `why` as above; `what` follows the quoted link, the expected form follows it.
 */
pst_err pst_address_bad(const struct pst_address *a, const char *what, char *why, size_t why_cap);
/* Splits the place: HOST, HOST:PORT or [HOST]:PORT into `host` and `port`; left out they are
 * loopback and `port`. */
PST_MUST_CHECK pst_err pst_address_host(struct pst_address *a, unsigned port, char *why,
                                        size_t why_cap);
/* Copies the value of an option to `out`, "" when it is not given. PST_ERR_DECODE: it is too long;
   this is never treated as not given. */
PST_MUST_CHECK pst_err pst_address_string(const struct pst_address *a, const char *key, char *out,
                                          size_t cap, char *why, size_t why_cap);
/* The same as a number. PST_ERR_DECODE: not a number from `least` to `most`. If the option is not
   given, `*value` is unchanged. */
PST_MUST_CHECK pst_err pst_address_number(const struct pst_address *a, const char *key,
                                          uint64_t least, uint64_t most, uint64_t *value, char *why,
                                          size_t why_cap);
/* Checks that every option has a value and is one of `keys` (ends with NULL; NULL: none are
   allowed). */
PST_MUST_CHECK pst_err pst_address_options(const struct pst_address *a, const char *const *keys,
                                           char *why, size_t why_cap);

#ifdef __cplusplus
}
#endif

#endif
