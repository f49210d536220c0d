#include "crypto/check.h"

#include <string.h>

#define NOT_SET 1 /* rule 1: there is no port */

enum { AGENT = 1, RECORDS = 2 };

/* The functions of a port: the offset of each pointer, and which parts need it. A row's rule number
 * is derived from its index. */
static const struct {
    uint8_t at; /* offset of the pointer in struct pst_crypto, in pointers */
    uint8_t by;
} functions[] = {
#define ROW(name, by)                                                                              \
    {                                                                                              \
        offsetof(struct pst_crypto, name) / sizeof(void *), (by)                                   \
    }
    ROW(random, AGENT | RECORDS),
    ROW(hash_init, AGENT),
    ROW(hash_update, AGENT),
    ROW(hash_final, AGENT),
    ROW(hash_clone, AGENT),
    ROW(hash_abort, AGENT),
    ROW(hmac, AGENT),
    ROW(dh_generate, AGENT),
    ROW(dh_shared, AGENT),
    ROW(dh_wipe, AGENT),
    ROW(verify, AGENT),
    ROW(public_key_wipe, AGENT),
    ROW(aead_init, RECORDS),
    ROW(aead_seal, RECORDS),
    ROW(aead_open, RECORDS),
    ROW(aead_wipe, RECORDS),
#undef ROW
};
#define FUNCTIONS (sizeof functions / sizeof functions[0])

_Static_assert(sizeof(void (*)(void)) == sizeof(void *), "functions are found by their place");

static bool missing(const struct pst_crypto *c, size_t i)
{
    void (*function)(void);

    memcpy(&function, (const uint8_t *)c + functions[i].at * sizeof function, sizeof function);
    return function == NULL;
}

static bool unfit(uint16_t bytes, size_t most)
{
    return bytes == 0 || bytes > most;
}

static uint8_t check(const struct pst_crypto *c, uint8_t by)
{
    if (c == NULL) {
        return NOT_SET;
    }
    for (size_t i = 0; i < FUNCTIONS; i++) {
        if ((functions[i].by & by) != 0 && missing(c, i)) {
            return (uint8_t)(NOT_SET + 1 + i);
        }
    }
    if (by == RECORDS) {
        return unfit(c->bytes.aead, PST_AEAD_BYTES) ? NOT_SET + 1 + FUNCTIONS : 0;
    }
    return unfit(c->bytes.hash, PST_HASH_BYTES)               ? NOT_SET + 2 + FUNCTIONS
           : unfit(c->bytes.dh_key, PST_DH_KEY_BYTES)         ? NOT_SET + 3 + FUNCTIONS
           : unfit(c->bytes.public_key, PST_PUBLIC_KEY_BYTES) ? NOT_SET + 4 + FUNCTIONS
                                                              : 0;
}

uint8_t psti_check_crypto(const struct pst_crypto *c)
{
    return check(c, AGENT);
}

uint8_t psti_check_ciphers(const struct pst_crypto *c)
{
    return check(c, RECORDS);
}

const char *psti_crypto_text(uint8_t rule)
{
    static const char *const texts[] = {
        NULL,
        "crypto is not set",
        "crypto.random is not set",
        "crypto.hash_init is not set",
        "crypto.hash_update is not set",
        "crypto.hash_final is not set",
        "crypto.hash_clone is not set",
        "crypto.hash_abort is not set",
        "crypto.hmac is not set",
        "crypto.dh_generate is not set",
        "crypto.dh_shared is not set",
        "crypto.dh_wipe is not set",
        "crypto.verify is not set",
        "crypto.public_key_wipe is not set",
        "crypto.aead_init is not set",
        "crypto.aead_seal is not set",
        "crypto.aead_open is not set",
        "crypto.aead_wipe is not set",
        "crypto.bytes.aead is 0 or exceeds PST_AEAD_BYTES",
        "crypto.bytes.hash is 0 or exceeds PST_HASH_BYTES",
        "crypto.bytes.dh_key is 0 or exceeds PST_DH_KEY_BYTES",
        "crypto.bytes.public_key is 0 or exceeds PST_PUBLIC_KEY_BYTES",
    };

    return texts[rule];
}
