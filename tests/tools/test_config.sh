#!/usr/bin/env bash
# postern target reads its configuration strictly. Every error names the file, the line and what was
# expected. Options of the command line override the file.
. "$SRC/tests/tools/lib.sh"
make_keys
head -c 4096 /dev/urandom >ram.bin

write_config() { # LINE...: appended to a valid configuration
    cat >t.conf <<CONF
; a comment
[target]
identity = pump
trust = ca/engineers.pem
policy = observe
audit = audit.jsonl

[file ram]
path = ram.bin
base = 0x80000000
CONF
    printf '%s\n' "$@" >>t.conf
}
write_config
expect 0 'Acme:Pump:0042 allows: observe' postern target --config t.conf --check
expect 0 'Other:Thing:1 allows' postern target --config t.conf --check --device Other:Thing:1
[ -e audit.jsonl ] && fail '--check has written an audit log'

# wrong LINE PATTERN TEXT...: the line that the error names, and its text
wrong() {
    local line=$1 pattern=$2
    shift 2
    write_config "$@"
    expect 1 "t.conf:$line: .*$pattern" postern target --config t.conf --check
}
wrong 11 "key 'sise': expected path, base, size" 'sise = 4096'
wrong 12 "section 'stubb': expected \[target\]" '[stubb]' 'address = unix:x'
wrong 12 "key 'polcy': expected identity, trust" '[target]' 'polcy = debug'
wrong 12 "kind 'rum': expected ram, rom or flash" '[memory m]' 'kind = rum'
wrong 12 "first 'x': expected a number" '[memory m]' 'first = x'
wrong 12 "heartbeat '300': expected a number from 0 to 255" '[target]' 'heartbeat = 300'
wrong 12 "hold-on-end 'maybe': expected yes or no" '[target]' 'hold-on-end = maybe'
wrong 12 "link 'pigeon:x': unknown kind" '[target]' 'listen = pigeon:x'
wrong 12 "link 'tcp:h:99999'" '[target]' 'listen = tcp:h:99999'
wrong 12 "is given twice" '[target]' 'audit = elsewhere.jsonl'
mapfile -t regions < <(for i in $(seq 22); do printf '[memory m%s]\nfirst = 0x%x000\nlast = 0x%xfff\nkind = ram\n' $i $i $i; done)
wrong 101 "epoch' is given twice" "${regions[@]}" '[target]' 'epoch = 5' 'epoch = 0' # after many sections
wrong 12 "a ';' after a blank" '[target]' 'policy = memory:r:0x0-0xff ;device=Acme:*'
wrong 12 "the line is too long" '[target]' "policy = $(printf 'observe %.0s' $(seq 50))"
wrong 12 "the line is indented" '[target]' '  device = A:B:C'
wrong 11 'expected \[SECTION\] or KEY' 'nonsense'

# rejected PATTERN TEXT...: errors that name no line
rejected() {
    local pattern=$1
    shift
    write_config "$@"
    expect 1 "t.conf: .*$pattern" postern target --config t.conf --check
}
rejected "clause 'dubug" '[target]' 'policy = dubug'
rejected 'no range of memory beside run' '[target]' 'policy = run' 'policy = memory:r:0x0-0xff'
rejected "memory 'm': expected first, last" '[memory m]' 'first = 5' 'kind = ram'
rejected 'overlap at 0x80' '[memory a]' 'first = 0' 'last = 0x80' 'kind = ram' \
    '[memory b]' 'first = 0x80' 'last = 0x90' 'kind = rom'
rejected "file 'f': expected path and base" '[file f]' 'path = ram.bin'

expect 1 'identity is missing; expected it in \[target\] or as --identity' \
    postern target --trust ca/engineers.pem
expect 1 'something to debug' postern target --identity pump --trust ca/engineers.pem --policy debug
expect 0 'no policy is set: engineers may do whatever' postern target --check --identity pump \
    --trust ca/engineers.pem --debug unix:stub
expect 1 "'extra': expected options only" postern target extra
expect 1 'bogus' postern target --bogus
expect 6 'none.conf: No such file' postern target --config none.conf
write_config
expect 6 'nowhere' postern target --config t.conf --check --identity nowhere
expect 6 'nothing.pem' postern target --config t.conf --check --trust nothing.pem
cp -r pump open && chmod 0644 open/key.pem
expect 6 'open/key.pem' postern target --config t.conf --check --identity open
expect 6 'audit .*/nowhere/a.jsonl' postern target --config t.conf --audit "$dir/nowhere/a.jsonl"
expect 2 'cannot listen' postern target --config t.conf --listen unix:"$dir"/nowhere/t.sock
rm ram.bin
expect 6 '\[file ram\] ram.bin' postern target --config t.conf

expect 0 'postern [0-9]' postern --version
expect 0 'target .*agent' postern --help
expect 1 'unknown command' postern frobnicate
for command in target gdb mem info; do
    expect 0 'Usage: postern' postern $command --help
done
finish
