internal import Foundation
internal import Glibc

/// A real RTSP server that takes a published H.264 stream at `/camera` and wants a login: gst-rtsp-server, as Debian's
/// python3-gi offers it. What it takes goes into a file, as an Annex B stream.
package final class RTSPRelay {
    package let port: Int
    package let path: String
    private let process: ChildProcess

    package struct NotReady: Error {}

    private static let script = """
        import os, socket, sys, gi
        gi.require_version("Gst", "1.0")
        gi.require_version("GstRtsp", "1.0")
        gi.require_version("GstRtspServer", "1.0")
        from gi.repository import GLib, Gst, GstRtsp, GstRtspServer
        Gst.init(None)
        ready, path, digest, user, password = sys.argv[1:]
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server = GstRtspServer.RTSPServer()
        server.set_address("127.0.0.1")
        server.set_service(str(port))
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
        factory.set_launch(
            "( rtph264depay name=depay0 ! video/x-h264,stream-format=byte-stream,alignment=nal ! "
            f"filesink location={path} sync=false buffer-mode=unbuffered )")
        permissions = GstRtspServer.RTSPPermissions()
        for permission in ("access", "construct"):
            permissions.add_permission_for_role("camera", "media.factory." + permission, True)
        factory.set_permissions(permissions)
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "camera")
        if digest == "digest":
            auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
            auth.add_digest(user, password, token)
        else:
            auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
        server.set_auth(auth)
        server.get_mount_points().add_factory("/camera", factory)
        server.attach(None)
        with open(ready + ".new", "w") as file:
            file.write(str(port))
        os.rename(ready + ".new", ready)
        GLib.MainLoop().run()
        """

    /// Waits until it listens.
    package init(user: String, password: String, digest: Bool, folder: TestFolder) async throws {
        path = folder.path("relayed.h264")
        let ready = folder.path("port")
        let process = try ChildProcess(
            ["/usr/bin/python3", "-c", Self.script, ready, path, digest ? "digest" : "basic", user, password],
            output: folder.path("relay.log"))
        self.process = process
        port = try await eventually("the RTSP server listens") {
            guard process.exitStatus() == nil else { throw NotReady() }
            guard FileManager.default.fileExists(atPath: ready) else { return nil }
            return Int(try String(contentsOfFile: ready, encoding: .utf8))
        }
    }

    /// Connections are still made, by the system, and nothing on them is answered until `thaw`.
    package func freeze() { process.signal(SIGSTOP) }
    package func thaw() { process.signal(SIGCONT) }
    package func kill() { process.kill() }
}
