/* The hub: one connection to a broker (mqtt.h) and the carriers that share it.
 *
 * A caller's hub has one carrier, a listener's any number. If the broker is lost, the carriers end
 * with it, and a listener makes another hub. A hub frees itself when nobody uses it.
 */
#ifndef POSTERN_POSIX_LINKS_MQTT_HUB_H
#define POSTERN_POSIX_LINKS_MQTT_HUB_H

#include "posix/links/mqtt/mqtt.h"
#include "posix/loop/carrier.h"

#define PST_MQTT_PEERS                                                                             \
    28                   /* of a listener: their windows fit into a broker's usual 1,000 messages  \
                          */
#define PST_MQTT_CALL 33 /* a connection's id in hex, NUL included */
#define PST_MQTT_INSTANCE 8
#define PST_MQTT_EXPIRY_S 150 /* lifetime of presence */

struct pst_mqtt_listener;
struct pst_mqtt_carrier;

struct pst_mqtt_hub {
    uv_loop_t *loop;
    struct pst_mqtt *mqtt; /* NULL: gone */
    struct pst_mqtt_place place;
    char id[PST_MQTT_ID];
    char topic[PST_MQTT_TOPIC]; /* of the device: pst_mqtt_topic */
    struct pst_mqtt_secret secret;
    struct pst_mqtt_carrier *carriers;
    unsigned count;
    struct pst_mqtt_listener *listener; /* NULL: a caller's, or no longer listening */
    bool held;                          /* by its listener */
    char text[256]; /* why we disconnect from the broker, if by our own decision */
};

/* Reads the secret, makes the topic. PST_ERR_IO with `why`, which quotes the link. */
PST_MUST_CHECK pst_err pst_mqtt_hub_new(uv_loop_t *loop, const struct pst_address *a,
                                        struct pst_mqtt_hub **hub, char *why, size_t why_cap);
/* Releases one use of the hub. */
void pst_mqtt_hub_leave(struct pst_mqtt_hub *hub);
/* The broker connection was lost: ends the carriers. */
void pst_mqtt_hub_down(struct pst_mqtt_hub *hub, const char *text);
struct pst_mqtt_carrier *pst_mqtt_hub_find(struct pst_mqtt_hub *hub, const char *topic);

/* A carrier of a listener, open: `open` is the OPEN that asks for it. NULL: not well-formed, no
 * memory, or without the secret; nothing is answered. */
struct pst_carrier *pst_mqtt_carrier_accept(struct pst_mqtt_hub *hub, const char *call,
                                            uint8_t *open, size_t len);
/* A message of its topic. */
void pst_mqtt_carrier_input(struct pst_mqtt_carrier *c, const struct pst_mqtt_message *m);

/* `connect` and `listen` of the scheme (carrier.h). */
PST_MUST_CHECK pst_err pst_mqtt_call(uv_loop_t *loop, const struct pst_address *to,
                                     const struct pst_carrier_events *events, void *ctx,
                                     struct pst_carrier **carrier, char *why, size_t why_cap);
PST_MUST_CHECK pst_err pst_mqtt_listen(uv_loop_t *loop, const struct pst_address *at,
                                       const struct pst_listener_events *events, void *ctx,
                                       struct pst_listener **listener, char *why, size_t why_cap);

#endif
