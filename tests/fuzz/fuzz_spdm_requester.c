/* The SPDM requester against a responder that is honest, changes its messages, or invents them. See
 * fake_pair.h for the input. pst-link: crypto wire */
#include "fuzz.h"

#include "fuzz/fake_pair.h"

/* One exchange whose answer is changed in transit. */
static void changed(struct pair *p, struct pst_reader *r)
{
    uint8_t how = pst_get_u8(r);

    if (!pair_next(p)) {
        return;
    }
    pair_handle(p, p->request_context, p->request, p->request_len, PAIR_BUFFER);
    pair_resume(p);
    pst_responder_sent(&p->r);
    if ((how & 1) != 0) {
        p->response_len = pair_mutate(r, p->response, p->response_len);
    }
    if ((how & 2) != 0) {
        p->response_len = pair_mutate(r, p->response, p->response_len);
    }
    pair_receive(p, (how & 4) != 0 ? pair_context(p, how >> 4) : p->request_context, p->response,
                 p->response_len);
    if ((how & 8) != 0) { /* and again */
        pair_receive(p, p->request_context, p->response, p->response_len);
    }
}

static void raw(struct pair *p, struct pst_reader *r)
{
    uint8_t how = pst_get_u8(r);
    struct pst_bytes msg = pair_raw(r);

    if ((how & 0x80) != 0) {
        (void)pair_next(p);
    }
    pair_receive(p, (how & 0x40) != 0 ? pair_context(p, how) : p->request_context, msg.at, msg.len);
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
            pst_requester_sent(&p.q);
            p.now += 500;
            (void)pair_next(&p);
            break;
        }
    }
    pair_end(&p);
    return 0;
}
