/* Numbers of SPDM (spec: DSP0274): message codes, capability flags, error codes. */
#ifndef PST_SPDM_CODES_H
#define PST_SPDM_CODES_H

enum {
    PST_DIGESTS = 0x01,
    PST_CERTIFICATE = 0x02,
    PST_CHALLENGE_AUTH = 0x03,
    PST_VERSION = 0x04,
    PST_MEASUREMENTS = 0x60,
    PST_CAPABILITIES = 0x61,
    PST_ALGORITHMS = 0x63,
    PST_KEY_EXCHANGE_RSP = 0x64,
    PST_FINISH_RSP = 0x65,
    PST_HEARTBEAT_ACK = 0x68,
    PST_KEY_UPDATE_ACK = 0x69,
    PST_ENCAPSULATED_REQUEST = 0x6a,
    PST_ENCAPSULATED_RESPONSE_ACK = 0x6b,
    PST_END_SESSION_ACK = 0x6c,
    PST_VENDOR_DEFINED_RESPONSE = 0x7e,
    PST_ERROR = 0x7f,

    PST_GET_DIGESTS = 0x81,
    PST_GET_CERTIFICATE = 0x82,
    PST_CHALLENGE = 0x83,
    PST_GET_VERSION = 0x84,
    PST_GET_MEASUREMENTS = 0xe0,
    PST_GET_CAPABILITIES = 0xe1,
    PST_NEGOTIATE_ALGORITHMS = 0xe3,
    PST_KEY_EXCHANGE = 0xe4,
    PST_FINISH = 0xe5,
    PST_HEARTBEAT = 0xe8,
    PST_KEY_UPDATE = 0xe9,
    PST_GET_ENCAPSULATED_REQUEST = 0xea,
    PST_DELIVER_ENCAPSULATED_RESPONSE = 0xeb,
    PST_END_SESSION = 0xec,
    PST_VENDOR_DEFINED_REQUEST = 0xfe,
    PST_RESPOND_IF_READY = 0xff,
};

/* Capability flags. Where a field has two bits both are named by one mask. */
#define PST_CAP_CACHE (1u << 0) /* responder */
#define PST_CAP_CERT (1u << 1)
#define PST_CAP_CHAL (1u << 2)
#define PST_CAP_MEAS (3u << 3) /* responder */
#define PST_CAP_MEAS_PLAIN (1u << 3)
#define PST_CAP_MEAS_SIGNED (2u << 3)
#define PST_CAP_MEAS_FRESH (1u << 5) /* responder */
#define PST_CAP_ENCRYPT (1u << 6)
#define PST_CAP_MAC (1u << 7)
#define PST_CAP_MUT_AUTH (1u << 8)
#define PST_CAP_KEY_EX (1u << 9)
#define PST_CAP_PSK (3u << 10)
#define PST_CAP_ENCAP (1u << 12)
#define PST_CAP_HBEAT (1u << 13)
#define PST_CAP_KEY_UPD (1u << 14)
#define PST_CAP_CLEAR_HANDSHAKE (1u << 15)
#define PST_CAP_PUB_KEY_ID (1u << 16)
#define PST_CAP_CHUNK (1u << 17)
#define PST_CAP_ALIAS_CERT (1u << 18)         /* responder */
#define PST_CAP_SET_CERT (1u << 19)           /* responder */
#define PST_CAP_CSR (1u << 20)                /* responder */
#define PST_CAP_CERT_INSTALL_RESET (1u << 21) /* responder */
#define PST_CAP_EP_INFO (3u << 22)            /* 1.3, as those below */
#define PST_CAP_EP_INFO_SIGNED (2u << 22)
#define PST_CAP_MEL (1u << 24) /* responder */
#define PST_CAP_EVENT (1u << 25)
#define PST_CAP_MULTI_KEY (3u << 26)
#define PST_CAP_MULTI_KEY_ONLY (1u << 26)
#define PST_CAP_MULTI_KEY_NEG (2u << 26)
#define PST_CAP_GET_KEY_PAIR_INFO (1u << 28) /* responder */
#define PST_CAP_SET_KEY_PAIR_INFO (1u << 29) /* responder */

/* Error codes. */
enum {
    PST_SPDM_INVALID_REQUEST = 0x01,
    PST_SPDM_BUSY = 0x03,
    PST_SPDM_UNEXPECTED_REQUEST = 0x04,
    PST_SPDM_UNSPECIFIED = 0x05,
    PST_SPDM_DECRYPT_ERROR = 0x06,
    PST_SPDM_UNSUPPORTED_REQUEST = 0x07,
    PST_SPDM_REQUEST_IN_FLIGHT = 0x08,
    PST_SPDM_INVALID_RESPONSE_CODE = 0x09,
    PST_SPDM_SESSION_LIMIT = 0x0a,
    PST_SPDM_SESSION_REQUIRED = 0x0b,
    PST_SPDM_RESPONSE_TOO_LARGE = 0x0d,
    PST_SPDM_REQUEST_TOO_LARGE = 0x0e,
    PST_SPDM_INVALID_POLICY = 0x11, /* 1.3 */
    PST_SPDM_VERSION_MISMATCH = 0x41,
    PST_SPDM_RESPONSE_NOT_READY = 0x42,
    PST_SPDM_REQUEST_RESYNCH = 0x43,
    PST_SPDM_NO_PENDING_REQUESTS = 0x45, /* 1.3 */
};

/* Operations of KEY_UPDATE. */
enum { PST_UPDATE_KEY = 1, PST_UPDATE_ALL_KEYS = 2, PST_VERIFY_NEW_KEY = 3 };

/* Opaque data format and multi-key bit in OtherParams. */
#define PST_OPAQUE_FMT1 0x02u
#define PST_MULTI_KEY_CONN 0x10u

/* KeyUsageMask of a slot, multi-key connections. */
#define PST_USE_KEY_EXCHANGE 0x0001u
#define PST_USE_CHALLENGE 0x0002u
#define PST_USE_MEASUREMENT 0x0004u

#define PST_NONCE_LEN 32
#define PST_CONTEXT_LEN 8 /* RequesterContext, 1.3 */
#define PST_OPAQUE_MAX 1024u

#endif
