#!/usr/bin/env bash
# A bridge that knows the protocol and means ill; some of each kind of what heavy_hostile.sh tries.
exec python3 "$SRC/tests/links/hostile.py" quick "$@"
