#!/usr/bin/env bash
# guest.sh KIND...: boots a guest and measures usb, pcie and pcie-shm in it; run.py calls it. Reader
# and device are in the guest, and for usb the server too. The other servers already run on this
# machine. The script runs twice, first here and then in the guest, like table_guest.sh. Each read
# gives a line "KIND secure|plain BYTES-PER-SECOND" in $GUEST_NAME.figures; a failed measurement
# gives "KIND failed WHY".
#
# Environment: $TURNS, $SECONDS_EACH; for pcie $SPDM_PORT; for pcie-shm the files $SHM_SECURE and
# $SHM_PLAIN.
. "$SRC/tests/guest/guest.sh"
kinds=("$@")
if [ -n "${SPDM_PORT:-}" ]; then
    dir=${PST_QEMU_BACKPORTS:-$SRC/build/qemu-backports}
    bash "$SRC/tests/links/qemu_backports.sh" "$dir" || exit $?
    GUEST_QEMU=$dir/qemu
    guest_options+=(-device pcie-root-port,id=rp,chassis=8,addr=0x8
        -blockdev null-co,node-name=nv,size=1048576
        -device "nvme,drive=nv,serial=bench,bus=rp,spdm_port=$SPDM_PORT")
fi
slot=10 # PCI slots in the order in which the guest finds the devices
for shared in ${SHM_SECURE:-} ${SHM_PLAIN:-}; do
    guest_options+=(-object "memory-backend-file,id=shm$slot,share=on,size=1M,mem-path=$shared"
        -device "ivshmem-plain,memdev=shm$slot,addr=$slot")
    slot=$((slot + 1))
done
GUEST_PROGRAMS=$BUILD/bench/links/link_load
guest_need -dummy_hcd usb_f_fs libcomposite
cp "$SRC/tests/links/usb_gadget.sh" "$GUEST_SHARE/usb_gadget.guest" || exit 1
sed -n '/^#GUEST$/,$p' "$0" >"$GUEST_SHARE/$GUEST_NAME.script"
trap '[ -z "$guest_pid" ] || kill "$guest_pid"; exit 143' TERM
guest_start "$GUEST_SHARE/$GUEST_NAME.script" "$GUEST_NAME" "$TURNS" "$SECONDS_EACH" "${kinds[@]}" </dev/null
guest_wait
exit
#GUEST
me=$1 turns=$2 seconds=$3
shift 3
. ./usb_gadget.guest
figures=$me.figures
: >$figures
pci() { # VENDOR:DEVICE NTH
    local d n=0
    for d in /sys/bus/pci/devices/*; do
        [ "$(cat "$d/vendor"):$(cat "$d/device")" = "$1" ] || continue
        [ $n = "$2" ] && echo "${d##*/}" && return
        n=$((n + 1))
    done
}
usb_servers() { # starts two devices, each on its own controller
    cp ram.bin /tmp/
    printf '[target]\nidentity = pump\ntrust = ca/engineers.pem\npolicy = debug\n' >/tmp/usb.conf
    printf '[file ram]\npath = /tmp/ram.bin\nbase = 0x80000000\nwrite = yes\n' >>/tmp/usb.conf
    modprobe dummy_hcd num=2 && gadget_make secure BENCH-secure && gadget_make plain BENCH-plain || return 1
    postern target --config /tmp/usb.conf --listen usb-listen:/dev/ffs/secure --audit /tmp/usb.jsonl \
        >"$me-usb-secure.log" 2>&1 &
    link_load serve usb-listen:/dev/ffs/plain >"$me-usb-plain.log" 2>&1 &
    await_text "$me-usb-secure.log" 'listens at' && await_text "$me-usb-plain.log" 'listens at' &&
        gadget_plug secure dummy_udc.0 && gadget_plug plain dummy_udc.1
}
measure() { # KIND secure|plain LINK
    local value tries=0 keys=
    [ "$2" = plain ] || keys='ada ca/devices.pem'
    # The previous reader may not be gone yet.
    until value=$(timeout $((seconds + 30)) link_load read "$3" "$seconds" $keys 2>/tmp/why); do
        tries=$((tries + 1))
        if [ $tries = 10 ]; then
            echo "$1 failed $2: $(tail -n 1 /tmp/why)" >>$figures
            return 1
        fi
        sleep 0.5
    done
    echo "$1 $2 $value" >>$figures
}
run() { # KIND SECURE-LINK [PLAIN-LINK]
    local turn=0
    while [ $turn -lt "$turns" ]; do
        measure "$1" secure "$2" || return
        [ -z "${3:-}" ] || measure "$1" plain "$3" || return
        turn=$((turn + 1))
    done
}
for kind in "$@"; do
    case $kind in
    usb)
        if usb_servers; then
            run usb usb:,serial=BENCH-secure usb:,serial=BENCH-plain
        else
            echo "usb failed no gadget" >>$figures
        fi
        ;;
    pcie) run pcie "pcie:$(pci 0x1b36:0x0010 0)" ;;
    pcie-shm) run pcie-shm "pcie-shm:$(pci 0x1af4:0x1110 0)" "pcie-shm:$(pci 0x1af4:0x1110 1)" ;;
    esac
done
exit 0
