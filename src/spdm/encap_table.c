/* The encapsulated requests that the requester answers. */
#include "spdm/messages.h"
#include "spdm/table.h"

#define HANDSHAKE (PST_AT_HANDSHAKE | PST_AT_CLEAR_HANDSHAKE)
#define ENCAP (HANDSHAKE | PST_AT_CLEAR | PST_AT_APPLICATION)

/* clang-format off */
const struct pst_row psti_encap_rows[] = {
    {PST_GET_DIGESTS, 2, 3, PST_ROW_EXACT, ENCAP, 0, 4, PST_CAP_CERT, 0, psti_serve_digests},
    {PST_GET_CERTIFICATE, 2, 3, PST_ROW_EXACT, ENCAP, 0, 8, PST_CAP_CERT, 0,
     psti_serve_certificate},
    /* spec: DSP0274 1.2, basic mutual authentication; gone in 1.3 */
    {PST_CHALLENGE, 2, 2, 0, PST_AT_CLEAR, 0, 4 + PST_NONCE_LEN, PST_CAP_CHAL, 0,
     psti_serve_challenge},
    {PST_KEY_UPDATE, 2, 3, PST_ROW_EXACT, PST_AT_APPLICATION, 0, 4, PST_CAP_KEY_UPD,
     PST_CAP_KEY_UPD, psti_serve_key_update},
};
/* clang-format on */
const size_t psti_encap_row_count = sizeof psti_encap_rows / sizeof psti_encap_rows[0];
