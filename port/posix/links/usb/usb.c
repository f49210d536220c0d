/* usb: the scheme. */
#include "posix/links/usb/usb.h"

#include <stdio.h>

static pst_err check(struct pst_address *a, char *why, size_t why_cap)
{
    static const char *const options[] = {"serial", NULL};
    struct pst_usb_wanted wanted;

    PST_TRY(pst_address_options(a, a->listen ? NULL : options, why, why_cap));
    if (!a->listen) {
        return pst_usb_wanted_parse(a, &wanted, why, why_cap);
    }
    if (a->place[0] == '\0') {
        return pst_address_bad(a, "no directory of a mounted FunctionFS", why, why_cap);
    }
    return PST_OK;
}

struct listing {
    void (*found)(void *ctx, const char *link, const char *what);
    void *ctx;
};

static void list(void *ctx, const struct pst_usb_device *d)
{
    const struct listing *l = ctx;
    char link[PST_ADDRESS_TEXT], what[256];

    pst_usb_device_link(d, link, sizeof link);
    snprintf(what, sizeof what, "%s%s%s", d->text, d->text[0] != '\0' ? ", " : "", d->node);
    l->found(l->ctx, link, what);
}

static void present(void (*found)(void *ctx, const char *link, const char *what), void *ctx)
{
    struct listing l = {.found = found, .ctx = ctx};
    pst_usb_devices(list, &l);
}

extern const struct pst_scheme pst_scheme_usb;
const struct pst_scheme pst_scheme_usb = {
    .name = "usb",
    .form = "usb:[VID:PID][,serial=TEXT] or usb-listen:DIRECTORY",
    .summary = "USB's debug class; listening is a gadget on a mounted FunctionFS",
    .traits = &pst_usb_traits,
    .exclusive = true,
    .check = check,
    .connect = pst_usb_host_connect,
    .listen = pst_usb_gadget_listen,
    .present = present,
};
