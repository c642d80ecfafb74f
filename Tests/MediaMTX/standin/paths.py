"""The paths: streams, their sources and readers, and what happens to them when the configuration changes.

Everything here runs on the one event loop and, apart from readers on hold, without waiting, so a path is never seen in
the middle of a change. Sessions and pulled cameras call the methods; paths end sessions through `close`.
"""
import asyncio
import datetime
from urllib.parse import quote_plus

from .demand import Demand, State
from .gotypes import GoError
from .log import PrefixedLog
from .pull import PullSource
from .settings import path_settings_for

NEVER = "0001-01-01T00:00:00Z"


class NoStream(GoError):
    """Nobody publishes to the path and nobody could be asked to."""

    def __init__(self, name):
        super().__init__(f"no stream is available on path '{name}'")


class Redirect(Exception):
    """A reader of this path is sent elsewhere."""

    def __init__(self, location):
        super().__init__(location)
        self.location = location


class RedirectSource:
    """Stands where a source would: readers are sent elsewhere."""

    def api_source(self):
        return {"type": "redirect", "id": ""}

    def close(self, reason):
        pass


class Stream:
    """What a source delivers: its description, and the players that get every packet."""

    def __init__(self, description):
        self.description = description
        self.players = []
        self.inbound_bytes = 0
        self.outbound_bytes = 0

    def relay(self, packets):
        """Packets are (media index, whether RTCP, payload). They are passed on without a look inside."""
        self.inbound_bytes += sum(len(payload) for _, rtcp, payload in packets if not rtcp)
        for player in tuple(self.players):
            self.outbound_bytes += player.send(packets)


