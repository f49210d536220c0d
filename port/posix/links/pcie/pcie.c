/* pcie: the DOE mailbox of a device in this machine, as a carrier of a DTS.
 *
 * Every access to configuration space may take long: a device, or the emulator behind it, may think
 * inside of it. So each exchange is done by a thread of libuv's pool, and the loop stays free.
 *
 * `pcie:DOMAIN:BUS:DEV.FN`, or `pcie:` where one device alone has a mailbox that knows SPDM.
 * Options: object=N, bytes of the largest data object that the device takes; sysfs=DIR, where the
 * kernel lists PCI devices. Listening is the other side, the SPDM server behind a device:
 * carrier_pcie_listen.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "posix/links/pcie/device.h"
#include "posix/links/pcie/pcie.h"

#define ANSWER_MS 10000
#define SURVEY_MS 2000    /* spec: discovery takes at most one second */
#define MOST_MAILBOXES 16 /* of a device that are asked */
#define OLD_SPACE 256     /* size of configuration space without PCI Express */

struct mailbox {
    struct pst_carrier base;
    struct pst_link_traits traits;
    struct pst_doe_end end;
    uv_async_t kick;
    uv_timer_t timer; /* how long `finish` may take */
    bool open, working, reading, wanted, finishing, closing, closed;
    uint8_t to_close;
    pst_err why;
    char text[PST_ADDRESS_TEXT];
    /* the thread's while `working` */
    uv_work_t work;
    atomic_bool stop;
    char root[PST_ADDRESS_TEXT], name[PST_PCIE_NAME];
    char found[PST_PCIE_NAME]; /* the name where it was looked for */
    int fd;
    struct pst_doe_port port;
    struct pst_doe doe;
    struct pst_bytes answer;
    pst_err result;
    char trouble[PST_ADDRESS_TEXT];
    uint8_t *request, *buffer; /* `object_cap` bytes each */
    size_t object_cap;
};

static void turn(struct mailbox *m);

/* --- in the thread --- */

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

static pst_err trouble(struct mailbox *m, pst_err err, const char *what)
{
    snprintf(m->trouble, sizeof m->trouble, "%s%s%s", m->found, m->found[0] != '\0' ? ": " : "",
             what);
    return err;
}

static const char *words_of(pst_err err)
{
    switch ((int)err) {
    case PST_ERR_CLOSED:
        return "the device is gone: unplugged, or in reset";
    case PST_ERR_PEER:
        return "the device reports an error in its mailbox";
    case PST_ERR_TIMEOUT:
        return "no answer from the device in time";
    case PST_ERR_LIMIT:
        return "the device's answer is longer than was agreed";
    case PST_ERR_DENIED:
        return "permission denied: only root may use configuration space";
    case PST_ERR_IO:
        return "configuration space cannot be accessed";
    default:
        return "the device's answer does not match the request";
    }
}

static pst_err exchange(struct mailbox *m, const uint8_t *object, size_t len)
{
    pst_err err = pst_doe_start(&m->doe, object, len, now_ms());

    while (err == PST_OK && (err = pst_doe_step(&m->doe, now_ms(), &m->answer)) == PST_PENDING) {
        const uint64_t now = now_ms(), wake = pst_doe_wake(&m->doe);
        const struct timespec pause = {.tv_nsec = (long)(wake > now ? wake - now : 0) * 1000000};
        if (atomic_load(&m->stop)) {
            pst_doe_cancel(&m->doe);
            return PST_ERR_CLOSED;
        }
        (void)nanosleep(&pause, NULL);
        err = PST_OK;
    }
    return err;
}

