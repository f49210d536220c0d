#!/usr/bin/env bash
# pkg-config and plain cc. Every public header comes from the installation: without one, this fails.
set -eu
. "$SRC/tests/package/lib.sh"

DESTDIR=$stage quietly cmake --install "$BUILD" --prefix /usr
prefix=$stage/usr
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
cd "$work"

# The archives link alike with --static and without. What the shared libraries of the POSIX port
# need to become static themselves is not ours to find.
flags() {
    pkg-config --static "$@"
}

"${CC:-cc}" -std=c11 -D_POSIX_C_SOURCE=200809L -o talk "$here/consumer/talk.c" "$all" \
    $(flags --cflags --libs postern-openssl)
version=$(pkg-config --modversion postern-core)
said=$(./talk) || fail "talk"
[ "$said" = "postern $version: hello from the pump" ] || fail "talk said: $said"

"${CC:-cc}" -std=c11 -D_POSIX_C_SOURCE=200809L -o links "$here/consumer/links.c" \
    $(pkg-config --cflags --libs postern-posix)
./links | grep -qx tcp || fail "links"

# The core alone needs nothing but itself.
[ "$(flags --libs postern-core | tr -d ' ')" = "-L$PKG_CONFIG_PATH/../../lib-lpostern-core" ] ||
    fail "libraries of the core: $(flags --libs postern-core)"

# Each header of a port needs nothing that was not installed.
(cd "$prefix/include/postern/port" && find . -name '*.h') | sed 's,^\./,,' | while read -r header; do
    echo "#include \"$header\""
done >port.c
[ -s port.c ] || fail "no header of a port was installed"
"${CC:-cc}" -std=c11 -D_POSIX_C_SOURCE=200809L -c port.c $(pkg-config --cflags postern-posix)

# Nothing of the inside is installed, and a missing header is noticed.
if find "$prefix/include" -name internal.h -o -name 'ts.h' | grep .; then
    fail "private headers were installed"
fi
rm "$prefix/include/postern/parts/keys.h"
if "${CC:-cc}" -c "$all" -o all.o $(flags --cflags postern-core) 2>/dev/null; then
    fail "a missing header was not noticed"
fi
