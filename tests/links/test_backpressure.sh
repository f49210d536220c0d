#!/usr/bin/env bash
# Floods each link towards an end that does not read.
exec python3 "$SRC/tests/links/backpressure.py" "$@"
