/* A model of a device with a DOE mailbox, as the host sees it: configuration space with a list of
 * extended capabilities, and all errors that a device may have. */
#ifndef PST_DOE_MODEL_H
#define PST_DOE_MODEL_H

#include <string.h>

#include "postern/links/doe.h"

enum { DOE_AT = 0x140, DOE_WORDS = 2048 };

struct doe_model {
    uint32_t words[1024]; /* configuration space but for the mailbox */
    uint32_t written[DOE_WORDS], ready[DOE_WORDS];
    size_t written_count, ready_count, ready_at;
    uint32_t status;
    unsigned aborts, accesses;
    /* what the device does with an object: words of the answer into `ready`; 0: it reports an
     * error */
    size_t (*answer)(struct doe_model *m);
    void *ctx;
    /* errors of the device */
    unsigned slow;       /* reads of the status until the answer is ready */
    unsigned busy;       /* reads of the status until somebody else's object is done */
    unsigned cut;        /* the answer ends after so many words */
    unsigned gone_after; /* accesses until the device is unplugged; 0: never */
    bool mute, wedged;   /* never ready; an abort does nothing */
    unsigned fail_after; /* accesses until the port itself fails */
};

static inline void doe_model_init(struct doe_model *m, size_t (*answer)(struct doe_model *m))
{
    memset(m, 0, sizeof *m);
    m->words[0] = 0x00101B36;
    m->words[0x100 / 4] = 0x14010001;               /* version 1 of another capability */
    m->words[DOE_AT / 4] = 0x18000000 | 0x0002002E; /* a mailbox of version 2 */
    m->words[0x180 / 4] = 0x0001000D;
    m->answer = answer;
}

static inline void doe_model_go(struct doe_model *m)
{
    m->ready_at = 0;
    m->ready_count = m->mute ? 0 : m->answer(m);
    m->written_count = 0;
    if (m->mute) {
        m->status |= 1;
    } else if (m->ready_count == 0) {
        m->status |= 4;
    } else {
        m->status |= m->slow > 0 ? 1 : 0x80000000u;
    }
    if (m->cut > 0 && m->cut < m->ready_count) {
        m->ready_count = m->cut;
    }
}

static inline uint32_t doe_model_status(struct doe_model *m)
{
    if (m->busy > 0) {
        m->busy--;
        return 1;
    }
    if (m->slow > 0 && m->status == 1 && !m->mute && --m->slow == 0) {
        m->status = 0x80000000u;
    }
    return m->status;
}

static inline bool doe_model_out(struct doe_model *m)
{
    m->accesses++;
    return m->gone_after > 0 && m->accesses > m->gone_after;
}

static inline pst_err doe_model_read(void *ctx, uint16_t at, uint32_t *word)
{
    struct doe_model *m = ctx;

    *word = 0xFFFFFFFF;
    if (doe_model_out(m)) {
        return PST_OK;
    }
    if (m->fail_after > 0 && m->accesses > m->fail_after) {
        return PST_ERR_IO;
    }
    if (at == DOE_AT + 0x0C) {
        *word = doe_model_status(m);
    } else if (at == DOE_AT + 0x14) {
        *word = m->ready_at < m->ready_count ? m->ready[m->ready_at] : 0;
    } else if (at < 4096 && at % 4 == 0) {
        *word = m->words[at / 4];
    } else {
        return PST_ERR_ARGUMENT;
    }
    return PST_OK;
}

static inline void doe_model_control(struct doe_model *m, uint32_t word)
{
    if ((word & 1) != 0) {
        m->aborts++;
        if (!m->wedged) {
            m->status = 0;
            m->busy = 0;
            m->written_count = m->ready_count = 0;
        }
    } else if ((word & 0x80000000u) != 0) {
        doe_model_go(m);
    }
}

static inline pst_err doe_model_write(void *ctx, uint16_t at, uint32_t word)
{
    struct doe_model *m = ctx;

    if (doe_model_out(m)) {
        return PST_OK;
    }
    if (m->fail_after > 0 && m->accesses > m->fail_after) {
        return PST_ERR_IO;
    }
    if (at == DOE_AT + 0x08) {
        doe_model_control(m, word);
    } else if (at == DOE_AT + 0x10 && m->written_count < DOE_WORDS) {
        m->written[m->written_count++] = word;
    } else if (at == DOE_AT + 0x14 && ++m->ready_at >= m->ready_count) {
        m->status &= ~0x80000000u;
    }
    return PST_OK;
}

static inline struct pst_doe_port doe_model_port(struct doe_model *m)
{
    return (struct pst_doe_port){.ctx = m, .read = doe_model_read, .write = doe_model_write};
}

#endif
