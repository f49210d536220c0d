/* Runs the engines in a replay, each with the recording of its peer. */
#ifndef REPLAY_ENGINES_H
#define REPLAY_ENGINES_H

#include "case.h"

/* The engines cannot take part in this case although it is in scope; `partly` says why. */
bool engines_left_out(struct recording *c);
/* The recorded requests go to a responder, whose answers are compared byte by byte. */
bool engines_responder(struct recording *c);
/* A requester runs the recorded operations. Its requests are compared, and it gets the recorded
 * answers. If the recording reuses a chain that this requester has replaced by another one, the
 * replay stops and `partly` says so. */
bool engines_requester(struct recording *c);

#endif
