"""What both checks need: a server on free ports in a folder of its own, HTTP calls, publishers and readers.

Everything started here is ended by its process id, last started first ended, and by the kernel should this process be
killed. Waiting is always for an event, with a deadline.
"""
import base64
import contextlib
import ctypes
import http.client
import json
import os
import queue
import re
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

EVENT_SECONDS_MAX = 30.0
POLL_SECONDS = 0.005
STOP_SECONDS_MAX = 5.0
PACKET_SECONDS = 0.02
FFMPEG = "/usr/bin/ffmpeg"
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)
CRASH = re.compile(r"^(Traceback|panic:|fatal error:)", re.MULTILINE)
BASE = """\
logLevel: {level}
api: yes
apiAddress: 127.0.0.1:{api}
metrics: yes
metricsAddress: 127.0.0.1:{metrics}
playback: yes
playbackAddress: 127.0.0.1:{playback}
rtspTransports: [tcp]
rtspAddress: 127.0.0.1:{rtsp}
rtmp: no
hls: no
webrtc: no
srt: no
moq: no
"""
# One H.264 track, as a publisher announces it; the parameter sets say 640x360.
ANNOUNCEMENT = """\
v=0\r
o=- 0 0 IN IP4 127.0.0.1\r
s=test\r
c=IN IP4 127.0.0.1\r
t=0 0\r
m=video 0 RTP/AVP 96\r
a=rtpmap:96 H264/90000\r
a=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z2QAHqzZQKAv+XARAAADAAEAAAMAMg8WLZY=,aOvjyyLA\r
a=control:streamid=0\r
"""


class Disagreement(Exception):
    """What was observed is not what should be."""


def expect(truth, text):
    if not truth:
        raise Disagreement(text)


def wait_until(condition, what, seconds=EVENT_SECONDS_MAX):
    """Return what `condition` returns once that is true; complain when the deadline has passed."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        expect(time.monotonic() < deadline, f"not within {seconds:g} s: {what}")
        time.sleep(POLL_SECONDS)


def stays(condition, what, seconds):
    """For the lack of an event: the condition holds at every look during that time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        expect(condition(), f"within {seconds:g} s it was no longer so: {what}")
        time.sleep(POLL_SECONDS)


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]


class Server:
    """A server process. `settings` is YAML that follows the base; `{folder}` in it stands for the server's folder."""

    def __init__(self, stack, binary, settings="", auth_pause="0.3", **base):
        self.folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mediamtx-check-"))
        self.ports = dict(zip(("api", "metrics", "playback", "rtsp"), free_ports(4)))
        self.base = {"level": "info", **base}
        self.file = os.path.join(self.folder, "mediamtx.yml")
        self.log_file = os.path.join(self.folder, "server.log")
        self.binary = os.path.abspath(binary)
        self.environment = {**os.environ, "MEDIAMTX_STANDIN_AUTH_PAUSE": auth_pause, "TZ": "UTC"}
        self.process = None
        self.put_file(self.text(settings))
        stack.callback(self._close)
        self.start()

    def text(self, settings, **base):
        return BASE.format(**self.ports, **{**self.base, **base}) + settings.replace("{folder}", self.folder)

    def put_file(self, text):
        """The whole file in one step."""
        with open(f"{self.file}.new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(f"{self.file}.new", self.file)

    def start(self):
        self.start_process()
        wait_until(lambda: self.running and self.answers("api"), "the API answers after the start")

    def start_process(self):
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen([self.binary, self.file], cwd=self.folder, env=self.environment,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=end_with_us)

    def stop(self):
        end_process(self.process)

    def exit_status(self, seconds=STOP_SECONDS_MAX):
        """Wait for the server to end by itself."""
        wait_until(lambda: not self.running, "the server ends", seconds)
        return self.process.returncode

    def _close(self):
        self.stop()
        expect(not CRASH.search(self.log()), f"the server has crashed somewhere: {self.log()[-2000:]}")

    @property
    def running(self):
        return self.process.poll() is None

    def script(self, name, text):
        """An executable shell script in the server's folder, for a hook to run."""
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\n{text}\n")
        os.chmod(path, 0o755)

    def lines(self, name):
        """The lines that a hook has written to a file."""
        try:
            with open(os.path.join(self.folder, name), encoding="utf-8") as file:
                return file.read().splitlines()
        except FileNotFoundError:
            return []

    def log(self):
        with open(self.log_file, encoding="utf-8", errors="replace") as file:
            return file.read()

    def answers(self, name):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.ports[name]), 1):
            return True
        return False

    def call(self, method, path, body=None, headers=None, port="api"):
        """(status, headers, body bytes). Tries again while the port refuses: some changes start the API anew."""
        if body is not None and not isinstance(body, str):
            body = json.dumps(body)
        deadline = time.monotonic() + EVENT_SECONDS_MAX
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.ports[port], timeout=EVENT_SECONDS_MAX)
            try:
                connection.request(method, path, body, headers or {})
                response = connection.getresponse()
                return response.status, dict(response.getheaders()), response.read()
            except (ConnectionError, http.client.BadStatusLine):
                expect(time.monotonic() < deadline and self.running, f"{method} {path}: the server does not answer")
                time.sleep(POLL_SECONDS)
            finally:
                connection.close()

    def json(self, method, path, body=None, headers=None):
        status, _, content = self.call(method, path, body, headers)
        return status, json.loads(content)

    def path(self, name):
        return self.json("GET", f"/v3/paths/get/{name}")[1]

    def ready(self, name):
        return self.path(name).get("ready", False)

    def readers(self, name):
        return self.path(name).get("readers", [])

    def url(self, name):
        return f"rtsp://127.0.0.1:{self.ports['rtsp']}/{name}"


