/* What the DTS asks of the TS with: the SPP client, and the SPDM requester. */
#include "dts/dts.h"

/* spec: DSP0274, VENDOR_DEFINED: header, StandardID, vendor id and its length, payload length */
#define VENDOR_HEAD (4 + 2 + 1 + PST_VENDOR_ID_LEN + 2)

static void on_event(void *ctx, struct pst_bytes payload, uint8_t space)
{
    struct pst_debugger *d = ctx;
    if (space == PST_AS_RUN && payload.len > 0 && payload.at[0] != PST_RUN_RUNNING) {
        d->native.running = false;
    }
    if (d->state == PST_DEBUGGER_READY && d->config->event != NULL) {
        d->config->event(d->config->ctx, space, payload);
    }
}

size_t psti_dts_native_room(const struct pst_debugger *d)
{
    size_t theirs = d->requester.spdm.peer_transfer; /* 0: not known yet */
    size_t room = theirs > 0 && theirs < d->native.room ? theirs : d->native.room;

    return room > VENDOR_HEAD + PST_SPP_FULL_HEADER ? room - VENDOR_HEAD : PST_SPP_FULL_HEADER + 1;
}

void psti_dts_start_client(struct pst_debugger *d, size_t credit)
{
    const struct pst_link_traits *traits = d->data.traits != NULL ? d->data.traits : d->traits;
    bool in_spdm = d->native.on && d->data.traits == NULL;
    size_t room = in_spdm ? psti_dts_native_room(d) : traits->mtu - PST_RECORD_OVERHEAD;
    pst_spp_client_init(&d->client, PST_SPP_FULL, (uint32_t)room - PST_SPP_FULL_HEADER, credit);
    d->client.event = on_event;
    d->client.ctx = d;
}

void psti_dts_start_op(struct pst_debugger *d, const struct pst_op *op)
{
    pst_err err = pst_requester_start(&d->requester, op);
    if (err != PST_OK) {
        psti_dts_close(d, err);
    }
}
