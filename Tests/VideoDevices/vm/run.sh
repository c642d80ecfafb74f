#!/bin/bash
# Plays the scenarios of scenarios.py in a virtual machine, against the kernel's own drivers: vivid, a camera in software,
# and v4l2loopback, which passes on what another program delivers. The machine runs Debian's kernel on this system's
# files, which it cannot change, and so the programs that were built here.
#
# Usage: Tests/VideoDevices/vm/run.sh [--kvm] [--keep DIR]
#   --kvm       with the help of the processor, where that works; without it, every machine plays the same
#   --keep DIR  leave logs and recordings there
#
# The last line says how many scenarios passed, or that and why they could not be played.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
project=$(cd "$here/../../.." && pwd)
cache=$project/.build/vm
accelerator=tcg processor=max
keep=
while [ $# -gt 0 ]; do
    case $1 in
    --kvm) accelerator=kvm processor=host ;;
    --keep) keep=$2 && shift ;;
    *) sed -n 's/^# \{0,1\}//;2,/^$/p' "${BASH_SOURCE[0]}" >&2 && exit 64 ;;
    esac
    shift
done

skip() {
    echo "SKIPPED: webcams in a virtual machine: $*"
    exit 0
}

fail() {
    echo "FAILED: webcams in a virtual machine: $*" >&2
    exit 1
}

[ "$(uname -m)" = x86_64 ] || skip "Debian's kernel for x86-64 is used, and this machine is none"
for tool in qemu-system-x86_64 busybox v4l2-ctl make gcc; do
    command -v $tool >/dev/null || skip "there is no $tool"
done

# The kernel, its drivers and the loopback driver, once for each version.
fetch() {
    local image headers common kbuild
    image=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p')
    [ -n "$image" ] || return 1
    version=${image#linux-image-}
    [ -f "$cache/$version/complete" ] && return 0
    headers=linux-headers-$version
    common=$(apt-cache depends "$headers" | sed -n 's/.*Depends: \(linux-headers-.*-common\)/\1/p')
    kbuild=$(apt-cache depends "$headers" | sed -n 's/.*Depends: \(linux-kbuild-[0-9.]*\).*/\1/p' | head -1)
    rm -rf "${cache:?}/$version"
    mkdir -p "$cache/$version/packages"
    (
        cd "$cache/$version/packages"
        apt-get download -qq "$image" "$headers" "$common" "$kbuild" v4l2loopback-dkms
        for package in *.deb; do dpkg-deb -x "$package" ..; done
    ) >"$cache/fetch.log" 2>&1 || return 1
    rm -r "$cache/$version/packages"
    # The headers expect to lie in /usr.
    sed -i "s|include /usr|include $cache/$version/usr|" "$cache/$version/usr/src/$headers/Makefile"
    make -C "$cache/$version/usr/src/$headers" M="$(echo "$cache/$version"/usr/src/v4l2loopback-*)" modules \
        >"$cache/loopback.log" 2>&1 || fail "v4l2loopback does not build: $(tail -3 "$cache/loopback.log")"
    mkdir -p "$cache/$version/lib/modules/$version/extra"
    cp "$cache/$version"/usr/src/v4l2loopback-*/v4l2loopback.ko "$cache/$version/lib/modules/$version/extra/"
    depmod -b "$cache/$version" "$version"
    touch "$cache/$version/complete"
}

mkdir -p "$cache"
if ! fetch; then
    apt-get update -qq >>"$cache/fetch.log" 2>&1 || true
    fetch || skip "the packages of Debian's kernel cannot be had: $(tail -1 "$cache/fetch.log" 2>/dev/null)"
fi

work=$(mktemp -d)
qemu=
trap '[ -z "$qemu" ] || kill -9 $qemu 2>/dev/null || true; [ -n "$keep" ] || rm -rf "$work"' EXIT

# What the loopback cameras deliver: made here, so that the machine need not encode it.
clip() {
    ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=320x180:rate=10:duration=6 "$@"
}
clip -c:v mjpeg -q:v 5 -pix_fmt yuvj420p "$work/clip.avi"
clip -c:v libx264 -preset ultrafast -tune zerolatency -g 10 -pix_fmt yuv420p -x264-params log-level=error \
    "$work/clip.ts"

# The first programs: a shell, and the drivers without which the files cannot be reached.
root=$work/initramfs
mkdir -p "$root"/{bin,dev,proc,sys,host,new,changes} "$root/lib/modules/$version"
cp "$(command -v busybox)" "$root/bin/busybox"
for tool in sh mount mkdir modprobe ip chroot poweroff cat; do ln -s busybox "$root/bin/$tool"; done
(
    cd "$cache/$version/lib/modules/$version"
    cp modules.* "$root/lib/modules/$version/"
    wanted='virtio_pci|9pnet_virtio|9p|overlay|vivid|v4l2loopback|virtio_console'
    grep -E "/($wanted)\.ko:" modules.dep | tr -d : | tr ' ' '\n' | sort -u |
        while read -r module; do
            mkdir -p "$root/lib/modules/$version/$(dirname "$module")"
            cp "$module" "$root/lib/modules/$version/$module"
        done
)
cp "$here/init.sh" "$root/init"
chmod 755 "$root/init"
(cd "$root" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) >"$work/initramfs.gz"

touch "$work/results" "$work/console.log"
echo "Webcams in a virtual machine ($accelerator, Linux $version)"
qemu-system-x86_64 -accel $accelerator -cpu $processor -smp 2 -m 2048 -nodefaults -no-user-config -display none -no-reboot \
    -kernel "$cache/$version/boot/vmlinuz-$version" -initrd "$work/initramfs.gz" \
    -append "console=ttyS0 quiet panic=-1 mitigations=off framekeeper.script=$here/scenarios.py framekeeper.work=$work \
framekeeper.bin=${FRAMEKEEPER_PRODUCTS:-$project/.build/debug}" \
    -virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap \
    -serial "file:$work/console.log" -serial "file:$work/results" &
qemu=$!

# Says each result as it comes. What a scenario waits for has its own deadline; this one ends a machine that hangs.
deadline=$((SECONDS + ${FRAMEKEEPER_VM_SECONDS:-900}))
said=0
while :; do
    running=yes
    kill -0 $qemu 2>/dev/null || running=no
    count=$(wc -l <"$work/results")
    if [ "$count" -gt $said ]; then
        sed -n "$((said + 1)),${count}p" "$work/results" | tr -d '\r'
        said=$count
    fi
    [ $running = yes ] || break
    if [ $SECONDS -ge $deadline ]; then
        echo "the machine did not end in time" >>"$work/console.log"
        kill -9 $qemu
    fi
    sleep 0.5
done
wait $qemu 2>/dev/null || true
qemu=
if [ -n "$keep" ]; then
    mkdir -p "$keep"
    cp "$work/console.log" "$work/results" "$keep/"
fi
tr -d '\r' <"$work/results" | grep -q '^end: 0 failed' || {
    tail -60 "$work/console.log" >&2
    fail "see above"
}
echo "PASSED: webcams in a virtual machine: $(tr -d '\r' <"$work/results" | grep -c '^ok ') scenarios in $SECONDS s"
