"""Publishers and readers: who may come, who has to go, and what they are told."""
import time

from fixture import ANNOUNCEMENT, RTSPClient, Server, expect, publisher, reader, stays, wait_until

from . import check

USERS = """\
authInternalUsers:
- user: any
  ips: [127.0.0.1]
  permissions:
  - action: api
- user: worker
  pass: secret
  permissions:
  - action: publish
    path: ~^cam
- user: viewer
  pass: sight
  permissions:
  - action: read
paths:
  cam:
  other:
"""
SDP = {"Content-Type": "application/sdp"}


@check("without credentials 401 and a challenge on the same connection; with right ones in")
def challenge(stack, binary):
    server = Server(stack, binary, USERS)
    client = RTSPClient(stack, server, "cam")
    status, headers = client.request("ANNOUNCE", body=ANNOUNCEMENT, **SDP)
    expect(status == 401 and headers.get("www-authenticate", "").startswith("Basic realm="), f"{status} {headers}")
    publisher(stack, server, "cam", "worker:secret")
    reader(stack, server, "cam", "viewer:sight")


@check("wrong credentials: 401 without a challenge, and the connection is closed")
def wrong_credentials(stack, binary):
    server = Server(stack, binary, USERS)
    for name, pair, method, body, headers in (
            ("cam", "worker:wrong", "ANNOUNCE", ANNOUNCEMENT, SDP), ("other", "worker:secret", "ANNOUNCE",
                                                                     ANNOUNCEMENT, SDP),
            ("cam", "worker:secret", "DESCRIBE", "", {}), ("cam", "viewer:wrong", "DESCRIBE", "", {})):
        client = RTSPClient(stack, server, name, pair)
        status, fields = client.request(method, body=body, **headers)
        expect(status == 401 and "www-authenticate" not in fields, f"{method} by {pair}: {status} {fields}")
        wait_until(client.closed.is_set, "the connection is closed")


@check("readers of a path that is not configured get 400, of one without a stream 404")
def no_stream(stack, binary):
    server = Server(stack, binary, "paths:\n  cam:\n")
    statuses = [RTSPClient(stack, server, name).request("DESCRIBE")[0] for name in ("nobody", "cam")]
    expect(statuses == [400, 404], f"statuses {statuses}")


@check("a second publisher cuts off the first and its readers")
def override(stack, binary):
    server = Server(stack, binary, "paths:\n  cam:\n")
    first = publisher(stack, server, "cam")
    watching = reader(stack, server, "cam")
    second = RTSPClient(stack, server, "cam").publish()
    wait_until(lambda: first.closed.is_set() and watching.closed.is_set(), "the first and the reader are cut off", 2)
    stays(lambda: server.ready("cam") and not second.closed.is_set(), "the second publishes", 0.3)


@check("overridePublisher: no refuses the second publisher with 400 and keeps the first")
def no_override(stack, binary):
    server = Server(stack, binary, "paths:\n  cam:\n    overridePublisher: no\n")
    first = publisher(stack, server, "cam")
    second = RTSPClient(stack, server, "cam")
    second.must("ANNOUNCE", body=ANNOUNCEMENT, **SDP)
    second.must("SETUP", f"{second.url}/streamid=0", Transport="RTP/AVP/TCP;unicast;interleaved=0-1;mode=record")
    status, _ = second.request("RECORD")
    expect(status == 400, f"RECORD was answered with {status}")
    stays(lambda: not first.closed.is_set(), "the first publishes", 0.3)


@check("maxReaders refuses the reader too many with 400")
def max_readers(stack, binary):
    server = Server(stack, binary, "paths:\n  cam:\n    maxReaders: 1\n")
    publisher(stack, server, "cam")
    reader(stack, server, "cam")
    second = RTSPClient(stack, server, "cam")
    second.must("DESCRIBE")
    status, _ = second.request("SETUP", f"{second.url}/trackID=0", Transport="RTP/AVP/TCP;unicast;interleaved=0-1")
    expect(status == 400, f"SETUP was answered with {status}")


@check("a silent publisher is dropped after readTimeout")
def silent_publisher(stack, binary):
    server = Server(stack, binary, "readTimeout: 1s\npaths:\n  cam:\n")
    client = publisher(stack, server, "cam")
    # Its packets stop, its connection does not.
    with client.sending:
        silent = time.monotonic()
        wait_until(lambda: not server.ready("cam"), "the path is not ready", 4)
        seconds = time.monotonic() - silent
    expect(0.9 <= seconds <= 2, f"it took {seconds:.2f} s")


@check("a kicked publisher and its readers are cut off")
def kick(stack, binary):
    server = Server(stack, binary, "paths:\n  cam:\n")
    source, watching = publisher(stack, server, "cam"), reader(stack, server, "cam")
    status, _ = server.json("POST", f"/v3/rtspsessions/kick/{server.path('cam')['source']['id']}")
    expect(status == 200, f"status {status}")
    wait_until(lambda: source.closed.is_set() and watching.closed.is_set(), "both are cut off", 2)
    expect(not server.ready("cam"), "the path is still ready")


@check("an unused path of all_others is not shown, a used one goes with its publisher")
def all_others(stack, binary):
    server = Server(stack, binary, "paths:\n  all_others:\n")
    expect(server.json("GET", "/v3/paths/list")[1]["items"] == [], "paths are shown")
    source = publisher(stack, server, "any/name")
    expect(server.path("any/name")["confName"] == "all_others", "the path has another configuration")
    source.close()
    wait_until(lambda: server.json("GET", "/v3/paths/get/any/name")[0] == 404, "the path is gone")


@check("the server ends at once on SIGTERM with streams running, with status 0")
def end(stack, binary):
    server = Server(stack, binary, "paths:\n  cam:\n")
    source, watching = publisher(stack, server, "cam"), reader(stack, server, "cam")
    server.process.terminate()
    status = server.exit_status(2)
    expect(status == 0, f"exit status {status}")
    wait_until(lambda: source.closed.is_set() and watching.closed.is_set(), "both are cut off", 2)
