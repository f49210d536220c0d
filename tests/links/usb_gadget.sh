# Makes a debug gadget on the kernel's dummy device controller; the same kernel is its host. Sourced
# by scripts in the guest.
. /etc/expect.sh
config=/sys/kernel/config/usb_gadget
# gadget_controller full|high|super: makes a UDC of that speed.
gadget_controller() {
    case $1 in
    full) modprobe dummy_hcd is_high_speed=0 ;;
    high) modprobe dummy_hcd num=2 ;; # with a second UDC
    super) modprobe dummy_hcd is_super_speed=1 ;;
    esac
}
# gadget_make NAME SERIAL: makes a gadget and mounts it at /dev/ffs/NAME.
gadget_make() {
    local g=$config/$1
    mkdir -p "$g/strings/0x409" "$g/configs/c.1/strings/0x409" "$g/functions/ffs.$1" || return 1
    echo 0x1209 >"$g/idVendor"
    echo 0x0001 >"$g/idProduct"
    echo 0xEF >"$g/bDeviceClass" # several functions, with interface association descriptors
    echo 0x02 >"$g/bDeviceSubClass"
    echo 0x01 >"$g/bDeviceProtocol"
    echo "$2" >"$g/strings/0x409/serialnumber"
    echo Acme >"$g/strings/0x409/manufacturer"
    echo Pump >"$g/strings/0x409/product"
    echo debug >"$g/configs/c.1/strings/0x409/configuration"
    ln -s "$g/functions/ffs.$1" "$g/configs/c.1/"
    mkdir -p "/dev/ffs/$1"
    mount -t functionfs "$1" "/dev/ffs/$1"
}
gadget_plug() { # NAME [UDC]: retries, as the controller may still be releasing the previous gadget
    local i=0
    while ! echo "${2:-dummy_udc.0}" 2>/dev/null >"$config/$1/UDC" && [ $i -lt 50 ]; do
        sleep 0.2
        i=$((i + 1))
    done
}
gadget_unplug() {
    echo >"$config/$1/UDC"
}
gadget_remove() {
    local g=$config/$1
    echo >"$g/UDC" 2>/dev/null
    umount "/dev/ffs/$1"
    rm "$g/configs/c.1/ffs.$1"
    rmdir "$g/configs/c.1/strings/0x409" "$g/configs/c.1" "$g/functions/ffs.$1" \
        "$g/strings/0x409" "$g"
}
