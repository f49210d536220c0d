/* The chain verifier: each rule broken once, every split and every truncation. */
#include "chain_maker.h"

static struct maker_chain chain;
static struct pst_trust trust;

static void trust_root_of(const struct maker_chain *c)
{
    pst_trust_free(&trust);
    CHECK_EQ(pst_trust_init(&trust), PST_OK);
    CHECK_EQ(pst_trust_add_der(&trust, c->der, c->at[1]), PST_OK);
    pst_trust_set_time(&trust, MAKER_NOW);
}

static const char *reason(void)
{
    static char text[PST_MAX_REFUSAL];

    pst_cert_refusal_text(trust.verifier.refusal(trust.verifier.ctx), text, sizeof text);
    return text;
}

/* Feeds `len` bytes in portions and concludes. */
static pst_err verify_bytes(const uint8_t *der, size_t len, size_t root_len, pst_role role,
                            size_t portion, struct pst_peer *peer)
{
    const struct pst_cert_verifier *v = &trust.verifier;
    struct pst_chain_check check = {0};
    uint8_t root_hash[PST_MAX_HASH];
    pst_err err = PST_OK;

    CHECK_EQ(pst_hash_once(pst_openssl_crypto(), PST_SHA384, der, root_len, root_hash), PST_OK);
    CHECK_EQ(v->begin(v->ctx, &check, role, PST_SHA384, root_hash), PST_OK);
    for (size_t at = 0; at < len && err == PST_OK; at += portion) {
        err = v->feed(v->ctx, &check, der + at, len - at < portion ? len - at : portion);
    }
    pst_err end = v->finish(v->ctx, &check, peer);
    CHECK(err == PST_OK || end == err); /* a failure is final */
    CHECK_EQ(check.store[0], 0);
    CHECK((end == PST_OK) == (reason()[0] == '\0'));
    return end;
}

static pst_err verify(pst_role role, struct pst_peer *peer)
{
    return verify_bytes(chain.der, chain.at[chain.count], chain.at[1], role, 100, peer);
}

static void wipe(struct pst_peer *peer)
{
    pst_openssl_crypto()->public_key_wipe(NULL, &peer->key);
}

static void a_device_is_recognised(void **state)
{
    struct pst_peer peer = {0};
    uint8_t hash[32];

    (void)state;
    maker_good(&chain, PST_ROLE_RESPONDER);
    maker_make(&chain);
    trust_root_of(&chain);
    CHECK_EQ(verify(PST_ROLE_RESPONDER, &peer), PST_OK);
    CHECK(strcmp(peer.device, "Acme:Pump:0042") == 0);
    CHECK(strcmp(peer.name, "Acme:Pump:0042") == 0);
    CHECK_EQ(peer.key.sig_id, PST_ECDSA_P256);
    CHECK_EQ(peer.grant_len, 0);
    CHECK(peer.time_checked && peer.role_eku);
    CHECK_EQ(peer.not_before, MAKER_NOW - MAKER_YEAR);
    CHECK_EQ(peer.not_after, MAKER_NOW + MAKER_YEAR);
    CHECK_EQ(pst_hash_once(pst_openssl_crypto(), PST_SHA256, chain.der + chain.at[2],
                           chain.at[3] - chain.at[2], hash),
             PST_OK);
    CHECK_BYTES(peer.fingerprint, hash, 32);
    /* the key is the leaf's, and outlives the check */
    uint8_t signature[PST_MAX_SIGNATURE];
    CHECK_EQ(pst_ossl_sign(maker_key(2, 0), PST_ECDSA_P256, PST_SHA256, "m", 1, signature), PST_OK);
    CHECK_EQ(pst_openssl_crypto()->verify(NULL, &peer.key, PST_SHA256, "m", 1, signature), PST_OK);
    wipe(&peer);
}

