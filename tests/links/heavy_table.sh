#!/usr/bin/env bash
# The main job over every link, every bridged pair, chains of five, and with the target calling.
# Runs only the rows given as arguments, if any. SKIP_LINKS="usb pcie" skips these kinds of link.
exec python3 "$SRC/tests/links/table.py" heavy "$@"
