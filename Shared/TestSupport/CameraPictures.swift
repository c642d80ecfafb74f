internal import Foundation

/// A clip's pictures one by one, as a camera would hand them over.
package enum CameraPictures {
    /// Raw pictures of a layout that libav knows by `pixelFormat`, without padding.
    package static func raw(_ clip: String, pixelFormat: String, bytesEach: Int) throws -> [[UInt8]] {
        let fixtures = try MediaFixtures()
        let path = fixtures.path("pictures.raw")
        try fixtures.ffmpeg(["-i", clip, "-pix_fmt", pixelFormat, "-f", "rawvideo", path])
        let whole = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        return (0..<whole.count / bytesEach).map { Array(whole[$0 * bytesEach..<($0 + 1) * bytesEach]) }
    }

    /// JPEG files.
    package static func jpeg(_ clip: String) throws -> [[UInt8]] {
        let fixtures = try MediaFixtures()
        try fixtures.ffmpeg(["-i", clip, "-c:v", "mjpeg", "-q:v", "2", "-f", "image2", fixtures.path("%05d.jpg")])
        let names = try FileManager.default.contentsOfDirectory(atPath: fixtures.folder).sorted()
        return try names.filter { $0.hasSuffix(".jpg") }.map { name in
            [UInt8](try Data(contentsOf: URL(fileURLWithPath: fixtures.path(name))))
        }
    }

    /// Access units of H.264 with start codes, a key frame every `gop` pictures, each with its parameter sets.
    package static func h264(_ clip: String, gop: Int) throws -> [[UInt8]] {
        let fixtures = try MediaFixtures()
        let path = fixtures.path("pictures.h264")
        try fixtures.ffmpeg([
            "-i", clip, "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p",
            "-x264-params", "aud=1:scenecut=0:log-level=error:keyint=\(gop):min-keyint=\(gop)", "-f", "h264", path,
        ])
        // Each begins with an access unit delimiter (Rec. ITU-T H.264, 7.4.1.2.3).
        let whole = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        var starts: [Int] = []
        for index in whole.indices.dropLast(4) where whole[index...].starts(with: [0, 0, 0, 1, 9]) {
            starts.append(index)
        }
        return zip(starts, starts.dropFirst() + [whole.count]).map { Array(whole[$0..<$1]) }
    }
}
