#!/usr/bin/env bash
# i3c:/dev/i3c-debug-N through a kernel. In a guest, CUSE makes the character device, and its driver
# is a program in front of a modelled bus (i3c_cuse.c). Then the main job: gdb and the pump are on
# this machine, and I3C is in the guest between two bridges. QEMU has no such controller and Linux
# no driver for it, so what a real driver answers is assumed (posix/i3c_backend.h).
. "$SRC/tests/tools/lib.sh"
. "$SRC/tests/guest/guest.sh"
command -v gdb-multiarch >/dev/null || guest_skip 'no gdb-multiarch'
GUEST_PROGRAMS=$BUILD/tests/i3c_cuse
guest_need cuse
make_keys
head -c 300000 /dev/urandom >start.bin
cp start.bin ram.bin
truncate -s 32M ram.bin
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
start_qemu pump
target_port=$(free_port)
gdb_port=$(free_port)
start_pump_target pump pump -- --listen "tcp:127.0.0.1:$target_port"
GUEST_FORWARD="$gdb_port:7606" GUEST_TIMEOUT=300 guest_start "$SRC/tests/links/i3c_guest.sh" "$target_port"
for _ in $(seq 1800); do
    [ -e bridges.up ] || ! kill -0 "$guest_pid" 2>/dev/null && break
    sleep 0.1
done
[ -e bridges.up ] && main_job /dev/i3c-debug-0 "tcp:127.0.0.1:$gdb_port"
touch gdb.done
guest_wait || fail "in the guest: status $?"
finish
