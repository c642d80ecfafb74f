"""The configuration file: at the start, when it changes, and when it is bad."""
import os
import subprocess

from fixture import (CRASH, STOP_SECONDS_MAX, Disagreement, Server, end_process, expect, publisher, reader, stays,
                     wait_until)

from . import check

RELOADED = "reloading configuration (file changed)"
PATHS = "paths:\n  cam:\n  ondemand:\n    maxReaders: 2\n"
NEW_PATHS = "paths:\n  cam:\n  second:\n"
BAD_ENDINGS = {
    "YAML error": "paths: [\n", "unknown key": "noSuchKey: 1\n", "unknown path key": "paths:\n  cam:\n    noSuch: 1\n",
    "invalid value": "writeQueueSize: 1000\n", "wrong type": "paths:\n  cam:\n    record: 5\n",
    "invalid path name": "paths:\n  a b:\n",
}
SECOND_WRITE_IGNORED_SECONDS = 1.3
DEFAULT_RTSP_PORT = 8554


def names(server):
    return [item["name"] for item in server.json("GET", "/v3/config/paths/list")[1]["items"]]


def reloads(server):
    return server.log().count(RELOADED)


def write_in_place(server, text):
    with open(server.file, "w", encoding="utf-8") as file:
        file.write(text)


@check("hot reload by an atomic rename; a stream on an unchanged path goes on")
def by_rename(stack, binary):
    server = Server(stack, binary, PATHS)
    source, watching = publisher(stack, server, "cam"), reader(stack, server, "cam")
    server.put_file(server.text(NEW_PATHS))
    wait_until(lambda: names(server) == ["cam", "second"], "the new paths are there")
    before = watching.packets
    stays(lambda: not source.closed.is_set() and not watching.closed.is_set(), "the stream goes on", 0.25)
    wait_until(lambda: watching.packets > before, "the reader gets more")


@check("hot reload by a write in place; a stream on a changed path is cut")
def in_place(stack, binary):
    server = Server(stack, binary, PATHS)
    source = publisher(stack, server, "cam")
    write_in_place(server, server.text("paths:\n  cam:\n    maxReaders: 9\n"))
    wait_until(lambda: names(server) == ["cam"], "the new paths are there")
    wait_until(source.closed.is_set, "the publisher is cut off", 2)


@check("a touch does nothing")
def touch(stack, binary):
    server = Server(stack, binary, PATHS)
    os.utime(server.file)
    stays(lambda: reloads(server) == 0, "no reload", 0.3)


@check("changes by API vanish with a reload; the server writes nothing into the file")
def reload_resets(stack, binary):
    server = Server(stack, binary, PATHS)
    before = os.stat(server.file).st_mtime_ns
    server.json("POST", "/v3/config/paths/add/added", {})
    server.json("PATCH", "/v3/config/paths/patch/ondemand", {"maxReaders": 8})
    expect(names(server) == ["added", "cam", "ondemand"], "the path was not added")
    expect(os.stat(server.file).st_mtime_ns == before, "the file was written")
    server.put_file(server.text(PATHS + "# again\n"))
    wait_until(lambda: names(server) == ["cam", "ondemand"], "the added path is gone")
    shown = server.json("GET", "/v3/config/paths/get/ondemand")[1]
    expect(shown["maxReaders"] == 2, f"the patched value is {shown['maxReaders']}")


@check("changes by API vanish with a restart")
def restart_resets(stack, binary):
    server = Server(stack, binary, PATHS)
    server.json("POST", "/v3/config/paths/add/added", {})
    server.stop()
    expect(server.process.returncode == 0, f"exit status {server.process.returncode}")
    server.start()
    expect(names(server) == ["cam", "ondemand"], f"paths {names(server)}")


@check("a second write within a second of a reload is ignored and not looked at later; a third is seen")
def second_write(stack, binary):
    server = Server(stack, binary, PATHS)
    server.put_file(server.text("paths:\n  one:\n"))
    wait_until(lambda: names(server) == ["one"], "the first write is in force")
    server.put_file(server.text("paths:\n  two:\n"))
    stays(lambda: names(server) == ["one"], "the second write is ignored", SECOND_WRITE_IGNORED_SECONDS)
    server.put_file(server.text("paths:\n  three:\n"))
    wait_until(lambda: names(server) == ["three"], "the third write is in force")


def refused_start(server):
    """The output of a further process with the server's file, which must end with status 1."""
    process = subprocess.Popen([server.binary, server.file], cwd=server.folder, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        output, _ = process.communicate(timeout=STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        end_process(process)
        raise Disagreement("the start was not refused") from None
    expect(process.returncode == 1, f"exit status {process.returncode}")
    expect(not CRASH.search(output), f"the server has crashed: {output}")
    return output


def bad_reload(title, ending):
    @check(f"a bad file on reload ends the server with status 0: {title}")
    def function(stack, binary):
        server = Server(stack, binary, PATHS)
        server.put_file(server.text(ending))
        status = server.exit_status()
        expect(status == 0, f"exit status {status}")
        expect(" ERR " in server.log(), "no ERR line in the log")


def bad_start(title, ending):
    @check(f"a bad file at the start: a message and status 1: {title}")
    def function(stack, binary):
        server = Server(stack, binary, PATHS)
        server.stop()
        server.put_file(server.text(ending))
        expect("ERR" in refused_start(server), "stdout does not say what is wrong")


for name, text in BAD_ENDINGS.items():
    bad_reload(name, text)
for name, text in BAD_ENDINGS.items():
    bad_start(name, text)


@check("a file that is read half written ends the server")
def half_written(stack, binary):
    server = Server(stack, binary, PATHS)
    whole = server.text("paths:\n  cam:\n    record: no\n")
    with open(server.file, "w", encoding="utf-8") as file:
        file.write(whole[:-len("cord: no\n")])
        file.flush()
        wait_until(lambda: not server.running, "the server has ended on the first half", 2)
        file.write(whole[-len("cord: no\n"):])
    expect(server.process.returncode == 0, f"exit status {server.process.returncode}")


@check("a removed file does not end the server")
def removed(stack, binary):
    server = Server(stack, binary, PATHS)
    os.unlink(server.file)
    stays(lambda: server.running and reloads(server) == 0, "the server runs on", 0.3)
    expect(names(server) == ["cam", "ondemand"], "the paths have changed")
    server.put_file(server.text(NEW_PATHS))
    wait_until(lambda: names(server) == ["cam", "second"], "the file's return is seen")


@check("an empty file means all defaults: the API is off and the server runs on")
def empty(stack, binary):
    server = Server(stack, binary, PATHS)
    server.put_file("")
    wait_until(lambda: not server.answers("api"), "the API is off")
    stays(lambda: server.running and not server.answers("api"), "the server runs without an API", 0.3)


@check("a port that is taken at the start: status 1")
def port_taken(stack, binary):
    server = Server(stack, binary, PATHS)
    expect("address already in use" in refused_start(server), "stdout does not say what is wrong")
