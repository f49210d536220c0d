#include "postern/error.h"

#include <stddef.h>

static const char *const texts[] = {
    [-PST_OK] = "success",
    [-PST_PENDING] = "still in progress",
    [-PST_WANT_MORE] = "more bytes are needed",
    [-PST_ERR_ARGUMENT] = "invalid argument",
    [-PST_ERR_STATE] = "not possible in this state",
    [-PST_ERR_SPACE] = "buffer too small",
    [-PST_ERR_CONFIG] = "incomplete or inconsistent configuration",
    [-PST_ERR_DECODE] = "malformed message",
    [-PST_ERR_VERSION] = "no common version",
    [-PST_ERR_UNEXPECTED] = "unexpected message",
    [-PST_ERR_UNSUPPORTED] = "not supported",
    [-PST_ERR_AUTH] = "authentication failed",
    [-PST_ERR_REPLAY] = "replayed or out of sequence",
    [-PST_ERR_CERT] = "certificate chain not accepted",
    [-PST_ERR_IDENTITY] = "not the peer that was requested",
    [-PST_ERR_ALGORITHM] = "no acceptable algorithm",
    [-PST_ERR_PROFILE] = "incompatible Postern wire profile",
    [-PST_ERR_DENIED] = "denied: no grant covers it",
    [-PST_ERR_BUSY] = "busy: in use by another peer",
    [-PST_ERR_PEER] = "the peer answered with an error",
    [-PST_ERR_CLOSED] = "closed",
    [-PST_ERR_TIMEOUT] = "timed out",
    [-PST_ERR_LIMIT] = "limit reached",
    [-PST_ERR_FAULT] = "the device could not perform the access",
    [-PST_ERR_CRYPTO] = "a cryptographic operation failed",
    [-PST_ERR_RANDOM] = "no random numbers available",
    [-PST_ERR_IO] = "input/output error",
    [-PST_ERR_AUDIT] = "the audit log cannot be written",
};

const char *pst_err_text(pst_err err)
{
    const int count = sizeof texts / sizeof *texts, value = (int)err;

    return value <= 0 && value > -count && texts[-value] != NULL ? texts[-value] : "unknown error";
}
