#!/bin/bash
# The stub client and the supervisor against a real QEMU running the pump.
set -eu
command -v qemu-system-riscv32 >/dev/null || { echo "no qemu-system-riscv32"; exit 77; }
export PUMP="$BUILD/examples/pump.elf"
[ -e "$PUMP" ] || { echo "no pump.elf: no RISC-V compiler at build time"; exit 77; }
"$BUILD/tests/live_qemu"
"$BUILD/tests/live_supervisor"
