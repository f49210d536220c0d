/* The algorithms, one row each (spec: DSP0274, NEGOTIATE_ALGORITHMS and ALGORITHMS tables). A row's
 * index in its table is its id; row 0 is "none". */
#include <string.h>

#include "postern/crypto.h"

struct table {
    const struct pst_algorithm *rows;
    size_t count;
};

/* clang-format off */
static const struct pst_algorithm hash_rows[] = {
    {.name = "none"},
    {.id = PST_SHA256, .spdm_bit = 1u << 0, .size = 32, .name = "sha256"},
    {.id = PST_SHA384, .spdm_bit = 1u << 1, .size = 48, .name = "sha384"},
};

static const struct pst_algorithm sig_rows[] = {
    {.name = "none"},
    {.id = PST_ECDSA_P256, .spdm_bit = 1u << 4, .size = 64, .name = "ecdsa-p256"},
    {.id = PST_ECDSA_P384, .spdm_bit = 1u << 7, .size = 96, .name = "ecdsa-p384"},
    {.id = PST_ED25519, .spdm_bit = 1u << 10, .since_minor = 2, .size = 64, .name = "ed25519"},
};

static const struct pst_algorithm dh_rows[] = {
    {.name = "none"},
    {.id = PST_SECP256R1, .spdm_bit = 1u << 3, .since_minor = 1, .size = 64, .secret = 32, .name = "secp256r1"},
    {.id = PST_SECP384R1, .spdm_bit = 1u << 4, .since_minor = 1, .size = 96, .secret = 48, .name = "secp384r1"},
};

static const struct pst_algorithm aead_rows[] = {
    {.name = "none"},
    {.id = PST_AES_128_GCM, .spdm_bit = 1u << 0, .since_minor = 1, .size = 16, .name = "aes-128-gcm"},
    {.id = PST_AES_256_GCM, .spdm_bit = 1u << 1, .since_minor = 1, .size = 32, .name = "aes-256-gcm"},
    {.id = PST_CHACHA20_POLY1305, .spdm_bit = 1u << 2, .since_minor = 1, .size = 32, .name = "chacha20-poly1305"},
};
/* clang-format on */

#define TABLE(rows) ((struct table){(rows), sizeof(rows) / sizeof((rows)[0])})

static const struct pst_algorithm *row_of(struct table t, unsigned id)
{
    return id > 0 && id < t.count ? &t.rows[id] : NULL;
}

static uint8_t id_from_bit(struct table t, uint32_t bit)
{
    for (size_t i = 1; i < t.count; i++) {
        if (t.rows[i].spdm_bit == bit) {
            return t.rows[i].id;
        }
    }
    return 0;
}

static uint8_t id_from_name(struct table t, const char *name)
{
    for (size_t i = 1; i < t.count; i++) {
        if (strcmp(t.rows[i].name, name) == 0) {
            return t.rows[i].id;
        }
    }
    return 0;
}

const struct pst_algorithm *pst_hash_row(pst_hash_id id)
{
    return row_of(TABLE(hash_rows), id);
}

const struct pst_algorithm *pst_sig_row(pst_sig_id id)
{
    return row_of(TABLE(sig_rows), id);
}

const struct pst_algorithm *pst_dh_row(pst_dh_id id)
{
    return row_of(TABLE(dh_rows), id);
}

const struct pst_algorithm *pst_aead_row(pst_aead_id id)
{
    return row_of(TABLE(aead_rows), id);
}

uint32_t pst_measurement_hash_bit(pst_hash_id id)
{
    const struct pst_algorithm *row = pst_hash_row(id);

    /* Bit 0 of the measurement hash field is "raw bit stream only", so the digests are one bit
     * higher. */
    return row == NULL ? 0 : row->spdm_bit << 1;
}

pst_hash_id pst_hash_from_bit(uint32_t bit)
{
    return (pst_hash_id)id_from_bit(TABLE(hash_rows), bit);
}

pst_hash_id pst_hash_from_name(const char *name)
{
    return (pst_hash_id)id_from_name(TABLE(hash_rows), name);
}

pst_sig_id pst_sig_from_name(const char *name)
{
    return (pst_sig_id)id_from_name(TABLE(sig_rows), name);
}

pst_dh_id pst_dh_from_name(const char *name)
{
    return (pst_dh_id)id_from_name(TABLE(dh_rows), name);
}

pst_aead_id pst_aead_from_name(const char *name)
{
    return (pst_aead_id)id_from_name(TABLE(aead_rows), name);
}
