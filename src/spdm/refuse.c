/* Refusals: the ERROR code (spec: DSP0274, ERROR) of a failure, and the message itself. */
#include "spdm/engine.h"

pst_err psti_refuse(struct pst_exchange *x, uint8_t error_code)
{
    x->refusal = error_code;
    return PST_ERR_DENIED;
}

uint8_t psti_error_code(pst_err err)
{
    static const struct {
        int8_t err;
        uint8_t code;
    } rows[] = {
        {PST_ERR_DECODE,      PST_SPDM_INVALID_REQUEST    },
        {PST_ERR_VERSION,     PST_SPDM_INVALID_REQUEST    },
        {PST_ERR_ALGORITHM,   PST_SPDM_INVALID_REQUEST    },
        {PST_ERR_UNEXPECTED,  PST_SPDM_UNEXPECTED_REQUEST },
        {PST_ERR_UNSUPPORTED, PST_SPDM_UNSUPPORTED_REQUEST},
        {PST_ERR_AUTH,        PST_SPDM_DECRYPT_ERROR      },
        {PST_ERR_LIMIT,       PST_SPDM_SESSION_LIMIT      },
        {PST_ERR_BUSY,        PST_SPDM_BUSY               },
        {PST_ERR_SPACE,       PST_SPDM_RESPONSE_TOO_LARGE },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].err == err) {
            return rows[i].code;
        }
    }
    return PST_SPDM_UNSPECIFIED;
}

void psti_write_error(struct pst_exchange *x, uint8_t code, uint8_t data)
{
    struct pst_writer *w = &x->out;

    w->used = x->base;
    w->failed = false;
    psti_put_header(x, PST_ERROR, code, data);
    if (code == PST_SPDM_RESPONSE_TOO_LARGE) {
        pst_put_u32(w, x->refusal_size);
    }
    if (w->failed) {
        w->used = 0;
        w->failed = false;
    }
}
