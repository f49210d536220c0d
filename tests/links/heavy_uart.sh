#!/usr/bin/env bash
# Serial lines through UARTs. A guest's kernel drives a 16550 on the ISA bus and one on PCI; QEMU
# connects their lines to a pseudo-terminal and a Unix socket. First this machine reads memory of a
# target in the guest. Then the main job: gdb and the pump on this machine, both lines and two
# bridges in between.
. "$SRC/tests/tools/lib.sh"
. "$SRC/tests/guest/guest.sh"
command -v gdb-multiarch >/dev/null || guest_skip 'no gdb-multiarch'
guest_need 8250_pci
make_keys
head -c 65536 /dev/urandom >ram.bin
guest_options=(-chardev pty,id=isa -device isa-serial,chardev=isa
    -chardev "socket,id=pci,path=$dir/pci.sock,server=on,wait=off" -device pci-serial,chardev=pci)

# Finds the UARTs in the guest and sets isa and pci; prepended to both scripts.
cat >uarts.sh <<'GUEST'
cd /host
for tty in /sys/class/tty/ttyS*; do
    [ "$(cat $tty/type)" = 0 ] && continue
    case $(readlink -f $tty) in
    */pci*/ttyS*) pci=/dev/${tty##*/} ;;
    */ttyS1) isa=/dev/ttyS1 ;;
    esac
done
echo "UARTs: ${isa:=none} ${pci:=none}"
await_text() {
    for i in $(seq 100); do
        grep -q "$2" "$1" && return 0
        sleep 0.1
    done
    echo "FAILED: $2 does not appear in $1"
    cat "$1"
}
until_done() {
    touch "$1.up"
    while [ ! -e "$1.done" ]; do sleep 0.2; done
}
GUEST
cat >memory.sh <<'GUEST'
. /host/uarts.sh
cat >t.conf <<CONF
[target]
identity = pump
trust = ca/engineers.pem
policy = debug
listen = serial-listen:$isa,baud=115200
listen = mctp-serial-listen:$pci,baud=115200
[file ram]
path = ram.bin
base = 0x80000000
CONF
postern links | grep serial:/dev
timeout 5 postern bridge -v serial:$isa,baud=921600 unix:/tmp/x 2>&1 | head -n 2
postern target --config t.conf --audit t.jsonl >t.log 2>&1 &
await_text t.log "listens at mctp-serial"
until_done memory
cat t.log
GUEST
cat >bridge.sh <<'GUEST'
. /host/uarts.sh
postern bridge -v serial-listen:$isa,baud=115200 mctp-serial:$pci,baud=115200 >b.log 2>&1 &
await_text b.log "serial:"
until_done bridge
cat b.log
GUEST

up() { # NAME: waits until the guest runs its script; sets $pty to the pseudo-terminal
    for _ in $(seq 900); do
        [ -e "$1.up" ] && break
        sleep 0.1
    done
    [ -e "$1.up" ] || {
        fail "the guest is not up: $(cat "$guest_dir/output" 2>/dev/null)"
        exit 1
    }
    pty=$(grep -o '/dev/pts/[0-9]*' "$guest_dir/qemu" | head -n 1)
    [ -c "$pty" ] || fail "no pseudo-terminal: $(cat "$guest_dir/qemu")"
}

export GUEST_TIMEOUT=300
guest_start memory.sh
up memory
for link in "serial:$pty" "mctp-serial:unix:$dir/pci.sock"; do
    expect 0 '' as_ada mem dump "$link" 0x80000000 65536 -o got.bin
    cmp got.bin ram.bin || fail "$link: other bytes"
done
touch memory.done
guest_wait >guest.out || fail "in the guest: status $?"
grep -q 'does not support 921600 baud' guest.out || fail 'a speed that the UART has not'
cat guest.out

# gdb - ISA UART - bridge in the guest - PCI UART - target - pump
start_qemu pump
guest_start bridge.sh
up bridge
start_pump_target pump pump -- --listen "mctp-serial-listen:unix:$dir/pci.sock"
main_job "two UARTs" "serial:$pty"
touch bridge.done
guest_wait || fail "in the guest: status $?"
finish
