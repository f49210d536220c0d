/* Guests: the connections of emulators to a pcie listener, and the carriers that come of them. */
#ifndef POSTERN_POSIX_LINKS_PCIE_GUEST_H
#define POSTERN_POSIX_LINKS_PCIE_GUEST_H

#include "posix/loop/carrier.h"
#include "posix/loop/socket.h"

struct pst_pcie_guest;

struct pst_pcie_server {
    struct pst_listener base;
    struct pst_address address;
    struct pst_socket socket;
    struct pst_pcie_guest *guests;
    size_t object;  /* bytes of the largest one */
    unsigned count; /* of guests */
    bool closing, closed;
};

/* Accepts the connection that waits at `stream`. If out of memory, it stays in the queue. */
void pst_pcie_guest_accept(struct pst_pcie_server *s, uv_stream_t *stream);
/* Closes the guests without a carrier; each of the others closes with its last carrier. */
void pst_pcie_guests_leave(struct pst_pcie_server *s);
/* Frees a closed server without guests. */
void pst_pcie_server_free(struct pst_pcie_server *s);

#endif
