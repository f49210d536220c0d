/* HKDF and SPDM's use of it. One output block suffices everywhere: no key is longer than a digest.
 */
#include <string.h>

#include "postern/crypto.h"

pst_err pst_hkdf_extract(const struct pst_crypto *c, pst_hash_id id, const uint8_t *salt,
                         size_t salt_len, const uint8_t *ikm, size_t ikm_len, uint8_t *prk)
{
    static const uint8_t zeros[PST_MAX_HASH];
    const struct pst_algorithm *row = pst_hash_row(id);

    if (row == NULL) {
        return PST_ERR_ARGUMENT;
    }
    /* RFC 5869: no salt means as many zeros as the digest has bytes */
    if (salt_len == 0) {
        salt = zeros;
        salt_len = row->size;
    }
    return c->hmac(c->ctx, id, salt, salt_len, ikm, ikm_len, prk);
}

static pst_err expand(const struct pst_crypto *c, pst_hash_id id, const uint8_t *prk,
                      const uint8_t *info, size_t info_len, uint8_t *block)
{
    uint8_t input[PST_MAX_INFO + 1];
    struct pst_writer w = pst_writer_of(input, sizeof input);
    size_t len;

    pst_put_bytes(&w, info, info_len);
    pst_put_u8(&w, 1);
    if (pst_written(&w, &len) != PST_OK) {
        return PST_ERR_ARGUMENT;
    }
    return c->hmac(c->ctx, id, prk, pst_hash_row(id)->size, input, len, block);
}

pst_err pst_hkdf_expand(const struct pst_crypto *c, pst_hash_id id, const uint8_t *prk,
                        const uint8_t *info, size_t info_len, uint8_t *out, size_t out_len)
{
    const struct pst_algorithm *row = pst_hash_row(id);
    uint8_t block[PST_MAX_HASH];

    if (row == NULL || out_len > row->size) {
        return PST_ERR_ARGUMENT;
    }
    pst_err err = expand(c, id, prk, info, info_len, block);
    if (err == PST_OK) {
        memcpy(out, block, out_len);
    }
    pst_wipe(block, sizeof block);
    return err;
}

/* spec: DSP0274, key schedule: Length u16 ‖ "spdm1.x " ‖ label ‖ context */
pst_err pst_spdm_expand(const struct pst_crypto *c, pst_hash_id id, uint8_t minor,
                        const uint8_t *secret, const char *label, const uint8_t *context,
                        uint8_t *out, size_t out_len)
{
    const struct pst_algorithm *row = pst_hash_row(id);
    uint8_t info[PST_MAX_INFO];
    struct pst_writer w = pst_writer_of(info, sizeof info);
    size_t len;

    if (row == NULL || minor > 9 || out_len > row->size) {
        return PST_ERR_ARGUMENT;
    }
    pst_put_u16(&w, (uint16_t)out_len);
    pst_put_bytes(&w, "spdm1.", 6);
    pst_put_u8(&w, (uint8_t)('0' + minor));
    pst_put_u8(&w, ' ');
    pst_put_bytes(&w, label, strlen(label));
    if (context != NULL) {
        pst_put_bytes(&w, context, row->size);
    }
    if (pst_written(&w, &len) != PST_OK) {
        return PST_ERR_ARGUMENT;
    }
    return pst_hkdf_expand(c, id, secret, info, len, out, out_len);
}
