/* Opaque data of KEY_EXCHANGE and its response: it agrees on the version of secured messages
 * (spec: DSP0277, opaque data; format 1 of DSP0274 1.2). */
#include "spdm/engine.h"

enum { ELEMENT_DMTF = 0, VERSION_CHOICE = 0, VERSION_LIST = 1 };

static const uint16_t versions[] = {0x1000, 0x1100, 0x1200};
#define VERSIONS (sizeof versions / sizeof versions[0])

static void put_element(struct pst_writer *w, uint16_t data_len)
{
    pst_put_u32(w, 1); /* one element, three reserved bytes */
    pst_put_u8(w, ELEMENT_DMTF);
    pst_put_u8(w, 0);
    pst_put_u16(w, data_len);
    pst_put_u8(w, 1); /* structure version */
}

void psti_put_version_list(struct pst_writer *w)
{
    pst_put_u16(w, 20);
    put_element(w, 3 + 2 * VERSIONS);
    pst_put_u8(w, VERSION_LIST);
    pst_put_u8(w, VERSIONS);
    for (size_t i = 0; i < VERSIONS; i++) {
        pst_put_u16(w, versions[i]);
    }
    pst_put_zeros(w, 3);
}

void psti_put_version_choice(struct pst_writer *w, uint16_t version)
{
    pst_put_u16(w, 12);
    put_element(w, 4);
    pst_put_u8(w, VERSION_CHOICE);
    pst_put_u16(w, version);
}

struct pst_bytes psti_get_opaque(struct pst_reader *r, const struct pst_spdm *c)
{
    uint16_t len = pst_get_u16(r);

    pst_require(r, len <= PST_OPAQUE_MAX && (len == 0 || c->opaque != 0));
    return pst_get_block(r, r->failed ? 0 : len);
}

/* The major version alone decides the format of records. */
static bool known(uint16_t version)
{
    return version >> 12 == versions[0] >> 12;
}

static void read_list(struct pst_reader *r, uint16_t *best)
{
    uint8_t count = pst_get_u8(r);

    pst_require(r, count > 0 && r->left == 2u * count);
    while (!r->failed && r->left > 0) {
        uint16_t version = pst_get_u16(r) & 0xff00;

        for (size_t i = 0; i < VERSIONS; i++) {
            if (version == versions[i] && version > *best) {
                *best = version;
            }
        }
    }
}

/* One element's data; `found` counts the elements of `kind`. */
static void read_data(struct pst_bytes data, uint8_t kind, uint16_t *version, unsigned *found,
                      struct pst_reader *outer)
{
    struct pst_reader r = pst_reader_of(data.at, data.len);
    uint8_t structure = pst_get_u8(&r);

    if (pst_get_u8(&r) != kind || structure != 1) {
        return; /* another element of DMTF: ignored */
    }
    if (kind == VERSION_LIST) {
        read_list(&r, version);
    } else {
        *version = pst_get_u16(&r);
        pst_require(&r, r.left == 0 && known(*version));
    }
    *found += 1;
    pst_require(outer, pst_reader_ok(&r) && *found == 1);
}

static pst_err walk(struct pst_bytes opaque, uint8_t kind, uint16_t *version)
{
    struct pst_reader r = pst_reader_of(opaque.at, opaque.len);
    uint8_t count = pst_get_u8(&r);
    unsigned found = 0;

    *version = 0;
    pst_skip(&r, 3);
    pst_require(&r, count > 0 && opaque.len % 4 == 0);
    for (unsigned i = 0; i < count && !r.failed; i++) {
        uint8_t id = pst_get_u8(&r);
        uint8_t vendor_len = pst_get_u8(&r);

        pst_skip(&r, vendor_len);
        uint16_t data_len = pst_get_u16(&r);
        struct pst_bytes data = pst_get_block(&r, data_len);
        size_t padding = (4 - ((2u + vendor_len + 2u + data_len) & 3u)) & 3u;
        while (padding-- > 0) {
            pst_require(&r, pst_get_u8(&r) == 0);
        }
        if (!r.failed && id == ELEMENT_DMTF && vendor_len == 0) {
            read_data(data, kind, version, &found, &r);
        }
    }
    PST_TRY(pst_finish(&r));
    return found == 1 && *version != 0 ? PST_OK : PST_ERR_VERSION;
}

pst_err psti_opaque_pick(struct pst_bytes opaque, uint16_t *version)
{
    return walk(opaque, VERSION_LIST, version);
}

pst_err psti_opaque_chosen(struct pst_bytes opaque, uint16_t *version)
{
    return walk(opaque, VERSION_CHOICE, version);
}
