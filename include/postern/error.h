/* Errors: the one convention of the whole library.
 *
 * Every function that can fail returns `pst_err`: 0 is success, everything else is negative. The
 * class of a value says what to do. A misuse is a bug in the caller. An error of the peer is
 * answered, or ends the session. A refusal is final for this request. The two states (PENDING,
 * WANT_MORE) are not failures.
 *
 * Unless a function says otherwise, an error leaves every output untouched and the object usable.
 */
#ifndef POSTERN_ERROR_H
#define POSTERN_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    PST_OK = 0,

    /* states, not failures */
    PST_PENDING = -1,   /* not finished yet: call again */
    PST_WANT_MORE = -2, /* more bytes are needed before there is a result */

    /* misuse by the caller: nothing was done */
    PST_ERR_ARGUMENT = -10, /* an argument contradicts the contract */
    PST_ERR_STATE = -11,    /* not in this state */
    PST_ERR_SPACE = -12,    /* the caller's buffer is too small for the result */
    PST_ERR_CONFIG = -13,   /* a configuration is incomplete or contradicts itself; the
                               pst_..._config_check function of its kind says how */

    /* the peer sent something wrong */
    PST_ERR_DECODE = -20,      /* malformed: too short, too long, or a forbidden value */
    PST_ERR_VERSION = -21,     /* no common version, or a header of another version */
    PST_ERR_UNEXPECTED = -22,  /* well-formed, but not in this phase */
    PST_ERR_UNSUPPORTED = -23, /* unknown, or not negotiated */
    PST_ERR_AUTH = -24,        /* a tag, MAC, signature or verify data does not match */
    PST_ERR_REPLAY = -25,      /* a sequence number that was already used or is too old */
    PST_ERR_CERT = -26,        /* a certificate chain that is not acceptable */
    PST_ERR_IDENTITY = -27,    /* a valid peer, but not the requested one */
    PST_ERR_ALGORITHM = -28,   /* no common algorithm, or one that policy forbids */
    PST_ERR_PROFILE = -29,     /* the peer uses an incompatible wire profile (mipi_profile.h) */

    /* the peer, or policy, said no */
    PST_ERR_DENIED = -40,  /* no grant covers it; nothing was done */
    PST_ERR_BUSY = -41,    /* another peer uses it: try later */
    PST_ERR_PEER = -42,    /* the peer answered with an error; see the object for which */
    PST_ERR_CLOSED = -43,  /* the session or link has ended; its keys are gone */
    PST_ERR_TIMEOUT = -44, /* no answer in time */
    PST_ERR_LIMIT = -45,   /* a limit was reached: sessions, records under a key, forgeries */
    PST_ERR_FAULT = -46,   /* the device could not: bus error, no such register, stub lost */

    /* the platform failed */
    PST_ERR_CRYPTO = -60, /* the crypto port failed for a reason of its own */
    PST_ERR_RANDOM = -61, /* no random numbers: what needs them stops */
    PST_ERR_IO = -62,     /* a file, a socket or a device failed */
    PST_ERR_AUDIT = -63,  /* the audit log cannot be written: no log, no effects */
} pst_err;

#define PST_MUST_CHECK __attribute__((warn_unused_result))

/* The only control-flow macro: returns from the calling function on any value but PST_OK. A
 * function that holds secrets does not use it: it calls an inner function, and wipes. */
#define PST_TRY(expr)                                                                              \
    do {                                                                                           \
        pst_err pst_try_err_ = (expr);                                                             \
        if (pst_try_err_ != PST_OK) {                                                              \
            return pst_try_err_;                                                                   \
        }                                                                                          \
    } while (0)

/* The value in words, for people: "malformed message". Never NULL. */
const char *pst_err_text(pst_err err);

#ifdef __cplusplus
}
#endif

#endif
