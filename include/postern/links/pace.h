/* Pacing state of a serial line: how far its output is ahead of the line. Part of the links that
 * pace their output (serial.h, mctp_link.h, mctp_spdm.h). Its content is private. */
#ifndef POSTERN_LINKS_PACE_H
#define POSTERN_LINKS_PACE_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pst_pace {
    uint32_t baud;    /* 0: no pacing */
    uint64_t busy_us; /* when the line will have sent everything it was given */
    bool held;        /* output waits until then */
};

#ifdef __cplusplus
}
#endif

#endif
