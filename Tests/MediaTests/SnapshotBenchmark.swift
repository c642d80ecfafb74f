import Domain
import Foundation
import Media
import TestSupport
import Testing

/// Numbers, printed and not judged; beside `ffmpeg` on the same file in the same run. Only in the long form.
@Suite(.serialized, .enabled(if: ProcessInfo.processInfo.environment["FRAMEKEEPER_TEST_FULL"] != nil))
struct SnapshotBenchmark {
    private static func median(_ values: [Duration]) -> String {
        String(format: "%.1f ms", values.sorted()[values.count / 2].seconds * 1000)
    }

    @Test(arguments: [1, 2]) func snapshotsOfFullHD(gopSeconds: Int) throws {
        let fixtures = try MediaFixtures()
        let clip = try fixtures.clip(
            "clip.mp4", seconds: 6, size: "1920x1080", rate: 30,
            video: ["-preset", "veryfast", "-bf", "0", "-g", "\(30 * gopSeconds)", "-b:v", "4M"])
        let count = SnapshotTests.Counter()
        let source = MediaSources.undecoded(.init(path: clip, atFullSpeed: true), clock: count.next)
        let format = try source.open()
        var packets: [Packet] = []
        while case .packet(let packet) = try source.next() { packets.append(packet) }
        source.close()
        let keys = packets.indices.filter { packets[$0].isKey }
        let places = [
            ("on the key frame", 0), ("mid-group", 15 * gopSeconds), ("before the next", 30 * gopSeconds - 1),
        ]
        for (place, offset) in places {
            for width in [nil, 640] {
                let spans = try keys.flatMap { key in [key, key, key] }.map { key in
                    let began = SystemClock.now()
                    let wish = SnapshotWish(moment: packets[key + offset].arrival, width: width)
                    _ = try SnapshotMaker().make(wish, from: packets[key...], format: format)
                    return SystemClock.now() - began
                }
                print(
                    "snapshot, 1080p30, group of \(gopSeconds) s, \(place),",
                    "\(width.map { "\($0) wide" } ?? "native"): median \(Self.median(spans)) of \(spans.count)")
            }
            let peers = try (0..<7).map { _ in
                let began = SystemClock.now()
                let start = String(format: "%.4f", Double(keys[1] + offset) / 30)
                try fixtures.ffmpeg([
                    "-ss", start, "-i", clip, "-frames:v", "1", "-q:v", "5", fixtures.path("peer.jpg"),
                ])
                return SystemClock.now() - began
            }
            print("  beside: ffmpeg -ss … -frames:v 1, \(place): median \(Self.median(peers))")
        }
    }
}
