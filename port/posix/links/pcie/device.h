/* PCI devices in Linux's sysfs: one directory each, with configuration space in a file. Only root
   may read more than its first 64 bytes, or write. */
#ifndef POSTERN_POSIX_LINKS_PCIE_DEVICE_H
#define POSTERN_POSIX_LINKS_PCIE_DEVICE_H

#include "posix/loop/address.h"
#include "postern/links/doe.h"

#define PST_PCIE_NAME 16 /* "0000:01:00.0" */
#define PST_PCIE_ROOT "/sys/bus/pci/devices"

/* A place DOMAIN:BUS:DEV.FN, or without the domain, as the system names it. PST_ERR_DECODE. */
PST_MUST_CHECK pst_err pst_pcie_name(const char *place, char name[PST_PCIE_NAME]);
/* Calls `found` for each device under `root`, in order of name, until it returns false. False:
 * `root` cannot be read. */
bool pst_pcie_each(const char *root, bool (*found)(void *ctx, const char *name), void *ctx);
/* Opens a file of a device; -1: see errno. */
int pst_pcie_open(const char *root, const char *name, const char *file, int flags);
/* A description: "NVMe controller, 1b36:0010". */
void pst_pcie_words(const char *root, const char *name, char *out, size_t cap);
/* Vendor and device in one number, vendor above; 0 when it cannot be read. */
uint32_t pst_pcie_id(const char *root, const char *name);

/* Configuration space: `fd` of the file "config", which outlives the port. PST_ERR_IO: the system
 * refuses; PST_ERR_CLOSED: the device was removed; PST_ERR_DENIED: no privilege to look there. */
struct pst_doe_port pst_pcie_port(int *fd);

#endif
