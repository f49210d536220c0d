#!/usr/bin/env bash
# Every fault on every link, usb and pcie in guests. FAULT_SEED=N: others than those of 1.
exec python3 "$SRC/tests/links/faults.py" heavy "$@"
