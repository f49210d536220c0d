#!/usr/bin/env bash
# Every fault on every link; usb and pcie in guests. FAULT_SEED=N changes the random faults (default
# 1).
exec python3 "$SRC/tests/links/faults.py" heavy "$@"
