#!/usr/bin/python3
"""Prints how many seconds a reader waits for its first decodable picture: from the connection to the last packet of
the first H.264 key frame, over RTSP with interleaved RTP (RFC 2326, RFC 6184). It probes nothing, as a player that
shows what comes does.

Usage: first_picture.py [--hold] rtsp://127.0.0.1:8554/front

--hold: the server has set the reader up; it asks for frames, and the time runs, from SIGUSR1 on.
"""

import signal
import socket
import sys
import time
from urllib.parse import urlsplit

DEADLINE = 30.0
IDR, STAP_A, FU_A = 5, 24, 28


class Reader:
    def __init__(self, url):
        place = urlsplit(url)
        self.url = url
        self.sequence = 0
        self.session = None
        self.socket = socket.create_connection((place.hostname, place.port or 554), DEADLINE)
        self.socket.settimeout(DEADLINE)
        self.stream = self.socket.makefile("rb")

    def request(self, method, url, **headers):
        self.sequence += 1
        lines = [f"{method} {url} RTSP/1.0", f"CSeq: {self.sequence}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if self.session:
            lines.append(f"Session: {self.session}")
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        return self.response()

    def response(self):
        line = self.stream.readline()
        while line[:1] == b"$":
            # A packet came before the answer to PLAY; nothing of it is needed.
            self.stream.read(int.from_bytes((line + self.stream.read(4 - len(line)))[2:4], "big"))
            line = self.stream.readline()
        if b" 200 " not in line:
            raise SystemExit(f"refused: {line.decode(errors='replace').strip()}")
        headers = {}
        while (line := self.stream.readline().strip()):
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        self.session = headers.get("session", "").split(";")[0] or self.session
        return headers, self.stream.read(int(headers.get("content-length", 0))).decode()

    def control(self, description):
        """The address of the first video track."""
        media = description.split("m=video", 1)[1]
        value = next(line for line in media.splitlines() if line.startswith("a=control:"))[10:].strip()
        return value if value.startswith("rtsp://") else f"{self.url}/{value}"

    def wait_for_key_frame(self):
        is_key = False
        while True:
            head = self.stream.read(4)
            if len(head) < 4:
                raise SystemExit("the server closed the connection")
            packet = self.stream.read(int.from_bytes(head[2:4], "big"))
            if head[1] != 0 or len(packet) < 14:
                continue
            payload = packet[12 + 4 * (packet[0] & 15):]
            kind = payload[0] & 31
            if kind == FU_A:
                kind = payload[1] & 31
            elif kind == STAP_A:
                kind = IDR if any(unit & 31 == IDR for unit in units(payload)) else 0
            is_key = is_key or kind == IDR
            # The marker bit ends an access unit.
            if is_key and packet[1] & 128:
                return


def units(payload):
    """The first byte of each NAL unit of a STAP-A packet."""
    place = 1
    while place + 2 < len(payload):
        yield payload[place + 2]
        place += 2 + int.from_bytes(payload[place:place + 2], "big")


def main():
    *options, url = sys.argv[1:]
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    begin = time.monotonic()
    reader = Reader(url)
    _, description = reader.request("DESCRIBE", reader.url, Accept="application/sdp")
    reader.request("SETUP", reader.control(description), Transport="RTP/AVP/TCP;unicast;interleaved=0-1")
    if options == ["--hold"]:
        signal.sigwait({signal.SIGUSR1})
        begin = time.monotonic()
    reader.request("PLAY", reader.url, Range="npt=0-")
    reader.wait_for_key_frame()
    print(f"{time.monotonic() - begin:.4f}")


if __name__ == "__main__":
    main()
