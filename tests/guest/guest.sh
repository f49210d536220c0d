# Runs a Linux guest in QEMU, for tests that need a kernel of their own. To be sourced; needs $SRC
# and $POSTERN, but no root.
#
#   guest_need dummy_hcd usb_f_fs -nvme     prepares the guest, or skips the test (exit 77)
#   guest_run usb.sh arg                    boots, runs the script, powers off; prints the output of
#                                           the script and returns its exit status
#   guest_start usb.sh arg; ...; guest_wait the same in the background
#
# Kernel and modules are Debian's linux-image-amd64, downloaded and unpacked, never installed. The
# initramfs contains busybox, postern, the programs of $GUEST_PROGRAMS (all with their shared
# libraries) and the modules with their dependencies. The modules are loaded at boot, except those
# written `-NAME`: they are only included, for modprobe. Kernel and initramfs are cached in
# $GUEST_CACHE by content.
#
# The script runs in the guest as root, in busybox's sh. Its directory /host is the directory
# $GUEST_SHARE of this machine (9p; default: the current one), so both sides share files. They do
# not share sockets: TCP to 10.0.2.2 in the guest reaches 127.0.0.1 of this machine, and
# $GUEST_FORWARD lists the ports forwarded into the guest ("HOSTPORT:GUESTPORT ..."). configfs and
# debugfs are mounted at their usual places. /etc/expect.sh has check functions.
#
# A guest that hangs is killed after $GUEST_TIMEOUT seconds (status 124). If a guest does not boot,
# the status is 125 and its console is shown. The logs of console and QEMU are in .guest-NAME/ of
# the share.
: "${SRC:?}" "${POSTERN:?}"
GUEST_CACHE=${GUEST_CACHE:-$SRC/build/guest}
GUEST_QEMU=${GUEST_QEMU:-qemu-system-x86_64}
GUEST_MEMORY=${GUEST_MEMORY:-384M}
GUEST_NAME=${GUEST_NAME:-guest}
GUEST_TIMEOUT=${GUEST_TIMEOUT:-120}
guest_modules=(9p 9pnet_virtio virtio_pci virtio_net)
guest_options=() # more options of QEMU

guest_skip() {
    echo "skipped: $*"
    exit 77
}

# guest_need MODULE...: makes kernel and initramfs unless they exist.
guest_need() {
    local tool
    for tool in "$GUEST_QEMU" cpio depmod modinfo flock; do
        [ -n "$(PATH=$PATH:/usr/sbin:/sbin command -v "$tool")" ] || guest_skip "no $tool"
    done
    [ -x /bin/busybox ] || guest_skip 'no busybox-static'
    guest_modules+=("$@")
    mkdir -p "$GUEST_CACHE" || exit 1
    exec 9>"$GUEST_CACHE/lock"
    flock 9
    guest_kernel && guest_initramfs || {
        echo 'FAILED: no kernel or initramfs for a guest' >&2
        exit 1
    }
    flock -u 9
    exec 9>&-
}

