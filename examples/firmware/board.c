#include "board.h"

#include <string.h>

#include "certs.h"
#include "fake_crypto.h"

const struct pst_crypto *const board_crypto = &fake_crypto;

/* A device keeps its key where only its crypto port can use it; a pretended key is public. */
static pst_err sign(void *ctx, pst_hash_id hash, const void *message, size_t len,
                    uint8_t *signature)
{
    (void)ctx;
    return fake_crypto_sign(device_public, hash, message, len, signature);
}

static const struct pst_signer signer = {.sig_id = PST_ECDSA_P256, .sign = sign};

const struct pst_slot board_slot = {
    .certs = device_chain,
    .certs_len = sizeof device_chain,
    .root_len = DEVICE_ROOT_LEN,
    .signer = &signer,
    .model = 1,
};

/* The root of the engineers' chain, in DER. */
static const struct pst_bytes engineers_root = {engineer_chain, ENGINEER_ROOT_LEN};

const struct pst_chain_config board_trust = {
    .crypto = &fake_crypto, .anchors = &engineers_root, .anchor_count = 1};

/* --- the product's memory --- */

static uint8_t ram[BOARD_RAM_LEN] = "hello from the pump";

static uint8_t right(void *ctx, uint64_t address, bool write)
{
    (void)ctx;
    (void)address;
    return write ? PST_RIGHT_WRITE : PST_RIGHT_READ;
}

static pst_err perform(void *ctx, struct pst_access *a)
{
    (void)ctx;
    if (a->address < BOARD_RAM_AT || a->len > BOARD_RAM_LEN ||
        a->address - BOARD_RAM_AT > BOARD_RAM_LEN - a->len) {
        return PST_ERR_FAULT;
    }
    uint8_t *at = ram + (size_t)(a->address - BOARD_RAM_AT);
    memmove(a->write ? at : a->data, a->write ? a->data : at, a->len);
    return PST_OK;
}

const struct pst_space board_memory = {.right = right, .perform = perform, .urgent_first = 1};
