import Domain
import Foundation
import Media
import Synchronization
import TestSupport

/// Webcams that are files, for libv4l2 and whatever uses it: an emulation (Tests/VideoDevices/emulation). A program
/// that is started by `launcher` sees a /dev with nothing but these cameras; they change under its hands.
///
/// In memory, since cameras write 18 MB/s each.
final class EmulatedCameras: Sendable {
    let folder: String
    let launcher: [String]
    private let cameras = Mutex<[String: [String]]>([:])

    /// What a camera offers, and the pictures that it delivers over and over.
    struct Mode {
        var format: String
        var width = 320
        var height = 180
        var fps = 30
        var clip: String
    }

    init() throws {
        let folder = "/dev/shm/framekeeper-\(UUID().uuidString.prefix(8))"
        self.folder = folder
        for name in ["dev/v4l/by-id", "plugins"] {
            try FileManager.default.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
        }
        let sources = try Products.project("Tests/VideoDevices/emulation")
        launcher = ["\(sources)/run.sh", "\(folder)/plugins", "\(folder)/dev"]
        try MediaFixtures().run(
            "cc",
            [
                "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", "\(folder)/plugins/camera.so",
                "\(sources)/camera-plugin.c",
            ])
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    /// Writes pictures down for cameras to deliver.
    func clip(_ name: String, _ pictures: [[UInt8]]) throws -> String {
        var whole = Data()
        for picture in pictures {
            withUnsafeBytes(of: UInt32(picture.count)) { whole.append(contentsOf: $0) }
            whole.append(contentsOf: picture)
        }
        let path = "\(folder)/\(name)"
        try whole.write(to: URL(fileURLWithPath: path))
        return path
    }

    /// Plugs a camera in as `/dev/<node>`; with a `stableName` in /dev/v4l/by-id if it has a serial number.
    func plug(_ node: String, card: String, _ modes: [Mode], stableName: String? = nil) throws {
        let lines =
            ["framekeeper-camera", "card=\(card)", "bus=usb-\(node)"]
            + modes.map { "mode=\($0.format) \($0.width)x\($0.height) \($0.fps)/1 \($0.clip)" }
        cameras.withLock { $0[node] = lines }
        var page = Data(lines.joined(separator: "\n").utf8 + [0x0a])
        page.append(Data(count: 16_384 - page.count))
        try page.write(to: URL(fileURLWithPath: "\(folder)/dev/\(node)"))
        guard let stableName else { return }
        let link = "\(folder)/dev/v4l/by-id/\(stableName)"
        try? FileManager.default.removeItem(atPath: link)
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "../../\(node)")
    }

    /// From now on: `silent=1`, `lose=3`, …; takes the place of what was said of the same before.
    func tell(_ node: String, _ words: String...) throws {
        let lines = cameras.withLock { cameras in
            var lines = cameras[node] ?? []
            for word in words {
                let key = word.prefix { $0 != "=" } + "="
                lines = lines.filter { !$0.hasPrefix(key) } + [word]
            }
            cameras[node] = lines
            return lines
        }
        var page = Data(lines.joined(separator: "\n").utf8 + [0x0a])
        page.append(Data(count: 4096 - page.count))
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: "\(folder)/dev/\(node)"))
        try file.write(contentsOf: page)
        try file.close()
    }

    /// How the camera's brightness stands, asked of the camera and not of who has it open (camera-file.h, `facts`).
    func brightness(_ node: String) throws -> Int? {
        let file = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/dev/\(node)"))
        let facts = file.dropFirst(4096).prefix(20).withUnsafeBytes { bytes in
            (0..<bytes.count / 4).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Int32.self) }
        }
        return facts.count == 5 && facts[4] != 0 ? Int(facts[1]) : nil
    }

    /// The camera is gone: for whoever has it open, and its node and names with it.
    func unplug(_ node: String) throws {
        try tell(node, "gone=1")
        try FileManager.default.removeItem(atPath: "\(folder)/dev/\(node)")
        let names = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/dev/v4l/by-id")
        for name in names.map({ "\(folder)/dev/v4l/by-id/\($0)" })
        where try FileManager.default.destinationOfSymbolicLink(atPath: name) == "../../\(node)" {
            try FileManager.default.removeItem(atPath: name)
        }
    }

    /// Runs `body` with `framekeeper` in this /dev, and answers what it printed.
    func framekeeper(_ arguments: String..., under wrapper: [String] = []) async throws -> String {
        try await Tool.run(launcher[0], launcher.dropFirst() + wrapper + [Products.path("framekeeper")] + arguments)
    }

    /// ffmpeg reads an emulated camera through libv4l's preload library; it knows no libv4l2 itself.
    static func preload() async throws -> String {
        let libraries = try await Tool.run("pkg-config", ["--variable=libdir", "libv4l2"])
        return "LD_PRELOAD=\(libraries.trimmingCharacters(in: .whitespacesAndNewlines))/libv4l/v4l2convert.so"
    }
}

extension EmulatedCameras {
    static let frames = 60

    /// The numbered test pattern, 320x180, as each kind of camera would deliver it.
    func numberedClips() throws -> (raw: String, jpeg: String, coded: String) {
        let fixtures = try MediaFixtures()
        var copy = MediaCopy(storage: fixtures.folder, segmentSeconds: .seconds(600))
        copy.framesMax = Self.frames
        try copy.run(NumberedPattern.source())
        guard let recorded = copy.paths.first else { throw CodedError(.internal, "no pattern") }
        return (
            try clip("raw", CameraPictures.raw(recorded, pixelFormat: "yuyv422", bytesEach: 320 * 180 * 2)),
            try clip("jpeg", CameraPictures.jpeg(recorded)),
            try clip("coded", CameraPictures.h264(recorded, gop: 15))
        )
    }
}