static void an_engineer_is_recognised(void **state)
{
    struct pst_peer peer = {0};

    (void)state;
    maker_good(&chain, PST_ROLE_REQUESTER);
    maker_make(&chain);
    trust_root_of(&chain);
    CHECK_EQ(verify(PST_ROLE_REQUESTER, &peer), PST_OK);
    CHECK(strcmp(peer.name, "ada") == 0 && peer.device[0] == '\0');
    CHECK_EQ(peer.grant_len, 5);
    CHECK_BYTES(peer.grant, "debug", 5);
    CHECK(peer.role_eku);
    wipe(&peer);
    /* a chain of another role is not one of this role */
    CHECK_EQ(verify(PST_ROLE_RESPONDER, &peer), PST_ERR_CERT);
}

static void every_algorithm_verifies(void **state)
{
    struct pst_peer peer = {0};

    (void)state;
    for (int i = PST_ECDSA_P256; i <= PST_ED25519; i++) {
        maker_good(&chain, PST_ROLE_RESPONDER);
        for (size_t n = 0; n < 3; n++) {
            chain.certs[n].algorithm = (pst_sig_id)(1 + (size_t)(i + (int)n) % 3);
        }
        maker_make(&chain);
        trust_root_of(&chain);
        CHECK_EQ(verify(PST_ROLE_RESPONDER, &peer), PST_OK);
        CHECK_EQ(peer.key.sig_id, chain.certs[2].algorithm);
        wipe(&peer);
    }
}

/* --- chains with one error --- */

struct bad_case {
    const char *name;
    pst_role role;
    void (*spoil)(struct maker_chain *c);
    const char *reason; /* part of it: which certificate, which field */
};

#define SPOIL(name, statement)                                                                     \
    static void name(struct maker_chain *c)                                                        \
    {                                                                                              \
        statement;                                                                                 \
    }

SPOIL(leaf_expired, c->certs[2].until = -1)
SPOIL(middle_expired, c->certs[1].until = -1)
SPOIL(root_expired, c->certs[0].until = -1)
SPOIL(leaf_not_yet, c->certs[2].from = 1)
SPOIL(leaf_is_ca, c->certs[2].basic = "critical,CA:TRUE")
SPOIL(leaf_without_basic, c->certs[2].basic = NULL)
SPOIL(name_turns_around, c->certs[2].subject = "zoe\xE2\x80\xAEnimda")
SPOIL(name_separates_lines, c->certs[2].subject = "zoe\xE2\x80\xA8"
                                                  "forged")
SPOIL(false_spelled_out, (c->certs[2].basic = NULL, c->certs[2].extra_oid = "basicConstraints",
                          c->certs[2].extra = "DER:3003010100"))
SPOIL(leaf_cannot_sign, c->certs[2].usage = "critical,keyAgreement")
SPOIL(leaf_has_no_usage, c->certs[2].usage = NULL)
SPOIL(middle_is_no_ca, c->certs[1].basic = "critical,CA:FALSE")
SPOIL(middle_has_no_basic, c->certs[1].basic = NULL)
SPOIL(middle_cannot_certify, c->certs[1].usage = "critical,digitalSignature")
SPOIL(root_is_no_ca, c->certs[0].basic = "CA:FALSE")
SPOIL(root_path_zero, c->certs[0].basic = "critical,CA:TRUE,pathlen:0")
SPOIL(unknown_critical,
      (c->certs[2].extra_oid = "1.2.3.4", c->certs[2].extra = "critical,DER:0500"))
SPOIL(unknown_critical_middle, (c->certs[1].extra_oid = "nameConstraints",
                                c->certs[1].extra = "critical,permitted;DNS:example.com"))
SPOIL(signature_flipped, c->certs[2].flip_signature = true)
SPOIL(middle_signature_flipped, c->certs[1].flip_signature = true)
SPOIL(signed_by_root, c->certs[2].signer = 0)
SPOIL(names_do_not_chain, c->certs[2].issuer = "root")
SPOIL(middle_names_do_not_chain, c->certs[1].issuer = "elsewhere")
SPOIL(serial_zero, c->certs[2].serial = 0)
SPOIL(serial_negative, c->certs[2].serial = -5)
SPOIL(version_1, c->certs[2].version = 0)
SPOIL(empty_subject, c->certs[2].subject = "")
SPOIL(empty_issuer, (c->certs[1].subject = "", c->certs[2].issuer = ""))
SPOIL(extension_twice,
      (c->certs[2].extra_oid = "keyUsage", c->certs[2].extra = "critical,digitalSignature"))
