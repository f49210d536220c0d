/* The default security profile. Sessions under it: tests/firmware and the end-to-end tests. */
#include "postern/profile.h"
#include "pst_test.h"

static uint64_t now_ms(void *ctx)
{
    return *(const uint64_t *)ctx;
}

static struct pst_signer signer = {.sig_id = PST_ECDSA_P256};
static const struct pst_slot slot = {.signer = &signer};
static const struct pst_crypto crypto = {0};
static const struct pst_cert_verifier verifier = {0};

static struct pst_profile_parts parts_of(uint64_t *now)
{
    return (struct pst_profile_parts){
        .crypto = &crypto, .slot = &slot, .verifier = &verifier, .now_ms = now_ms, .now_ctx = now};
}

static void test_parts(void **state)
{
    uint64_t now = 7;
    const struct pst_profile_parts parts = parts_of(&now);
    struct pst_spdm_config t, d;
    (void)state;

    memset(&t, 0xA5, sizeof t);
    memset(&d, 0xA5, sizeof d);
    pst_profile_target(&t, &parts);
    pst_profile_debugger(&d, &parts);
    CHECK(t.crypto == &crypto && t.verifier == &verifier && t.slots[0] == &slot);
    CHECK(d.crypto == &crypto && d.verifier == &verifier && d.slots[0] == &slot);
    CHECK(t.slots[1] == NULL && d.slots[7] == NULL);
    CHECK_EQ(t.now_ms(t.now_ctx), 7);
    CHECK(t.mutual == PST_MUTUAL_ENCAP && t.require_mutual);
    CHECK_EQ(t.heartbeat_s, PST_PROFILE_HEARTBEAT_S);
    CHECK(!d.require_mutual && d.mutual == PST_MUTUAL_NONE && d.heartbeat_s == 0);
    CHECK_EQ(t.transfer_size, PST_PROFILE_TRANSFER);
}

/* An end offers to sign only with what its key can. */
static void test_own_algorithm(void **state)
{
    uint64_t now = 0;
    struct pst_profile_parts parts = parts_of(&now);
    struct pst_spdm_config c;
    (void)state;

    for (int id = PST_SIG_NONE; id <= PST_ED25519 + 2; id++) {
        const bool known = id != PST_SIG_NONE && id <= PST_ED25519;
        signer.sig_id = (pst_sig_id)id;
        pst_profile_target(&c, &parts);
        CHECK_EQ(c.sigs[0], known ? id : 0);
        CHECK(!known || c.sigs[1] == 0);
        CHECK_EQ(c.peer_sigs[0], PST_ECDSA_P384);
    }
    signer.sig_id = PST_ECDSA_P256;
    parts.slot = NULL;
    pst_profile_debugger(&c, &parts);
    CHECK_EQ(c.sigs[0], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_own_algorithm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
