#!/bin/bash
# A node in a folder of its own: two cameras recorded, rotated every 10 s, one worker killed on the way, all verified.
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: compose/demo.sh [--for SECONDS] [--keep DIR] [--no-install]

  --for SECONDS  how long to record (default 60, at least 25)
  --keep DIR     leave recordings, ledger and logs in DIR, which must be new or empty
  --no-install   change nothing on this machine; stop with a message if something is missing

Ends with 0 if every promise was kept, with 1 if not.
TEXT
}

seconds=60
keep=
install=yes
while [ $# -gt 0 ]; do
    case $1 in
    --for)
        [[ ${2:-} =~ ^[0-9]+$ ]] && [ "$2" -ge 25 ] || { usage >&2; exit 64; }
        seconds=$2
        shift
        ;;
    --keep)
        [ -n "${2:-}" ] || { usage >&2; exit 64; }
        keep=$(realpath -m "$2")
        shift
        ;;
    --no-install) install=no ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 64 ;;
    esac
    shift
done

cd "$(dirname "${BASH_SOURCE[0]}")/.."
. compose/packages.sh
ensure_packages $install "${build_packages[@]}" "${node_packages[@]}" "${camera_packages[@]}"
require_swift

folder=${keep:-$(mktemp -d /tmp/framekeeper-demo-XXXXXX)}
mkdir -p "$folder"
[ -z "$(ls -A "$folder")" ] || { echo "FAILED: $folder is not empty" >&2; exit 64; }

echo "Building the release (the first time takes minutes)"
swift build -c release --static-swift-stdlib --product framekeeper >"$folder/build.log" 2>&1 &&
    swift build -c release --static-swift-stdlib --product rotation-service >>"$folder/build.log" 2>&1 &&
    swift build -c release --static-swift-stdlib --product config-writer >>"$folder/build.log" 2>&1 &&
    swift build -c release --static-swift-stdlib --product health-monitor >>"$folder/build.log" 2>&1 &&
    swift build -c release --static-swift-stdlib --product metrics >>"$folder/build.log" 2>&1 &&
    swift build -c release --static-swift-stdlib --product capture-worker >>"$folder/build.log" 2>&1 || {
    tail -n 30 "$folder/build.log" >&2
    echo "FAILED: the build; all of it is in $folder/build.log" >&2
    exit 1
}
bin=$(swift build -c release --static-swift-stdlib --show-bin-path)

# Whatever happens, what was started here ends here, by its process id.
camera=
node=
finish() {
    local outcome=$?
    trap - EXIT INT TERM
    [ -z "$node" ] || { kill "$node" 2>/dev/null && wait "$node" 2>/dev/null || true; }
    [ -z "$camera" ] || { kill "$camera" 2>/dev/null && wait "$camera" 2>/dev/null || true; }
    if [ -z "$keep" ] && [ $outcome -eq 0 ]; then rm -rf "$folder"; else echo "Everything is kept in $folder"; fi
    exit $outcome
}
trap finish EXIT
trap 'exit 130' INT TERM

# await SECONDS WHAT COMMAND...: waits until the command succeeds; says what went wrong and returns 1 if it does not.
await() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || { echo "FAILED: $what" >&2; tail -n 20 "$folder"/*.log >&2; return 1; }
        sleep 0.2
    done
}

compose/rtsp-camera.py --fps 15 --gop 15 >"$folder/camera.log" 2>&1 &
camera=$!
await 20 "the RTSP camera did not start" grep -q rtsp:// "$folder/camera.log" || exit 1
address=$(grep -m1 rtsp:// "$folder/camera.log")
port=$(/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')

# config/demo.yml takes these from the environment.
export DEMO_PORT=$port DEMO_FOLDER=$folder DEMO_RTSP=$address
fk() { "$bin/framekeeper" "$@" --config config/demo.yml; }

"$bin/framekeeper" up --config config/demo.yml >"$folder/node.log" 2>&1 &
node=$!
await 30 "the node did not start" fk status || exit 1
for name in pattern door; do await 30 "$name did not start recording" fk record start $name || exit 1; done

echo
echo "Recording pattern (painted) and door ($address) for $seconds s; a new file every 10 s."
killed=no
end=$((SECONDS + seconds))
half=$((SECONDS + seconds / 2))
while [ $SECONDS -lt $end ]; do
    kill -0 "$node" 2>/dev/null || { echo "FAILED: the node has ended" >&2; tail -n 20 "$folder/node.log" >&2; exit 1; }
    if [ $killed = no ] && [ $SECONDS -ge $half ]; then
        killed=$(awk '{print $1; exit}' "$folder/state/run/capture-worker.pattern.pid")
        kill -9 "$killed"
        echo "Killed the worker of pattern (process $killed) with SIGKILL; its session resumes by itself."
    fi
    sleep 1
done
fk status
for name in pattern door; do fk record stop $name >/dev/null; done

echo
outcome=0
await 15 "verify did not agree in time; see the table below" fk recordings verify || outcome=1
fk recordings verify --decode || outcome=1
[ "$killed" != no ] || { echo "FAILED: no worker was killed" >&2; outcome=1; }
# Where nothing was recorded no promise is broken. So: both cameras have their files, and the killed worker its gap.
fk recordings verify --json >"$folder/verdict.json" || outcome=1
/usr/bin/python3 - "$folder/verdict.json" "$seconds" <<'PYTHON' || outcome=1
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    sessions = json.load(file)["sessions"]
least = int(sys.argv[2]) // 10
wrong = []
for camera in ("pattern", "door"):
    files = max((session["closed"] for session in sessions if session["camera"] == camera), default=0)
    if files < least:
        wrong.append(f"{camera} has a session of {files} files; one every 10 s makes {least}")
causes = [gap["cause"] for session in sessions if session["camera"] == "pattern" for gap in session["gaps"]]
if "worker_died" not in causes:
    wrong.append("no gap tells of the worker of pattern that was killed")
for line in wrong:
    print("FAILED:", line, file=sys.stderr)
sys.exit(bool(wrong))
PYTHON
echo
echo "Files:"
find "$folder/storage" -name '*.mp4' -printf '%P  %s bytes\n' | sort
echo
[ $outcome -eq 0 ] && echo "Every frame is accounted for." || echo "FAILED: a promise was broken." >&2
exit $outcome
