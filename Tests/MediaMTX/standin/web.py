"""HTTP/1.1 as far as the control API and the metrics need it.

Every server here checks its callers in the same order: a preflight is answered, then a missing slash is redirected,
then access is checked, and only then does an unknown address become a 404.
"""
import asyncio
import json
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qs, unquote

from .access import Credentials, Refused
from .log import PrefixedLog

HEAD_BYTES_MAX = 64 * 1024
BODY_BYTES_MAX = 10 * 1024 * 1024
IDLE_SECONDS_MAX = 30.0
CLOSE_SECONDS_MAX = 2.0
NOT_FOUND = "404 page not found"


@dataclass
class Request:
    method: str
    path: str
    query: dict
    headers: dict
    body: bytes
    address: str
    remote: str


@dataclass
class Answer:
    """`written` is called once the answer is on its way, or once it is clear that it never will be."""

    status: int = 200
    content: object = b""
    type: str = "application/json; charset=utf-8"
    headers: dict = field(default_factory=dict)
    written: object = None

    def body(self):
        if isinstance(self.content, (bytes, str)):
            return self.content.encode() if isinstance(self.content, str) else self.content
        text = json.dumps(self.content, separators=(",", ":"), ensure_ascii=False)
        # Go escapes these in JSON.
        return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e").encode()


def refusal(status, text, **headers):
    return Answer(status, {"status": "error", "error": text}, headers=headers)


class WebServer:
    """One listener. A subclass gives `handle` and `redirect`, the action that callers need, and what is allowed."""

    action = ""
    name = ""
    allowed_methods = "OPTIONS, GET"
    allowed_headers = "Authorization"

    def __init__(self, address, origins, access, log):
        self.address = address
        self.origins = origins
        self.access = access
        self.log = PrefixedLog(log, f"[{self.name}]")
        self.listener = None
        self.connections = {}
        self.closing = False

    async def start(self, listen):
        def protocol():
            return asyncio.StreamReaderProtocol(asyncio.StreamReader(limit=HEAD_BYTES_MAX), self._serve)

        self.listener = await listen(protocol, self.address)
        self.log.info(f"started with listener on {self.address} (TCP/HTTP)")

    async def close(self):
        """Stop listening, let requests under way be answered, and hang up."""
        self.log.info("closing")
        self.closing = True
        # A connection that asyncio has accepted and not yet handed over would be forgotten open by a listener that is
        # closed now, and its caller would wait: those are let in first, and hung up on by `_serve`.
        for listening in self.listener.sockets:
            asyncio.get_running_loop().remove_reader(listening.fileno())
        await asyncio.sleep(0)
        self.listener.close()
        for task, busy in list(self.connections.items()):
            if not busy:
                task.cancel()
        if self.connections:
            await asyncio.wait(list(self.connections), timeout=CLOSE_SECONDS_MAX)
        for task in list(self.connections):
            task.cancel()

    async def handle(self, request):
        raise NotImplementedError

    def redirect(self, request):
        return None

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        try:
            while not self.closing:
                self.connections[task] = False
                request = await asyncio.wait_for(self._read(reader, writer), IDLE_SECONDS_MAX)
                self.connections[task] = True
                answer = await self._answer(request)
                try:
                    keep = request.headers.get("connection", "").lower() != "close" and not self.closing
                    writer.write(self._encoded(request, answer, keep))
                    await writer.drain()
                finally:
                    if answer.written:
                        answer.written()
                if not keep:
                    break
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.TimeoutError, ValueError, OSError):
            # The caller has gone, said nothing for too long, or does not speak HTTP.
            pass
        except asyncio.CancelledError:
            # Only `close` cancels, and it does not want to know.
            pass
        finally:
            self.connections.pop(task, None)
            writer.close()

    async def _read(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        if headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await self._read_body(reader, headers)
        path, _, query = target.partition("?")
        values = {key: value[0] for key, value in parse_qs(query, keep_blank_values=True).items()}
        host, port = (writer.get_extra_info("peername") or ("", 0))[:2]
        return Request(method, unquote(path), values, headers, body, host, f"{host}:{port}")

    async def _read_body(self, reader, headers):
        if headers.get("transfer-encoding", "").lower() != "chunked":
            length = int(headers.get("content-length", 0))
            if length > BODY_BYTES_MAX:
                raise ValueError("the body is too long")
            return await reader.readexactly(length)
        body = b""
        while True:
            size = int((await reader.readline()).split(b";")[0], 16)
            chunk = await reader.readexactly(size + 2)
            if not size:
                return body
            body += chunk[:-2]
            if len(body) > BODY_BYTES_MAX:
                raise ValueError("the body is too long")

    async def _answer(self, request):
        if request.method == "OPTIONS" and "access-control-request-method" in request.headers:
            return Answer(204, headers={"Access-Control-Allow-Methods": self.allowed_methods,
                                        "Access-Control-Allow-Headers": self.allowed_headers})
        location = self.redirect(request)
        if location:
            return Answer(301 if request.method == "GET" else 307, type="", headers={"Location": location})
        credentials = Credentials.from_header(request.headers.get("authorization"))
        try:
            await self.access.check(self.action, credentials, request.address,
                                    PrefixedLog(self.log, f"[conn {request.remote}]"))
        except Refused as refused:
            challenge = {"WWW-Authenticate": 'Basic realm="mediamtx"'} if refused.ask else {}
            return refusal(401, str(refused), **challenge)
        return await self.handle(request) or Answer(404, NOT_FOUND, "text/plain")

    def _encoded(self, request, answer, keep):
        body = answer.body()
        headers = {"Server": "mediamtx", **answer.headers}
        origin = self._allowed_origin(request.headers.get("origin", ""))
        if origin:
            headers["Access-Control-Allow-Origin"] = origin
        if body and answer.type:
            headers["Content-Type"] = answer.type
        if answer.status != 204:
            headers["Content-Length"] = len(body)
        if not keep:
            headers["Connection"] = "close"
        lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (b"" if request.method == "HEAD" else body)

    def _allowed_origin(self, origin):
        if origin and origin in self.origins:
            return origin
        return "*" if "*" in self.origins else None
