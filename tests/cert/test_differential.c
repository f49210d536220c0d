/* Compares Postern's verdict on a chain with OpenSSL's. Postern must never be more lenient. Where
 * it is stricter, the rule must be in a list. Certificates are mutated before they are signed, so
 * that only the mutation can be the reason of a refusal. */
#include "openssl/chain_maker.h"

#include "reference.h"

#define SEED 0x6365727473u
/* A second at which nothing begins or ends: in the last one of a certificate we follow RFC 5280,
 * 4.1.2.5, for which it is still valid, and OpenSSL does not. */
#define NOW (MAKER_NOW + 13)

static struct maker_chain chain;
static uint64_t seed = SEED;
static unsigned both_accept, both_refuse, stricter, excused;

/* What Postern may refuse although OpenSSL does not; parts/certificate.h gives the reasons. */
static const char *const stricter_rules[] = {
    "is not an X.509 certificate in DER",
    "serialNumber: is not positive",
    "subject: is empty",
    "issuer: is empty",
    "subject: common name unreadable",
    "subjectPublicKeyInfo: is none of",
    "signatureAlgorithm: is none of",
    "signatureAlgorithm: differs inside",
    "signature: was not made", /* a signature that is not in DER */
    "validity: cannot be read",
    "extensions: one is malformed",
    "extensions: one that is unknown or not supported",
    "issuer: is not the subject", /* the same but for case and spaces */
    "issuer: is itself",
    "issuer: of the root",
    "keyUsage: ",
    "basicConstraints: ",
    "subjectAltName: device id",
    "extendedKeyUsage: ",
    "grant: ",
    "version: is not 3",
};

