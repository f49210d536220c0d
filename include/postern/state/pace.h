/* How far a serial line is ahead: private, visible only so that its size is `sizeof`. */
#ifndef POSTERN_STATE_PACE_H
#define POSTERN_STATE_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pst_pace {
    uint32_t baud;
    uint64_t busy_us; /* until when the line has something to do */
    bool held;
};

#endif
