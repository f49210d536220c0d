/* A program outside Postern's tree, without an operating system or a C library: links a target and
 * brings the functions of string.h that CONTRIBUTING.md lists. It is linked, not run. */
#include "postern/profile.h"
#include "postern/target.h"
#include "postern/version.h"

_Static_assert(PST_SPDM_SESSIONS == 1, "the size that the package was built with");

void *memcpy(void *restrict to, const void *restrict from, size_t len);
void *memmove(void *to, const void *from, size_t len);
void *memset(void *at, int value, size_t len);
int memcmp(const void *a, const void *b, size_t len);
void *memchr(const void *at, int value, size_t len);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t len);
void _start(void);

void *memmove(void *to, const void *from, size_t len)
{
    uint8_t *t = to;
    const uint8_t *f = from;

    for (size_t i = 0; i < len; i++) {
        size_t at = t < f ? i : len - 1 - i;
        t[at] = f[at];
    }
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
    return memmove(to, from, len);
}

void *memset(void *at, int value, size_t len)
{
    uint8_t *t = at;

    for (size_t i = 0; i < len; i++) {
        t[i] = (uint8_t)value;
    }
    return at;
}

int memcmp(const void *a, const void *b, size_t len)
{
    const uint8_t *x = a, *y = b;

    for (size_t i = 0; i < len; i++) {
        if (x[i] != y[i]) {
            return x[i] - y[i];
        }
    }
    return 0;
}

void *memchr(const void *at, int value, size_t len)
{
    const uint8_t *x = at;

    for (size_t i = 0; i < len; i++) {
        if (x[i] == (uint8_t)value) {
            return (void *)(uintptr_t)(x + i);
        }
    }
    return NULL;
}

size_t strlen(const char *s)
{
    size_t len = 0;

    while (s[len] != '\0') {
        len++;
    }
    return len;
}

int strncmp(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (a[i] != b[i] || a[i] == '\0') {
            return (uint8_t)a[i] - (uint8_t)b[i];
        }
    }
    return 0;
}

int strcmp(const char *a, const char *b)
{
    return strncmp(a, b, SIZE_MAX);
}

static uint8_t queue[2][512], mailbox[2][2 * 1024];
static struct pst_target target;
static struct pst_target_context contexts[2];

void _start(void)
{
    static const struct pst_target_buffers buffers[2] = {
        {queue[0], sizeof queue[0], mailbox[0], sizeof mailbox[0]},
        {queue[1], sizeof queue[1], mailbox[1], sizeof mailbox[1]},
    };
    static struct pst_spdm_config spdm;
    static const struct pst_target_config config = {.spdm = &spdm, .device = "Acme:Pump:0042"};
    static const struct pst_profile_parts parts;
    static uint8_t message[2048];
    uint8_t kind;

    pst_profile_target(&spdm, &parts);
    if (pst_target_init(&target, &config, contexts, buffers, 2) != PST_OK ||
        pst_target_link_up(&target, 1, &pst_stream_traits) != PST_OK) {
        return;
    }
    for (;;) {
        size_t len = pst_target_output(&target, 1, &kind, message, sizeof message);
        if (len == 0 || pst_target_receive(&target, 1, kind, message, len) != PST_OK) {
            return;
        }
        (void)pst_target_poll(&target);
    }
}
