#!/usr/bin/env bash
# A bridge that knows the protocol and means ill, all of it, through every link that needs no guest.
exec python3 "$SRC/tests/links/hostile.py" heavy "$@"
