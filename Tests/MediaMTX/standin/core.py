"""The process: starts and stops the parts, and carries out one change of the configuration after the other."""
import asyncio
import os
import signal
import sys

from . import document
from .access import Access
from .api import VERSION, ControlAPI
from .gotypes import GoError
from .hooks import HookPool
from .log import Log
from .metrics import Metrics
from .paths import PathRegistry
from .rtsp import RTSPServer
from .settings import Settings
from .watch import FileWatch

DEFAULT_FILES = ("rtsp-simple-server.yml", "mediamtx.yml")
USAGE = "Usage: mediamtx [CONFIG.yml]"
FAILED_START = 1

# Which settings make which part start anew. Parts further down also start anew with those above them.
LOG_FIELDS = {"logLevel", "logDestinations", "logFile", "sysLogPrefix", "logStructured"}
ACCESS_FIELDS = {"authMethod", "authHTTPAddress", "authHTTPFingerprint", "authHTTPExclude", "authJWTJWKS",
                 "authJWTJWKSFingerprint", "authJWTClaimKey", "authJWTExclude", "authJWTIssuer", "authJWTAudience",
                 "readTimeout"}
METRICS_FIELDS = LOG_FIELDS | ACCESS_FIELDS | {
    "metrics", "metricsAddress", "metricsEncryption", "metricsServerKey", "metricsServerCert", "metricsAllowOrigins",
    "metricsTrustedProxies", "writeTimeout", "dumpPackets"}
PATHS_FIELDS = METRICS_FIELDS | {"rtspAddress", "writeQueueSize", "udpReadBufferSize", "udpMaxPayloadSize",
                                 "rtspEncryption"}
RTSP_FIELDS = PATHS_FIELDS | {
    "rtsp", "rtspAuthMethods", "rtpAddress", "rtcpAddress", "multicastIPRange", "multicastRTPPort",
    "multicastRTCPPort", "rtspTransports", "rtspTrustedProxies", "runOnConnect", "runOnConnectRestart",
    "runOnDisconnect"}
API_FIELDS = RTSP_FIELDS | {"api", "apiAddress", "apiEncryption", "apiServerKey", "apiServerCert", "apiAllowOrigins",
                            "apiTrustedProxies"}
# The API also starts anew with every server that it could speak about, emulated or not.
API_PREFIXES = ("hls", "rtmp", "webrtc", "srt", "moq", "rtsps")
# Seconds between the answer to a change and the change; the real server has no number for it.
CHANGE_PAUSE_VARIABLE = "MEDIAMTX_STANDIN_CHANGE_PAUSE"


class Change:
    """A change asked for through the API. `judged` is its outcome; `written` is set when the caller knows it."""

    def __init__(self, apply):
        self.apply = apply
        self.judged = asyncio.get_running_loop().create_future()
        self.written = asyncio.Event()


