/* A debugger configuration with a missing field is refused at init with a sentence that names the
 * field. */
#include "ts/net.h"

struct parts {
    struct pst_debugger_config config;
    struct pst_spdm_config spdm;
    struct pst_crypto crypto;
    struct pst_cert_verifier verifier;
    struct pst_slot slot;
    struct pst_signer signer;
};

static void good(struct parts *p, const struct net_side *s)
{
    memset(p, 0, sizeof *p);
    p->config = s->config;
    p->spdm = s->spdm;
    p->crypto = *s->spdm.crypto;
    p->verifier = *s->spdm.verifier;
    p->slot = *s->spdm.slots[0];
    p->signer = *p->slot.signer;
    p->slot.signer = &p->signer;
    p->spdm.crypto = &p->crypto;
    p->spdm.verifier = &p->verifier;
    p->spdm.slots[0] = &p->slot;
    p->config.spdm = &p->spdm;
}

#define FORGET(name, what)                                                                         \
    static void name(struct parts *p)                                                              \
    {                                                                                              \
        what;                                                                                      \
    }
FORGET(spdm, p->config.spdm = NULL)
FORGET(mailbox, p->config.mailbox = NULL)
FORGET(mailbox_len, p->config.mailbox_len = 2 * NET_TRANSFER - 1)
FORGET(capabilities, p->spdm.capabilities = 0)
FORGET(mut_auth, p->spdm.capabilities &= ~PST_CAP_MUT_AUTH)
FORGET(crypto, p->spdm.crypto = NULL)
FORGET(aead, p->crypto.aead_seal = NULL)
FORGET(hmac, p->crypto.hmac = NULL)
FORGET(now_ms, p->spdm.now_ms = NULL)
FORGET(verifier, p->spdm.verifier = NULL)
FORGET(begin, p->verifier.begin = NULL)
FORGET(refusal, p->verifier.refusal = NULL)
FORGET(versions, p->spdm.min_minor = 0)
FORGET(transfer, p->spdm.transfer_size = 0)
FORGET(short_transfer, p->spdm.transfer_size = 213)
FORGET(hashes, p->spdm.hashes = NULL)
FORGET(sigs, p->spdm.sigs = NULL)
FORGET(peer_sigs, p->spdm.peer_sigs = NULL)
FORGET(dhs, p->spdm.dhs = NULL)
FORGET(aeads, p->spdm.aeads = NULL)
FORGET(certs, p->slot.certs = NULL)
FORGET(signer, p->slot.signer = NULL)
FORGET(sign, p->signer.sign = NULL)

static void (*const forget[])(struct parts *p) = {
    spdm,      mailbox,  mailbox_len, capabilities, mut_auth, crypto,   aead,           hmac,
    now_ms,    verifier, begin,       refusal,      versions, transfer, hashes,         sigs,
    peer_sigs, dhs,      aeads,       certs,        signer,   sign,     short_transfer,
};

static void test_each_field_forgotten(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    struct net_side *s = net_join(n, 0, &net_keys.ada, &net_keys.devices);
    static struct pst_debugger d, before;
    struct parts p;
    (void)state;

    good(&p, s);
    CHECK(pst_debugger_config_check(&p.config) == NULL);
    memset(&d, 0x5A, sizeof d);
    before = d;
    for (size_t i = 0; i < sizeof forget / sizeof *forget; i++) {
        good(&p, s);
        forget[i](&p);
        const char *why = pst_debugger_config_check(&p.config);
        if (why == NULL) {
            fprintf(stderr, "row %zu is accepted\n", i);
        }
        CHECK(why != NULL && strchr(why, ' ') != NULL);
        CHECK_EQ(pst_debugger_init(&d, &p.config), PST_ERR_CONFIG);
        CHECK_BYTES(&d, &before, sizeof d);
    }
    net_free(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_field_forgotten)};
    return cmocka_run_group_tests(tests, net_keys_make, net_keys_free);
}
