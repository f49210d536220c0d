#!/usr/bin/env bash
# Two targets on one modelled I3C bus, in four processes: sessions with both at the same time; bus
# resets, hot-join, NACK storms and the Debug Network Adaptor Reset during a session; and the error
# messages when no target is there.
. "$SRC/tests/tools/lib.sh"
make_keys
one=0x020a01280001 two=0x020a01280002
mkfifo ctl
"$BUILD/tests/i3c_bus" bus <ctl >stats.out 2>bus.log &
bus_pid=$!
pids+=($bus_pid)
exec 3>ctl
await bus || exit 1
bus() { echo "$*" >&3; }
# stat_of NAME: prints the current value of a counter of the bus.
stat_of() {
    local lines
    lines=$(wc -l <stats.out)
    bus stats
    for _ in $(seq 100); do
        [ "$(wc -l <stats.out)" -gt "$lines" ] && break
        sleep 0.02
    done
    tail -n 1 stats.out | grep -oE "\b$1 [0-9]+" | cut -d ' ' -f 2
}

head -c 131072 /dev/urandom >ram1.bin
head -c 131072 /dev/urandom >ram2.bin
# start N KEYS ID: starts target N.
start() {
    cat >t$1.conf <<CONF
[target]
identity = $2
trust = ca/engineers.pem
policy = debug
listen = i3c:model:bus,id=$3

[file ram]
path = ram$1.bin
base = 0x80000000
CONF
    postern target --config t$1.conf --audit t$1.jsonl >t$1.log 2>&1 &
    pids+=($!)
    await_text t$1.log "listens at i3c:model:bus,id=$3" || exit 1
}
# reads N ID OUT [SIZE]: reads memory of target N into a file, as ada.
reads() {
    timeout 60 postern mem --identity ada --trust ca/devices.pem --device "$(device_of $1)" \
        dump i3c:model:bus,id=$2 0x80000000 ${4:-131072} -o $3 >$3.log 2>&1
}
device_of() { [ "$1" = 1 ] && echo $device || echo Acme:Pump:0043; }
same() {
    if cmp -s "$1" "$2"; then ok "$3"; else fail "$3: $(cat "$2.log")"; fi
}

start 1 pump $one
expect 0 '80000000' as_ada mem read i3c:model:bus,id=$one 0x80000000
joins=$(stat_of joins)
start 2 pump43 $two
# The bus is already in use, so the second target joins by hot-join.
for _ in $(seq 100); do
    [ "$(stat_of joins)" -gt "$joins" ] && break
    sleep 0.05
done
[ "$(stat_of joins)" -gt "$joins" ] && ok 'hot-join' || fail 'hot-join'

reads 1 $one a1 & first=$!
reads 2 $two a2 & second=$!
wait $first $second
same ram1.bin a1 'a session with one target'
same ram2.bin a2 'and with the other at the same time'

# The addresses change repeatedly during a session.
reads 1 $one b1 & first=$!
reads 2 $two b2 & second=$!
for _ in $(seq 8); do
    sleep 0.05
    bus reset
done
wait $first $second
same ram1.bin b1 'bus resets in mid-session'
same ram2.bin b2 'with both'
[ "$(stat_of resets)" -ge 8 ] || fail 'the bus was not reset'

head -c 16384 ram1.bin >some.bin
for fault in 'nack 400' 'read 60' 'lose 60' 'broken 40' 'drop_ibi 800' 'bus_reset 5'; do
    bus "$fault"
    reads 1 $one c1 16384
    same some.bin c1 "$fault of a thousand"
    bus "${fault% *} 0"
done

# The adaptor reset discards the stream: the session ends cleanly, and the next one works.
bus nack 300 # it takes a while
already=$(stat_of reads)
reads 1 $one d1 &
reader=$!
for _ in $(seq 200); do
    [ "$(stat_of reads)" -gt $((already + 150)) ] && break
    sleep 0.02
done
bus "adaptor $one"
bus nack 0
if wait $reader; then
    fail 'the read did not notice the adaptor reset'
elif grep -q 'closed by the target' d1.log; then
    ok "adaptor reset: $(tail -n 1 d1.log)"
else
    fail "adaptor reset: $(cat d1.log)"
fi
expect 0 '80000000' as_ada mem read i3c:model:bus,id=$one 0x80000000

expect 2 'no target with this id' as_ada mem read i3c:model:bus,id=7 0x80000000
expect 2 'no modelled bus' as_ada mem read i3c:model:nobus 0x80000000
expect 1 'expected a number' as_ada mem read i3c:model:bus,id=nine 0x80000000
bus "unplug $two"
expect 2 'no target with this id' as_ada mem read i3c:model:bus,id=$two 0x80000000
bus "plug $two"
expect 0 '80000000' postern mem --identity ada --trust ca/devices.pem --device Acme:Pump:0043 read \
    i3c:model:bus,id=$two 0x80000000
[ "$(stat_of misused)" = 0 ] && ok "$(tail -n 1 stats.out)" || fail "$(tail -n 1 stats.out)"
# The bus disappears and a new one takes its place: the target joins it without help.
kill $bus_pid
await_text t1.log 'the bus is gone'
await_text t1.log 'back on the bus'
expect 0 '80000000' as_ada mem read i3c:model:bus,id=$one 0x80000000
cat bus.log >&2
exit $bad
