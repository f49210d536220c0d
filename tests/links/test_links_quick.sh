#!/usr/bin/env bash
# The main job over each link that needs no guest, over a few bridges, and with the target calling.
exec python3 "$SRC/tests/links/table.py" quick "$@"
