#include "tools/spdm_measure.h"

#include <stdio.h>

#include "postern/version.h"
#include "tools/tool.h"

enum { MUTABLE_FIRMWARE = 1, FIRMWARE_VERSION = 6 }; /* spec: DSP0274, measurement value types */

static pst_err get(void *ctx, size_t n, pst_hash_id hash, struct pst_measurement *out)
{
    static const char version[] = "postern " PST_VERSION;
    const struct spdm_measured *m = ctx;
    const struct pst_algorithm *row = pst_hash_row(m->hash);

    if (n == 0 && hash == m->hash && row != NULL) {
        *out = (struct pst_measurement){
            .index = 1, .type = MUTABLE_FIRMWARE, .tcb = true, .value = {m->digest, row->size}
        };
        return PST_OK;
    }
    if (n == 1) {
        *out = (struct pst_measurement){
            .index = 2,
            .type = FIRMWARE_VERSION,
            .raw = true,
            .value = {(const uint8_t *)version, sizeof version - 1}
        };
        return PST_OK;
    }
    return PST_ERR_ARGUMENT;
}

static pst_err hash_file(const struct pst_crypto *crypto, pst_hash_id id, FILE *f, uint8_t *digest)
{
    uint8_t chunk[16384];
    struct pst_hash h;
    size_t n;

    PST_TRY(crypto->hash_init(crypto->ctx, &h, id));
    pst_err err = PST_OK;
    while (err == PST_OK && (n = fread(chunk, 1, sizeof chunk, f)) > 0) {
        err = crypto->hash_update(crypto->ctx, &h, chunk, n);
    }
    if (err == PST_OK && ferror(f)) {
        err = PST_ERR_IO;
    }
    if (err == PST_OK) {
        return crypto->hash_final(crypto->ctx, &h, digest);
    }
    crypto->hash_abort(crypto->ctx, &h);
    return err;
}

pst_err spdm_measure(struct spdm_measured *m, const struct pst_crypto *crypto, pst_hash_id hash,
                     const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        return PST_ERR_IO;
    }
    pst_err err = hash_file(crypto, hash, f, m->digest);
    (void)fclose(f);
    m->hash = hash;
    m->source = (struct pst_measurements){.ctx = m, .get = get};
    return err;
}
