#include "spdm/table.h"

#include "spdm/transcript.h"

#define IN_SESSION (PST_AT_HANDSHAKE | PST_AT_APPLICATION)

const struct pst_row *psti_row_find(const struct pst_row *rows, size_t count, uint8_t code)
{
    for (size_t i = 0; i < count; i++) {
        if (rows[i].code == code) {
            return &rows[i];
        }
    }
    return NULL;
}

static bool has(uint32_t flags, uint32_t any)
{
    return any == 0 || (flags & any) != 0;
}

uint8_t psti_row_gate(const struct pst_row *row, uint8_t minor, const struct pst_exchange *x)
{
    enum pst_phase phase = psti_phase_of(x->c, x);
    bool agreed = phase != PST_AT_START && phase != PST_AT_VERSION;

    if (minor != 0 && (minor < row->since || minor > row->until)) {
        return PST_SPDM_UNSUPPORTED_REQUEST;
    }
    if (agreed && (!has(x->c->ours, row->ours) || !has(x->c->theirs, row->theirs))) {
        return PST_SPDM_UNSUPPORTED_REQUEST;
    }
    /* spec: DSP0274, FINISH: what completes a session is decided by what created it */
    bool kind = row->kinds == 0 || (x->session != NULL && (row->kinds & x->session->kind) != 0);
    if ((row->phases & phase) != 0) {
        return kind ? 0 : PST_SPDM_UNEXPECTED_REQUEST;
    }
    /* spec: DSP0274, ERROR: SessionRequired is for what exists only inside a session */
    if ((phase & (PST_AT_CLEAR | PST_AT_CLEAR_HANDSHAKE)) != 0 &&
        (row->phases & ~(unsigned)(IN_SESSION | PST_AT_CLEAR_HANDSHAKE)) == 0) {
        return PST_SPDM_SESSION_REQUIRED;
    }
    return PST_SPDM_UNEXPECTED_REQUEST;
}

bool psti_row_fits(const struct pst_row *row, struct pst_exchange *x)
{
    if (x->in_len < row->size) {
        return false;
    }
    if ((row->flags & PST_ROW_EXACT) == 0) {
        return true;
    }
    struct pst_reader r = pst_reader_of(x->in, x->in_len);
    pst_skip(&r, row->size);
    return psti_close(x, &r) == PST_OK;
}

void psti_row_note(const struct pst_row *row, struct pst_spdm *c, struct pst_spdm_session *s)
{
    if ((row->flags & PST_ROW_CLEARS_M) != 0 && !c->challenged) {
        psti_m_clear(c);
    }
    if ((row->flags & PST_ROW_KEEPS_L) == 0) {
        /* the hash of a session in handshake is TH, which no request clears */
        if (s == NULL || s->clear_handshake) {
            psti_l_clear(c, NULL);
        } else {
            psti_l_clear(c, s);
        }
    }
    if ((row->flags & PST_ROW_KEEPS_D) == 0) {
        c->d_open = false;
    }
}
