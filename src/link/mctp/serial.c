/* MCTP on a serial line. spec: DSP0253. Only the packet is escaped. Count and FCS are not, so
 * either may contain a flag byte, and a frame is read by position. */
#include "postern/links/checksum.h"
#include "postern/links/mctp.h"

#define FLAG 0x7E
#define ESCAPE 0x7D
#define FLIP 0x20 /* 7E is sent as 7D 5E, and 7D as 7D 5D */
#define REVISION 0x01

enum state { HUNT, REV, COUNT, BODY, ESCAPED, FCS_HIGH, FCS_LOW, END };

static void put_escaped(struct pst_writer *w, uint8_t byte)
{
    const bool special = byte == FLAG || byte == ESCAPE;

    if (special) {
        pst_put_u8(w, ESCAPE);
    }
    pst_put_u8(w, special ? byte ^ FLIP : byte);
}

static uint16_t check(const uint8_t *packet, uint8_t count)
{
    const uint8_t head[2] = {REVISION, count};

    return pst_fcs16(pst_fcs16(PST_FCS16_START, head, sizeof head), packet, count);
}

pst_err pst_mctp_serial_put(const uint8_t *packet, size_t len, uint8_t *out, size_t cap,
                            size_t *written)
{
    struct pst_writer w = pst_writer_of(out, cap);

    if (len < PST_MCTP_HEADER || len > PST_MCTP_SERIAL_MAX) {
        return PST_ERR_ARGUMENT;
    }
    pst_put_u8(&w, FLAG);
    pst_put_u8(&w, REVISION);
    pst_put_u8(&w, (uint8_t)len);
    for (size_t i = 0; i < len; i++) {
        put_escaped(&w, packet[i]);
    }
    pst_put_be16(&w, check(packet, (uint8_t)len));
    pst_put_u8(&w, FLAG);
    return pst_written(&w, written);
}

void pst_mctp_serial_init(struct pst_mctp_serial *s)
{
    *s = (struct pst_mctp_serial){.state = HUNT};
}

/* Drops a damaged frame. If `byte` is a flag, it starts the next one. */
static void damage(struct pst_mctp_serial *s, uint8_t byte)
{
    s->damaged++;
    s->state = byte == FLAG ? REV : HUNT;
}

static void add(struct pst_mctp_serial *s, uint8_t byte)
{
    s->packet[s->have++] = byte;
    s->state = s->have == s->count ? FCS_HIGH : BODY;
}

static void on_hunt(struct pst_mctp_serial *s, uint8_t byte)
{
    if (byte == FLAG) {
        s->state = REV;
    } else {
        s->skipped++;
    }
}

static void on_revision(struct pst_mctp_serial *s, uint8_t byte)
{
    if (byte == FLAG) {
        return; /* end and start of two frames, or an idle line that sends flags */
    }
    if (byte == REVISION) {
        s->state = COUNT;
        return;
    }
    s->state = HUNT;
    s->skipped++;
}

static void on_count(struct pst_mctp_serial *s, uint8_t byte)
{
    s->count = byte;
    s->have = 0;
    s->state = BODY;
    if (byte < PST_MCTP_HEADER) {
        damage(s, byte);
    }
}

static void on_body(struct pst_mctp_serial *s, uint8_t byte)
{
    if (byte == FLAG) {
        damage(s, byte);
    } else if (byte == ESCAPE) {
        s->state = ESCAPED;
    } else {
        add(s, byte);
    }
}

static void on_escaped(struct pst_mctp_serial *s, uint8_t byte)
{
    if (byte == (FLAG ^ FLIP) || byte == (ESCAPE ^ FLIP)) {
        add(s, byte ^ FLIP);
    } else {
        damage(s, byte);
    }
}

/* Handles a byte before the end of a frame. */
static void take(struct pst_mctp_serial *s, uint8_t byte)
{
    switch ((enum state)s->state) {
    case HUNT:
        on_hunt(s, byte);
        break;
    case REV:
        on_revision(s, byte);
        break;
    case COUNT:
        on_count(s, byte);
        break;
    case BODY:
        on_body(s, byte);
        break;
    case ESCAPED:
        on_escaped(s, byte);
        break;
    case FCS_HIGH:
        s->fcs = (uint16_t)(byte << 8);
        s->state = FCS_LOW;
        break;
    case FCS_LOW:
        s->fcs = (uint16_t)(s->fcs | byte);
        s->state = END;
        break;
    case END:
        break;
    }
}

/* The end flag is not where the count said, or the FCS is wrong. The bytes that were read as FCS
 * may be the start of the next frame, so they are read again. Three bytes are too few to complete a
 * frame. */
static void look_again(struct pst_mctp_serial *s, uint8_t byte)
{
    const uint8_t last[3] = {(uint8_t)(s->fcs >> 8), (uint8_t)s->fcs, byte};

    s->damaged++;
    s->state = HUNT;
    for (size_t i = 0; i < sizeof last; i++) {
        if (s->state != HUNT || last[i] == FLAG) {
            take(s, last[i]);
        }
    }
}

/* True: the frame is complete and its FCS is right. */
static bool on_end(struct pst_mctp_serial *s, uint8_t byte)
{
    if (byte != FLAG || s->fcs != check(s->packet, s->count)) {
        look_again(s, byte);
        return false;
    }
    /* Some senders use one flag as the end of a frame and the start of the next, so it counts as
     * both. */
    s->state = REV;
    s->frames++;
    return true;
}

static bool step(struct pst_mctp_serial *s, uint8_t byte)
{
    if (s->state == END) {
        return on_end(s, byte);
    }
    take(s, byte);
    return false;
}

pst_err pst_mctp_serial_receive(struct pst_mctp_serial *s, const uint8_t *in, size_t len,
                                size_t *used, struct pst_bytes *packet)
{
    for (size_t i = 0; i < len; i++) {
        if (step(s, in[i])) {
            *used = i + 1;
            *packet = (struct pst_bytes){s->packet, s->count};
            return PST_OK;
        }
    }
    *used = len;
    return PST_WANT_MORE;
}
