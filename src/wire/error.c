#include "postern/error.h"

const char *pst_err_text(pst_err err)
{
    switch (err) {
    case PST_OK:
        return "success";
    case PST_PENDING:
        return "still in progress";
    case PST_WANT_MORE:
        return "more bytes are needed";
    case PST_ERR_ARGUMENT:
        return "invalid argument";
    case PST_ERR_STATE:
        return "not possible in this state";
    case PST_ERR_SPACE:
        return "buffer too small";
    case PST_ERR_CONFIG:
        return "incomplete or inconsistent configuration";
    case PST_ERR_DECODE:
        return "malformed message";
    case PST_ERR_VERSION:
        return "no common version";
    case PST_ERR_UNEXPECTED:
        return "unexpected message";
    case PST_ERR_UNSUPPORTED:
        return "not supported";
    case PST_ERR_AUTH:
        return "authentication failed";
    case PST_ERR_REPLAY:
        return "replayed or out of sequence";
    case PST_ERR_CERT:
        return "certificate chain not accepted";
    case PST_ERR_IDENTITY:
        return "not the peer that was requested";
    case PST_ERR_ALGORITHM:
        return "no acceptable algorithm";
    case PST_ERR_PROFILE:
        return "incompatible Postern wire profile";
    case PST_ERR_DENIED:
        return "denied: no grant covers it";
    case PST_ERR_BUSY:
        return "busy: in use by another peer";
    case PST_ERR_PEER:
        return "the peer answered with an error";
    case PST_ERR_CLOSED:
        return "closed";
    case PST_ERR_TIMEOUT:
        return "timed out";
    case PST_ERR_LIMIT:
        return "limit reached";
    case PST_ERR_FAULT:
        return "the device could not perform the access";
    case PST_ERR_CRYPTO:
        return "a cryptographic operation failed";
    case PST_ERR_RANDOM:
        return "no random numbers available";
    case PST_ERR_IO:
        return "input/output error";
    case PST_ERR_AUDIT:
        return "the audit log cannot be written";
    }
    return "unknown error";
}
