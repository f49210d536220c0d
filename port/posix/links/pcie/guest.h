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

/* Accepts the connection that waits at `stream`. Without memory it stays there. */
void pst_pcie_guest_accept(struct pst_pcie_server *s, uv_stream_t *stream);
/* Closes the guests that nobody is debugging; each of the others goes with its last carrier. */
void pst_pcie_guests_leave(struct pst_pcie_server *s);
/* Frees a server that is closed and has no guest any more. */
void pst_pcie_server_free(struct pst_pcie_server *s);

#endif
