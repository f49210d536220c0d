#!/usr/bin/env bash
# The main job over every link, every pair bridged, chains of five, and with the target calling.
# Rows as arguments: only these. SKIP_LINKS="usb pcie": without these kinds.
exec python3 "$SRC/tests/links/table.py" heavy "$@"
