/* Certificate chains: any bytes after a trusted root. The first byte selects the size of the
 * portions and the role of the chain. The first certificate, if there is one, becomes the anchor.
 */
#include "fuzz.h"

#include "openssl/openssl_port.h"
#include "openssl/pki.h"

static void check(struct pst_trust *trust, uint8_t how, const uint8_t *der, size_t len,
                  size_t root_len)
{
    const struct pst_cert_verifier *v = &trust->verifier;
    pst_role role = how & 1 ? PST_ROLE_REQUESTER : PST_ROLE_RESPONDER;
    size_t portion = how & 2 ? 1u + (how >> 3) : len;
    struct pst_chain_check c = {0};
    struct pst_peer peer = {0};
    uint8_t hash[PST_MAX_HASH];
    pst_err err = PST_OK;

    pst_trust_set_lenient(trust, (how & 4) != 0);
    if (pst_hash_once(pst_openssl_crypto(), PST_SHA256, der, root_len, hash) != PST_OK ||
        v->begin(v->ctx, &c, role, PST_SHA256, hash) != PST_OK) {
        abort();
    }
    for (size_t at = 0; at < len && err == PST_OK; at += portion) {
        err = v->feed(v->ctx, &c, der + at, len - at < portion ? len - at : portion);
    }
    pst_err end = v->finish(v->ctx, &c, &peer);
    if ((err != PST_OK && end == PST_OK) || (end == PST_OK) != (peer.key.sig_id != 0)) {
        abort();
    }
    pst_openssl_crypto()->public_key_wipe(NULL, &peer.key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct pst_chain_visitor visitor = {0};
    struct pst_trust trust;
    size_t root_len;

    if (size < 1) {
        return 0;
    }
    uint8_t how = data[0];
    data++;
    size--;
    (void)!pst_chain_walk(data, size, how & 1 ? PST_ROLE_REQUESTER : PST_ROLE_RESPONDER, 1,
                          &visitor);
    if (pst_certificate_extent(data, size, &root_len) != PST_OK || root_len > size ||
        pst_trust_init(&trust) != PST_OK) {
        return 0;
    }
    pst_trust_set_time(&trust, 0);
    if (pst_trust_add_der(&trust, data, root_len) == PST_OK) {
        check(&trust, how, data, size, root_len);
    }
    pst_trust_free(&trust);
    return 0;
}
