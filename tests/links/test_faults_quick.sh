#!/usr/bin/env bash
# A bridge that loses, changes and repeats what passes: a few permutations with a fixed seed.
exec python3 "$SRC/tests/links/faults.py" quick "$@"