/* The protocols of the mailbox at `at`. PST_ERR_UNSUPPORTED: no SPDM. */
static pst_err survey(struct mailbox *m, uint16_t at, uint8_t version)
{
    struct pst_doe_survey s;
    uint8_t ask[12];
    pst_err err;

    pst_doe_init(&m->doe, &m->port, at, SURVEY_MS, m->buffer, m->object_cap);
    pst_doe_survey_init(&s, version);
    do {
        const size_t len = pst_doe_survey_ask(&s, ask);
        PST_TRY(exchange(m, ask, len));
        err = pst_doe_survey_take(&s, m->answer.at, m->answer.len);
    } while (err == PST_PENDING);
    PST_TRY(err);
    return s.spdm && s.secured ? PST_OK : PST_ERR_UNSUPPORTED;
}

static pst_err survey_all(struct mailbox *m)
{
    uint16_t at = 0;
    uint8_t version;
    pst_err err = pst_doe_find(&m->port, 0, &at, &version);

    if (err == PST_ERR_UNSUPPORTED || err == PST_ERR_DECODE) {
        return trouble(m, err, "the device has no DOE mailbox (extended capability 002e)");
    }
    for (unsigned i = 0; i < MOST_MAILBOXES && err == PST_OK; i++) { /* the list may be circular */
        err = survey(m, at, version);
        if (err == PST_OK) {
            return PST_OK;
        }
        if (err != PST_ERR_UNSUPPORTED) {
            return trouble(m, err, words_of(err));
        }
        err = pst_doe_find(&m->port, at, &at, &version);
    }
    err = err == PST_OK ? PST_ERR_DECODE : err;
    return trouble(m, err,
                   err == PST_ERR_UNSUPPORTED || err == PST_ERR_DECODE
                       ? "the device's mailbox does not support SPDM"
                       : words_of(err));
}

static pst_err open_device(struct mailbox *m)
{
    char what[128];
    struct stat st;

    m->fd = pst_pcie_open(m->root, m->name, "config", O_RDWR);
    if (m->fd < 0) {
        if (errno == ENOENT) {
            return trouble(m, PST_ERR_IO,
                           "no such device (`postern links` lists those with a mailbox)");
        }
        snprintf(what, sizeof what, "%s%s", strerror(errno),
                 errno == EACCES || errno == EPERM || errno == EROFS
                     ? ": only root may write configuration space"
                     : "");
        return trouble(m, PST_ERR_IO, what);
    }
    if (fstat(m->fd, &st) == 0 && st.st_size == OLD_SPACE) {
        return trouble(m, PST_ERR_IO,
                       "not a PCI Express device: it has no extended configuration space");
    }
    /* Two users of one mailbox would mix their words. This lock does not exclude the kernel. */
    if (flock(m->fd, LOCK_EX | LOCK_NB) != 0) {
        return trouble(m, PST_ERR_IO,
                       errno == EWOULDBLOCK ? "another debugger on this machine uses the mailbox"
                                            : strerror(errno));
    }
    return survey_all(m);
}

struct search {
    struct mailbox *m;
    unsigned found;
    char name[PST_PCIE_NAME];
    char others[128];
};

/* Reads the capability only and writes nothing: the user chooses which of several devices may be
   queried. */
static bool look(void *ctx, const char *name)
{
    struct search *s = ctx;
    int fd = pst_pcie_open(s->m->root, name, "config", O_RDONLY);
    const struct pst_doe_port port = pst_pcie_port(&fd);
    uint16_t at;
    uint8_t version;

    if (fd < 0) {
        return true;
    }
    if (pst_doe_find(&port, 0, &at, &version) == PST_OK) {
        const size_t used = strlen(s->others);
        snprintf(s->others + used, sizeof s->others - used, "%s%s", used > 0 ? ", " : "", name);
        memcpy(s->name, name, strlen(name) + 1);
        s->found++;
    }
    (void)close(fd);
    return true;
}

static pst_err find_device(struct mailbox *m)
{
    struct search s = {.m = m};
    char what[256];

    if (!pst_pcie_each(m->root, look, &s)) {
        return trouble(m, PST_ERR_IO, "this machine lists no PCI devices");
    }
    if (s.found == 1) {
        memcpy(m->name, s.name, sizeof m->name);
        memcpy(m->found, s.name, sizeof m->found);
        return PST_OK;
    }
    snprintf(what, sizeof what,
             s.found == 0 ? "no device with a DOE mailbox%s%s"
                          : "several devices have a mailbox; name one: %s%s",
             s.others, s.found == 0 && geteuid() != 0 ? " (only root may look for one)" : "");
    return trouble(m, PST_ERR_IO, what);
}

