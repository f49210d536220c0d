#!/usr/bin/env bash
# The guest of guest.py. The script runs twice: on this machine it boots QEMU with the devices; in
# the guest the part behind "GUEST" runs in busybox's sh and starts the bridges of
# $GUEST_NAME.bridges.
. "$SRC/tests/guest/guest.sh"
devices=0
if [ -n "${SPDM_TARGET:-}" ]; then
    dir=${PST_QEMU_BACKPORTS:-$SRC/build/qemu-backports}
    bash "$SRC/tests/links/qemu_backports.sh" "$dir" || exit $?
    GUEST_QEMU=$dir/qemu
fi
# The devices are added in the order in which the guest finds them.
add_mailbox() { # NAME PORT SLOT
    [ -n "$2" ] || return 0
    guest_options+=(-device "pcie-root-port,id=rp$1,chassis=$3,addr=0x$3"
        -blockdev "null-co,node-name=nv$1,size=1048576"
        -device "nvme,drive=nv$1,serial=$1,bus=rp$1,spdm_port=$2")
}
add_shared() { # NAME FILE SLOT
    [ -n "$2" ] || return 0
    guest_options+=(-object "memory-backend-file,id=shm$1,share=on,size=1M,mem-path=$2"
        -device "ivshmem-plain,memdev=shm$1,addr=0x$3")
}
add_mailbox target "${SPDM_TARGET:-}" 8
add_mailbox hop "${SPDM_HOP:-}" 9
add_shared target "${SHM_TARGET:-}" a
add_shared hop "${SHM_HOP:-}" b
guest_need -dummy_hcd usb_f_fs libcomposite
cp "$SRC/tests/links/usb_gadget.sh" "$GUEST_SHARE/usb_gadget.guest" || exit 1
sed -n '/^#GUEST$/,$p' "$0" >"$GUEST_SHARE/$GUEST_NAME.script"
trap '[ -z "$guest_pid" ] || kill "$guest_pid"; exit 143' TERM
guest_start "$GUEST_SHARE/$GUEST_NAME.script" "$GUEST_NAME" "${GUEST_BRIDGE:-postern bridge --verbose}" \
    </dev/null
wait "$guest_pid"
cat "$guest_dir/output" "$guest_dir/qemu"
[ "$(cat "$guest_dir/status")" = 0 ]
exit
#GUEST
me=$1
bridge=$2 # program at the debugger's end of a device
. ./usb_gadget.guest
problems=/tmp/problems
: >$problems
problem() { echo "$1: $2" >>$problems; }
controllers=0
pci() { # VENDOR:DEVICE NTH
    local d n=0
    for d in /sys/bus/pci/devices/*; do
        [ "$(cat "$d/vendor"):$(cat "$d/device")" = "$1" ] || continue
        [ $n = "$2" ] && echo "${d##*/}" && return
        n=$((n + 1))
    done
}
nth() { [ "$1" = target ] && echo 0 || echo 1; }
usb_pair() { # WHERE INNER PORT
    local udc
    if [ $controllers = 0 ]; then
        modprobe dummy_hcd num=2 || problem usb 'no dummy_hcd'
    fi
    udc=dummy_udc.$controllers
    controllers=$((controllers + 1))
    gadget_make "$1" "TABLE-$1" || problem usb 'no gadget'
    postern bridge --verbose "usb-listen:/dev/ffs/$1" "tcp:10.0.2.2:$3" >"usb-$1-device.log" 2>&1 &
    await_text "usb-$1-device.log" 'postern bridge' >/dev/null || problem usb 'the gadget was not written'
    gadget_plug "$1" $udc || problem usb 'the gadget was not bound'
    $bridge "tcp-listen:0.0.0.0:$2" "usb:,serial=TABLE-$1" >"usb-$1-host.log" 2>&1 &
}
while read -r kind where inner more; do
    case $kind in
    usb) usb_pair "$where" "$inner" "$more" ;;
    pcie)
        at=$(pci 0x1b36:0x0010 "$(nth "$where")")
        [ -n "$at" ] || problem pcie 'no NVMe device'
        $bridge "tcp-listen:0.0.0.0:$inner" "pcie:$at" >"pcie-$where.log" 2>&1 &
        ;;
    pcie-shm)
        at=$(pci 0x1af4:0x1110 "$(nth "$where")")
        [ -n "$at" ] || problem pcie-shm 'no ivshmem device'
        $bridge "tcp-listen:0.0.0.0:$inner" "pcie-shm:$at" >"pcie-shm-$where.log" 2>&1 &
        ;;
    esac
done <"$me.bridges"
sleep 1
mv $problems "$me.up.new" && mv "$me.up.new" "$me.up"
while [ ! -e "$me.stop" ]; do sleep 0.5; done
exit 0
