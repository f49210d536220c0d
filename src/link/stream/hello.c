/* The control messages HELLO and BYE, and how two HELLOs are combined into the traits of the
 * path. */
#include <string.h>

#include "postern/link.h"

#define HELLO_LEN 12
#define BYE_LEN 2

static const uint8_t magic[4] = {'M', 'D', 'B', 'G'};

static uint8_t flags_of(const struct pst_hello *hello)
{
    return (uint8_t)((hello->target ? PST_LINK_FLAG_TARGET : 0) |
                     (hello->shared ? PST_LINK_FLAG_SHARED : 0) |
                     (hello->native ? PST_LINK_FLAG_NATIVE : 0) |
                     (hello->polled ? PST_LINK_FLAG_POLLED : 0) |
                     (hello->mctp ? PST_LINK_FLAG_MCTP : 0));
}

size_t pst_link_put_hello(uint8_t *out, const struct pst_hello *hello)
{
    struct pst_writer w = pst_writer_of(out, HELLO_LEN);

    pst_put_u8(&w, PST_CONTROL_HELLO);
    pst_put_bytes(&w, magic, sizeof magic);
    pst_put_u8(&w, hello->profile);
    pst_put_u8(&w, flags_of(hello));
    pst_put_u8(&w, 0);
    pst_put_u32(&w, hello->largest);
    return w.used;
}

size_t pst_link_put_bye(uint8_t *out, pst_err why)
{
    const int reason = -(int)why;

    out[0] = PST_CONTROL_BYE;
    out[1] = (uint8_t)(reason >= 0 && reason <= UINT8_MAX ? reason : -(int)PST_ERR_CLOSED);
    return BYE_LEN;
}

static pst_err get_hello(struct pst_reader *r, struct pst_hello *out)
{
    struct pst_hello hello = {0};
    uint8_t name[sizeof magic];

    pst_get_copy(r, name, sizeof name);
    pst_require(r, memcmp(name, magic, sizeof magic) == 0);
    hello.profile = pst_get_u8(r);
    if (pst_reader_ok(r) && hello.profile != PST_PROFILE_VERSION) {
        *out = hello; /* another profile defines the rest of its HELLO */
        return PST_OK;
    }
    const uint8_t flags = pst_get_u8(r);
    pst_require(r, (flags & ~PST_LINK_FLAGS) == 0);
    hello.target = (flags & PST_LINK_FLAG_TARGET) != 0;
    hello.shared = (flags & PST_LINK_FLAG_SHARED) != 0;
    hello.native = (flags & PST_LINK_FLAG_NATIVE) != 0;
    hello.polled = (flags & PST_LINK_FLAG_POLLED) != 0;
    hello.mctp = (flags & PST_LINK_FLAG_MCTP) != 0;
    pst_require(r, pst_get_u8(r) == 0);
    hello.largest = pst_get_u32(r);
    pst_require(r, hello.largest >= PST_LINK_MIN_MESSAGE);
    PST_TRY(pst_finish(r));
    *out = hello;
    return PST_OK;
}

static pst_err get_bye(struct pst_reader *r, pst_err *why)
{
    const int reason = -(int)pst_get_u8(r);

    PST_TRY(pst_finish(r));
    /* PST_PENDING and PST_WANT_MORE are no errors, so they cannot be a reason. */
    *why = reason == PST_PENDING || reason == PST_WANT_MORE ? PST_ERR_CLOSED : (pst_err)reason;
    return PST_OK;
}

pst_err pst_link_get_control(const uint8_t *msg, size_t len, uint8_t *op, struct pst_hello *hello,
                             pst_err *why)
{
    struct pst_reader r = pst_reader_of(msg, len);
    const uint8_t what = pst_get_u8(&r);

    if (what == PST_CONTROL_HELLO) {
        PST_TRY(get_hello(&r, hello));
    } else if (what == PST_CONTROL_BYE) {
        PST_TRY(get_bye(&r, why));
    } else {
        return PST_ERR_DECODE;
    }
    *op = what;
    return PST_OK;
}

struct pst_hello pst_link_hello_of(const struct pst_link_traits *mine, bool target,
                                   uint32_t largest)
{
    return (struct pst_hello){
        .profile = PST_PROFILE_VERSION,
        .target = target,
        .shared = mine->shared || mine->lossy,
        .native = mine->native,
        .polled = !mine->pushes,
        .mctp = mine->inner != 0,
        .largest = largest,
    };
}

void pst_link_agree(struct pst_link_traits *out, const struct pst_link_traits *mine,
                    const struct pst_hello *peer)
{
    const bool shared = mine->shared || mine->lossy || peer->shared;
    const bool mctp = mine->inner != 0 || peer->mctp;

    *out = (struct pst_link_traits){
        .mtu = peer->largest < PST_LINK_MAX_MESSAGE ? peer->largest : PST_LINK_MAX_MESSAGE,
        .ordered = mine->ordered,
        .lossy = mine->lossy,
        .shared = shared,
        .pushes = mine->pushes && !peer->polled,
        .native = mine->native || peer->native,
        .sequence_len = mctp     ? 2
                        : shared ? 8
                                 : 0,
        .inner = mctp ? PST_LINK_INNER : 0,
    };
}
