#include <string.h>

#include "postern/parts/rsp.h"

enum { OUTSIDE, BODY, ESCAPE, RUN, SUM_HIGH, SUM_LOW };

void pst_rsp_reader_init(struct pst_rsp_reader *r, uint8_t *buffer, size_t cap, bool runs)
{
    *r = (struct pst_rsp_reader){.buffer = buffer, .cap = cap, .runs = runs};
    buffer[0] = 0;
}

bool pst_rsp_inside(const struct pst_rsp_reader *r)
{
    return r->state != OUTSIDE;
}

static void start(struct pst_rsp_reader *r, uint8_t kind)
{
    r->state = BODY;
    r->kind = kind;
    r->len = 0;
    r->sum = 0;
    r->bad = false;
}

static void append(struct pst_rsp_reader *r, uint8_t c, size_t times)
{
    if (times > r->cap - 1 - r->len) {
        r->bad = true;
        return;
    }
    memset(r->buffer + r->len, c, times);
    r->len += times;
}

static enum pst_rsp_item on_outside(struct pst_rsp_reader *r, uint8_t c)
{
    switch (c) {
    case '$':
        start(r, PST_RSP_PACKET);
        return PST_RSP_NOTHING;
    case '%':
        start(r, PST_RSP_NOTICE);
        return PST_RSP_NOTHING;
    case '+':
        return PST_RSP_ACK;
    case '-':
        return PST_RSP_NAK;
    case 0x03:
        return PST_RSP_BREAK;
    default:
        return PST_RSP_NOTHING;
    }
}

/* A run: the count is c - 29 more copies of the last byte, c printable. */
static void expand(struct pst_rsp_reader *r, uint8_t c)
{
    if (c < 32 || c > 126 || r->len == 0) {
        r->bad = true;
        return;
    }
    append(r, r->buffer[r->len - 1], (size_t)c - 29);
}

static void on_body(struct pst_rsp_reader *r, uint8_t c)
{
    if (c == '#') {
        r->state = SUM_HIGH;
        return;
    }
    /* The packet was cut short, and a new one begins. */
    if (c == '$') {
        start(r, PST_RSP_PACKET);
        return;
    }
    r->sum = (uint8_t)(r->sum + c);
    if (c == '}') {
        r->state = ESCAPE;
    } else if (c == '*' && r->runs) {
        r->state = RUN;
    } else {
        append(r, c, 1);
    }
}

static enum pst_rsp_item on_inside(struct pst_rsp_reader *r, uint8_t c)
{
    int digit;
    switch (r->state) {
    case BODY:
        on_body(r, c);
        return PST_RSP_NOTHING;
    case ESCAPE:
        r->sum = (uint8_t)(r->sum + c);
        append(r, c ^ 0x20, 1);
        r->state = BODY;
        return PST_RSP_NOTHING;
    case RUN:
        r->sum = (uint8_t)(r->sum + c);
        expand(r, c);
        r->state = BODY;
        return PST_RSP_NOTHING;
    case SUM_HIGH:
        digit = pst_rsp_nibble(c);
        r->bad |= digit < 0;
        r->given = (uint8_t)((unsigned)digit << 4);
        r->state = SUM_LOW;
        return PST_RSP_NOTHING;
    default:
        digit = pst_rsp_nibble(c);
        r->bad |= digit < 0 || (r->given | digit) != r->sum;
        r->state = OUTSIDE;
        r->buffer[r->len] = 0;
        return r->bad ? PST_RSP_BAD : (enum pst_rsp_item)r->kind;
    }
}

size_t pst_rsp_read(struct pst_rsp_reader *r, const uint8_t *in, size_t len,
                    enum pst_rsp_item *item)
{
    *item = PST_RSP_NOTHING;
    for (size_t i = 0; i < len; i++) {
        *item = r->state == OUTSIDE ? on_outside(r, in[i]) : on_inside(r, in[i]);
        if (*item != PST_RSP_NOTHING) {
            return i + 1;
        }
    }
    return len;
}

static const char digits[] = "0123456789abcdef";

struct pst_rsp_writer pst_rsp_begin(struct pst_writer *w)
{
    pst_put_u8(w, '$');
    return (struct pst_rsp_writer){.w = w};
}

void pst_rsp_put_char(struct pst_rsp_writer *p, char c)
{
    pst_put_u8(p->w, (uint8_t)c);
    p->sum = (uint8_t)(p->sum + (uint8_t)c);
}

