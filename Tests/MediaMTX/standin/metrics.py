"""The metrics page: paths, RTSP connections and RTSP sessions, each with the older names of the same numbers."""
from .web import Answer, WebServer

PATH_VALUES = (("paths_inbound_bytes", "inboundBytes"), ("paths_outbound_bytes", "outboundBytes"),
               ("paths_inbound_frames_in_error", "inboundFramesInError"))
PATH_VALUES_OLD = (("paths_bytes_received", "bytesReceived"), ("paths_bytes_sent", "bytesSent"))
CONNECTION_VALUES = (("rtsp_conns_inbound_bytes", "inboundBytes"), ("rtsp_conns_outbound_bytes", "outboundBytes"))
CONNECTION_VALUES_OLD = (("rtsp_conns_bytes_received", "bytesReceived"), ("rtsp_conns_bytes_sent", "bytesSent"))
SESSION_VALUES = tuple((f"rtsp_sessions_{name}", field) for name, field in (
    ("inbound_bytes", "inboundBytes"), ("inbound_rtp_packets", "inboundRTPPackets"),
    ("inbound_rtp_packets_lost", "inboundRTPPacketsLost"),
    ("inbound_rtp_packets_in_error", "inboundRTPPacketsInError"),
    ("inbound_rtp_packets_jitter", "inboundRTPPacketsJitter"), ("inbound_rtcp_packets", "inboundRTCPPackets"),
    ("inbound_rtcp_packets_in_error", "inboundRTCPPacketsInError"), ("outbound_bytes", "outboundBytes"),
    ("outbound_rtp_packets", "outboundRTPPackets"),
    ("outbound_rtp_packets_reported_lost", "outboundRTPPacketsReportedLost"),
    ("outbound_rtp_packets_discarded", "outboundRTPPacketsDiscarded"),
    ("outbound_rtcp_packets", "outboundRTCPPackets")))
SESSION_VALUES_OLD = tuple((f"rtsp_sessions_{name}", field) for name, field in (
    ("bytes_received", "bytesReceived"), ("bytes_sent", "bytesSent"),
    ("rtp_packets_received", "rtpPacketsReceived"), ("rtp_packets_sent", "rtpPacketsSent"),
    ("rtp_packets_lost", "rtpPacketsLost"), ("rtp_packets_in_error", "rtpPacketsInError"),
    ("rtp_packets_jitter", "rtpPacketsJitter"), ("rtcp_packets_received", "rtcpPacketsReceived"),
    ("rtcp_packets_sent", "rtcpPacketsSent"), ("rtcp_packets_in_error", "rtcpPacketsInError")))


class Metrics(WebServer):
    """`/metrics`. Has no own numbers: it prints what the API would show."""

    action = "metrics"
    name = "metrics"

    def __init__(self, core):
        super().__init__(core.settings["metricsAddress"], core.settings["metricsAllowOrigins"], core.access, core.log)
        self.core = core

    async def handle(self, request):
        if request.method != "GET" or request.path != "/metrics":
            return None
        return Answer(content="".join(f"{line}\n" for line in self._lines()), type="text/plain; charset=utf-8")

    def _lines(self):
        yield from path_lines([path.encoded() for path in self.core.paths.sorted()])
        if self.core.rtsp:
            connections = [(tags(id=item["id"]), item) for item in encoded(self.core.rtsp.connections)]
            yield from section("RTSP connections", "rtsp_conns", CONNECTION_VALUES, connections)
            yield from section("RTSP connections (deprecated)", None, CONNECTION_VALUES_OLD, connections)
            sessions = [(tags(id=item["id"], path=item["path"], remoteAddr=item["remoteAddr"], state=item["state"]),
                         item) for item in encoded(self.core.rtsp.sessions)]
            yield from section("RTSP sessions", "rtsp_sessions", SESSION_VALUES, sessions)
            yield from section("RTSP sessions (deprecated)", None, SESSION_VALUES_OLD, sessions)


def path_lines(paths):
    items = [(tags(name=path["name"], state="ready" if path["ready"] else "notReady"), path) for path in paths]
    if not items:
        yield from section("Paths", "paths", PATH_VALUES, [])
        yield from section("Paths (deprecated)", None, (*PATH_VALUES_OLD, ("paths_readers", "")), [])
        return
    yield "# Paths"
    for labels, path in items:
        yield f"paths{labels} 1"
        types = sorted({reader["type"] for reader in path["readers"]}) or [""]
        for kind in types:
            count = sum(reader["type"] == kind for reader in path["readers"])
            state = "ready" if path["ready"] else "notReady"
            yield f"paths_readers{tags(name=path['name'], readerType=kind, state=state)} {count}"
        for name, field in PATH_VALUES:
            yield f"{name}{labels} {path[field]}"
    yield ""
    yield from section("Paths (deprecated)", None, PATH_VALUES_OLD, items)


def section(title, head, values, items):
    """The lines of all items, or a zero for each name if there is none."""
    yield f"# {title}"
    if not items:
        for name in ([head] if head else []) + [name for name, _ in values]:
            yield f"{name} 0"
    for labels, item in items:
        if head:
            yield f"{head}{labels} 1"
        for name, field in values:
            yield f"{name}{labels} {item[field]}"
    yield ""


def tags(**values):
    return "{" + ",".join(f'{name}="{value}"' for name, value in values.items()) + "}"


def encoded(table):
    return [item.encoded() for item in table.values()]
