#!/usr/bin/env bash
# PCIe on a real kernel. gdb's main job goes from this machine into a guest, there through a bridge
# and the kernel's configuration space to the DOE mailbox of QEMU's NVMe device, and from QEMU to
# postern target on this machine. Then the errors: no such device, no mailbox, no root, unplugged,
# two debuggers. At last bulk data through shared memory (ivshmem).
. "$SRC/tests/tools/lib.sh"
need_gdb
qemu_dir=${PST_QEMU_BACKPORTS:-$SRC/build/qemu-backports}
bash "$SRC/tests/links/qemu_backports.sh" "$qemu_dir" || exit $?
GUEST_QEMU=$qemu_dir/qemu
GUEST_TIMEOUT=${GUEST_TIMEOUT:-240}
GUEST_NAME=pcie
. "$SRC/tests/guest/guest.sh"
guest_need
make_keys
start_qemu pump


# Behind shared memory: a file with a pattern of 1 MiB as memory. Behind the mailbox: the pump.
shm=$(mktemp /dev/shm/postern-test.XXXXXX)
trap 'cleanup; rm -f "$shm"' EXIT
truncate -s 1M "$shm"
head -c 1048576 /dev/urandom >ram.bin
cp ram.bin before.bin
head -c 262144 /dev/urandom >new.bin
cat >bulk.conf <<CONF
[target]
identity = pump43
trust = ca/engineers.pem
policy = debug
listen = pcie-shm-listen:$shm

[file ram]
path = ram.bin
base = 0x80000000
write = yes
CONF
cat >doe.conf <<CONF
[target]
identity = pump
trust = ca/engineers.pem
policy = debug
listen = pcie-listen:127.0.0.1:0
[stub]
address = unix:$dir/pump.gdb
[memory ram]
first = 0x80000000
last = 0x8001ffff
kind = ram
CONF
for name in doe bulk; do
    postern target --config $name.conf --audit $name.jsonl >$name.log 2>&1 &
    pids+=($!)
    await_text $name.log 'listens at' || exit 1
done
spdm_port=$(sed -n 's/.*listens at pcie:127.0.0.1://p' doe.log)

