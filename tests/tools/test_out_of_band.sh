#!/usr/bin/env bash
# A session with management on one link and debug data on another: SPDM over TCP, or any other link.
. "$SRC/tests/tools/lib.sh"
make_keys
head -c 262144 /dev/urandom >ram.bin
cat >t.conf <<CONF
[target]
identity = pump
trust = ca/engineers.pem
policy = debug
listen = spdm:127.0.0.1:0
listen = unix:scm.sock
listen = unix:data.sock
[file ram]
path = ram.bin
base = 0x80000000
CONF
postern target --config t.conf --audit t.jsonl >t.log 2>&1 &
pids+=($!)
await_text t.log 'listens at unix:data.sock' || exit 1
spdm=spdm:127.0.0.1:$(sed -n 's/.*listens at spdm:127.0.0.1://p' t.log)
two="--scm $spdm --data unix:data.sock"

# In the background: one management link that connects late, and one that is slow.
slowly() { # NAME LINE...: uses a target of its own
    local name=$1
    shift
    sed "/^listen/d; s|^policy.*|&\nlisten = unix:$name.sock|" t.conf >"$name.conf"
    sed -i "$(printf 's|^policy.*|&\\n%s|;' "$@")" "$name.conf"
    postern target --config "$name.conf" --audit "$name.jsonl" >"$name.log" 2>&1 &
    pids+=($!)
    await "$name.sock"
}
slowly late 'listen = unix:late.scm'
port=$(free_port)
as_ada mem --scm "tcp-listen:127.0.0.1:$port" --data unix:late.sock read 0x80000000 >late.said 2>&1 &
late=$!
{
    sleep 17
    exec postern bridge unix:late.scm "tcp:127.0.0.1:$port"
} >late.bridge 2>&1 &
pids+=($!)
python3 "$SRC/tests/links/cable.py" slow.t slow.d 2>cable.log &
pids+=($!)
await slow.d
slowly slow "listen = serial-listen:$dir/slow.t,baud=1800" 'handshake = 60' 'heartbeat = 20'
as_ada mem --timeout 60 --scm "serial:$dir/slow.d,baud=1800" --data unix:slow.sock read 0x80000000 >slow.said 2>&1 &
slow=$!

expect 0 '80000000' as_ada mem $two read 0x80000000
expect 0 '' as_ada mem $two dump 0x80000000 256K -o out.bin
cmp -s out.bin ram.bin || fail 'the dump is another than the file'
expect 0 '' as_ada mem --scm unix:scm.sock --data unix:data.sock dump 0x80000000 64K -o part.bin
cmp -s part.bin <(head -c 65536 ram.bin) || fail 'the dump by way of a Unix socket'
# One link alone works too: the debug data is then in records of the management session.
expect 0 '' as_ada mem dump $spdm 0x80000000 64K -o part.bin
cmp -s part.bin <(head -c 65536 ram.bin) || fail 'the dump inside SPDM'
expect 0 'Acme:Pump:0042' as_ada info $two

# Errors: the data link alone, and a management link that is not one.
expect 1 'belong together' as_ada mem --scm $spdm read 0x80000000
expect 1 'expected one link' as_ada info --scm $spdm --data unix:data.sock unix:data.sock
expect 2 'cannot connect' as_ada mem --scm $spdm --data unix:nothing.sock read 0x80000000
expect 2 'cannot listen' as_ada mem --scm tcp-listen:127.0.0.1:0 --data unix-listen:no/where.sock read 0x80000000
postern bridge --verbose tcp-listen:127.0.0.1:0 unix:data.sock >b.log 2>&1 &
pids+=($!)
await_text b.log 'tcp:127' || exit 1
other=$(sed -n 's/.*tcp:127.0.0.1://p' b.log)
expect 2 'not SPDM over TCP' as_ada mem --scm "spdm:127.0.0.1:$other" --data unix:data.sock read 0x80000000

# The data link carries no memory contents in the clear, and not the messages of the management
# link.
postern bridge --capture data.pcapng unix-listen:seen.sock unix:data.sock &
pids+=($!)
await seen.sock
printf 'POSTERN-MARKER-0123456789' | dd of=ram.bin conv=notrunc status=none
expect 0 'POSTERN-MARKER' as_ada mem --scm $spdm --data unix:seen.sock read 0x80000000 25
sleep 0.2
[ "$(stat -c %s data.pcapng)" -gt 500 ] || fail 'nothing passed on the data link'
grep -q 'POSTERN-MARKER' data.pcapng && fail 'the marker is readable on the data link'
python3 - t.jsonl <<'PY' || fail 'the audit log'
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
opened = [l["session"] for l in lines if l["event"] == "open"]
ended = [l["session"] for l in lines if l["event"] == "end"]
assert len(opened) >= 6 and opened == ended, (opened, ended)
PY
wait $late || fail "a management that is called late: $(cat late.said late.log late.bridge)"
wait $slow || fail "a management that is slow: $(cat slow.said slow.log)"
# The data link is lost during authentication: the error must not say that the engineer was refused.
postern bridge unix-listen:lost.sock unix:slow.sock >lost.log 2>&1 &
lost=$!
await lost.sock
{
    sleep 4
    kill $lost
} &
expect 2 'lost.sock' as_ada mem --timeout 60 --scm "serial:$dir/slow.d,baud=1800" --data unix:lost.sock read 0x80000000
finish
