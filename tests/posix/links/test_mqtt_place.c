/* How a link through a broker is written, rendezvous ids, and the seal. pst-link: all */
#include "pst_test.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posix/links/mqtt/place.h"
#include "posix/links/table.h"
#include "posix/loop/carrier.h"

static pst_err place(const char *text, struct pst_mqtt_place *p, char why[512])
{
    struct pst_address a;

    memset(p, 0, sizeof *p);
    why[0] = '\0';
    const pst_err err = pst_address_parse(&a, pst_schemes, text, why, 512);
    return err == PST_OK ? pst_mqtt_place(&a, p, why, 512) : err;
}

static void test_written(void **state)
{
    struct pst_mqtt_place p;
    char why[512];

    (void)state;
    CHECK_EQ(place("mqtt:broker.example/Acme:Pump:0042", &p, why), PST_OK);
    CHECK(strcmp(p.host, "broker.example") == 0 && p.port == 1883 && !p.tls);
    CHECK(strcmp(p.device, "Acme:Pump:0042") == 0 && strcmp(p.prefix, "postern/1") == 0);
    CHECK_EQ(place("mqtt-listen:[::1]:99/A%2C%25/b:C,cafile=x.pem,prefix=a/b", &p, why), PST_OK);
    CHECK(strcmp(p.host, "::1") == 0 && p.port == 99 && p.tls && strcmp(p.prefix, "a/b") == 0);
    CHECK(strcmp(p.device, "A,%/b:C") == 0 && strcmp(p.broker, "[::1]:99") == 0);
    CHECK_EQ(place("mqtt:h/D,tls=system", &p, why), PST_OK);
    CHECK(p.tls && p.port == 8883);
    CHECK_EQ(place("mqtt:h/D,user=u,passfile=f,cafile=c,cert=e,key=k,secret=s", &p, why), PST_OK);
}

static void test_written_wrong(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"mqtt:h",                   "no device id"             },
        {"mqtt:h/",                  "no device id"             },
        {"mqtt:h:x/D",               "port"                     },
        {"mqtt:h/D%2",               "two hexadecimal digits"   },
        {"mqtt:h/D%00",              "two hexadecimal digits"   },
        {"mqtt:h/D%",                "two hexadecimal digits"   },
        {"mqtt:h/D,cert=c",          "belong together"          },
        {"mqtt:h/D,cert=c,key=k",    "need cafile or tls"       },
        {"mqtt:h/D,tls=yes",         "'system'"                 },
        {"mqtt:h/D,prefix=a/#",      "without + and #"          },
        {"mqtt:h/D,prefix=$SYS",     "not beginning with $"     },
        {"mqtt:h/D,passfile=f",      "needs user"               },
        {"mqtt:h/D,password=geheim", "unknown option 'password'"},
        {"mqtt:h/D,secret",          "no value"                 },
    };
    struct pst_mqtt_place p;
    char why[512], longer[300] = "mqtt:h/";

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_EQ(place(cases[i].text, &p, why), PST_ERR_DECODE);
        if (strstr(why, cases[i].says) == NULL) {
            fprintf(stderr, "%s: %s\n", cases[i].text, why);
        }
        CHECK(strstr(why, cases[i].says) != NULL);
    }
    memset(longer + 7, 'x', PST_MAX_NAME);
    CHECK_EQ(place(longer, &p, why), PST_ERR_DECODE);
    CHECK(strstr(why, "too long") != NULL);
    snprintf(longer, sizeof longer, "mqtt:h/D,secret=%0*d", PST_MQTT_PATH, 1);
    CHECK_EQ(place(longer, &p, why), PST_ERR_DECODE); /* and not: without one */
    CHECK(strstr(why, "at most 255") != NULL);
}

static void put(const char *path, const char *text, mode_t mode)
{
    FILE *f = fopen(path, "w");

    CHECK(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0 && chmod(path, mode) == 0);
}

static void test_secret(void **state)
{
    char dir[] = "/tmp/postern-place.XXXXXX", why[512], path[64], line[PST_MQTT_SECRET_MOST + 3];
    struct pst_mqtt_place p = {.port = 1};
    struct pst_mqtt_secret s;

    (void)state;
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/secret", dir);
    CHECK_EQ(pst_mqtt_secret(&p, &s, why, sizeof why), PST_OK); /* none */
    CHECK_EQ(s.len, 0);
    snprintf(p.secret, sizeof p.secret, "%s", path);
    CHECK_EQ(pst_mqtt_secret(&p, &s, why, sizeof why), PST_ERR_IO);
    put(path, "0123456789abcdef0123456789abcdef\nmore\n", 0600);
    CHECK_EQ(pst_mqtt_secret(&p, &s, why, sizeof why), PST_OK);
    CHECK_EQ(s.len, 32);
    put(path, "0123456789abcdef0123456789abcdef\n", 0640);
    CHECK_EQ(pst_mqtt_secret(&p, &s, why, sizeof why), PST_ERR_IO);
    CHECK(strstr(why, "other users can read") != NULL && s.len == 0);
    put(path, "too short\n", 0600);
    CHECK_EQ(pst_mqtt_secret(&p, &s, why, sizeof why), PST_ERR_IO);
    CHECK(strstr(why, "guessed") != NULL && s.len == 0);
    memset(line, 'x', sizeof line); /* cut off it would be another password, or another secret */
    line[PST_MQTT_SECRET_MOST] = '\n';
    line[PST_MQTT_SECRET_MOST + 2] = '\0';
    put(path, line, 0600);
    CHECK_EQ(pst_mqtt_secret(&p, &s, why, sizeof why), PST_OK);
    CHECK_EQ(s.len, PST_MQTT_SECRET_MOST);
    line[PST_MQTT_SECRET_MOST] = 'x';
    put(path, line, 0600);
    CHECK_EQ(pst_mqtt_secret(&p, &s, why, sizeof why), PST_ERR_IO);
    CHECK(strstr(why, "longer than 256") != NULL && s.len == 0);
    CHECK(unlink(path) == 0 && rmdir(dir) == 0);
}

