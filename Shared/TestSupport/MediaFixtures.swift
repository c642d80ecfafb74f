internal import Foundation
package import Media

/// Small clips made by the `ffmpeg` command line tool, in a folder that goes away with the fixture. A second opinion:
/// what it makes and reads has not passed through our own code.
package final class MediaFixtures: Sendable {
    package let folder: String

    package init() throws {
        folder = NSTemporaryDirectory() + "framekeeper-media-\(UUID().uuidString.lowercased())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    deinit {
        do {
            try FileManager.default.removeItem(atPath: folder)
        } catch {
            print("leftover of a test: \(folder): \(error)")
        }
    }

    package struct ToolFailed: Error, CustomStringConvertible {
        package let description: String
    }

    package func path(_ name: String) -> String { "\(folder)/\(name)" }

    /// Runs `ffmpeg`; returns what it wrote to stderr at level warning.
    @discardableResult
    package func ffmpeg(_ arguments: [String]) throws -> String {
        let (status, output) = try output(of: "ffmpeg", ["-nostdin", "-y", "-v", "warning"] + arguments)
        guard status == 0 else { throw ToolFailed(description: "ffmpeg \(arguments): \(output)") }
        return output
    }

    /// What `ffprobe` prints for entries such as `format=duration`.
    package func ffprobe(_ entries: String, _ path: String) throws -> String {
        let (status, output) = try output(
            of: "ffprobe", ["-v", "error", "-show_entries", entries, "-of", "default=nw=1:nk=1", path])
        guard status == 0 else { throw ToolFailed(description: "ffprobe \(path): \(output)") }
        return output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// A test picture with a counter, coded as asked; the format follows from the name.
    package func clip(
        _ name: String, seconds: Int = 10, size: String = "192x108", rate: Int = 25, video: [String] = [],
        audio: [String]? = nil
    ) throws -> String {
        var arguments = ["-f", "lavfi", "-i", "testsrc2=size=\(size):rate=\(rate):duration=\(seconds)"]
        if audio != nil { arguments += ["-f", "lavfi", "-i", "sine=frequency=440:duration=\(seconds)"] }
        arguments += ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "\(rate)"]
        arguments += ["-x264-params", "log-level=error"] + video + (audio ?? [])
        try ffmpeg(arguments + [path(name)])
        return path(name)
    }

    /// The video of files one after the other, as an Annex B elementary stream.
    package func elementaryStream(of paths: [String], codec: String, into name: String) throws -> String {
        var whole = Data()
        for path in paths {
            let piece = self.path("piece.\(codec)")
            let filter = path.hasSuffix(".mp4") || path.hasSuffix(".mkv") ? ["-bsf:v", "\(codec)_mp4toannexb"] : []
            try ffmpeg(["-i", path, "-map", "0:v", "-c", "copy"] + filter + ["-f", codec, piece])
            whole += try Data(contentsOf: URL(fileURLWithPath: piece))
        }
        try whole.write(to: URL(fileURLWithPath: self.path(name)))
        return self.path(name)
    }

    /// The coded slices of an Annex B stream, in order.
    package func codedSlices(_ path: String, codec: ParameterSets.Codec) throws -> [[UInt8]] {
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        var slices: [[UInt8]] = []
        data.withUnsafeBytes { bytes in
            ParameterSets.forEachUnit(in: bytes, lengthSize: nil) { unit in
                if codec.isVCL(unit[unit.startIndex]) { slices.append(Array(unit)) }
            }
        }
        return slices
    }

    /// Runs any tool on PATH and expects it to succeed.
    package func run(_ tool: String, _ arguments: [String]) throws {
        let (status, output) = try output(of: tool, arguments)
        guard status == 0 else { throw ToolFailed(description: "\(tool) \(arguments): \(output)") }
    }

    private func output(of tool: String, _ arguments: [String]) throws -> (Int32, String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [tool] + arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, text)
    }
}
