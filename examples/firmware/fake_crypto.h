/* Pretended cryptography, so that the example builds and runs without a crypto library. It protects
 * NOTHING: a digest is 64 bits, keys are public, records are not encrypted. A product uses a port
 * (port/openssl on a host, your own in firmware) or its own hardware in its place. */
#ifndef FIRMWARE_FAKE_CRYPTO_H
#define FIRMWARE_FAKE_CRYPTO_H

#include "postern/crypto.h"

extern const struct pst_crypto fake_crypto;

/* "Signs" with a P-256 key, of which nothing but the 64 bytes of the public key is needed. */
pst_err fake_crypto_sign(const uint8_t *key, pst_hash_id hash, const void *message, size_t len,
                         uint8_t *signature);

#endif
