#!/bin/sh
# A clone in an empty Debian, by the commands of the README: shows that the list of packages is complete and that
# nothing is needed that is not in the repository. fresh_clone.sh [SUITE [FOLDER]]; needs root and debootstrap.
set -eu
suite=${1:-bookworm}
root=${2:-$(mktemp -d /var/tmp/mcf-clone.XXXXXX)}
source_dir=$(cd "$(dirname "$0")/../.." && pwd)

cleanup() {
    umount "$root/proc" "$root/sys" "$root/dev" 2>/dev/null || true
    [ -n "${KEEP:-}" ] || rm -rf "$root"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

chmod 755 "$root" # mktemp's folder is closed to others, and some tests run as nobody
debootstrap --variant=minbase --include=ca-certificates,git "$suite" "$root" >"$root.log" 2>&1 ||
    { tail -n 20 "$root.log"; exit 1; }
for file in /etc/resolv.conf /etc/apt/apt.conf.d/*proxy*; do
    [ -e "$file" ] && cp "$file" "$root$file"
done
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"  # without it PoCL finds no memory and aborts
mount --bind /dev "$root/dev"
git clone -q --no-hardlinks "$source_dir" "$root/mcf"
chroot "$root" sh -c 'cd /mcf && sh ci/test'
