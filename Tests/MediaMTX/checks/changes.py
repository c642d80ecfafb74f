"""What a change by API does to a running stream, and what a refused one leaves behind."""
from fixture import Server, expect, free_ports, publisher, reader, stays, wait_until

from . import check

KEPT_SECONDS = 0.25
CUT_SECONDS_MAX = 2.0
PATHS = "paths:\n  cam:\n  other:\n  all_others:\n"
PATCH_CAM = ("PATCH", "/v3/config/paths/patch/cam")
DEFAULTS = ("PATCH", "/v3/config/pathdefaults/patch")
GLOBAL = ("PATCH", "/v3/config/global/patch")
ADD_FREE = ("POST", "/v3/config/paths/add/free")
BAD_RECORD_PATH = {"recordPath": "./rec/%Y-%m-%d"}
GOOD_RECORD_PATH = {"recordPath": "./recordings/%path/%Y-%m-%d_%H-%M-%S-%f"}
POISON = "'recordPath' must contain %path"
LOCAL_USER = [{"user": "any", "permissions": [{"action": action} for action in ("publish", "read", "api", "metrics")]}]
# The path on which the stream runs, and the changes made to it one after the other.
KEEPS = {
    "record fields of the path": ("cam", [
        (*PATCH_CAM, {"recordSegmentDuration": "10s"}), (*PATCH_CAM, {"recordPartDuration": "200ms"}),
        (*PATCH_CAM, {"recordDeleteAfter": "2d"}), (*PATCH_CAM, {"recordPath": "./r/%path/%Y-%m-%d_%H-%M-%S-%f"}),
        (*PATCH_CAM, {"recordFormat": "mpegts"}), (*PATCH_CAM, {"recordMaxPartSize": "20M"}),
        (*PATCH_CAM, {"record": True})]),
    "the same value, nothing, an equal replacement": ("cam", [
        (*PATCH_CAM, {"maxReaders": 0}), (*PATCH_CAM, {}), ("POST", "/v3/config/paths/replace/cam", {})]),
    "another path added and deleted": ("cam", [
        ("POST", "/v3/config/paths/add/new", {"maxReaders": 3}), ("DELETE", "/v3/config/paths/delete/new", None),
        ("DELETE", "/v3/config/paths/delete/other", None)]),
    "an explicit path over a stream of all_others, deleted again": ("free", [
        (*ADD_FREE, {}), ("DELETE", "/v3/config/paths/delete/free", None), (*ADD_FREE, {"recordSegmentDuration": "9s"}),
        ("DELETE", "/v3/config/paths/delete/free", None)]),
    "a record field of the path defaults": ("cam", [(*DEFAULTS, {"recordSegmentDuration": "10s"})]),
    "nothing, globally": ("cam", [(*GLOBAL, {})]),
    "global apiAllowOrigins, authInternalUsers": ("cam", [
        (*GLOBAL, {"apiAllowOrigins": ["http://127.0.0.1"]}), (*GLOBAL, {"authInternalUsers": LOCAL_USER})]),
}
CUTS = {
    "path runOnDemandCloseAfter": ("cam", (*PATCH_CAM, {"runOnDemandCloseAfter": "20s"})),
    "path maxReaders": ("cam", (*PATCH_CAM, {"maxReaders": 5})),
    "path overridePublisher": ("cam", (*PATCH_CAM, {"overridePublisher": False})),
    "path runOnAvailable": ("cam", (*PATCH_CAM, {"runOnAvailable": "true"})),
    "an explicit path over a stream of all_others with another value": ("free", (*ADD_FREE, {"maxReaders": 5})),
    "path defaults runOnDemandCloseAfter": ("cam", (*DEFAULTS, {"runOnDemandCloseAfter": "20s"})),
    "global logLevel": ("cam", (*GLOBAL, {"logLevel": "debug"})),
    "global readTimeout": ("cam", (*GLOBAL, {"readTimeout": "12s"})),
    "global writeQueueSize": ("cam", (*GLOBAL, {"writeQueueSize": 1024})),
    "global metrics": ("cam", (*GLOBAL, {"metrics": False})),
}


def change(server, method, path, body, status=200):
    got, answer = server.json(method, path, body)
    expect(got == status, f"{method} {path} {body}: {got} {answer}")
    return answer


def streaming(stack, server, name):
    source = publisher(stack, server, name)
    return source, reader(stack, server, name)


