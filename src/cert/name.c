/* Names: RFC 5280, 4.1.2.4. */
#include "cert/facts.h"

#include <string.h>

#include "cert/text.h"

static const uint8_t oid_common_name[] = {0x55, 0x04, 0x03};

static void on_common_name(struct pst_certificate *c, uint8_t tag, struct pst_bytes value)
{
    char text[PST_MAX_NAME];

    /* Of several none counts: which one would be the name is anybody's guess. */
    if (c->name_tag != 0 || !psti_text_take(tag, value, text)) {
        c->bad_name = true;
    }
    c->name = value;
    c->name_tag = tag;
}

void psti_cert_name(struct pst_reader *r, struct pst_certificate *c)
{
    struct pst_reader sets = psti_der_enter(r, DER_SEQUENCE);

    while (pst_reader_ok(&sets) && sets.left > 0) {
        struct pst_reader set = psti_der_enter(&sets, DER_SET);
        do {
            uint8_t tag;
            struct pst_reader entry = psti_der_enter(&set, DER_SEQUENCE);
            struct pst_bytes oid = psti_der_oid(&entry);
            struct pst_bytes value = psti_der_any(&entry, &tag);
            pst_require(&entry, psti_text_is_string(tag, value));
            psti_der_leave(&set, &entry);
            if (pst_reader_ok(&set) && c != NULL && psti_der_is(oid, oid_common_name)) {
                on_common_name(c, tag, value);
            }
        } while (pst_reader_ok(&set) && set.left > 0);
        psti_der_leave(&sets, &set);
    }
    psti_der_leave(r, &sets);
}

void pst_certificate_name(const struct pst_certificate *c, char out[PST_MAX_NAME])
{
    if (c->bad_name || !psti_text_take(c->name_tag, c->name, out)) {
        memset(out, 0, PST_MAX_NAME);
    }
}

void pst_certificate_device(const struct pst_certificate *c, char out[PST_MAX_NAME])
{
    if (c->bad_device || !psti_text_take(DER_UTF8, c->device, out)) {
        memset(out, 0, PST_MAX_NAME);
    }
}
