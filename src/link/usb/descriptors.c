/* Descriptors of the debug class. spec: USB 3.1 9.6; Device Class for Debug Devices 1.0, 4.4. */
#include "postern/links/usb.h"

#include <string.h>

enum {
    CONFIGURATION = 2,
    INTERFACE = 4,
    ENDPOINT = 5,
    ASSOCIATION = 11,
    CS_INTERFACE = 0x24,
    COMPANION = 0x30,
};
#define ATTRIBUTES 4    /* subtype */
#define CONTROLS 0x2180 /* GET and SET_OPERATING_MODE, SET_RESET */
#define BULK 2
#define IN 0x80
#define DIRECTION_AND_NUMBER 0x8F

static uint16_t packet_of(enum pst_usb_speed speed)
{
    return speed == PST_USB_SUPER ? 1024 : speed == PST_USB_HIGH ? 512 : 64;
}

static void put_interface(struct pst_writer *w, uint8_t number, uint8_t endpoints, uint8_t subclass,
                          uint8_t protocol, uint8_t text)
{
    const uint8_t bytes[] = {9,        INTERFACE, number, 0, endpoints, PST_USB_CLASS,
                             subclass, protocol,  text};
    pst_put_bytes(w, bytes, sizeof bytes);
}

static unsigned put_endpoint(struct pst_writer *w, uint8_t address, enum pst_usb_speed speed)
{
    pst_put_u8(w, 7);
    pst_put_u8(w, ENDPOINT);
    pst_put_u8(w, address);
    pst_put_u8(w, BULK);
    pst_put_u16(w, packet_of(speed));
    pst_put_u8(w, 0);
    if (speed != PST_USB_SUPER) {
        return 1;
    }
    pst_put_u8(w, 6);
    pst_put_u8(w, COMPANION);
    pst_put_zeros(w, 4); /* no bursts */
    return 2;
}

static void put_attributes(struct pst_writer *w)
{
    pst_put_u8(w, 39);
    pst_put_u8(w, CS_INTERFACE);
    pst_put_u8(w, ATTRIBUTES);
    pst_put_u16(w, 0x0100); /* release number of the class */
    pst_put_u16(w, 39);     /* total length of the class descriptors of this interface */
    pst_put_zeros(w, 2);    /* trace source or instance; events */
    pst_put_u8(w, 2);
    pst_put_u16(w, CONTROLS);
    pst_put_u8(w, 24);
    pst_put_zeros(w, 24); /* base address, global id */
    pst_put_u16(w, 0);    /* vendor data */
}

static bool consistent(const struct pst_usb_function *f)
{
    if ((f->in & IN) == 0 || (f->out & IN) != 0 || f->first > 0xFE) {
        return false;
    }
    return f->subclass == PST_USB_DVC_GP ? f->out != 0
                                         : f->subclass == PST_USB_DVC_TRACE && f->out == 0;
}

pst_err pst_usb_function_put(const struct pst_usb_function *f, enum pst_usb_speed speed,
                             uint8_t *out, size_t cap, size_t *len, unsigned *count)
{
    struct pst_writer w = pst_writer_of(out, cap);
    unsigned n = 3;

    if (!consistent(f)) {
        return PST_ERR_ARGUMENT;
    }
    const uint8_t association[] = {8,           ASSOCIATION, f->first,    2, PST_USB_CLASS,
                                   f->subclass, f->protocol, f->data_text};
    pst_put_bytes(&w, association, sizeof association);
    put_interface(&w, f->first, 0, PST_USB_CONTROL, 0, f->control_text);
    if (f->attributes) {
        put_attributes(&w);
        n++;
    }
    put_interface(&w, (uint8_t)(f->first + 1), f->out != 0 ? 2 : 1, f->subclass, f->protocol,
                  f->data_text);
    n += put_endpoint(&w, f->in, speed);
    if (f->out != 0) {
        n += put_endpoint(&w, f->out, speed);
    }
    PST_TRY(pst_written(&w, len));
    *count += n;
    return PST_OK;
}

pst_err pst_usb_config_put(const struct pst_usb_function *functions, size_t n,
                           enum pst_usb_speed speed, uint8_t *out, size_t cap, size_t *len)
{
    size_t used = PST_USB_CONFIG_HEAD;
    unsigned count = 0;