def must_stay(source, watching, why):
    before = watching.packets
    stays(lambda: not source.closed.is_set() and not watching.closed.is_set(), f"both are connected ({why})",
          KEPT_SECONDS)
    wait_until(lambda: watching.packets > before, f"the reader gets more ({why})")


def must_go(source, watching):
    wait_until(lambda: source.closed.is_set() and watching.closed.is_set(), "both are cut off", CUT_SECONDS_MAX)


def keeps(name, changes):
    def function(stack, binary):
        server = Server(stack, binary, PATHS)
        source, watching = streaming(stack, server, name)
        for item in changes:
            change(server, *item)
            must_stay(source, watching, str(item[1:]))

    return function


def cuts(name, item):
    def function(stack, binary):
        server = Server(stack, binary, PATHS)
        source, watching = streaming(stack, server, name)
        change(server, *item)
        must_go(source, watching)
        # The path can be used again at once.
        wait_until(lambda: server.answers("rtsp") and server.answers("api"), "the server is back")
        publisher(stack, server, name)

    return function


for title, (path_name, path_changes) in KEEPS.items():
    check(f"kept: {title}")(keeps(path_name, path_changes))
for title, (path_name, one_change) in CUTS.items():
    check(f"cut: {title}")(cuts(path_name, one_change))


@check("kept: global hls")
def hls(stack, binary):
    (port,) = free_ports(1)
    server = Server(stack, binary, f"hlsAddress: 127.0.0.1:{port}\n{PATHS}")
    source, watching = streaming(stack, server, "cam")
    change(server, *GLOBAL, {"hls": True})
    must_stay(source, watching, "hls on")


def poisoned(stack, binary):
    """A server whose running configuration a refused PATCH has spoilt."""
    server = Server(stack, binary, PATHS)
    change(server, *PATCH_CAM, {**BAD_RECORD_PATH, "maxReaders": 7}, status=400)
    for item in ((*ADD_FREE, {}), ("PATCH", "/v3/config/paths/patch/other", {"maxReaders": 3}),
                 ("DELETE", "/v3/config/paths/delete/other", None), (*GLOBAL, {"readTimeout": "12s"}), (*GLOBAL, {})):
        answer = change(server, *item, status=400)
        expect(answer["error"] == POISON, f"{item}: {answer}")
    shown = server.json("GET", "/v3/config/paths/get/cam")[1]
    expect("%path" in shown["recordPath"] and shown["maxReaders"] == 0, "the refused values are shown")
    return server


def healthy(server):
    change(server, *ADD_FREE, {})


@check("a refused PATCH poisons every later change; null does not help; a valid value of the field does")
def recovery_by_value(stack, binary):
    server = poisoned(stack, binary)
    change(server, *PATCH_CAM, {"recordPath": None}, status=400)
    change(server, *PATCH_CAM, GOOD_RECORD_PATH)
    healthy(server)
    # What else was in the refused request has come into force with the first change that went through.
    shown = server.json("GET", "/v3/config/paths/get/cam")[1]
    expect(shown["maxReaders"] == 7, f"maxReaders is {shown['maxReaders']}")


@check("recovery from a poisoned configuration: replace the path")
def recovery_by_replacement(stack, binary):
    server = poisoned(stack, binary)
    change(server, "POST", "/v3/config/paths/replace/cam", {})
    healthy(server)


@check("recovery from a poisoned configuration: delete the path")
def recovery_by_deletion(stack, binary):
    server = poisoned(stack, binary)
    change(server, "DELETE", "/v3/config/paths/delete/cam", None)
    healthy(server)


@check("recovery from a poisoned configuration: reload the file")
def recovery_by_file(stack, binary):
    server = poisoned(stack, binary)
    server.put_file(server.text(PATHS + "# again\n"))
    wait_until(lambda: "reloading configuration (file changed)" in server.log(), "the file is reloaded")
    wait_until(lambda: server.json(*ADD_FREE, {})[0] == 200, "a change goes through")


@check("a refused add, replace, global patch or path defaults patch poisons nothing")
def no_poison(stack, binary):
    server = Server(stack, binary, PATHS)
    for item in ((*ADD_FREE, BAD_RECORD_PATH), ("POST", "/v3/config/paths/replace/cam", BAD_RECORD_PATH),
                 (*GLOBAL, {"writeQueueSize": 1000}), (*DEFAULTS, BAD_RECORD_PATH),
                 (*PATCH_CAM, {"noSuchField": 1}), (*PATCH_CAM, {"recordFormat": "avi"})):
        change(server, *item, status=400)
    healthy(server)
