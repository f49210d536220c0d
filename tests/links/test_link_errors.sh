#!/usr/bin/env bash
# Error messages of the commands when a link has a problem.
exec python3 "$SRC/tests/links/errors.py" "$@"
