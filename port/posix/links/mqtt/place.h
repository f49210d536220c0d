/* Where a link through a message broker goes, and the names and keys that follow from it.
 *
 *     mqtt:HOST:PORT/DEVICE[,secret=FILE][,prefix=TOPIC][,cafile=FILE|,tls=system][,cert=FILE,
 *          key=FILE][,user=NAME,passfile=FILE]
 *
 * DEVICE is a device id, Manufacturer:Product:Serial; a comma or a percent sign in it is written
 * %2C or %25. PORT is 1883 when left out, or 8883 with TLS (cafile or tls).
 *
 * **What the broker sees.** Topics hold a *rendezvous id* in place of the device id: 16 bytes of
 * HMAC-SHA-256 under the fleet's secret; whoever does not have the secret learns nothing from it
 * but that it is the same device as yesterday. Without a secret it is SHA-256: nobody reads the
 * device id from it, but whoever can guess one (serial numbers are easily counted through) can
 * check the guess. Under the secret the link's bytes are encrypted once more, AES-256-GCM with keys
 * of this one connection: the device's certificates, which SPDM sends before there is a session,
 * pass in the clear otherwise.
 *
 * A secret authenticates nobody: every owner of it can do as much. Who the peer is, is found out by
 * SPDM in both cases.
 */
#ifndef POSTERN_POSIX_LINKS_MQTT_PLACE_H
#define POSTERN_POSIX_LINKS_MQTT_PLACE_H

#include "posix/loop/address.h"
#include "postern/cert.h"
#include "postern/crypto.h"
#include "postern/links/broker.h"

#define PST_MQTT_PORT 1883
#define PST_MQTT_TLS_PORT 8883
#define PST_MQTT_TOPIC 192
#define PST_MQTT_PATH 256
#define PST_MQTT_ID 33 /* rendezvous id in hex, NUL included */
#define PST_MQTT_SECRET_LEAST 16
#define PST_MQTT_SECRET_MOST 256

struct pst_mqtt_place {
    char host[256];
    uint16_t port;
    char broker[280]; /* HOST:PORT, for messages */
    char device[PST_MAX_NAME];
    char prefix[64];
    char cafile[PST_MQTT_PATH], cert[PST_MQTT_PATH], key[PST_MQTT_PATH];
    char user[64], passfile[PST_MQTT_PATH], secret[PST_MQTT_PATH];
    bool tls;
};
/* PST_ERR_DECODE with `why`. Checks the text only. */
PST_MUST_CHECK pst_err pst_mqtt_place(const struct pst_address *a, struct pst_mqtt_place *p,
                                      char *why, size_t why_cap);
/* Is the address well-formed? `check` of a scheme. */
pst_err pst_mqtt_check(struct pst_address *a, char *why, size_t why_cap);

/* Is this the device of the address? `names` of a scheme. */
bool pst_mqtt_names(const struct pst_address *a, const char *device);

/* The fleet's secret; wipe it after use. `len` 0: none. */
struct pst_mqtt_secret {
    uint8_t bytes[PST_MQTT_SECRET_MOST];
    size_t len;
};
/* The first line of a file that only its owner can read. PST_ERR_IO with `why`. */
PST_MUST_CHECK pst_err pst_mqtt_line(const char *path, char *out, size_t cap, char *why,
                                     size_t why_cap);
/* The secret of `p`, if it names one. PST_ERR_IO with `why`. */
PST_MUST_CHECK pst_err pst_mqtt_secret(const struct pst_mqtt_place *p, struct pst_mqtt_secret *s,
                                       char *why, size_t why_cap);
PST_MUST_CHECK pst_err pst_mqtt_id(const struct pst_mqtt_secret *s, const char *device,
                                   char id[PST_MQTT_ID]);
/* PREFIX/SS/ID, where SS are the first two digits of ID: a large fleet can be listed in 256 parts,
   one at a time. */
void pst_mqtt_topic(const char *prefix, const char *id, char topic[PST_MQTT_TOPIC]);
void pst_mqtt_hex(const uint8_t *bytes, size_t len, char *out); /* 2 × len digits and NUL */

/* The seal of one connection (postern/broker.h) with the OpenSSL port. */
struct pst_mqtt_seal {
    struct pst_broker_seal ops;
    struct pst_mqtt_secret secret;
    char id[PST_MQTT_ID];
    struct pst_aead up, down;
};
void pst_mqtt_seal_init(struct pst_mqtt_seal *seal, const struct pst_mqtt_secret *s,
                        const char id[PST_MQTT_ID]);
void pst_mqtt_seal_wipe(struct pst_mqtt_seal *seal);

#endif
