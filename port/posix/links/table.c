#include "posix/links/table.h"

extern const struct pst_scheme pst_scheme_tcp, pst_scheme_unix, pst_scheme_udp, pst_scheme_serial,
    pst_scheme_mctp_serial, pst_scheme_mctp_spdm, pst_scheme_mqtt, pst_scheme_i3c,
    pst_scheme_mctp_i3c, pst_scheme_pcie, pst_scheme_spdm, pst_scheme_usb, pst_scheme_pcie_shm;

const struct pst_scheme *const pst_schemes[] = {
    &pst_scheme_tcp,         &pst_scheme_unix,
    &pst_scheme_udp,         &pst_scheme_serial,
    &pst_scheme_mctp_serial, &pst_scheme_mqtt,
    &pst_scheme_i3c,         &pst_scheme_mctp_i3c,
    &pst_scheme_pcie,        &pst_scheme_spdm,
    &pst_scheme_mctp_spdm,   &pst_scheme_usb,
    &pst_scheme_pcie_shm,    NULL,
};
