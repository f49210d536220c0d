#!/usr/bin/env bash
# A flood over each link, to an end that does not read.
exec python3 "$SRC/tests/links/backpressure.py" "$@"
