#!/bin/bash
# Installs what is missing, builds with warnings as errors, runs every test. From any folder, as often as you like.
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: Tests/run.sh [--no-install] [--filter PATTERN] [--full]

  --no-install      change nothing on this machine; stop with a message if something is missing
  --filter PATTERN  only the tests whose name contains PATTERN (a regular expression)
  --full            the acceptance campaigns in their full length (hours of recordings; CI runs them shortened)

Example: Tests/run.sh --filter TimestampRepair
TEXT
}

install=yes
filter=
while [ $# -gt 0 ]; do
    case $1 in
    --no-install) install=no ;;
    --filter)
        [ $# -ge 2 ] || { usage >&2; exit 64; }
        filter=$2
        shift
        ;;
    --full) export FRAMEKEEPER_TEST_FULL=1 ;;
    -h | --help)
        usage
        exit 0
        ;;
    *)
        usage >&2
        exit 64
        ;;
    esac
    shift
done

cd "$(dirname "${BASH_SOURCE[0]}")/.."

# What the build links and what the tests start.
packages=(
    mosquitto libmosquitto-dev libyaml-dev libsqlite3-dev pkg-config
    libavformat-dev libavcodec-dev libavutil-dev libswscale-dev ffmpeg
    python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly
)

missing=()
for package in "${packages[@]}"; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=("$package")
done

# Debian starts a mosquitto as soon as it is installed. The tests need none (each starts its own, on a private socket or
# a free port), so a system that has never had one is not left with one that listens on port 1883.
install_missing() {
    local root=() policy=/usr/sbin/policy-rc.d placed=no outcome=0
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
    return $outcome
}

if [ ${#missing[@]} -gt 0 ]; then
    if [ $install = no ]; then
        echo "Missing: ${missing[*]}. Run without --no-install, or: apt-get install ${missing[*]}" >&2
        exit 69
    fi
    install_missing || { echo "FAILED: could not install ${missing[*]}" >&2; exit 69; }
fi

if ! command -v swift >/dev/null; then
    echo "FAILED: no swift on PATH. Framekeeper needs Swift 6.2 or later: https://www.swift.org/install" >&2
    exit 69
fi

started=$SECONDS
echo "Building (the first time takes minutes)"
swift build --build-tests || { echo "FAILED: the build" >&2; exit 1; }
built=$SECONDS

arguments=(--skip-build --disable-xctest --parallel --num-workers 2)
[ -z "$filter" ] || arguments+=(--filter "$filter")
log=$(mktemp)
trap 'rm -f "$log"' EXIT
set +e
swift test "${arguments[@]}" 2>&1 | tee "$log" | grep -Ev '^. (Test|Suite) .* (started|passed)'
outcome=${PIPESTATUS[0]}
set -e
summary=$(grep -E 'Test run with [0-9]+ tests' "$log" | tail -1 | sed 's/^[^T]*//' || true)

if grep -q 'Test run with .* passed' "$log" && ! grep -q 'Test run with .* failed' "$log" && [ "$outcome" -eq 0 ]; then
    if echo "$summary" | grep -q 'with 0 tests'; then
        echo "FAILED: no test matches '$filter'" >&2
        exit 1
    fi
    echo "PASSED: $summary (build $((built - started)) s, tests $((SECONDS - built)) s)"
else
    echo "FAILED: ${summary:-the tests did not finish} (exit status $outcome)" >&2
    exit 1
fi
