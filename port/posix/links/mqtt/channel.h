/* The protocol between mqtt.c and the process that runs libmosquitto for it: frames, each one
   packet of a Unix socket (SOCK_SEQPACKET), in the byte order of the machine. The worker reads what
   strangers send, so its frames are parsed as untrusted input. */
#ifndef POSTERN_POSIX_LINKS_MQTT_CHANNEL_H
#define POSTERN_POSIX_LINKS_MQTT_CHANNEL_H

#include <string.h>

#include "posix/links/mqtt/mqtt.h"

#define PST_MQTT_WORKER "mqtt-worker" /* argv[1] */
#define PST_MQTT_TEXT 256
#define PST_MQTT_PAYLOAD PST_BROKER_MESSAGE(PST_BROKER_CHUNK)

enum pst_mqtt_op {
    /* to the worker */
    PST_MQTT_START = 1, /* payload: struct pst_mqtt_start */
    PST_MQTT_SUBSCRIBE, /* id, topic */
    PST_MQTT_PUBLISH,   /* id, qos, flag: retained, expiry_s, topic, payload */
    PST_MQTT_LEAVE,
    /* from it */
    PST_MQTT_UP,
    PST_MQTT_MESSAGE,     /* flag: retained, expiry_s, topic, payload */
    PST_MQTT_SUBSCRIBED,  /* id, flag: granted */
    PST_MQTT_UNDELIVERED, /* id, flag: refused */
    PST_MQTT_DOWN,        /* payload: text */
};

struct pst_mqtt_head {
    uint8_t op, qos, flag, topic_len;
    int32_t id;
    uint32_t expiry_s;
};

struct pst_mqtt_frame {
    struct pst_mqtt_head head;
    char topic[PST_MQTT_TOPIC];
    uint8_t *payload;
    size_t payload_len;
};

struct pst_mqtt_start {
    struct pst_mqtt_place place;
    struct pst_mqtt_will will;
    bool has_will;
    char client[24], password[256];
};

#define PST_MQTT_FRAME_MOST (sizeof(struct pst_mqtt_head) + PST_MQTT_TOPIC + PST_MQTT_PAYLOAD)

/* The frame's length in `out`, of PST_MQTT_FRAME_MOST bytes; 0: topic or payload are too long. */
static inline size_t pst_mqtt_put(const struct pst_mqtt_head *head, const char *topic,
                                  const void *payload, size_t len, uint8_t *out)
{
    const size_t topic_len = topic != NULL ? strlen(topic) : 0;
    struct pst_mqtt_head h = *head;

    if (topic_len >= PST_MQTT_TOPIC || len > PST_MQTT_PAYLOAD) {
        return 0;
    }
    h.topic_len = (uint8_t)topic_len;
    memcpy(out, &h, sizeof h);
    memcpy(out + sizeof h, topic_len > 0 ? topic : "", topic_len);
    if (len > 0) {
        memcpy(out + sizeof h + topic_len, payload, len);
    }
    return sizeof h + topic_len + len;
}

/* PST_ERR_DECODE: not a frame. The payload stays in `bytes`. */
static inline pst_err pst_mqtt_get(uint8_t *bytes, size_t len, struct pst_mqtt_frame *f)
{
    const size_t before = sizeof f->head;

    if (len < before) {
        return PST_ERR_DECODE;
    }
    memcpy(&f->head, bytes, before);
    if (f->head.topic_len >= PST_MQTT_TOPIC || len - before < f->head.topic_len ||
        len - before - f->head.topic_len > PST_MQTT_PAYLOAD) {
        return PST_ERR_DECODE;
    }
    memcpy(f->topic, bytes + before, f->head.topic_len);
    f->topic[f->head.topic_len] = '\0';
    f->payload = bytes + before + f->head.topic_len;
    f->payload_len = len - before - f->head.topic_len;
    return PST_OK;
}

#endif
