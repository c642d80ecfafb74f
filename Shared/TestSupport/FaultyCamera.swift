internal import Foundation

/// An RTSP camera of its own on a free loopback port, with faults on demand. It plays a clip that `ffmpeg` makes, a
/// bouncing ball in a loop, to any number of clients. Goes away with this object.
package final class FaultyCamera: Sendable {
    /// What it does; takes effect at once, on connections that are open too.
    package enum Mode: String, Sendable, CaseIterable {
        case good
        /// Answers everything and sends nothing, without closing.
        case stall
        /// Takes connections and answers nothing.
        case hang
        /// Listens no more and closes what is open.
        case refuse
        /// Closes every connection two seconds after it has begun to play.
        case drop
        /// Answers every DESCRIBE with 404.
        case deny
        /// Sends packets that are none, as fast as they are taken.
        case flood
        /// Sends bytes without any framing now and then.
        case garbage
    }

    package let url: String
    package let pid: Int32
    private let folder: TestFolder
    private let process: ChildProcess

    package struct NotReady: Error {}

    /// - Parameters:
    ///   - fps: frames a second; less than one is a slow camera.
    ///   - gop: frames from key frame to key frame.
    ///   - frames: of the clip; a multiple of `gop` makes the loop seamless.
    package init(fps: Double = 15, gop: Int = 15, frames: Int? = nil, size: String = "160x120") async throws {
        let folder = try TestFolder()
        self.folder = folder
        let clip = folder.path("clip.h264")
        let count = frames ?? gop * max(1, Int((4 * fps / Double(gop)).rounded(.up)))
        let coding = "keyint=\(gop):min-keyint=\(gop):scenecut=0:aud=1:repeat-headers=1:bframes=0"
        let maker = try ChildProcess(
            [
                "ffmpeg", "-nostdin", "-y", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=\(size):rate=15",
                "-frames:v", "\(count)", "-c:v", "libx264", "-preset", "ultrafast", "-x264-params", coding, "-f",
                "h264", clip,
            ], output: folder.path("ffmpeg.log"))
        let made = try await eventually("the clip is made", within: .seconds(60)) { maker.exitStatus() }
        guard made == 0 else { throw NotReady() }
        let ready = folder.path("url")
        let process = try ChildProcess(
            ["/usr/bin/python3", try Self.program(), clip, folder.path("mode"), ready, "--fps", "\(fps)"],
            output: folder.path("camera.log"))
        self.process = process
        pid = process.pid
        url = try await eventually("the camera listens") {
            guard process.exitStatus() == nil else { throw NotReady() }
            guard FileManager.default.fileExists(atPath: ready) else { return nil }
            return try String(contentsOfFile: ready, encoding: .utf8)
        }
    }

    private static func program() throws -> String { try Products.project("Tests/Faults/faulty-camera.py") }

    package func become(_ mode: Mode) throws {
        // One rename: it never reads half a word.
        try folder.write(Array(mode.rawValue.utf8), to: "mode.new")
        try FileManager.default.moveItem(replacing: folder.path("mode"), by: folder.path("mode.new"))
    }

    package func kill() { process.kill() }
}

extension FileManager {
    fileprivate func moveItem(replacing old: String, by new: String) throws {
        guard rename(new, old) == 0 else { throw CocoaError(.fileWriteUnknown) }
    }
}
