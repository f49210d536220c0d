#include "cert/facts.h"

#include <string.h>

/* One of r and s: a positive INTEGER, as `size` bytes. */
static void get_half(struct pst_reader *r, uint8_t *out, size_t size)
{
    struct pst_bytes n = psti_der_integer(r);

    pst_require(r, n.len > 0 && n.at[0] < 0x80);
    if (n.len > 1 && n.at[0] == 0) {
        n.at++;
        n.len--;
    }
    pst_require(r, n.len <= size);
    if (pst_reader_ok(r)) {
        memset(out, 0, size - n.len);
        memcpy(out + size - n.len, n.at, n.len);
    }
}

/* The signature in SPDM's form: r ‖ s, fixed width, or R ‖ S. */
static pst_err to_raw(struct pst_bytes signature, pst_sig_id id, uint8_t *raw)
{
    size_t size = pst_sig_row(id)->size;

    if (id == PST_ED25519) {
        if (signature.len != size) {
            return PST_ERR_DECODE;
        }
        memcpy(raw, signature.at, size);
        return PST_OK;
    }
    struct pst_reader all = pst_reader_of(signature.at, signature.len);
    struct pst_reader in = psti_der_enter(&all, DER_SEQUENCE);
    get_half(&in, raw, size / 2);
    get_half(&in, raw + size / 2, size / 2);
    psti_der_leave(&all, &in);
    return pst_finish(&all);
}

pst_err pst_certificate_verify(const struct pst_certificate *c, const struct pst_crypto *crypto,
                               const struct pst_public_key *issuer, uint8_t raw[PST_MAX_SIGNATURE])
{
    pst_sig_id id = (pst_sig_id)issuer->sig_id;

    if (c->signed_by == PST_SIGNED_UNKNOWN) {
        return PST_ERR_ALGORITHM;
    }
    if (pst_sig_row(id) == NULL || (id == PST_ED25519) != (c->signed_by == PST_SIGNED_ED25519) ||
        to_raw(c->signature, id, raw) != PST_OK) {
        return PST_ERR_AUTH;
    }
    /* Ed25519 hashes by itself; a port may still want to see an algorithm that exists. */
    pst_hash_id hash = id == PST_ED25519 ? PST_SHA256 : (pst_hash_id)c->signed_hash;
    return crypto->verify(crypto->ctx, issuer, hash, c->tbs.at, c->tbs.len, raw);
}
