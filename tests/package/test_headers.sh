#!/usr/bin/env bash
# Each public header compiles alone, as C11 and as C++17, and C++ links what it declares as C.
set -eu
. "$SRC/tests/package/lib.sh"
command -v g++ >/dev/null || exit 77

DESTDIR=$stage quietly cmake --install "$BUILD" --prefix /usr
include=$stage/usr/include
export PKG_CONFIG_PATH=$stage/usr/lib/pkgconfig
flags="-Wall -Wextra -Wpedantic -Werror -fsyntax-only -D_POSIX_C_SOURCE=200809L
       $(pkg-config --cflags postern-posix)"

(cd "$include" && find postern -name '*.h' ! -path '*/port/*') >"$work/headers"
(cd "$include/postern/port" && find openssl posix -name '*.h') >>"$work/headers"
while read -r header; do
    printf '#include "%s"\nextern int one;\n' "$header" >"$work/one.c"
    cp "$work/one.c" "$work/one.cc"
    gcc -std=c11 $flags "$work/one.c" || fail "$header: does not compile alone as C11"
    g++ -std=c++17 $flags "$work/one.cc" || fail "$header: does not compile alone as C++17"
    path=$include/$header
    [ -e "$path" ] || path=$include/postern/port/$header
    ! grep -q '^[a-z].*(\|^struct\|^extern' "$path" || grep -q '^extern "C" {$' "$path" ||
        fail "$header: has no extern \"C\""
done <"$work/headers"

# One program in C++, with both headers that most people include.
cat >"$work/program.cc" <<'END'
#include "openssl/openssl_port.h"
#include "postern/debugger.h"
#include "postern/target.h"

int main()
{
    static pst_target target;
    static pst_debugger debugger;
    pst_debugger_wipe(&debugger);
    return !pst_target_releasing(&target) && pst_openssl_crypto() != nullptr ? 0 : 1;
}
END
g++ -std=c++17 -o "$work/program" "$work/program.cc" $(pkg-config --cflags --libs postern-openssl)
"$work/program" || fail "the program in C++"

# A size that a caller may set must reach the caller of an installed package.
grep -rho '^#ifndef PST_[A-Z_]*' "$SRC/include" | sed 's/#ifndef //' | while read -r size; do
    grep -qw "$size" "$SRC/cmake/options.cmake" || fail "$size: not in cmake/options.cmake"
done
