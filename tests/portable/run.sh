# make check-portable: builds the core, the parts of the ports that need no library, and their tests
# for a 32-bit and a big-endian processor, and runs them under qemu-user.
#
# Usage: run.sh BUILD [ARCHITECTURE...]   (i386, s390x)
#
# cmocka is built for each processor from Debian's source package, so apt needs no foreign
# architecture.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$(mkdir -p "$1" && cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- i386 s390x
jobs=${JOBS:-$(nproc)}

# Uses the machine's package sources to get source packages, with package lists in a separate
# directory.
fetch_cmocka() {
	local apt=$build/apt
	mkdir -p "$apt/parts" "$apt/lists/partial" "$apt/cache/archives/partial"
	: > "$apt/sources.list"
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[ ! -f "$file" ] || sed -n 's/^deb /deb-src /p' "$file" >> "$apt/sources.list"
	done
	for file in /etc/apt/sources.list.d/*.sources; do
		[ ! -f "$file" ] ||
			sed 's/^Types:.*/Types: deb-src/' "$file" > "$apt/parts/$(basename "$file")"
	done
	set -- -q -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts="$apt/parts" \
		-o Dir::State::lists="$apt/lists" -o Dir::Cache="$apt/cache" -o APT::Sandbox::User=root
	# A third-party source without source packages is no error.
	apt-get "$@" update || true
	rm -rf "$build"/cmocka-*/
	(cd "$build" && apt-get "$@" source cmocka)
}

cmocka=$(find "$build" -maxdepth 1 -type d -name 'cmocka-*')
if [ -z "$cmocka" ]; then
	fetch_cmocka
	cmocka=$(find "$build" -maxdepth 1 -type d -name 'cmocka-*')
fi

# configure SOURCE DIRECTORY COMPILER [OPTION...]
configure() {
	local source=$1 directory=$2 compiler=$3
	shift 3
	[ -f "$directory/build.ninja" ] ||
		cmake -S "$source" -B "$directory" -G Ninja -DCMAKE_SYSTEM_NAME=Linux \
			-DCMAKE_C_COMPILER="$compiler" -DCMAKE_BUILD_TYPE=RelWithDebInfo \
			-DCMAKE_EXE_LINKER_FLAGS=-static "$@"
}

failed=
for architecture; do
	echo "== $architecture"
	case $architecture in
	i386) compiler=i686-linux-gnu-gcc ;;
	*) compiler=$architecture-linux-gnu-gcc ;;
	esac
	configure "$cmocka" "$build/$architecture-cmocka" "$compiler" -DWITH_STATIC_LIB=ON \
		-DWITH_EXAMPLES=OFF > "$build/cmocka.log" 2>&1 || { cat "$build/cmocka.log"; exit 1; }
	ninja -C "$build/$architecture-cmocka" --quiet >> "$build/cmocka.log" 2>&1 ||
		{ cat "$build/cmocka.log"; exit 1; }
	library=$(find "$build/$architecture-cmocka" -name 'libcmocka*.a' | head -n 1)
	configure "$root/tests/portable" "$build/$architecture" "$compiler" \
		-DCMOCKA_LIBRARY="$library" -DCMOCKA_INCLUDE="$cmocka/include" \
		-DCMAKE_CROSSCOMPILING_EMULATOR="$(command -v "qemu-$architecture")" \
		> "$build/$architecture.log" || { cat "$build/$architecture.log"; exit 1; }
	ninja -C "$build/$architecture" --quiet
	ctest --test-dir "$build/$architecture" -j "$jobs" --output-on-failure --no-tests=error ||
		failed="$failed $architecture"
done
echo "check-portable: failed:${failed:- none}"
[ -z "$failed" ]
