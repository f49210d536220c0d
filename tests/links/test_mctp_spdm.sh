#!/usr/bin/env bash
# SPDM as MCTP messages on a serial line: sessions on that line alone and with their debug elsewhere,
# through a good cable, bad ones and a dead one.
. "$SRC/tests/tools/lib.sh"
make_keys
head -c 65536 /dev/urandom >ram.bin
cable() { # NAME OPTION...: its ends are NAME.t and NAME.d; its pid is in $cable_pid
    local name=$1
    shift
    python3 "$SRC/tests/links/cable.py" "$name.t" "$name.d" "$@" 2>cable.log &
    cable_pid=$!
    pids+=("$cable_pid")
    await "$name.d"
}
cable good
good=$cable_pid
cable bad --spoil 20
cable awful --spoil 4000 --seed 3
cat >t.conf <<CONF
[target]
identity = pump
trust = ca/engineers.pem
policy = debug
heartbeat = 2
listen = mctp-spdm-listen:$dir/good.t
listen = mctp-spdm-listen:$dir/bad.t,mtu=1024
listen = mctp-spdm-listen:$dir/awful.t
listen = unix:data.sock
[file ram]
path = ram.bin
base = 0x80000000
CONF
postern target --config t.conf --audit t.jsonl >t.log 2>&1 &
pids+=($!)
await_text t.log 'listens at unix:data.sock' || exit 1
same() { # SIZE OPTION...
    local size=$1
    shift
    rm -f got.bin
    expect 0 '' as_ada mem "$@" dump 0x80000000 "$size" -o got.bin
    cmp -s got.bin <(head -c "$size" ram.bin) || fail "$*: other bytes"
}
line=mctp-spdm:$dir/good.d

# Management on MCTP, debug on a Unix socket; and the line alone, with its debug inside SPDM.
same 65536 --scm "$line" --data unix:data.sock
expect 0 '80000000' as_ada mem read "$line" 0x80000000
expect 0 '80000000' as_ada mem read "$line,eid=29,peer=9,unit=251,mtu=2048" 0x80000000
expect 0 '80000000' as_ada mem read "$line,baud=115200" 0x80000000
expect 0 'Acme:Pump:0042' as_ada info --scm "$line" --data unix:data.sock
# Records there are SPDM messages, so it is no link for data alone.
expect 2 'carries SPDM alone' as_ada mem --scm "$line" --data "mctp-spdm:$dir/bad.d" read 0x80000000

# A bridge: who calls over TCP learns from HELLO what records look like on the line.
postern bridge -v tcp-listen:127.0.0.1:0 "$line" >b.log 2>&1 &
bridge=$!
pids+=("$bridge")
await_text b.log 'tcp:127.0.0.1:[0-9]+'
expect 0 '80000000' as_ada mem read "$(grep -o 'tcp:127.0.0.1:[1-9][0-9]*' b.log | head -1)" 0x80000000
kill "$bridge"
wait "$bridge" 2>/dev/null

# Too many bytes are lost: it ends, and says so. (This takes as long as the tries do.)
as_ada mem read "mctp-spdm:$dir/awful.d" 0x80000000 >awful.log 2>&1 &
awful=$!

# Fewer: that the requester repeats itself is enough.
rm -f got.bin
expect 0 '' as_ada mem dump "mctp-spdm:$dir/bad.d,mtu=1024" 0x80000000 16384 -o got.bin
cmp -s got.bin <(head -c 16384 ram.bin) || fail 'other bytes through a bad cable'

# The line goes dead in the middle of a session, which ends on both sides; then it is well again.
before=$(grep -c '"open"' t.jsonl)
as_ada mem dump "$line,baud=115200" 0x80000000 65536 -o got.bin >dead.log 2>&1 &
dead=$!
for _ in $(seq 100); do
    [ "$(grep -c '"open"' t.jsonl)" -gt "$before" ] && break
    sleep 0.05
done
kill -STOP "$good"
wait "$dead" && fail 'it does not notice that nobody answers'
grep -q 'had no answer' dead.log || fail "says: $(cat dead.log)"
kill -CONT "$good"
same 65536 --scm "$line" --data unix:data.sock
wait "$awful" && fail 'a session through that cable'
grep -qE 'loses too|nobody answers|no answer|damaged' awful.log || fail "says: $(cat awful.log)"

# It is pulled, and plugged in again.
as_ada mem dump "$line,baud=9600" 0x80000000 65536 -o got.bin >pulled.log 2>&1 &
pulled=$!
sleep 1
kill "$good"
wait "$pulled" && fail 'it does not notice that the line is gone'
grep -q 'line was closed' pulled.log || fail "says: $(cat pulled.log)"
await_text t.log 'waiting for it to come back'
rm -f good.t good.d
cable good
await_text t.log 'there again'
same 65536 --scm "$line" --data unix:data.sock

expect 2 'no such device' as_ada mem read mctp-spdm:/dev/no-such-tty 0x80000000
expect 1 'eid' as_ada mem read mctp-spdm:/dev/x,eid=255 0x80000000
finish
