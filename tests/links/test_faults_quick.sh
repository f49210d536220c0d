#!/usr/bin/env bash
# A bridge that drops, corrupts and duplicates data: a few permutations with a fixed seed.
exec python3 "$SRC/tests/links/faults.py" quick "$@"
