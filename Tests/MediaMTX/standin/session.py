"""RTSP sessions: one publisher or one reader, its requests and its packets.

`rtsp` creates a session with the first ANNOUNCE or SETUP of a connection and hands it every request from then on.
"""
import asyncio
import enum
from collections import deque
from urllib.parse import quote_plus

from . import wire
from .gotypes import new_uuid
from .log import PrefixedLog
from .paths import NoStream, Redirect, now_text, run_hooks
from .sdp import Description
from .wire import Response, Transport

METHODS = "DESCRIBE, ANNOUNCE, SETUP, PLAY, RECORD, GET_PARAMETER, TEARDOWN"
DISCARD_REPORT_SECONDS = 1.0


class Failure(Exception):
    """A request is answered with an error and the connection is closed."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class Challenge(Exception):
    """The client named no user and is asked for one; the connection stays."""


class State(enum.Enum):
    """IDLE -> PRE_PLAY (first SETUP) -> PLAY, or IDLE -> PRE_RECORD (ANNOUNCE) -> RECORD."""

    IDLE = "initial"
    PRE_PLAY = "prePlay"
    PLAY = "play"
    PRE_RECORD = "preRecord"
    RECORD = "record"


API_STATES = {State.PLAY: "read", State.RECORD: "publish"}


class RTSPSession:
    """A publisher or a reader. Paths know it as a source or a reader, and end it through `close`."""

    def __init__(self, connection):
        self.connection = connection
        self.server = connection.server
        self.id = new_uuid()
        self.secret = new_uuid().replace("-", "")
        self.created = now_text()
        self.state = State.IDLE
        self.finished = False
        self.path_name = self.query = self.user = self.agent = self.announced_url = ""
        self.path = self.path_settings = self.stream = self.description = self.end_read = None
        self.channels = {}
        self.queue = deque()
        self.discard_report = None
        self.counts = dict.fromkeys(("in_bytes", "in_rtp", "in_rtcp", "out_bytes", "out_rtp", "out_rtcp",
                                     "discarded"), 0)
        self.log = PrefixedLog(self.server.log, f"[session {self.id[:8]}]")
        self.server.sessions[self.id] = self
        self.log.info(f"created by {connection.remote}")

    def api_source(self):
        return {"type": "rtspSession", "id": self.id}

    def close(self, reason):
        """End the session soon: whoever calls is in the middle of a change of its own."""
        asyncio.get_running_loop().call_soon(self.finish, reason)

    def finish(self, reason, keep_connection=False):
        if self.finished:
            return
        self.finished = True
        self.server.sessions.pop(self.id, None)
        self.connection.session = None
        if self.discard_report:
            self.discard_report.cancel()
        if self.end_read:
            self.end_read()
        if self.stream and self in self.stream.players:
            self.stream.players.remove(self)
        if self.path:
            if self.state is State.RECORD:
                self.path.remove_publisher(self)
            else:
                self.path.remove_reader(self)
        self.log.info(f"destroyed: {reason}")
        if not keep_connection:
            self.connection.close(reason)

    # Requests

    async def respond(self, request):
        result = self.HANDLERS[request.method](self, request)
        response = await result if asyncio.iscoroutine(result) else result
        return response if isinstance(response, tuple) else (response, None)

    def _require(self, *states):
        if self.state not in states:
            raise Failure(400, f"must be in state {[state.value for state in states]}, while is in {self.state.value}")

    def _options(self, request):
        return Response(headers={"Public": METHODS})

    def _get_parameter(self, request):
        return Response(headers={"Content-Type": "text/parameters"})

    def _teardown(self, request):
        return Response(), lambda: self.finish(f"torn down by {self.connection.remote}", keep_connection=True)

    async def _announce(self, request):
        self._require(State.IDLE)
        if request.headers.get("content-type") != "application/sdp":
            raise Failure(400, "unsupported Content-Type header")
        description = Description.parse(request.body.decode("utf-8", "replace"))
        path, query = wire.path_and_query(request.url, announce=True)
        name = path.removeprefix("/")
        settings = self.server.paths.settings_for(name)
        self.user = await self.connection.authorize("publish", request, name, self.log)
        self.agent = request.headers.get("user-agent", "")
        self.path_settings, self.description = settings, description
        self.path_name, self.query, self.announced_url = name, query, request.url
        self.state = State.PRE_RECORD
        return Response()

    async def _setup(self, request):
        self._require(State.IDLE, State.PRE_PLAY, State.PRE_RECORD)
        transport = Transport.parse(request.headers.get("transport", ""))
        if not transport:
            return Response(461)
        channel = transport.channel
        if channel is None:
            channel = next(number for number in range(0, wire.CHANNELS_MAX, 2) if not self._in_use(number))
        elif self._in_use(channel):
            raise Failure(400, "interleaved IDs are in use")
        if self.state is State.PRE_RECORD:
            if transport.mode not in ("record", "receive"):
                raise Failure(400, f"transport header contains a invalid mode ({transport.mode})")
            media = wire.media_by_url(self.description.medias, self.announced_url, request.url)
        else:
            media = await self._setup_reading(request, transport)
        if media in self.channels:
            raise Failure(400, "media has already been setup")
        self.channels[media] = channel
        return Response(headers={"Transport": f"RTP/AVP/TCP;unicast;interleaved={channel}-{channel + 1}"})

    def _in_use(self, channel):
        return any(abs(channel - used) <= 1 for used in self.channels.values())

    async def _setup_reading(self, request, transport):
        if transport.mode not in ("", "play"):
            raise Failure(400, f"transport header contains a invalid mode ({transport.mode})")
        path, query, track = wire.path_query_and_track(request.url)
        name = path.removeprefix("/")
        if self.state is State.IDLE:
            await self._join(request, name, query)
        elif name != self.path_name:
            raise Failure(400, "can't setup medias with different paths")
        if not track.isdigit() or int(track) >= len(self.stream.description.medias):
            raise Failure(400, "media not found")
        return int(track)

    async def _join(self, request, name, query):
        paths = self.server.paths
        paths.settings_for(name)
        user = await self.connection.authorize("read", request, name, self.log)
        path = paths.path(name)
        try:
            stream = await path.add_reader(self, query)
        except NoStream as error:
            raise Failure(404, str(error)) from None
        except Redirect as redirect:
            raise Failure(400, str(redirect)) from None
        if self.finished:
            path.remove_reader(self)
            raise Failure(400, "terminated")
        self.user, self.agent = user, request.headers.get("user-agent", "")
        self.path, self.stream, self.path_name, self.query = path, stream, name, query
        self.state = State.PRE_PLAY

    def _play(self, request):
        self._require(State.PRE_PLAY, State.PLAY)
        base, _, _ = wire.split_url(request.url)
        info = ",".join(f"url={base}/{self.path_name}/trackID={media}" for media in self.channels)
        return Response(headers={"RTP-Info": info}), self._start_playing

    def _start_playing(self):
        if self.state is State.PLAY or self.finished:
            return
        self.state = State.PLAY
        self.stream.players.append(self)
        self.log.info(f"is reading from path '{self.path_name}', with TCP, {self.stream.description.summary()}")
        environment = {**self.path.hook_environment(), "MTX_QUERY": quote_plus(self.query),
                       "MTX_READER_TYPE": "rtspSession", "MTX_READER_ID": self.id}
        self.end_read = run_hooks(self.server.hooks, self.log, self.path.settings, "runOnRead", "runOnUnread",
                                  environment)

    def _record(self, request):
        self._require(State.PRE_RECORD)
        if len(self.channels) != len(self.description.medias):
            raise Failure(400, "not all announced medias have been setup")
        settings = self.server.paths.settings_for(self.path_name)
        if settings != self.path_settings:
            raise Failure(400, "configuration has changed")
        path = self.server.paths.path(self.path_name)
        self.stream = path.add_publisher(self, self.description, self.query)
        self.path = path
        self.state = State.RECORD
        self.media_by_channel = {channel + rtcp: (media, bool(rtcp))
                                 for media, channel in self.channels.items() for rtcp in (0, 1)}
        return Response(), self.connection.watch_silence_anew

    HANDLERS = {"OPTIONS": _options, "ANNOUNCE": _announce, "SETUP": _setup, "PLAY": _play, "RECORD": _record,
                "TEARDOWN": _teardown, "GET_PARAMETER": _get_parameter}

    # Packets

    def receive(self, frames):
        """Packets from a publisher, or receiver reports from a reader."""
        self.counts["in_bytes"] += sum(len(payload) for _, payload in frames)
        if self.state is State.PLAY:
            self.counts["in_rtcp"] += len(frames)
            return
        packets = [(*self.media_by_channel[channel], payload) for channel, payload in frames
                   if channel in self.media_by_channel]
        reports = sum(rtcp for _, rtcp, _ in packets)
        self.counts["in_rtcp"] += reports
        self.counts["in_rtp"] += len(packets) - reports
        self.stream.relay(packets)

    def send(self, packets):
        """Packets for this reader; the RTP bytes that were taken. A reader that does not keep up loses packets."""
        taken, ready = 0, []
        for media, rtcp, payload in packets:
            channel = self.channels.get(media)
            if channel is None:
                continue
            if self.connection.congested:
                if len(self.queue) >= self.server.settings["writeQueueSize"]:
                    self._discard()
                    continue
                self.queue.append(wire.framed(channel + rtcp, payload))
            else:
                ready.append(wire.framed(channel + rtcp, payload))
            self.counts["out_bytes"] += len(payload)
            self.counts["out_rtcp" if rtcp else "out_rtp"] += 1
            taken += 0 if rtcp else len(payload)
        if ready:
            self.connection.write(b"".join(ready))
        return taken

    def send_queued(self):
        while self.queue and not self.connection.congested:
            self.connection.write(self.queue.popleft())

    def _discard(self):
        self.counts["discarded"] += 1
        if not self.discard_report:
            loop, before = self.connection.loop, self.counts["discarded"] - 1
            self.discard_report = loop.call_later(DISCARD_REPORT_SECONDS, self._report_discarded, before)

    def _report_discarded(self, before):
        self.discard_report = None
        self.log.warn(f"reader is too slow, discarding {self.counts['discarded'] - before} frames")

    def encoded(self):
        counts, set_up = self.counts, bool(self.channels)
        return {
            "id": self.id, "created": self.created, "remoteAddr": self.connection.remote,
            "state": API_STATES.get(self.state, "idle"), "path": self.path_name, "query": self.query, "user": self.user,
            "userAgent": self.agent, "transport": "TCP" if set_up else None, "profile": "AVP" if set_up else None,
            "conns": [self.connection.id],
            "inboundBytes": counts["in_bytes"], "inboundRTPPackets": counts["in_rtp"], "inboundRTPPacketsLost": 0,
            "inboundRTPPacketsInError": 0, "inboundRTPPacketsJitter": 0, "inboundRTCPPackets": counts["in_rtcp"],
            "inboundRTCPPacketsInError": 0, "outboundBytes": counts["out_bytes"],
            "outboundRTPPackets": counts["out_rtp"], "outboundRTPPacketsReportedLost": 0,
            "outboundRTPPacketsDiscarded": counts["discarded"], "outboundRTCPPackets": counts["out_rtcp"],
            "bytesReceived": counts["in_bytes"], "bytesSent": counts["out_bytes"],
            "rtpPacketsReceived": counts["in_rtp"], "rtpPacketsSent": counts["out_rtp"], "rtpPacketsLost": 0,
            "rtpPacketsInError": 0, "rtpPacketsJitter": 0, "rtcpPacketsReceived": counts["in_rtcp"],
            "rtcpPacketsSent": counts["out_rtcp"], "rtcpPacketsInError": 0,
        }
