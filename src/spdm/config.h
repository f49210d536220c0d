/* The check of a configuration, without its texts: firmware that never shows them does not carry
 * them. */
#ifndef PST_SPDM_CONFIG_H
#define PST_SPDM_CONFIG_H

#include "postern/parts/spdm.h"

/* The number of the first broken rule, 0: none is. */
uint8_t psti_config_rule(const struct pst_spdm_config *config, pst_role role);
/* The same but for `keys`, which who runs the engine may fill in. */
uint8_t psti_profile_rule(const struct pst_spdm_config *config, pst_role role);
/* The rule in words, NULL for 0. */
const char *psti_config_text(uint8_t rule);

#endif
