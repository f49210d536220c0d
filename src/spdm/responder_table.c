/* The requests that the responder answers. */
#include "spdm/messages.h"
#include "spdm/session.h"
#include "spdm/table.h"

#define ANYWHERE_CLEAR                                                                             \
    (PST_AT_START | PST_AT_VERSION | PST_AT_CAPABILITIES | PST_AT_CLEAR | PST_AT_CLEAR_HANDSHAKE)
#define CLEAR (PST_AT_CLEAR | PST_AT_CLEAR_HANDSHAKE)
#define HANDSHAKE (PST_AT_HANDSHAKE | PST_AT_CLEAR_HANDSHAKE)
#define ALL (CLEAR | PST_AT_HANDSHAKE | PST_AT_APPLICATION)

/* clang-format off */
const struct pst_row psti_responder_rows[] = {
    /* code, since, until, flags, phases, kinds, size, our capability, theirs, handler */
    {PST_GET_VERSION, 0, 255, PST_ROW_EXACT | PST_ROW_IN_FLOW, ANYWHERE_CLEAR, 0, 4, 0, 0,
     psti_rsp_version},
    {PST_GET_CAPABILITIES, 2, 3, PST_ROW_EXACT, PST_AT_VERSION, 0, 20, 0, 0,
     psti_rsp_capabilities},
    {PST_NEGOTIATE_ALGORITHMS, 2, 3, 0, PST_AT_CAPABILITIES, 0, 32, 0, 0,
     psti_rsp_algorithms},
    {PST_GET_DIGESTS, 2, 3, PST_ROW_EXACT | PST_ROW_KEEPS_D, CLEAR | PST_AT_APPLICATION, 0, 4,
     PST_CAP_CERT, 0, psti_serve_digests},
    {PST_GET_CERTIFICATE, 2, 3, PST_ROW_EXACT, CLEAR | PST_AT_APPLICATION, 0, 8,
     PST_CAP_CERT, 0, psti_serve_certificate},
    {PST_CHALLENGE, 2, 3, 0, CLEAR, 0, 4 + PST_NONCE_LEN,
     PST_CAP_CHAL, 0, psti_serve_challenge},
    {PST_GET_MEASUREMENTS, 2, 3, PST_ROW_CLEARS_M | PST_ROW_KEEPS_L, CLEAR | PST_AT_APPLICATION, 0, 4,
     PST_CAP_MEAS, 0, psti_rsp_measurements},
    {PST_KEY_EXCHANGE, 2, 3, PST_ROW_CLEARS_M, PST_AT_CLEAR, 0, 42,
     PST_CAP_KEY_EX, PST_CAP_KEY_EX, psti_rsp_key_exchange},
    {PST_FINISH, 2, 3, PST_ROW_CLEARS_M, HANDSHAKE, PST_KIND_CERT, 4 + 32,
     PST_CAP_KEY_EX, PST_CAP_KEY_EX, psti_rsp_finish},
    {PST_HEARTBEAT, 2, 3, PST_ROW_EXACT | PST_ROW_CLEARS_M, PST_AT_APPLICATION, 0, 4,
     PST_CAP_HBEAT, PST_CAP_HBEAT, psti_rsp_heartbeat},
    {PST_KEY_UPDATE, 2, 3, PST_ROW_EXACT | PST_ROW_CLEARS_M, PST_AT_APPLICATION, 0, 4,
     PST_CAP_KEY_UPD, PST_CAP_KEY_UPD, psti_rsp_key_update},
    {PST_GET_ENCAPSULATED_REQUEST, 2, 3, PST_ROW_EXACT | PST_ROW_IN_FLOW | PST_ROW_CLEARS_M, ALL, 0,
     4, PST_CAP_ENCAP, PST_CAP_ENCAP, psti_rsp_get_encapsulated},
    {PST_DELIVER_ENCAPSULATED_RESPONSE, 2, 3, PST_ROW_IN_FLOW | PST_ROW_CLEARS_M, ALL, 0, 8,
     PST_CAP_ENCAP, PST_CAP_ENCAP, psti_rsp_deliver},
    {PST_END_SESSION, 2, 3, PST_ROW_EXACT | PST_ROW_IN_FLOW | PST_ROW_CLEARS_M, PST_AT_APPLICATION,
     0, 4, 0, 0, psti_rsp_end_session},
    {PST_VENDOR_DEFINED_REQUEST, 2, 3, 0, CLEAR | PST_AT_APPLICATION, 0, 9, 0, 0,
     psti_rsp_vendor},
    {PST_RESPOND_IF_READY, 2, 3, PST_ROW_EXACT | PST_ROW_IN_FLOW | PST_ROW_KEEPS_L, ALL, 0, 4, 0, 0,
     psti_rsp_respond_if_ready},
};
/* clang-format on */
const size_t psti_responder_row_count = sizeof psti_responder_rows / sizeof psti_responder_rows[0];
