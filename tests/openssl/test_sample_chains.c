/* Certificate chains that another implementation put on the wire (tests/vectors): the verifier in
 * lenient mode accepts those whose keys Postern knows and whose leaf fits the role. */
#include "pst_test.h"

#include <dirent.h>
#include <jansson.h>
#include <stdlib.h>

#include "openssl/openssl_port.h"

static unsigned accepted, foreign;

static bool is_ours(const char *algorithm)
{
    return strcmp(algorithm, "ECDSA_P256") == 0 || strcmp(algorithm, "ECDSA_P384") == 0 ||
           strcmp(algorithm, "ED25519") == 0 || strcmp(algorithm, "EDDSA_25519") == 0;
}

static pst_hash_id hash_named(const char *name)
{
    return pst_hash_from_name(name);
}

/* `blob` is SPDM's certificate chain: length u16, reserved u16, root hash, certificates. */
static pst_err verify(const uint8_t *blob, size_t len, pst_hash_id hash, pst_role role,
                      struct pst_peer *peer)
{
    size_t hash_len = pst_hash_row(hash)->size, root_len;
    const uint8_t *der = blob + 4 + hash_len;
    struct pst_chain_check check = {0};
    struct pst_trust trust;

    CHECK(len > 4 + hash_len && pst_peek_u16(blob) == len);
    len -= 4 + hash_len;
    CHECK_EQ(pst_certificate_extent(der, len, &root_len), PST_OK);
    CHECK_EQ(pst_trust_init(&trust), PST_OK);
    pst_err err = pst_trust_add_der(&trust, der, root_len);
    if (err == PST_OK) {
        const struct pst_cert_verifier *v = &trust.verifier;
        pst_trust_set_time(&trust, 0);
        pst_trust_set_lenient(&trust, true);
        CHECK_EQ(v->begin(v->ctx, &check, role, hash, blob + 4), PST_OK);
        (void)v->feed(v->ctx, &check, der, len);
        err = v->finish(v->ctx, &check, peer);
        if (err != PST_OK) {
            char text[PST_MAX_REFUSAL];
            pst_cert_refusal_text(v->refusal(v->ctx), text, sizeof text);
            fprintf(stderr, "  %s\n", text);
        }
    }
    pst_trust_free(&trust);
    return err;
}

static void try_chain(const char *file, const json_t *all, const char *field, const char *algorithm,
                      pst_role role)
{
    static uint8_t blob[70000];
    const json_t *algorithms = json_object_get(all, "algorithms");
    const char *hex =
        json_string_value(json_object_get(json_object_get(all, "certificates"), field));
    const char *name = json_string_value(json_object_get(algorithms, algorithm));
    pst_hash_id hash = hash_named(json_string_value(json_object_get(algorithms, "base_hash")));
    struct pst_peer peer = {0};

    if (hex == NULL || name == NULL || hash == PST_HASH_NONE) {
        return;
    }
    size_t len = pst_test_hex(hex, blob, sizeof blob);
    pst_err err = verify(blob, len, hash, role, &peer);
    if (!is_ours(name)) {
        foreign++;
        CHECK(err != PST_OK);
        return;
    }
    if (err != PST_OK) {
        fprintf(stderr, "%s: %s (%s)\n", file, field, name);
    }
    CHECK_EQ(err, PST_OK);
    accepted++;
    pst_openssl_crypto()->public_key_wipe(NULL, &peer.key);
}

static void chains_of_others_are_understood(void **state)
{
    const char *dir = getenv("PST_VECTORS") != NULL ? getenv("PST_VECTORS") : "vectors";
    DIR *d = opendir(dir);
    char path[512];

    (void)state;
    CHECK(d != NULL);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (strstr(e->d_name, ".json") == NULL) {
            continue;
        }
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        json_t *all = json_load_file(path, 0, NULL);
        CHECK(all != NULL);
        try_chain(e->d_name, all, "responder_chain_hex", "responder_asym", PST_ROLE_RESPONDER);
        try_chain(e->d_name, all, "responder_chain_slot1_hex", "responder_asym",
                  PST_ROLE_RESPONDER);
        try_chain(e->d_name, all, "requester_chain_hex", "requester_asym", PST_ROLE_REQUESTER);
        json_decref(all);
    }
    closedir(d);
    fprintf(stderr, "%u chains accepted, %u of other algorithms refused\n", accepted, foreign);
    CHECK(accepted > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(chains_of_others_are_understood)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
