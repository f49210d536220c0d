#!/usr/bin/env bash
# Sessions over serial lines, raw and with MCTP: through a good cable, a bad one and an unplugged
# one, and the error messages.
. "$SRC/tests/tools/lib.sh"
make_keys
head -c 100000 /dev/urandom >ram.bin
cable() { # NAME OPTION...: starts a cable with the ends NAME.t and NAME.d; sets $cable_pid
    local name=$1
    shift
    python3 "$SRC/tests/links/cable.py" "$name.t" "$name.d" "$@" 2>cable.log &
    cable_pid=$!
    pids+=("$cable_pid")
    await "$name.d"
}
settings() { # LINK...: prints the configuration of a target that listens at these links
    printf '[target]\nidentity = pump\ntrust = ca/engineers.pem\npolicy = debug\n'
    printf 'listen = %s\n' "$@"
    printf '[file ram]\npath = ram.bin\nbase = 0x80000000\n'
}
target() { # LINK...
    settings "$@" >t.conf
    postern target --config t.conf --audit t.jsonl >t.log 2>&1 &
    target_pid=$!
    pids+=("$target_pid")
    await_text t.log "listens at ${1%%-*}" || cat t.log
}
same() { # LINK
    rm -f got.bin
    expect 0 '' as_ada mem dump "$1" 0x80000000 100000 -o got.bin
    cmp got.bin ram.bin || fail "$1: other bytes"
}

# In the background, on slow lines: a transfer that takes longer than a session may be silent.
slow() { # BAUD SIZE: its files are slow.BAUD...
    cable "slow.$1"
    settings "serial-listen:$dir/slow.$1.t,baud=$1" >"slow.$1.conf"
    postern target --config "slow.$1.conf" --audit "slow.$1.jsonl" >"slow.$1.log" 2>&1 &
    pids+=($!)
    await_text "slow.$1.log" 'listens at serial'
    as_ada mem dump "serial:$dir/slow.$1.d,baud=$1" 0x80000000 "$2" -o "slow.$1" >"slow.$1.said" 2>&1 &
}
slow 57600 100000
slow_reader=$!
slow 9600 16000
slower_reader=$!

cable good
good=$cable_pid
cable mctp
cable bad --spoil 20
cable worse --spoil 20 --seed 7
target "serial-listen:$dir/good.t" "mctp-serial-listen:$dir/mctp.t" "serial-listen:$dir/bad.t" \
    "mctp-serial-listen:$dir/worse.t"
cable silent
as_ada mem read "serial:$dir/silent.d" 0x80000000 >silent.log 2>&1 & # in the background
silent=$!
same "serial:$dir/good.d"
same "serial:$dir/good.d" # once more: a listener takes one caller after another
same "mctp-serial:$dir/mctp.d"
same "mctp-serial:$dir/mctp.d,unit=251,mtu=1500,eid=29,peer=9"
same "serial:$dir/bad.d,mtu=512"
same "mctp-serial:$dir/worse.d,mtu=250"
expect 0 '80000000' as_ada mem read "serial:$dir/good.d,baud=115200" 0x80000000
expect 2 'busy: postern .process' as_ada mem read "serial:$dir/good.t" 0x80000000

# A bridge from TCP to a line of 9,600 baud.
postern bridge -v tcp-listen:127.0.0.1:0 "serial:$dir/good.d,baud=9600" >b.log 2>&1 &
bridge_pid=$!
pids+=("$bridge_pid")
await_text b.log 'tcp:127.0.0.1:[0-9]+'
expect 0 '80000000' as_ada mem read "$(grep -o 'tcp:127.0.0.1:[1-9][0-9]*' b.log | head -1)" 0x80000000
kill "$bridge_pid"
wait "$bridge_pid" 2>/dev/null

# One engineer right after another: each waits until the previous session has ended.
postern bridge -v tcp-listen:127.0.0.1:0 "serial:$dir/good.d,baud=28800" >b.log 2>&1 &
bridge_pid=$!
pids+=("$bridge_pid")
await_text b.log 'tcp:127.0.0.1:[0-9]+'
bridged=$(grep -o 'tcp:127.0.0.1:[1-9][0-9]*' b.log | head -1)
for _ in $(seq 4); do
    as_ada info "$bridged" >info.log 2>&1 || fail "one right after another: $(cat info.log b.log)"
done
# The same while the bridge does not know yet that the previous engineer is gone. The wait is
# limited.
exec 7<>"/dev/tcp/127.0.0.1/${bridged##*:}"
await_text b.log 'connection 5: joined'
(sleep 0.5) 7>&7 &
exec 7>&-
expect 0 'Acme:Pump:0042' as_ada info "$bridged"
exec 7<>"/dev/tcp/127.0.0.1/${bridged##*:}"
await_text b.log 'connection 7: joined'
expect 2 'closed by the peer' as_ada info "$bridged"
exec 7>&-
kill "$bridge_pid"
wait "$bridge_pid" 2>/dev/null

# The cable is unplugged during a session and plugged in again.
as_ada mem dump "serial:$dir/good.d,baud=19200" 0x80000000 100000 -o got.bin >pulled.log 2>&1 &
reader=$!
sleep 1
kill "$good"
wait "$reader" && fail 'it does not notice that the line is gone'
grep -q 'line was closed' pulled.log || fail "says: $(cat pulled.log)"
await_text t.log 'waiting for it to come back'
cable good
await_text t.log 'the device is back'
same "serial:$dir/good.d"

expect 2 'no such device' as_ada mem read serial:/dev/no-such-tty 0x80000000
expect 2 'not a serial device' as_ada mem read serial:/dev/null 0x80000000
expect 1 'expected serial:DEVICE' as_ada mem read serial:/dev/x,parity=even 0x80000000
wait "$slow_reader" || fail "100,000 bytes at 57,600 baud: $(cat slow.57600.said)"
cmp slow.57600 ram.bin || fail 'other bytes at 57,600 baud'
wait "$slower_reader" || fail "16,000 bytes at 9,600 baud: $(cat slow.9600.said)"
cmp slow.9600 <(head -c 16000 ram.bin) || fail 'other bytes at 9,600 baud'
wait "$silent" && fail 'an answer from nobody'
grep -q 'no answer on the line' silent.log || fail "a silent line: $(cat silent.log)"
finish