def end_with_us():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def end_process(process):
    """SIGTERM, and SIGKILL for who does not listen. Only ever to a process that was started here."""
    if process is None or process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()


def ffmpeg(stack, *arguments):
    process = subprocess.Popen([FFMPEG, "-nostdin", "-hide_banner", "-v", "error", *arguments],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               preexec_fn=end_with_us)
    stack.callback(end_process, process)
    return process


def publish_pattern(stack, url):
    """H.264 High, level 3, 640x360, as in the recorded exchanges."""
    return ffmpeg(stack, "-re", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=10", "-c:v", "libx264",
                  "-preset", "ultrafast", "-x264-params", "8x8dct=1:level=3", "-g", "10",
                  "-f", "rtsp", "-rtsp_transport", "tcp", url)


def read_stream(stack, url):
    return ffmpeg(stack, "-rtsp_transport", "tcp", "-i", url, "-c", "copy", "-f", "null", "-")


class RTSPClient:
    """A bare RTSP client over TCP. Requests can be sent without waiting for the answer, as a held reader needs it."""

    def __init__(self, stack, server, name, credentials=None):
        self.url = server.url(name)
        self.socket = socket.create_connection(("127.0.0.1", server.ports["rtsp"]), EVENT_SECONDS_MAX)
        stack.callback(self.close)
        self.headers = {}
        if credentials:
            self.headers["Authorization"] = f"Basic {base64.b64encode(credentials.encode()).decode()}"
        self.number = 0
        self.packets = 0
        self.answers = queue.Queue()
        self.closed = threading.Event()
        self.sending = threading.Lock()
        threading.Thread(target=self._receive, daemon=True).start()

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def send(self, method, url=None, body="", **headers):
        self.number += 1
        lines = [f"{method} {url or self.url} RTSP/1.0", f"CSeq: {self.number}"]
        lines += [f"{key}: {value}" for key, value in {**self.headers, **headers}.items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        with self.sending:
            self.socket.sendall("\r\n".join([*lines, "", body]).encode())

    def answer(self, seconds=EVENT_SECONDS_MAX):
        """(status, headers) of the next answer. Status 0: the connection ended instead."""
        try:
            return self.answers.get(timeout=seconds)
        except queue.Empty:
            raise Disagreement(f"no answer within {seconds:g} s") from None

    def request(self, method, url=None, body="", **headers):
        self.send(method, url, body, **headers)
        status, fields = self.answer()
        if "session" in fields:
            self.headers["Session"] = fields["session"].partition(";")[0]
        return status, fields

    @property
    def answered(self):
        return not self.answers.empty()

    def must(self, method, url=None, body="", **headers):
        status, fields = self.request(method, url, body, **headers)
        expect(status == 200, f"{method} was answered with {status}")
        return fields

    def play(self):
        """SETUP and PLAY, after a DESCRIBE."""
        self.must("SETUP", f"{self.url}/trackID=0", Transport="RTP/AVP/TCP;unicast;interleaved=0-1")
        self.must("PLAY")
        return self

    def publish(self):
        """Publish until the connection ends; a thread sends small packets."""
        headers = {"Content-Type": "application/sdp"}
        self.must("ANNOUNCE", body=ANNOUNCEMENT, **headers)
        self.must("SETUP", f"{self.url}/streamid=0", Transport="RTP/AVP/TCP;unicast;interleaved=0-1;mode=record")
        self.must("RECORD")
        threading.Thread(target=self._send_packets, daemon=True).start()
        return self

    def _send_packets(self):
        number = 0
        while not self.closed.is_set():
            packet = struct.pack(">BBHII", 0x80, 96, number & 0xFFFF, number * 1800, 1) + b"\x41" + bytes(40)
            try:
                with self.sending:
                    self.socket.sendall(struct.pack(">BBH", 0x24, 0, len(packet)) + packet)
            except OSError:
                return
            number += 1
            self.closed.wait(PACKET_SECONDS)

    def _receive(self):
        data = b""
        with contextlib.suppress(OSError):
            while chunk := self.socket.recv(65536):
                data = self._take(data + chunk)
        self.closed.set()
        self.answers.put((0, {}))

    def _take(self, data):
        while data:
            if data[0] == 0x24:
                length = 4 + int.from_bytes(data[2:4], "big") if len(data) >= 4 else len(data) + 1
                if length > len(data):
                    break
                self.packets += 1
                data = data[length:]
                continue
            head, end, rest = data.partition(b"\r\n\r\n")
            fields = dict(re.findall(r"(?m)^([^:\r\n]+): ?([^\r\n]*)", head.decode()))
            fields = {name.lower(): value for name, value in fields.items()}
            length = int(fields.get("content-length", 0))
            if not end or len(rest) < length:
                break
            self.answers.put((int(head.split()[1]), fields))
            data = rest[length:]
        return data


def publisher(stack, server, name, credentials=None):
    client = RTSPClient(stack, server, name, credentials).publish()
    wait_until(lambda: server.ready(name), f"{name} is ready")
    return client


def reader(stack, server, name, credentials=None):
    """A reader of a stream that is there."""
    client = RTSPClient(stack, server, name, credentials)
    client.must("DESCRIBE")
    client.play()
    wait_until(lambda: client.packets, "the reader gets packets")
    return client