/* The values come from another implementation of the two hashes. */
static void test_ids(void **state)
{
    struct pst_mqtt_secret s = {.len = 0};
    char id[PST_MQTT_ID], topic[PST_MQTT_TOPIC];

    (void)state;
    CHECK_EQ(pst_mqtt_id(&s, "Acme:Pump:0042", id), PST_OK);
    CHECK(strcmp(id, "8e13f58f604b1532882683ffb0bf9855") == 0);
    pst_mqtt_topic("postern/1", id, topic);
    CHECK(strcmp(topic, "postern/1/8e/8e13f58f604b1532882683ffb0bf9855") == 0);
    s.len = 32;
    memcpy(s.bytes, "0123456789abcdef0123456789abcdef", 32);
    CHECK_EQ(pst_mqtt_id(&s, "Acme:Pump:0042", id), PST_OK);
    CHECK(strcmp(id, "7edbf73efb07e9418d42b293e3026354") == 0);
}

static pst_err sealed(struct pst_mqtt_seal *a, struct pst_mqtt_seal *b, bool up_a, bool up_b,
                      uint64_t number_b, size_t flip)
{
    uint8_t message[3 + 5 + PST_BROKER_TAG] = "\xb3hdhello";
    const struct pst_bytes head = {message, 3};

    CHECK_EQ(a->ops.seal(a, up_a, 0xB3, 7, head, message + 3, 5, message + 8), PST_OK);
    CHECK(memcmp(message + 3, "hello", 5) != 0);
    if (flip < sizeof message) {
        message[flip] ^= 1;
    }
    const pst_err err = b->ops.open(b, up_b, 0xB3, number_b, head, message + 3, 5, message + 8);
    if (err == PST_OK) {
        CHECK_BYTES(message + 3, "hello", 5);
    }
    return err;
}

static void test_seal(void **state)
{
    static const uint8_t call[PST_BROKER_ID] = "the call", nonce[PST_BROKER_ID] = "the nonce";
    const struct pst_mqtt_secret s = {.bytes = "0123456789abcdef", .len = 16},
                                 other = {.bytes = "0123456789abcdeX", .len = 16};
    struct pst_mqtt_seal a, b;

    (void)state;
    pst_mqtt_seal_init(&a, &s, "8e13f58f604b1532882683ffb0bf9855");
    pst_mqtt_seal_init(&b, &s, "8e13f58f604b1532882683ffb0bf9855");
    CHECK_EQ(a.ops.key(&a, call, nonce), PST_OK);
    CHECK_EQ(b.ops.key(&b, call, nonce), PST_OK);
    CHECK_EQ(sealed(&a, &b, true, true, 7, SIZE_MAX), PST_OK);
    CHECK_EQ(sealed(&a, &b, false, false, 7, SIZE_MAX), PST_OK);
    CHECK_EQ(sealed(&a, &b, true, false, 7, SIZE_MAX), PST_ERR_AUTH); /* reflected */
    CHECK_EQ(sealed(&a, &b, true, true, 8, SIZE_MAX), PST_ERR_AUTH);
    for (size_t at = 0; at < 3 + 5 + PST_BROKER_TAG; at++) {
        CHECK_EQ(sealed(&a, &b, true, true, 7, at), PST_ERR_AUTH);
    }
    CHECK_EQ(b.ops.key(&b, nonce, nonce), PST_OK); /* another call, another nonce, none */
    CHECK_EQ(sealed(&a, &b, true, true, 7, SIZE_MAX), PST_ERR_AUTH);
    CHECK_EQ(b.ops.key(&b, call, call), PST_OK);
    CHECK_EQ(sealed(&a, &b, true, true, 7, SIZE_MAX), PST_ERR_AUTH);
    CHECK_EQ(b.ops.key(&b, call, NULL), PST_OK);
    CHECK_EQ(sealed(&a, &b, true, true, 7, SIZE_MAX), PST_ERR_AUTH);
    pst_mqtt_seal_wipe(&b); /* another device; another secret */
    pst_mqtt_seal_init(&b, &s, "9e13f58f604b1532882683ffb0bf9855");
    CHECK_EQ(b.ops.key(&b, call, nonce), PST_OK);
    CHECK_EQ(sealed(&a, &b, true, true, 7, SIZE_MAX), PST_ERR_AUTH);
    pst_mqtt_seal_wipe(&b);
    pst_mqtt_seal_init(&b, &other, "8e13f58f604b1532882683ffb0bf9855");
    CHECK_EQ(b.ops.key(&b, call, nonce), PST_OK);
    CHECK_EQ(sealed(&a, &b, true, true, 7, SIZE_MAX), PST_ERR_AUTH);
    pst_mqtt_seal_wipe(&a);
    pst_mqtt_seal_wipe(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written), cmocka_unit_test(test_written_wrong),
        cmocka_unit_test(test_secret),  cmocka_unit_test(test_ids),
        cmocka_unit_test(test_seal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
