/* One connection to an MQTT 5 broker on a libuv loop, with libmosquitto in a process of its own.
 *
 * A broker is not trusted, and libmosquitto 2.0 ends its process on some of what one can send, and
 * takes as much memory as a packet claims to need. So it runs apart from the keys: each connection
 * starts this program anew (mqtt_worker.c), with a socket to us, no other descriptor, and a bound
 * on its memory. When it dies, the connection is down, and nothing else. It also ends when more
 * than 32 MiB wait to be taken by it: a broker can ask, and not read the answers.
 *
 * A connection is one try: whoever wants another makes another, and so nothing that was queued for
 * a broker that went away is sent to it later.
 *
 * Events come from the loop, never from within a call; `down` is the last.
 */
#ifndef POSTERN_POSIX_LINKS_MQTT_MQTT_H
#define POSTERN_POSIX_LINKS_MQTT_MQTT_H

#include <uv.h>

#include "posix/links/mqtt/place.h"

#define PST_MQTT_KEEPALIVE_S 15
#define PST_MQTT_CONNECT_MS 4000 /* to CONNACK */

struct pst_mqtt;

struct pst_mqtt_message {
    const char *topic;
    uint8_t *bytes; /* may be changed; valid during the call */
    size_t len;
    bool retained;
    uint32_t expiry_s; /* that is left; 0: not said */
};

struct pst_mqtt_events {
    void (*up)(void *ctx);
    void (*message)(void *ctx, const struct pst_mqtt_message *m);
    void (*subscribed)(void *ctx, int id, bool granted);
    /* What was published reaches nobody: the broker refuses it, or has no subscriber for it. May be
     * NULL. */
    void (*undelivered)(void *ctx, int id, bool refused);
    void (*down)(void *ctx, const char *text); /* one line, without the broker's name */
};

struct pst_mqtt_will { /* what the broker publishes when we vanish; QoS 1 */
    char topic[PST_MQTT_TOPIC];
    uint8_t bytes[16];
    size_t len;
    bool retained;
};

/* The first thing in main() of every program that uses this: in the process that was started to run
 * libmosquitto it does so and does not return. */
void pst_mqtt_enter(int argc, char **argv);

/* PST_ERR_IO with `why`: a file is not as it should be, no resources; nothing was started. The
 * place and the will are copied. */
PST_MUST_CHECK pst_err pst_mqtt_connect(uv_loop_t *loop, const struct pst_mqtt_place *place,
                                        const struct pst_mqtt_will *will,
                                        const struct pst_mqtt_events *events, void *ctx,
                                        struct pst_mqtt **mqtt, char *why, size_t why_cap);
/* The id that `subscribed` or `undelivered` will tell; negative: it is not up any more. */
int pst_mqtt_subscribe(struct pst_mqtt *m, const char *topic);
/* `expiry_s` 0: never. */
int pst_mqtt_publish(struct pst_mqtt *m, const char *topic, const void *bytes, size_t len, int qos,
                     bool retained, uint32_t expiry_s);
/* Takes leave of the broker once it has acknowledged everything, or after a second; there is no
 * last will then. `down` follows, and nothing else. */
void pst_mqtt_close(struct pst_mqtt *m);

#endif
