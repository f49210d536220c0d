/* I3C, the controller's side: the steps of the bring-up. */
#include <string.h>

#include "link/i3c/stages.h"

static pst_err check_caps(struct pst_i3c_debugger *d)
{
    static const uint8_t known[3] = {0x10, 0x10, 0x31};
    const bool ours = memcmp(d->in, known, sizeof known) == 0;

    return ours && (d->in[3] == 0x00 || d->in[3] == 0x42) ? PST_OK : PST_ERR_UNSUPPORTED;
}

static pst_err check_status(struct pst_i3c_debugger *d)
{
    static const uint8_t zeros[3] = {0};

    if ((d->in[0] == 0x0B || d->in[0] == 0x2B) && memcmp(d->in + 1, zeros, sizeof zeros) == 0) {
        return PST_OK;
    }
    return d->resuming ? PST_ERR_CLOSED : PST_ERR_PEER;
}

static pst_err check_port(struct pst_i3c_debugger *d)
{
    if (d->in[0] == d->config.port) {
        return PST_OK;
    }
    return d->resuming ? PST_ERR_CLOSED : PST_ERR_UNSUPPORTED;
}

/* The bring-up, in the order seen in public code. Stages that are `fresh` are skipped when the
 * stream resumes after a bus reset, because the adaptor keeps that state. */
const struct pst_i3c_stage psti_i3c_stages[PST_I3C_STAGES] = {
    {FIND,    0,                 0,                    0, 0, false, NULL,         PST_ERR_TIMEOUT    },
    {DRAIN,   0,                 0,                    0, 0, true,  NULL,         PST_ERR_TIMEOUT    },
    {COMMAND, PST_I3C_DBGOPCODE, PST_I3C_CAPABILITIES, 0, 4, false, check_caps,
     PST_ERR_UNSUPPORTED                                                                             },
    {COMMAND, PST_I3C_DBGOPCODE, PST_I3C_START,        1, 0, true,  NULL,         PST_ERR_UNSUPPORTED},
    {COMMAND, PST_I3C_DBGOPCODE, PST_I3C_START,        0, 4, false, check_status, PST_ERR_PEER       },
    {COMMAND, PST_I3C_DBGACTION, PST_I3C_CLEAR,        0, 0, true,  NULL,         PST_ERR_PEER       },
    {COMMAND, PST_I3C_DBGOPCODE, PST_I3C_SELECT,       1, 0, true,  NULL,         PST_ERR_UNSUPPORTED},
    {COMMAND, PST_I3C_DBGOPCODE, PST_I3C_SELECT,       0, 1, false, check_port,   PST_ERR_UNSUPPORTED},
    {COMMAND, PST_I3C_DBGOPCODE, PST_I3C_CONFIGURE,    1, 0, false, NULL,         PST_ERR_UNSUPPORTED},
};
