#include "postern/links/usb.h"

#include <string.h>

#define TO_INTERFACE 0x21 /* class request, from the host */
#define FROM_INTERFACE 0xA1
#define MARK 'U'
static const uint8_t magic[4] = {'M', 'D', 'B', 'G'};

const struct pst_link_traits pst_usb_traits = {
    .mtu = PST_LINK_MAX_MESSAGE,
    .ordered = true,
    .lossy = false,
    .shared = false,
    .pushes = true,
    .sequence_len = 0,
};

/* --- class requests --- */

void pst_usb_setup_put(uint8_t out[PST_USB_SETUP], uint8_t request, uint16_t value,
                       uint8_t interface, uint16_t len)
{
    out[0] = (request & 0x80) != 0 ? FROM_INTERFACE : TO_INTERFACE;
    out[1] = request;
    pst_poke_u16(out + 2, value);
    pst_poke_u16(out + 4, interface);
    pst_poke_u16(out + 6, len);
}

static size_t put_info(uint8_t out[PST_USB_INFO_LEN])
{
    memcpy(out, magic, sizeof magic);
    out[4] = PST_PROFILE_VERSION;
    out[5] = 0;
    pst_poke_u16(out + 6, PST_USB_TRANSFER);
    return PST_USB_INFO_LEN;
}

static pst_usb_verdict refuse(struct pst_usb_control *c, enum pst_usb_error why)
{
    c->error = (uint8_t)why;
    return PST_USB_STALL;
}

static pst_usb_verdict run_get(struct pst_usb_control *c, uint8_t request, uint16_t asked,
                               uint8_t *out, size_t *len)
{
    size_t n = 1;

    switch (request) {
    case PST_USB_GET_INFO:
        n = put_info(out);
        break;
    case PST_USB_GET_OPERATING_MODE:
        out[0] = c->mode;
        break;
    case PST_USB_GET_ERROR: /* reading clears it */
        out[0] = c->error;
        c->error = PST_USB_NO_ERROR;
        break;
    default:
        return refuse(c, PST_USB_BAD_REQUEST);
    }
    *len = n < asked ? n : asked;
    return PST_USB_ANSWER;
}

pst_usb_verdict pst_usb_control_run(struct pst_usb_control *c, const uint8_t setup[PST_USB_SETUP],
                                    uint8_t out[PST_USB_INFO_LEN], size_t *len, bool *reset)
{
    const uint8_t request = setup[1];
    const uint16_t value = pst_peek_u16(setup + 2);
    const uint16_t asked = pst_peek_u16(setup + 6);

    *len = 0;
    *reset = false;
    if (setup[0] == FROM_INTERFACE && (request & 0x80) != 0) {
        return run_get(c, request, asked, out, len);
    }
    if (setup[0] != TO_INTERFACE || asked != 0) {
        return refuse(c, PST_USB_BAD_REQUEST);
    }
    if (request == PST_USB_SET_RESET) {
        *reset = true;
        memset(c, 0, sizeof *c);
        return PST_USB_ACCEPT;
    }
    if (request != PST_USB_SET_OPERATING_MODE) {
        return refuse(c, PST_USB_BAD_REQUEST);
    }
    if (value != PST_USB_MODE_DEBUG) {
        return refuse(c, PST_USB_BAD_VALUE);
    }
    return PST_USB_ACCEPT;
}

pst_err pst_usb_info_get(const uint8_t *info, size_t len)
{
    if (len < PST_USB_INFO_LEN || memcmp(info, magic, sizeof magic) != 0) {
        return PST_ERR_UNSUPPORTED;
    }
    return info[4] == PST_PROFILE_VERSION && pst_peek_u16(info + 6) == PST_USB_TRANSFER
               ? PST_OK
               : PST_ERR_PROFILE;
}

/* --- the pipe --- */

void pst_usb_pipe_listen(struct pst_usb_pipe *p)
{
    *p = (struct pst_usb_pipe){.device = true, .wake = UINT64_MAX};
}

