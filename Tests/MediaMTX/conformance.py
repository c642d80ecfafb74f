#!/usr/bin/python3
"""Replays the recorded exchanges with a real MediaMTX against a binary, in order, and compares the answers.

Usage: conformance.py BINARY

Status, body and the headers named below must agree. Times, counters and ports may differ; ids may differ too, but each
recorded id must stand for one and the same id throughout. Prints a line for each disagreement, and for each exchange
that cannot be compared, with the reason.
"""
import base64
import contextlib
import json
import re
import sys
import urllib.parse
from pathlib import Path

# A check must not leave compiled files in the source folder.
sys.dont_write_bytecode = True

from fixture import Disagreement, Server, expect, publish_pattern, read_stream, wait_until  # noqa: E402

TRANSCRIPTS = Path(__file__).with_name("transcripts.json")
HEADERS = ("Content-Type", "WWW-Authenticate", "Location", "Access-Control-Allow-Origin",
           "Access-Control-Allow-Methods", "Access-Control-Allow-Headers")
RECORDED_PORTS = {"playback": 9996, "api": 9997, "metrics": 9998, "rtsp": 8554}
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
COUNTER = re.compile(r"Bytes|bytes|Packets|packets|Jitter")
SEGMENTS_RECORDED = 3
SEGMENT_SECONDS_MAX = 20.0
PASSWORDS = {"admin": "adminpass", "viewer": "viewerpass"}
PATHS = """\
paths:
  cam1:
    record: yes
    recordSegmentDuration: 3s
  idle:
  ondemand:
    runOnDemand: touch demand
    runOnDemandCloseAfter: 30s
"""
METRICS_PATHS = """\
paths:
  cam1:
  idle:
"""
USERS = f"""\
authInternalUsers:
- user: admin
  pass: {PASSWORDS['admin']}
  permissions:
  - action: api
  - action: metrics
- user: viewer
  pass: {PASSWORDS['viewer']}
  permissions:
  - action: read
  - action: publish
"""
# Exchanges about recordings; they mean something only where something was recorded.
OF_RECORDINGS = {"recordings list", "recordings get", "recordings deletesegment"}


class Skipped(Exception):
    """The exchange cannot be compared, for the reason given."""


class NoStage(Exception):
    """A server, its publisher or its reader did not come up, so that nothing after it means anything."""


class Stage:
    """The servers that the recordings imply, each started when the first of its exchanges comes."""

    def __init__(self, stack, binary):
        self.stack = stack
        self.binary = binary
        self.servers = {}
        self.replaced = {}

    def server_for(self, name):
        kind = "main"
        if name.startswith("auth:"):
            kind = "auth"
        elif name == "metrics while a publisher and a reader are connected":
            kind = "metrics"
        if kind not in self.servers:
            try:
                self.servers[kind] = getattr(self, f"_start_{kind}")()
            except Disagreement as disagreement:
                raise NoStage(disagreement) from None
        return self.servers[kind]

    def _start_main(self):
        server = Server(self.stack, self.binary, PATHS)
        self._connect(server)
        return server

    def _start_metrics(self):
        server = Server(self.stack, self.binary, METRICS_PATHS)
        self._connect(server)
        return server

    def _start_auth(self):
        return Server(self.stack, self.binary, USERS + PATHS)

    def _connect(self, server):
        """A publisher and a reader, in this order, as the lists of sessions show it."""
        publish_pattern(self.stack, server.url("cam1"))
        wait_until(lambda: server.ready("cam1"), "cam1 is published")
        read_stream(self.stack, server.url("cam1"))
        wait_until(lambda: server.path("cam1")["outboundBytes"], "cam1 is read")

    def prepare(self, name, server):
        """What has to happen before an exchange."""
        self.replaced.setdefault("<workdir>", server.folder)
        records = server.answers("playback")
        if name == "rtspsessions kick reader" and records:
            wait_until(lambda: len(self._segments(server)) >= SEGMENTS_RECORDED, "three segments are recorded",
                       SEGMENT_SECONDS_MAX)
        if name in OF_RECORDINGS and not records:
            raise Skipped("the binary does not record")
        if name == "recordings list":
            self._learn_segments(server)

    def _segments(self, server):
        items = server.json("GET", "/v3/recordings/list")[1]["items"]
        return items[0]["segments"] if items else []

    def _learn_segments(self, server):
        recorded = next(item for item in EXCHANGES if item["name"] == "recordings list")["response"]["body"]
        pairs = zip(recorded["items"][0]["segments"], self._segments(server))
        for old, new in ((old["start"], new["start"]) for old, new in pairs):
            self.replaced[old] = new
            self.replaced[urllib.parse.quote(old)] = urllib.parse.quote(new)
            self.replaced[file_time(old)] = file_time(new)

    def real(self, text):
        """The recorded text with what differs here put in its place."""
        for old, new in self.replaced.items():
            text = text.replace(old, new)
        return text


def file_time(start):
    """The time of a segment as it stands in its file's name."""
    moment, _, fraction = start.rstrip("Z").partition(".")
    return f"{moment.replace('T', '_').replace(':', '-')}-{fraction.ljust(6, '0')}"


