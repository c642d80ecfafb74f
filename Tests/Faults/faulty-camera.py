#!/usr/bin/python3
"""An RTSP camera with faults on demand: plays an H.264 clip in a loop over RTSP on TCP, to any number of clients.

Usage: faulty-camera.py CLIP.h264 MODE_FILE READY_FILE [--fps 15] [--port 0]

CLIP.h264 is an Annex B stream with access unit delimiters that begins with a key frame. The address is written to
READY_FILE. The mode is the content of MODE_FILE and may change at any moment:

  good     serves
  stall    answers everything and sends nothing, without closing
  hang     takes connections and answers nothing at all
  refuse   listens no more and closes what is open
  drop     closes every connection two seconds after it has begun to play
  deny     answers every DESCRIBE with 404
  flood    sends packets that are none, as fast as they are taken
  garbage  sends bytes without any framing, over and over, then serves
"""
import argparse
import asyncio
import base64
import os
import random

PACKET_BYTES = 1400
SEND_BUFFER_BYTES = 1 << 18


def access_units(path):
    """The units of each picture, delimiters left out, and the parameter sets."""
    with open(path, "rb") as file:
        data = file.read()
    starts = []
    at = data.find(b"\0\0\1")
    while at >= 0:
        starts.append(at)
        at = data.find(b"\0\0\1", at + 3)
    units = [
        data[start + 3 : end].rstrip(b"\0") for start, end in zip(starts, starts[1:] + [len(data)])
    ]
    pictures, sets = [], {}
    for unit in units:
        kind = unit[0] & 0x1F
        if kind == 9:
            pictures.append([])
        elif pictures:
            pictures[-1].append(unit)
        if kind in (7, 8):
            sets[kind] = unit
    return [picture for picture in pictures if picture], sets


class Camera:
    def __init__(self, arguments):
        self.pictures, sets = access_units(arguments.clip)
        self.fps = arguments.fps
        self.mode_file = arguments.mode
        self.parameter_sets = ",".join(base64.b64encode(sets[kind]).decode() for kind in (7, 8))
        self.clients = set()
        self.seen = None
        self.mode = "good"

    def look(self):
        try:
            changed = os.stat(self.mode_file).st_mtime_ns
            if changed != self.seen:
                self.seen = changed
                with open(self.mode_file) as file:
                    self.mode = file.read().strip() or "good"
        except FileNotFoundError:
            self.mode = "good"