SPOIL(unknown_extension_twice, (c->certs[2].extra_oid = c->certs[2].extra2_oid = "1.2.3.4",
                                c->certs[2].extra = c->certs[2].extra2 = "DER:0500"))
SPOIL(malformed_extension, (c->certs[2].usage = NULL, c->certs[2].extra_oid = "keyUsage",
                            c->certs[2].extra = "DER:0500"))
SPOIL(requester_without_eku, c->certs[2].extended = NULL)
SPOIL(requester_with_other_eku, c->certs[2].extended = "clientAuth")
SPOIL(requester_with_device_eku, c->certs[2].extended = PST_OID_RESPONDER_AUTH)
SPOIL(device_with_requester_eku, c->certs[2].extended = PST_OID_REQUESTER_AUTH)
SPOIL(device_with_both, c->certs[2].extended = PST_OID_REQUESTER_AUTH "," PST_OID_RESPONDER_AUTH)
SPOIL(device_id_two_parts,
      c->certs[2].alt_name = "otherName:" PST_OID_DEVICE_INFO ";UTF8:Acme:Pump")
SPOIL(device_id_empty_part,
      c->certs[2].alt_name = "otherName:" PST_OID_DEVICE_INFO ";UTF8:Acme::0042")
SPOIL(device_id_wrong_type,
      c->certs[2].alt_name = "otherName:" PST_OID_DEVICE_INFO ";IA5:Acme:Pump:0042")
SPOIL(device_id_twice, c->certs[2].alt_name = "otherName:" PST_OID_DEVICE_INFO
                                              ";UTF8:Acme:Pump:0042,otherName:" PST_OID_DEVICE_INFO
                                              ";UTF8:A:B:C")
SPOIL(device_id_too_long,
      c->certs[2].alt_name = "otherName:" PST_OID_DEVICE_INFO
                             ";UTF8:AcmeAcmeAcmeAcmeAcmeAcmeAcmeAcme:PumpPumpPumpPumpPumpPumpPump:"
                             "00000000000000000000000000000000000")
SPOIL(name_with_control, c->certs[2].subject = "a\nb")
SPOIL(grant_of_other_type, c->certs[2].grant = "DER:0c056465627567")
SPOIL(grant_empty, c->certs[2].grant = "DER:0400")
SPOIL(no_leaf, c->count = 2)
SPOIL(root_only, c->count = 1)
SPOIL(too_large_a_certificate, c->certs[2].padding = 16300)

#define ENG PST_ROLE_REQUESTER
#define DEV PST_ROLE_RESPONDER
#define CASE(role, spoil, reason)                                                                  \
    {                                                                                              \
        #spoil, role, spoil, reason                                                                \
    }

