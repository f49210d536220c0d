/* What the requester sends: one row for each step. */
#include "spdm/messages.h"
#include "spdm/session.h"
#include "spdm/table.h"

#define ANYWHERE_CLEAR                                                                             \
    (PST_AT_START | PST_AT_VERSION | PST_AT_CAPABILITIES | PST_AT_CLEAR | PST_AT_CLEAR_HANDSHAKE)
#define HANDSHAKE (PST_AT_HANDSHAKE | PST_AT_CLEAR_HANDSHAKE)
#define ENCAP (HANDSHAKE | PST_AT_CLEAR | PST_AT_APPLICATION)

/* clang-format off */
const struct pst_step_row psti_step_rows[PST_STEPS] = {
    [PST_STEP_VERSION] = {{PST_GET_VERSION, 0, 255, 0, ANYWHERE_CLEAR, 0, 8, 0, 0,
     psti_put_version}, PST_VERSION, psti_take_version},
    [PST_STEP_CAPABILITIES] = {{PST_GET_CAPABILITIES, 2, 3, 0, PST_AT_VERSION, 0, 20, 0, 0,
     psti_put_capabilities}, PST_CAPABILITIES, psti_take_capabilities},
    [PST_STEP_ALGORITHMS] = {{PST_NEGOTIATE_ALGORITHMS, 2, 3, 0, PST_AT_CAPABILITIES, 0, 36, 0, 0,
     psti_put_algorithms}, PST_ALGORITHMS, psti_take_algorithms},
    [PST_STEP_DIGESTS] = {{PST_GET_DIGESTS, 2, 3, PST_ROW_KEEPS_D, PST_AT_CLEAR | PST_AT_APPLICATION,
     0, 4 + 32, 0, PST_CAP_CERT, psti_put_digests}, PST_DIGESTS, psti_take_digests},
    [PST_STEP_CERTIFICATE] = {{PST_GET_CERTIFICATE, 2, 3, 0, PST_AT_CLEAR | PST_AT_APPLICATION,
     0, 8, 0, PST_CAP_CERT, psti_put_certificate}, PST_CERTIFICATE, psti_take_certificate},
    [PST_STEP_CHALLENGE] = {{PST_CHALLENGE, 2, 3, 0, PST_AT_CLEAR,
     0, 4 + 32 + 32 + 2, 0, PST_CAP_CHAL, psti_put_challenge}, PST_CHALLENGE_AUTH,
     psti_take_challenge},
    [PST_STEP_MEASUREMENTS] = {{PST_GET_MEASUREMENTS, 2, 3, PST_ROW_CLEARS_M | PST_ROW_KEEPS_L,
     PST_AT_CLEAR | PST_AT_APPLICATION, 0, 8 + 32 + 2, 0, PST_CAP_MEAS, psti_put_measurements},
     PST_MEASUREMENTS, psti_take_measurements},
    [PST_STEP_KEY_EXCHANGE] = {{PST_KEY_EXCHANGE, 2, 3, PST_ROW_CLEARS_M, PST_AT_CLEAR,
     0, 42, PST_CAP_KEY_EX, PST_CAP_KEY_EX, psti_put_key_exchange}, PST_KEY_EXCHANGE_RSP,
     psti_take_key_exchange},
    [PST_STEP_GET_ENCAPSULATED] = {{PST_GET_ENCAPSULATED_REQUEST, 2, 3, PST_ROW_CLEARS_M, ENCAP,
     0, 8, PST_CAP_ENCAP, PST_CAP_ENCAP, psti_put_get_encapsulated}, PST_ENCAPSULATED_REQUEST,
     psti_take_encapsulated},
    [PST_STEP_DELIVER] = {{PST_DELIVER_ENCAPSULATED_RESPONSE, 2, 3, PST_ROW_CLEARS_M, ENCAP,
     0, 8, PST_CAP_ENCAP, PST_CAP_ENCAP, psti_put_deliver}, PST_ENCAPSULATED_RESPONSE_ACK,
     psti_take_ack},
    [PST_STEP_FINISH] = {{PST_FINISH, 2, 3, PST_ROW_CLEARS_M, HANDSHAKE, PST_KIND_CERT, 4,
     PST_CAP_KEY_EX, PST_CAP_KEY_EX, psti_put_finish}, PST_FINISH_RSP, psti_take_finish},
    [PST_STEP_HEARTBEAT] = {{PST_HEARTBEAT, 2, 3, PST_ROW_EXACT | PST_ROW_CLEARS_M,
     PST_AT_APPLICATION, 0, 4, PST_CAP_HBEAT, PST_CAP_HBEAT, psti_put_heartbeat},
     PST_HEARTBEAT_ACK, psti_take_heartbeat},
    [PST_STEP_KEY_UPDATE] = {{PST_KEY_UPDATE, 2, 3, PST_ROW_EXACT | PST_ROW_CLEARS_M,
     PST_AT_APPLICATION, 0, 4, PST_CAP_KEY_UPD, PST_CAP_KEY_UPD, psti_put_key_update},
     PST_KEY_UPDATE_ACK, psti_take_key_update},
    [PST_STEP_VERIFY_KEY] = {{PST_KEY_UPDATE, 2, 3, PST_ROW_EXACT | PST_ROW_CLEARS_M,
     PST_AT_APPLICATION, 0, 4, PST_CAP_KEY_UPD, PST_CAP_KEY_UPD, psti_put_verify_key},
     PST_KEY_UPDATE_ACK, psti_take_verify_key},
    [PST_STEP_END_SESSION] = {{PST_END_SESSION, 2, 3, PST_ROW_EXACT | PST_ROW_CLEARS_M,
     PST_AT_APPLICATION, 0, 4, 0, 0, psti_put_end_session}, PST_END_SESSION_ACK,
     psti_take_end_session},
    [PST_STEP_VENDOR] = {{PST_VENDOR_DEFINED_REQUEST, 2, 3, 0, PST_AT_CLEAR | PST_AT_APPLICATION,
     0, 9, 0, 0, psti_put_vendor}, PST_VENDOR_DEFINED_RESPONSE, psti_take_vendor},
};
/* clang-format on */
