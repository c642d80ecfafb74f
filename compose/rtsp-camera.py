#!/usr/bin/python3
"""An IP camera to try things with: H.264 over RTSP on loopback, a bouncing ball.

Usage: rtsp-camera.py [--port PORT] [--size 640x360] [--fps 15] [--gop FRAMES]

Serves rtsp://127.0.0.1:PORT/camera to any number of clients and prints that address when it is ready. PORT 0, the
default, takes a free one.
"""
import argparse
import signal
import socket

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--fps", type=int, default=15)
    parser.add_argument("--gop", type=int, default=15, help="frames from key frame to key frame")
    arguments = parser.parse_args()
    width, height = arguments.size.split("x")
    Gst.init(None)
    loop = GLib.MainLoop()
    for number in (signal.SIGINT, signal.SIGTERM):
        GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, number, loop.quit)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    port = arguments.port or free_port()
    server.set_service(str(port))
    factory = GstRtspServer.RTSPMediaFactory()
    # One encoder for all clients, as in a camera.
    factory.set_shared(True)
    factory.set_launch(
        f"( videotestsrc is-live=true pattern=ball ! video/x-raw,width={width},height={height},"
        f"framerate={arguments.fps}/1 ! x264enc tune=zerolatency speed-preset=ultrafast "
        f"key-int-max={arguments.gop} ! rtph264pay name=pay0 pt=96 config-interval=1 )"
    )
    server.get_mount_points().add_factory("/camera", factory)
    server.attach(None)
    print(f"rtsp://127.0.0.1:{port}/camera", flush=True)
    loop.run()


if __name__ == "__main__":
    main()