/* clang-format off */
static const struct bad_case bad_cases[] = {
    CASE(DEV, leaf_expired, "certificate 2: validity: has ended"),
    CASE(ENG, leaf_expired, "certificate 2: validity: has ended"),
    CASE(DEV, middle_expired, "certificate 1: validity: has ended"),
    CASE(DEV, root_expired, "certificate 0: validity: has ended"),
    CASE(DEV, leaf_not_yet, "certificate 2: validity: has not begun"),
    CASE(DEV, leaf_is_ca, "certificate 2: basicConstraints: the leaf is a CA"),
    CASE(DEV, leaf_without_basic, "certificate 2: basicConstraints: is missing"),
    CASE(ENG, name_turns_around, "certificate 2: subject: common name"),
    CASE(ENG, name_separates_lines, "certificate 2: subject: common name"),
    CASE(DEV, false_spelled_out, "certificate 2: extensions: one is malformed"),
    CASE(DEV, leaf_cannot_sign, "certificate 2: keyUsage: digitalSignature"),
    CASE(ENG, leaf_has_no_usage, "certificate 2: keyUsage: digitalSignature"),
    CASE(DEV, middle_is_no_ca, "certificate 1: basicConstraints: is not a CA"),
    CASE(DEV, middle_has_no_basic, "certificate 1: basicConstraints: is not a CA"),
    CASE(DEV, middle_cannot_certify, "certificate 1: keyUsage: keyCertSign"),
    CASE(DEV, root_is_no_ca, "certificate 0: basicConstraints: is not a CA"),
    CASE(DEV, root_path_zero, "basicConstraints: pathLenConstraint"),
    CASE(DEV, unknown_critical, "certificate 2: extensions: one that is unknown or not supported"),
    CASE(DEV, unknown_critical_middle, "certificate 1: extensions: one that is unknown or not supported"),
    CASE(DEV, signature_flipped, "certificate 2: signature"),
    CASE(DEV, middle_signature_flipped, "certificate 1: signature"),
    CASE(DEV, signed_by_root, "certificate 2: signature"),
    CASE(DEV, names_do_not_chain, "certificate 2: issuer"),
    CASE(DEV, middle_names_do_not_chain, "certificate 1: issuer"),
    CASE(DEV, serial_zero, "certificate 2: serialNumber"),
    CASE(DEV, serial_negative, "certificate 2: serialNumber"),
    CASE(DEV, version_1, "certificate 2: version"),
    CASE(DEV, empty_subject, "certificate 2: subject: is empty"),
    CASE(DEV, empty_issuer, "certificate 1: subject: is empty"),
    CASE(DEV, extension_twice, "certificate 2: extensions: one is malformed"),
    CASE(DEV, unknown_extension_twice, "certificate 2: extensions: one is malformed"),
    CASE(DEV, malformed_extension, "certificate 2: extensions: one is malformed"),
    CASE(ENG, requester_without_eku, "certificate 2: extendedKeyUsage: SPDM requester"),
    CASE(ENG, requester_with_other_eku, "certificate 2: extendedKeyUsage: SPDM requester"),
    CASE(ENG, requester_with_device_eku, "certificate 2: extendedKeyUsage: SPDM requester"),
    CASE(DEV, device_with_requester_eku, "certificate 2: extendedKeyUsage"),
    CASE(DEV, device_with_both, "certificate 2: extendedKeyUsage"),
    CASE(DEV, device_id_two_parts, "certificate 2: subjectAltName"),
    CASE(DEV, device_id_empty_part, "certificate 2: subjectAltName"),
    CASE(DEV, device_id_wrong_type, "certificate 2: subjectAltName"),
    CASE(DEV, device_id_twice, "certificate 2: subjectAltName"),
    CASE(DEV, device_id_too_long, "certificate 2: subjectAltName"),
    CASE(ENG, name_with_control, "certificate 2: subject: common name"),
    CASE(ENG, grant_of_other_type, "certificate 2: grant"),
    CASE(ENG, grant_empty, "certificate 2: grant"),
    CASE(DEV, no_leaf, "certificate 1: basicConstraints: the leaf is a CA"),
    CASE(DEV, root_only, "there is no leaf"),
    CASE(DEV, too_large_a_certificate, "certificate 2: is too large (limit: 16384 bytes)"),
};
/* clang-format on */

static void each_broken_rule_is_refused_and_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_cases / sizeof bad_cases[0]; i++) {
        const struct bad_case *b = &bad_cases[i];
        struct pst_peer peer = {0};
        maker_good(&chain, b->role);
        b->spoil(&chain);
        maker_make(&chain);
        trust_root_of(&chain);
        pst_err err = verify(b->role, &peer);
        const char *said = reason();
        if (err != PST_ERR_CERT || strstr(said, b->reason) == NULL) {
            fprintf(stderr, "%s: %d, '%s', expected '%s'\n", b->name, err, said, b->reason);
        }
        CHECK_EQ(err, PST_ERR_CERT);
        CHECK(strstr(said, b->reason) != NULL);
        CHECK_EQ(peer.key.sig_id, 0);
    }
}