def authorization(marker):
    """From a marker such as `Basic <admin, wrong password>`."""
    user, which = re.fullmatch(r"Basic <(\w+), (right|wrong) password>", marker).groups()
    pair = f"{user}:{PASSWORDS[user] if which == 'right' else 'wrong'}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def replay(exchange, stage):
    name, request, recorded = exchange["name"], exchange["request"], exchange["response"]
    server = stage.server_for(name)
    stage.prepare(name, server)
    if request["server"] == "playback" and not server.answers("playback"):
        raise Skipped("the binary has no playback server")
    headers = {key: authorization(value) if key == "Authorization" else value
               for key, value in request.get("headers", {}).items()}
    status, got_headers, body = server.call(request["method"], stage.real(request["path"]), request["body"], headers,
                                            request["server"])
    expect(status == recorded["status"], f"status {status}, recorded {recorded['status']}: {body[:200]!r}")
    compare_headers(recorded["headers"], got_headers)
    if isinstance(recorded["body"], (dict, list)):
        Comparison(stage, server).compare("body", recorded["body"], json.loads(body))
    elif re.fullmatch(r"<\d+ bytes>", recorded["body"]):
        expect(body, "the body is empty")
    elif recorded["headers"].get("Content-Type", "").startswith("text/plain;"):
        compare_metrics(recorded["body"], body.decode())
    else:
        expect(body.decode() == recorded["body"], f"body {body!r}, recorded {recorded['body']!r}")


def compare_headers(recorded, got):
    recorded = {name.lower(): value for name, value in recorded.items()}
    got = {name.lower(): value for name, value in got.items()}
    for name in (name.lower() for name in HEADERS):
        # The recording of the metrics page with streams kept one header only.
        if name in recorded or (name == "www-authenticate" and name in got):
            expect(got.get(name) == recorded.get(name),
                   f"header {name}: {got.get(name)!r}, recorded {recorded.get(name)!r}")


class Comparison:
    """Compares two JSON values and names the first place where they differ."""

    def __init__(self, stage, server):
        self.stage = stage
        self.server = server

    def compare(self, where, recorded, got):
        if isinstance(recorded, dict) and isinstance(got, dict):
            missing, extra = recorded.keys() - got.keys(), got.keys() - recorded.keys()
            expect(not missing and not extra, f"{where}: missing {sorted(missing)}, unknown {sorted(extra)}")
            for key, value in recorded.items():
                self._compare_field(f"{where}.{key}", key, value, got[key], recorded)
        elif isinstance(recorded, list) and isinstance(got, list):
            expect(len(recorded) == len(got), f"{where}: {len(got)} items, recorded {len(recorded)}")
            for index, (old, new) in enumerate(zip(recorded, got)):
                self.compare(f"{where}[{index}]", old, new)
        elif isinstance(recorded, str) and isinstance(got, str):
            self._compare_text(where, recorded, got)
        else:
            same = type(recorded) is type(got) and recorded == got
            expect(same, f"{where}: {got!r}, recorded {recorded!r}")

    def _compare_field(self, where, key, recorded, got, around):
        if COUNTER.search(key) and isinstance(recorded, (int, float)) and not isinstance(recorded, bool):
            expect(isinstance(got, (int, float)), f"{where}: {got!r} is no number")
            # A path without a stream counts nothing, one with a stream does.
            of_path = "confName" in around
            expect(not of_path or bool(recorded) == bool(got), f"{where}: {got}, recorded {recorded}")
        elif key == "remoteAddr":
            expect(re.fullmatch(r"127\.0\.0\.1:\d+", got), f"{where}: {got!r}")
        elif key == "userAgent":
            expect(got.startswith("Lavf"), f"{where}: {got!r}")
        elif key in ("duration", "url") and "start" in around:
            expect(type(got) is type(recorded), f"{where}: {got!r}")
        else:
            self.compare(where, recorded, got)

    def _compare_text(self, where, recorded, got):
        if UUID.fullmatch(recorded) and UUID.fullmatch(got):
            recorded = self.stage.replaced.setdefault(recorded, got)
        elif TIME.fullmatch(recorded) and TIME.fullmatch(got):
            # That a time is unknown is told by the year 1 and must agree.
            recorded, got = recorded.startswith("0001"), got.startswith("0001")
        else:
            for name, port in RECORDED_PORTS.items():
                recorded = recorded.replace(f"127.0.0.1:{port}", f"127.0.0.1:{self.server.ports[name]}")
            recorded = self.stage.real(recorded)
        expect(recorded == got, f"{where}: {got!r}, recorded {recorded!r}")


def compare_metrics(recorded, got):
    """The same lines in the same order. Ids, addresses and the values that depend on them are masked."""
    def masked(text):
        text = re.sub(r'(id|remoteAddr)="[^"]*"', r'\1=""', text)
        return [re.sub(r"(?<=[}\w] )[1-9][\d.]*$", "N", line) if COUNTER.search(line) or "jitter" in line else line
                for line in text.split("\n")]

    old, new = masked(recorded), masked(got)
    for line, (first, second) in enumerate(zip(old, new), 1):
        # Reports go out every few seconds, so their number says when somebody looked, not what the server does.
        if re.search(r"rtcp|jitter|sessions_inbound_bytes|sessions_bytes_received", first):
            first, second = first.rpartition(" ")[0], second.rpartition(" ")[0]
        expect(first == second, f"line {line}: {second!r}, recorded {first!r}")
    expect(len(old) == len(new), f"{len(new)} lines, recorded {len(old)}")


EXCHANGES = json.loads(TRANSCRIPTS.read_text(encoding="utf-8"))


def main(binary):
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    with contextlib.ExitStack() as stack:
        stage = Stage(stack, binary)
        for number, exchange in enumerate(EXCHANGES):
            try:
                replay(exchange, stage)
                counts["passed"] += 1
            except Skipped as reason:
                counts["skipped"] += 1
                print(f"SKIPPED {number} {exchange['name']}: {reason}")
            except Disagreement as disagreement:
                counts["failed"] += 1
                print(f"FAILED {number} {exchange['name']}: {disagreement}")
            except NoStage as reason:
                counts["failed"] += 1
                print(f"FAILED {number} {exchange['name']} and all that follow: {reason}")
                break
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
