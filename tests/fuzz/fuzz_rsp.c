/* The RSP packet reader and the parsers of fields in packets. pst-link: stub */
#include "fuzz/fuzz.h"
#include "postern/parts/rsp.h"

static void read_words(const uint8_t *at, size_t len)
{
    uint8_t out[16];
    struct pst_reader r = pst_reader_of(at, len);
    while (r.left > 0 && !r.failed) {
        struct pst_bytes part = pst_rsp_get_until(&r, ';');
        struct pst_reader p = pst_reader_of(part.at, part.len), q = p, h = p;
        (void)pst_rsp_get_number(&p);
        (void)pst_rsp_get_thread(&q);
        if (pst_rsp_get_hex(&h, out, sizeof out) > sizeof out) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    size_t cap = 2 + (data[0] >> 1);
    uint8_t *buffer = malloc(cap); /* exact size, so that the sanitizer finds one byte too many */
    struct pst_rsp_reader r;
    pst_rsp_reader_init(&r, buffer, cap, data[0] & 1);
    for (size_t i = 1; i < size;) {
        enum pst_rsp_item item;
        i += pst_rsp_read(&r, data + i, size - i, &item);
        if (r.len >= cap) {
            abort();
        }
        if (item == PST_RSP_PACKET) {
            read_words(r.buffer, r.len);
        }
    }
    free(buffer);
    return 0;
}