class Path:
    """One path in use. It owns its stream, its readers, those on hold, its demand cycle and its hooks."""

    def __init__(self, registry, settings, name, groups):
        self.registry = registry
        self.settings = settings
        self.name = name
        self.groups = groups
        self.log = PrefixedLog(registry.log, f"[path {name}]")
        self.closed = False
        self.source = None
        self.stream = None
        self.readers = {}
        self.available_time = self.online_time = None
        self.end_demand = self.end_available = self.end_online = None
        self._held_describes = []
        self._held_readers = []
        if settings.pulls:
            self.source = PullSource(self, settings)
        elif settings["source"] == "redirect":
            self.source = RedirectSource()
        self.demand = self._new_demand()
        if settings.pulls and not self.demand:
            self.source.start()
        self.end_init = self._run_hooks("runOnInit", None)

    def _new_demand(self):
        settings = self.settings
        if settings.pulls and settings["sourceOnDemand"]:
            return Demand(lambda query: self.source.start(query, on_demand=True), self._stop_pulling,
                          self._start_timed_out, settings["sourceOnDemandStartTimeout"],
                          settings["sourceOnDemandCloseAfter"])
        if settings["runOnDemand"]:
            return Demand(self._start_hook, self._stop_hook, self._start_timed_out,
                          settings["runOnDemandStartTimeout"], settings["runOnDemandCloseAfter"])
        return None

    # Readers

    async def describe(self, query):
        """The stream, once there is one."""
        if self.settings["source"] == "redirect":
            raise Redirect(self.settings["sourceRedirect"])
        if self.stream:
            return self.stream
        held = self._hold(query)
        self._held_describes.append(held)
        return await held

    async def add_reader(self, reader, query):
        """Make `reader` one of the readers, once there is a stream."""
        if self.stream:
            self._admit(reader)
            return self.stream
        held = self._hold(query)
        self._held_readers.append((reader, held))
        return await held

    def _hold(self, query):
        if not self.demand:
            self.registry.close_if_idle(self)
            raise NoStream(self.name)
        self.demand.reader_found_nothing(query)
        return asyncio.get_running_loop().create_future()

    def _admit(self, reader):
        if reader in self.readers:
            return
        if 0 < self.settings["maxReaders"] <= len(self.readers):
            raise GoError("maximum reader count reached")
        self.readers[reader] = None
        if self.demand:
            self.demand.reader_joined()

    def remove_reader(self, reader):
        if self.closed:
            return
        self.readers.pop(reader, None)
        # Also asked for a reader that was dropped before with its publisher: only this arms the timer then.
        if not self.readers and self.demand:
            self.demand.last_reader_left()
        self.registry.close_if_idle(self)

    def _serve_held(self):
        describes, self._held_describes = self._held_describes, []
        readers, self._held_readers = self._held_readers, []
        for held in describes:
            answer(held, self.stream)
        for reader, held in readers:
            try:
                self._admit(reader)
                answer(held, self.stream)
            except GoError as error:
                answer(held, error)

    def _refuse_held(self, text):
        held = self._held_describes + [held for _, held in self._held_readers]
        self._held_describes, self._held_readers = [], []
        for future in held:
            answer(future, GoError(text))

    def _start_timed_out(self):
        self._refuse_held(f"source of path '{self.name}' has timed out")
        self.demand.stop("timed out")
        self.registry.close_if_idle(self)

    # Publishers and pulled sources

    def add_publisher(self, publisher, description, query):
        if self.settings["source"] != "publisher":
            raise GoError(f"can't publish to path '{self.name}' since 'source' is not 'publisher'")
        if self.source:
            if not self.settings["overridePublisher"]:
                raise GoError(f"someone is already publishing to path '{self.name}'")
            self.log.info("closing existing publisher")
            self.source.close("terminated")
            self._drop_publisher()
        self._set_available(publisher, description, query)
        self.source = publisher
        publisher.log.info(f"is publishing to path '{self.name}'")
        # Without a cycle under way nobody asked for this publisher, and nobody will be told when it is not needed.
        if self.demand and self.demand.state is not State.INITIAL:
            self.demand.source_came()
        self._serve_held()
        return self.stream

    def remove_publisher(self, publisher):
        if not self.closed and self.source is publisher:
            self._drop_publisher()
            self.registry.close_if_idle(self)

    def _drop_publisher(self):
        self._set_not_available()
        self.source = None

    def source_ready(self, description):
        """The pulled camera has been set up."""
        self._set_available(self.source, description, "")
        if self.demand:
            self.demand.source_came()
        self._serve_held()
        return self.stream

    def source_lost(self):
        if not self.closed and self.stream:
            self._set_not_available()
            if self.demand and self.demand.state is not State.INITIAL:
                self.demand.stop("an error occurred")
            self.registry.close_if_idle(self)

    def _stop_pulling(self, reason):
        if self.stream:
            self._set_not_available()
        self.source.stop(reason)

    # The stream

    def _set_available(self, source, description, query):
        self.stream = Stream(description)
        self.available_time = now_text()
        variables = {"MTX_QUERY": quote_plus(query)}
        origin = source.api_source()
        variables.update(MTX_SOURCE_TYPE=origin["type"], MTX_SOURCE_ID=origin["id"])
        self.end_available = self._run_hooks("runOnAvailable", "runOnUnavailable", variables)
        self.end_online = self._run_hooks("runOnOnline", "runOnOffline", variables)
        self.online_time = now_text()
        self.log.info(f"stream is available and online, {description.summary()}")

    def _set_not_available(self):
        self.end_online()
        self.end_online = None
        readers, self.readers = list(self.readers), {}
        for reader in readers:
            reader.close("terminated")
        self.end_available()
        self.stream.players.clear()
        self.stream = None

    # Hooks

    def _start_hook(self, query):
        self.end_demand = self._run_hooks("runOnDemand", "runOnUnDemand", {"MTX_QUERY": quote_plus(query)})

    def _stop_hook(self, reason):
        end, self.end_demand = self.end_demand, None
        end(reason)

    def _run_hooks(self, first, last, variables=None):
        """Start the command of the setting `first`; return what stops it and launches that of `last`."""
        environment = {**self.hook_environment(), **(variables or {})}
        return run_hooks(self.registry.hooks, self.log, self.settings, first, last, environment)

    def hook_environment(self):
        environment = {"MTX_PATH": self.name, "RTSP_PATH": self.name, "RTSP_PORT": self.registry.rtsp_port}
        return environment | {f"G{number}": group for number, group in enumerate(self.groups, 1)}

    # Configuration and end

    def reload(self, settings):
        """Go on under settings that differ only in hot fields."""
        self.settings = settings

    @property
    def idle(self):
        return (self.settings.regexp is not None and not self.source and not self.readers
                and not self._held_describes and not self._held_readers)

    def close(self):
        self.closed = True
        if self.demand:
            self.demand.cancel_timers()
        self.end_init()
        self._refuse_held("terminated")
        if self.settings.pulls:
            self.source.stop("path is closing")
        elif self.source:
            self.source.close("terminated")
        if self.end_demand:
            self.end_demand("path destroyed")
        if self.stream:
            self._set_not_available()

    # API

    def encoded(self):
        ready = self.stream is not None
        # A pulled source counts as online from the start, at no time in particular.
        online = self.end_online is not None or self.source is not None
        inbound, outbound = (self.stream.inbound_bytes, self.stream.outbound_bytes) if ready else (0, 0)
        readers = sorted((reader.api_source() for reader in self.readers), key=lambda item: (item["type"], item["id"]))
        return {
            "name": self.name, "confName": self.settings.name,
            "ready": ready, "readyTime": self.available_time if ready else None,
            "available": ready, "availableTime": self.available_time if ready else None,
            "online": online, "onlineTime": (self.online_time or NEVER) if online else None,
            "source": self.source.api_source() if self.source else None,
            "tracks": self.stream.description.track_names() if ready else [],
            "tracks2": self.stream.description.tracks() if ready else [],
            "readers": readers,
            "inboundBytes": inbound, "outboundBytes": outbound, "inboundFramesInError": 0,
            "bytesReceived": inbound, "bytesSent": outbound,
        }


