#include "posix/loop/address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "posix/loop/carrier.h"

#define LISTEN "-listen"

pst_err pst_address_bad(const struct pst_address *a, const char *what, char *why, size_t why_cap)
{
    snprintf(why, why_cap, "link '%s': %s; expected %s", a->text, what, a->scheme->form);
    return PST_ERR_DECODE;
}

static pst_err unknown(const struct pst_scheme *const *schemes, const char *text, char *why,
                       size_t why_cap)
{
    size_t at =
        (size_t)snprintf(why, why_cap, "link '%.200s': unknown kind of link; expected ", text);
    for (size_t i = 0; schemes[i] != NULL && at < why_cap; i++) {
        at +=
            (size_t)snprintf(why + at, why_cap - at, "%s%s:", i > 0 ? ", " : "", schemes[i]->name);
    }
    if (at < why_cap) {
        (void)snprintf(why + at, why_cap - at, "... (see `postern links`)");
    }
    return PST_ERR_DECODE;
}

/* The scheme named by `text[0..len)`; NULL when there is none. */
static const struct pst_scheme *find_scheme(const struct pst_scheme *const *schemes,
                                            const char *text, size_t len, bool *listen)
{
    const size_t suffix = strlen(LISTEN);

    *listen = len > suffix && memcmp(text + len - suffix, LISTEN, suffix) == 0;
    len -= *listen ? suffix : 0;
    for (size_t i = 0; schemes[i] != NULL; i++) {
        const char *name = schemes[i]->name;
        if (strlen(name) == len && memcmp(name, text, len) == 0) {
            return schemes[i];
        }
    }
    return NULL;
}

pst_err pst_address_parse(struct pst_address *a, const struct pst_scheme *const *schemes,
                          const char *text, char *why, size_t why_cap)
{
    const char *colon = strchr(text, ':');

    memset(a, 0, sizeof *a);
    if (strlen(text) >= sizeof a->text) {
        snprintf(why, why_cap, "link '%.40s...' has %zu characters; expected at most %zu", text,
                 strlen(text), sizeof a->text - 1);
        return PST_ERR_DECODE;
    }
    memcpy(a->text, text, strlen(text) + 1);
    if (colon == NULL) {
        return unknown(schemes, text, why, why_cap);
    }
    a->scheme = find_scheme(schemes, text, (size_t)(colon - text), &a->listen);
    if (a->scheme == NULL) {
        return unknown(schemes, text, why, why_cap);
    }
    const size_t len = strcspn(colon + 1, ",");
    memcpy(a->place, colon + 1, len);
    if (colon[1 + len] == ',') {
        memcpy(a->options, colon + len + 2, strlen(colon + len + 2) + 1);
    }
    return a->scheme->check(a, why, why_cap);
}

pst_err pst_address_parse_socket(struct pst_address *a, const struct pst_scheme *const *schemes,
                                 const char *text, char *why, size_t why_cap)
{
    PST_TRY(pst_address_parse(a, schemes, text, why, why_cap));
    if (strcmp(a->scheme->name, "tcp") != 0 && !a->local) {
        snprintf(why, why_cap, "link '%s': expected a socket: tcp:HOST:PORT or unix:PATH", text);
        return PST_ERR_DECODE;
    }
    return PST_OK;
}

/* --- the place --- */

static bool port_ok(const char *port)
{
    size_t len = strlen(port);
    return len > 0 && len < 6 && strspn(port, "0123456789") == len && atoi(port) <= 65535;
}

/* Splits HOST:PORT, [HOST]:PORT or HOST. False: none of these forms. */
static bool split_host(struct pst_address *a, const char **port)
{
    const char *rest = a->place, *end;
    if (*rest == '[') {
        rest++;
        end = strchr(rest, ']');
        if (end == NULL || (end[1] != '\0' && end[1] != ':')) {
            return false;
        }
        *port = end[1] == ':' ? end + 2 : NULL;
    } else {
        end = rest + strcspn(rest, ":");
        *port = *end == ':' ? end + 1 : NULL;
        if (*port != NULL && strchr(*port, ':') != NULL) {
            return false; /* an IPv6 address without brackets */
        }
    }
    if ((size_t)(end - rest) >= sizeof a->host) {
        return false;
    }
    memcpy(a->host, rest, (size_t)(end - rest));
    a->host[end - rest] = '\0';
    return *port == NULL || port_ok(*port);
}