void pst_usb_pipe_call(struct pst_usb_pipe *p, uint32_t stream, uint64_t now_ms)
{
    *p = (struct pst_usb_pipe){.calling = true, .stream = stream, .wake = now_ms};
}

static void begin(struct pst_usb_pipe *p, uint32_t stream, uint64_t now_ms)
{
    p->open = true;
    p->calling = false;
    p->stream = stream;
    p->sent = p->received = 0;
    p->wake = p->device ? now_ms + PST_USB_DEAD_MS : UINT64_MAX;
}

void pst_usb_pipe_drop(struct pst_usb_pipe *p)
{
    p->open = p->calling = false;
    p->reply = 0;
    p->wake = UINT64_MAX;
}

void pst_usb_pipe_close(struct pst_usb_pipe *p)
{
    const bool tell = p->open;

    pst_usb_pipe_drop(p);
    if (tell) {
        p->reply = PST_USB_CLOSE;
        p->reply_stream = p->stream;
    }
}

/* The device tells a host only once that it does not know the stream, because the host may have
 * many transfers under way. */
static void say_gone(struct pst_usb_pipe *p, uint32_t stream)
{
    if (p->reply == 0 && (p->refused != stream || stream == 0)) {
        p->refused = stream;
        p->reply = PST_USB_GONE;
        p->reply_stream = stream;
    }
}

static pst_usb_event on_open(struct pst_usb_pipe *p, uint32_t stream, uint64_t now_ms)
{
    if (!p->device) {
        return PST_USB_NOTHING;
    }
    begin(p, stream, now_ms);
    p->refused = 0;
    p->reply = PST_USB_OPENS;
    p->reply_stream = stream;
    return PST_USB_OPENED;
}

static pst_usb_event on_opens(struct pst_usb_pipe *p, uint32_t stream, uint64_t now_ms)
{
    if (p->device || !p->calling || p->tries == 0 || stream != p->stream) {
        return PST_USB_NOTHING;
    }
    begin(p, stream, now_ms);
    return PST_USB_OPENED;
}

static pst_usb_event on_data(struct pst_usb_pipe *p, uint32_t stream, uint32_t number)
{
    if (!p->open || stream != p->stream) {
        if (p->device && !p->open) {
            say_gone(p, stream);
        }
        return PST_USB_NOTHING;
    }
    if (number != p->received) {
        pst_usb_pipe_drop(p);
        p->reply = p->device ? PST_USB_GONE : PST_USB_CLOSE;
        p->reply_stream = stream;
        return PST_USB_LOST;
    }
    p->received++;
    return PST_USB_BYTES;
}

static pst_usb_event on_end(struct pst_usb_pipe *p, uint32_t stream, pst_usb_event event)
{
    /* A device that refuses a stream closes it at once. */
    const bool refused = event == PST_USB_CLOSED && p->calling && p->tries > 0;

    if ((!p->open && !refused) || stream != p->stream) {
        return PST_USB_NOTHING;
    }
    pst_usb_pipe_drop(p);
    return event;
}

void pst_usb_pipe_heard(struct pst_usb_pipe *p, uint64_t now_ms)
{
    if (p->device && p->open) {
        p->wake = now_ms + PST_USB_DEAD_MS;
    }
}