/* --- unusual but valid chains --- */

SPOIL(device_without_eku, c->certs[2].extended = NULL)
SPOIL(device_with_unknown_eku, c->certs[2].extended = "1.2.3.4")
SPOIL(device_without_id, c->certs[2].alt_name = NULL)
SPOIL(device_with_dns_name, c->certs[2].alt_name = "DNS:example.com")
SPOIL(unknown_not_critical, (c->certs[2].extra_oid = "1.2.3.4", c->certs[2].extra = "DER:0500"))
SPOIL(path_exactly_enough, (c->certs[0].basic = "critical,CA:TRUE,pathlen:1",
                            c->certs[1].basic = "critical,CA:TRUE,pathlen:0"))
SPOIL(engineer_without_grant, c->certs[2].grant = NULL)
SPOIL(engineer_with_both, c->certs[2].extended = PST_OID_REQUESTER_AUTH "," PST_OID_RESPONDER_AUTH)
SPOIL(grant_critical, c->certs[2].grant = "critical,DER:04056465627567")
SPOIL(just_begun, c->certs[2].from = 0)
SPOIL(last_second, c->certs[2].until = 0)

static const struct bad_case good_cases[] = {
    CASE(DEV, device_without_eku, ""),
    CASE(DEV, device_with_unknown_eku, ""),
    CASE(DEV, device_without_id, ""),
    CASE(DEV, device_with_dns_name, ""),
    CASE(DEV, unknown_not_critical, ""),
    CASE(DEV, path_exactly_enough, ""),
    CASE(ENG, engineer_without_grant, ""),
    CASE(ENG, engineer_with_both, ""),
    CASE(ENG, grant_critical, ""),
    CASE(DEV, just_begun, ""),
    CASE(DEV, last_second, ""),
};

static void what_is_allowed_passes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good_cases / sizeof good_cases[0]; i++) {
        struct pst_peer peer = {0};
        maker_good(&chain, good_cases[i].role);
        good_cases[i].spoil(&chain);
        maker_make(&chain);
        trust_root_of(&chain);
        pst_err err = verify(good_cases[i].role, &peer);
        if (err != PST_OK) {
            fprintf(stderr, "%s: %s\n", good_cases[i].name, reason());
        }
        CHECK_EQ(err, PST_OK);
        wipe(&peer);
    }
}

