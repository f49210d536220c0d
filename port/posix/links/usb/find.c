/* Finds the debug functions of this machine, and those that a link names.

   Devices are found in sysfs, which every user may read. So a device that cannot be opened can
   still be named. */
#include "posix/links/usb/usb.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEVICES "/sys/bus/usb/devices"
#define DEVICE_DESCRIPTOR 18

/* --- sysfs --- */

static size_t read_file(const char *device, const char *name, void *out, size_t cap)
{
    char path[PST_ADDRESS_TEXT];

    snprintf(path, sizeof path, DEVICES "/%.64s/%s", device, name);
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        return 0;
    }
    const size_t len = fread(out, 1, cap, f);
    fclose(f);
    return len;
}

/* A line, made printable: a device may send anything. */
static void read_text(const char *device, const char *name, char *out, size_t cap)
{
    const size_t len = read_file(device, name, out, cap - 1);

    out[len] = '\0';
    out[strcspn(out, "\n")] = '\0';
    for (char *c = out; *c != '\0'; c++) {
        if (*c < ' ' || *c > '~') {
            *c = '?';
        }
    }
}

static unsigned read_number(const char *device, const char *name, int base)
{
    char text[32];

    read_text(device, name, text, sizeof text);
    return (unsigned)strtoul(text, NULL, base);
}

/* The configuration in use, among all of them. */
static bool find_function(const uint8_t *bytes, size_t len, unsigned active,
                          struct pst_usb_found *found)
{
    while (len > PST_USB_CONFIG_HEAD) {
        const size_t total = pst_peek_u16(bytes + 2);
        if (pst_usb_find(bytes, len, PST_USB_DVC_GP, found) == PST_OK &&
            found->configuration == active) {
            return true;
        }
        if (total < PST_USB_CONFIG_HEAD || total > len) {
            return false;
        }
        bytes += total;
        len -= total;
    }
    return false;
}

static bool read_device(const char *name, struct pst_usb_device *d)
{
    uint8_t bytes[8192];
    char maker[64];
    const size_t len = read_file(name, "descriptors", bytes, sizeof bytes);

    memset(d, 0, sizeof *d);
    if (len <= DEVICE_DESCRIPTOR ||
        !find_function(bytes + DEVICE_DESCRIPTOR, len - DEVICE_DESCRIPTOR,
                       read_number(name, "bConfigurationValue", 10), &d->function)) {
        return false;
    }
    d->bus = read_number(name, "busnum", 10);
    d->number = read_number(name, "devnum", 10);
    d->vendor = pst_peek_u16(bytes + 8);
    d->product = pst_peek_u16(bytes + 10);
    read_text(name, "serial", d->serial, sizeof d->serial);
    read_text(name, "manufacturer", maker, sizeof maker);
    read_text(name, "product", d->text, sizeof d->text - sizeof maker - 1);
    if (maker[0] != '\0') {
        char product[sizeof d->text];
        memcpy(product, d->text, sizeof product);
        snprintf(d->text, sizeof d->text, "%s %.60s", maker, product);
    }
    snprintf(d->node, sizeof d->node, "/dev/bus/usb/%03u/%03u", d->bus % 1000, d->number % 1000);
    return true;
}

void pst_usb_devices(void (*found)(void *ctx, const struct pst_usb_device *device), void *ctx)
{
    DIR *dir = opendir(DEVICES);
    const struct dirent *entry;
    struct pst_usb_device device;

    if (dir == NULL) {
        return;
    }
    while ((entry = readdir(dir)) != NULL) {
        /* "1-4.2" is a device; "1-4.2:1.0" an interface; "usb1" a root hub */
        if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9' &&
            strchr(entry->d_name, ':') == NULL && read_device(entry->d_name, &device)) {
            found(ctx, &device);
        }
    }
    closedir(dir);
}

void pst_usb_device_link(const struct pst_usb_device *d, char *out, size_t cap)
{
    const bool plain = d->serial[0] != '\0' && strchr(d->serial, ',') == NULL;
    snprintf(out, cap, "usb:%04x:%04x%s%s", d->vendor, d->product, plain ? ",serial=" : "",
             plain ? d->serial : "");
}

/* --- selecting a device --- */

struct search {
    const struct pst_usb_wanted *wanted;
    struct pst_usb_device *device;
    unsigned count;
};

static void consider(void *ctx, const struct pst_usb_device *d)
{
    struct search *s = ctx;
    const struct pst_usb_wanted *w = s->wanted;

    if ((w->vendor >= 0 && (unsigned)w->vendor != d->vendor) ||
        (w->product >= 0 && (unsigned)w->product != d->product) ||
        (w->serial[0] != '\0' && strcmp(w->serial, d->serial) != 0)) {
        return;
    }
    if (s->count++ == 0) {
        *s->device = *d;
    }
}

unsigned pst_usb_device_find(const struct pst_usb_wanted *w, struct pst_usb_device *device)
{
    struct search s = {.wanted = w, .device = device};

    pst_usb_devices(consider, &s);
    return s.count;
}

/* Four hexadecimal digits. */
static bool hex_number(const char *text, long *value)
{
    if (strspn(text, "0123456789abcdefABCDEF") < 4) {
        return false;
    }
    char four[5] = {text[0], text[1], text[2], text[3], '\0'};
    *value = strtol(four, NULL, 16);
    return true;
}

pst_err pst_usb_wanted_parse(const struct pst_address *a, struct pst_usb_wanted *w, char *why,
                             size_t why_cap)
{
    w->vendor = w->product = -1;
    PST_TRY(pst_address_string(a, "serial", w->serial, sizeof w->serial, why, why_cap));
    if (a->place[0] == '\0') {
        return PST_OK;
    }
    if (strlen(a->place) != 9 || a->place[4] != ':' || !hex_number(a->place, &w->vendor) ||
        !hex_number(a->place + 5, &w->product)) {
        return pst_address_bad(a, "not VID:PID, each of four hexadecimal digits", why, why_cap);
    }
    return PST_OK;
}
