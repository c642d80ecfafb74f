internal import Glibc

/// `ffmpeg` as a server that takes one published stream and copies it into a file: a second opinion on what arrives.
///
/// It listens a moment after it was made; whoever publishes tries until it does. It ends with the stream.
package final class RTSPReceiver {
    package let url: String
    /// The file, complete once the process has ended.
    package let path: String
    private let process: ChildProcess

    /// `name` decides the container.
    package init(into name: String, of folder: TestFolder) throws {
        url = "rtsp://127.0.0.1:\(try MosquittoBroker.freePort())/camera"
        path = folder.path(name)
        process = try ChildProcess(
            [
                "ffmpeg", "-nostdin", "-y", "-v", "warning", "-rtsp_flags", "listen", "-i", url, "-map", "0", "-c",
                "copy",
                path,
            ], output: folder.path("receiver.log"))
    }

    package var hasEnded: Bool { process.exitStatus() != nil }
    /// Takes connections and data no more, without closing what is open.
    package func freeze() { process.signal(SIGSTOP) }
    package func kill() { process.kill() }
}