# Sets $guest_root to an unpacked linux-image package, and $guest_version.
guest_kernel() {
    local package unpacked
    package=$(apt-cache depends linux-image-amd64 2>/dev/null |
        sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
    [ -n "$package" ] || package=$(cd "$GUEST_CACHE" && ls -d linux-image-*-amd64 2>/dev/null | tail -n 1)
    [ -n "$package" ] || guest_skip 'no package linux-image-amd64 (apt-get update?)'
    guest_version=${package#linux-image-}
    guest_root=$GUEST_CACHE/$package
    [ -e "$guest_root/lib/modules/$guest_version/modules.dep" ] && return 0
    unpacked=$(mktemp -d "$GUEST_CACHE/unpack.XXXXXX") || return 1
    (
        cd "$unpacked" &&
            apt-get download "$package" >apt.log 2>&1 &&
            dpkg-deb --fsys-tarfile ./*.deb | tar -x ./boot ./lib/modules &&
            PATH=$PATH:/usr/sbin:/sbin depmod -b . "$guest_version" && rm -f ./*.deb
    ) || {
        cat "$unpacked/apt.log" >&2
        rm -rf "$unpacked"
        return 1
    }
    chmod 755 "$unpacked"
    rm -rf "$guest_root"
    mv "$unpacked" "$guest_root"
}

# Prints the files of a module and of its dependencies, relative to lib/modules/VERSION.
guest_module_files() {
    local dep=$guest_root/lib/modules/$guest_version/modules.dep line
    line=$(grep -E "^([^:]*/)?$(printf %s "$1" | sed 's/[-_]/[-_]/g')\.ko[^:/]*:" "$dep")
    [ -n "$line" ] && printf '%s\n' $line | sed 's/:$//'
}

# Makes the initramfs and sets $guest_initrd.
guest_initramfs() {
    local programs=("$POSTERN" ${GUEST_PROGRAMS:-}) files libraries module key
    files=$(for module in "${guest_modules[@]}"; do
        grep -qE "/$(printf %s "${module#-}" | sed 's/[-_]/[-_]/g')\.ko$" \
            "$guest_root/lib/modules/$guest_version/modules.builtin" && continue
        guest_module_files "${module#-}" || echo "?${module#-}"
    done | sort -u)
    case $files in
    *\?*)
        echo "no such module: $(printf '%s\n' "$files" | grep '^?')" >&2
        return 1
        ;;
    esac
    libraries=$(ldd "${programs[@]}" 2>/dev/null | sed -n 's/.*[ \t]\(\/[^ ]*\) (0x.*/\1/p' | sort -u)
    key=$({
        printf '%s\n' "$guest_version" "${guest_modules[@]}" "$files"
        sha256sum "${programs[@]}" $libraries /bin/busybox "$SRC/tests/guest/"{init,expect}.sh
    } | sha256sum | cut -c 1-24)
    guest_initrd=$GUEST_CACHE/initramfs-$key.cpio
    if [ -e "$guest_initrd" ]; then
        touch "$guest_initrd"
        return 0
    fi
    find "$GUEST_CACHE" -maxdepth 1 -name 'initramfs-*' -mtime +2 -delete
    guest_pack "$(printf '%s\n' "${programs[@]}")" "$libraries" "$files"
}

guest_pack() { # PROGRAMS LIBRARIES MODULE-FILES: lists with one item per line
    local tree at
    tree=$(mktemp -d "$GUEST_CACHE/tree.XXXXXX") || return 1
    at=$tree/lib/modules/$guest_version
    chmod 755 "$tree"
    mkdir -p "$tree"/{bin,dev,etc,host,proc,run,sys,tmp,root} "$at" &&
        cp /bin/busybox "$tree/bin/" && cp "$SRC/tests/guest/init.sh" "$tree/init" &&
        chmod 755 "$tree/init" && printf '%s\n' "${guest_modules[@]}" >"$tree/etc/modules" &&
        cp "$SRC/tests/guest/expect.sh" "$tree/etc/" && cp $1 "$tree/bin/" || return 1
    printf '%s\n' $2 | while read -r path; do # under the path that ldd prints: the loader searches there
        mkdir -p "$tree$(dirname "$path")" && cp -L "$path" "$tree$path"
    done
    printf '%s\n' $3 | while read -r path; do
        mkdir -p "$at/$(dirname "$path")" && cp "$guest_root/lib/modules/$guest_version/$path" "$at/$path"
    done
    cp "$guest_root/lib/modules/$guest_version"/modules.{order,builtin}* "$at/" &&
        find "$at" -name '*.ko.xz' -exec xz -d {} + &&
        PATH=$PATH:/usr/sbin:/sbin depmod -b "$tree" "$guest_version" &&
        (cd "$tree" && find . -print0 | cpio --null --quiet -o -H newc -R 0:0) >"$guest_initrd.new" &&
        mv "$guest_initrd.new" "$guest_initrd"
    at=$?
    rm -rf "$tree"
    return $at
}

# guest_start SCRIPT ARG...: boots in the background and sets $guest_pid. The script is a file on
# this machine.
guest_start() {
    local script=$1 share=${GUEST_SHARE:-$PWD} net=user,id=net0 forward
    shift
    guest_dir=$share/.guest-$GUEST_NAME
    rm -rf "$guest_dir"
    mkdir -p "$guest_dir" && cp "$script" "$guest_dir/script" || return 1
    { printf 'set --'; [ $# = 0 ] || printf ' %q' "$@"; echo; } >"$guest_dir/args"
    for forward in ${GUEST_FORWARD:-}; do
        net+=",hostfwd=tcp:127.0.0.1:${forward%:*}-:${forward#*:}"
    done
    # KVM is never used: nested in another guest it may be available and still hang.
    timeout -k 5 "$GUEST_TIMEOUT" "$GUEST_QEMU" -accel tcg -M q35 -cpu max -smp "${GUEST_CPUS:-2}" \
        -m "$GUEST_MEMORY" -display none -monitor none -no-reboot -nodefaults \
        -serial "file:$guest_dir/console" \
        -kernel "$guest_root/boot/vmlinuz-$guest_version" -initrd "$guest_initrd" \
        -append "console=ttyS0 quiet panic=-1 mitigations=off guest=$GUEST_NAME" \
        -virtfs "local,path=$share,mount_tag=host,security_model=none,multidevs=remap" \
        -netdev "$net" -device virtio-net-pci,netdev=net0,romfile= \
        "${guest_options[@]}" >"$guest_dir/qemu" 2>&1 &
    guest_pid=$!
}

# Waits until the guest ends. Prints its output and returns its status.
guest_wait() {
    local status
    wait "$guest_pid"
    status=$?
    guest_pid=
    cat "$guest_dir/output" 2>/dev/null
    if [ -s "$guest_dir/status" ]; then
        return "$(cat "$guest_dir/status")"
    fi
    {
        echo "the guest did not end by itself (QEMU: $status); its console:"
        cat "$guest_dir/qemu"
        tail -n 40 "$guest_dir/console" | tr -d '\r'
    } >&2
    [ $status = 124 ] && return 124
    return 125
}

guest_run() {
    guest_start "$@" && guest_wait
}
