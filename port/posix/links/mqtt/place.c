#include "posix/links/mqtt/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "openssl/openssl_port.h"
#include "posix/loop/carrier.h"

#define AEAD_KEY 32

static const char *const keys[] = {"secret", "prefix", "cafile",   "tls", "cert",
                                   "key",    "user",   "passfile", NULL};

/* --- the text --- */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static pst_err take_device(const struct pst_address *a, const char *text, char *out, char *why,
                           size_t why_cap)
{
    size_t n = 0;

    for (; *text != '\0' && n + 1 < PST_MAX_NAME; text++) {
        int high = 0, low = 0;
        if (*text == '%' && ((high = hex_digit(text[1])) < 0 || (low = hex_digit(text[2])) < 0 ||
                             (high == 0 && low == 0))) {
            return pst_address_bad(a, "'%' in the device id needs two hexadecimal digits", why,
                                   why_cap);
        }
        out[n++] = (char)(*text == '%' ? high << 4 | low : *text);
        text += *text == '%' ? 2 : 0;
    }
    out[n] = '\0';
    if (*text != '\0') {
        return pst_address_bad(a, "the device id is too long", why, why_cap);
    }
    return n > 0 ? PST_OK : pst_address_bad(a, "no device id", why, why_cap);
}

static pst_err take_options(const struct pst_address *a, struct pst_mqtt_place *p, char *why,
                            size_t why_cap)
{
    char tls[16];
    const struct {
        const char *key;
        char *out;
        size_t cap;
    } texts[] = {
        {"secret",   p->secret,   sizeof p->secret  },
        {"cafile",   p->cafile,   sizeof p->cafile  },
        {"cert",     p->cert,     sizeof p->cert    },
        {"key",      p->key,      sizeof p->key     },
        {"user",     p->user,     sizeof p->user    },
        {"passfile", p->passfile, sizeof p->passfile},
        {"prefix",   p->prefix,   sizeof p->prefix  },
        {"tls",      tls,         sizeof tls        },
    };

    PST_TRY(pst_address_options(a, keys, why, why_cap));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        PST_TRY(pst_address_string(a, texts[i].key, texts[i].out, texts[i].cap, why, why_cap));
    }
    if (p->prefix[0] == '\0') {
        snprintf(p->prefix, sizeof p->prefix, "%s", PST_BROKER_PREFIX);
    }
    if (tls[0] != '\0' && strcmp(tls, "system") != 0) {
        return pst_address_bad(a, "tls: expected 'system', or cafile=FILE", why, why_cap);
    }
    p->tls = tls[0] != '\0' || p->cafile[0] != '\0';
    if (strpbrk(p->prefix, "+#") != NULL || p->prefix[0] == '$') {
        return pst_address_bad(a, "prefix: expected a topic without + and #, not beginning with $",
                               why, why_cap);
    }
    if ((p->cert[0] == '\0') != (p->key[0] == '\0') || (p->cert[0] != '\0' && !p->tls)) {
        return pst_address_bad(a, "cert and key belong together, and need cafile or tls", why,
                               why_cap);
    }
    if (p->passfile[0] != '\0' && p->user[0] == '\0') {
        return pst_address_bad(a, "passfile needs user", why, why_cap);
    }
    return PST_OK;
}

pst_err pst_mqtt_place(const struct pst_address *a, struct pst_mqtt_place *p, char *why,
                       size_t why_cap)
{
    struct pst_address where = *a;
    char *slash = strchr(where.place, '/');

    memset(p, 0, sizeof *p);
    if (slash == NULL) {
        return pst_address_bad(a, "no device id", why, why_cap);
    }
    *slash = '\0';
    PST_TRY(take_options(a, p, why, why_cap));
    PST_TRY(take_device(a, slash + 1, p->device, why, why_cap));
    PST_TRY(pst_address_host(&where, p->tls ? PST_MQTT_TLS_PORT : PST_MQTT_PORT, why, why_cap));
    snprintf(p->host, sizeof p->host, "%s", where.host);
    p->port = (uint16_t)strtoul(where.port, NULL, 10);
    snprintf(p->broker, sizeof p->broker, strchr(p->host, ':') != NULL ? "[%s]:%u" : "%s:%u",
             p->host, p->port);
    return PST_OK;
}