static void do_open(uv_work_t *work)
{
    struct mailbox *m = work->data;

    m->result = m->name[0] == '\0' ? find_device(m) : PST_OK;
    if (m->result == PST_OK) {
        m->result = open_device(m);
    }
}

static void do_exchange(uv_work_t *work)
{
    struct mailbox *m = work->data;
    size_t len;
    const uint8_t *object = pst_doe_end_object(&m->end, &len); /* the loop does not touch it */

    m->result = exchange(m, object, len);
    if (m->result != PST_OK) {
        (void)trouble(m, m->result, words_of(m->result));
    }
}

/* --- the end --- */

static void on_closed(uv_handle_t *handle)
{
    struct mailbox *m = handle->data;

    if (--m->to_close > 0) {
        return;
    }
    if (m->fd >= 0) {
        (void)close(m->fd);
    }
    m->base.events->down(m->base.ctx, m->why, m->text);
    free(m->request);
    free(m->buffer);
    free(m);
}

static void end(struct mailbox *m, pst_err why, const char *text)
{
    if (m->closing) {
        return;
    }
    m->closing = true;
    m->why = why;
    snprintf(m->text, sizeof m->text, "%s", text);
    atomic_store(&m->stop, true);
    (void)uv_async_send(&m->kick);
}

/* Handles close once the thread is done. */
static void close_handles(struct mailbox *m)
{
    if (m->working || m->closed) {
        return;
    }
    m->closed = true;
    m->to_close = 2;
    uv_close((uv_handle_t *)&m->kick, on_closed);
    uv_close((uv_handle_t *)&m->timer, on_closed);
}

/* --- on the loop --- */

static void on_opened(uv_work_t *work, int status)
{
    struct mailbox *m = work->data;

    m->working = false;
    if (m->closing) {
        close_handles(m);
    } else if (status != 0 || m->result != PST_OK) {
        end(m, PST_ERR_IO, status != 0 ? uv_strerror(status) : m->trouble);
    } else {
        m->open = true;
        snprintf(m->base.peer, sizeof m->base.peer, "pcie:%s", m->name);
        m->base.events->open(m->base.ctx);
        turn(m);
    }
}

static void on_exchanged(uv_work_t *work, int status)
{
    struct mailbox *m = work->data;

    m->working = false;
    pst_doe_end_drop(&m->end);
    if (m->closing) {
        close_handles(m);
        return;
    }
    if (status != 0 || m->result != PST_OK) {
        end(m, status != 0 ? PST_ERR_IO : m->result,
            status != 0 ? uv_strerror(status) : m->trouble);
        return;
    }
    /* The buffer belongs to the loop until the next exchange. */
    const pst_err err = pst_doe_end_take(&m->end, m->buffer, m->answer.len);
    if (err != PST_OK) {
        end(m, err,
            err == PST_ERR_PROFILE
                ? "the device does not speak HELLO, but this path needs sequence numbers in records"
                : "the device's answer is neither SPDM nor a record");
        return;
    }
    turn(m);
}

static void begin_exchange(struct mailbox *m)
{
    m->working = true;
    m->work.data = m;
    const int rc = uv_queue_work(m->kick.loop, &m->work, do_exchange, on_exchanged);
    if (rc != 0) {
        m->working = false;
        end(m, PST_ERR_IO, uv_strerror(rc));
    }
}

static void give_out(struct mailbox *m)
{
    for (struct pst_bytes out; (out = pst_doe_end_peek(&m->end)).len > 0;) {
        if (m->closing || (!m->finishing && !m->reading)) {
            return;
        }
        pst_doe_end_read(&m->end, m->finishing ? out.len : pst_carrier_give(&m->base, out));
    }
}

