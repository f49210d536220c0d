/* USB: descriptors of a hostile device, requests of a hostile host, and both sides of the pipe
 * against a hostile peer. The first byte selects which. */
#include "fuzz.h"

#include "postern/links/usb.h"

static void find(const uint8_t *data, size_t size)
{
    static const uint8_t subclasses[] = {PST_USB_DVC_GP, PST_USB_DVC_TRACE, 6};

    for (size_t i = 0; i < sizeof subclasses; i++) {
        struct pst_usb_found f;
        if (pst_usb_find(data, size, subclasses[i], &f) != PST_OK) {
            continue;
        }
        need(f.subclass == subclasses[i] && (f.in & 0x80) != 0 && (f.in & 0x70) == 0);
        need((f.out & 0xF0) == 0 && (f.out != 0 || f.subclass == PST_USB_DVC_TRACE));
        need(f.packet >= PST_USB_PACKET && f.packet % PST_USB_PACKET == 0);
    }
}

static void requests(const uint8_t *data, size_t size)
{
    struct pst_usb_control c = {0};

    for (; size >= PST_USB_SETUP; data += PST_USB_SETUP, size -= PST_USB_SETUP) {
        uint8_t *out = malloc(PST_USB_INFO_LEN);
        size_t len;
        bool reset;
        const pst_usb_verdict v = pst_usb_control_run(&c, data, out, &len, &reset);

        need(len <= PST_USB_INFO_LEN && (len == 0 || v == PST_USB_ANSWER));
        need(len <= pst_peek_u16(data + 6) && (!reset || v == PST_USB_ACCEPT));
        free(out);
    }
    (void)!pst_usb_info_get(data, size);
}

static void answer(struct pst_usb_pipe *p, uint64_t now)
{
    uint8_t own[PST_USB_OWN], out[300];
    size_t len, taken;

    while (pst_usb_pipe_output(p, now, own, &len) == PST_OK) {
        need(len == PST_USB_HEAD);
    }
    pst_usb_pipe_send(p, own, sizeof own, out, (uint8_t)now, &taken, &len);
    need(taken <= sizeof own && len <= (uint8_t)now && (len == 0) == (taken == 0));
    need(len == 0 || len % PST_USB_PACKET != 0);
}

/* Length u8, mode u8, bytes. Number and stream are made correct if the mode says so. */
static void pipe_against(struct pst_usb_pipe *p, const uint8_t *data, size_t size)
{
    uint64_t now = 0;

    while (size > 2) {
        const uint8_t how = data[1];
        size_t len = data[0];
        struct pst_bytes bytes = {NULL, 0};

        data += 2;
        size -= 2;
        len = len < size ? len : size;
        uint8_t *copy = malloc(len + 1);
        memcpy(copy, data, len);
        if ((how & 1) != 0 && len >= PST_USB_HEAD) {
            copy[1] = 'U';
            pst_poke_u16(copy + 2, (uint16_t)(len - PST_USB_HEAD));
            pst_poke_u32(copy + 4, p->stream);
            pst_poke_u32(copy + 8, (how & 2) != 0 ? p->received : 0);
        }
        const bool was = p->open, called = p->calling;
        const pst_usb_event e = pst_usb_pipe_receive(p, now, copy, len, &bytes);
        need(e != PST_USB_BYTES || (was && p->open && bytes.len > 0 && bytes.at >= copy &&
                                    bytes.at + bytes.len <= copy + len));
        need(e != PST_USB_OPENED || p->open);
        need(e != PST_USB_CLOSED || ((was || called) && !p->open && !p->calling));
        need(e != PST_USB_LOST || (was && !p->open));
        free(copy);
        if ((how & 0xE0) == 0xE0) {
            pst_usb_pipe_close(p);
        }
        if ((how & 0xF0) == 0xC0) {
            pst_usb_pipe_drop(p);
        }
        now += how;
        answer(p, now);
        data += len;
        size -= len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pst_usb_pipe p;

    if (size == 0) {
        return 0;
    }
    switch (data[0] & 3) {
    case 0:
        find(data + 1, size - 1);
        break;
    case 1:
        requests(data + 1, size - 1);
        break;
    case 2:
        pst_usb_pipe_listen(&p);
        pipe_against(&p, data + 1, size - 1);
        break;
    default:
        pst_usb_pipe_call(&p, data[0], 0);
        answer(&p, 0);
        pipe_against(&p, data + 1, size - 1);
    }
    return 0;
}