static void lenient_accepts_samples_of_others(void **state)
{
    static const struct {
        pst_role role;
        const char *extended;
        pst_err expected;
    } cases[] = {
        {ENG, NULL,                                              PST_OK      },
        {ENG, "clientAuth",                                      PST_OK      },
        {ENG, PST_OID_RESPONDER_AUTH,                            PST_OK      },
        {DEV, NULL,                                              PST_OK      },
        {DEV, PST_OID_RESPONDER_AUTH "," PST_OID_REQUESTER_AUTH, PST_OK      },
        {DEV, PST_OID_REQUESTER_AUTH,                            PST_ERR_CERT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pst_peer peer = {0};
        maker_good(&chain, cases[i].role);
        chain.certs[2].extended = cases[i].extended;
        maker_make(&chain);
        trust_root_of(&chain);
        pst_trust_set_lenient(&trust, true);
        CHECK_EQ(verify(cases[i].role, &peer), cases[i].expected);
        CHECK_EQ(peer.role_eku,
                 cases[i].role == DEV && cases[i].extended != NULL && cases[i].expected == PST_OK);
        wipe(&peer);
    }
}

/* RFC 5280 allows a CA without keyUsage to issue certificates; Postern's profile does not. */
static void an_issuer_without_key_usage_is_for_the_lenient(void **state)
{
    struct pst_peer peer = {0};

    (void)state;
    maker_good(&chain, DEV);
    chain.certs[0].usage = NULL;
    maker_make(&chain);
    trust_root_of(&chain);
    CHECK_EQ(verify(DEV, &peer), PST_ERR_CERT);
    pst_trust_set_lenient(&trust, true);
    CHECK_EQ(verify(DEV, &peer), PST_OK);
    wipe(&peer);
    /* what says that it may not is believed even then */
    chain.certs[0].usage = "critical,digitalSignature";
    maker_make(&chain);
    trust_root_of(&chain);
    pst_trust_set_lenient(&trust, true);
    CHECK_EQ(verify(DEV, &peer), PST_ERR_CERT);
}

static void without_a_clock_dates_are_not_compared(void **state)
{
    struct pst_peer peer = {0};

    (void)state;
    maker_good(&chain, DEV);
    chain.certs[2].until = -1;
    maker_make(&chain);
    trust_root_of(&chain);
    pst_trust_set_time(&trust, 0);
    CHECK_EQ(verify(DEV, &peer), PST_OK);
    CHECK(!peer.time_checked);
    wipe(&peer);
    /* The default is the system's clock: these ended in 1978. */
    maker_good(&chain, DEV);
    for (size_t i = 0; i < 3; i++) {
        chain.certs[i].until = 9 * (long)MAKER_YEAR - MAKER_NOW;
    }
    maker_make(&chain);
    trust_root_of(&chain);
    pst_trust_free(&trust);
    CHECK_EQ(pst_trust_init(&trust), PST_OK);
    CHECK_EQ(pst_trust_add_der(&trust, chain.der, chain.at[1]), PST_OK);
    CHECK_EQ(verify(DEV, &peer), PST_ERR_CERT);
}

static void the_root_must_be_trusted_byte_for_byte(void **state)
{
    static struct maker_chain other;
    struct pst_peer peer = {0};

    (void)state;
    maker_good(&chain, DEV);
    maker_make(&chain);
    /* the same names and the same keys, but made anew: ECDSA signatures differ */
    maker_good(&other, DEV);
    maker_make(&other);
    trust_root_of(&other);
    CHECK_EQ(verify(DEV, &peer), PST_ERR_CERT);
    CHECK(strstr(reason(), "certificate 0: not issued by a trusted CA") != NULL);
    /* with both as anchors, either will do */
    CHECK_EQ(pst_trust_add_der(&trust, chain.der, chain.at[1]), PST_OK);
    CHECK_EQ(verify(DEV, &peer), PST_OK);
    wipe(&peer);
    /* no anchors, no trust */
    pst_trust_free(&trust);
    CHECK_EQ(pst_trust_init(&trust), PST_OK);
    CHECK_EQ(verify(DEV, &peer), PST_ERR_CERT);
}

static void the_root_hash_must_be_the_roots(void **state)
{
    const struct pst_cert_verifier *v = &trust.verifier;
    struct pst_chain_check check = {0};
    struct pst_peer peer = {0};
    uint8_t wrong[PST_MAX_HASH] = {1};

    (void)state;
    maker_good(&chain, DEV);
    maker_make(&chain);
    trust_root_of(&chain);
    v = &trust.verifier;
    CHECK_EQ(v->begin(v->ctx, &check, DEV, PST_SHA256, wrong), PST_OK);
    CHECK_EQ(v->feed(v->ctx, &check, chain.der, chain.at[3]), PST_ERR_CERT);
    CHECK_EQ(v->feed(v->ctx, &check, chain.der, 1), PST_ERR_CERT);
    CHECK_EQ(v->finish(v->ctx, &check, &peer), PST_ERR_CERT);
    CHECK(strstr(reason(), "root hash") != NULL);
    /* ended: nothing more to be had, and abort is harmless */
    CHECK_EQ(v->feed(v->ctx, &check, chain.der, 1), PST_ERR_STATE);
    CHECK_EQ(v->finish(v->ctx, &check, &peer), PST_ERR_STATE);
    v->abort(v->ctx, &check);
    CHECK_EQ(v->begin(v->ctx, &check, DEV, PST_HASH_NONE, wrong), PST_ERR_ARGUMENT);
    CHECK_EQ(v->begin(v->ctx, &check, DEV, PST_SHA256, wrong), PST_OK);
    CHECK_EQ(v->feed(v->ctx, &check, chain.der, 10), PST_OK);
    v->abort(v->ctx, &check);
    v->abort(v->ctx, &check);
}

static void any_split_gives_the_same(void **state)
{
    static const size_t portions[] = {1, 2, 3, 7, 64, 255, 1000, 100000};
    struct pst_peer peer = {0};

    (void)state;
    maker_good(&chain, ENG);
    maker_make(&chain);
    trust_root_of(&chain);
    for (size_t i = 0; i < sizeof portions / sizeof portions[0]; i++) {
        CHECK_EQ(verify_bytes(chain.der, chain.at[3], chain.at[1], ENG, portions[i], &peer),
                 PST_OK);
        CHECK(strcmp(peer.name, "ada") == 0);
        wipe(&peer);
    }
}

static void every_truncation_is_refused(void **state)
{
    struct pst_peer peer = {0};

    (void)state;
    maker_good(&chain, DEV);
    maker_make(&chain);
    trust_root_of(&chain);
    for (size_t n = 0; n < chain.at[3]; n++) {
        CHECK_EQ(verify_bytes(chain.der, n, chain.at[1], DEV, 100000, &peer), PST_ERR_CERT);
    }
    /* and so is anything after the leaf */
    for (size_t n = 1; n < 5; n++) {
        memset(chain.der + chain.at[3], 0x30, n);
        CHECK_EQ(verify_bytes(chain.der, chain.at[3] + n, chain.at[1], DEV, 100000, &peer),
                 PST_ERR_CERT);
    }
}

/* Any flipped bit is detected, also in the count of a BIT STRING's unused bits. */
static void every_flipped_bit_is_refused(void **state)
{
    const struct pst_cert_verifier *v = &trust.verifier;
    struct pst_peer peer = {0};
    uint8_t root_hash[PST_MAX_HASH];

    (void)state;
    maker_good(&chain, DEV);
    maker_make(&chain);
    trust_root_of(&chain);
    CHECK_EQ(pst_hash_once(pst_openssl_crypto(), PST_SHA256, chain.der, chain.at[1], root_hash),
             PST_OK);
    for (size_t bit = 0; bit < 8 * chain.at[3]; bit += 3) {
        struct pst_chain_check check = {0};
        size_t n = bit / 8;
        chain.der[n] ^= (uint8_t)(1u << bit % 8);
        CHECK_EQ(v->begin(v->ctx, &check, DEV, PST_SHA256, root_hash), PST_OK);
        (void)v->feed(v->ctx, &check, chain.der, chain.at[3]);
        CHECK_EQ(v->finish(v->ctx, &check, &peer), PST_ERR_CERT);
        chain.der[n] ^= (uint8_t)(1u << bit % 8);
    }
}

/* `count` certificates of which the intermediates are padded. */
static void long_chain(size_t count, size_t padding, size_t last_padding)
{
    static char names[MAKER_MAX][32];

    chain.count = count;
    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "ca-%zu", i);
        chain.certs[i] = maker_ca(names[i]);
        chain.certs[i].padding = i == 0 ? 0 : padding;
    }
    chain.certs[count - 1] = maker_leaf(DEV);
    chain.certs[count - 1].padding = last_padding;
    /* their signatures are all of one length */
    for (size_t i = 0; i < count; i++) {
        chain.certs[i].algorithm = PST_ED25519;
    }
    maker_make(&chain);
}