static void turn(struct mailbox *m)
{
    size_t len;

    if (m->open && !m->closing) {
        give_out(m);
    }
    if (m->closing) {
        close_handles(m);
        return;
    }
    if (!m->open || m->working) {
        return;
    }
    if (pst_doe_end_object(&m->end, &len) != NULL) {
        if (pst_doe_end_peek(&m->end).len == 0) {
            begin_exchange(m);
        }
    } else if (m->finishing) {
        end(m, PST_OK, "");
    } else if (m->wanted && m->base.events->writable != NULL) {
        m->wanted = false;
        m->base.events->writable(m->base.ctx);
    }
}

static void on_kick(uv_async_t *kick)
{
    turn(kick->data);
}

static void on_timer(uv_timer_t *timer)
{
    end(timer->data, PST_OK, "");
}

/* --- the four operations --- */

static size_t write_bytes(struct pst_carrier *base, const uint8_t *bytes, size_t len)
{
    struct mailbox *m = (struct mailbox *)base;
    size_t taken = 0, total = 0, object;

    if (!m->open || m->finishing || m->closing) {
        return 0;
    }
    while (total < len && pst_doe_end_object(&m->end, &object) == NULL) {
        const pst_err err = pst_doe_end_write(&m->end, bytes + total, len - total, &taken);
        if (err != PST_OK) {
            end(m, err,
                err == PST_ERR_UNSUPPORTED
                    ? "a mailbox carries SPDM messages and records only"
                    : "the owner wrote something that is not a link message");
            return total;
        }
        total += taken;
    }
    m->wanted = total < len;
    (void)uv_async_send(&m->kick);
    return total;
}

static void read_on_off(struct pst_carrier *base, bool on)
{
    struct mailbox *m = (struct mailbox *)base;

    m->reading = on;
    if (on && !m->closing) {
        (void)uv_async_send(&m->kick);
    }
}

static void finish(struct pst_carrier *base)
{
    struct mailbox *m = (struct mailbox *)base;

    if (m->finishing || m->closing) {
        return;
    }
    m->finishing = true;
    if (!m->open || uv_timer_start(&m->timer, on_timer, PST_CARRIER_FINISH_MS, 0) != 0) {
        end(m, PST_OK, "");
    }
    (void)uv_async_send(&m->kick);
}

static void close_now(struct pst_carrier *base)
{
    end((struct mailbox *)base, PST_OK, "");
}

static const struct pst_carrier_ops ops = {
    .write = write_bytes, .read = read_on_off, .finish = finish, .close = close_now};

/* --- opening --- */

static void no_handle(uv_handle_t *handle)
{
    struct mailbox *m = handle->data;
    free(m->request);
    free(m->buffer);
    free(m);
}

static struct mailbox *make(uv_loop_t *loop, size_t object)
{
    struct mailbox *m = calloc(1, sizeof *m);

    if (m == NULL) {
        return NULL;
    }
    m->object_cap = object + PST_DOE_SPARE;
    m->request = malloc(m->object_cap);
    m->buffer = malloc(m->object_cap);
    m->fd = -1;
    atomic_init(&m->stop, false);
    if (m->request == NULL || m->buffer == NULL || uv_timer_init(loop, &m->timer) != 0) {
        free(m->request);
        free(m->buffer);
        free(m);
        return NULL;
    }
    m->timer.data = m->kick.data = m;
    if (uv_async_init(loop, &m->kick, on_kick) != 0) {
        uv_close((uv_handle_t *)&m->timer, no_handle);
        return NULL;
    }
    m->base.ops = &ops;
    m->traits = pst_doe_traits;
    m->traits.mtu = (uint32_t)(object - PST_DOE_HEAD);
    m->base.traits = &m->traits;
    m->port = pst_pcie_port(&m->fd);
    pst_doe_end_init(&m->end, false, m->request, m->object_cap);
    return m;
}