class PathRegistry:
    """All paths by name, created as they are configured or first used."""

    def __init__(self, settings, hooks, log):
        self.hooks = hooks
        self.log = log
        self.rtsp_port = settings["rtspAddress"].rpartition(":")[2]
        self.read_timeout = settings["readTimeout"]
        self.configured = settings.paths
        self.paths = {}
        self._create_plain()

    def settings_for(self, name):
        return path_settings_for(self.configured, name)[0]

    def path(self, name):
        """The path of that name, or GoError if none is configured."""
        settings, groups = path_settings_for(self.configured, name)
        if name not in self.paths:
            self.paths[name] = Path(self, settings, name, groups)
        return self.paths[name]

    def reload(self, configured):
        """Take over a new configuration. Paths whose settings differ in more than hot fields are closed."""
        self.configured = configured
        for name, path in list(self.paths.items()):
            try:
                settings, _ = path_settings_for(configured, name)
            except GoError:
                self._close(path)
                continue
            if path.settings.can_become(settings):
                path.reload(settings)
            else:
                self._close(path)
        self._create_plain()

    def close(self):
        for path in list(self.paths.values()):
            self._close(path)

    def close_if_idle(self, path):
        if not path.closed and path.idle:
            self._close(path)

    def sorted(self):
        return [self.paths[name] for name in sorted(self.paths)]

    def _create_plain(self):
        for name, settings in self.configured.items():
            if not settings.regexp and name not in self.paths:
                self.paths[name] = Path(self, settings, name, ())

    def _close(self, path):
        self.paths.pop(path.name, None)
        path.close()


def run_hooks(pool, log, settings, first, last, environment):
    hook = None
    if settings[first]:
        log.info(f"{first} command started")
        hook = pool.start(settings[first], environment, settings[f"{first}Restart"],
                          lambda text: log.info(f"{first} command exited: {text}"))

    def end(reason=None):
        if hook:
            hook.stop()
            log.info(f"{first} command stopped" + (f": {reason}" if reason else ""))
        if last and settings[last]:
            log.info(f"{last} command launched")
            pool.start(settings[last], environment)

    return end


def answer(future, result):
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


def now_text():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
