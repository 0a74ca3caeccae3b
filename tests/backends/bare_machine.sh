#!/bin/sh
# ci/gpu-check in an empty Debian with nothing but gcc and g++, from the files of a commit without git: on the emulator,
# and told clearly what is missing without a toolkit. bare_machine.sh [SUITE [FOLDER]]; needs root and debootstrap.
set -eu
suite=${1:-bookworm}
root=${2:-$(mktemp -d /var/tmp/mcf-bare.XXXXXX)}
source_dir=$(cd "$(dirname "$0")/../.." && pwd)

cleanup() {
    umount "$root/proc" "$root/sys" "$root/dev" 2>/dev/null || true
    [ -n "${KEEP:-}" ] || rm -rf "$root"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

debootstrap --variant=minbase --include=gcc,g++ "$suite" "$root" >"$root.log" 2>&1 ||
    { tail -n 20 "$root.log"; exit 1; }
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount --bind /dev "$root/dev"
mkdir "$root/mcf"
git -C "$source_dir" archive HEAD | tar -x -C "$root/mcf"
for missing in make cmake git pkg-config python3 ninja; do
    if chroot "$root" sh -c "command -v $missing" >/dev/null; then
        echo "$missing is here; this is no bare machine"
        exit 1
    fi
done
code=0
chroot "$root" sh /mcf/ci/gpu-check --out /tmp/none || code=$?
[ $code = 2 ] || { echo "without a toolkit the exit code is $code, not 2"; exit 1; }
chroot "$root" sh /mcf/ci/gpu-check --emulate --out /tmp/emulated
