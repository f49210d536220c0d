# The guest's part of heavy_usb.sh: sessions over USB at every speed, and all errors.
. /host/usb_gadget.sh
link=usb:

start_target() { # starts a target on the gadget
    postern target --config t.conf --listen "usb-listen:/dev/ffs/$1" --audit "$1.jsonl" \
        >"$1.log" 2>&1 &
    target=$!
    await_text "$1.log" 'listens at'
}
sum() { md5sum <"$1" | cut -c 1-32; }

# --- without a device ---
expect 2 'no such device .* is plugged in' as_ada mem read $link 0x80000000
expect 2 'no FunctionFS is mounted there' postern target --config t.conf --listen usb-listen:/nowhere --audit x.jsonl

# --- every speed ---
for speed in full super high; do
    gadget_controller $speed
    gadget_make pump S1 || fail "no gadget at $speed speed"
    start_target pump
    (
        sleep 2
        gadget_plug pump
    ) &
    # The debugger waits for the device.
    expect 0 '^80000000  ' as_ada mem read $link 0x80000000 16
    echo "at $(cat /sys/bus/usb/devices/*-1/speed) Mbit/s"
    expect 0 '' as_ada mem dump usb:1209:0001,serial=S1 0x80000000 300000 -o /tmp/dump.bin
    [ "$(sum /tmp/dump.bin)" = "$(sum start.bin)" ] || fail "the dump at $speed speed"
    expect 0 '' as_ada mem load $link 0x80100000 -f start.bin
    expect 0 '' as_ada mem dump $link 0x80100000 300000 -o /tmp/dump.bin
    [ "$(sum /tmp/dump.bin)" = "$(sum start.bin)" ] || fail "the load at $speed speed"
    [ $speed = high ] && break
    kill $target
    wait $target
    gadget_remove pump
    rmmod dummy_hcd
done
expect 0 'usb:1209:0001,serial=S1  \(Acme Pump, /dev/bus/usb/' sh -c 'postern links | grep usb:1209'

# --- choosing a device ---
expect 2 'no such device' as_ada mem read usb:1209:0002 0x80000000
expect 1 'not VID:PID' as_ada mem read usb:xyz 0x80000000
expect 2 'another program serves it' postern target --config t.conf --listen usb-listen:/dev/ffs/pump --audit x.jsonl

gadget_make spare S2
main=$target
start_target spare
gadget_plug spare dummy_udc.1
sleep 1
expect 2 'several devices match; name one, for example usb:1209:0001,serial=S' as_ada mem read usb: 0x80000000
expect 0 '^80000000  ' as_ada mem read usb:,serial=S2 0x80000000
grep -q '"event": *"open"' spare.jsonl || fail 'it was the other device'
kill $target
wait $target
gadget_remove spare
target=$main

# --- permission denied ---
cp -r ada ca /tmp/ && chown -R nobody /tmp/ada /tmp/ca
cat >/tmp/read.sh <<'READ'
cd /tmp && exec postern mem read --identity ada --trust ca/devices.pem --device Acme:Pump:0042 usb: 0x80000000
READ
expect 2 'permission denied on /dev/bus/usb/[0-9]+/[0-9]+' su -s /bin/sh nobody -c 'sh /tmp/read.sh'

# --- in use, and unplugged during a session ---
long_dump() { # starts a dump in the background and waits until it runs
    local i=0 opens=$(grep -c '"open"' pump.jsonl)
    as_ada mem dump $link 0x80000000 512M -o - 2>long.out >/dev/null &
    dump=$!
    while [ $i -lt 200 ] && [ "$(grep -c '"open"' pump.jsonl)" = "$opens" ]; do
        sleep 0.1
        i=$((i + 1))
    done
    sleep 1
}
ended() { # WHAT TEXT: checks that the dump ended with that text
    wait $dump
    local got=$?
    if [ $got = 5 ] && grep -qE "$2" long.out; then
        echo "ok: $1: $(tail -n 1 long.out)"
    else
        fail "$1: exit $got: $(cat long.out)"
    fi
}
long_dump
expect 2 'another program uses the device' as_ada mem read $link 0x80000000
gadget_unplug pump
ended 'unplugged' 'unplugged'
await_text pump.log 'no host is attached'
gadget_plug pump
expect 0 '^80000000  ' as_ada mem read $link 0x80000000
# The cable is unplugged. Plugging it in again needs a new binding: Linux 6.1's dummy_hcd does not
# react otherwise.
long_dump
echo disconnect >/sys/class/udc/dummy_udc.0/soft_connect
ended 'the cable' 'unplugged'
gadget_unplug pump
gadget_plug pump
expect 0 '^80000000  ' as_ada mem read $link 0x80000000
# The host disables the device and enables it again, without a disconnect.
long_dump
echo 0 >/sys/bus/usb/devices/1-1/authorized
ended 'the host let it go' 'transfer on the bus failed|refused a transfer|unplugged|bytes were lost'
await_text pump.log 'no host is attached'
echo 1 >/sys/bus/usb/devices/1-1/authorized
expect 0 '^80000000  ' as_ada mem read $link 0x80000000

# --- a debugger is killed: the data left in the pipes does not reach the next one ---
kill_debugger() {
    kill -KILL $(pidof postern | tr ' ' '\n' | grep -vx $target)
    wait $dump 2>/dev/null
}
for round in 1 2 3; do
    long_dump
    kill_debugger
    expect 0 '' as_ada mem dump $link 0x80000000 300000 -o /tmp/dump.bin
    [ "$(sum /tmp/dump.bin)" = "$(sum start.bin)" ] || fail "the dump after a kill"
done
long_dump
kill_debugger
sleep 7
tail -n 1 pump.jsonl | grep -q '"event": *"end"' || fail "nobody noticed that the debugger is gone"

# --- a target is killed ---
long_dump
kill -KILL $target
ended 'the target was killed' 'unplugged|lost'
start_target pump
gadget_plug pump
expect 0 '^80000000  ' as_ada mem read $link 0x80000000

# --- a foreign debug function: it gives another answer to GET_INFO, or none ---
kill $target
wait $target
other() {
    local type
    exec 3<>/dev/ffs/pump/ep0
    cat silent.bin >&3
    printf '\002\000\000\000\020\000\000\000\000\000\000\000\000\000\000\000' >&3
    gadget_plug pump
    while [ "$type" != 4 ]; do # until a SETUP event
        type=$(dd bs=12 count=1 <&3 2>/dev/null | od -An -tu1 -j8 -N1 | tr -d ' ')
    done
    printf OTHERDBG >&3
    sleep 60
}
other &
expect 2 'does not speak Postern' as_ada mem read $link 0x80000000
expect 2 'does not answer|no answer' as_ada mem read $link 0x80000000

cat pump.log
dmesg | grep -E 'BUG:|WARNING:|Oops|refcount_t' && fail 'the kernel complains'
exit $bad
