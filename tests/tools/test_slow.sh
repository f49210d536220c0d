#!/usr/bin/env bash
# A slow stub delays no heartbeat, no interrupt and no teardown. A silent stub runs into a timeout.
# Also Ctrl-C in gdb, and a policy that leaves the CPU halted.
. "$SRC/tests/tools/lib.sh"
need_gdb
start_qemu pump
make_keys
slow_stub() {
    python3 "$SRC/tests/tools/slow_stub.py" "$@" 2>slow.log &
    pids+=($!)
    await "$1"
}
word() { # LINK: reads the pump's ticks
    as_ada mem read --timeout 60 --json "$1" "$ticks_at" 4 2>>word.log |
        python3 -c 'import json,sys; print(json.load(sys.stdin)["hex"])'
}
ticks_at=0x$(nm "$BUILD/examples/pump.elf" | awk '$3 == "ticks" { print $1 }')

# A silent stub: opening the session times out and the target is free again. Done twice.
slow_stub silent.gdb
start_pump_target silent silent 'heartbeat = 1'
for _ in 1 2; do
    expect 5 'timed out' as_ada mem read --timeout 3 unix:$dir/silent.sock 0x80000000
    sleep 3
done

# A slow stub: opening takes much longer than twice the heartbeat period, and the session survives.
slow_stub late.gdb "$dir/pump.gdb" 0.4
start_pump_target late late 'heartbeat = 1'
began=$SECONDS
[ -n "$(word unix:$dir/late.sock)" ] || { fail 'a slow stub ends the session'; cat word.log >&2; }
[ $((SECONDS - began)) -gt 2 ] || fail 'the stub was not slow'
ok 'a session outlives a slow stub'
kill $target_pid
wait $target_pid 2>/dev/null

# Ctrl-C: gdb reports SIGINT and continues.
start_pump_target t pump
cat >interrupt.py <<'PY'
import os, signal, threading
threading.Timer(2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
PY
run_gdb interrupt.out unix:$dir/t.sock ada -x interrupt.py -ex continue -ex 'print 40 + 2' \
    -ex 'print pump.state'
grep -q 'SIGINT' interrupt.out && grep -q '= PUMP_' interrupt.out &&
    ok 'Ctrl-C stops the pump, and gdb goes on' || { fail 'Ctrl-C'; cat interrupt.out >&2; }
kill $target_pid
wait $target_pid 2>/dev/null

# Hold: the policy leaves the CPU halted at the end of a session.
start_pump_target held pump 'hold-on-end = yes'
a=$(word unix:$dir/held.sock)
sleep 0.5
b=$(word unix:$dir/held.sock)
[ -n "$a" ] && [ "$a" = "$b" ] && ok 'the CPU is held' || { fail "not held: '$a', then '$b'"; cat word.log >&2; }
finish
