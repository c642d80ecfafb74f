"""The RTSP server: connections, one request after the other, and sessions that publish or read over TCP.

A connection whose request is on hold reads nothing, so it does not notice that its client has gone; the server cannot
end before that request is answered. Both are so in the real server, and a stuck reader shows it.
"""
import asyncio

from . import wire
from .access import Credentials, Refused
from .gotypes import SECOND, GoError, new_uuid
from .log import PrefixedLog
from .paths import NoStream, Redirect, now_text, run_hooks
from .session import METHODS, Challenge, Failure, RTSPSession, State
from .wire import Input, Response

IDLE_SECONDS_MAX = 60.0
SESSION_TIMEOUT_SECONDS = 55
REALM = "ipcam"


class RTSPServer:
    """The listener and all that has come in through it."""

    def __init__(self, settings, access, paths, hooks, log):
        self.settings = settings
        self.access = access
        self.paths = paths
        self.hooks = hooks
        self.log = PrefixedLog(log, "[RTSP]")
        self.connections = {}
        self.sessions = {}
        self.closing = False
        self.listener = None

    async def start(self, listen):
        address = self.settings["rtspAddress"]
        self.listener = await listen(lambda: RTSPConnection(self), address)
        self.log.info(f"started with listeners on {address} (TCP/RTSP)")

    async def close(self):
        self.log.info("closing")
        self.closing = True
        self.listener.close()
        for connection in list(self.connections.values()):
            if not connection.answering:
                connection.close("terminated")
        held = [connection.answering for connection in self.connections.values() if connection.answering]
        if held:
            await asyncio.wait(held)