bool pst_mqtt_names(const struct pst_address *a, const char *device)
{
    struct pst_mqtt_place p;
    char why[PST_ADDRESS_TEXT];

    return pst_mqtt_place(a, &p, why, sizeof why) == PST_OK && strcmp(p.device, device) == 0;
}

pst_err pst_mqtt_check(struct pst_address *a, char *why, size_t why_cap)
{
    struct pst_mqtt_place p;
    return pst_mqtt_place(a, &p, why, why_cap);
}

/* --- files --- */

pst_err pst_mqtt_line(const char *path, char *out, size_t cap, char *why, size_t why_cap)
{
    struct stat st;
    char next;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    out[0] = '\0';
    if (fd < 0 || fstat(fd, &st) != 0) {
        snprintf(why, why_cap, "%s: %s", path, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return PST_ERR_IO;
    }
    ssize_t n = read(fd, out, cap - 1);
    out[n > 0 ? n : 0] = '\0';
    const bool whole =
        strpbrk(out, "\r\n") != NULL || read(fd, &next, 1) != 1 || next == '\r' || next == '\n';
    close(fd);
    out[strcspn(out, "\r\n")] = '\0';
    if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        pst_wipe(out, cap);
        snprintf(why, why_cap, "%s: other users can read it; run chmod 600 on it", path);
        return PST_ERR_IO;
    }
    if (n < 0 || out[0] == '\0') {
        snprintf(why, why_cap, "%s: empty, or cannot be read", path);
        return PST_ERR_IO;
    }
    if (!whole) {
        pst_wipe(out, cap);
        snprintf(why, why_cap, "%s: the first line is longer than %zu characters", path, cap - 1);
        return PST_ERR_IO;
    }
    return PST_OK;
}

pst_err pst_mqtt_secret(const struct pst_mqtt_place *p, struct pst_mqtt_secret *s, char *why,
                        size_t why_cap)
{
    char line[PST_MQTT_SECRET_MOST + 1];

    memset(s, 0, sizeof *s);
    if (p->secret[0] == '\0') {
        return PST_OK;
    }
    PST_TRY(pst_mqtt_line(p->secret, line, sizeof line, why, why_cap));
    s->len = strlen(line);
    memcpy(s->bytes, line, s->len);
    pst_wipe(line, sizeof line);
    if (s->len < PST_MQTT_SECRET_LEAST) {
        pst_wipe(s, sizeof *s);
        snprintf(why, why_cap, "%s: a secret of fewer than %d characters can be guessed", p->secret,
                 PST_MQTT_SECRET_LEAST);
        return PST_ERR_IO;
    }
    return PST_OK;
}

/* --- names --- */

void pst_mqtt_hex(const uint8_t *bytes, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * len] = '\0';
}

pst_err pst_mqtt_id(const struct pst_mqtt_secret *s, const char *device, char id[PST_MQTT_ID])
{
    static const char label[] = "postern rendezvous 1"; /* its NUL counts */
    const struct pst_crypto *c = pst_openssl_crypto();
    uint8_t text[sizeof label + PST_MAX_NAME], digest[PST_MAX_HASH];
    const size_t len = sizeof label + strnlen(device, PST_MAX_NAME);

    memcpy(text, label, sizeof label);
    memcpy(text + sizeof label, device, len - sizeof label);
    if (s->len > 0) {
        PST_TRY(c->hmac(c->ctx, PST_SHA256, s->bytes, s->len, text, len, digest));
    } else {
        PST_TRY(pst_hash_once(c, PST_SHA256, text, len, digest));
    }
    pst_mqtt_hex(digest, (PST_MQTT_ID - 1) / 2, id);
    return PST_OK;
}

void pst_mqtt_topic(const char *prefix, const char *id, char topic[PST_MQTT_TOPIC])
{
    snprintf(topic, PST_MQTT_TOPIC, "%s/%.2s/%s", prefix, id, id);
}

