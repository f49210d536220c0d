/* Parses one certificate of any bytes: all results must point into it, and all rules must
 * terminate. */
#include "fuzz.h"

#include "openssl/openssl_port.h"

static void inside(const struct pst_certificate *c, struct pst_bytes b)
{
    need(b.len == 0 || (b.at >= c->der.at && b.at + b.len <= c->der.at + c->der.len));
}

static void check_rules(const struct pst_certificate *c, pst_role role)
{
    struct pst_cert_issuer self;
    struct pst_broken_rule broken;
    const struct pst_rule_context rules = {
        .role = role,
        .now = 1800000000,
        .positions = ~0u,
        .path_left = 0,
        .issuer = &self,
        .crypto = pst_openssl_crypto(),
    };
    size_t from = 0, count = 0;

    need(pst_cert_issuer_of(&self, c, rules.crypto) == PST_OK);
    while (pst_certificate_broken(c, &rules, &from, &broken)) {
        need(broken.field != NULL && broken.rule != NULL && ++count < 100);
    }
    need(count > 0); /* no certificate is root, CA and leaf */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pst_certificate c;
    char text[PST_MAX_NAME];
    size_t total = 0;
    pst_err extent = pst_certificate_extent(data, size, &total);

    need(extent != PST_OK || total >= 2);
    need(extent != PST_WANT_MORE || size < 4);
    if (pst_certificate_parse(&c, data, size) != PST_OK) {
        return 0;
    }
    need(extent == PST_OK && total == size);
    const struct pst_bytes all[] = {c.tbs,  c.subject, c.issuer, c.key,    c.signature,
                                    c.name, c.device,  c.grant,  c.key_id, c.issuer_id};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        inside(&c, all[i]);
    }
    need((c.sig_id == PST_SIG_NONE) == (c.key.len == 0) && c.grant.len <= PST_MAX_GRANT);
    pst_certificate_name(&c, text);
    need(strlen(text) < PST_MAX_NAME);
    pst_certificate_device(&c, text);
    need(text[0] == '\0' || pst_is_device_id(text));
    check_rules(&c, PST_ROLE_REQUESTER);
    check_rules(&c, PST_ROLE_RESPONDER);
    return 0;
}