class RTSPConnection(asyncio.Protocol):
    """One TCP connection and the session, if any, that lives on it."""

    def __init__(self, server):
        self.server = server
        self.id = new_uuid()
        self.created = now_text()
        self.session = None
        self.answering = None
        self.congested = False
        self.closed = False
        self.inbound_bytes = self.outbound_bytes = 0
        self.input = Input()
        self.deadline = None
        self.loop = asyncio.get_running_loop()
        self.last_read = self.loop.time()

    # The connection

    def connection_made(self, transport):
        self.transport = transport
        # A client that has gone again at once has no name any more.
        host, port = (transport.get_extra_info("peername") or ("", 0))[:2]
        self.address = host
        self.remote = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.log = PrefixedLog(self.server.log, f"[conn {self.remote}]")
        self.server.connections[self.id] = self
        self.log.info("opened")
        self.end_hooks = run_hooks(
            self.server.hooks, self.log, self.server.settings, "runOnConnect", "runOnDisconnect",
            {"RTSP_PORT": self.server.paths.rtsp_port, "MTX_CONN_TYPE": "rtspConn", "MTX_CONN_ID": self.id})
        self._watch_silence()

    def connection_lost(self, error):
        self._end(str(error) if error else "EOF")

    def close(self, reason):
        if self.closed:
            return
        if self.congested:
            self.transport.abort()
        else:
            self.transport.close()
        self._end(reason)

    def _end(self, reason):
        if self.closed:
            return
        self.closed = True
        self.deadline.cancel()
        self.server.connections.pop(self.id, None)
        if self.session:
            self.session.finish("not in use")
        self.log.info(f"closed: {reason}")
        self.end_hooks()

    def _watch_silence(self):
        """A publisher must send something within readTimeout, anyone else within a minute."""
        publishing = self.session and self.session.state is State.RECORD
        limit = self.server.settings["readTimeout"] / SECOND if publishing else IDLE_SECONDS_MAX
        silent = 0 if self.answering else self.loop.time() - self.last_read
        if silent >= limit:
            self.close("read timeout")
        else:
            self.deadline = self.loop.call_later(limit - silent, self._watch_silence)

    def watch_silence_anew(self):
        self.deadline.cancel()
        self.last_read = self.loop.time()
        self._watch_silence()

    def write(self, data):
        self.outbound_bytes += len(data)
        self.transport.write(data)

    def pause_writing(self):
        self.congested = True
        limit = self.server.settings["writeTimeout"] / SECOND
        self.stalled = self.loop.call_later(limit, self.close, "write timeout")

    def resume_writing(self):
        self.congested = False
        self.stalled.cancel()
        if self.session:
            self.session.send_queued()

    # Requests

    def data_received(self, data):
        self.inbound_bytes += len(data)
        self.last_read = self.loop.time()
        self.input.feed(data)
        self._advance()

    def _advance(self):
        try:
            while not self.closed and not self.answering:
                frames = self.input.take_frames()
                if frames:
                    self._receive_frames(frames)
                    continue
                message = self.input.take_message()
                if not message:
                    return
                if message.is_response:
                    raise GoError("received unexpected response")
                self.transport.pause_reading()
                self.answering = self.loop.create_task(self._answer(message))
                # An error of our own would otherwise be kept to itself by the task.
                self.answering.add_done_callback(asyncio.Task.result)
        except GoError as error:
            self.close(str(error))

    def _receive_frames(self, frames):
        if not self.session or self.session.state not in (State.PLAY, State.RECORD):
            raise GoError("received unexpected interleaved frame")
        self.session.receive(frames)

    async def _answer(self, request):
        self.log.debug(f"[c->s] {request.method} {request.url}")
        then, failure = None, None
        try:
            if "cseq" not in request.headers:
                raise Failure(400, "CSeq is missing")
            response, then = await self._respond(request)
        except Challenge:
            response = Response(401, {"WWW-Authenticate": f'Basic realm="{REALM}"'})
        except Redirect as redirect:
            response = Response(302, {"Location": redirect.location})
        except (Failure, GoError) as error:
            response, failure = Response(getattr(error, "status", 400)), str(error)
        response.headers = {"CSeq": request.headers.get("cseq", ""), "Server": "gortsplib", **response.headers}
        self.log.debug(f"[s->c] {response.status}")
        self.write(response.encoded())
        self.answering = None
        self.last_read = self.loop.time()
        if failure or self.server.closing:
            self.close(failure or "terminated")
        elif not self.closed:
            if then:
                then()
            self.transport.resume_reading()
            self._advance()

    async def _respond(self, request):
        """The response, and what is to be done once it is written."""
        method = request.method
        if method == "DESCRIBE":
            return await self._describe(request), None
        if method == "OPTIONS" and not request.session:
            return Response(headers={"Public": METHODS}), None
        if method in ("ANNOUNCE", "SETUP") or (request.session and method in RTSPSession.HANDLERS):
            session = self._session_for(request)
            response, then = await session.respond(request)
            # An ANNOUNCE is answered without the name of its session.
            if method not in ("ANNOUNCE", "TEARDOWN"):
                response.headers["Session"] = f"{session.secret};timeout={SESSION_TIMEOUT_SECONDS}"
            return response, then
        return Response(501), None

    def _session_for(self, request):
        if self.session:
            if request.session not in ("", self.session.secret):
                raise Failure(400, "connection is linked to another session")
        elif request.session:
            known = any(session.secret == request.session for session in self.server.sessions.values())
            raise Failure(400, "session is linked to another connection") if known else \
                Failure(454, "session not found")
        else:
            self.session = RTSPSession(self)
        return self.session

    async def _describe(self, request):
        path, query = wire.path_and_query(request.url)
        name = path.removeprefix("/")
        self.server.paths.settings_for(name)
        await self.authorize("read", request, name, self.log)
        try:
            stream = await self.server.paths.path(name).describe(query)
        except NoStream as error:
            raise Failure(404, str(error)) from None
        headers = {"Content-Base": f"{request.url}/", "Content-Type": "application/sdp"}
        return Response(200, headers, stream.description.text().encode())

    async def authorize(self, action, request, name, log):
        credentials = Credentials.from_header(request.headers.get("authorization"))
        try:
            return await self.server.access.check(action, credentials, self.address, log, name)
        except Refused as refused:
            if refused.ask:
                raise Challenge() from None
            raise Failure(401, "failed to authenticate: authentication failed") from None

    def encoded(self):
        return {"id": self.id, "created": self.created, "remoteAddr": self.remote,
                "session": self.session.id if self.session else None, "tunnel": "none",
                "inboundBytes": self.inbound_bytes, "outboundBytes": self.outbound_bytes,
                "bytesReceived": self.inbound_bytes, "bytesSent": self.outbound_bytes}
