import Domain
import Logging
import ServiceKit
import Synchronization
import Testing

@Suite("The log")
struct LogTests {
    private static let time = WallTime(milliseconds: 1_772_368_200_250)

    private func line(_ message: String, _ fields: [(key: String, value: String)] = []) -> String {
        LogLine.text(at: Self.time, level: "info", service: "capture-worker", message: message, fields: fields)
    }

    @Test("One line: time, level, service, message, fields")
    func format() {
        #expect(
            line("segment closed", [("camera", "front"), ("segment", "3")])
                == "2026-03-01T12:30:00.250Z info service=capture-worker segment closed camera=front segment=3")
        #expect(line("x", [("reason", "no such file")]).hasSuffix("reason=\"no such file\""))
        #expect(line("x", [("reason", "a \"b\" \\ c")]).hasSuffix("reason=\"a \\\"b\\\" \\\\ c\""))
        #expect(line("x", [("empty", "")]).hasSuffix("empty=\"\""))
    }

    @Test("Foreign text can neither forge a line nor move the cursor")
    func hostile() {
        let forged = line("a\n2026 error service=x", [("k", "b\r\u{1B}[2Jc\u{9B}d")])
        #expect(!forged.unicodeScalars.contains { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) })
        #expect(line(String(repeating: "x", count: 100_000)).count < 2 * LogLine.valueCharactersMax)
    }

    @Test("Credentials in an address never reach the log")
    func credentials() {
        let text = line(
            "cannot open rtsp://user:secret@10.0.0.2/main and mqtt://h:1", [("url", "rtsps://a:b@c@host/x?y=@z")])
        #expect(!text.contains("secret"))
        #expect(text.contains("rtsp://***@10.0.0.2/main and mqtt://h:1"))
        #expect(text.hasSuffix("url=\"rtsps://***@host/x?y=@z\""))
    }

    @Test("The same message is written once a second, with the count of those left out")
    func flood() {
        var limiter = FloodLimiter()
        let start = MonotonicTime(nanoseconds: 0)
        #expect(limiter.decide("a", at: start) == .write(repeated: 0))
        #expect(limiter.decide("a", at: start + .milliseconds(10)) == .leaveOut)
        #expect(limiter.decide("b", at: start + .milliseconds(10)) == .write(repeated: 0))
        #expect(limiter.decide("a", at: start + .milliseconds(999)) == .leaveOut)
        #expect(limiter.decide("a", at: start + .seconds(1)) == .write(repeated: 2))
        #expect(limiter.decide("a", at: start + .seconds(5)) == .write(repeated: 0))
    }

    @Test("A flood of different messages keeps the table small and the newest in it")
    func floodOfKeys() {
        var limiter = FloodLimiter()
        for number in 0..<10_000 {
            let now = MonotonicTime(nanoseconds: Int64(number) * 1000)
            #expect(limiter.decide("key \(number)", at: now) == .write(repeated: 0))
        }
        #expect(limiter.decide("key 9999", at: MonotonicTime(nanoseconds: 10_000_000)) == .leaveOut)
    }

    @Test("Warnings of two cameras are two, information is never left out")
    func handler() {
        let lines = Lines()
        let handler = LineLogHandler(service: "test", level: .info) { lines.append($0) }
        let logger = Logger(label: "test") { _ in handler }
        for camera in ["front", "front", "back"] {
            logger.warning("stalled", metadata: ["camera": "\(camera)"])
            logger.info("seen", metadata: ["camera": "\(camera)"])
            logger.debug("not at this level")
        }
        let written = lines.all
        #expect(written.filter { $0.contains(" warning service=test stalled camera=") }.count == 2)
        #expect(written.filter { $0.contains(" info service=test seen camera=") }.count == 3)
        #expect(written.count == 5)
    }

    @Test("What strangers ask for in vain fills no log, and two revisions in force are two lines")
    func foreignFlood() {
        let lines = Lines()
        let handler = LineLogHandler(service: "test", level: .info) { lines.append($0) }
        let logger = Logger(label: "test") { _ in handler }
        for number in 0..<1000 {
            logger.notice("command refused", metadata: ["topic": "groups/\(number)/recording/set"])
        }
        // More than one only where the thousand take more than a second.
        #expect(lines.all.count { $0.contains(" notice service=test command refused ") } < 100)
        for revision in [7, 8] { logger.notice("in force", metadata: ["revision": "\(revision)"]) }
        #expect(lines.all.count { $0.contains(" in force revision=") } == 2)
    }

    private final class Lines: Sendable {
        private let lines = Mutex<[String]>([])
        func append(_ line: String) { lines.withLock { $0.append(line) } }
        var all: [String] { lines.withLock { $0 } }
    }
}
