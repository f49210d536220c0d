/* The SPDM responder against a requester that is honest, changes its messages, or invents them. See
 * fake_pair.h for the input. A session must open only as the configuration demands, every hook must
 * be called once and in order, and nothing may be left after the wipe. pst-link: crypto wire */
#include "fuzz.h"

#include "fuzz/fake_pair.h"

/* Delivers a request, changed or not. Its answer goes back if the script says so. */
static void changed(struct pair *p, struct pst_reader *r)
{
    uint8_t how = pst_get_u8(r);

    if ((how & 1) != 0 && !pair_next(p)) {
        return;
    }
    if ((how & 2) != 0) {
        p->request_len = pair_mutate(r, p->request, p->request_len);
    }
    pair_handle(p, pair_context(p, how >> 4), p->request, p->request_len,
                (how & 8) != 0 ? pst_get_u8(r) : PAIR_BUFFER);
    if ((how & 4) != 0) {
        pair_resume(p);
        pst_responder_sent(&p->r);
        pair_receive(p, p->request_context, p->response, p->response_len);
    }
}

static void raw(struct pair *p, struct pst_reader *r)
{
    uint8_t how = pst_get_u8(r);
    struct pst_bytes msg = pair_raw(r);

    pair_handle(p, pair_context(p, how), msg.at, msg.len, PAIR_BUFFER);
    if ((how & 0x80) != 0) {
        pst_responder_sent(&p->r);
    }
}

static void rare(struct pair *p, uint8_t what)
{
    size_t len = 0;

    switch (what % 4) {
    case 0:
        pair_resume(p);
        break;
    case 1:
        pst_responder_sent(&p->r);
        break;
    case 2:
        if (p->out != NULL && !p->pending) {
            need(pst_responder_bad_record(&p->r, pair_context(p, what >> 2), p->out, p->out_cap,
                                          &len) == PST_OK);
            need(len <= p->out_cap);
        }
        break;
    default:
        pst_responder_end(&p->r, pair_context(p, what >> 2), PST_ERR_LIMIT);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pair p;
    struct pst_reader r = pst_reader_of(data, size);
    uint8_t how[4];

    for (size_t i = 0; i < sizeof how; i++) {
        how[i] = pst_get_u8(&r);
    }
    pair_init(&p, how);
    for (unsigned steps = 0; r.left > 0 && !r.failed && steps < 200; steps++) {
        uint8_t op = pst_get_u8(&r);

        switch (op >> 6) {
        case 0:
            pair_common(&p, &r, op);
            break;
        case 1:
            changed(&p, &r);
            break;
        case 2:
            raw(&p, &r);
            break;
        default:
            rare(&p, op);
            break;
        }
    }
    pair_end(&p);
    return 0;
}
