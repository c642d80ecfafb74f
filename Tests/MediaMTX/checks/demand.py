"""On-demand: cycles, readers on hold, hooks, and the sharp edges."""
import os
import signal
import time

from fixture import (FFMPEG, RTSPClient, Server, end_process, expect, publisher, reader, stays,
                     wait_until)

from . import check

QUIET_SECONDS = 0.4
HOOKS = """\
paths:
  cam:
    runOnDemand: {folder}/on.sh
    runOnUnDemand: {folder}/off.sh
"""
CYCLE = HOOKS + """\
    runOnDemandStartTimeout: 2s
    runOnDemandCloseAfter: 1s
"""
SHORT = HOOKS + """\
    runOnDemandStartTimeout: 600ms
    runOnDemandCloseAfter: 600ms
"""
# Time enough for a publisher to come and for a reader to come back.
STUCK = HOOKS + """\
    runOnDemandStartTimeout: 1s
    runOnDemandCloseAfter: 3s
"""
OWN_COMMAND = """\
paths:
  cam:
    runOnDemandStartTimeout: 3s
    runOnDemandCloseAfter: %s
    runOnDemand: >-
      %s -nostdin -v quiet -re -f lavfi -i testsrc2=size=160x120:rate=10 -c:v libx264 -preset ultrafast -g 5
      -f rtsp -rtsp_transport tcp rtsp://127.0.0.1:$RTSP_PORT/$MTX_PATH
"""
STARTED = "runOnDemand command started"


def server_with(stack, binary, settings):
    server = Server(stack, binary, settings)
    server.script("on.sh", f'echo "$MTX_PATH $MTX_QUERY $RTSP_PORT" >> {server.folder}/on')
    server.script("off.sh", f'echo "$MTX_PATH" >> {server.folder}/off')
    return server


def held_reader(stack, server, query=""):
    """A reader whose DESCRIBE waits for a stream."""
    client = RTSPClient(stack, server, "cam" + query)
    client.send("DESCRIBE")
    return client


def in_cycle(stack, server):
    """A publisher that came because a reader asked, and that reader."""
    waiting = held_reader(stack, server)
    wait_until(lambda: server.lines("on"), "the hook runs")
    source = publisher(stack, server, "cam")
    status, _ = waiting.answer()
    expect(status == 200, f"the held reader got {status}")
    waiting.play()
    wait_until(lambda: waiting.packets, "the held reader gets packets")
    return source, waiting


@check("a reader without a stream runs the hook and is held, unseen in the API")
def held(stack, binary):
    server = server_with(stack, binary, CYCLE)
    waiting = held_reader(stack, server, "?a=b&c")
    wait_until(lambda: server.lines("on"), "the hook runs")
    port = server.ports["rtsp"]
    expect(server.lines("on") == [f"cam a%3Db%26c {port}"], f"variables of the hook: {server.lines('on')}")
    stays(lambda: not waiting.answered, "the reader is held", QUIET_SECONDS)
    path = server.path("cam")
    expect(not path["ready"] and path["readers"] == [] and path["source"] is None, f"the path shows {path}")


@check("a publisher that comes serves the held reader")
def served(stack, binary):
    server = server_with(stack, binary, CYCLE)
    in_cycle(stack, server)
    expect(len(server.readers("cam")) == 1, "one reader is shown")


@check("after close-after the un-demand hook runs, and the publisher stays")
def un_demand(stack, binary):
    server = server_with(stack, binary, CYCLE)
    source, last = in_cycle(stack, server)
    last.close()
    left = time.monotonic()
    wait_until(lambda: server.lines("off"), "the un-demand hook runs")
    seconds = time.monotonic() - left
    expect(0.95 <= seconds <= 2, f"close-after took {seconds:.2f} s instead of 1 s")
    expect("runOnDemand command stopped: not needed by anyone" in server.log(), "the log does not say it")
    stays(lambda: server.ready("cam") and not source.closed.is_set(), "the publisher is connected", QUIET_SECONDS)


@check("a second reader runs no hook")
def second_reader(stack, binary):
    server = server_with(stack, binary, CYCLE)
    in_cycle(stack, server)
    reader(stack, server, "cam")
    stays(lambda: len(server.lines("on")) == 1, "one run of the hook", QUIET_SECONDS)


@check("a publisher that was there first: neither hook, for a reader that comes and goes")
def publisher_first(stack, binary):
    server = server_with(stack, binary, SHORT)
    publisher(stack, server, "cam")
    reader(stack, server, "cam").close()
    wait_until(lambda: not server.readers("cam"), "the reader is gone")
    stays(lambda: not server.lines("on") and not server.lines("off"), "no hook has run", 1.2)


