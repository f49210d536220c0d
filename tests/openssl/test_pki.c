#define _XOPEN_SOURCE 700 /* nftw */
/* Identities on disk: making, loading, refusing and checking them. */
#include "chain_maker.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "openssl/pki.h"

static char top[64];
static char why[512];

static const char *in(const char *name)
{
    static char paths[4][256];
    static unsigned turn;
    char *path = paths[turn++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", top, name);
    return path;
}

static unsigned mode_of(const char *name)
{
    struct stat st;

    CHECK(stat(in(name), &st) == 0);
    return (unsigned)st.st_mode & 07777u;
}

static const struct pst_pki_options usual = {.algorithm = PST_ECDSA_P256};

static void make_ca(const char *name, const struct pst_pki_options *options)
{
    pst_err err = pst_pki_init(in(name), options, why, sizeof why);
    if (err != PST_OK) {
        fprintf(stderr, "%s\n", why);
    }
    CHECK_EQ(err, PST_OK);
}

/* Returns a verifier's verdict on an identity, with that anchor. */
static pst_err meet(const char *anchor, const struct pst_identity *id, pst_role role,
                    struct pst_peer *peer)
{
    struct pst_trust trust;
    struct pst_chain_check check = {0};
    uint8_t hash[PST_MAX_HASH];

    CHECK_EQ(pst_trust_init(&trust), PST_OK);
    CHECK_EQ(pst_trust_add(&trust, in(anchor), why, sizeof why), PST_OK);
    const struct pst_cert_verifier *v = &trust.verifier;
    CHECK_EQ(
        pst_hash_once(pst_openssl_crypto(), PST_SHA256, id->slot.certs, id->slot.root_len, hash),
        PST_OK);
    CHECK_EQ(v->begin(v->ctx, &check, role, PST_SHA256, hash), PST_OK);
    (void)v->feed(v->ctx, &check, id->slot.certs, id->slot.certs_len);
    pst_err err = v->finish(v->ctx, &check, peer);
    pst_trust_free(&trust);
    return err;
}

static void identities_work_with_every_algorithm(void **state)
{
    (void)state;
    for (int i = PST_ECDSA_P256; i <= PST_ED25519; i++) {
        const struct pst_pki_options options = {.algorithm = (pst_sig_id)i};
        struct pst_identity pump, ada;
        struct pst_peer peer = {0};
        char ca[8], device[8], engineer[8], anchor[32];
        snprintf(ca, sizeof ca, "ca%d", i);
        snprintf(device, sizeof device, "d%d", i);
        snprintf(engineer, sizeof engineer, "e%d", i);
        make_ca(ca, &options);
        CHECK_EQ(
            pst_pki_target(in(ca), "Acme:Pump, big:0042", in(device), &options, why, sizeof why),
            PST_OK);
        CHECK_EQ(pst_pki_engineer(in(ca), "ada", "debug; device=Acme:*", in(engineer), &options,
                                  why, sizeof why),
                 PST_OK);
        CHECK_EQ(pst_identity_load(&pump, in(device), why, sizeof why), PST_OK);
        CHECK_EQ(pst_identity_load(&ada, in(engineer), why, sizeof why), PST_OK);
        CHECK(strcmp(pump.name, "Acme:Pump, big:0042") == 0 && strcmp(ada.name, "ada") == 0);
        CHECK_EQ(pump.signer.sig_id, i);

        snprintf(anchor, sizeof anchor, "%s/devices.pem", ca);
        CHECK_EQ(meet(anchor, &pump, PST_ROLE_RESPONDER, &peer), PST_OK);
        CHECK(peer.role_eku && strcmp(peer.device, "Acme:Pump, big:0042") == 0);
        uint8_t signature[PST_MAX_SIGNATURE];
        const struct pst_signer *s = pump.slot.signer;
        CHECK_EQ(s->sign(s->ctx, PST_SHA384, "hello", 5, signature), PST_OK);
        CHECK_EQ(pst_openssl_crypto()->verify(NULL, &peer.key, PST_SHA384, "hello", 5, signature),
                 PST_OK);
        pst_openssl_crypto()->public_key_wipe(NULL, &peer.key);
        CHECK_EQ(meet(anchor, &ada, PST_ROLE_REQUESTER, &peer), PST_ERR_CERT);

        snprintf(anchor, sizeof anchor, "%s/engineers.pem", ca);
        CHECK_EQ(meet(anchor, &ada, PST_ROLE_REQUESTER, &peer), PST_OK);
        CHECK_EQ(peer.grant_len, 20);
        CHECK_BYTES(peer.grant, "debug; device=Acme:*", 20);
        pst_openssl_crypto()->public_key_wipe(NULL, &peer.key);
        CHECK_EQ(meet(anchor, &pump, PST_ROLE_RESPONDER, &peer), PST_ERR_CERT);
        pst_identity_free(&pump);
        pst_identity_free(&pump);
        pst_identity_free(&ada);
    }
}

static void keys_are_private_and_stay(void **state)
{
    struct pst_pki_options force = usual;
    struct pst_identity id;

    (void)state;
    umask(0);
    make_ca("ca-modes", &usual);
    CHECK_EQ(mode_of("ca-modes"), 0700);
    CHECK_EQ(mode_of("ca-modes/devices.key"), 0600);
    CHECK_EQ(mode_of("ca-modes/engineers.key"), 0600);
    CHECK_EQ(pst_pki_init(in("ca-modes"), &usual, why, sizeof why), PST_ERR_IO);
    CHECK(strstr(why, "devices.key: exists") != NULL);
    CHECK_EQ(pst_pki_target(in("ca-modes"), "A:B:C", in("dev"), &usual, why, sizeof why), PST_OK);
    CHECK_EQ(mode_of("dev"), 0700);
    CHECK_EQ(mode_of("dev/key.pem"), 0600);
    CHECK_EQ(pst_pki_target(in("ca-modes"), "A:B:D", in("dev"), &usual, why, sizeof why),
             PST_ERR_IO);
    CHECK_EQ(pst_identity_load(&id, in("dev"), why, sizeof why), PST_OK);
    CHECK(strcmp(id.name, "A:B:C") == 0);
    pst_identity_free(&id);
    /* a chain without its key is an identity too and must not be overwritten */
    CHECK(unlink(in("dev/key.pem")) == 0);
    CHECK_EQ(pst_pki_target(in("ca-modes"), "A:B:D", in("dev"), &usual, why, sizeof why),
             PST_ERR_IO);
    CHECK(strstr(why, "chain.pem") != NULL);
    CHECK(access(in("dev/key.pem"), F_OK) != 0);
    force.force = true;
    CHECK_EQ(pst_pki_target(in("ca-modes"), "A:B:D", in("dev"), &force, why, sizeof why), PST_OK);
    CHECK_EQ(mode_of("dev/key.pem"), 0600);
    CHECK_EQ(pst_identity_load(&id, in("dev"), why, sizeof why), PST_OK);
    CHECK(strcmp(id.name, "A:B:D") == 0);
    pst_identity_free(&id);
    CHECK(access(in("dev/key.pem.new"), F_OK) != 0);
}

static void bad_identities_are_refused_with_words(void **state)
{
    struct pst_identity id;

    (void)state;
    make_ca("ca-bad", &usual);
    CHECK_EQ(pst_pki_target(in("ca-bad"), "A:B:1", in("one"), &usual, why, sizeof why), PST_OK);
    CHECK_EQ(pst_pki_target(in("ca-bad"), "A:B:2", in("two"), &usual, why, sizeof why), PST_OK);
    CHECK_EQ(pst_identity_load(&id, in("none"), why, sizeof why), PST_ERR_IO);
    CHECK(strstr(why, "none/chain.pem: No such file") != NULL);
    /* readable by others */
    CHECK(chmod(in("one/key.pem"), 0640) == 0);
    CHECK_EQ(pst_identity_load(&id, in("one"), why, sizeof why), PST_ERR_DENIED);
    CHECK(strstr(why, "mode 640") != NULL && strstr(why, "expected 600") != NULL);
    CHECK(id.priv == NULL && id.slot.certs == NULL);
    /* the key of another */
    CHECK(rename(in("two/key.pem"), in("one/key.pem")) == 0);
    CHECK_EQ(pst_identity_load(&id, in("one"), why, sizeof why), PST_ERR_CERT);
    CHECK(strstr(why, "does not belong") != NULL);
    /* no key at all */
    CHECK_EQ(pst_identity_load(&id, in("two"), why, sizeof why), PST_ERR_IO);
    /* what is not PEM */
    CHECK(truncate(in("one/chain.pem"), 700) == 0);
    CHECK_EQ(pst_identity_load(&id, in("one"), why, sizeof why), PST_ERR_CERT);
    CHECK(strstr(why, "damaged") != NULL);
    CHECK(truncate(in("one/chain.pem"), 0) == 0);
    CHECK_EQ(pst_identity_load(&id, in("one"), why, sizeof why), PST_ERR_CERT);
    CHECK(strstr(why, "no PEM certificate") != NULL);
}

static void trust_files_are_refused_with_words(void **state)
{
    struct pst_trust trust;

    (void)state;
    CHECK_EQ(pst_trust_init(&trust), PST_OK);
    CHECK_EQ(pst_trust_add(&trust, in("nowhere.pem"), why, sizeof why), PST_ERR_IO);
    CHECK(strstr(why, "nowhere.pem") != NULL);
    CHECK_EQ(pst_trust_add_der(&trust, (const uint8_t *)"x", 1), PST_ERR_CERT);
    pst_trust_free(&trust);
    pst_trust_free(&trust);
}

static void creation_checks_what_it_is_given(void **state)
{
    struct pst_pki_options days = usual;
    char many[PST_MAX_GRANT + 2];

    (void)state;
    days.days = 10;
    make_ca("ca-short", &days);
    static const char *const ids[] = {"",        "Acme",       "Acme:Pump",     ":Pump:1",
                                      "Acme::1", "Acme:Pump:", "Acme:Pump:1:2", "Acme:Pump:\n"};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        CHECK_EQ(pst_pki_target(in("ca-short"), ids[i], in("x"), &usual, why, sizeof why),
                 PST_ERR_ARGUMENT);
    }
    CHECK_EQ(pst_pki_engineer(in("ca-short"), "", "debug", in("x"), &usual, why, sizeof why),
             PST_ERR_ARGUMENT);
    memset(many, 'g', sizeof many);
    many[sizeof many - 1] = '\0';
    CHECK_EQ(pst_pki_engineer(in("ca-short"), "a", many, in("x"), &usual, why, sizeof why),
             PST_ERR_ARGUMENT);
    /* longer than the CA lasts: asked for, refused; by default, shortened */
    days.days = 11;
    CHECK_EQ(pst_pki_target(in("ca-short"), "A:B:C", in("x"), &days, why, sizeof why),
             PST_ERR_ARGUMENT);
    CHECK(strstr(why, "11 days") != NULL && access(in("x"), F_OK) != 0);
    CHECK_EQ(pst_pki_target(in("ca-short"), "A:B:C", in("x"), &usual, why, sizeof why), PST_OK);
    days.days = 40000;
    CHECK_EQ(pst_pki_init(in("y"), &days, why, sizeof why), PST_ERR_ARGUMENT);
    CHECK_EQ(pst_pki_target(in("no-ca"), "A:B:C", in("z"), &usual, why, sizeof why), PST_ERR_IO);
}

