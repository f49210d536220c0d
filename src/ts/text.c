#include "ts/text.h"

struct psti_text psti_text_of(char *at, size_t cap)
{
    if (cap > 0) {
        at[0] = '\0';
    }
    return (struct psti_text){.at = at, .cap = cap};
}

static void put_char(struct psti_text *t, char c)
{
    if (t->len + 1 >= t->cap && !t->cut) {
        t->cut = t->more == NULL || !t->more(t->ctx, t->at, t->len);
        t->len = t->more == NULL ? t->len : 0;
    }
    if (t->cut) {
        return;
    }
    t->at[t->len++] = c;
    t->at[t->len] = '\0';
}

void psti_put(struct psti_text *t, const char *s)
{
    while (*s != '\0') {
        put_char(t, *s++);
    }
}

void psti_put_bytes(struct psti_text *t, const char *at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        put_char(t, at[i]);
    }
}

static void put_number(struct psti_text *t, uint64_t v, unsigned base)
{
    char digits[PST_DIGITS];
    size_t len = pst_digits(v, base, digits);
    for (size_t i = 0; i < len; i++) {
        put_char(t, digits[i]);
    }
}

void psti_put_u64(struct psti_text *t, uint64_t v)
{
    put_number(t, v, 10);
}

void psti_put_hex(struct psti_text *t, uint64_t v)
{
    psti_put(t, "0x");
    put_number(t, v, 16);
}

static void put_nibble(struct psti_text *t, unsigned v)
{
    put_char(t, "0123456789abcdef"[v & 15u]);
}

void psti_put_hex_bytes(struct psti_text *t, const uint8_t *at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        put_nibble(t, (unsigned)at[i] >> 4);
        put_nibble(t, at[i]);
    }
}

void psti_put_json(struct psti_text *t, const char *s)
{
    put_char(t, '"');
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') {
            put_char(t, '\\');
            put_char(t, (char)c);
        } else if (c < 0x20 || c > 0x7E) {
            psti_put(t, "\\u00");
            put_nibble(t, (unsigned)c >> 4);
            put_nibble(t, c);
        } else {
            put_char(t, (char)c);
        }
    }
    put_char(t, '"');
}