@check("nobody publishes within the start timeout: 400, then the un-demand hook")
def start_timeout(stack, binary):
    server = server_with(stack, binary, SHORT)
    asked = time.monotonic()
    status, _ = held_reader(stack, server).answer()
    seconds = time.monotonic() - asked
    expect(status == 400, f"the reader got {status}")
    expect(0.55 <= seconds <= 1.5, f"the timeout took {seconds:.2f} s instead of 0.6 s")
    wait_until(lambda: server.lines("off"), "the un-demand hook runs")


@check("a lost publisher drops its readers")
def lost_publisher(stack, binary):
    server = server_with(stack, binary, CYCLE)
    source, watching = in_cycle(stack, server)
    source.close()
    wait_until(watching.closed.is_set, "the reader is dropped", 1)
    expect(not server.ready("cam"), "the path is still ready")


def stuck_reader(stack, server):
    """With STUCK: the publisher is lost, the reader comes back within close-after, and close-after passes."""
    source, watching = in_cycle(stack, server)
    source.close()
    wait_until(watching.closed.is_set, "the reader is dropped", 1)
    again = held_reader(stack, server)
    wait_until(lambda: server.lines("off"), "close-after has passed")
    # Longer than the start timeout: no timer runs for this reader.
    stays(lambda: not again.answered, "the reader is stuck", 1.2)
    expect(len(server.lines("on")) == 1, "the hook has run again")
    return again


@check("a reader back within close-after of a lost publisher is stuck: no hook, no timeout; a publisher frees it")
def stuck(stack, binary):
    server = server_with(stack, binary, STUCK)
    again = stuck_reader(stack, server)
    publisher(stack, server, "cam")
    status, _ = again.answer()
    expect(status == 200, f"the stuck reader got {status} from the new publisher")


@check("a further reader beside a stuck one starts a cycle, whose timeout answers both with 400")
def stuck_and_further(stack, binary):
    server = server_with(stack, binary, STUCK)
    again = stuck_reader(stack, server)
    further = held_reader(stack, server)
    wait_until(lambda: len(server.lines("on")) == 2, "the hook runs again")
    statuses = again.answer()[0], further.answer()[0]
    expect(statuses == (400, 400), f"the readers got {statuses}")


@check("a reader that comes after close-after has run starts a new cycle")
def late_reader(stack, binary):
    server = server_with(stack, binary, CYCLE)
    source, watching = in_cycle(stack, server)
    source.close()
    wait_until(watching.closed.is_set, "the reader is dropped", 1)
    wait_until(lambda: server.lines("off"), "close-after has passed")
    held_reader(stack, server)
    wait_until(lambda: len(server.lines("on")) == 2, "the hook runs again")


@check("a server with a stuck reader does not end on SIGTERM")
def stuck_at_end(stack, binary):
    server = server_with(stack, binary, STUCK)
    stuck_reader(stack, server)
    server.process.terminate()
    stays(lambda: server.running, "the server hangs", 1.5)
    server.process.kill()


@check("close-after 0s: the command is stopped between DESCRIBE and SETUP and started a second time")
def close_at_once(stack, binary):
    server = Server(stack, binary, OWN_COMMAND % ("0s", FFMPEG))
    client = held_reader(stack, server)
    expect(client.answer()[0] == 200, "DESCRIBE is not answered with 200")
    wait_until(lambda: "command stopped: not needed by anyone" in server.log(), "the command is stopped", 0.5)
    wait_until(lambda: not server.ready("cam"), "the publisher has gone")
    client.send("SETUP", f"{client.url}/trackID=0", Transport="RTP/AVP/TCP;unicast;interleaved=0-1")
    wait_until(lambda: server.log().count(STARTED) == 2, "the command is started again")


@check("close-after 1s with an own command: one start, and the path is gone a second after the reader")
def own_command(stack, binary):
    server = Server(stack, binary, OWN_COMMAND % ("1s", FFMPEG))
    client = held_reader(stack, server)
    expect(client.answer()[0] == 200, "DESCRIBE is not answered with 200")
    client.play()
    wait_until(lambda: client.packets, "the reader gets packets")
    client.close()
    left = time.monotonic()
    wait_until(lambda: not server.ready("cam"), "the path is not ready")
    seconds = time.monotonic() - left
    expect(0.95 <= seconds <= 2.5, f"it took {seconds:.2f} s")
    expect(server.log().count(STARTED) == 1, "the command was started more than once")


@check("runOnDemandRestart starts the command again after 5 s, and calls every exit code 0")
def restart(stack, binary):
    server = server_with(stack, binary, CYCLE + "    runOnDemandRestart: yes\n")
    # By the kernel's clock: when a run was begun and when it ends. What a shell takes to begin is no pause.
    server.script("on.sh", "read -r fields < /proc/$$/stat; set -- $fields; read -r now rest < /proc/uptime\n"
                  f'echo "${{22}} $now" >> {server.folder}/on; exit 3')
    # A publisher that is there keeps the cycle alive while the command is started again.
    in_cycle(stack, server)
    runs = wait_until(lambda: len(server.lines("on")) > 1 and server.lines("on")[:2], "the second run")
    end, begin = float(runs[0].split()[1]), int(runs[1].split()[0]) / os.sysconf("SC_CLK_TCK")
    seconds = begin - end
    expect(4.9 <= seconds <= 5.5, f"the pause was {seconds:.2f} s")
    expect("runOnDemand command exited: command exited with code 0" in server.log(), "the log says something else")


