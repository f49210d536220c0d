/* Reads a recorded session and decides whether it is in scope. */
#include "case.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *p)
{
    if (p == NULL) {
        fputs("replay: out of memory\n", stderr);
        exit(2);
    }
    return p;
}

void blob_add(struct blob *b, const void *at, size_t len)
{
    if (b->cap - b->len < len) {
        b->cap = 2 * b->cap + len;
        b->at = must(realloc(b->at, b->cap));
    }
    if (len > 0) {
        memcpy(b->at + b->len, at, len);
    }
    b->len += len;
}

void blob_put(struct blob *b, struct pst_bytes bytes)
{
    blob_add(b, bytes.at, bytes.len);
}

void blob_clear(struct blob *b)
{
    b->len = 0;
}

void blob_free(struct blob *b)
{
    free(b->at);
    *b = (struct blob){NULL, 0, 0};
}

bool case_fail(struct recording *c, const char *format, ...)
{
    va_list args;

    if (c->why[0] != '\0') {
        return false;
    }
    va_start(args, format);
    (void)vsnprintf(c->why, sizeof c->why, format, args);
    va_end(args);
    return false;
}

static void *own(struct recording *c, size_t count, size_t size)
{
    void *p = must(calloc(count + 1, size));

    c->owned = must(realloc(c->owned, (c->owned_count + 1) * sizeof *c->owned));
    c->owned[c->owned_count++] = p;
    return p;
}

void case_free(struct recording *c)
{
    for (size_t i = 0; i < c->owned_count; i++) {
        free(c->owned[i]);
    }
    free(c->owned);
    json_decref(c->json);
    *c = (struct recording){.json = NULL};
}

static int nibble(char ch)
{
    const char *digits = "0123456789abcdef";
    const char *at = ch != '\0' ? strchr(digits, ch) : NULL;

    return at != NULL ? (int)(at - digits) : -1;
}

