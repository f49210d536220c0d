#!/usr/bin/env bash
# A target with a file as memory: what engineers may do, and who is refused.
. "$SRC/tests/tools/lib.sh"
make_keys
head -c 300000 /dev/urandom >ram.bin
cp ram.bin before.bin
cat >t.conf <<CONF
[target]
identity = pump
trust = ca/engineers.pem
policy = debug

[file ram]
path = ram.bin
base = 0x80000000
write = yes

[file rom]
path = before.bin
base = 0x1000
CONF
start_target t --config t.conf
link=unix:$dir/t.sock
[ "$(stat -c %a t.sock)" = 600 ] || fail "the socket's mode is $(stat -c %a t.sock)"
[ "$(stat -c %a t.jsonl)" = 600 ] || fail "the audit log's mode is $(stat -c %a t.jsonl)"

# reading
expect 0 "80000000  $(head -c 16 ram.bin | od -An -v -tx1 | sed 's/^ //')" as_ada mem read $link 0x80000000 16
expect 0 "\"hex\": \"$(head -c 4 ram.bin | od -An -v -tx1 | tr -d ' ')\"" as_ada mem read --json $link 0x80000000
expect 0 '' as_ada mem dump $link 0x80000000 300000 -o dump.bin
cmp dump.bin ram.bin || fail 'the dump is not the memory'
as_ada mem dump $link 0x80000003 0x12345 -o - >part.bin 2>part.log || fail 'dump to stdout'
cmp part.bin <(tail -c +4 ram.bin | head -c $((0x12345))) || fail 'a part of the memory'
expect 0 '' as_ada mem dump $link 0x1000 64K -o rom.bin
cmp rom.bin <(head -c 65536 before.bin) || fail 'the second file'

# writing
expect 0 '"size": 4' as_ada mem write --json $link 0x80000010 --hex C0ffee01
[ "$(od -An -v -tx1 -j 16 -N 4 ram.bin)" = ' c0 ff ee 01' ] || fail 'the write did not arrive'
head -c 200001 /dev/urandom >new.bin
expect 0 '' as_ada mem load $link 0x80000100 -f new.bin
cmp <(tail -c +257 ram.bin | head -c 200001) new.bin || fail 'the load did not arrive'

# refused engineers
expect 4 'at 0x80000000: .*' as_olga mem write $link 0x80000000 --hex 00
expect 4 'at 0x1000: ' as_ada mem write $link 0x1000 --hex 00
expect 4 'at 0x10: ' as_ada mem read $link 0x10
expect 0 '' as_olga mem read $link 0x80000000
expect 3 'refused the connection: it does not accept' postern mem --identity eve --trust ca/devices.pem --device $device read $link 0
expect 3 'certificate 0: not issued by a trusted CA' postern mem --identity ada --trust other/devices.pem --device $device read $link 0
expect 3 'another device: Acme:Pump:0042, expected Acme:Pump:0099' postern mem --identity ada --trust ca/devices.pem --device Acme:Pump:0099 read $link 0
expect 0 '' postern mem --identity ada --trust ca/devices.pem --any-device read $link 0x80000000

# the command line
expect 1 'no identity' postern mem read $link 0
expect 1 'expected --device' postern mem --identity ada --trust ca/devices.pem read $link 0
expect 1 "address 'x'" as_ada mem read $link x
expect 1 "size '0'" as_ada mem read $link 0 0
expect 1 "size '12Q'" as_ada mem read $link 0 12Q
expect 1 "hex 'abc'" as_ada mem write $link 0 --hex abc
expect 1 'past the last address' as_ada mem read $link 0xffffffffffffffff 2
expect 1 "link 'foo'" as_ada mem read foo 0
expect 2 'nothing.sock.: cannot connect' as_ada mem read unix:$dir/nothing.sock 0
expect 2 'cannot connect: connection refused' as_ada mem read tcp:127.0.0.1:1 0
expect 6 'absent.bin' as_ada mem load $link 0x80000000 -f absent.bin

# the audit log: one JSON object per line, numbered, the effect before the end of the session
python3 - t.jsonl <<'PY' || fail 'the audit log'
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
assert [l["line"] for l in lines] == list(range(1, len(lines) + 1)), "numbers"
events = [l["event"] for l in lines]
assert all(len(l["session"]) == 10 for l in lines), "session ids have the tools' form"
assert events.count("open") == events.count("end"), events
assert any(l["event"] == "effect" and l["engineer"] == "ada" for l in lines)
assert any(l["event"] == "denied" and l["engineer"] == "olga" for l in lines)
assert not any(l["event"] == "open" and l["engineer"] == "eve" for l in lines)
PY

# a clean end
kill -TERM $target_pid
wait $target_pid || fail "the target ended with $?"
[ -e t.sock ] && fail 'the socket is left behind'

# without an audit log no effect runs
postern target --config t.conf --audit /dev/full --listen unix:$dir/full.sock >full.log 2>&1 &
pids+=($!)
await full.sock
expect 4 'audit log' as_ada mem read unix:$dir/full.sock 0x80000000
finish
