"""RTSP on a TCP connection: requests, responses and interleaved packets, taken from and turned into bytes."""
import struct
from dataclasses import dataclass, field
from urllib.parse import unquote

from .gotypes import GoError

DOLLAR = 0x24
FRAME_HEADER = struct.Struct(">BBH")
CHANNELS_MAX = 256
HEADER_BYTES_MAX = 64 * 1024
BODY_BYTES_MAX = 128 * 1024
REASONS = {200: "OK", 302: "Found", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found",
           454: "Session Not Found", 461: "Unsupported Transport", 501: "Not Implemented"}


@dataclass
class Message:
    """A request or a response. Header names are kept in lower case."""

    first: list
    headers: dict
    body: bytes = b""

    @property
    def is_response(self):
        return self.first[0].startswith("RTSP/")

    @property
    def method(self):
        return self.first[0]

    @property
    def url(self):
        return self.first[1]

    @property
    def status(self):
        return int(self.first[1])

    @property
    def session(self):
        return self.headers.get("session", "").partition(";")[0].strip()


@dataclass
class Response:
    status: int = 200
    headers: dict = field(default_factory=dict)
    body: bytes = b""

    def encoded(self):
        lines = [f"RTSP/1.0 {self.status} {REASONS[self.status]}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.body:
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


class Input:
    """Bytes received and not yet understood."""

    def __init__(self):
        self.buffer = bytearray()

    def feed(self, data):
        self.buffer += data

    def take_frames(self):
        """The complete interleaved packets at the head, as (channel, payload)."""
        frames, buffer, position, size = [], self.buffer, 0, len(self.buffer)
        while size - position >= FRAME_HEADER.size and buffer[position] == DOLLAR:
            end = position + FRAME_HEADER.size + (buffer[position + 2] << 8 | buffer[position + 3])
            if end > size:
                break
            frames.append((buffer[position + 1], bytes(buffer[position + FRAME_HEADER.size:end])))
            position = end
        if position:
            del buffer[:position]
        return frames

    def take_message(self):
        """The complete message at the head, or None. Raises GoError for what is no RTSP."""
        while self.buffer[:2] == b"\r\n":
            del self.buffer[:2]
        if not self.buffer or self.buffer[0] == DOLLAR:
            return None
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self.buffer) > HEADER_BYTES_MAX:
                raise GoError("header is too long")
            return None
        lines = self.buffer[:end].decode("utf-8", "replace").split("\r\n")
        first = lines[0].split(" ", 2)
        if len(first) < 3 or not (first[2].startswith("RTSP/") or first[0].startswith("RTSP/")):
            raise GoError("invalid message")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            # Of a header that is sent several times the first is kept, which is the one that asks for Basic.
            headers.setdefault(name.strip().lower(), value.strip())
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > BODY_BYTES_MAX:
            raise GoError("invalid Content-Length")
        whole = end + 4 + int(length)
        if len(self.buffer) < whole:
            return None
        body = bytes(self.buffer[end + 4:whole])
        del self.buffer[:whole]
        return Message(first, headers, body)


def split_url(url):
    """The scheme with the host, the path and the query of an RTSP URL; the path is decoded."""
    scheme, slashes, rest = url.partition("://")
    if not slashes:
        raise GoError("invalid path")
    rest, _, query = rest.partition("?")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host}", slash + unquote(path), query


def path_and_query(url, announce=False):
    """Of any request but SETUP. FFmpeg puts its trailing slash behind the query, GStreamer behind the path."""
    _, path, query = split_url(url)
    if not announce:
        if query.endswith("/"):
            return path, query[:-1]
        if len(path) > 1 and path.endswith("/"):
            return path[:-1], query
    return path, query


def path_query_and_track(url):
    """Of a SETUP for reading."""
    _, path, query = split_url(url)
    for is_query, text in ((True, query), (False, path)):
        head, mark, track = text.rpartition("/trackID=")
        if mark:
            return (path, head, track) if is_query else (head, query, track)
    if query.endswith("/"):
        return path, query[:-1], "0"
    if path[1:].endswith("/"):
        return path[:-1], query, "0"
    raise GoError("invalid SETUP path. This typically happens when VLC fails a request, and then switches to an"
                  " unsupported RTSP dialect")


def media_by_url(medias, announced, url):
    """The index of the media that a publisher's SETUP is for."""
    base, _, query = announced.partition("?")
    for index, media in enumerate(medias):
        control = media.attribute("control")
        wanted = {control, f"{announced}/{control}", f"{base}/{control}" + (f"?{query}" if query else "")}
        if url in wanted or (not control and url == announced):
            return index
    raise GoError("media not found")


@dataclass
class Transport:
    """A Transport header that asks for TCP."""

    channel: int | None
    mode: str

    @classmethod
    def parse(cls, header):
        """The first TCP transport of the list, or None. The list is in order of the client's preference."""
        for item in header.split(","):
            name, *options = [part.strip() for part in item.split(";")]
            if name.upper() != "RTP/AVP/TCP":
                continue
            values = dict(option.partition("=")[::2] for option in options)
            channels = values.get("interleaved")
            if channels is None:
                return cls(None, values.get("mode", "").strip('"').lower())
            first, _, second = channels.partition("-")
            if not first.isdigit() or second != str(int(first) + 1) or int(second) >= CHANNELS_MAX:
                raise GoError("invalid interleaved IDs")
            return cls(int(first), values.get("mode", "").strip('"').lower())
        return None


def framed(channel, payload):
    return FRAME_HEADER.pack(DOLLAR, channel, len(payload)) + payload
