#!/bin/busybox sh
# The first process of the guest. Sets up devices, modules, network and the share, runs the script,
# and powers off.
/bin/busybox mkdir -p /sbin /usr/bin /usr/sbin
/bin/busybox --install -s
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts none /dev/pts
mount -t tmpfs none /dev/shm
mount -t tmpfs none /tmp
for module in $(cat /etc/modules); do
    case $module in -*) continue ;; esac
    modprobe "$module" || echo "guest: modprobe $module failed" >/dev/console
done
mount -t configfs none /sys/kernel/config 2>/dev/null
mount -t debugfs none /sys/kernel/debug 2>/dev/null
ip link set lo up
ip link set eth0 up && ip addr add 10.0.2.15/24 dev eth0 && ip route add default via 10.0.2.2
echo 'root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/tmp:/bin/sh' >/etc/passwd
echo 'root:x:0:
nogroup:x:65534:' >/etc/group

name=$(sed 's/.*guest=\([^ ]*\).*/\1/' /proc/cmdline)
if mount -t 9p -o trans=virtio,version=9p2000.L,msize=131072,cache=mmap host /host && cd /host; then
    own=/host/.guest-$name
    (. "$own/args" && . "$own/script") >"$own/output" 2>&1 </dev/null
    echo $? >"$own/status"
    cd /
    kill -KILL -1 2>/dev/null # processes that the script left behind: they keep files open
    for i in 1 2 3 4 5 6 7 8 9 10; do
        umount /host 2>/dev/null && break
        sleep 0.2
    done
else
    echo 'guest: no share' >/dev/console
fi
poweroff -f
