internal import Foundation

/// A real RTSP camera on a free port of loopback: gst-rtsp-server, as Debian's python3-gi offers it. It serves one
/// GStreamer pipeline to any number of clients, until the fixture goes away.
package final class RTSPCamera {
    package let url: String
    private let process: ChildProcess
    private let folder: String

    package struct NotReady: Error {}

    private static let startSecondsMax = 20.0
    private static let script = """
        import socket, sys, gi
        gi.require_version("Gst", "1.0")
        gi.require_version("GstRtspServer", "1.0")
        from gi.repository import GLib, Gst, GstRtspServer
        Gst.init(None)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server = GstRtspServer.RTSPServer()
        server.set_address("127.0.0.1")
        server.set_service(str(port))
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_shared(True)
        factory.set_launch("( " + sys.argv[1] + " )")
        server.get_mount_points().add_factory("/camera", factory)
        server.attach(None)
        with open(sys.argv[2] + ".new", "w") as file:
            file.write(f"rtsp://127.0.0.1:{port}/camera")
        import os
        os.rename(sys.argv[2] + ".new", sys.argv[2])
        GLib.MainLoop().run()
        """

    /// `pipeline` ends in payloaders named `pay0` and, for a second track, `pay1`.
    package init(pipeline: String) throws {
        folder = NSTemporaryDirectory() + "framekeeper-camera-\(UUID().uuidString.lowercased())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let ready = "\(folder)/url"
        // Debian's own Python, whose modules these are.
        process = try ChildProcess(
            ["/usr/bin/python3", "-c", Self.script, pipeline, ready], output: "\(folder)/log")
        let deadline = Date(timeIntervalSinceNow: Self.startSecondsMax)
        while !FileManager.default.fileExists(atPath: ready) {
            guard process.exitStatus() == nil, Date() < deadline else { throw NotReady() }
            sched_yield()
        }
        url = try String(contentsOfFile: ready, encoding: .utf8)
    }

    /// Connections are still made, by the system, and nothing comes on them until `thaw`.
    package func freeze() { process.signal(SIGSTOP) }
    package func thaw() { process.signal(SIGCONT) }
    /// Ends the camera as a power cut would.
    package func kill() { process.kill() }

    deinit {
        process.kill()
        do {
            try FileManager.default.removeItem(atPath: folder)
        } catch {
            print("leftover of a test: \(folder): \(error)")
        }
    }
}
