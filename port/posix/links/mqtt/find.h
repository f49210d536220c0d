/* What is announced at a broker.
 *
 * Presence is a retained message that anybody may have left whom the broker lets: a hint, never a
 * proof. It holds a rendezvous id and nothing that would say which device that is; whoever knows a
 * device id (and the fleet's secret, where there is one) can compute its rendezvous id.
 */
#ifndef POSTERN_POSIX_LINKS_MQTT_FIND_H
#define POSTERN_POSIX_LINKS_MQTT_FIND_H

#include <uv.h>

#include "posix/links/mqtt/place.h"

struct pst_mqtt_found {
    char id[PST_MQTT_ID];
    int64_t age_s; /* seconds since its last presence, by the broker's clock; -1: not known */
    bool foreign;  /* it uses an incompatible wire profile */
};
/* Queries the broker and runs the loop until the list is complete. `found` is called once for each
   device. PST_ERR_IO with `why`: the devices found so far are not all. PST_ERR_UNSUPPORTED: built
   without libmosquitto. */
PST_MUST_CHECK pst_err pst_mqtt_find(uv_loop_t *loop, const struct pst_mqtt_place *place,
                                     void (*found)(void *ctx, const struct pst_mqtt_found *f),
                                     void *ctx, char *why, size_t why_cap);

#endif
