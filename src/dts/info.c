/* Facts about a session, for people. */
#include "postern/debugger.h"

static const char *name_of(const struct pst_algorithm *row)
{
    return row != NULL ? row->name : "none";
}

void pst_debugger_info(const struct pst_debugger *d, struct pst_session_info *info)
{
    const struct pst_spdm *spdm = &d->requester.spdm;

    *info = (struct pst_session_info){
        .device = pst_requester_peer(&d->requester),
        .spdm_minor = spdm->minor,
        .signature = name_of(pst_sig_row((pst_sig_id)spdm->rsp_sig)),
        .peer_signature = name_of(pst_sig_row((pst_sig_id)spdm->req_sig)),
        .exchange = name_of(pst_dh_row((pst_dh_id)spdm->dh)),
        .hash = name_of(pst_hash_row((pst_hash_id)spdm->hash)),
        .aead = name_of(pst_aead_row((pst_aead_id)spdm->aead)),
        .encrypted = d->record.encrypt,
        .session_id = d->record.session_id,
        .spaces = d->enabled,
    };
}
