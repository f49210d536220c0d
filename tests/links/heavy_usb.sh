#!/usr/bin/env bash
# USB on the kernel's own stacks in a guest: a FunctionFS gadget on dummy_hcd, and libusb on the
# host controller that dummy_hcd emulates. Then the main job: gdb and the pump are on this machine,
# and USB is in the guest between two bridges.
. "$SRC/tests/tools/lib.sh"
. "$SRC/tests/guest/guest.sh"
command -v gdb-multiarch >/dev/null || guest_skip 'no gdb-multiarch'
guest_need libcomposite usb_f_fs -dummy_hcd
make_keys
cp "$SRC/tests/links/usb_gadget.sh" .
head -c 300000 /dev/urandom >start.bin
cp start.bin ram.bin
truncate -s 512M ram.bin
cat >t.conf <<CONF
[target]
identity = pump
trust = ca/engineers.pem
policy = debug

[file ram]
path = ram.bin
base = 0x80000000
write = yes
CONF
# High-speed descriptors of a FunctionFS debug function that answers no request.
function='080b0002dc050000 0904000000dc080000 0904010002dc050000 07058102000200 07050202000200'
python3 -c "import struct, sys
d = bytes.fromhex('$function')
sys.stdout.buffer.write(struct.pack('<4I', 3, 16 + len(d), 2, 5) + d)" >silent.bin
GUEST_TIMEOUT=600 GUEST_MEMORY=1400M guest_run "$SRC/tests/links/usb_guest.sh" || fail "in the guest: status $?"

# --- the main job ---
[ "${PST_USB_PART:-}" = guest ] && finish
start_qemu pump
target_port=$(free_port)
gdb_port=$(free_port)
start_pump_target pump pump -- --listen "tcp:127.0.0.1:$target_port"
cat >bridges.sh <<GUEST
. /host/usb_gadget.sh
gadget_controller high
gadget_make pump S1
postern bridge --capture usb.pcapng usb-listen:/dev/ffs/pump tcp:10.0.2.2:$target_port >usb-tcp.log 2>&1 &
while [ ! -e /dev/ffs/pump/ep2 ]; do sleep 0.1; done
gadget_plug pump
postern bridge tcp-listen:0.0.0.0:7606 usb: >tcp-usb.log 2>&1 &
while ! netstat -ltn | grep -q :7606; do sleep 0.1; done
touch bridges.up
while [ ! -e gdb.done ]; do sleep 0.2; done
cat usb-tcp.log tcp-usb.log
GUEST
GUEST_FORWARD="$gdb_port:7606" guest_start bridges.sh
for _ in $(seq 600); do
    [ -e bridges.up ] && break
    sleep 0.1
done
[ -e bridges.up ] || fail 'no bridges in the guest'
main_job USB "tcp:127.0.0.1:$gdb_port"
touch gdb.done
guest_wait || fail "bridges in the guest: status $?"
found=$(python3 "$SRC/examples/search_capture.py" usb.pcapng POSTERN-PUMP-MARKER-7f3a91c2e5d8)
[ $? -eq 1 ] || fail "the marker passed USB in the clear: $found"
finish
