"""The control API under `/v3`."""
import os
import time

from . import gotypes
from .gotypes import GoError
from .paths import now_text
from .schema import parse_json
from .settings import SCHEMA, PathNotFound
from .web import Answer, WebServer, refusal

VERSION = "v1.20.1"
ITEMS_PER_PAGE = 100
STARTED = now_text()
OK = {"status": "ok"}
GO_TIME = "2006-01-02T15:04:05Z07:00"


class Missing(GoError):
    """What was asked for is not there: 404 with an error text of its own."""


class ControlAPI(WebServer):
    """Answers from the running configuration, and hands changes to the core, which carries out one after the other."""

    action = "api"
    name = "API"
    allowed_methods = "OPTIONS, GET, POST, PATCH, DELETE"
    allowed_headers = "Authorization, Content-Type"

    def __init__(self, core):
        super().__init__(core.settings["apiAddress"], core.settings["apiAllowOrigins"], core.access, core.log)
        self.core = core
        self.exact = {
            ("GET", "/v3/info"): self._info,
            ("POST", "/v3/auth/jwks/refresh"): lambda request: OK,
            ("GET", "/v3/config/global/get"): lambda request: core.settings.encoded(),
            ("PATCH", "/v3/config/global/patch"): self._patch_global,
            ("GET", "/v3/config/pathdefaults/get"): self._get_path_defaults,
            ("PATCH", "/v3/config/pathdefaults/patch"): self._patch_path_defaults,
            ("GET", "/v3/config/paths/list"): self._list_settings,
            ("GET", "/v3/paths/list"): lambda request: page(request, [p.encoded() for p in core.paths.sorted()]),
            ("GET", "/v3/recordings/list"): lambda request: page(request, []),
            ("DELETE", "/v3/recordings/deletesegment"): self._delete_segment,
        }
        self.named = {
            ("GET", "/v3/config/paths/get/"): self._get_settings,
            ("POST", "/v3/config/paths/add/"): self._change("add_path"),
            ("PATCH", "/v3/config/paths/patch/"): self._change("patch_path"),
            ("POST", "/v3/config/paths/replace/"): self._change("replace_path"),
            ("DELETE", "/v3/config/paths/delete/"): self._delete_path,
            ("GET", "/v3/paths/get/"): self._get_path,
            ("GET", "/v3/recordings/get/"): self._get_recording,
        }
        self.by_id = {}
        if core.rtsp:
            self.exact[("GET", "/v3/rtspconns/list")] = lambda request: page(
                request, [item.encoded() for item in core.rtsp.connections.values()])
            self.exact[("GET", "/v3/rtspsessions/list")] = lambda request: page(
                request, [item.encoded() for item in core.rtsp.sessions.values()])
            self.by_id = {
                ("GET", "/v3/rtspconns/get/"): lambda text: self._connection(text).encoded(),
                ("GET", "/v3/rtspsessions/get/"): lambda text: self._session(text).encoded(),
                ("POST", "/v3/rtspsessions/kick/"): self._kick,
            }

    def redirect(self, request):
        path = request.path
        if (request.method, f"{path}/") in self.named:
            return f"{path}/"
        if path.endswith("/") and (request.method, path[:-1]) in self.exact:
            return path[:-1]
        return None

    async def handle(self, request):
        try:
            content = self._route(request)
            if hasattr(content, "__await__"):
                content = await content
        except GoError as error:
            status = 404 if isinstance(error, (Missing, PathNotFound)) else 400
            self.log.error(str(error))
            return refusal(status, str(error))
        if content is None or isinstance(content, Answer):
            return content
        return Answer(content=content)

    def _route(self, request):
        handler = self.exact.get((request.method, request.path))
        if handler:
            return handler(request)
        for (method, prefix), handler in self.named.items():
            if method == request.method and request.path.startswith(prefix):
                name = request.path.removeprefix(prefix)
                if not name:
                    raise GoError("invalid name")
                return handler(request, name)
        for (method, prefix), handler in self.by_id.items():
            text = request.path.removeprefix(prefix)
            if method == request.method and request.path.startswith(prefix) and text and "/" not in text:
                return handler(text)
        return None

    # Configuration

    def _info(self, request):
        return {"version": VERSION, "started": STARTED}

    def _get_path_defaults(self, request):
        return SCHEMA.encode("path", self.core.settings.path_defaults)

    def _list_settings(self, request):
        return page(request, [path.encoded() for _, path in sorted(self.core.settings.paths.items())])

    def _get_settings(self, request, name):
        path = self.core.settings.paths.get(name)
        if not path:
            raise Missing("path configuration not found")
        return path.encoded()

    def _patch_global(self, request):
        values = SCHEMA.decode_fields("global", parse_json(request.body))
        return self._carry_out(lambda settings: settings.patch_global(values))

    def _patch_path_defaults(self, request):
        values = SCHEMA.decode_fields("path", parse_json(request.body))
        return self._carry_out(lambda settings: settings.patch_path_defaults(values))

    def _change(self, method):
        def handler(request, name):
            values = SCHEMA.decode_fields("path", parse_json(request.body))
            return self._carry_out(lambda settings: getattr(settings, method)(name, values))

        return handler

    def _delete_path(self, request, name):
        return self._carry_out(lambda settings: settings.delete_path(name))

    async def _carry_out(self, change):
        """The change is judged before the answer and carried out after it."""
        written = await self.core.submit_change(change)
        return Answer(content=OK, written=written)

    # Paths and sessions

    def _get_path(self, request, name):
        path = self.core.paths.paths.get(name)
        if not path:
            raise PathNotFound()
        return path.encoded()

    def _connection(self, text):
        connection = self.core.rtsp.connections.get(gotypes.uuid_text(text))
        if not connection:
            raise Missing("connection not found")
        return connection

    def _session(self, text):
        session = self.core.rtsp.sessions.get(gotypes.uuid_text(text))
        if not session:
            raise Missing("session not found")
        return session

    def _kick(self, text):
        self._session(text).finish("terminated")
        return OK

    # Recordings: there are none.

    def _get_recording(self, request, name):
        self.core.paths.settings_for(name)
        return {"name": name, "segments": []}

    def _delete_segment(self, request):
        start = request.query.get("start", "")
        try:
            moment = time.strptime(start[:19], "%Y-%m-%dT%H:%M:%S")
        except ValueError:
            raise GoError(f"invalid 'start' parameter: parsing time {gotypes.quoted(start)} as"
                          f" {gotypes.quoted(GO_TIME)}: cannot parse {gotypes.quoted(start)} as \"2006\"") from None
        name = request.query.get("path", "")
        settings = self.core.paths.settings_for(name)
        fraction = start[19:].rstrip("Z").lstrip(".").ljust(6, "0")[:6]
        file = settings["recordPath"].replace("%path", name).replace("%f", fraction)
        extension = "ts" if settings["recordFormat"] == "mpegts" else "mp4"
        raise GoError(f"remove {os.path.abspath(time.strftime(file, moment))}.{extension}: no such file or directory")


def page(request, items):
    """A list as the API gives it, one page of it."""
    per_page, number = request.query.get("itemsPerPage", ""), request.query.get("page", "")
    per_page = gotypes.page_number(per_page) if per_page else ITEMS_PER_PAGE
    if not per_page:
        raise GoError("invalid items per page")
    number = gotypes.page_number(number) if number else 0
    shown = items[number * per_page:(number + 1) * per_page]
    return {"itemCount": len(items), "pageCount": -(-len(items) // per_page), "items": shown}
