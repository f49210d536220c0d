/* The record layer of a replay: both ends of the one session that is open at a time. */
#ifndef REPLAY_PROTECT_H
#define REPLAY_PROTECT_H

#include "case.h"
#include "postern/parts/record.h"

struct protect {
    struct pst_crypto crypto; /* the port's, but `random` gives the recorded padding */
    struct pst_bytes padding;
    struct pst_record requester, responder;
    bool open;
};

bool protect_init(struct recording *c, struct protect *p);
/* Places a key at both ends. */
bool protect_place(struct recording *c, struct protect *p, pst_key_phase phase,
                   pst_direction direction, const struct pst_traffic_key *key);
/* Opens the record at its receiver, compares the payload with the recording, then seals it again at
 * its sender and compares the bytes. */
bool protect_message(struct recording *c, struct protect *p, const struct message *m,
                     struct pst_bytes record);
void protect_wipe(struct protect *p);

#endif
