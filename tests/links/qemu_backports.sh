#!/usr/bin/env bash
# qemu_backports.sh DIR: unpacks a QEMU with spdm_port (QEMU 10) from Debian's backports into DIR,
# once. The system's own QEMU is not changed. DIR/qemu runs the new one. The archive is the one that
# apt on this machine already uses. Exit code 77 if it is not available.
set -u
dir=${1:?}
if [ -x "$dir/qemu" ] && "$dir/qemu" --version >/dev/null 2>&1; then
    exit 0
fi
skip() {
    echo "skipped: $*" >&2
    exit 77
}
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || skip 'no apt'
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
archive=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' |
    awk -v r="$release" '$2 == r && $3 == "main" { print $1; exit }')
[ -n "$archive" ] || skip "apt knows no archive of $release"

apt=$dir/apt
mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$apt/parts" "$dir/root" || exit 1
apt=$(cd "$apt" && pwd)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
by=
[ -e $keyring ] && by="[signed-by=$keyring] "
printf 'deb %s%s %s main\n' "$by" "$archive" "$release" "$by" "$archive" "$release-updates" \
    "$by" "$archive" "$release-backports" >"$apt/sources.list"
options=(-q -o "Dir::Etc::sourcelist=$apt/sources.list" -o "Dir::Etc::sourceparts=$apt/parts"
    -o "Dir::State::lists=$apt/lists" -o "Dir::Cache::archives=$apt/archives"
    -o "Dir::Cache::pkgcache=" -o "Dir::Cache::srcpkgcache=" -o APT::Get::AllowUnauthenticated=false
    -o "APT::Sandbox::User=$(id -un)" -o Debug::NoLocking=1)
{
    apt-get "${options[@]}" update &&
        apt-get "${options[@]}" -y --no-install-recommends --download-only -t "$release-backports" \
            install qemu-system-x86
} >"$dir/apt.log" 2>&1 || skip "no QEMU from $release-backports: $(tail -n 1 "$dir/apt.log")"
for deb in "$apt"/archives/*.deb; do
    case ${deb##*/} in # skips packages that only upgrade the system
    qemu-system-x86* | qemu-system-common* | qemu-system-data* | seabios* | ipxe* | lib*) ;;
    *) continue ;;
    esac
    dpkg-deb -x "$deb" "$dir/root" || exit 1
done
root=$(cd "$dir/root" && pwd)
cat >"$dir/qemu" <<RUN
#!/bin/sh
QEMU_MODULE_DIR=$root/usr/lib/$(uname -m)-linux-gnu/qemu \\
LD_LIBRARY_PATH=$root/usr/lib/$(uname -m)-linux-gnu exec "$root/usr/bin/qemu-system-x86_64" \\
    -L "$root/usr/share/qemu" -L "$root/usr/share/seabios" -L "$root/usr/lib/ipxe/qemu" "\$@"
RUN
chmod +x "$dir/qemu"
"$dir/qemu" --version >/dev/null || exit 1
rm -rf "$apt/lists" "$apt/archives"