/* --- the seal --- */

static pst_err derive(struct pst_mqtt_seal *seal, const uint8_t *prk, const char *way,
                      struct pst_aead *aead, uint8_t key[AEAD_KEY])
{
    const struct pst_crypto *c = pst_openssl_crypto();
    char info[PST_MAX_INFO];
    const int len = snprintf(info, sizeof info, "postern broker %s %s", way, seal->id);

    PST_TRY(pst_hkdf_expand(c, PST_SHA256, prk, (const uint8_t *)info, (size_t)len, key, AEAD_KEY));
    c->aead_wipe(c->ctx, aead);
    return c->aead_init(c->ctx, aead, PST_AES_256_GCM, key);
}

static pst_err set_keys(void *ctx, const uint8_t caller[PST_BROKER_ID],
                        const uint8_t listener[PST_BROKER_ID])
{
    const struct pst_crypto *c = pst_openssl_crypto();
    struct pst_mqtt_seal *seal = ctx;
    uint8_t salt[2 * PST_BROKER_ID] = {0}, prk[PST_MAX_HASH], key[AEAD_KEY];

    memcpy(salt, caller, PST_BROKER_ID);
    if (listener != NULL) {
        memcpy(salt + PST_BROKER_ID, listener, PST_BROKER_ID);
    }
    pst_err err = pst_hkdf_extract(c, PST_SHA256, salt, sizeof salt, seal->secret.bytes,
                                   seal->secret.len, prk);
    if (err == PST_OK) {
        err = derive(seal, prk, "up", &seal->up, key);
    }
    if (err == PST_OK) {
        err = derive(seal, prk, "down", &seal->down, key);
    }
    pst_wipe(prk, sizeof prk);
    pst_wipe(key, sizeof key);
    return err;
}

/* (type, number) comes once in each direction of a connection, and its keys are its own. */
static void make_iv(uint8_t iv[PST_IV_LEN], uint8_t type, uint64_t number)
{
    memset(iv, 0, PST_IV_LEN);
    iv[0] = type;
    pst_poke_u64(iv + PST_IV_LEN - 8, number);
}

static pst_err seal_it(void *ctx, bool up, uint8_t type, uint64_t number, struct pst_bytes head,
                       uint8_t *data, size_t len, uint8_t tag[PST_BROKER_TAG])
{
    const struct pst_crypto *c = pst_openssl_crypto();
    struct pst_mqtt_seal *seal = ctx;
    uint8_t iv[PST_IV_LEN];

    make_iv(iv, type, number);
    return c->aead_seal(c->ctx, up ? &seal->up : &seal->down, iv, head.at, head.len, data, len,
                        tag);
}

static pst_err open_it(void *ctx, bool up, uint8_t type, uint64_t number, struct pst_bytes head,
                       uint8_t *data, size_t len, const uint8_t tag[PST_BROKER_TAG])
{
    const struct pst_crypto *c = pst_openssl_crypto();
    struct pst_mqtt_seal *seal = ctx;
    uint8_t iv[PST_IV_LEN];

    make_iv(iv, type, number);
    return c->aead_open(c->ctx, up ? &seal->up : &seal->down, iv, head.at, head.len, data, len,
                        tag);
}

void pst_mqtt_seal_init(struct pst_mqtt_seal *seal, const struct pst_mqtt_secret *s,
                        const char id[PST_MQTT_ID])
{
    memset(seal, 0, sizeof *seal);
    seal->ops =
        (struct pst_broker_seal){.ctx = seal, .key = set_keys, .seal = seal_it, .open = open_it};
    seal->secret = *s;
    memcpy(seal->id, id, PST_MQTT_ID);
}

void pst_mqtt_seal_wipe(struct pst_mqtt_seal *seal)
{
    const struct pst_crypto *c = pst_openssl_crypto();

    c->aead_wipe(c->ctx, &seal->up);
    c->aead_wipe(c->ctx, &seal->down);
    pst_wipe(seal, sizeof *seal);
}
