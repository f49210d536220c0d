# Sourced by the tests of the package: a staged installation of the build under test in $stage, and
# a file $all that includes every public header of the source tree.


work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
stage=$work/stage
all=$work/all.c
here=$SRC/tests/package

fail() {
    echo "FAIL: $*" >&2
    exit 1
}

# Runs a command; its output is shown only when it fails.
quietly() {
    "$@" >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        fail "$*"
    }
}

(cd "$SRC/include" && find postern -name '*.h' | sort | sed 's/.*/#include "&"/') >"$all"
[ "$(wc -l <"$all")" -gt 20 ] || fail "$SRC/include: public headers expected there"
