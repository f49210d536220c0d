#!/usr/bin/env bash
# FetchContent, which is add_subdirectory: Postern as a part of another project.
set -eu
. "$SRC/tests/package/lib.sh"

quietly cmake -S "$here/subdirectory" -B "$work/build" -DPOSTERN_SOURCE="$SRC"
grep -q 'BUILD_TESTING\|PST_SANITIZE:BOOL=ON' "$work/build/CMakeCache.txt" && fail "options leaked"
quietly cmake --build "$work/build" -j 2
cd "$work"
build/talk | grep -q 'hello from the pump' || fail "talk"
