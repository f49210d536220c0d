/* The table of links. A transport whose library was not there at build time stays in it, and says
 * so when it is used. */
#include <stdio.h>

#include "posix/loop/carrier.h"

extern const struct pst_transport pst_transport_tcp, pst_transport_unix, pst_transport_udp,
    pst_transport_serial, pst_transport_mctp_serial, pst_transport_mctp_spdm, pst_transport_mqtt,
    pst_transport_i3c, pst_transport_mctp_i3c, pst_transport_pcie, pst_transport_spdm,
    pst_transport_usb, pst_transport_pcie_shm;

const struct pst_transport *const pst_transports[] = {
    &pst_transport_tcp,         &pst_transport_unix,
    &pst_transport_udp,         &pst_transport_serial,
    &pst_transport_mctp_serial, &pst_transport_mqtt,
    &pst_transport_i3c,         &pst_transport_mctp_i3c,
    &pst_transport_pcie,        &pst_transport_spdm,
    &pst_transport_mctp_spdm,   &pst_transport_usb,
    &pst_transport_pcie_shm,    NULL,
};

static pst_err cannot(const struct pst_address *a, const char *what, char *why, size_t why_cap)
{
    snprintf(why, why_cap, "link '%s': a link of this kind cannot %s", a->text, what);
    return PST_ERR_IO;
}

pst_err pst_carrier_connect(uv_loop_t *loop, const struct pst_address *to,
                            const struct pst_carrier_events *events, void *ctx,
                            struct pst_carrier **carrier, char *why, size_t why_cap)
{
    *carrier = NULL;
    return to->transport->connect == NULL
               ? cannot(to, "call", why, why_cap)
               : to->transport->connect(loop, to, events, ctx, carrier, why, why_cap);
}

pst_err pst_carrier_listen(uv_loop_t *loop, const struct pst_address *at,
                           const struct pst_listener_events *events, void *ctx,
                           struct pst_listener **listener, char *why, size_t why_cap)
{
    *listener = NULL;
    return at->transport->listen == NULL
               ? cannot(at, "listen", why, why_cap)
               : at->transport->listen(loop, at, events, ctx, listener, why, why_cap);
}
