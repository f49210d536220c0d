/* mqtt: the scheme. */
#include "posix/links/mqtt/hub.h"

const struct pst_scheme pst_scheme_mqtt = {
    .name = "mqtt",
    .form = "mqtt:HOST:PORT/DEVICE[,secret=FILE][,cafile=FILE][,cert=FILE,key=FILE][,user=NAME]",
    .summary = "through an MQTT 5 broker, under an opaque id; port 1883, 8883 with TLS",
    .traits = &pst_broker_traits,
    .check = pst_mqtt_check,
#ifdef PST_WITH_MOSQUITTO
    .names = pst_mqtt_names,
    .connect = pst_mqtt_call,
    .listen = pst_mqtt_listen,
#endif
};