/* --- lint --- */

struct findings {
    unsigned certificates, broken;
    char text[4096];
};

static void on_certificate(void *ctx, const struct pst_chain_entry *e)
{
    struct findings *f = ctx;

    CHECK_EQ(e->index, f->certificates);
    f->certificates++;
}

static void on_broken(void *ctx, const struct pst_chain_entry *e,
                      const struct pst_cert_refusal *refusal)
{
    struct findings *f = ctx;
    size_t used = strlen(f->text);

    CHECK_EQ(e->index, refusal->index);
    f->broken++;
    snprintf(f->text + used, sizeof f->text - used, "%u %s %s\n", e->index, refusal->field,
             refusal->rule);
}

static struct maker_chain chain;

static struct findings lint_chain(pst_role role)
{
    struct findings f = {0};
    const struct pst_chain_visitor visitor = {&f, on_certificate, on_broken};

    maker_make(&chain);
    CHECK_EQ(pst_chain_walk(chain.der, chain.at[chain.count], role, MAKER_NOW, &visitor), PST_OK);
    CHECK_EQ(f.certificates, chain.count);
    return f;
}

static void lint_finds_nothing_in_our_own(void **state)
{
    (void)state;
    maker_good(&chain, PST_ROLE_RESPONDER);
    CHECK_EQ(lint_chain(PST_ROLE_RESPONDER).broken, 0);
    maker_good(&chain, PST_ROLE_REQUESTER);
    CHECK_EQ(lint_chain(PST_ROLE_REQUESTER).broken, 0);
}

