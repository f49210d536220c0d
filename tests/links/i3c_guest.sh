# The guest's part of heavy_i3c.sh: sessions over the device node, its errors, then two bridges for
# the main job. $1: the address of the pump's target outside the guest.
. /etc/expect.sh
node=/dev/i3c-debug-0
link=i3c:$node
driver() { # BUS
    i3c_cuse i3c-debug-0 "$1" >driver.log 2>&1 &
    driver=$!
    local i=0
    while [ ! -c $node ] && [ $i -lt 100 ]; do
        sleep 0.1
        i=$((i + 1))
    done
    [ -c $node ] || { fail "no $node"; cat driver.log; }
}
unplug() {
    kill $driver 2>/dev/null
    wait $driver 2>/dev/null
}
sum() { md5sum <"$1" | cut -c 1-32; }

expect 2 "cannot open $node: No such file" as_ada mem read $link 0x80000000
postern target --config t.conf --listen i3c-listen:model:/tmp/bus --audit t.jsonl >t.log 2>&1 &
target=$!
await_text t.log 'listens at'
driver /tmp/bus
expect 0 "$link" sh -c 'postern links | grep /dev/i3c-debug'

# --- sessions ---
expect 0 '^80000000  ' as_ada mem read $link 0x80000000 16
expect 0 '' as_ada mem dump $link 0x80000000 300000 -o /tmp/dump.bin
[ "$(sum /tmp/dump.bin)" = "$(sum start.bin)" ] || fail 'the dump'
expect 0 '' as_ada mem load $link 0x80100000 -f start.bin
expect 0 '' as_ada mem dump $link 0x80100000 300000 -o /tmp/dump.bin
[ "$(sum /tmp/dump.bin)" = "$(sum start.bin)" ] || fail 'the load'

# --- errors: permission denied, in use, not such a device, unplugged ---
cp -r ada ca /tmp/ && chown -R nobody /tmp/ada /tmp/ca
chmod 600 $node
echo "cd /tmp && exec postern mem read --identity ada --trust ca/devices.pem --device $device $link 0x80000000" >/tmp/read.sh
expect 2 "cannot open $node: Permission denied" su -s /bin/sh nobody -c 'sh /tmp/read.sh'
sleep 100 <$node &
holder=$!
sleep 0.5
expect 2 "cannot open $node: Device or resource busy" as_ada mem read $link 0x80000000
kill $holder
wait $holder 2>/dev/null
expect 2 'expected a character device' as_ada mem read i3c:/etc/passwd 0x80000000
as_ada mem dump $link 0x80000000 32M -o - 2>long.out >/dev/null &
dump=$!
opens=$(grep -c '"open"' t.jsonl)
i=0
while [ $i -lt 100 ] && [ "$(grep -c '"open"' t.jsonl)" = "$opens" ]; do
    sleep 0.1
    i=$((i + 1))
done
sleep 1
unplug
wait $dump
got=$?
cat long.out
[ $got = 5 ] || fail "unplugged: exit $got"
grep -q unplugged long.out || fail 'that it is unplugged is not said'
driver /tmp/bus
expect 0 '^80000000  ' as_ada mem read $link 0x80000000
kill $target
wait $target 2>/dev/null
unplug

# --- the main job ---
[ $bad = 0 ] || exit 1
postern bridge --verbose i3c-listen:model:/tmp/bus2 "tcp:10.0.2.2:$1" >target-end.log 2>&1 &
await_text target-end.log 'postern bridge: '
driver /tmp/bus2
postern bridge --verbose tcp-listen:0.0.0.0:7606 $link >gdb-end.log 2>&1 &
await_text gdb-end.log 'postern bridge: '
touch bridges.up
while [ ! -e gdb.done ]; do sleep 0.2; done
cat target-end.log gdb-end.log driver.log
dmesg | grep -E 'BUG:|WARNING:|Oops|refcount_t' && fail 'the kernel complains'
exit $bad
