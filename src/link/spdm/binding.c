#include "postern/links/binding.h"

#include <string.h>

#define MCTP_SPDM 0x05
#define MCTP_SECURED 0x06
#define DOE_VENDOR 0x0001 /* PCI-SIG */
#define DOE_TYPES 3       /* discovery, SPDM, secured SPDM */
#define DOE_MAX_WORDS 0x40000

static const struct pst_binding bindings[] = {
    {PST_BINDING_NONE, "none", 0, 0, 0, 0},
    {PST_BINDING_MCTP, "mctp", 1, 2, 1, 1},
    {PST_BINDING_DOE,  "doe",  2, 0, 8, 0},
};

const struct pst_binding *pst_binding_find(const char *name)
{
    for (size_t i = 0; i < sizeof bindings / sizeof *bindings; i++) {
        if (strcmp(bindings[i].name, name) == 0) {
            return &bindings[i];
        }
    }
    return NULL;
}

/* spec: PCIe base specification, DOE: vendor, type, length in words including the header */
static pst_err wrap_doe(uint8_t type, uint8_t *buf, size_t cap, size_t len, size_t *total)
{
    size_t padded = 8 + (len + 3) / 4 * 4;
    if (padded > cap || padded / 4 > DOE_MAX_WORDS) {
        return PST_ERR_SPACE;
    }
    pst_poke_u16(buf, DOE_VENDOR);
    buf[2] = type;
    buf[3] = 0;
    pst_poke_u32(buf + 4, (uint32_t)(padded / 4) % DOE_MAX_WORDS);
    memset(buf + 8 + len, 0, padded - 8 - len);
    *total = padded;
    return PST_OK;
}

pst_err pst_binding_wrap(const struct pst_binding *b, pst_bound kind, uint8_t *buf, size_t cap,
                         size_t len, size_t *total)
{
    if (b->head + len > cap) {
        return PST_ERR_SPACE;
    }
    if (b->id == PST_BINDING_DOE) {
        uint8_t type = kind == PST_BOUND_RECORD ? 2 : kind == PST_BOUND_SPDM ? 1 : 0;
        return wrap_doe(type, buf, cap, len, total);
    }
    if (kind == PST_BOUND_DISCOVERY) {
        return PST_ERR_ARGUMENT;
    }
    if (b->id == PST_BINDING_MCTP) {
        buf[0] = kind == PST_BOUND_RECORD ? MCTP_SECURED : MCTP_SPDM;
    }
    *total = b->head + len;
    return PST_OK;
}

static pst_err unwrap_doe(const uint8_t *msg, size_t len, pst_bound *kind, struct pst_bytes *body)
{
    static const pst_bound kinds[DOE_TYPES] = {PST_BOUND_DISCOVERY, PST_BOUND_SPDM,
                                               PST_BOUND_RECORD};
    struct pst_reader r = pst_reader_of(msg, len);
    uint16_t vendor = pst_get_u16(&r);
    uint8_t type = pst_get_u8(&r);
    pst_skip(&r, 1);
    size_t words = pst_get_u32(&r) % DOE_MAX_WORDS;
    if (words == 0) {
        words = DOE_MAX_WORDS;
    }
    pst_require(&r, vendor == DOE_VENDOR && type < DOE_TYPES && words * 4 == len && len > 8);
    *body = pst_get_block(&r, r.left);
    PST_TRY(pst_finish(&r));
    *kind = kinds[type];
    return PST_OK;
}

pst_err pst_binding_unwrap(const struct pst_binding *b, const uint8_t *msg, size_t len,
                           pst_bound *kind, struct pst_bytes *body)
{
    if (b->id == PST_BINDING_DOE) {
        return unwrap_doe(msg, len, kind, body);
    }
    if (len <= b->head) {
        return PST_ERR_DECODE;
    }
    *kind = PST_BOUND_SPDM;
    if (b->id == PST_BINDING_MCTP) {
        if (msg[0] != MCTP_SPDM && msg[0] != MCTP_SECURED) {
            return PST_ERR_DECODE;
        }
        *kind = msg[0] == MCTP_SECURED ? PST_BOUND_RECORD : PST_BOUND_SPDM;
    }
    *body = (struct pst_bytes){msg + b->head, len - b->head};
    return PST_OK;
}

void pst_binding_put_inner(const struct pst_binding *b, uint8_t *at)
{
    if (b->inner == 1) {
        at[0] = MCTP_SPDM;
    }
}

pst_err pst_binding_get_inner(const struct pst_binding *b, struct pst_bytes *data)
{
    if (data->len <= b->inner || (b->inner == 1 && data->at[0] != MCTP_SPDM)) {
        return PST_ERR_DECODE;
    }
    data->at += b->inner;
    data->len -= b->inner;
    return PST_OK;
}

pst_err pst_binding_discover(const struct pst_binding *b, uint8_t index, uint8_t out[12])
{
    size_t total;
    if (b->id != PST_BINDING_DOE || index >= DOE_TYPES) {
        return PST_ERR_ARGUMENT;
    }
    pst_poke_u16(out + 8, DOE_VENDOR);
    out[10] = index;
    out[11] = (uint8_t)((index + 1) % DOE_TYPES); /* the next index; 0 ends the list */
    return wrap_doe(0, out, 12, 4, &total);
}
