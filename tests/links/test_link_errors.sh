#!/usr/bin/env bash
# What the commands say when a link is not as it should be.
exec python3 "$SRC/tests/links/errors.py" "$@"
