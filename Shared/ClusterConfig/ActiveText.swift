package import Domain

/// The text in force and what is known of it, as they lie in `<state_dir>/config/active.yml`.
///
/// The file is the text, an added line end, and one line of facts, a comment: so it is whole or not there, its line
/// numbers are those of the text, and a person can read it. The config-writer writes it; every process of a node that
/// `framekeeper up` started reads it in the place of the user's file, which may be broken at that moment.
package struct ActiveText: Sendable, Hashable {
    package var text: [UInt8]
    package var revision: Int
    package var appliedAt: WallTime
    /// Absolute; whose text this is. Nil: there is no file.
    package var file: String?

    package init(text: [UInt8], revision: Int, appliedAt: WallTime, file: String?) {
        self.text = text
        self.revision = revision
        self.appliedAt = appliedAt
        self.file = file
    }

    package static func path(stateDir: String) -> String { "\(folder(stateDir: stateDir))/active.yml" }
    /// What the config-writer keeps; nobody else may enter.
    package static func folder(stateDir: String) -> String { "\(stateDir)/config" }

    private static let opening = "# framekeeper: revision "
    private static let since = ", in force since "
    private static let of = ", of "

    package var bytes: [UInt8] {
        var facts = "\n\(Self.opening)\(revision)\(Self.since)\(appliedAt.rfc3339)"
        if let file { facts += "\(Self.of)\(file)" }
        return text + Array("\(facts)\n".utf8)
    }

    /// Nil without the line of facts at the end.
    package init?(bytes: [UInt8]) {
        guard bytes.last == UInt8(ascii: "\n"),
            let end = bytes.dropLast().lastIndex(of: UInt8(ascii: "\n"))
        else { return nil }
        let line = String(decoding: bytes[(end + 1)...].dropLast(), as: UTF8.self)
        guard line.hasPrefix(Self.opening), let since = line.firstRange(of: Self.since) else { return nil }
        let number = line[..<since.lowerBound].dropFirst(Self.opening.count)
        var time = line[since.upperBound...]
        var file: String?
        if let of = time.firstRange(of: Self.of) {
            file = String(time[of.upperBound...])
            time = time[..<of.lowerBound]
        }
        guard let revision = Int(number), revision > 0, let appliedAt = WallTime(rfc3339: String(time)) else {
            return nil
        }
        self.init(text: Array(bytes[..<end]), revision: revision, appliedAt: appliedAt, file: file)
    }

    /// Nil if there is none, or nothing that could be one.
    package static func read(_ path: String) -> ActiveText? {
        do throws(SecretsFile.Problem) {
            return ActiveText(bytes: try TextFile.read(path, atMost: YAMLDocument.bytesMax + factsBytesMax))
        } catch {
            return nil
        }
    }

    /// More than a path and a number need.
    private static let factsBytesMax = 8192
}
