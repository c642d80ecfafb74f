#!/usr/bin/env python3
"""Asks a running metrics service everything that its OpenAPI document allows, and much that it does not (schemathesis).

Usage: fuzz.py URL [--camera NAME] [--examples N] [--seed N]

No answer may be a 5xx, of a status or a type that the document does not name, or of another shape than it says; what the
document forbids must be refused. A snapshot is taken first, so that there is a picture to ask for. Commands are asked slowly,
since the service takes 5 a second from one address. The tool comes from PyPI into a temporary folder. Exit status 0 only if
nothing was found.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import urllib.request
import venv

TOOL = "schemathesis==4.32.5"
# The tool's own times are of any year; the service takes those that it can count in nanoseconds, and a camera rotates at
# those of a day around now.
TIMES = """
import datetime

import schemathesis
from hypothesis import strategies

offsets = strategies.integers(-14 * 60, 14 * 60).map(
    lambda minutes: datetime.timezone(datetime.timedelta(minutes=minutes)))
schemathesis.openapi.format("date-time", strategies.datetimes(
    datetime.datetime(1971, 1, 1), datetime.datetime(2261, 1, 1), timezones=offsets).map(lambda time: time.isoformat()))


@schemathesis.hook
def before_call(context, case, kwargs):
    if not case.operation.path.endswith("/rotation") or not isinstance(case.body, dict):
        return
    try:
        datetime.datetime.fromisoformat(case.body["at"])
    except (KeyError, TypeError, ValueError):
        return
    case.body["at"] = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
"""

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("url")
parser.add_argument("--camera", help="everything is of this one; without it, of any name")
parser.add_argument("--examples", type=int, default=10)
parser.add_argument("--seed", type=int, default=1)
options = parser.parse_args()

with tempfile.TemporaryDirectory(prefix="framekeeper-fuzz-") as folder:
    venv.create(folder, with_pip=True)
    installed = subprocess.run(
        [f"{folder}/bin/pip", "install", "--quiet", "--disable-pip-version-check", TOOL], capture_output=True, text=True,
        check=False)
    if installed.returncode:
        sys.exit(f"FAILED: {TOOL} cannot be installed from PyPI: {installed.stderr.strip()[-500:]}")
    if options.camera:
        with open(f"{folder}/camera.toml", "w", encoding="utf-8") as file:
            file.write(f'[parameters]\n"path.camera" = "{options.camera}"\n')
        request = urllib.request.Request(f"{options.url}/api/v1/cameras/{options.camera}/snapshot", data=b"PRESS")
        with urllib.request.urlopen(request, timeout=60) as answer:
            print(f"== a snapshot: {answer.status}", flush=True)
    with open(f"{folder}/times.py", "w", encoding="utf-8") as file:
        file.write(TIMES)
    outcome = 0
    environment = {**os.environ, "PYTHONUTF8": "1", "SCHEMATHESIS_HOOKS": "times", "PYTHONPATH": folder}
    # An event stream has no end to wait for; Tests/MetricsTests listens to it.
    for name, rate, chosen in (("questions", "80/s", ["--include-method", "GET", "--exclude-path", "/events"]),
                               ("commands", "4/s", ["--include-method", "POST", "--include-method", "DELETE"])):
        print(f"== {name}", flush=True)
        config = ["--config-file", "camera.toml"] if options.camera else []
        ran = subprocess.run(
            [f"{folder}/bin/schemathesis", *config, "run", f"{options.url}/openapi.json", "--phases", "examples,coverage,fuzzing",
             "--max-examples", str(options.examples), "--seed", str(options.seed), "--rate-limit", rate, "--no-color",
             *chosen], cwd=folder, env=environment, check=False)
        outcome = outcome or ran.returncode
sys.exit(outcome)