pst_err pst_address_host(struct pst_address *a, unsigned port, char *why, size_t why_cap)
{
    const char *written;

    if (!split_host(a, &written)) {
        return pst_address_bad(
            a, "not a host and a port from 0 to 65535 (put an IPv6 address in brackets)", why,
            why_cap);
    }
    snprintf(a->port, sizeof a->port, "%d", written != NULL ? atoi(written) : (int)port);
    if (a->host[0] == '\0') {
        snprintf(a->host, sizeof a->host, "127.0.0.1");
    }
    return PST_OK;
}

/* --- options --- */

/* The next KEY=VALUE of a list; false at its end. `*value` is NULL when there is no '='. */
static bool next_option(const char **at, size_t *key, const char **value, size_t *len)
{
    if (**at == '\0') {
        return false;
    }
    const size_t whole = strcspn(*at, ",");
    *key = strcspn(*at, "=,");
    *value = *key < whole ? *at + *key + 1 : NULL;
    *len = *key < whole ? whole - *key - 1 : 0;
    return true;
}

static void skip_option(const char **at)
{
    *at += strcspn(*at, ",");
    *at += **at == ',';
}

pst_err pst_address_string(const struct pst_address *a, const char *key, char *out, size_t cap,
                           char *why, size_t why_cap)
{
    const char *at = a->options, *value;
    char what[96];
    size_t key_len, len;

    out[0] = '\0';
    for (; next_option(&at, &key_len, &value, &len); skip_option(&at)) {
        if (value == NULL || key_len != strlen(key) || memcmp(at, key, key_len) != 0) {
            continue;
        }
        if (len >= cap) {
            snprintf(what, sizeof what, "%s '%.20s...': expected at most %zu characters", key,
                     value, cap - 1);
            return pst_address_bad(a, what, why, why_cap);
        }
        memcpy(out, value, len);
        out[len] = '\0';
        break;
    }
    return PST_OK;
}

pst_err pst_address_number(const struct pst_address *a, const char *key, uint64_t least,
                           uint64_t most, uint64_t *value, char *why, size_t why_cap)
{
    char text[24], what[96];

    PST_TRY(pst_address_string(a, key, text, sizeof text, why, why_cap));
    if (text[0] == '\0') {
        return PST_OK;
    }
    char *end = NULL;
    const unsigned long long n = strtoull(text, &end, 0);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || n < least || n > most) {
        snprintf(what, sizeof what, "%s '%s': expected a number from %llu to %llu", key, text,
                 (unsigned long long)least, (unsigned long long)most);
        return pst_address_bad(a, what, why, why_cap);
    }
    *value = n;
    return PST_OK;
}

static bool known(const char *const *keys, const char *key, size_t len)
{
    for (; keys != NULL && *keys != NULL; keys++) {
        if (strlen(*keys) == len && memcmp(*keys, key, len) == 0) {
            return true;
        }
    }
    return false;
}

pst_err pst_address_options(const struct pst_address *a, const char *const *keys, char *why,
                            size_t why_cap)
{
    const char *at = a->options, *value;
    char what[96];
    size_t key, len;

    for (; next_option(&at, &key, &value, &len); skip_option(&at)) {
        if (!known(keys, at, key)) {
            snprintf(what, sizeof what, "unknown option '%.*s'", (int)(key < 40 ? key : 40), at);
            return pst_address_bad(a, what, why, why_cap);
        }
        if (value == NULL || len == 0) {
            snprintf(what, sizeof what, "option '%.*s' has no value", (int)key, at);
            return pst_address_bad(a, what, why, why_cap);
        }
    }
    return PST_OK;
}
