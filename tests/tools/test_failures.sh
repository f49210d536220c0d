#!/usr/bin/env bash
# Failures during a session: a second engineer, gdb killed, the link cut, the agent killed, QEMU
# killed. After each the pump runs without breakpoints, and the next session works.
. "$SRC/tests/tools/lib.sh"
need_gdb
start_qemu pump
make_keys
start_pump_target t pump 'heartbeat = 2'
link=unix:$dir/t.sock

ticks() { # prints the pump's tick counter, read in a separate session
    as_ada mem read --json $link $ticks_at 4 2>>ticks.log |
        python3 -c 'import json,sys; print(int.from_bytes(bytes.fromhex(json.load(sys.stdin)["hex"]), "little"))'
}
ticks_at=0x$(nm "$BUILD/examples/pump.elf" | awk '$3 == "ticks" { print $1 }')
[ "$ticks_at" != 0x ] || { echo 'skipped: nm does not find ticks'; exit 77; }
runs() { # WHEN: checks that the pump runs within a few seconds
    local a b
    for _ in $(seq 10); do
        a=$(ticks)
        sleep 0.3
        b=$(ticks)
        [ -n "$a" ] && [ -n "$b" ] && [ "$a" != "$b" ] && { ok "the pump runs $1"; return; }
    done
    fail "the pump does not run $1 (ticks '$a', then '$b')"
    tail -n 5 ticks.log t.log >&2
}
# Starts a gdb that waits at its prompt, halted at a breakpoint that is hit all the time.
hold() { # LINK
    cat >hold.gdb <<GDB
set remotetimeout 20
target extended-remote | postern gdb --identity ada --trust ca/devices.pem --device $device $1
break pump_step
continue
shell touch held
shell sleep 60
GDB
    rm -f held
    setsid gdb-multiarch -batch -nx -x hold.gdb "$BUILD/examples/pump.elf" >hold.out 2>&1 </dev/null &
    hold_pid=$!
    pids+=($hold_pid)
    await held || { cat hold.out >&2; exit 1; }
}
kill_holder() { # kills gdb and its sleep; postern gdb sees the end of its pipe
    kill -9 -- -$hold_pid
    wait $hold_pid 2>/dev/null
}

hold $link
expect 4 'refused: held by ada for [0-9]+ s, since 20[0-9][0-9]-' as_olga mem read $link 0x80000000
expect 4 'held by ada' as_ada mem read $link 0x80000000
expect 3 '.' postern mem --identity eve --trust ca/devices.pem --device $device read $link 0
grep -q 'held by' expect.out && fail 'a stranger is told who holds the target'
kill_holder
runs 'after gdb was killed'

hold $link
kill -9 $target_pid
wait $target_pid 2>/dev/null
sleep 1
start_target t --config t.conf
runs 'after the agent was killed'

# The link is cut: a relay carries it, and is stopped, then killed.
if command -v socat >/dev/null; then
    socat UNIX-LISTEN:$dir/relay.sock,fork UNIX-CONNECT:$dir/t.sock >relay.log 2>&1 &
    relay_pid=$!
    await relay.sock
    hold unix:$dir/relay.sock
    relay_pids="$(pgrep -P $relay_pid) $relay_pid"
    kill -STOP $relay_pids
    sleep 6 # more than twice the heartbeat period
    runs 'after the link fell silent'
    kill -9 $relay_pids
    wait $relay_pid 2>/dev/null
    kill_holder
fi

# QEMU is killed while gdb waits for a stop: gdb returns to its prompt and prints the reason.
(
    sleep 4
    kill -9 $qemu_pid
) &
run_gdb lost.out $link ada -ex continue
grep -qE 'postern( gdb)?: .*(stub|lost)' lost.out || { fail 'gdb does not say that the stub was lost'; cat lost.out >&2; }
ok "gdb says: $(grep -m 1 -E 'postern( gdb)?: .*(stub|lost)' lost.out | cut -c 1-110)"
expect 4 'fault|could not|stub|memory' as_ada mem read $link 0x80000000
start_qemu pump
runs 'in a new QEMU'
grep -iE 'sanitizer|runtime error' t.log && fail 'sanitizer'
finish