class Client:
    """One connection: requests in, interleaved packets out."""

    def __init__(self, camera, reader, writer):
        self.camera, self.reader, self.writer = camera, reader, writer
        self.session = f"{random.getrandbits(32):08x}"
        self.sequence = random.getrandbits(15)
        self.player = None

    async def serve(self):
        try:
            while True:
                head = await self.request()
                if head is None:
                    return
                self.camera.look()
                if self.camera.mode == "hang":
                    continue
                self.answer(*head)
                await self.writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.close()

    async def request(self):
        """The method, the address and the headers; what a client sends in between, its reports, is left out."""
        while True:
            first = await self.reader.read(1)
            if not first:
                return None
            if first != b"$":
                break
            length = (await self.reader.readexactly(3))[1:]
            await self.reader.readexactly(int.from_bytes(length, "big"))
        text = (first + await self.reader.readuntil(b"\r\n\r\n")).decode(errors="replace")
        lines = text.split("\r\n")
        method, url = (lines[0].split(" ") + [""])[:2]
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        return method, url, headers

    def answer(self, method, url, headers):
        extra, body, status = "", "", "200 OK"
        if method == "OPTIONS":
            extra = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER\r\n"
        elif method == "DESCRIBE" and self.camera.mode == "deny":
            status = "404 Not Found"
        elif method == "DESCRIBE":
            body = (
                "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
                "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
                f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={self.camera.parameter_sets}\r\n"
                "a=control:track0\r\n"
            )
            extra = f"Content-Type: application/sdp\r\nContent-Base: {url}/\r\n"
        elif method == "SETUP":
            extra = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
        elif method == "PLAY":
            self.player = asyncio.ensure_future(self.play())
        self.writer.write(
            f"RTSP/1.0 {status}\r\nCSeq: {headers.get('cseq', '0')}\r\nSession: {self.session}\r\n{extra}"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        if method == "TEARDOWN":
            self.writer.close()

    async def play(self):
        loop = asyncio.get_running_loop()
        began = loop.time()
        number = 0
        try:
            while not self.writer.is_closing():
                self.camera.look()
                mode = self.camera.mode
                if mode == "flood":
                    await self.flood()
                    continue
                await asyncio.sleep(max(0, began + number / self.camera.fps - loop.time()))
                if mode in ("good", "garbage", "drop"):
                    # Each time swallows about six pictures: a reader loses most of them.
                    if mode == "garbage" and number % 5 == 2:
                        self.writer.write(random.randbytes(3000))
                    self.picture(number)
                    await self.writer.drain()
                if mode == "drop" and loop.time() - began > 2:
                    break
                number += 1
        except ConnectionError:
            pass
        finally:
            self.writer.close()

    async def flood(self):
        for _ in range(64):
            channel = random.choice((0, 0, 0, 1, 7))
            payload = random.randbytes(random.randrange(1, PACKET_BYTES))
            self.writer.write(b"$" + bytes([channel]) + len(payload).to_bytes(2, "big") + payload)
        await self.writer.drain()
        await asyncio.sleep(0)

    def picture(self, number):
        units = self.camera.pictures[number % len(self.camera.pictures)]
        time = int(number * 90000 / self.camera.fps) & 0xFFFFFFFF
        packets = [packet for unit in units for packet in self.packets(unit)]
        for index, payload in enumerate(packets):
            self.sequence = (self.sequence + 1) & 0xFFFF
            mark = 0x80 if index == len(packets) - 1 else 0
            head = bytes([0x80, mark | 96]) + self.sequence.to_bytes(2, "big") + time.to_bytes(4, "big")
            packet = head + b"cam0" + payload
            self.writer.write(b"$\0" + len(packet).to_bytes(2, "big") + packet)

    @staticmethod
    def packets(unit):
        """RFC 6184: a unit that fits travels alone, a larger one in fragments (FU-A)."""
        if len(unit) <= PACKET_BYTES:
            yield unit
            return
        indicator, kind, rest = unit[0] & 0xE0 | 28, unit[0] & 0x1F, unit[1:]
        pieces = [rest[at : at + PACKET_BYTES] for at in range(0, len(rest), PACKET_BYTES)]
        for index, piece in enumerate(pieces):
            flags = 0x80 * (index == 0) | 0x40 * (index == len(pieces) - 1)
            yield bytes([indicator, flags | kind]) + piece

    def close(self):
        self.camera.clients.discard(self)
        if self.player:
            self.player.cancel()
        self.writer.close()


async def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip")
    parser.add_argument("mode")
    parser.add_argument("ready")
    parser.add_argument("--fps", type=float, default=15)
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    camera = Camera(arguments)

    async def take(reader, writer):
        writer.transport.set_write_buffer_limits(high=SEND_BUFFER_BYTES)
        client = Client(camera, reader, writer)
        camera.clients.add(client)
        await client.serve()

    server = await asyncio.start_server(take, "127.0.0.1", arguments.port)
    port = server.sockets[0].getsockname()[1]
    with open(arguments.ready + ".new", "w") as file:
        file.write(f"rtsp://127.0.0.1:{port}/camera")
    os.rename(arguments.ready + ".new", arguments.ready)
    while True:
        await asyncio.sleep(0.05)
        camera.look()
        if camera.mode == "refuse" and server:
            server.close()
            server = None
            for client in list(camera.clients):
                client.close()
        elif camera.mode != "refuse" and not server:
            server = await asyncio.start_server(take, "127.0.0.1", port)


asyncio.run(main())
