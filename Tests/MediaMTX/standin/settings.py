"""One configuration: global settings, path defaults, paths; loaded from YAML or derived from another by the API.

`Settings` is what the real server calls a Conf. Its `optional` table holds what each path says itself, its `paths`
table what that means on top of the path defaults; `validate` fills the second from the first. A clone shares the first:
see `clone`, which reproduces the fault that a refused PATCH poisons the running configuration.
"""
import copy
import re
from urllib.parse import urlsplit

from .gotypes import DAY, GoError
from .schema import Schema

SCHEMA = Schema()
CATCH_ALL = ("all", "all_others")
CATCH_ALL_NAMES = {*CATCH_ALL, "~^.*$"}
PATH_NAME = re.compile(r"[0-9a-zA-Z_\-/.]+")
PULL_SCHEMES = ("rtsp", "rtsps", "rtsp+http", "rtsps+http", "rtsp+ws", "rtsps+ws", "rtmp", "rtmps", "http", "https",
                "udp", "udp+mpegts", "udp+rtp", "srt", "moqt", "whep", "wheps")
UNCHECKED_SCHEMES = ("unix+mpegts", "unix+rtp")
UDP_PAYLOAD_BYTES_MAX = 1472
REDACTED = "<redacted>"
# Fields that a running path takes over without being closed. The camera-picture fields are in the real list too.
HOT_FIELDS = {
    "name", "forward", "record", "recordPath", "recordFormat", "recordPartDuration", "recordMaxPartSize",
    "recordSegmentDuration", "recordDeleteAfter", "rpiCameraBrightness", "rpiCameraContrast", "rpiCameraSaturation",
    "rpiCameraSharpness", "rpiCameraExposure", "rpiCameraFlickerPeriod", "rpiCameraAWB", "rpiCameraAWBGains",
    "rpiCameraDenoise", "rpiCameraShutter", "rpiCameraMetering", "rpiCameraGain", "rpiCameraEV", "rpiCameraFPS",
    "rpiCameraTextOverlayEnable", "rpiCameraTextOverlay", "rpiCameraIDRPeriod", "rpiCameraBitrate",
}


class PathNotFound(GoError):
    def __init__(self):
        super().__init__("path not found")


class PathSettings:
    """The effective settings of one configured path. Never changed once validated."""

    def __init__(self, name, values):
        self.name = name
        self.values = {**values, "name": name}
        self.regexp = None

    def __getitem__(self, field):
        return self.values[field]

    def __eq__(self, other):
        return self.values == other.values

    def can_become(self, other):
        """Whether a running path may go on under the other settings."""
        return all(value == other.values.get(field)
                   for field, value in self.values.items() if field not in HOT_FIELDS) and \
            all(field in self.values for field in other.values if field not in HOT_FIELDS)

    @property
    def pulls(self):
        return self["source"] not in ("publisher", "redirect")

    def validate(self, playback):
        self.regexp = compiled_name(self.name)
        self._validate_source()
        self._validate_recording(playback)
        if self["runOnInit"] and self.regexp:
            raise GoError("a path with a regular expression (or path 'all_others')"
                          " does not support option 'runOnInit'; use another path")
        if (self["runOnDemand"] or self["runOnUnDemand"]) and self["source"] != "publisher":
            raise GoError("'runOnDemand' and 'runOnUnDemand' can be used only when source is 'publisher'")

    def _validate_source(self):
        source = self["source"]
        if self["srtPublishPassphrase"] and source != "publisher":
            raise GoError("'srtPublishPassphase' can only be used when source is 'publisher'")
        if self["sourceRedirect"] and source != "redirect":
            raise GoError("'sourceRedirect' is useless when source is not 'redirect'")
        scheme = source.partition("://")[0] if "://" in source else ""
        if source == "redirect":
            if not self["sourceRedirect"]:
                raise GoError("source redirect must be filled")
        elif scheme in PULL_SCHEMES:
            check_url(source)
        elif source not in ("publisher", "rpiCamera") and scheme not in UNCHECKED_SCHEMES:
            raise GoError(f"invalid source: '{source}'")
        if self["sourceOnDemand"] and source == "publisher":
            raise GoError("'sourceOnDemand' is useless when source is 'publisher'")
        if not self["sourceOnDemand"] and self.pulls and self.regexp:
            raise GoError("a path with a regular expression (or path 'all_others') and a static source"
                          " must have 'sourceOnDemand' set to true")

    def _validate_recording(self, playback):
        path = self["recordPath"]
        if "%path" not in path:
            raise GoError("'recordPath' must contain %path")
        if "%s" not in path and any(f"%{letter}" not in path for letter in "YmdHMS"):
            raise GoError("'recordPath' must contain either %s or %Y %m %d %H %M %S")
        if playback and "%f" not in path:
            raise GoError("'recordPath' must contain %f")
        if self["recordSegmentDuration"] > DAY:
            raise GoError("maximum segment duration is 1 day")
        if self["recordDeleteAfter"] and self["recordDeleteAfter"] < self["recordSegmentDuration"]:
            raise GoError("'recordDeleteAfter' cannot be lower than 'recordSegmentDuration'")

    def encoded(self):
        values = SCHEMA.encode("path", self.values)
        return {name: REDACTED if name in ("publishPass", "readPass") and value else value
                for name, value in values.items()}


