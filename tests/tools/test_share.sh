#!/usr/bin/env bash
# If the policy allows it, a second engineer may observe while the first one debugs, but do nothing
# else.
. "$SRC/tests/tools/lib.sh"
need_gdb
start_qemu pump
make_keys
start_pump_target t pump 'share-read-only = yes'
link=unix:$dir/t.sock
other() { # ENGINEER ARG...
    local who=$1
    shift
    echo "shell timeout 30 postern mem --identity $who --trust ca/devices.pem --device $device $* >>other.out 2>&1; echo exit \$? >>other.out"
}
{
    other olga read $link 0x80000000 16
    other ada write $link 0x80000000 --hex 00
} >others.gdb
run_gdb gdb.out $link ada -x others.gdb -ex 'print pump.state' -ex detach
[ "$(grep ^exit other.out | tr '\n' ' ')" = 'exit 0 exit 4 ' ] || { fail 'the second engineers'; cat other.out >&2; }
grep -q '^\$1 = PUMP_' gdb.out || { fail 'the first engineer'; cat gdb.out >&2; }
grep -q '"observer":true' t.jsonl || fail 'the audit log does not say that somebody watched'
finish