static void chains_may_be_long(void **state)
{
    struct pst_peer peer = {0};

    (void)state;
    long_chain(30, 0, 0);
    trust_root_of(&chain);
    CHECK_EQ(verify(DEV, &peer), PST_OK);
    wipe(&peer);
    /* four large certificates; the leaf fills the chain to its limit, then passes it by one */
    long_chain(6, 14000, 8000);
    size_t padding = 8000 + PST_MAX_CHAIN - chain.at[6];
    for (size_t over = 0; over <= 1; over++) {
        long_chain(6, 14000, padding + over);
        CHECK_EQ(chain.at[6], PST_MAX_CHAIN + over);
        trust_root_of(&chain);
        CHECK_EQ(verify(DEV, &peer), over ? PST_ERR_CERT : PST_OK);
        CHECK(!over || strstr(reason(), "65535") != NULL);
        wipe(&peer);
    }
}

static void path_lengths_count_down(void **state)
{
    struct pst_peer peer = {0};

    (void)state;
    /* root, a, b, leaf: the constraint of `a` leaves room for none, the root's for two */
    for (int i = 0; i < 3; i++) {
        static const char *const of_root[] = {"critical,CA:TRUE,pathlen:2",
                                              "critical,CA:TRUE,pathlen:1", "critical,CA:TRUE"};
        static const char *const of_a[] = {"critical,CA:TRUE", "critical,CA:TRUE,pathlen:9",
                                           "critical,CA:TRUE,pathlen:0"};
        chain.count = 4;
        chain.certs[0] = maker_ca("root");
        chain.certs[1] = maker_ca("a");
        chain.certs[2] = maker_ca("b");
        chain.certs[3] = maker_leaf(DEV);
        chain.certs[0].basic = of_root[i];
        chain.certs[1].basic = of_a[i];
        maker_make(&chain);
        trust_root_of(&chain);
        CHECK_EQ(verify(DEV, &peer), i == 0 ? PST_OK : PST_ERR_CERT);
        CHECK(i == 0 || strstr(reason(), "pathLen") != NULL);
        wipe(&peer);
    }
}

