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
require_swift

started=$SECONDS
echo "Building (the first time takes minutes)"
swift build --build-tests || { echo "FAILED: the build" >&2; exit 1; }
built=$SECONDS

arguments=(--skip-build --disable-xctest)
[ -z "$filter" ] || arguments+=(--filter "$filter")
log=$(mktemp)
trap 'rm -f "$log"' EXIT
set +e
swift test "${arguments[@]}" 2>&1 | tee "$log" | grep -Ev '^. (Test|Suite) .* (started|passed)'
outcome=${PIPESTATUS[0]}
set -e
summary=$(grep -E 'Test run with [0-9]+ tests?' "$log" | tail -1 | sed 's/^[^T]*//' || true)

if grep -q 'Test run with .* passed' "$log" && ! grep -q 'Test run with .* failed' "$log" && [ "$outcome" -eq 0 ]; then
    if echo "$summary" | grep -qE 'with 0 tests?'; then
        echo "FAILED: no test matches '$filter'" >&2
        exit 1
    fi
    echo "PASSED: $summary (build $((built - started)) s, tests $((SECONDS - built)) s)"
    echo "$(grep -oE 'with [0-9]+ tests?' <<<"$summary" | grep -oE '[0-9]+') passed, 0 failed"
else
    echo "FAILED: ${summary:-the tests did not finish} (exit status $outcome)" >&2
    exit 1
fi
