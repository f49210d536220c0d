/* DOE: a hostile device, whose every word comes from the input; and any objects and link messages
 * at both ends of a mailbox. */
#include "fuzz.h"

#include "postern/links/doe.h"

enum { CAP = 512 };

struct device {
    const uint8_t *data;
    size_t left;
    unsigned accesses;
};

static pst_err read_word(void *ctx, uint16_t at, uint32_t *word)
{
    struct device *d = ctx;
    const size_t n = d->left < 4 ? d->left : 4;
    uint8_t bytes[4] = {0};

    need(at % 4 == 0 && at < 4096);
    memcpy(bytes, d->data, n);
    d->data += n;
    d->left -= n;
    d->accesses++;
    *word = pst_peek_u32(bytes);
    return d->left == 1 ? PST_ERR_IO : PST_OK;
}

static pst_err write_word(void *ctx, uint16_t at, uint32_t word)
{
    struct device *d = ctx;
    need(at % 4 == 0 && at < 4096);
    (void)word;
    d->accesses++;
    return PST_OK;
}

static void hostile_device(const uint8_t *data, size_t size)
{
    struct device device = {.data = data, .left = size};
    const struct pst_doe_port port = {.ctx = &device, .read = read_word, .write = write_word};
    uint8_t request[16] = {1, 0, 1, 0, 4}, *buffer = malloc(CAP), version;
    uint16_t at = 0x100;
    uint64_t now = 0;
    struct pst_doe doe;
    struct pst_bytes answer;
    pst_err err = PST_PENDING;

    need(buffer != NULL);
    if (pst_doe_find(&port, 0, &at, &version) != PST_OK) {
        at = 0x100;
    }
    pst_doe_init(&doe, &port, at, 100, buffer, CAP);
    need(pst_doe_start(&doe, request, sizeof request, now) == PST_OK);
    while (err == PST_PENDING) {
        need(now <= 4000); /* busy, abort, wait, abort */
        err = pst_doe_step(&doe, now, &answer);
        if (err == PST_OK) {
            need(answer.at == buffer && answer.len >= PST_DOE_HEAD && answer.len <= CAP);
        }
        now = err == PST_PENDING ? pst_doe_wake(&doe) : now;
    }
    need(device.accesses < 5000);
    free(buffer);
}

static void drain(struct pst_doe_end *e)
{
    struct pst_bytes out = pst_doe_end_peek(e);
    uint8_t kind, *payload, message[CAP];
    struct pst_framing s;
    size_t used, len;

    if (out.len == 0) {
        return;
    }
    pst_framing_init(&s, message, sizeof message);
    need(pst_framing_receive(&s, out.at, out.len, &used, &kind, &payload, &len) == PST_OK);
    need(used == out.len);
    pst_doe_end_read(e, out.len);
}

/* Uses chunks of the input as objects from the mailbox or as bytes of the owner. */
static void both_ways(const uint8_t *data, size_t size, bool target)
{
    uint8_t *buffer = malloc(CAP), *object = malloc(CAP);
    struct pst_doe_survey survey;
    struct pst_doe_end e;

    need(buffer != NULL && object != NULL);
    pst_doe_end_init(&e, target, buffer, CAP);
    pst_doe_survey_init(&survey, 1);
    for (size_t at = 0; at + 1 < size;) {
        const bool write = (data[at] & 1) != 0;
        size_t n = (size_t)(data[at] >> 1) * 4, len, taken;
        n = n < size - at - 1 ? n : size - at - 1;
        memcpy(object, data + at + 1, n);
        at += 1 + n;
        if (!write) {
            (void)!pst_doe_survey_take(&survey, object, n);
            (void)!pst_doe_end_take(&e, object, n);
            drain(&e);
        } else if (pst_doe_end_write(&e, object, n, &taken) == PST_OK) {
            need(taken <= n);
            if (pst_doe_end_object(&e, &len) != NULL) {
                need(len > PST_DOE_HEAD && len <= CAP - PST_DOE_SPARE);
            }
            pst_doe_end_drop(&e);
        }
    }
    free(buffer);
    free(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hostile_device(data, size);
    both_ways(data, size, false);
    both_ways(data, size, true);
    return 0;
}
