/* Loads an identity from a directory with chain.pem and key.pem. */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keyfile.h"
#include "openssl_port.h"
#include "pemfile.h"

struct identity {
    uint8_t *certs;
    size_t len, root_len, leaf_at;
    EVP_PKEY *key;
    pst_sig_id sig_id;
};

static pst_err append(void *ctx, const uint8_t *der, size_t len)
{
    struct identity *id = ctx;
    uint8_t *grown = realloc(id->certs, id->len + len);

    if (grown == NULL) {
        return PST_ERR_CRYPTO;
    }
    id->certs = grown;
    memcpy(id->certs + id->len, der, len);
    if (id->len == 0) {
        id->root_len = len;
    }
    id->leaf_at = id->len;
    id->len += len;
    return PST_OK;
}

/* Key and chain belong together if the leaf's public key verifies a signature of the private key.
 */
static bool belong_together(const struct identity *id, const struct pst_certificate *leaf)
{
    static const char message[] = "postern";
    uint8_t signature[PST_MAX_SIGNATURE];
    struct pst_public_key key = {0};

    bool ok = leaf->sig_id == id->sig_id &&
              pst_ossl_public_key(NULL, &key, id->sig_id, leaf->key.at) == PST_OK &&
              pst_ossl_sign(id->key, id->sig_id, PST_SHA256, message, sizeof message, signature) ==
                  PST_OK &&
              pst_ossl_verify(NULL, &key, PST_SHA256, message, sizeof message, signature) == PST_OK;
    pst_ossl_public_key_wipe(NULL, &key);
    return ok;
}

static pst_err sign(void *ctx, pst_hash_id hash, const void *message, size_t len,
                    uint8_t *signature)
{
    const struct identity *id = ctx;

    return pst_ossl_sign(id->key, id->sig_id, hash, message, len, signature);
}

static pst_err load(struct pst_identity *out, struct identity *id, const char *dir,
                    struct pst_why *why)
{
    char path[4096];
    struct pst_certificate leaf;

    if (snprintf(path, sizeof path, "%s/chain.pem", dir) >= (int)sizeof path) {
        return pst_why_fail(why, PST_ERR_ARGUMENT, "%s: the path is too long", dir);
    }
    char text[512] = "";
    pst_err err = pst_pem_certificates(path, append, id, text, sizeof text);
    if (err != PST_OK) {
        return pst_why_fail(why, err, "%s", text[0] != '\0' ? text : pst_err_text(err));
    }
    if (pst_certificate_parse(&leaf, id->certs + id->leaf_at, id->len - id->leaf_at) != PST_OK) {
        return pst_why_fail(why, PST_ERR_CERT, "%s: the last certificate is malformed", path);
    }
    pst_certificate_device(&leaf, out->name);
    if (out->name[0] == '\0') {
        pst_certificate_name(&leaf, out->name);
    }
    snprintf(path, sizeof path, "%s/key.pem", dir);
    err = pst_keyfile_read(path, &id->key, &id->sig_id, why);
    if (err == PST_OK && !belong_together(id, &leaf)) {
        err =
            pst_why_fail(why, PST_ERR_CERT,
                         "%s: does not belong to the last certificate of %s/chain.pem", path, dir);
    }
    out->slot.model = 1;
    return err;
}

pst_err pst_identity_load(struct pst_identity *out, const char *dir, char *why, size_t why_cap)
{
    struct pst_why words = {why, why_cap};
    struct identity *id = calloc(1, sizeof *id);

    memset(out, 0, sizeof *out);
    if (id == NULL) {
        return pst_why_fail(&words, PST_ERR_CRYPTO, "out of memory");
    }
    out->priv = id;
    pst_err err = load(out, id, dir, &words);
    if (err != PST_OK) {
        pst_identity_free(out);
        return err;
    }
    out->signer = (struct pst_signer){.ctx = id, .sig_id = id->sig_id, .sign = sign};
    out->slot.certs = id->certs;
    out->slot.certs_len = id->len;
    out->slot.root_len = id->root_len;
    out->slot.signer = &out->signer;
    return PST_OK;
}

void pst_identity_free(struct pst_identity *out)
{
    struct identity *id = out->priv;

    if (id != NULL) {
        EVP_PKEY_free(id->key);
        free(id->certs);
        free(id);
    }
    memset(out, 0, sizeof *out);
}
