import Domain
import Foundation
import TestSupport

/// Source files made by ffmpeg, and what is coded in them.
struct Clip {
    enum Kind: String, CaseIterable, CustomStringConvertible {
        case h264, bFrames, h265, withAudio, longGOP, changesFormat
        var description: String { rawValue }
    }

    let path: String
    let kind: Kind
    let seconds: Int

    /// Makes a clip of `seconds` at 30 fps, 160x120.
    static func make(_ kind: Kind, seconds: Int, in folder: String) async throws -> Clip {
        switch kind {
        case .h264: return try await encode(kind, seconds, folder, x264("bframes=0:keyint=30"))
        case .bFrames:
            return try await encode(kind, seconds, folder, x264("bframes=3:b-adapt=0:keyint=45:min-keyint=45"))
        case .h265:
            return try await encode(
                kind, seconds, folder,
                [
                    "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "keyint=60:log-level=none", "-tag:v",
                    "hvc1",
                ])
        case .withAudio:
            return try await encode(
                kind, seconds, folder, x264("bframes=2:keyint=30") + ["-c:a", "aac", "-b:a", "48k"],
                audio: true)
        case .longGOP:
            return try await encode(kind, seconds, folder, x264("bframes=0:keyint=300:min-keyint=300:scenecut=0"))
        case .changesFormat: return try await changing(seconds, folder)
        }
    }

    private static func x264(_ parameters: String) -> [String] {
        ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-x264-params", parameters]
    }

    private static func encode(
        _ kind: Kind, _ seconds: Int, _ folder: String, _ codec: [String], audio: Bool = false,
        size: String = "160x120", fps: Int = 30, name: String? = nil, container: String = "mp4"
    ) async throws -> Clip {
        let path = "\(folder)/\(name ?? kind.rawValue).\(container)"
        let sound = audio ? ["-f", "lavfi", "-i", "sine=frequency=440:duration=\(seconds)"] : []
        _ = try await Tool.run(
            "ffmpeg",
            ["-y", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=\(size):rate=\(fps):duration=\(seconds)"]
                + sound + codec + [path])
        return Clip(path: path, kind: kind, seconds: seconds)
    }

    /// A transport stream whose size and rate change twice.
    private static func changing(_ seconds: Int, _ folder: String) async throws -> Clip {
        let third = max(seconds / 3, 1)
        let shapes = [("160x120", 30), ("192x144", 30), ("160x120", 15)]
        var pieces: [String] = []
        for (number, shape) in shapes.enumerated() {
            let piece = try await encode(
                .changesFormat, third, folder, x264("bframes=0:keyint=\(shape.1)"), size: shape.0, fps: shape.1,
                name: "piece\(number)", container: "ts")
            pieces.append(piece.path)
        }
        let list = "\(folder)/pieces.txt"
        try pieces.map { "file '\($0)'" }.joined(separator: "\n").write(
            toFile: list, atomically: true, encoding: .utf8)
        let path = "\(folder)/changing.ts"
        _ = try await Tool.run(
            "ffmpeg", ["-y", "-v", "error", "-f", "concat", "-safe", "0", "-i", list, "-c", "copy", path])
        return Clip(path: path, kind: .changesFormat, seconds: third * 3)
    }

    /// Of the slowest part: one frame.
    var frameSeconds: Double { kind == .changesFormat ? 1.0 / 15 : 1.0 / 30 }

    var isH265: Bool { kind == .h265 }
}

/// The coded pictures of a file: a hash of each slice, in order.
enum CodedPictures {
    static func hashes(of path: String, isH265: Bool) async throws -> [UInt64] {
        let out = try Scratch.folder() + "/stream"
        defer { try? FileManager.default.removeItem(atPath: (out as NSString).deletingLastPathComponent) }
        let format = isH265 ? "hevc" : "h264"
        _ = try await Tool.run(
            "ffmpeg",
            [
                "-y", "-v", "error", "-i", path, "-map", "0:v", "-c", "copy", "-bsf:v", "\(format)_mp4toannexb", "-f",
                format, out,
            ])
        return sliceHashes(in: [UInt8](try Data(contentsOf: URL(fileURLWithPath: out))), isH265: isH265)
    }

    /// Slices are NAL units of types 1 to 5 (H.264 table 7-1), 0 to 31 (H.265 table 7-1).
    private static func sliceHashes(in bytes: [UInt8], isH265: Bool) -> [UInt64] {
        var hashes: [UInt64] = []
        for unit in units(in: bytes) {
            guard let first = unit.first else { continue }
            let type = isH265 ? (first >> 1) & 0x3F : first & 0x1F
            guard isH265 ? type < 32 : (1...5).contains(type) else { continue }
            hashes.append(fnv(unit))
        }
        return hashes
    }

    private static func units(in bytes: [UInt8]) -> [ArraySlice<UInt8>] {
        var starts: [(code: Int, body: Int)] = []
        var index = 0
        while index + 2 < bytes.count {
            if bytes[index + 2] > 1 {
                index += 3
            } else if bytes[index] == 0, bytes[index + 1] == 0, bytes[index + 2] == 1 {
                starts.append((index, index + 3))
                index += 3
            } else {
                index += 1
            }
        }
        return starts.indices.map { number in
            var end = number + 1 < starts.count ? starts[number + 1].code : bytes.count
            while end > starts[number].body, bytes[end - 1] == 0 { end -= 1 }
            return bytes[starts[number].body..<end]
        }
    }

    /// FNV-1a.
    private static func fnv(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }

    /// Hashes of the audio packets, by libav's own framehash muxer.
    static func audioHashes(of path: String) async throws -> [String] {
        let text = try await Tool.run(
            "ffmpeg", ["-v", "error", "-i", path, "-map", "0:a", "-c", "copy", "-f", "framehash", "-"])
        return text.split(separator: "\n").filter { !$0.hasPrefix("#") }.compactMap {
            let fields = $0.split(separator: ",")
            return fields.count > 5 ? fields[5].trimmingCharacters(in: .whitespaces) : nil
        }
    }

    /// A checksum of each picture that ffmpeg decodes from `input`, in order of presentation, and what it said.
    static func decoded(_ input: [String]) async throws -> (pictures: [String], said: String) {
        let folder = try Scratch.folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let said = try await Tool.run(
            "ffmpeg",
            ["-y", "-v", "warning"] + input + ["-map", "0:v", "-fps_mode", "passthrough", "-f", "framecrc"]
                + ["\(folder)/pictures"])
        let text = try String(contentsOfFile: "\(folder)/pictures", encoding: .utf8)
        let pictures = text.split(separator: "\n").filter { !$0.hasPrefix("#") }.compactMap {
            $0.split(separator: ",").last.map { $0.trimmingCharacters(in: .whitespaces) }
        }
        return (pictures, said)
    }

    /// In seconds, as ffprobe sees the video track.
    static func duration(of path: String) async throws -> Double {
        let text = try await Tool.run(
            "ffprobe",
            [
                "-v", "error", "-select_streams", "v", "-show_entries", "packet=dts_time,duration_time", "-of",
                "csv=p=0", path,
            ])
        var first: Double?
        var end = 0.0
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: ",").compactMap { Double($0) }
            guard let start = fields.first else { continue }
            first = first ?? start
            end = max(end, start + (fields.count > 1 ? fields[1] : 0))
        }
        return end - (first ?? 0)
    }
}