cat >guest-pcie.sh <<'GUEST'
# The part that runs in the guest. Its exit status is the number of failures.
device=Acme:Pump:0042
bad=0
expect() { # CODE PATTERN COMMAND...
    local code=$1 pattern=$2 got
    shift 2
    "$@" >expect.guest 2>&1
    got=$?
    if [ $got != $code ] || { [ -n "$pattern" ] && ! grep -qE -- "$pattern" expect.guest; }; then
        echo "FAILED: exit $got, expected $code, '$pattern': $*"
        cat expect.guest
        bad=$((bad + 1))
    else
        echo "ok: $got, $(grep -E -- "$pattern" expect.guest | head -n 1 | cut -c 1-130)"
    fi
}
mem() {
    local sub=$1 device=$2
    shift 2
    postern mem $sub --identity ada --trust ca/devices.pem --device $device "$@"
}
for d in /sys/bus/pci/devices/*; do
    case $(cat $d/vendor):$(cat $d/device) in
    0x1b36:0x0010) doe=${d##*/} ;;
    0x1af4:0x1110) bulk=${d##*/} ;;
    0x1b36:0x000c) port=${d##*/} ;;
    esac
done
echo "mailbox at $doe, shared memory at $bulk, root port $port"

expect 0 "pcie:$doe +\(NVMe controller 1b36:0010, mailbox at 100\)" postern links
expect 0 "pcie-shm:$bulk" postern links
expect 0 '^80000000 ' mem read $device pcie: 0x80000000 4
expect 2 'no such device' mem read $device pcie:00:1e.7 0x80000000 4
expect 2 'not a PCI Express device' mem read $device pcie:$bulk 0x80000000 4
expect 2 'no DOE mailbox' mem read $device pcie:$port 0x80000000 4
chmod 755 /
cp -r ada ca /tmp/ && chown -R nobody /tmp/ada /tmp/ca
expect 2 'only root may write configuration space' busybox su -s /bin/sh nobody -c \
    "cd /tmp && postern mem read --identity ada --trust ca/devices.pem --device $device pcie:$doe 0x80000000 4"
expect 2 'has no shared memory' mem read Acme:Pump:0043 pcie-shm:$doe 0x80000000 4

# Bulk data through shared memory.
expect 0 '' mem dump Acme:Pump:0043 pcie-shm:$bulk 0x80000000 0x100000 -o got.bin
cmp got.bin before.bin && echo 'ok: 1 MiB through shared memory is what it was' || bad=$((bad + 1))
expect 0 '' mem load Acme:Pump:0043 pcie-shm: 0x80040000 -f new.bin
before=$(cut -d ' ' -f 1 /proc/uptime)
expect 0 '' mem dump $device pcie:$doe 0x80000000 0x20000 -o pump.bin
echo "128 KiB through the mailbox, from $before to $(cut -d ' ' -f 1 /proc/uptime) s"

# The main job uses this bridge. The host tells when it is over.
postern bridge tcp-listen:0.0.0.0:7000 pcie:$doe >bridge.guest 2>&1 &
postern bridge tcp-listen:0.0.0.0:7001 pcie-shm:$bulk >bridge2.guest 2>&1 &
sleep 1
touch up
while [ ! -e job.done ]; do sleep 0.2; done

# A mailbox serves one debugger. A debugger that is killed does not block the next one.
mem dump $device pcie:$doe 0x80000000 0x20000 -o /dev/null >first.guest 2>&1 &
sleep 0.5
expect 2 'another debugger on this machine uses the mailbox' mem read $device pcie:$doe 0x80000000 4
kill -9 $(pidof postern | tr ' ' '\n' | while read -r p; do
    tr '\0' ' ' </proc/$p/cmdline | grep -q 'mem dump' && echo $p
done)
expect 0 '^80000000 ' mem read $device pcie:$doe 0x80000000 4

# The device is unplugged during a session: the target's log shows that there is one.
opened=$(grep -c '"open"' doe.jsonl)
mem dump $device pcie:$doe 0x80000000 0x20000 -o /dev/null >pulled.guest 2>&1 &
first=$!
while [ "$(grep -c '"open"' doe.jsonl)" = "$opened" ] && kill -0 $first 2>/dev/null; do sleep 0.05; done
echo 1 >/sys/bus/pci/devices/$doe/remove
wait $first
status=$?
if [ $status = 0 ] || ! grep -q 'the device is gone' pulled.guest; then
    echo "FAILED: pulled out: exit $status, $(cat pulled.guest)"
    bad=$((bad + 1))
else
    echo "ok: $status, $(cat pulled.guest)"
fi
exit $bad
GUEST

gdb_port=$(free_port) bulk_port=$(free_port)
GUEST_FORWARD="$gdb_port:7000 $bulk_port:7001"
guest_options+=(-device pcie-root-port,id=rp0,chassis=1
    -blockdev null-co,node-name=nv,size=1048576
    -device "nvme,drive=nv,serial=p,bus=rp0,spdm_port=$spdm_port"
    -object "memory-backend-file,id=shm,share=on,size=1M,mem-path=$shm"
    -device ivshmem-plain,memdev=shm)
guest_start guest-pcie.sh
pids+=($guest_pid)
for _ in $(seq 600); do
    [ -e up ] && break
    kill -0 $guest_pid 2>/dev/null || break
    sleep 0.2
done
if [ -e up ]; then
    main_job "bridge and mailbox" "tcp:127.0.0.1:$gdb_port"
    device=Acme:Pump:0043 expect 0 '' as_ada mem dump "tcp:127.0.0.1:$bulk_port" 0x80000000 0x40000 -o host.bin
    cmp host.bin <(head -c 262144 before.bin) && ok 'the bridge in front of shared memory' || fail 'bridge in front of shared memory'
fi
cmp new.bin <(tail -c +262145 ram.bin | head -c 262144) && ok '256 KiB loaded through shared memory' || fail 'load'
touch job.done
guest_wait || fail "the guest: $? things were wrong"
grep -v 'listens at' doe.log bulk.log
[ "$(grep -c '"event":"effect"' doe.jsonl)" -gt 5 ] || fail 'the audit log of the target behind the mailbox'
finish
