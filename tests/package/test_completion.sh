#!/usr/bin/env bash
# Both shells complete what the program has: commands, verbs, options and kinds of link, each found
# here by another way than the completion's own.
set -eu
. "$SRC/tests/package/lib.sh"
command -v zsh >/dev/null || exit 77
cd "$work"

# offers SHELL WORD...: sorted; the last word is the one that is being completed.
offers() {
    local shell=$1
    shift
    "$shell" "$here/complete.$shell" "$POSTERN" "$@" | grep . | sort -u
}

# expect WHAT FILE SHELL WORD...
expect() {
    local what=$1 wanted=$2
    shift 2
    sort -u "$wanted" >wanted
    offers "$@" >offered || true
    diff -u wanted offered >&2 || fail "$1: $what"
}

# Each command has a man page. `postern links` knows itself what is written how.
(cd "$SRC/docs/man" && ls postern-*.1.scd) | sed 's/postern-\(.*\)\.1\.scd/\1/' >commands
[ -s commands ] || fail "no man pages"
sed '$a --help\n--version' commands >first
"$POSTERN" links --json |
    sed -n 's/.*"scheme": "\(.*\)".*/\1:\n\1-listen:/p; s/.*"link": "\(.*\)".*/\1/p' >links
printf '%s\n' init target engineer show lint >pki
printf '%s\n' read write dump load >mem
printf '%s\n' requester responder >spdm

for shell in bash zsh; do
    expect commands first $shell ""
    expect "verbs of pki" pki $shell pki ""
    expect "verbs of mem" mem $shell mem ""
    expect "verbs of spdm" spdm $shell spdm ""
    expect "links" links $shell mem dump ""
    expect "links of an option" links $shell target --listen ""
    expect "links of a short option" links $shell target -l ""
    while read -r command; do
        verbs=
        [ "$command" != pki ] || verbs=$(cat pki)
        for verb in ${verbs:-""}; do
            "$POSTERN" $command $verb --usage | grep -o -e '--[a-z-]*' >options
            expect "options of $command $verb" options $shell $command $verb --
        done
    done <commands
done
[ "$(offers bash links --json --)" = "$(offers bash links --)" ] || fail "after an option"
mkdir ada
[ "$(offers bash info --identity "")" = ada ] || fail "a directory"
[ "$(offers bash info --identity=a)" = ada ] || fail "a directory, with ="
[ "$(offers zsh info --identity "")" = "files -/" ] || fail "a directory, zsh"