static void lint_lists_everything_that_is_wrong(void **state)
{
    static const char *const expected[] = {
        "1 validity has ended",
        "1 basicConstraints pathLenConstraint",
        "2 serialNumber",
        "2 keyUsage digitalSignature",
        "2 extendedKeyUsage SPDM responder",
        "2 spdmExtension",
        "2 subjectAltName device id is missing",
        "2 signature was not made",
    };

    (void)state;
    maker_good(&chain, PST_ROLE_RESPONDER);
    chain.certs[0].basic = "critical,CA:TRUE,pathlen:0";
    chain.certs[1].until = -1;
    chain.certs[2].serial = 0;
    chain.certs[2].usage = "critical,keyAgreement";
    chain.certs[2].extended = NULL;
    chain.certs[2].spdm = NULL;
    chain.certs[2].alt_name = NULL;
    chain.certs[2].flip_signature = true;
    struct findings f = lint_chain(PST_ROLE_RESPONDER);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        if (strstr(f.text, expected[i]) == NULL) {
            fprintf(stderr, "'%s' is not in:\n%s", expected[i], f.text);
        }
        CHECK(strstr(f.text, expected[i]) != NULL);
    }
    CHECK_EQ(f.broken, sizeof expected / sizeof expected[0]);
}

static void lint_survives_every_truncation(void **state)
{
    const struct pst_chain_visitor visitor = {0};

    (void)state;
    maker_good(&chain, PST_ROLE_RESPONDER);
    maker_make(&chain);
    for (size_t n = 0; n < chain.at[3]; n++) {
        bool at_border = n == chain.at[1] || n == chain.at[2];
        CHECK_EQ(pst_chain_walk(chain.der, n, PST_ROLE_RESPONDER, 0, &visitor),
                 at_border ? PST_OK : PST_ERR_DECODE);
    }
}