pst_usb_event pst_usb_pipe_receive(struct pst_usb_pipe *p, uint64_t now_ms, const uint8_t *transfer,
                                   size_t len, struct pst_bytes *bytes)
{
    struct pst_reader r = pst_reader_of(transfer, len);
    const uint8_t kind = pst_get_u8(&r);
    pst_require(&r, pst_get_u8(&r) == MARK);
    const uint16_t count = pst_get_u16(&r);
    const uint32_t stream = pst_get_u32(&r);
    const uint32_t number = pst_get_u32(&r);
    const struct pst_bytes body = pst_get_block(&r, count);

    pst_require(&r, r.left == ((PST_USB_HEAD + (size_t)count) % PST_USB_PACKET == 0 ? 1 : 0));
    pst_require(&r, (count != 0) == (kind == PST_USB_DATA));
    pst_require(&r, kind == PST_USB_DATA || number == 0);
    if (!pst_reader_ok(&r)) {
        return PST_USB_NOTHING; /* the rest of a truncated transfer: the numbers show the loss */
    }
    if (stream == p->stream) {
        pst_usb_pipe_heard(p, now_ms);
    }
    switch (kind) {
    case PST_USB_OPEN:
        return on_open(p, stream, now_ms);
    case PST_USB_OPENS:
        return on_opens(p, stream, now_ms);
    case PST_USB_DATA:
        *bytes = body;
        return on_data(p, stream, number);
    case PST_USB_CLOSE:
        return on_end(p, stream, PST_USB_CLOSED);
    case PST_USB_GONE:
        return p->device ? PST_USB_NOTHING : on_end(p, stream, PST_USB_LOST);
    default:
        return PST_USB_NOTHING;
    }
}

/* Writes the head of a transfer of `count` bytes, and its padding byte if it needs one; returns the
 * length. `out` has room for the head, the bytes and one more. */
static size_t put_head(uint8_t *out, uint8_t kind, uint32_t stream, uint32_t number, size_t count)
{
    size_t len = PST_USB_HEAD + count;

    out[0] = kind;
    out[1] = MARK;
    pst_poke_u16(out + 2, (uint16_t)count);
    pst_poke_u32(out + 4, stream);
    pst_poke_u32(out + 8, number);
    if (len % PST_USB_PACKET == 0) {
        out[len++] = 0;
    }
    return len;
}

bool pst_usb_pipe_is_dead(const struct pst_usb_pipe *p, uint64_t now_ms)
{
    return p->device && p->open && now_ms >= p->wake;
}

pst_err pst_usb_pipe_output(struct pst_usb_pipe *p, uint64_t now_ms, uint8_t out[PST_USB_OWN],
                            size_t *len)
{
    if (pst_usb_pipe_is_dead(p, now_ms)) {
        pst_usb_pipe_drop(p);
        return PST_ERR_TIMEOUT;
    }
    if (p->reply != 0) {
        *len = put_head(out, p->reply, p->reply_stream, 0, 0);
        p->reply = 0;
        return PST_OK;
    }
    if (!p->calling) {
        return PST_WANT_MORE;
    }
    if (p->tries > PST_USB_OPEN_TRIES) {
        return PST_ERR_TIMEOUT;
    }
    if (now_ms < p->wake) {
        return PST_WANT_MORE;
    }
    if (p->tries++ > 0) {
        p->stream++; /* an answer to the former OPEN comes too late */
    }
    if (p->tries > PST_USB_OPEN_TRIES) {
        p->wake = UINT64_MAX;
        return PST_ERR_TIMEOUT;
    }
    p->wake = now_ms + PST_USB_OPEN_MS;
    *len = put_head(out, PST_USB_OPEN, p->stream, 0, 0);
    return PST_OK;
}

uint64_t pst_usb_pipe_wake(const struct pst_usb_pipe *p)
{
    return p->reply != 0 ? 0 : p->wake;
}

void pst_usb_pipe_send(struct pst_usb_pipe *p, const uint8_t *bytes, size_t bytes_len, uint8_t *out,
                       size_t cap, size_t *taken, size_t *len)
{
    size_t n = bytes_len < PST_USB_PAYLOAD ? bytes_len : PST_USB_PAYLOAD;

    *taken = *len = 0;
    if (!p->open || p->reply != 0 || cap <= PST_USB_OWN || n == 0) {
        return;
    }
    if (n > cap - PST_USB_OWN) {
        n = cap - PST_USB_OWN;
    }
    memcpy(out + PST_USB_HEAD, bytes, n);
    *len = put_head(out, PST_USB_DATA, p->stream, p->sent++, n);
    *taken = n;
}
