/* How far the output of a serial line is ahead of the line: a part of the links that pace it
 * (serial.h, mctp_link.h, mctp_spdm.h), private in content. */
#ifndef POSTERN_LINKS_PACE_H
#define POSTERN_LINKS_PACE_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pst_pace {
    uint32_t baud;    /* 0: no pacing */
    uint64_t busy_us; /* when the line will have sent what it was given */
    bool held;        /* nothing is handed out until then */
};

#ifdef __cplusplus
}
#endif

#endif