void pst_rsp_put_text(struct pst_rsp_writer *p, const char *text)
{
    for (; *text != 0; text++) {
        pst_rsp_put_char(p, *text);
    }
}

static bool needs_escape(uint8_t c)
{
    return c == '$' || c == '#' || c == '}' || c == '*';
}

void pst_rsp_put_binary(struct pst_rsp_writer *p, const void *at, size_t len)
{
    const uint8_t *from = at;
    for (size_t i = 0; i < len; i++) {
        if (needs_escape(from[i])) {
            pst_rsp_put_char(p, '}');
            pst_rsp_put_char(p, (char)(from[i] ^ 0x20));
        } else {
            pst_rsp_put_char(p, (char)from[i]);
        }
    }
}

size_t pst_rsp_binary_len(const void *at, size_t len)
{
    const uint8_t *from = at;
    size_t total = len;
    for (size_t i = 0; i < len; i++) {
        total += needs_escape(from[i]);
    }
    return total;
}

void pst_rsp_put_hex(struct pst_rsp_writer *p, const void *at, size_t len)
{
    const uint8_t *from = at;
    for (size_t i = 0; i < len; i++) {
        pst_rsp_put_char(p, digits[from[i] >> 4]);
        pst_rsp_put_char(p, digits[from[i] & 15]);
    }
}

void pst_rsp_put_number(struct pst_rsp_writer *p, uint64_t v)
{
    int shift = 60;
    while (shift > 0 && v >> shift == 0) {
        shift -= 4;
    }
    for (; shift >= 0; shift -= 4) {
        pst_rsp_put_char(p, digits[v >> shift & 15]);
    }
}

void pst_rsp_end(struct pst_rsp_writer *p)
{
    pst_put_u8(p->w, '#');
    pst_put_u8(p->w, (uint8_t)digits[p->sum >> 4]);
    pst_put_u8(p->w, (uint8_t)digits[p->sum & 15]);
}

int pst_rsp_nibble(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool pst_rsp_take(struct pst_reader *r, const char *text)
{
    size_t len = strlen(text);
    if (r->failed || r->left < len || memcmp(r->at, text, len) != 0) {
        return false;
    }
    pst_skip(r, len);
    return true;
}

bool pst_rsp_take_char(struct pst_reader *r, char c)
{
    if (r->failed || r->left == 0 || *r->at != (uint8_t)c) {
        return false;
    }
    pst_skip(r, 1);
    return true;
}

uint64_t pst_rsp_get_number(struct pst_reader *r)
{
    uint64_t v = 0;
    size_t n = 0;
    for (int digit; !r->failed && r->left > 0 && (digit = pst_rsp_nibble(*r->at)) >= 0; n++) {
        pst_require(r, v >> 60 == 0);
        v = v << 4 | (uint64_t)digit;
        pst_skip(r, 1);
    }
    pst_require(r, n > 0);
    return r->failed ? 0 : v;
}

size_t pst_rsp_get_hex(struct pst_reader *r, uint8_t *out, size_t cap)
{
    size_t n = 0;
    while (!r->failed && r->left > 0 && pst_rsp_nibble(r->at[0]) >= 0) {
        int low = r->left > 1 ? pst_rsp_nibble(r->at[1]) : -1;
        pst_require(r, low >= 0 && n < cap);
        if (r->failed) {
            return 0;
        }
        out[n++] = (uint8_t)((unsigned)pst_rsp_nibble(r->at[0]) << 4 | (unsigned)low);
        pst_skip(r, 2);
    }
    return r->failed ? 0 : n;
}

struct pst_bytes pst_rsp_get_until(struct pst_reader *r, char end)
{
    const uint8_t *found = r->left > 0 ? memchr(r->at, end, r->left) : NULL;
    struct pst_bytes b = pst_get_block(r, found != NULL ? (size_t)(found - r->at) : r->left);
    if (found != NULL) {
        pst_skip(r, 1);
    }
    return b;
}

static uint64_t get_id(struct pst_reader *r)
{
    return pst_rsp_take(r, "-1") ? PST_RSP_ALL : pst_rsp_get_number(r);
}

struct pst_rsp_thread pst_rsp_get_thread(struct pst_reader *r)
{
    struct pst_rsp_thread t = {.has_pid = pst_rsp_take_char(r, 'p')};
    if (!t.has_pid) {
        t.tid = get_id(r);
        return t;
    }
    t.pid = get_id(r);
    /* A process without a thread means all of its threads. */
    t.tid = pst_rsp_take_char(r, '.') ? get_id(r) : PST_RSP_ALL;
    return t;
}