/* Several chains may be checked at the same time without affecting each other. */
static void checks_are_independent(void **state)
{
    const struct pst_cert_verifier *v;
    struct pst_chain_check a = {0}, b = {0};
    struct pst_peer peer = {0};
    uint8_t hash[PST_MAX_HASH];

    (void)state;
    maker_good(&chain, DEV);
    maker_make(&chain);
    trust_root_of(&chain);
    v = &trust.verifier;
    CHECK_EQ(pst_hash_once(pst_openssl_crypto(), PST_SHA256, chain.der, chain.at[1], hash), PST_OK);
    CHECK_EQ(v->begin(v->ctx, &a, DEV, PST_SHA256, hash), PST_OK);
    CHECK_EQ(v->begin(v->ctx, &b, ENG, PST_SHA256, hash), PST_OK);
    for (size_t i = 0; i < chain.at[3]; i++) {
        CHECK_EQ(v->feed(v->ctx, &a, chain.der + i, 1), PST_OK);
        CHECK_EQ(v->feed(v->ctx, &b, chain.der + i, 1), PST_OK);
    }
    CHECK_EQ(v->finish(v->ctx, &b, &peer), PST_ERR_CERT);
    CHECK_EQ(v->finish(v->ctx, &a, &peer), PST_OK);
    wipe(&peer);
}

static int end(void **state)
{
    (void)state;
    pst_trust_free(&trust);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_is_recognised),
        cmocka_unit_test(an_engineer_is_recognised),
        cmocka_unit_test(every_algorithm_verifies),
        cmocka_unit_test(each_broken_rule_is_refused_and_named),
        cmocka_unit_test(what_is_allowed_passes),
        cmocka_unit_test(lenient_accepts_samples_of_others),
        cmocka_unit_test(an_issuer_without_key_usage_is_for_the_lenient),
        cmocka_unit_test(without_a_clock_dates_are_not_compared),
        cmocka_unit_test(the_root_must_be_trusted_byte_for_byte),
        cmocka_unit_test(the_root_hash_must_be_the_roots),
        cmocka_unit_test(any_split_gives_the_same),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_flipped_bit_is_refused),
        cmocka_unit_test(chains_may_be_long),
        cmocka_unit_test(path_lengths_count_down),
        cmocka_unit_test(checks_are_independent),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