class Settings:
    """A whole configuration."""

    def __init__(self):
        self.values = copy.deepcopy(SCHEMA.default_values["global"])
        self.path_defaults = copy.deepcopy(SCHEMA.default_values["path"])
        self.optional = {}
        self.paths = {}

    def __getitem__(self, field):
        return self.values[field]

    @classmethod
    def from_document(cls, document):
        """From the parsed file. None, an empty file, is a configuration of defaults."""
        settings = cls()
        beside = ("pathDefaults", "paths")
        settings.values.update(SCHEMA.decode_fields("global", document, file=True, beside=beside))
        document = document or {}
        settings.path_defaults.update(
            SCHEMA.decode_fields("path", document.get("pathDefaults"), "pathDefaults", file=True))
        paths = document.get("paths")
        if paths is not None and not isinstance(paths, dict):
            SCHEMA.decode_fields("path", paths)
        for name, values in (paths or {}).items():
            settings.optional[str(name)] = SCHEMA.decode_fields("path", values)
        settings.validate()
        return settings

    def clone(self):
        """A copy to change and validate.

        What the paths say themselves is shared, not copied. That is the real server's fault, kept on purpose: a PATCH
        that validation refuses has then already changed the running configuration, so every later change fails until
        that path is mended, replaced, deleted or loaded again.
        """
        other = Settings.__new__(Settings)
        other.values = copy.deepcopy(self.values)
        other.path_defaults = copy.deepcopy(self.path_defaults)
        other.optional = dict(self.optional)
        other.paths = {}
        return other

    def patch_global(self, values):
        self.values.update(values)

    def patch_path_defaults(self, values):
        self.path_defaults.update(values)

    def add_path(self, name, values):
        if name in self.optional:
            raise GoError("path already exists")
        self.optional[name] = values

    def patch_path(self, name, values):
        if name not in self.optional:
            raise PathNotFound()
        self.optional[name].update(values)

    def replace_path(self, name, values):
        self.optional[name] = values

    def delete_path(self, name):
        if name not in self.optional:
            raise PathNotFound()
        del self.optional[name]

    def validate(self):
        self._validate_global()
        if len(CATCH_ALL_NAMES & self.optional.keys()) > 1:
            raise GoError("all_others, all and '~^.*$' are aliases")
        self.paths = {name: PathSettings(name, {**self.path_defaults, **self.optional[name]})
                      for name in sorted(self.optional)}
        for path in self.paths.values():
            path.validate(self["playback"])

    def _validate_global(self):
        for field in ("readTimeout", "writeTimeout", "writeQueueSize"):
            if self[field] <= 0:
                raise GoError(f"'{field}' must be greater than zero")
        if self["writeQueueSize"] & (self["writeQueueSize"] - 1):
            raise GoError("'writeQueueSize' must be a power of two")
        if self["udpMaxPayloadSize"] > UDP_PAYLOAD_BYTES_MAX:
            raise GoError(f"'udpMaxPayloadSize' must be less than {UDP_PAYLOAD_BYTES_MAX}")
        for user in self["authInternalUsers"]:
            if not user["user"]:
                raise GoError("empty usernames are not supported")
            if user["user"] == "any" and user["pass"]:
                raise GoError("using a password with 'any' user is not supported")
        for field, address, what in (("api", "apiAddress", "API is"), ("metrics", "metricsAddress", "metrics are"),
                                     ("pprof", "pprofAddress", "pprof is"),
                                     ("playback", "playbackAddress", "playback is")):
            if self[field] and not self[address]:
                raise GoError(f"'{address}' must be set when {what} enabled")
        if self["rtsp"]:
            if not self["rtspAddress"] and self["rtspEncryption"] != "strict":
                raise GoError("'rtspAddress' must be set when RTSP is enabled and RTSP encryption is"
                              " 'no' or 'optional'")
            if not self["rtspAuthMethods"]:
                raise GoError("at least one 'rtspAuthMethods' must be provided")
        for field, address, what in (("rtmp", "rtmpAddress", "RTMP"), ("hls", "hlsAddress", "HLS"),
                                     ("webrtc", "webrtcAddress", "WebRTC"), ("moq", "moqQUICAddress", "MoQ")):
            if self[field] and not self[address]:
                raise GoError(f"'{address}' must be set when {what} is enabled")

    def path_for(self, name):
        return path_settings_for(self.paths, name)

    def encoded(self):
        values = SCHEMA.encode("global", self.values)
        values["authInternalUsers"] = [
            {**user, "pass": REDACTED if user["pass"] else ""} for user in self["authInternalUsers"]
        ]
        return values


