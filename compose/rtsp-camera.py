#!/usr/bin/python3
"""An IP camera to try things with: H.264 or MJPEG over RTSP on loopback, a bouncing ball.

Usage: rtsp-camera.py [--listen ADDRESS] [--port PORT] [--size 640x360] [--fps 15] [--codec h264|mjpeg] [--gop FRAMES]

Serves rtsp://127.0.0.1:PORT/camera to any number of clients and prints that address when it is ready. PORT 0, the
default, takes a free one. MJPEG over RTP (RFC 2435) has sides that are multiples of 8, up to 2040.
"""
import argparse
import signal
import socket

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

CODERS = {
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max={gop} ! "
    "rtph264pay name=pay0 pt=96 config-interval=1",
    "mjpeg": "jpegenc ! rtpjpegpay name=pay0 pt=26",
}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--listen", default="127.0.0.1", metavar="ADDRESS")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--fps", type=int, default=15)
    parser.add_argument("--codec", choices=sorted(CODERS), default="h264")
    parser.add_argument("--gop", type=int, default=15, help="frames from key frame to key frame (H.264)")
    arguments = parser.parse_args()
    width, height = (int(side) for side in arguments.size.split("x"))
    if arguments.codec == "mjpeg" and any(side % 8 or not 8 <= side <= 2040 for side in (width, height)):
        parser.error("--size: with --codec mjpeg, sides are multiples of 8, up to 2040")
    Gst.init(None)
    loop = GLib.MainLoop()
    for number in (signal.SIGINT, signal.SIGTERM):
        GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, number, loop.quit)
    server = GstRtspServer.RTSPServer()
    server.set_address(arguments.listen)
    port = arguments.port or free_port()
    server.set_service(str(port))
    factory = GstRtspServer.RTSPMediaFactory()
    # One encoder for all clients, as in a camera.
    factory.set_shared(True)
    factory.set_launch(
        f"( videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width={width},height={height},"
        f"framerate={arguments.fps}/1 ! {CODERS[arguments.codec].format(gop=arguments.gop)} )"
    )
    server.get_mount_points().add_factory("/camera", factory)
    server.attach(None)
    print(f"rtsp://127.0.0.1:{port}/camera", flush=True)
    loop.run()


if __name__ == "__main__":
    main()
