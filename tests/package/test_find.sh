#!/usr/bin/env bash
# find_package: an outside project finds the installed package, builds against it and runs.
set -eu
. "$SRC/tests/package/lib.sh"

DESTDIR=$stage quietly cmake --install "$BUILD" --prefix /opt/postern
mv "$stage/opt/postern" "$work/moved" # a package may be moved as a whole
quietly cmake -S "$here/find" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/moved" \
    -DHEADERS_C="$all" -DCMAKE_BUILD_TYPE=Release
quietly cmake --build "$work/build" -j 2

version=$("$BUILD/postern" --version)
[ "$("$work/moved/bin/postern" --version)" = "$version" ] || fail "bin/postern: version"
for file in man/man1/postern.1 man/man1/postern-gdb.1 zsh/site-functions/_postern \
    bash-completion/completions/postern; do
    [ -s "$work/moved/share/$file" ] || fail "$file: not installed"
done
cd "$work"
said=$(build/talk) || fail "talk"
[ "$said" = "$version: hello from the pump" ] || fail "talk said: $said"
build/links >schemes
"$BUILD/postern" links | sed -n 's/^\([a-z][a-z0-9-]*\) .*/\1/p' | cmp - schemes || fail "links"

# An older or a newer interface than the one asked for is not taken.
sed 's/Postern 0.1 /Postern 0.99 /' "$here/find/CMakeLists.txt" >"$work/moved/CMakeLists.txt"
if cmake -S "$work/moved" -B "$work/wrong" -DCMAKE_PREFIX_PATH="$work/moved" >"$work/log" 2>&1; then
    fail "version 0.99 was found"
fi
grep -q 'version: ' "$work/log" || { cat "$work/log" >&2; fail "no word about the version"; }

# A component that does not exist is named.
sed 's/find_package(Postern 0.1 .*/find_package(Postern 0.1 REQUIRED COMPONENTS nosuch)/' \
    "$here/find/CMakeLists.txt" >"$work/moved/CMakeLists.txt"
if cmake -S "$work/moved" -B "$work/unknown" -DCMAKE_PREFIX_PATH="$work/moved" >"$work/log" 2>&1; then
    fail "component nosuch was found"
fi
grep -q "'nosuch' is unknown" "$work/log" || { cat "$work/log" >&2; fail "no word about nosuch"; }