    if (n == 0 || n > 127) {
        return PST_ERR_ARGUMENT;
    }
    if (cap < used) {
        return PST_ERR_SPACE;
    }
    for (size_t i = 0; i < n; i++) {
        size_t one;
        PST_TRY(pst_usb_function_put(&functions[i], speed, out + used, cap - used, &one, &count));
        used += one;
    }
    struct pst_writer w = pst_writer_of(out, PST_USB_CONFIG_HEAD);
    pst_put_u8(&w, PST_USB_CONFIG_HEAD);
    pst_put_u8(&w, CONFIGURATION);
    pst_put_u16(&w, (uint16_t)used); /* 127 functions are 11,557 bytes */
    pst_put_u8(&w, (uint8_t)(2 * n));
    pst_put_u8(&w, 1);
    pst_put_u8(&w, 0);
    pst_put_u8(&w, 0x80);
    pst_put_u8(&w, speed == PST_USB_SUPER ? 144 / 8 : 100 / 2);
    *len = used;
    return PST_OK;
}

/* --- finding one --- */

/* The state while descriptors are read: `control` is the last Debug-Control interface, `f` the
 * setting of a data interface whose endpoints are being read. */
struct walk {
    struct pst_usb_found f;
    uint8_t subclass, control;
    bool has_control, inside;
};

static bool usable(const struct walk *w)
{
    return w->inside && w->f.in != 0 && (w->f.out != 0 || w->subclass == PST_USB_DVC_TRACE);
}

static void see_interface(struct walk *w, struct pst_reader *d)
{
    const uint8_t number = pst_get_u8(d);
    const uint8_t alternate = pst_get_u8(d);
    (void)pst_get_u8(d); /* number of endpoints: the descriptors that follow are counted instead */
    const bool ours = pst_get_u8(d) == PST_USB_CLASS;
    const uint8_t subclass = pst_get_u8(d);
    const uint8_t protocol = pst_get_u8(d);

    w->inside = ours && subclass == w->subclass;
    if (ours && subclass == PST_USB_CONTROL) {
        w->has_control = true;
        w->control = number;
    }
    if (!w->inside) {
        return;
    }
    w->f = (struct pst_usb_found){.configuration = w->f.configuration,
                                  .has_control = w->has_control,
                                  .control = w->has_control ? w->control : 0,
                                  .data = number,
                                  .alternate = alternate,
                                  .subclass = subclass,
                                  .protocol = protocol};
}

static void see_endpoint(struct walk *w, struct pst_reader *d)
{
    const uint8_t address = pst_get_u8(d) & DIRECTION_AND_NUMBER;
    const uint8_t kind = pst_get_u8(d) & 3;
    const uint16_t packet = pst_get_u16(d) & 0x07FF;

    if (!w->inside || kind != BULK || (address & ~IN) == 0 || packet == 0 ||
        packet % PST_USB_PACKET != 0) {
        return;
    }
    if ((address & IN) != 0 && w->f.in == 0) {
        w->f.in = address;
        w->f.packet = packet;
    } else if ((address & IN) == 0 && w->f.out == 0) {
        w->f.out = address;
    }
}

/* Handles one descriptor, without its first two bytes. It may be longer than the form that we
 * know. */
static void see(struct walk *w, uint8_t type, struct pst_reader *d)
{
    if (type == INTERFACE) {
        see_interface(w, d);
    } else if (type == ENDPOINT) {
        see_endpoint(w, d);
    }
}

pst_err pst_usb_find(const uint8_t *config, size_t len, uint8_t subclass,
                     struct pst_usb_found *found)
{
    struct pst_reader r = pst_reader_of(config, len);
    struct walk w = {.subclass = subclass};
    const struct pst_bytes head = pst_get_block(&r, PST_USB_CONFIG_HEAD);

    if (!pst_reader_ok(&r) || head.at[0] != PST_USB_CONFIG_HEAD || head.at[1] != CONFIGURATION) {
        return PST_ERR_DECODE;
    }
    const size_t total = pst_peek_u16(head.at + 2);
    if (total < PST_USB_CONFIG_HEAD || total > len) {
        return PST_ERR_DECODE;
    }
    r.left = total - PST_USB_CONFIG_HEAD; /* another configuration may follow */
    w.f.configuration = head.at[5];
    while (pst_reader_ok(&r) && r.left > 0) {
        const uint8_t size = pst_get_u8(&r);
        const uint8_t type = pst_get_u8(&r);
        pst_require(&r, size >= 2);
        const struct pst_bytes body = pst_get_block(&r, size >= 2 ? size - 2U : 0);
        struct pst_reader d = pst_reader_of(body.at, body.len);

        if (!pst_reader_ok(&r)) {
            break;
        }
        if (type == INTERFACE && usable(&w)) {
            break; /* the setting before this one is complete */
        }
        see(&w, type, &d);
        pst_require(&r, pst_reader_ok(&d));
    }
    if (!pst_reader_ok(&r)) {
        return PST_ERR_DECODE;
    }
    if (!usable(&w)) {
        return PST_ERR_UNSUPPORTED;
    }
    *found = w.f;
    return PST_OK;
}
