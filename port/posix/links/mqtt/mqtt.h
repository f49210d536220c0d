/* One connection to an MQTT 5 broker on a libuv loop, with libmosquitto in a process of its own.
 *
 * A broker is not trusted, and libmosquitto 2.0 ends its process on some of what one can send, and
 * allocates as much memory as a packet claims to need. So it runs apart from the keys: each
 * connection starts this program again (worker.c), with a socket to us, no other descriptor, and a
 * memory limit. If that process dies, only its connection is down. A connection also ends when more
 * than 32 MiB wait to be sent: a broker can ask, and not read the answers.
 *
 * A connection is one try. For another try, make another connection: so nothing that was queued for
 * a lost broker is sent to it later.
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
    uint32_t expiry_s; /* that remain; 0: unknown */
};

struct pst_mqtt_events {
    void (*up)(void *ctx);
    void (*message)(void *ctx, const struct pst_mqtt_message *m);
    void (*subscribed)(void *ctx, int id, bool granted);
    /* A published message reached nobody: the broker refused it, or has no subscriber for it. May
     * be NULL. */
    void (*undelivered)(void *ctx, int id, bool refused);
    void (*down)(void *ctx, const char *text); /* one line, without the broker's name */
};

struct pst_mqtt_will { /* what the broker publishes when we vanish; QoS 1 */
    char topic[PST_MQTT_TOPIC];
    uint8_t bytes[16];
    size_t len;
    bool retained;
};

/* Call this first in main() of every program that uses this header. In the process that was started
 * for libmosquitto it runs libmosquitto and does not return. */
void pst_mqtt_enter(int argc, char **argv);

/* PST_ERR_IO with `why`: a bad file, or no resources; nothing was started. The
 * place and the will are copied. */
PST_MUST_CHECK pst_err pst_mqtt_connect(uv_loop_t *loop, const struct pst_mqtt_place *place,
                                        const struct pst_mqtt_will *will,
                                        const struct pst_mqtt_events *events, void *ctx,
                                        struct pst_mqtt **mqtt, char *why, size_t why_cap);
/* Returns the id that `subscribed` or `undelivered` will pass; negative: the connection is down. */
int pst_mqtt_subscribe(struct pst_mqtt *m, const char *topic);
/* `expiry_s` 0: never. */
int pst_mqtt_publish(struct pst_mqtt *m, const char *topic, const void *bytes, size_t len, int qos,
                     bool retained, uint32_t expiry_s);
/* Disconnects once the broker has acknowledged everything, or after a second. The broker then
 * publishes no last will. `down` follows, and nothing else. */
void pst_mqtt_close(struct pst_mqtt *m);

#endif