static uint32_t pick(uint32_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

static bool is_listed(const char *refusal)
{
    for (size_t i = 0; i < sizeof stricter_rules / sizeof stricter_rules[0]; i++) {
        if (strstr(refusal, stricter_rules[i]) != NULL) {
            return true;
        }
    }
    return false;
}

static void compare(const uint8_t *der, size_t len, size_t root_len, pst_role role, uint64_t now,
                    const char *what)
{
    char text[PST_MAX_REFUSAL];
    bool ours = ours_check(der, len, root_len, role, now, text);
    if (!ours && pick(3) > 0) {
        return; /* an example of a chain that Postern alone refuses */
    }
    struct reference theirs = reference_check(der, len, role, now);

    if (ours && !theirs.accepted && !theirs.excused) {
        pst_test_print("chain", der, len);
        fprintf(stderr, "%s: we accept; OpenSSL: %s\n", what, theirs.why);
        CHECK(!"we are more lenient");
    }
    if (!ours && theirs.accepted && !is_listed(text)) {
        pst_test_print("chain", der, len);
        fprintf(stderr, "%s: OpenSSL accepts; we: %s\n", what, text);
        CHECK(!"we are stricter for a reason that is not listed");
    }
    both_accept += ours && theirs.accepted;
    both_refuse += !ours && !theirs.accepted;
    stricter += !ours && theirs.accepted;
    excused += ours && !theirs.accepted;
}

static void begin(void)
{
    both_accept = both_refuse = stricter = excused = 0;
}

static void report(const char *what)
{
    fprintf(stderr, "  %s: both accept %u, both refuse %u, only we refuse %u, excused %u\n", what,
            both_accept, both_refuse, stricter, excused);
}

/* --- chains of odd parts --- */

#define CHOOSE(list) ((list)[pick(sizeof(list) / sizeof(list)[0])])

static void make_odd(struct maker_cert *c, bool leaf)
{
    static const char *const basics[] = {"critical,CA:TRUE",
                                         "CA:TRUE",
                                         "critical,CA:FALSE",
                                         "CA:FALSE",
                                         NULL,
                                         "critical,CA:TRUE,pathlen:0",
                                         "critical,CA:TRUE,pathlen:1",
                                         "critical,CA:TRUE,pathlen:70000"};
    static const char *const usages[] = {
        "critical,keyCertSign",         "keyCertSign,cRLSign", "critical,digitalSignature",
        "digitalSignature,keyCertSign", "keyAgreement",        NULL};
    static const char *const extended[] = {
        PST_OID_RESPONDER_AUTH,
        PST_OID_REQUESTER_AUTH,
        PST_OID_REQUESTER_AUTH "," PST_OID_RESPONDER_AUTH,
        "clientAuth",
        "critical," PST_OID_RESPONDER_AUTH,
        NULL,
    };
    static const char *const names[] = {"DNS:example.com",
                                        "email:a@example.com,URI:http://example.com/,IP:10.0.0.1",
                                        "DER:3010A40E300C310A300806035504030C0178",
                                        "otherName:1.2.3.4;UTF8:x",
                                        "otherName:1.2.3.4;BOOL:TRUE",
                                        "RID:1.2.3.4",
                                        "critical,otherName:" PST_OID_DEVICE_INFO ";UTF8:A:B:C",
                                        NULL};
    static const char *const extras[][2] = {
        {"nameConstraints",       "permitted;DNS:example.com"                    },
        {"nameConstraints",       "critical,excluded;email:example.com"          },
        {"1.2.3.4",               "DER:0500"                                     },
        {"1.2.3.4",               "critical,DER:0500"                            },
        {"2.5.29.35",             "DER:300A8008000102030405060708"               },
        {"2.5.29.35",             "DER:3000"                                     },
        {"2.5.29.35",             "DER:30038101"                                 },
        {"2.5.29.14",             "DER:0404DEADBEEF"                             },
        {"2.5.29.14",             "critical,DER:0404DEADBEEF"                    },
        {"2.5.29.14",             "DER:05"                                       },
        {"2.5.29.31",             "DER:05"                                       },
        {"crlDistributionPoints", "URI:http://example.com/crl"                   },
        {"certificatePolicies",   "critical,DER:3007300506032A0304"              },
        {"policyConstraints",     "critical,requireExplicitPolicy:0"             },
        {"inhibitAnyPolicy",      "critical,0"                                   },
        {"1.3.6.1.5.5.7.1.14",    "DER:300C300A06082B06010505071501"             },
        {"1.3.6.1.5.5.7.1.7",     "critical,DER:300A3008040200013002A0010500"    },
        {"nsCertType",            "client"                                       },
        {PST_OID_GRANT,           "critical,DER:04056465627567"                  },
        {PST_OID_SPDM_EXTENSION,  "critical,DER:300e300c060a2b06010401831c821202"},
        {"basicConstraints",      "DER:3003010100"                               },
        {"keyUsage",              "DER:03020080"                                 },
        {"keyUsage",              "DER:03020780"                                 },
    };
    static const long serials[] = {1, 127, 128, 0x7FFFFFFF, 0, -1};
    static const long dates[] = {
        0, -1, 1, -MAKER_YEAR, MAKER_YEAR, -54L * MAKER_YEAR, 23L * MAKER_YEAR, 1000L * MAKER_YEAR};

    switch (pick(12)) {
    case 0:
        c->basic = CHOOSE(basics);
        break;
    case 1:
        c->usage = CHOOSE(usages);
        break;
    case 2:
        c->extended = CHOOSE(extended);
        break;
    case 3:
        c->alt_name = CHOOSE(names);
        break;
    case 4:
    case 5:
    case 6: {
        size_t i = pick(sizeof extras / sizeof extras[0]);
        c->extra_oid = extras[i][0];
        c->extra = extras[i][1];
        if (strcmp(c->extra_oid, "basicConstraints") == 0) {
            c->basic = NULL;
        } else if (strcmp(c->extra_oid, "keyUsage") == 0) {
            c->usage = NULL;
        } else if (strcmp(c->extra_oid, PST_OID_GRANT) == 0) {
            c->grant = NULL;
        } else if (strcmp(c->extra_oid, PST_OID_SPDM_EXTENSION) == 0) {
            c->spdm = NULL;
        }
        break;
    }
    case 7:
        c->serial = CHOOSE(serials);
        break;
    case 8:
        c->from = CHOOSE(dates);
        break;
    case 9:
        c->until = CHOOSE(dates);
        break;
    case 10:
        c->version = (long)pick(3);
        break;
    default:
        if (leaf && pick(2) == 0) {
            c->subject = "";
        } else {
            c->flip_signature = pick(2) == 0;
        }
        break;
    }
}

static void chains_of_odd_parts_are_judged_alike(void **state)
{
    (void)state;
    begin();
    for (unsigned round = 0; round < 800; round++) {
        static const char *const subjects[] = {"root", "one", "two", "three"};
        pst_role role = pick(2) == 0 ? PST_ROLE_REQUESTER : PST_ROLE_RESPONDER;
        uint64_t now = pick(8) == 0 ? 0 : NOW;
        char what[64];
        chain.count = 2 + pick(3);
        for (size_t i = 0; i < chain.count; i++) {
            chain.certs[i] = i + 1 < chain.count ? maker_ca(subjects[i]) : maker_leaf(role);
            chain.certs[i].algorithm = (pst_sig_id)(1 + pick(3));
        }
        for (unsigned odd = pick(4); odd > 0; odd--) {
            size_t i = pick((uint32_t)chain.count);
            make_odd(&chain.certs[i], i + 1 == chain.count);
        }
        maker_make(&chain);
        snprintf(what, sizeof what, "round %u", round);
        compare(chain.der, chain.at[chain.count], chain.at[1], role, now, what);
    }
    report("odd parts");
    CHECK(both_accept > 150 && both_refuse > 80);
}

/* --- every byte changed, signed again --- */

/* The chain of maker_good with Ed25519 throughout, and its parts. */
struct signed_chain {
    uint8_t der[3][4096];
    size_t len[3];
    uint8_t tbs[3][4096]; /* with its header */
    size_t tbs_len[3];
};

static void take_apart(struct signed_chain *s, pst_role role)
{
    maker_good(&chain, role);
    for (size_t i = 0; i < 3; i++) {
        chain.certs[i].algorithm = PST_ED25519;
    }
    /* extensions that Postern's own CAs add */
    chain.certs[1].extra_oid = "subjectKeyIdentifier";
    chain.certs[1].extra = "DER:040401020304";
    chain.certs[2].extra_oid = "2.5.29.35";
    chain.certs[2].extra = "DER:3006800401020304";
    maker_make(&chain);
    for (size_t i = 0; i < 3; i++) {
        struct pst_certificate c;
        s->len[i] = chain.at[i + 1] - chain.at[i];
        memcpy(s->der[i], chain.der + chain.at[i], s->len[i]);
        CHECK_EQ(pst_certificate_parse(&c, s->der[i], s->len[i]), PST_OK);
        s->tbs_len[i] = c.tbs.len;
        memcpy(s->tbs[i], c.tbs.at, c.tbs.len);
    }
}

/* The chain with certificate `i` made of `tbs`. */
static void compare_with(const struct signed_chain *s, size_t i, const uint8_t *tbs, size_t tbs_len,
                         pst_role role, const char *what)
{
    static uint8_t all[16384];
    size_t len = 0, root_len = 0;

    for (size_t k = 0; k < 3; k++) {
        if (k == i) {
            len +=
                reference_sign(maker_key(k == 0 ? 0 : k - 1, PST_ED25519), tbs, tbs_len, all + len);
        } else {
            memcpy(all + len, s->der[k], s->len[k]);
            len += s->len[k];
        }
        root_len = k == 0 ? len : root_len;
    }
    compare(all, len, root_len, role, NOW, what);
}

static void every_changed_byte_is_judged_alike(void **state)
{
    static struct signed_chain s;

    (void)state;
    begin();
    for (int r = 0; r < 2; r++) {
        pst_role role = r == 0 ? PST_ROLE_REQUESTER : PST_ROLE_RESPONDER;
        take_apart(&s, role);
        for (size_t i = 0; i < 3; i++) {
            for (size_t at = 0; at < s.tbs_len[i]; at++) {
                uint8_t was = s.tbs[i][at];
                const uint8_t values[] = {(uint8_t)(was ^ 1 << pick(8)), (uint8_t)(was + 1),
                                          (uint8_t)(was - 1), (uint8_t)pick(256)};
                for (size_t v = 0; v < sizeof values; v++) {
                    char what[64];
                    snprintf(what, sizeof what, "certificate %zu, byte %zu: %02x to %02x", i, at,
                             was, values[v]);
                    s.tbs[i][at] = values[v];
                    compare_with(&s, i, s.tbs[i], s.tbs_len[i], role, what);
                }
                s.tbs[i][at] = was;
            }
        }
    }
    report("every byte");
    CHECK(both_accept > 200 && both_refuse > 500);
}

/* --- changes of the structure, signed again --- */

struct node {
    size_t head, at, len, parent; /* where the header and the contents begin */
};

struct tree {
    struct node nodes[256];
    size_t count;
};

/* Finds every element of `der`, those within OCTET STRINGs too. */
static void grow(struct tree *t, const uint8_t *der, size_t len)
{
    t->count = 0;
    t->nodes[t->count++] = (struct node){0, 0, len, 0};
    for (size_t p = 0; p < t->count; p++) {
        struct node parent = t->nodes[p];
        size_t at = parent.at, end = parent.at + parent.len;
        size_t before = t->count;
        bool holds = p == 0 || (der[parent.head] & 0x20) != 0 || der[parent.head] == 0x04;
        while (holds && at + 2 <= end && t->count < 256) {
            size_t n = der[at + 1], h = 2;
            if (n == 0x81 && at + 3 <= end) {
                n = der[at + 2];
                h = 3;
            } else if (n == 0x82 && at + 4 <= end) {
                n = (size_t)der[at + 2] << 8 | der[at + 3];
                h = 4;
            }
            if (n > end - at || h + n > end - at) {
                break;
            }
            t->nodes[t->count++] = (struct node){at, at + h, n, p};
            at += h + n;
        }
        if (at != end) {
            t->count = before; /* no elements after all */
        }
    }
}

static void put(uint8_t *out, size_t *used, const void *bytes, size_t len)
{
    memcpy(out + *used, bytes, len);
    *used += len;
}

/* Writes node `p` anew, with `victim` treated as `how` says. */
enum how { DELETE, DUPLICATE, EMPTY, TRAILING, LONG_FORM, INDEFINITE, WRAP, BER_TRUE, HOWS };

static void write_node(const struct tree *t, const uint8_t *der, size_t p, size_t victim,
                       enum how how, uint8_t *out, size_t *used)
{
    static uint8_t scratch[16][8192];
    static unsigned depth;
    const struct node *n = &t->nodes[p];
    uint8_t *inner = scratch[depth++ % 16];
    size_t len = 0;
    bool leaf = true;
    uint8_t head[4];

    for (size_t k = p + 1; k < t->count; k++) {
        if (t->nodes[k].parent == p) {
            leaf = false;
            write_node(t, der, k, victim, how, inner, &len);
        }
    }
    if (leaf) {
        put(inner, &len, der + n->at, n->len);
    }
    depth--;
    if (p == 0) {
        put(out, used, inner, len);
        return;
    }
    uint8_t tag = der[n->head];
    for (int copies = p == victim && how == DUPLICATE ? 2 : 1; copies > 0; copies--) {
        if (p == victim && how == DELETE) {
            return;
        }
        if (p == victim && how == EMPTY) {
            len = 0;
        } else if (p == victim && how == TRAILING) {
            inner[len++] = 0;
        } else if (p == victim && how == BER_TRUE && len == 1) {
            inner[0] = 1;
        }
        if (p == victim && how == WRAP) {
            put(out, used, head, der_head(head, 0x30, len + der_head(head, tag, len)));
        }
        if (p == victim && how == LONG_FORM) {
            const uint8_t longer[] = {tag, 0x82, (uint8_t)(len >> 8), (uint8_t)len};
            put(out, used, longer, 4);
            put(out, used, inner, len);
        } else if (p == victim && how == INDEFINITE) {
            const uint8_t indefinite[] = {tag, 0x80};
            put(out, used, indefinite, 2);
            put(out, used, inner, len);
            put(out, used, "\0\0", 2);
        } else {
            size_t h = der_head(head, tag, len);
            put(out, used, head, h);
            put(out, used, inner, len);
        }
    }
}

static void every_changed_structure_is_judged_alike(void **state)
{
    static struct signed_chain s;
    static struct tree t;
    static uint8_t tbs[8192];

    (void)state;
    begin();
    for (int r = 0; r < 2; r++) {
        pst_role role = r == 0 ? PST_ROLE_REQUESTER : PST_ROLE_RESPONDER;
        take_apart(&s, role);
        for (size_t i = 0; i < 3; i++) {
            grow(&t, s.tbs[i], s.tbs_len[i]);
            for (size_t victim = 0; victim < t.count; victim++) {
                for (int how = 0; how < HOWS; how++) {
                    char what[64];
                    size_t len = 0;
                    write_node(&t, s.tbs[i], 0, victim, (enum how)how, tbs, &len);
                    CHECK(victim > 0 || (len == s.tbs_len[i] && memcmp(tbs, s.tbs[i], len) == 0));
                    snprintf(what, sizeof what, "certificate %zu, element %zu, change %d", i,
                             victim, how);
                    compare_with(&s, i, tbs, len, role, what);
                }
            }
        }
    }
    report("every structure");
    CHECK(both_accept > 20 && both_refuse > 100);
}

/* --- the signature itself --- */

/* Bytes that no signature covers: every change is refused, except one that keeps r and s. */
static void no_second_encoding_is_accepted(void **state)
{
    char text[PST_MAX_REFUSAL];

    (void)state;
    begin();
    for (int alg = PST_ECDSA_P256; alg <= PST_ED25519; alg++) {
        maker_good(&chain, PST_ROLE_RESPONDER);
        for (size_t i = 0; i < 3; i++) {
            chain.certs[i].algorithm = (pst_sig_id)alg;
        }
        maker_make(&chain);
        CHECK(ours_check(chain.der, chain.at[3], chain.at[1], PST_ROLE_RESPONDER, MAKER_NOW, text));
        for (size_t at = chain.at[1]; at < chain.at[3]; at++) {
            uint8_t flip = (uint8_t)(1u << pick(8));
            chain.der[at] ^= flip;
            CHECK(!ours_check(chain.der, chain.at[3], chain.at[1], PST_ROLE_RESPONDER, MAKER_NOW,
                              text));
            chain.der[at] ^= flip;
        }
    }
}

/* --- dates --- */

/* Replaces both dates. Those of the original are UTCTimes, one right behind the other. */
static void put_dates(struct signed_chain *s, size_t i, uint8_t tag, const char *from,
                      const char *until)
{
    static uint8_t body[4096];
    const uint8_t *start = s->tbs[i] + (s->tbs[i][1] == 0x82 ? 4 : 3), *at = start;
    const uint8_t *end = s->tbs[i] + s->tbs_len[i];
    const char *texts[] = {from, until};
    size_t used = 0, dates = 4 + strlen(from) + strlen(until);

    while (!(at[0] == 0x30 && at[1] == 30 && at[2] == 0x17 && at[17] == 0x17)) {
        at++;
    }
    put(body, &used, start, (size_t)(at - start));
    put(body, &used, (const uint8_t[]){0x30, (uint8_t)dates}, 2);
    for (int k = 0; k < 2; k++) {
        put(body, &used, (const uint8_t[]){tag, (uint8_t)strlen(texts[k])}, 2);
        put(body, &used, texts[k], strlen(texts[k]));
    }
    at += 32;
    put(body, &used, at, (size_t)(end - at));
    size_t head = der_head(s->tbs[i], 0x30, used);
    memcpy(s->tbs[i] + head, body, used);
    s->tbs_len[i] = head + used;
}

static void odd_dates_are_judged_alike(void **state)
{
    static struct signed_chain s;
    static const struct {
        uint8_t tag;
        const char *from, *until;
    } cases[] = {
        {0x17, "200101000000Z",     "491231235959Z"  },
        {0x17, "200101000000Z",     "500101000000Z"  },
        {0x17, "700101000000Z",     "491231235959Z"  },
        {0x17, "691231235959Z",     "491231235959Z"  },
        {0x17, "200229000000Z",     "491231235959Z"  },
        {0x17, "210229000000Z",     "491231235959Z"  },
        {0x17, "200431000000Z",     "491231235959Z"  },
        {0x17, "200001000000Z",     "491231235959Z"  },
        {0x17, "201301000000Z",     "491231235959Z"  },
        {0x17, "200100000000Z",     "491231235959Z"  },
        {0x17, "200101240000Z",     "491231235959Z"  },
        {0x17, "200101006000Z",     "491231235959Z"  },
        {0x17, "200101000060Z",     "491231235959Z"  },
        {0x17, "2001010000Z",       "491231235959Z"  },
        {0x17, "200101000000",      "491231235959Z"  },
        {0x17, "200101000000+0100", "491231235959Z"  },
        {0x17, "20010100000 Z",     "491231235959Z"  },
        {0x17, "-20101000000Z",     "491231235959Z"  },
        {0x17, "",                  "491231235959Z"  },
        {0x18, "20200101000000Z",   "20491231235959Z"},
        {0x18, "20200101000000Z",   "20500101000000Z"},
        {0x18, "20200101000000Z",   "99991231235959Z"},
        {0x18, "19700101000000Z",   "99991231235959Z"},
        {0x18, "19691231235959Z",   "99991231235959Z"},
        {0x18, "20000229000000Z",   "21000228000000Z"},
        {0x18, "20000229000000Z",   "21000229000000Z"},
        {0x18, "20200101000000.5Z", "99991231235959Z"},
        {0x18, "20200101000000",    "99991231235959Z"},
        {0x18, "00000101000000Z",   "99991231235959Z"},
        {0x16, "200101000000Z",     "491231235959Z"  },
    };

    (void)state;
    begin();
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        for (size_t i = 0; i < 3; i++) {
            take_apart(&s, PST_ROLE_RESPONDER);
            put_dates(&s, i, cases[k].tag, cases[k].from, cases[k].until);
            compare_with(&s, i, s.tbs[i], s.tbs_len[i], PST_ROLE_RESPONDER, cases[k].from);
        }
    }
    report("dates");
    CHECK(both_accept >= 3 * 6 && both_refuse > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chains_of_odd_parts_are_judged_alike),
        cmocka_unit_test(every_changed_byte_is_judged_alike),
        cmocka_unit_test(every_changed_structure_is_judged_alike),
        cmocka_unit_test(no_second_encoding_is_accepted),
        cmocka_unit_test(odd_dates_are_judged_alike),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
