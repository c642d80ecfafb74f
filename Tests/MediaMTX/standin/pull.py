"""A camera that the server pulls: `source: rtsp://…`, over TCP.

Any other kind of source is accepted in the configuration, shown by the API and never becomes ready here.
"""
import asyncio
import base64
from urllib.parse import unquote, urlsplit

from .gotypes import SECOND, GoError
from .log import PrefixedLog
from .sdp import Description
from .wire import Input, path_and_query

RETRY_PAUSE_SECONDS = 5.0
KEEPALIVE_SECONDS = 25.0
READ_BYTES = 65536
RTSP_PORT = 554
KINDS = {"rtsp": "rtspSource", "rtsps": "rtspSource", "rtmp": "rtmpSource", "rtmps": "rtmpSource",
         "http": "hlsSource", "https": "hlsSource", "udp": "mpegtsSource", "udp+mpegts": "mpegtsSource",
         "unix+mpegts": "mpegtsSource", "udp+rtp": "rtpSource", "unix+rtp": "rtpSource", "srt": "srtSource",
         "moqt": "moqSource", "whep": "webRTCSource", "wheps": "webRTCSource", "rpiCamera": "rpiCameraSource"}


class PullSource:
    """Connects, and connects again five seconds after every failure, until it is stopped."""

    def __init__(self, path, settings):
        self.path = path
        self.settings = settings
        scheme = settings["source"].partition("://")[0]
        self.kind = KINDS.get(scheme, "rtspSource")
        self.log = PrefixedLog(path.log, "[RTSP source]")
        self.task = None

    def api_source(self):
        return {"type": self.kind, "id": ""}

    def start(self, query="", on_demand=False):
        self.log.info("started on demand" if on_demand else "started")
        self.task = asyncio.get_running_loop().create_task(self._run(self._resolved(query)))

    def stop(self, reason):
        task, self.task = self.task, None
        if task:
            self.log.info(f"stopped: {reason}")
            task.cancel()

    def _resolved(self, query):
        url = self.settings["source"]
        for number in range(len(self.path.groups), 0, -1):
            url = url.replace(f"$G{number}", self.path.groups[number - 1])
        return url.replace("$MTX_QUERY", query)

    async def _run(self, url):
        while True:
            try:
                if self.kind != "rtspSource":
                    raise GoError(f"sources of the kind {self.kind} are not emulated")
                limit = self.path.registry.read_timeout / SECOND
                await PullConnection(self.path, url, limit, self.log).run()
            except (GoError, OSError, asyncio.TimeoutError, EOFError, ValueError) as error:
                self.log.error(str(error) or type(error).__name__)
            await asyncio.sleep(RETRY_PAUSE_SECONDS)


class PullConnection:
    """One attempt: DESCRIBE, SETUP of every track, PLAY, then packets until something breaks."""

    def __init__(self, path, url, read_seconds_max, log):
        self.path = path
        self.log = log
        self.read_seconds_max = read_seconds_max
        parts = urlsplit(url)
        self.host, self.port = parts.hostname, parts.port or RTSP_PORT
        self.url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        self.authorization = None
        if parts.username:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self.authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"
        self.session = ""
        self.number = 0
        self.input = Input()

    async def run(self):
        connecting = asyncio.open_connection(self.host, self.port)
        self.reader, self.writer = await asyncio.wait_for(connecting, self.read_seconds_max)
        try:
            await self._set_up()
        finally:
            self.writer.close()

    async def _set_up(self):
        self.log.debug("connecting")
        await self._request("OPTIONS", self.url)
        answer = await self._request("DESCRIBE", self.url, Accept="application/sdp")
        description = Description.parse(answer.body.decode("utf-8", "replace"))
        base = answer.headers.get("content-base", self.url)
        for index, media in enumerate(description.medias):
            transport = f"RTP/AVP/TCP;unicast;interleaved={2 * index}-{2 * index + 1}"
            answer = await self._request("SETUP", control_url(base, media.attribute("control")), Transport=transport)
            self.session = answer.session
        stream = self.path.source_ready(description)
        try:
            await self._request("PLAY", base, Range="npt=0-")
            await self._relay(stream, len(description.medias))
        finally:
            self.path.source_lost()

    async def _request(self, method, url, **headers):
        """Send a request and wait for its answer. The packets in between are dropped: the path is not ready yet."""
        self._send(method, url, **headers)
        while True:
            self.input.take_frames()
            answer = self.input.take_message()
            if answer is None:
                await self._read()
            elif answer.is_response:
                if answer.status != 200:
                    raise GoError(f"bad status code: {' '.join(answer.first[1:])}")
                return answer

    def _send(self, method, url, **headers):
        self.number += 1
        lines = [f"{method} {url} RTSP/1.0", f"CSeq: {self.number}", "User-Agent: gortsplib"]
        if self.authorization:
            lines.append(f"Authorization: {self.authorization}")
        if self.session:
            lines.append(f"Session: {self.session}")
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())

    async def _read(self):
        data = await asyncio.wait_for(self.reader.read(READ_BYTES), self.read_seconds_max)
        if not data:
            raise EOFError("EOF")
        self.input.feed(data)

    async def _relay(self, stream, medias):
        loop = asyncio.get_running_loop()
        next_keepalive = loop.time() + KEEPALIVE_SECONDS
        while True:
            frames = self.input.take_frames()
            packets = [(channel // 2, channel % 2 == 1, payload) for channel, payload in frames
                       if channel // 2 < medias]
            if packets:
                stream.relay(packets)
            if loop.time() >= next_keepalive:
                self._send("OPTIONS", self.url)
                next_keepalive = loop.time() + KEEPALIVE_SECONDS
            # Answers to keepalives are taken off and forgotten.
            if not frames and not self.input.take_message():
                await self._read()


def control_url(base, control):
    if "://" in control:
        return control
    if not control or control == "*":
        return base
    path_and_query(base)  # raises for what is no URL
    return base + ("" if base.endswith("/") or control[0] in "/?" else "/") + control
