/* Consistent overhead byte stuffing: a code byte gives the distance to the next zero. */
#include <string.h>

#include "postern/links/serial.h"

#define RUN_MAX 254 /* most bytes that one code covers */

pst_err pst_cobs_put(const uint8_t *in, size_t len, uint8_t *out, size_t cap, size_t *written)
{
    struct pst_writer w = pst_writer_of(out, cap);
    size_t at = 0;

    for (;;) {
        size_t run = 0;

        while (run < RUN_MAX && at + run < len && in[at + run] != 0) {
            run++;
        }
        pst_put_u8(&w, (uint8_t)(run + 1));
        pst_put_bytes(&w, in + at, run);
        at += run;
        if (at == len) {
            break;
        }
        if (run < RUN_MAX) {
            at++; /* the zero that the code replaces; a code always follows it */
        }
    }
    return pst_written(&w, written);
}

void pst_cobs_init(struct pst_cobs *c, uint8_t *buffer, size_t cap)
{
    *c = (struct pst_cobs){.buffer = buffer, .cap = cap};
}

static void append(struct pst_cobs *c, uint8_t byte)
{
    if (c->have == c->cap) {
        c->bad = true;
        return;
    }
    c->buffer[c->have++] = byte;
}

static void take(struct pst_cobs *c, uint8_t byte)
{
    if (c->left > 0) {
        append(c, byte);
        c->left--;
        return;
    }
    if (c->inside && c->code <= RUN_MAX) {
        append(c, 0);
    }
    c->inside = true;
    c->code = byte;
    c->left = (uint8_t)(byte - 1);
}

/* Handles a delimiter. True: it ends a valid, non-empty frame. */
static bool delimit(struct pst_cobs *c, struct pst_bytes *frame)
{
    const bool good = !c->bad && c->left == 0 && c->have > 0;

    *frame = (struct pst_bytes){c->buffer, c->have};
    if (c->inside && good) {
        c->frames++;
    } else if (c->inside) {
        c->malformed++;
    }
    c->have = 0;
    c->left = 0;
    c->inside = c->bad = false;
    return good;
}

pst_err pst_cobs_receive(struct pst_cobs *c, const uint8_t *in, size_t len, size_t *used,
                         struct pst_bytes *frame)
{
    struct pst_bytes got;

    for (size_t i = 0; i < len; i++) {
        if (in[i] != 0) {
            take(c, in[i]);
        } else if (delimit(c, &got)) {
            *used = i + 1;
            *frame = got;
            return PST_OK;
        }
    }
    *used = len;
    return PST_WANT_MORE;
}
