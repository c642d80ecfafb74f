internal import Domain
internal import Foundation
internal import Synchronization

/// A MediaMTX of its own on free loopback ports, in a folder of its own: the binary that `$FRAMEKEEPER_MEDIAMTX` names,
/// else `mediamtx` on PATH, else the stand-in of this repository. Dies with this object.
package final class MediaServerProcess: Sendable {
    package let folder: TestFolder
    package let apiPort: Int
    package let rtspPort: Int
    package let user: (name: String, password: String)?
    private let isClosed: Bool
    private let changePause: Duration
    private let process = Mutex<ChildProcess?>(nil)

    package var api: String { "http://127.0.0.1:\(apiPort)" }
    package var rtsp: String { "rtsp://127.0.0.1:\(rtspPort)" }
    package var configPath: String { folder.path("mediamtx.yml") }
    package var log: String { String(decoding: (try? folder.bytes("log")) ?? [], as: UTF8.self) }

    /// - Parameters:
    ///   - paths: YAML, indented, below `paths:`.
    ///   - isAPIOn: false: as its operator may leave it.
    ///   - user: who alone may use the API; nil: anyone.
    ///   - isClosed: whether nobody but the user may publish and read, either.
    ///   - changePause: how long the stand-in takes from its yes to a change until the change; the real one decides
    ///     for itself.
    package init(
        paths: String = "", isAPIOn: Bool = true, user: (name: String, password: String)? = nil, isClosed: Bool = false,
        changePause: Duration = .zero
    ) throws {
        folder = try TestFolder()
        apiPort = try MosquittoBroker.freePort()
        rtspPort = try MosquittoBroker.freePort()
        self.user = user
        self.isClosed = isClosed
        self.changePause = changePause
        try write(paths: paths, isAPIOn: isAPIOn)
    }

    /// The file's text. Comments and order are part of it, so that a test can see them kept.
    package func text(paths: String = "", isAPIOn: Bool = true) -> String {
        let access =
            user.map { user in
                """
                authInternalUsers:
                \(isClosed ? "" : "  - user: any\n    permissions: [{action: publish}, {action: read}]")
                  - user: \(user.name)
                    pass: \(user.password)
                    permissions: [{action: api}, {action: publish}, {action: read}]

                """
            } ?? ""
        return """
            # A test's own media server.
            api: \(isAPIOn ? "yes" : "no")   # the control API
            apiAddress: 127.0.0.1:\(apiPort)
            rtspAddress: 127.0.0.1:\(rtspPort)
            rtspTransports: [tcp]
            rtmp: no
            hls: no
            webrtc: no
            srt: no
            moq: no
            \(access)
            paths:
            \(paths)
            """
    }

    package func write(paths: String = "", isAPIOn: Bool = true) throws {
        try folder.write(Array(text(paths: paths, isAPIOn: isAPIOn).utf8), to: "mediamtx.yml")
    }

    /// - Parameter isAPIOn: whether to wait for the API or only for RTSP.
    package func start(isAPIOn: Bool = true) async throws {
        let child = try ChildProcess(
            [
                "/usr/bin/env", "MEDIAMTX_STANDIN_AUTH_PAUSE=0.2",
                "MEDIAMTX_STANDIN_CHANGE_PAUSE=\(changePause.seconds)",
            ] + Self.program + [configPath], output: folder.path("log"))
        process.withLock { $0 = child }
        let port = isAPIOn ? apiPort : rtspPort
        try await eventually("the media server listens on \(port)") {
            guard child.exitStatus() == nil else {
                throw ChildProcess.StartFailed(description: "the media server ended: \(log)")
            }
            return try Self.isTaken(port)
        }
    }

    /// SIGKILL, as the kernel does it to a process that is too large.
    package func kill() { process.withLock { $0 = nil } }
    package var isRunning: Bool { process.withLock { $0.map { $0.exitStatus() == nil } ?? false } }
    /// SIGSTOP: connections stay and new ones are taken, nothing answers.
    package func pause() { process.withLock { $0?.signal(SIGSTOP) } }
    package func resume() { process.withLock { $0?.signal(SIGCONT) } }

    private static var program: [String] {
        if let named = ProcessInfo.processInfo.environment["FRAMEKEEPER_MEDIAMTX"], !named.isEmpty { return [named] }
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        if let found = folders.first(where: { access("\($0)/mediamtx", X_OK) == 0 }) { return ["\(found)/mediamtx"] }
        let here = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        return ["/usr/bin/python3", here.appendingPathComponent("../../Tests/MediaMTX/mediamtx").standardized.path]
    }

    private static func isTaken(_ port: Int) throws -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw ChildProcess.StartFailed(description: "socket") }
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }

    // MARK: Publishers and readers

    /// A small test picture, ten times a second, until the process is let go of.
    package func publish(_ path: String) throws -> ChildProcess {
        try ChildProcess(
            [
                "ffmpeg", "-nostdin", "-loglevel", "error", "-re", "-f", "lavfi", "-i",
                "testsrc2=size=320x240:rate=10", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency",
                "-g", "10", "-f", "rtsp", "-rtsp_transport", "tcp", "\(rtsp)/\(path)",
            ], output: folder.path("publisher.log"))
    }

    /// A viewer that takes everything and shows nothing.
    package func read(_ path: String) throws -> ChildProcess {
        try ChildProcess(
            [
                "ffmpeg", "-nostdin", "-loglevel", "error", "-rtsp_transport", "tcp", "-i", "\(rtsp)/\(path)", "-c",
                "copy", "-f", "null", "-",
            ], output: folder.path("reader.log"))
    }
}