static void chains_are_read_from_pem_der_and_directories(void **state)
{
    uint8_t *a = NULL, *b = NULL, *c = NULL;
    size_t a_len, b_len, c_len;

    (void)state;
    make_ca("ca-read", &usual);
    CHECK_EQ(pst_pki_target(in("ca-read"), "A:B:C", in("read"), &usual, why, sizeof why), PST_OK);
    CHECK_EQ(pst_chain_read(in("read"), &a, &a_len, why, sizeof why), PST_OK);
    CHECK_EQ(pst_chain_read(in("read/chain.pem"), &b, &b_len, why, sizeof why), PST_OK);
    FILE *f = fopen(in("read/chain.der"), "w");
    CHECK(f != NULL && fwrite(a, 1, a_len, f) == a_len && fclose(f) == 0);
    CHECK_EQ(pst_chain_read(in("read/chain.der"), &c, &c_len, why, sizeof why), PST_OK);
    CHECK(a_len == b_len && a_len == c_len);
    CHECK_BYTES(a, b, a_len);
    CHECK_BYTES(a, c, a_len);
    free(a);
    free(b);
    free(c);
    a = NULL;
    CHECK_EQ(pst_chain_read(in("read/key.pem"), &a, &a_len, why, sizeof why), PST_ERR_CERT);
    CHECK_EQ(pst_chain_read(in("nothing"), &a, &a_len, why, sizeof why), PST_ERR_IO);
    CHECK(a == NULL);
}

static int begin(void **state)
{
    const char *tmp = getenv("TMPDIR");

    (void)state;
    snprintf(top, sizeof top, "%.40s/pst-pki-XXXXXX", tmp != NULL ? tmp : "/tmp");
    return mkdtemp(top) == NULL;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static int end(void **state)
{
    (void)state;
    return nftw(top, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identities_work_with_every_algorithm),
        cmocka_unit_test(keys_are_private_and_stay),
        cmocka_unit_test(bad_identities_are_refused_with_words),
        cmocka_unit_test(trust_files_are_refused_with_words),
        cmocka_unit_test(creation_checks_what_it_is_given),
        cmocka_unit_test(lint_finds_nothing_in_our_own),
        cmocka_unit_test(lint_lists_everything_that_is_wrong),
        cmocka_unit_test(lint_survives_every_truncation),
        cmocka_unit_test(chains_are_read_from_pem_der_and_directories),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