static struct pst_bytes hex_of(struct recording *c, const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    struct pst_bytes bytes = {NULL, 0};

    if (text == NULL) {
        return bytes;
    }
    bytes.len = strlen(text) / 2;
    if (strlen(text) % 2 != 0) {
        (void)case_fail(c, "%s has an odd number of digits", key);
    }
    uint8_t *out = own(c, bytes.len, 1);
    for (size_t i = 0; i < bytes.len; i++) {
        int high = nibble(text[2 * i]);
        int low = nibble(text[2 * i + 1]);

        if (high < 0 || low < 0) {
            (void)case_fail(c, "%s is not lower-case hex", key);
        }
        out[i] = (uint8_t)(high << 4 | low);
    }
    bytes.at = out;
    return bytes;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

static int int_of(const json_t *object, const char *key)
{
    return (int)json_integer_value(json_object_get(object, key));
}

static uint32_t flags_of(const json_t *object, const char *key)
{
    return (uint32_t)strtoul(text_of(object, key), NULL, 16);
}

struct named {
    const char *name;
    int id;
};

/* The id of a name, -1 when it is not one that is supported. */
static int lookup(const struct named *rows, const char *name)
{
    for (; rows->name != NULL; rows++) {
        if (strcmp(rows->name, name) == 0) {
            return rows->id;
        }
    }
    return -1;
}

static const struct named hashes[] = {
    {"sha256", PST_SHA256},
    {"sha384", PST_SHA384},
    {NULL,     0         }
};
static const struct named sigs[] = {
    {"ECDSA_P256", PST_ECDSA_P256},
    {"ECDSA_P384", PST_ECDSA_P384},
    {"ED25519",    PST_ED25519   },
    {NULL,         0             }
};
static const struct named dhs[] = {
    {"SECP_256_R1", PST_SECP256R1},
    {"SECP_384_R1", PST_SECP384R1},
    {NULL,          0            }
};
static const struct named aeads[] = {
    {"AES_128_GCM",       PST_AES_128_GCM      },
    {"AES_256_GCM",       PST_AES_256_GCM      },
    {"CHACHA20_POLY1305", PST_CHACHA20_POLY1305},
    {NULL,                0                    }
};
static const struct named bindings[] = {
    {"MCTP",    BINDING_MCTP},
    {"PCI_DOE", BINDING_DOE },
    {"TCP",     BINDING_TCP },
    {"NONE",    BINDING_NONE},
    {NULL,      0           }
};

/* Messages that Postern does not support yet. */
static const char *const foreign[] = {
    "PSK_EXCHANGE",
    "PSK_FINISH",
    "CHUNK_SEND",
    "CHUNK_GET",
    "GET_CSR",
    "SET_CERTIFICATE",
    "GET_MEASUREMENT_EXTENSION_LOG",
    "GET_ENDPOINT_INFO",
    "GET_KEY_PAIR_INFO",
    "SET_KEY_PAIR_INFO",
    "GET_SUPPORTED_EVENT_TYPES",
    "SUBSCRIBE_EVENT_TYPES",
    "SEND_EVENT",
    "SLOT_MANAGEMENT",
    "RESPOND_IF_READY",
};

static void out_of_scope(struct recording *c, const char *what, const char *value)
{
    char *text = own(c, 96, 1);

    if (c->scope != NULL) {
        return;
    }
    (void)snprintf(text, 96, "%s %s", what, value);
    c->scope = text;
}

static int algorithm(struct recording *c, const json_t *algorithms, const char *key,
                     const struct named *rows)
{
    const char *name = text_of(algorithms, key);
    int id = lookup(rows, name);

    if (id < 0) {
        out_of_scope(c, key, name[0] != '\0' ? name : "none");
    }
    return id < 0 ? 0 : id;
}

static void load_messages(struct recording *c)
{
    const json_t *list = json_object_get(c->json, "messages");
    const json_t *item;
    size_t i;

    c->message_count = json_array_size(list);
    c->messages = own(c, c->message_count, sizeof *c->messages);
    json_array_foreach(list, i, item)
    {
        struct message *m = &c->messages[i];

        m->n = int_of(item, "n");
        m->request = strcmp(text_of(item, "dir"), "req") == 0;
        m->secured = json_is_integer(json_object_get(item, "session_id"));
        m->name = text_of(item, "name");
        m->wire = hex_of(c, item, "wire_hex");
        m->spdm = hex_of(c, item, "spdm_hex");
        m->app = hex_of(c, item, "app_hex");
        for (size_t f = 0; f < sizeof foreign / sizeof foreign[0]; f++) {
            if (strcmp(foreign[f], m->name) == 0) {
                out_of_scope(c, "message", m->name);
            }
        }
    }
}

static void load_secrets(struct recording *c)
{
    const json_t *list = json_object_get(c->json, "secrets");
    const json_t *item;
    size_t i;

    c->secret_count = json_array_size(list);
    c->secrets = own(c, c->secret_count, sizeof *c->secrets);
    json_array_foreach(list, i, item) c->secrets[i] =
        (struct secret){.session = int_of(item, "session"),
                        .name = text_of(item, "name"),
                        .value = hex_of(c, item, "hex")};
}

static void load_signatures(struct recording *c)
{
    const json_t *list = json_object_get(c->json, "signatures");
    const json_t *item;
    size_t i;

    c->signature_count = json_array_size(list);
    c->signatures = own(c, c->signature_count, sizeof *c->signatures);
    json_array_foreach(list, i, item) c->signatures[i] =
        (struct signature){.message = int_of(item, "message"),
                           .responder = strcmp(text_of(item, "signer"), "responder") == 0,
                           .slot = int_of(item, "slot"),
                           .purpose = text_of(item, "purpose"),
                           .hash = hex_of(c, item, "transcript_hash"),
                           .value = hex_of(c, item, "signature")};
}

static void load_parties(struct recording *c)
{
    const json_t *certs = json_object_get(c->json, "certificates");
    const json_t *flags = json_object_get(c->json, "capabilities");

    c->responder_chain[0] = hex_of(c, certs, "responder_chain_hex");
    c->responder_chain[1] = hex_of(c, certs, "responder_chain_slot1_hex");
    c->responder_chain[4] = hex_of(c, certs, "responder_chain_slot4_hex");
    c->requester_chain = hex_of(c, certs, "requester_chain_hex");
    c->responder_public_key = hex_of(c, certs, "responder_public_key_hex");
    c->all_record = hex_of(c, json_object_get(c->json, "measurements"), "all_record_hex");
    c->requester_flags = flags_of(flags, "requester_flags");
    c->responder_flags = flags_of(flags, "responder_flags");
    c->clear_handshake = json_is_true(json_object_get(flags, "handshake_in_the_clear"));
    c->encrypt = json_is_true(json_object_get(flags, "encrypt"));
}

static void load_algorithms(struct recording *c)
{
    const json_t *a = json_object_get(c->json, "algorithms");

    c->hash = (pst_hash_id)algorithm(c, a, "base_hash", hashes);
    c->sig = (pst_sig_id)algorithm(c, a, "responder_asym", sigs);
    c->peer_sig = (pst_sig_id)algorithm(c, a, "requester_asym", sigs);
    c->dh = (pst_dh_id)algorithm(c, a, "dhe", dhs);
    c->aead = (pst_aead_id)algorithm(c, a, "aead", aeads);
    c->multi_key_rsp = json_is_true(json_object_get(a, "multi_key_conn_rsp"));
    c->multi_key_req = json_is_true(json_object_get(a, "multi_key_conn_req"));
    uint32_t bits = flags_of(a, "measurement_hash_bits");
    c->measurement_hash = bits == pst_measurement_hash_bit(PST_SHA256)   ? PST_SHA256
                          : bits == pst_measurement_hash_bit(PST_SHA384) ? PST_SHA384
                                                                         : PST_HASH_NONE;
}

/* Requests and responses take turns: the replay relies on it. */
static bool takes_turns(struct recording *c)
{
    for (size_t i = 0; i < c->message_count; i++) {
        if (c->messages[i].request != (i % 2 == 0)) {
            return case_fail(c, "message %zu is not a %s", i, i % 2 == 0 ? "request" : "response");
        }
    }
    return c->message_count % 2 == 0 || case_fail(c, "the last request has no response");
}

bool case_load(struct recording *c, const char *path)
{
    json_error_t error;

    *c = (struct recording){.json = json_load_file(path, 0, &error)};
    c->name = text_of(c->json, "case");
    if (c->json == NULL) {
        return case_fail(c, "line %d: %s", error.line, error.text);
    }
    const char *version = text_of(c->json, "spdm_version");
    int binding = lookup(bindings, text_of(c->json, "transport"));
    if (c->name[0] == '\0' || strncmp(version, "1.", 2) != 0 || binding < 0) {
        return case_fail(c, "no case, spdm_version or known transport in it");
    }
    c->binding = (binding_id)binding;
    c->minor = (uint8_t)strtoul(version + 2, NULL, 10);
    if (c->minor != 2 && c->minor != 3) {
        out_of_scope(c, "SPDM", version);
    }
    load_algorithms(c);
    load_messages(c);
    load_secrets(c);
    load_signatures(c);
    load_parties(c);
    return takes_turns(c) && c->why[0] == '\0';
}

struct secret *case_secret(struct recording *c, int session, const char *name, int nth)
{
    for (size_t i = 0; i < c->secret_count; i++) {
        struct secret *s = &c->secrets[i];

        if (s->session == session && strcmp(s->name, name) == 0 && nth-- == 0) {
            return s;
        }
    }
    return NULL;
}
