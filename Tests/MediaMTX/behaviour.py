#!/usr/bin/python3
"""Checks the measured behaviours of MediaMTX, beyond single exchanges, that Framekeeper relies on or has to live with.

Usage: behaviour.py BINARY [PATTERN]

Each check starts servers of its own, and two run at a time, since they mostly wait. Prints a line for each; PATTERN, a
regular expression, picks checks by title.
"""
import concurrent.futures
import contextlib
import re
import sys
import time

# A check must not leave compiled files in the source folder.
sys.dont_write_bytecode = True

# Importing a subject registers its checks.
from checks import CHECKS, changes, demand, file, sessions  # noqa: E402,F401
from fixture import Disagreement  # noqa: E402


AT_ONCE = 2


def run(index, binary):
    title, function = CHECKS[index]
    started = time.monotonic()
    try:
        with contextlib.ExitStack() as stack:
            function(stack, binary)
    except Disagreement as disagreement:
        print(f"FAILED {title}: {disagreement}", flush=True)
        return False
    print(f"passed {title} ({time.monotonic() - started:.1f} s)", flush=True)
    return True


def main(binary, pattern=""):
    chosen = [index for index, (title, _) in enumerate(CHECKS) if re.search(pattern, title)]
    with concurrent.futures.ProcessPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(run, chosen, [binary] * len(chosen)))
    passed = sum(results)
    print(f"{passed} passed, {len(results) - passed} failed")
    return 0 if passed == len(results) and results else 1


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
