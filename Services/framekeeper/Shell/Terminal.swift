internal import Bus
internal import Domain
internal import FramekeeperCore
internal import Glibc
internal import ServiceKit

/// Where a command's answer goes. Colour and a progress bar appear only where a person looks: on a terminal, and not if
/// NO_COLOR is set (no-color.org). A terminal whose TERM is `dumb` is written to like a file.
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
        let isDumb = environment["TERM"] == "dumb"
        isTerminal = isatty(STDOUT_FILENO) == 1 && !isDumb
        hasColour = isTerminal && environment["NO_COLOR"].map(\.isEmpty) ?? true
        showsProgress = isatty(STDERR_FILENO) == 1 && !isDumb
    }

    func coloured(_ text: String, _ colour: Colour) -> String {
        hasColour ? "\u{1B}[\(colour.rawValue)m\(text)\u{1B}[0m" : text
    }

    /// Ends the process quietly if nobody reads any more, as `… | head` does.
    func print(_ line: String, end: String = "\n") {
        let bytes = Array((line + end).utf8)
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { exit(errno == EPIPE ? ServiceExit.done.rawValue : ServiceExit.failed.rawValue) }
            rest = rest.dropFirst(count)
        }
    }

    /// As wide as the terminal, states in colour.
    func print(_ table: TextTable) {
        for line in table.lines(width: size?.columns, paint: painted) { print(line) }
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

    func painted(_ cell: String) -> String {
        switch StatusTone(cell: cell) {
        case .good: coloured(cell, .green)
        case .passing: coloured(cell, .yellow)
        case .bad: coloured(cell, .red)
        case nil: cell
        }
    }

    /// Columns and rows; nil where nobody looks.
    var size: (columns: Int, rows: Int)? {
        var window = winsize()
        guard isTerminal, ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &window) == 0, window.ws_col > 0, window.ws_row > 0
        else { return nil }
        return (Int(window.ws_col), Int(window.ws_row))
    }

    /// Puts these lines in the place of what the screen shows, without a flicker: each line is overwritten and its rest
    /// wiped. What does not fit below is left out.
    func redraw(_ lines: [String]) {
        let shown = size.map { lines.prefix(max($0.rows - 1, 1)) } ?? lines[...]
        print("\u{1B}[H" + shown.map { $0 + "\u{1B}[K\n" }.joined() + "\u{1B}[J", end: "")
    }

    /// Overwrites one line on standard error.
    func progress(_ text: String, isLast: Bool = false) {
        guard showsProgress else { return }
        let bytes = Array(("\r\u{1B}[K" + (isLast ? "" : text)).utf8)
        _ = write(STDERR_FILENO, bytes, bytes.count)
    }
}
