# Installs Debian packages that are missing. Sourced by the two commands of the README, so that both install alike.

# missing_packages NAME...: prints those that are not installed.
missing_packages() {
    local package state
    for package in "$@"; do
        state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$state" = installed ] || echo "$package"
    done
}

# ensure_packages yes|no NAME...: installs what is missing; with "no" says what is, and fails.
# Debian starts a mosquitto as soon as it is installed. Nothing here needs that one (each node and each test starts its
# own), so a system that has never had one is not left with one that listens on port 1883.
ensure_packages() {
    local install=$1 root=() policy=/usr/sbin/policy-rc.d placed=no outcome=0 missing
    shift
    mapfile -t missing < <(missing_packages "$@")
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$install" = no ]; then
        echo "Missing: ${missing[*]}. Run without --no-install, or: apt-get install ${missing[*]}" >&2
        return 69
    fi
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "Missing: ${missing[*]}. Install them, or run this as root or with sudo on the machine." >&2
            return 69
        fi
        root=(sudo)
    fi
    echo "Installing: ${missing[*]}"
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee $policy >/dev/null
        "${root[@]}" chmod 755 $policy
        placed=yes
    fi
    # The first attempt spares the look at the package lists, which is most of the time.
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" \
        >/dev/null 2>&1 || {
        "${root[@]}" apt-get update -qq &&
            "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
                apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
    } || outcome=$?
    [ $placed = no ] || "${root[@]}" rm -f $policy
    [ $outcome -eq 0 ] || echo "FAILED: could not install ${missing[*]}" >&2
    return $outcome
}

# What the build links; what a node and the camera of the demo need; what only the tests need.
build_packages=(
    libmosquitto-dev libyaml-dev libsqlite3-dev pkg-config libavformat-dev libavcodec-dev libavutil-dev libswscale-dev
    libv4l-dev libcurl4-openssl-dev
)
node_packages=(mosquitto ffmpeg)
camera_packages=(
    python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly
)
test_packages=(mosquitto-clients curl python3-yaml python3-venv prometheus chromium chromium-driver docker-compose)
# The virtual machine of the webcam tests; its kernel is fetched by Tests/VideoDevices/vm/run.sh, and not installed.
machine_packages=(qemu-system-x86 busybox-static kmod v4l-utils gcc make)

# require_swift: the compiler is not Debian's.
require_swift() {
    command -v swift >/dev/null || {
        echo "FAILED: no swift on PATH. Framekeeper needs Swift 6.2 or later: https://www.swift.org/install" >&2
        return 69
    }
}
