#!/usr/bin/env bash
# Attacks by a hostile bridge that knows the protocol: all of them on a Unix socket, one of each
# kind through every link. Boots guests. SKIP_LINKS="usb pcie" skips these kinds of link.
exec python3 "$SRC/tests/links/hostile.py" heavy "$@"