static pst_err connect_to(uv_loop_t *loop, const struct pst_address *to,
                          const struct pst_carrier_events *events, void *ctx,
                          struct pst_carrier **carrier, char *why, size_t why_cap)
{
    uint64_t object = PST_DOE_OBJECT;
    char name[PST_PCIE_NAME] = "", root[PST_ADDRESS_TEXT];

    if (to->place[0] != '\0' && pst_pcie_name(to->place, name) != PST_OK) {
        return pst_address_bad(to, "not the name of a PCI device", why, why_cap);
    }
    PST_TRY(pst_address_number(to, "object", PST_PCIE_LEAST, PST_PCIE_MOST, &object, why, why_cap));
    PST_TRY(pst_address_string(to, "sysfs", root, sizeof root, why, why_cap));
    struct mailbox *m = make(loop, (size_t)object & ~(size_t)3);
    if (m == NULL) {
        snprintf(why, why_cap, "link '%s': no memory for a connection", to->text);
        return PST_ERR_IO;
    }
    pst_carrier_own(&m->base, events, ctx);
    snprintf(m->base.peer, sizeof m->base.peer, "%s", to->text);
    snprintf(m->root, sizeof m->root, "%s", root[0] != '\0' ? root : PST_PCIE_ROOT);
    memcpy(m->name, name, sizeof m->name);
    m->work.data = m;
    m->working = true;
    const int rc = uv_queue_work(loop, &m->work, do_open, on_opened);
    if (rc != 0) {
        m->working = false;
        end(m, PST_ERR_IO, uv_strerror(rc));
    }
    *carrier = &m->base;
    return PST_OK;
}

static pst_err check(struct pst_address *a, char *why, size_t why_cap)
{
    static const char *const keys[] = {"object", "sysfs", NULL};
    uint64_t object;
    char name[PST_PCIE_NAME];

    PST_TRY(pst_address_options(a, keys, why, why_cap));
    PST_TRY(pst_address_number(a, "object", PST_PCIE_LEAST, PST_PCIE_MOST, &object, why, why_cap));
    if (a->listen) {
        return pst_address_host(a, PST_PCIE_PORT, why, why_cap);
    }
    if (a->place[0] != '\0' && pst_pcie_name(a->place, name) != PST_OK) {
        return pst_address_bad(a, "not the name of a PCI device", why, why_cap);
    }
    return PST_OK;
}

struct present {
    void (*found)(void *ctx, const char *link, const char *what);
    void *ctx;
};

static bool show(void *ctx, const char *name)
{
    const struct present *p = ctx;
    int fd = pst_pcie_open(PST_PCIE_ROOT, name, "config", O_RDONLY);
    const struct pst_doe_port port = pst_pcie_port(&fd);
    char link[PST_PCIE_NAME + 8], words[64], what[96];
    uint16_t at;
    uint8_t version;

    if (fd >= 0 && pst_doe_find(&port, 0, &at, &version) == PST_OK) {
        pst_pcie_words(PST_PCIE_ROOT, name, words, sizeof words);
        snprintf(link, sizeof link, "pcie:%s", name);
        snprintf(what, sizeof what, "%s, mailbox at %03x", words, at);
        p->found(p->ctx, link, what);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return true;
}

static void present(void (*found)(void *ctx, const char *link, const char *what), void *ctx)
{
    struct present p = {found, ctx};
    (void)pst_pcie_each(PST_PCIE_ROOT, show, &p);
}

const struct pst_scheme pst_scheme_pcie = {
    .name = "pcie",
    .form = "pcie:[DOMAIN:]BUS:DEV.FN or pcie-listen:HOST:PORT",
    .summary = "PCIe DOE mailbox of a device; listening: the SPDM server behind an emulated one",
    .traits = &pst_doe_traits,
    .exclusive = true,
    .check = check,
    .connect = connect_to,
    .listen = pst_pcie_listen,
    .present = present,
};
