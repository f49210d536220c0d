#!/usr/bin/env bash
# A bridge that knows the protocol and means ill: all of it on a Unix socket, one of each kind through
# every link. It boots guests. SKIP_LINKS="usb pcie": without these kinds.
exec python3 "$SRC/tests/links/hostile.py" heavy "$@"
