/* The engines in a replay: each against the recording of its peer. */
#ifndef REPLAY_ENGINES_H
#define REPLAY_ENGINES_H

#include "case.h"

/* The engines cannot take part in this case although it is in scope; `partly` says why. */
bool engines_left_out(struct recording *c);
/* The recorded requests go to a responder, whose answers are compared byte by byte. */
bool engines_responder(struct recording *c);
/* A requester is asked for the operations that the recording shows; its requests are compared and
 * the recorded answers given to it. Where the recording uses a chain again that this requester has
 * given up for another one, the replay stops and `partly` says so. */
bool engines_requester(struct recording *c);

#endif