@check("hooks have no shell: words are split, then $NAME is replaced and $$ $? $1 are swallowed")
def words(stack, binary):
    server = server_with(stack, binary, "paths:\n  cam:\n    runOnDemandStartTimeout: 1s\n    runOnDemand: "
                         "'{folder}/words.sh a${MTX_PATH}b \"two $MTX_PATH\" x$$y $? $1z $(q) $NO_SUCH_NAME.'\n")
    server.script("words.sh", f'for word; do echo "<$word>"; done > {server.folder}/words.new\n'
                  f"mv {server.folder}/words.new {server.folder}/words")
    held_reader(stack, server)
    got = wait_until(lambda: server.lines("words"), "the hook runs")
    wanted = ["<acamb>", "<two cam>", "<xy>", "<>", "<z>", "<$(q)>", "<.>"]
    expect(got == wanted, f"the hook got {got}")


@check("a hook leads its own process group and is stopped with SIGINT")
def process_group(stack, binary):
    server = server_with(stack, binary, SHORT)
    server.script("on.sh", f"trap 'echo INT >> {server.folder}/end; exit' INT\n"
                  f"cut -d' ' -f1,5 /proc/$$/stat > {server.folder}/on\nwhile :; do sleep 0.05; done")
    held_reader(stack, server)
    process, group = wait_until(lambda: server.lines("on"), "the hook runs")[0].split()
    expect(process == group, f"process {process} is in group {group}")
    wait_until(lambda: server.lines("end") == ["INT"], "the hook gets SIGINT")


@check("a hook that ignores SIGINT holds up the end of the server; with the hook gone the exit status is 0")
def stubborn_hook(stack, binary):
    server = server_with(stack, binary, SHORT)
    process = hook_that_stays(stack, server)
    server.process.terminate()
    wait_until(lambda: "waiting for running hooks" in server.log(), "the server waits for hooks")
    stays(lambda: server.running, "the server waits", QUIET_SECONDS)
    os.kill(process, signal.SIGKILL)
    status = server.exit_status()
    expect(status == 0, f"exit status {status}")


@check("SIGKILL of the server leaves its hooks running")
def killed_server(stack, binary):
    server = server_with(stack, binary, SHORT)
    process = hook_that_stays(stack, server)
    server.process.kill()
    server.process.wait()
    stays(lambda: alive(process), "the hook runs", QUIET_SECONDS)


def hook_that_stays(stack, server):
    """The process id of a hook that ignores SIGINT."""
    server.script("on.sh", f"trap '' INT\necho $$ > {server.folder}/on\nexec sleep 30")
    held_reader(stack, server)
    process = int(wait_until(lambda: server.lines("on"), "the hook runs")[0])
    stack.callback(lambda: alive(process) and os.kill(process, signal.SIGKILL))
    return process


def alive(process):
    try:
        with open(f"/proc/{process}/cmdline", encoding="utf-8") as file:
            return file.read().startswith("sleep")
    except FileNotFoundError:
        return False


@check("a command that does not exist is logged, and the reader waits the whole start timeout")
def missing_command(stack, binary):
    server = Server(stack, binary, "paths:\n  cam:\n    runOnDemand: /no/such/command\n"
                    "    runOnDemandStartTimeout: 600ms\n")
    status, _ = held_reader(stack, server).answer()
    expect(status == 400, f"the reader got {status}")
    expect("runOnDemand command exited:" in server.log(), "the log does not say it")


@check("a pulled camera: always on, and on demand with its close-after")
def pulled(stack, binary):
    camera = Server(stack, binary, "paths:\n  cam:\n")
    publisher(stack, camera, "cam")
    settings = f"paths:\n  cam:\n    source: {camera.url('cam')}\n  asked:\n    source: {camera.url('cam')}\n" \
        "    sourceOnDemand: yes\n    sourceOnDemandCloseAfter: 600ms\n"
    server = Server(stack, binary, settings + "    rtspTransport: tcp\n")
    wait_until(lambda: server.ready("cam"), "the camera is pulled")
    expect(server.path("cam")["source"] == {"type": "rtspSource", "id": ""}, "the source is shown otherwise")
    reader(stack, server, "cam")
    expect(not server.ready("asked"), "pulled without demand")
    last = reader(stack, server, "asked")
    last.close()
    wait_until(lambda: not server.ready("asked"), "the camera is let go", 3)
    end_process(camera.process)
    wait_until(lambda: not server.ready("cam"), "the loss of the camera is seen")
