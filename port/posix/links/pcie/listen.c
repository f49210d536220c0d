/* pcie-listen:HOST:PORT: the SPDM server behind an emulated PCIe device, as carriers of a TS.
 *
 * QEMU (`-device nvme,spdm_port=PORT`) connects once, when its machine is made, and stays
 * (guest.c).
 */
#include <stdio.h>
#include <stdlib.h>

#include "posix/links/pcie/guest.h"
#include "posix/links/pcie/pcie.h"

static void on_guest(uv_stream_t *stream, int status)
{
    if (status == 0) {
        pst_pcie_guest_accept(stream->data, stream);
    }
}

static void on_server_closed(uv_handle_t *handle)
{
    struct pst_pcie_server *s = handle->data;
    s->closed = true;
    pst_pcie_server_free(s);
}

static void close_listener(struct pst_listener *base)
{
    struct pst_pcie_server *s = (struct pst_pcie_server *)base;

    s->closing = true;
    pst_pcie_guests_leave(s);
    s->socket.io.handle.data = s;
    pst_socket_close(&s->socket, on_server_closed);
}

pst_err pst_pcie_listen(uv_loop_t *loop, const struct pst_address *at,
                        const struct pst_listener_events *events, void *ctx,
                        struct pst_listener **listener, char *why, size_t why_cap)
{
    uint64_t object = PST_DOE_OBJECT;
    struct pst_pcie_server *s;

    PST_TRY(pst_address_number(at, "object", PST_PCIE_LEAST, PST_PCIE_MOST, &object, why, why_cap));
    s = calloc(1, sizeof *s);
    if (s == NULL) {
        snprintf(why, why_cap, "link '%s': no memory to listen", at->text);
        return PST_ERR_IO;
    }
    s->base = (struct pst_listener){.close = close_listener, .events = events, .ctx = ctx};
    s->address = *at;
    s->object = (size_t)object & ~(size_t)3;
    const pst_err err = pst_socket_listen(loop, &s->socket, at, on_guest, s, why, why_cap);
    if (err != PST_OK) {
        if (s->socket.open) {
            close_listener(&s->base);
        } else {
            free(s);
        }
        return err;
    }
    snprintf(s->base.place, sizeof s->base.place, "pcie:%s:%d", at->host,
             pst_socket_port(&s->socket));
    *listener = &s->base;
    return PST_OK;
}
