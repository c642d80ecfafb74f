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

. compose/packages.sh
ensure_packages $install "${build_packages[@]}" "${node_packages[@]}" "${camera_packages[@]}" "${test_packages[@]}"
if [ -z "$filter" ] && [ "$(uname -m)" = x86_64 ]; then
    ensure_packages $install "${machine_packages[@]}" ||
        echo "The tests in a virtual machine will be skipped" >&2
fi
require_swift

started=$SECONDS
echo "Building (the first time takes minutes)"
swift build --build-tests || { echo "FAILED: the build" >&2; exit 1; }
built=$SECONDS

# Explorations and simulations keep every core busy without a pause; what waits for processes and sockets must not run
# beside them.
busy='^Simulation\.|HistoryTests/|allShortHistories|/shortHistories|PropertyTests/|ConvergenceTests/'
# So do codecs and files that are tested on the pool's own threads, for which a server cannot wait.
served='^(ConfigWriterTests|MediaServerTests|MetricsTests)\.|HealthMonitorServiceTests/'
# Nodes that are broken on purpose have the machine for themselves: what is late then is late for a reason.
faults='^Faults\.'
# So have benchmarks.
measured='BenchmarkTests/'
log=$(mktemp)
trap 'rm -f "$log"' EXIT
total=0
failed=no

# run_tests NAME OPTION...: one run of the test runner; adds up what passed. A run without a test fails.
run_tests() {
    local name=$1 outcome summary count
    shift
    set +e
    swift test --skip-build --disable-xctest "$@" 2>&1 | tee "$log" | grep -Ev '^. (Test|Suite) .* (started|passed)'
    outcome=${PIPESTATUS[0]}
    set -e
    summary=$(grep -E 'Test run with [0-9]+ tests?' "$log" | tail -1 | sed 's/^[^T]*//' || true)
    count=$(grep -oE 'with [0-9]+ tests?' <<<"$summary" | grep -oE '[0-9]+' || echo 0)
    if [ "$outcome" -ne 0 ] || ! grep -q ' passed' <<<"$summary" || [ "$count" -eq 0 ]; then
        echo "FAILED: $name: ${summary:-the tests did not finish} (exit status $outcome)" >&2
        failed=yes
        return
    fi
    echo "$name: $summary"
    total=$((total + count))
}

# run_machine: webcams with the kernel's own drivers; says by itself why it was skipped.
run_machine() {
    local count
    set +e
    Tests/VideoDevices/vm/run.sh 2>&1 | tee "$log"
    [ "${PIPESTATUS[0]}" -eq 0 ] || failed=yes
    set -e
    count=$(sed -n 's/^PASSED: .*: \([0-9]*\) scenarios.*/\1/p' "$log")
    total=$((total + ${count:-0}))
}

# run_standin: the stand-in for the media server is still what was recorded and measured of the real one.
run_standin() {
    local check count
    for check in conformance behaviour; do
        set +e
        timeout 300 /usr/bin/python3 Tests/MediaMTX/$check.py Tests/MediaMTX/mediamtx 2>&1 | tee "$log" |
            grep -Ev '^(passed|SKIPPED) '
        [ "${PIPESTATUS[0]}" -eq 0 ] || failed=yes
        set -e
        count=$(sed -n 's/^\([0-9]*\) passed, 0 failed.*/\1/p' "$log")
        [ "${count:-0}" -gt 0 ] || { echo "FAILED: the media server's stand-in: $check" >&2; failed=yes; }
        total=$((total + ${count:-0}))
    done
}

if [ -n "$filter" ]; then
    run_tests "tests that match '$filter'" --filter "$filter"
else
    run_tests "explorations" --filter "$busy"
    run_standin
    run_tests "HTTP" --filter "$served" --skip "$busy"
    run_tests "all others" --skip "$busy" --skip "$served" --skip "$faults" --skip "$measured"
    run_tests "benchmarks" --filter "$measured" --skip "$served"
    run_tests "faults" --filter "$faults"
    run_machine
fi
if [ $failed = yes ]; then
    echo "FAILED: see above (build $((built - started)) s, tests $((SECONDS - built)) s)" >&2
    exit 1
fi
echo "PASSED: $total tests (build $((built - started)) s, tests $((SECONDS - built)) s)"
echo "$total passed, 0 failed"