def path_settings_for(paths, name):
    """The settings that a path name falls under, and the groups of the regular expression that matched it."""
    if name in paths:
        return paths[name], ()
    try:
        check_path_name(name)
    except GoError as error:
        raise GoError(f"invalid path name: {error} ({name})") from None
    candidates = [path for path in paths.values() if path.regexp]
    for path in sorted(candidates, key=lambda path: (path.name in CATCH_ALL, path.name)):
        match = path.regexp.search(name)
        if match:
            return path, tuple(group or "" for group in match.groups())
    raise GoError(f"path '{name}' is not configured")


def compiled_name(name):
    """The regular expression of a configured name, or None for a plain one."""
    if name in CATCH_ALL:
        return re.compile("^.*$")
    if name.startswith("~"):
        try:
            return re.compile(name[1:])
        except re.error:
            raise GoError(f"invalid regular expression: {name[1:]}") from None
    try:
        check_path_name(name)
    except GoError as error:
        raise GoError(f"invalid path name '{name}': {error}") from None
    return None


def check_path_name(name):
    if not name:
        raise GoError("cannot be empty")
    if name.startswith("/"):
        raise GoError("can't begin with a slash")
    if name.endswith("/"):
        raise GoError("can't end with a slash")
    if not PATH_NAME.fullmatch(name):
        raise GoError("can contain only alphanumeric characters, underscore, dot, minus, slash")
    if any(segment in (".", "..") for segment in name.split("/")):
        raise GoError("can't contain dot path segments")


def check_url(source):
    # A regular expression's groups may stand in the URL; they are filled in when the source starts.
    plain = re.sub(r"\$G[0-9]+", "abc", re.sub(r":\$G[0-9]+", ":1935", source))
    try:
        url = urlsplit(plain)
        url.port  # raises for a port that is not a number
    except ValueError:
        raise GoError(f"'{source}' is not a valid URL") from None
    if not url.netloc:
        raise GoError(f"'{source}' is not a valid URL")
    if bool(url.username) != bool(url.password):
        raise GoError("username and password must be both provided")
    if url.scheme.startswith("udp") and url.port is None:
        raise GoError(f"'{source}' is missing the port")
