#include "cert/text.h"

#include "cert/der.h"

/* The rest of a UTF-8 character whose first byte was `first`. */
static uint32_t get_utf8(struct pst_reader *r, uint8_t first)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    unsigned more = first < 0x80 ? 0 : first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
    uint32_t c = more == 0 ? first : first & (0x3Fu >> more);

    pst_require(r, first < 0x80 || (first >= 0xC2 && first < 0xF5));
    for (unsigned i = 0; i < more; i++) {
        uint8_t next = pst_get_u8(r);
        pst_require(r, (next & 0xC0) == 0x80);
        c = c << 6 | (next & 0x3F);
    }
    pst_require(r, c >= least[more]);
    return c;
}

/* The next character. T61String is read as Latin-1, which is what it holds in practice. */
static uint32_t get_character(struct pst_reader *r, uint8_t tag)
{
    uint32_t c;

    switch (tag) {
    case DER_UTF8:
        c = get_utf8(r, pst_get_u8(r));
        break;
    case DER_BMP:
        c = pst_get_be16(r);
        break;
    case DER_UNIVERSAL:
        c = pst_get_be32(r);
        break;
    case DER_T61:
        c = pst_get_u8(r);
        break;
    case DER_NUMERIC:
    case DER_PRINTABLE:
    case DER_IA5:
        c = pst_get_u8(r);
        pst_require(r, c < 0x80);
        break;
    default:
        c = 0;
        pst_require(r, false);
        break;
    }
    pst_require(r, c < 0xD800 || (c > 0xDFFF && c <= 0x10FFFF));
    return c;
}

static void put_utf8(struct pst_writer *w, uint32_t c)
{
    if (c < 0x80) {
        pst_put_u8(w, (uint8_t)c);
        return;
    }
    unsigned more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    pst_put_u8(w, (uint8_t)(0xF00u >> (more + 1) | c >> (6 * more)));
    while (more > 0) {
        more--;
        pst_put_u8(w, (uint8_t)(0x80 | (c >> (6 * more) & 0x3F)));
    }
}

static bool is_obeyed(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x200B && c <= 0x200F) ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) || c == 0x061C ||
           c == 0xFEFF;
}

bool psti_text_is_string(uint8_t tag, struct pst_bytes contents)
{
    struct pst_reader r = pst_reader_of(contents.at, contents.len);

    pst_require(&r, tag == DER_UTF8 || tag == DER_BMP || tag == DER_UNIVERSAL || tag == DER_T61 ||
                        tag == DER_NUMERIC || tag == DER_PRINTABLE || tag == DER_IA5);
    while (pst_reader_ok(&r) && r.left > 0) {
        (void)get_character(&r, tag);
    }
    return pst_reader_ok(&r);
}

bool psti_text_take(uint8_t tag, struct pst_bytes contents, char out[PST_MAX_NAME])
{
    struct pst_reader r = pst_reader_of(contents.at, contents.len);
    struct pst_writer w = pst_writer_of((uint8_t *)out, PST_MAX_NAME);
    size_t len;

    while (pst_reader_ok(&r) && r.left > 0) {
        uint32_t c = get_character(&r, tag);
        pst_require(&r, !is_obeyed(c));
        put_utf8(&w, c);
    }
    pst_put_u8(&w, 0);
    return pst_reader_ok(&r) && contents.len > 0 && pst_written(&w, &len) == PST_OK;
}
