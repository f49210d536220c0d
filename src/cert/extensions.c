/* The extensions that Postern's rules ask about, one reader each. */
#include "cert/facts.h"

#include <string.h>

#include "cert/text.h"
#include "postern/mipi_profile.h"

#define MAX_EXTENSIONS 64

static const uint8_t oid_key_id[] = {0x55, 0x1D, 0x0E};
static const uint8_t oid_key_usage[] = {0x55, 0x1D, 0x0F};
static const uint8_t oid_alt_name[] = {0x55, 0x1D, 0x11};
static const uint8_t oid_basic[] = {0x55, 0x1D, 0x13};
static const uint8_t oid_name_constraints[] = {0x55, 0x1D, 0x1E};
static const uint8_t oid_issuer_id[] = {0x55, 0x1D, 0x23};
static const uint8_t oid_extended_usage[] = {0x55, 0x1D, 0x25};
static const uint8_t oid_addresses[] = {0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x07};
static const uint8_t oid_systems[] = {0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x08};
static const uint8_t oid_proxy[] = {0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x0E};
static const uint8_t oid_spdm[] = {PST_OID_DMTF(PST_DMTF_SPDM_EXTENSION)};
static const uint8_t oid_device[] = {PST_OID_DMTF(PST_DMTF_DEVICE_INFO)};
static const uint8_t oid_hardware[] = {PST_OID_DMTF(PST_DMTF_HARDWARE_IDENTITY)};
static const uint8_t oid_requester[] = {PST_OID_DMTF(PST_DMTF_REQUESTER_AUTH)};
static const uint8_t oid_responder[] = {PST_OID_DMTF(PST_DMTF_RESPONDER_AUTH)};
static const uint8_t oid_grant[] = {PST_OID_GRANT_DER};

/* Each reads the value of its extension and fails the reader when it is malformed. */
typedef void take_fn(struct pst_reader *r, struct pst_certificate *c);

static void take_basic(struct pst_reader *r, struct pst_certificate *c)
{
    struct pst_reader in = psti_der_enter(r, DER_SEQUENCE);

    c->has_basic = true;
    c->is_ca = psti_der_flag(&in);
    if (pst_reader_ok(&in) && in.left > 0) {
        struct pst_bytes n = psti_der_integer(&in);
        uint32_t value = 0;
        pst_require(&in, c->is_ca && n.len <= 4 && n.len > 0 && n.at[0] < 0x80);
        for (size_t i = 0; pst_reader_ok(&in) && i < n.len; i++) {
            value = value << 8 | n.at[i];
        }
        c->path_len = (int32_t)value;
    }
    psti_der_leave(r, &in);
}

/* spec: X.690, 11.2.2: zero bits at the end of a list of named bits are left out */
static void take_key_usage(struct pst_reader *r, struct pst_certificate *c)
{
    struct pst_bytes b = psti_der_get(r, DER_BITS);

    pst_require(r, (b.len == 2 || b.len == 3) && b.at[0] < 8 &&
                       (b.at[b.len - 1] & ((2u << b.at[0]) - 1)) == 1u << b.at[0]);
    c->has_key_usage = true;
    c->key_usage = pst_reader_ok(r) ? b.at[1] : 0;
}

static void take_extended_usage(struct pst_reader *r, struct pst_certificate *c)
{
    struct pst_reader in = psti_der_enter(r, DER_SEQUENCE);

    c->has_eku = true;
    do {
        struct pst_bytes oid = psti_der_oid(&in);
        if (psti_der_is(oid, oid_requester)) {
            c->eku_requester = true;
        } else if (psti_der_is(oid, oid_responder)) {
            c->eku_responder = true;
        } else {
            c->eku_other = true;
        }
    } while (pst_reader_ok(&in) && in.left > 0);
    psti_der_leave(r, &in);
}

bool pst_is_device_id(const char *id)
{
    unsigned colons = 0;

    for (const char *at = id; *at != '\0'; at++) {
        if (*at == ':') {
            colons++;
            if (at == id || at[1] == ':' || at[1] == '\0') {
                return false;
            }
        }
    }
    return colons == 2;
}

static void on_other_name(struct pst_reader *r, struct pst_certificate *c)
{
    char text[PST_MAX_NAME];
    uint8_t tag;
    struct pst_bytes oid = psti_der_oid(r);
    struct pst_reader in = psti_der_enter(r, DER_EXPLICIT);
    struct pst_bytes value = psti_der_any(&in, &tag);

    psti_der_leave(r, &in);
    if (!pst_reader_ok(r) || !psti_der_is(oid, oid_device)) {
        return;
    }
    if (c->device.len > 0 || tag != DER_UTF8 || !psti_text_take(tag, value, text) ||
        !pst_is_device_id(text)) {
        c->bad_device = true;
    }
    c->device = value;
}

/* GeneralNames, of which only otherName says anything to us. */
static void take_alt_name(struct pst_reader *r, struct pst_certificate *c)
{
    struct pst_reader in = psti_der_enter(r, DER_SEQUENCE);

    do {
        uint8_t tag = psti_der_peek(&in);
        struct pst_reader one;
        switch (tag) {
        case DER_EXPLICIT: /* otherName */
            one = psti_der_enter(&in, tag);
            on_other_name(&one, c);
            psti_der_leave(&in, &one);
            break;
        case DER_EXPLICIT + 4: /* directoryName */
            one = psti_der_enter(&in, tag);
            psti_cert_name(&one, NULL);
            psti_der_leave(&in, &one);
            break;
        case DER_IMPLICIT + 1: /* rfc822Name, dNSName, URI, iPAddress */
        case DER_IMPLICIT + 2:
        case DER_IMPLICIT + 6:
        case DER_IMPLICIT + 7:
            (void)psti_der_get(&in, tag);
            break;
        default:
            pst_require(&in, false);
            break;
        }
    } while (pst_reader_ok(&in) && in.left > 0);
    psti_der_leave(r, &in);
}

