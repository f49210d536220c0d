#!/usr/bin/env bash
# The core alone, for RV32, with the toolchain file that is shipped and no C library: built,
# installed, found by an outside project and linked into an image.
set -eu
. "$SRC/tests/package/lib.sh"

command -v riscv64-unknown-elf-gcc >/dev/null || exit 77
toolchain=$SRC/cmake/toolchains/riscv32.cmake
quietly cmake -S "$SRC" -B "$work/core" --toolchain "$toolchain" -DPST_SPDM_SESSIONS=1 \
    -DPST_WERROR=ON
quietly cmake --build "$work/core" -j 2
DESTDIR=$stage quietly cmake --install "$work/core" --prefix /sdk
grep -q 'DPST_SPDM_SESSIONS=1' "$stage/sdk/lib/pkgconfig/postern-core.pc" || fail "size in the .pc"

quietly cmake -S "$here/firmware" -B "$work/firmware" --toolchain "$toolchain" \
    -DPostern_DIR="$stage/sdk/lib/cmake/Postern" -DHEADERS_C="$all"
quietly cmake --build "$work/firmware"

# What the core calls and does not bring is what CONTRIBUTING.md lists, and what bench/size/string.h
# declares for compilers without a C library. libgcc's own helpers are the compiler's.
calls() {
    riscv64-unknown-elf-nm "$@" | awk '
        NF == 3 { defined[$3] }
        NF == 2 && $1 == "U" { used[$2] }
        END { for (name in used) if (!(name in defined) && name !~ /^__/) print name }' | sort
}
sed -n '/^Of `string.h` the core calls/,/^$/p' "$SRC/CONTRIBUTING.md" | grep -o '`[a-z]*`' | tr -d '`' |
    sort >"$work/listed"
sed -n 's/^[a-z].*[ *]\([a-z]*\)(.*/\1/p' "$SRC/bench/size/string.h" | sort |
    diff -u "$work/listed" - || fail "bench/size/string.h declares other functions than CONTRIBUTING.md"
calls "$work/core/libpostern-core.a" | diff -u "$work/listed" - ||
    fail "the core uses other functions than CONTRIBUTING.md lists"

# The check finds one more.
echo 'char *strchr(const char *, int); char *planted(void) { return strchr("", 1); }' >"$work/more.c"
riscv64-unknown-elf-gcc -march=rv32imac -mabi=ilp32 -fno-builtin -c "$work/more.c" -o "$work/more.o"
calls "$work/core/libpostern-core.a" "$work/more.o" | grep -qx strchr || fail "a planted strchr"