class Core:
    """Owns the configuration in force and every part that depends on it."""

    def __init__(self, path):
        self.path = path
        self.log = Log()
        self.hooks = HookPool()
        self.jobs = asyncio.Queue()
        self.settings = self.access = self.metrics = self.paths = self.rtsp = self.api = self.watch = None

    async def run(self):
        """Returns the exit status."""
        try:
            self.settings = document.load(self.path) if self.path else empty_settings()
        except GoError as error:
            print(f"ERR: {error}", flush=True)
            return FAILED_START
        try:
            self.log.configure(self.settings)
            self._greet()
            # Before the API opens, so that whoever has seen that answer can rely on being seen in turn.
            if self.path:
                self.watch = FileWatch(self.path, self._file_changed)
            await self._start_parts()
        except OSError as error:
            self.log.error(str(error))
            await self._end()
            return FAILED_START
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.jobs.put_nowait, self._interrupted)
        while await (await self.jobs.get())():
            pass
        await self._end()
        return 0

    def _greet(self):
        self.log.info(f"MediaMTX {VERSION}, linux, amd64")
        if self.path:
            self.log.info(f"configuration loaded from {os.path.abspath(self.path)}")
        else:
            looked = ", ".join(os.path.abspath(name) for name in DEFAULT_FILES)
            self.log.warn(f"configuration file not found (looked in {looked}), using an empty configuration")

    # Jobs: coroutine functions that return whether the server goes on.

    async def _interrupted(self):
        self.log.info("shutting down gracefully")
        return False

    async def _file_changed(self):
        """Called by the watch. Returns when the reload has begun, as the watch goes on by itself from there."""
        begun = asyncio.Event()

        async def reload():
            begun.set()
            self.log.info("reloading configuration (file changed)")
            try:
                return await self._reload(document.load(self.path))
            except GoError as error:
                self.log.error(str(error))
                return False

        self.jobs.put_nowait(reload)
        await begun.wait()

    async def submit_change(self, apply):
        """Judge a change. Returns what is to be called once the caller has been told; then it is carried out."""
        change = Change(apply)
        self.jobs.put_nowait(lambda: self._carry_out(change))
        await change.judged
        return change.written.set

    async def _carry_out(self, change):
        if change.judged.cancelled():
            return True
        settings = self.settings.clone()
        try:
            change.apply(settings)
            settings.validate()
        except GoError as error:
            change.judged.set_exception(error)
            return True
        self.log.info("reloading configuration (API request)")
        change.judged.set_result(None)
        await change.written.wait()
        await asyncio.sleep(float(os.environ.get(CHANGE_PAUSE_VARIABLE, 0)))
        return await self._reload(settings)

    # Parts

    async def _reload(self, settings):
        await self._stop_parts(settings)
        self.settings = settings
        try:
            self.log.configure(settings)
            await self._start_parts()
        except OSError as error:
            self.log.error(str(error))
            return False
        return True

    async def _start_parts(self):
        settings = self.settings
        if not self.access:
            self.access = Access(settings["authInternalUsers"])
        # A part that cannot listen is never ours, so that it need not be stopped.
        if settings["metrics"] and not self.metrics:
            metrics = Metrics(self)
            await metrics.start(listen)
            self.metrics = metrics
        if not self.paths:
            self.paths = PathRegistry(settings, self.hooks, self.log)
        if settings["rtsp"] and settings["rtspEncryption"] != "strict" and not self.rtsp:
            rtsp = RTSPServer(settings, self.access, self.paths, self.hooks, self.log)
            await rtsp.start(listen)
            self.rtsp = rtsp
        if settings["api"] and not self.api:
            api = ControlAPI(self)
            await api.start(listen)
            self.api = api

    async def _stop_parts(self, settings=None):
        """Stop what cannot go on under the new settings; without any, everything."""
        changed = None
        if settings:
            changed = {field for field, value in self.settings.values.items() if settings.values.get(field) != value}
            changed |= settings.values.keys() - self.settings.values.keys()

        def must_stop(fields):
            return changed is None or bool(changed & fields)

        # What needs no new start takes over its settings first.
        if not must_stop(ACCESS_FIELDS) and self.access:
            self.access.users = settings["authInternalUsers"]
        if not must_stop(PATHS_FIELDS) and self.paths:
            self.paths.reload(settings.paths)
        others = changed is not None and any(field.startswith(API_PREFIXES) for field in changed)
        if self.api and (must_stop(API_FIELDS) or others):
            await self.api.close()
            self.api = None
        if self.rtsp and must_stop(RTSP_FIELDS):
            await self.rtsp.close()
            self.rtsp = None
        if self.paths and must_stop(PATHS_FIELDS):
            self.paths.close()
            self.paths = None
        if self.metrics and must_stop(METRICS_FIELDS):
            await self.metrics.close()
            self.metrics = None
        if must_stop(ACCESS_FIELDS):
            self.access = None

    async def _end(self):
        if self.watch:
            self.watch.close()
        await self._stop_parts()
        self.log.info("waiting for running hooks")
        await self.hooks.wait()


def empty_settings():
    settings = Settings()
    settings.validate()
    return settings


async def listen(protocol, address):
    """A listener on `host:port`; without a host, on all addresses."""
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    try:
        return await loop.create_server(protocol, host.strip("[]") or None, int(port))
    except ValueError:
        raise OSError(f"listen tcp: address {address}: invalid port") from None
    except OSError as error:
        text = os.strerror(error.errno).lower() if error.errno else str(error)
        raise OSError(f"listen tcp {address}: bind: {text}") from None


def main(arguments):
    if arguments in (["--version"], ["-h"], ["--help"]):
        print(VERSION if arguments == ["--version"] else USAGE)
        return 0
    if len(arguments) > 1 or (arguments and arguments[0].startswith("-")):
        print(USAGE, file=sys.stderr)
        return FAILED_START
    path = arguments[0] if arguments else next((name for name in DEFAULT_FILES if os.path.exists(name)), None)
    return asyncio.run(start(path))


async def start(path):
    return await Core(path).run()