/* spec: DSP0274, SPDM certificate extension: SEQUENCE OF SEQUENCE { OID, ... } */
static void take_spdm(struct pst_reader *r, struct pst_certificate *c)
{
    struct pst_reader in = psti_der_enter(r, DER_SEQUENCE);

    while (pst_reader_ok(&in) && in.left > 0) {
        uint8_t tag;
        struct pst_bytes entry = psti_der_any(&in, &tag);
        struct pst_reader one = pst_reader_of(entry.at, entry.len);
        if (tag == DER_SEQUENCE && psti_der_is(psti_der_oid(&one), oid_hardware)) {
            c->hardware_identity = true;
        }
    }
    psti_der_leave(r, &in);
}

static void take_grant(struct pst_reader *r, struct pst_certificate *c)
{
    struct pst_bytes text = psti_der_get(r, DER_OCTETS);

    if (pst_finish(r) == PST_OK && text.len > 0 && text.len <= PST_MAX_GRANT) {
        c->grant = text;
    } else { /* a rule of its own, so that it is named */
        c->bad_grant = true;
        *r = pst_reader_of(NULL, 0);
    }
}

static void take_key_id(struct pst_reader *r, struct pst_certificate *c)
{
    c->key_id = psti_der_get(r, DER_OCTETS);
    pst_require(r, c->key_id.len > 0);
}

static void take_issuer_id(struct pst_reader *r, struct pst_certificate *c)
{
    struct pst_reader in = psti_der_enter(r, DER_SEQUENCE);

    if (pst_reader_ok(&in) && in.left > 0) {
        c->issuer_id = psti_der_get(&in, DER_IMPLICIT);
        pst_require(&in, c->issuer_id.len > 0);
    }
    psti_der_leave(r, &in);
}

struct extension {
    const uint8_t *oid;
    uint8_t len;
    bool critical; /* understood, so it may be critical */
    take_fn *take; /* NULL: it restricts the certificate in a way that is not implemented */
};

#define ROW(oid, critical, take)                                                                   \
    {                                                                                              \
        oid, sizeof(oid), critical, take                                                           \
    }

/* clang-format off */
static const struct extension known[] = {
    ROW(oid_basic, true, take_basic),
    ROW(oid_key_usage, true, take_key_usage),
    ROW(oid_extended_usage, true, take_extended_usage),
    ROW(oid_alt_name, true, take_alt_name),
    ROW(oid_spdm, true, take_spdm),
    ROW(oid_grant, true, take_grant),
    ROW(oid_key_id, false, take_key_id),
    ROW(oid_issuer_id, false, take_issuer_id),
    ROW(oid_name_constraints, false, NULL),
    ROW(oid_addresses, false, NULL),
    ROW(oid_systems, false, NULL),
    ROW(oid_proxy, false, NULL),
};
/* clang-format on */

static const struct extension *find_known(struct pst_bytes oid)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (psti_der_same(oid, (struct pst_bytes){known[i].oid, known[i].len})) {
            return &known[i];
        }
    }
    return NULL;
}

/* One Extension; its OID. */
static struct pst_bytes get_extension(struct pst_reader *r, bool *critical, struct pst_bytes *value)
{
    struct pst_reader in = psti_der_enter(r, DER_SEQUENCE);
    struct pst_bytes oid = psti_der_oid(&in);

    *critical = psti_der_flag(&in);
    *value = psti_der_get(&in, DER_OCTETS);
    psti_der_leave(r, &in);
    return oid;
}

/* Is the OID among the first `count` extensions of `r`? */
static bool is_among(struct pst_reader r, unsigned count, struct pst_bytes oid)
{
    bool critical;
    struct pst_bytes value;

    for (unsigned i = 0; i < count; i++) {
        if (psti_der_same(get_extension(&r, &critical, &value), oid)) {
            return true;
        }
    }
    return false;
}

static void on_extension(struct pst_certificate *c, struct pst_bytes oid, bool critical,
                         struct pst_bytes value)
{
    const struct extension *k = find_known(oid);
    struct pst_reader r = pst_reader_of(value.at, value.len);

    if (k == NULL || k->take == NULL) {
        c->unknown_critical |= critical || k != NULL;
        return;
    }
    c->unknown_critical |= critical && !k->critical;
    c->basic_critical |= critical && k->take == take_basic;
    k->take(&r, c);
    c->bad_extension |= pst_finish(&r) != PST_OK;
}

void psti_cert_extensions(struct pst_reader *outer, struct pst_certificate *c)
{
    struct pst_reader in = psti_der_enter(outer, DER_SEQUENCE);
    const struct pst_reader first = in;
    unsigned count = 0;

    do {
        bool critical;
        struct pst_bytes value;
        struct pst_bytes oid = get_extension(&in, &critical, &value);
        if (!pst_reader_ok(&in) || count == MAX_EXTENSIONS) {
            c->bad_extension = true;
            *outer = pst_reader_of(NULL, 0); /* nothing else is looked at, and a rule names it */
            return;
        }
        c->bad_extension |= is_among(first, count, oid);
        on_extension(c, oid, critical, value);
        count++;
    } while (in.left > 0);
    psti_der_leave(outer, &in);
}
