#!/usr/bin/env bash
# A hostile bridge that knows the protocol: some attacks of each kind in heavy_hostile.sh.
exec python3 "$SRC/tests/links/hostile.py" quick "$@"
