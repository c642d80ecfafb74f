internal import Bus
internal import Domain
internal import Glibc
internal import ServiceKit

/// Where a command's answer goes. Colour and a progress bar appear only where a person looks: on a terminal, and not if
/// NO_COLOR is set (no-color.org).
struct Terminal: Sendable {
    enum Colour: String, Sendable {
        case bold = "1"
        case red = "31"
        case green = "32"
        case yellow = "33"
    }

    let isTerminal: Bool
    let hasColour: Bool
    let showsProgress: Bool

    init(environment: [String: String] = ServiceProcess.environment()) {
        isTerminal = isatty(STDOUT_FILENO) == 1
        let isPlain = environment["NO_COLOR"].map { !$0.isEmpty } ?? false || environment["TERM"] == "dumb"
        hasColour = isTerminal && !isPlain
        showsProgress = isatty(STDERR_FILENO) == 1 && environment["TERM"] != "dumb"
    }

    func coloured(_ text: String, _ colour: Colour) -> String {
        hasColour ? "\u{1B}[\(colour.rawValue)m\(text)\u{1B}[0m" : text
    }

    /// Ends the process quietly if nobody reads any more, as `… | head` does.
    func print(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { exit(errno == EPIPE ? ServiceExit.done.rawValue : ServiceExit.failed.rawValue) }
            rest = rest.dropFirst(count)
        }
    }

    /// What a person should know beside the answer: on standard error, so that the answer stays what it is.
    func remark(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        _ = write(STDERR_FILENO, bytes, bytes.count)
    }

    func print(json value: some Encodable) throws(CommandFailure) {
        do throws(CodedError) {
            print(String(decoding: try BusCodec.json(value), as: UTF8.self))
        } catch {
            throw CommandFailure(error)
        }
    }

    /// Overwrites one line on standard error.
    func progress(_ text: String, isLast: Bool = false) {
        guard showsProgress else { return }
        let bytes = Array(("\r\u{1B}[K" + (isLast ? "" : text)).utf8)
        _ = write(STDERR_FILENO, bytes, bytes.count)
    }
}
