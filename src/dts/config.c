/* What a debugger's configuration must have. Rules are numbers, so that pst_debugger_init does
 * without their texts. */
#include "spdm/config.h"
#include "crypto/check.h"
#include "dts/dts.h"

#define NEEDED                                                                                     \
    (PST_CAP_CERT | PST_CAP_ENCRYPT | PST_CAP_MAC | PST_CAP_MUT_AUTH | PST_CAP_KEY_EX |            \
     PST_CAP_ENCAP)
/* KEY_EXCHANGE_RSP with the smallest algorithms, P-256 and SHA-256 */
#define MIN_ANSWER (4 + 2 + 2 + 32 + 64 + 2 + 12 + 64 + 32)

enum rule {
    FINE,
    NO_SPDM,
    FEW_CAPABILITIES,
    SHORT_TRANSFER,
    SHORT_MAILBOX,
};

static const char *const texts[] = {
    [NO_SPDM] = "spdm is not set",
    [FEW_CAPABILITIES] = "spdm.capabilities lacks CERT, ENCRYPT, MAC, MUT_AUTH, KEY_EX or ENCAP",
    [SHORT_TRANSFER] = "spdm.transfer_size is below 214: KEY_EXCHANGE_RSP does not fit",
    [SHORT_MAILBOX] = "mailbox is shorter than twice spdm.transfer_size",
};

static enum rule own_rule(const struct pst_debugger_config *c)
{
    if (c->spdm == NULL) {
        return NO_SPDM;
    }
    if ((c->spdm->capabilities & NEEDED) != NEEDED) {
        return FEW_CAPABILITIES;
    }
    if (c->spdm->transfer_size < MIN_ANSWER) {
        return SHORT_TRANSFER;
    }
    return c->mailbox == NULL || c->mailbox_len / 2 < c->spdm->transfer_size ? SHORT_MAILBOX : FINE;
}

/* The debugger gives its engines their keys itself. */
static uint8_t engine_rule(const struct pst_debugger_config *c)
{
    const uint8_t rule = psti_check_ciphers(c->spdm->crypto);

    return rule != 0 ? rule : psti_profile_rule(c->spdm, PST_ROLE_REQUESTER);
}

bool psti_dts_config_fits(const struct pst_debugger_config *c)
{
    return own_rule(c) == FINE && engine_rule(c) == 0;
}

const char *pst_debugger_config_check(const struct pst_debugger_config *c)
{
    const enum rule rule = own_rule(c);

    return rule != FINE ? texts[rule] : psti_config_text(engine_rule(c));
}
