#!/usr/bin/env bash
# The core alone, for RV32, with the toolchain file that is shipped and no C library: built,
# installed, found by an outside project and linked into an image.
set -eu
. "$SRC/tests/package/lib.sh"

command -v riscv64-unknown-elf-gcc riscv32-unknown-elf-gcc >/dev/null || exit 77
toolchain=$SRC/cmake/toolchains/riscv32.cmake
quietly cmake -S "$SRC" -B "$work/core" --toolchain "$toolchain" -DPST_SPDM_SESSIONS=1 \
    -DPST_WERROR=ON
quietly cmake --build "$work/core" -j 2
DESTDIR=$stage quietly cmake --install "$work/core" --prefix /sdk
grep -q 'DPST_SPDM_SESSIONS=1' "$stage/sdk/lib/pkgconfig/postern-core.pc" || fail "size in the .pc"

quietly cmake -S "$here/firmware" -B "$work/firmware" --toolchain "$toolchain" \
    -DPostern_DIR="$stage/sdk/lib/cmake/Postern" -DHEADERS_C="$all"
quietly cmake --build "$work/firmware"
