/* A recording of what passes, as pcapng that Wireshark opens: each connection becomes a TCP stream
 * of synthetic IPv4 packets (link type 101), 127.0.0.1 on the side that called and 127.0.0.2 port
 * 7606 on the side that was called, so that "Follow TCP stream" shows both directions in order.
 *
 * Spec: PCAP Next Generation (IETF draft-ietf-opsawg-pcapng): section header, one interface
 * description, enhanced packets with nanosecond time.
 */
#ifndef POSTERN_POSIX_BRIDGE_PCAPNG_H
#define POSTERN_POSIX_BRIDGE_PCAPNG_H

#include <stdio.h>

#include "postern/parts/wire.h"

#ifdef __cplusplus
extern "C" {
#endif

struct pst_pcapng {
    FILE *file;
};
struct pst_pcapng_flow { /* one connection; zeroed to begin */
    uint16_t port;       /* of the calling side: tells connections apart */
    uint32_t sequence[2];
};

/* Creates `path`, mode 0600; an existing file is replaced. PST_ERR_IO with errno set. */
PST_MUST_CHECK pst_err pst_pcapng_open(struct pst_pcapng *p, const char *path);
/* Records bytes that passed. `from_caller` gives the direction. */
PST_MUST_CHECK pst_err pst_pcapng_data(struct pst_pcapng *p, struct pst_pcapng_flow *flow,
                                       bool from_caller, const uint8_t *data, size_t len);
/* PST_ERR_IO when an earlier write failed. */
PST_MUST_CHECK pst_err pst_pcapng_close(struct pst_pcapng *p);

#ifdef __cplusplus
}
#endif

#endif
