#!/usr/bin/env bash
# MCTP over I3C: an MCTP device and a debug adaptor on one modelled bus, a session with each, a bus
# that resets and damages transfers during a session, and the error messages.
. "$SRC/tests/tools/lib.sh"
make_keys
mkfifo ctl
"$BUILD/tests/i3c_bus" bus <ctl >stats.out 2>bus.log &
bus_pid=$!
pids+=($bus_pid)
exec 3>ctl
await bus || exit 1
bus() { echo "$*" >&3; }
head -c 65536 /dev/urandom >ram.bin
cat >t.conf <<CONF
[target]
identity = pump
trust = ca/engineers.pem
policy = debug
listen = mctp-i3c:model:bus,id=5
listen = i3c:model:bus,id=6

[file ram]
path = ram.bin
base = 0x80000000
CONF
postern target --config t.conf --audit t.jsonl >t.log 2>&1 3>&- &
pids+=($!)
await_text t.log 'listens at i3c:model:bus' || exit 1
dump() { # LINK OUT
    if as_ada mem dump "$1" 0x80000000 65536 -o $2 >$2.log 2>&1 && cmp -s ram.bin $2; then
        ok "$3"
    else
        fail "$3: $(cat $2.log)"
    fi
}
dump mctp-i3c:model:bus,id=5 a 'a session in MCTP packets'
dump i3c:model:bus,id=6 b 'and one through the adaptor beside it'
dump mctp-i3c:model:bus,id=5,unit=250 c 'in long packets'
bus read 10
bus nack 50
for _ in 1 2 3 4; do
    sleep 0.2
    bus reset
done &
dump mctp-i3c:model:bus,id=5 d 'damage, NACK and bus resets'
wait $!
bus read 0
bus nack 0
expect 2 'no target with this id' as_ada mem read mctp-i3c:model:bus,id=7 0x80000000
# An adaptor is not an MCTP device, and an MCTP device is not an adaptor.
expect 2 "link 'i3c:model:bus,id=5'" as_ada mem read i3c:model:bus,id=5 0x80000000
expect 1 'programs send MCTP packets' as_ada mem read mctp-i3c:/dev/i3c-debug-0 0x80000000
expect 1 'from 64 to 250' as_ada mem read mctp-i3c:model:bus,unit=300 0x80000000
dump mctp-i3c:model:bus,id=5 e 'and it still works'
kill $bus_pid
await_text t.log 'back on the bus'
dump mctp-i3c:model:bus,id=5 f 'on another bus'
exit $bad
