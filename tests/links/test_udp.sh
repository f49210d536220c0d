#!/usr/bin/env bash
# Sessions over UDP: memory and gdb through a real target, IPv4 and IPv6, several engineers on one
# port, and the error messages.
. "$SRC/tests/tools/lib.sh"
make_keys
head -c 300000 /dev/urandom >ram.bin
cat >t.conf <<CONF
[target]
identity = pump
trust = ca/engineers.pem
policy = debug
listen = udp:127.0.0.1:0
listen = udp:[::1]:0

[file ram]
path = ram.bin
base = 0x80000000
write = yes
CONF
postern target --config t.conf --audit t.jsonl >t.log 2>&1 &
target_pid=$!
pids+=($target_pid)
await_text t.log 'listens at udp:\[::1\]:' || exit 1
four=$(grep -o 'udp:127.0.0.1:[0-9]*' t.log | head -1)
six=$(grep -o 'udp:\[::1\]:[0-9]*' t.log | head -1)

for link in "$four" "$six" "$four,mtu=1200" "$four,mtu=200"; do
    expect 0 '' as_ada mem read "$link" 0x80000000 300000 --output got.bin
    cmp got.bin ram.bin || fail "$link: other bytes"
done
head -c 100000 /dev/urandom >new.bin
expect 0 '' as_ada mem load "$six" 0x80001000 -f new.bin
expect 0 '' as_ada mem read "$four" 0x80001000 100000 --output got.bin
cmp got.bin new.bin || fail 'what was written is not there'

# Two engineers on one socket of the target: the target has one holder, and the second one is told
# so.
as_ada mem dump "$four" 0x80000000 300000 -o ada.bin >ada.log 2>&1 &
other=$!
for _ in 1 2 3; do
    as_olga mem dump "$four" 0x80000000 300000 -o olga.bin >olga.log 2>&1 || grep -q 'held by' olga.log ||
        fail "the other engineer: $(cat olga.log)"
done
wait $other || grep -q 'held by olga' ada.log || { fail 'the first engineer'; cat ada.log; }

# Through bridges: a different MTU on each side, and a stream in the middle.
postern bridge -v unix-listen:"$dir"/b1.sock "$four,mtu=1200" >b1.log 2>&1 &
pids+=($!)
postern bridge -v udp-listen:127.0.0.1:0,mtu=300 "unix:$dir/b1.sock" >b2.log 2>&1 &
pids+=($!)
await b1.sock
await_text b2.log 'udp:127.0.0.1:[0-9]+'
bridge=$(grep -o 'udp:127.0.0.1:[0-9]*' b2.log | grep -v ':0$' | head -1)
expect 0 '' as_ada mem read "$bridge" 0x80000000 300000 --output got.bin
cmp got.bin <({ head -c 4096 ram.bin; cat new.bin; tail -c +104097 ram.bin; }) ||
    fail 'through two bridges: other bytes'

expect 2 'nothing listens at UDP 127.0.0.1:9' as_ada mem read udp:127.0.0.1:9 0x80000000
kill $target_pid
wait $target_pid 2>/dev/null
expect 2 'nothing listens at UDP' as_ada mem read "$four" 0x80000000
finish
