/* Text into a bounded buffer: for audit lines and what people read. A text that outgrows its buffer
 * goes out in pieces where there is a `more`, and is cut off otherwise. */
#ifndef PST_TS_TEXT_H
#define PST_TS_TEXT_H

#include "postern/parts/wire.h"

struct psti_text {
    char *at;
    size_t cap, len; /* len <= cap - 1 once anything was put; always NUL-terminated */
    bool cut;
    /* Takes what the buffer holds, which is then empty again; false: the text ends here. */
    bool (*more)(void *ctx, const char *at, size_t len);
    void *ctx;
};
struct psti_text psti_text_of(char *at, size_t cap);
void psti_put(struct psti_text *t, const char *s);
void psti_put_bytes(struct psti_text *t, const char *at, size_t len);
void psti_put_u64(struct psti_text *t, uint64_t v);
void psti_put_hex(struct psti_text *t, uint64_t v);
void psti_put_hex_bytes(struct psti_text *t, const uint8_t *at, size_t len);
/* As a JSON string with its quotes; control bytes and non-ASCII are escaped. */
void psti_put_json(struct psti_text *t, const char *s);

#endif
