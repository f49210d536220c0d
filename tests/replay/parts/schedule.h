/* The key schedule of a replay, every value compared with the recorded one. */
#ifndef REPLAY_SCHEDULE_H
#define REPLAY_SCHEDULE_H

#include "case.h"
#include "postern/parts/keys.h"

struct schedule {
    struct recording *c;
    const struct pst_crypto *crypto;
    int session;
    int updates[2]; /* by pst_direction */
    uint8_t handshake[PST_MAX_HASH], data[2][PST_MAX_HASH];
    uint8_t finished[2][PST_MAX_HASH];
    struct pst_traffic_key key[2]; /* of the latest stage */
};

/* From the recorded shared secret and TH1 to the handshake keys. */
bool schedule_handshake(struct schedule *s, const uint8_t *th1);
bool schedule_application(struct schedule *s, const uint8_t *th2);
bool schedule_update(struct schedule *s, pst_direction direction);

#endif
