/* Text into a bounded buffer: for audit lines and what people read. Truncates, never overruns. */
#ifndef PST_SCM_TEXT_H
#define PST_SCM_TEXT_H

#include "postern/parts/wire.h"

struct scm_text {
    char *at;
    size_t cap, len; /* len <= cap - 1 once anything was put; always NUL-terminated */
    bool cut;
};
struct scm_text scm_text_of(char *at, size_t cap);
void scm_put(struct scm_text *t, const char *s);
void scm_put_bytes(struct scm_text *t, const char *at, size_t len);
void scm_put_u64(struct scm_text *t, uint64_t v);
void scm_put_hex(struct scm_text *t, uint64_t v);
void scm_put_hex_bytes(struct scm_text *t, const uint8_t *at, size_t len);
/* As a JSON string with its quotes; control bytes and non-ASCII are escaped. */
void scm_put_json(struct scm_text *t, const char *s);

#endif
