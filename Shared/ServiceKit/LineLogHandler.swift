internal import Domain
internal import Glibc
package import Logging
internal import Synchronization

/// Where all log entries of the process end: one line each on standard error, one `write` per line so that the lines of
/// several processes do not mix. What others cause passes the flood limiter: errors, warnings, and notices, which is
/// the level of what strangers ask for and do not get. Information is the course of the process's own work: each line
/// names another file or session, and none is left out.
package struct LineLogHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    package var logLevel: Logger.Level

    private let service: String
    private let sink: Sink

    /// Takes a line, without its end.
    package typealias Output = @Sendable (String) -> Void

    /// Shared by all copies of a handler, since the flood is one.
    private final class Sink: Sendable {
        let limiter = Mutex(FloodLimiter())
        let output: Output
        init(output: @escaping Output) { self.output = output }
    }

    package init(service: String, level: Logger.Level, output: @escaping Output = LineLogHandler.standardError) {
        self.service = service
        logLevel = level
        sink = Sink(output: output)
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var all = metadata.merging(metadataProvider?.get() ?? [:]) { _, provided in provided }
        all.merge(event.metadata ?? [:]) { _, own in own }
        let now = ServiceClock.now()
        var fields = all.sorted { $0.key < $1.key }.map { (key: $0.key, value: "\($0.value)") }
        if let error = event.error { fields.append(("error", "\(error)")) }
        if event.level >= .notice {
            // The same trouble of two cameras is two messages; a growing count within one is not.
            let subject = ["camera", "child", "revision"].compactMap { all[$0].map { "\($0)" } }.joined(separator: " ")
            let key = "\(event.level) \(event.message) \(subject)"
            switch sink.limiter.withLock({ $0.decide(key, at: now.monotonic) }) {
            case .leaveOut: return
            case .write(repeated: 0): break
            case .write(let repeated): fields.append(("repeated", "\(repeated)"))
            }
        }
        sink.output(
            LogLine.text(
                at: now.wall, level: event.level.rawValue, service: service, message: "\(event.message)",
                fields: fields))
    }

    @Sendable package static func standardError(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            // A log that nobody takes any more must not stop the recording.
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}
