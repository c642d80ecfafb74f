/// What a hook command of the media server takes its pictures from. It knows the two programs that people start there,
/// ffmpeg and gst-launch, and their usual inputs; for everything else it says why not.
struct CommandReading {
    /// A camera, as far as a command tells of it.
    struct Translation: Hashable {
        var source: String
        var encoder = MediaServerImport.Encoder()
        var hasAudio = true
        /// What got lost on the way.
        var remarks: [String] = []
    }

    /// Why a command is no camera.
    struct Untranslated: Error, Hashable {
        var reason: String
        init(_ reason: String) { self.reason = reason }
    }

    /// Relative paths of a command begin here as far as anyone can tell.
    let folder: String
    /// Whose hook it is.
    let path: String
    let listeners: OwnListeners

    private static let shells: Set<String> = ["sh", "bash", "dash", "ash", "zsh", "ksh"]
    /// Shells within shells that are looked into.
    private static let shellsMax = 3

    func read(_ command: String) throws(Untranslated) -> Translation {
        try read(ShellLine(command, isShell: false).commands, depth: 0)
    }

    /// The first that can be a camera; what a pipeline begins with is looked at first.
    private func read(_ commands: [ShellLine.Command], depth: Int) throws(Untranslated) -> Translation {
        var found: Translation?
        var reasons: [String] = []
        var count = 0
        for index in commands.indices {
            do throws(Untranslated) {
                let feeder = feeder(of: index, commands)
                guard let camera = try read(commands[index], fedBy: feeder, depth) else { continue }
                count += 1
                found = found ?? camera
            } catch {
                count += 1
                reasons.append(error.reason)
            }
        }
        if var found {
            if count > 1 { found.remarks.append("of the \(count) programs of its command only one is taken") }
            return found
        }
        guard reasons.isEmpty else { throw Untranslated(reasons.joined(separator: "; ")) }
        let name = commands.first?.words.first.map { $0.count > 40 ? "\($0.prefix(40))…" : $0 } ?? "nothing"
        throw Untranslated("its command is neither ffmpeg nor gst-launch: \(name)")
    }

    /// The program at the begin of the pipeline that a command reads from.
    private func feeder(of index: Int, _ commands: [ShellLine.Command]) -> String? {
        var first = index
        while commands[first].readsPipe, first > commands.startIndex { first -= 1 }
        return first < index ? commands[first].program : nil
    }

    /// Nil if it is none of the programs that are known.
    private func read(
        _ command: ShellLine.Command, fedBy feeder: String?, _ depth: Int
    ) throws(Untranslated) -> Translation? {
        let names = command.words.map { $0.split(separator: "/").last.map(String.init) ?? "" }
        if depth < Self.shellsMax, let shell = names.firstIndex(where: Self.shells.contains),
            let script = Self.script(of: command.words[(shell + 1)...])
        {
            return try read(ShellLine(script, isShell: true).commands, depth: depth + 1)
        }
        if let start = names.firstIndex(of: "ffmpeg") {
            return try FFmpegReading(command.words[(start + 1)...], hook: self, feeder: feeder).read()
        }
        if let start = names.firstIndex(where: { $0.hasPrefix("gst-launch") }) {
            return try GStreamerReading(command.words[(start + 1)...], hook: self, feeder: feeder).read()
        }
        return nil
    }

    /// What follows `-c`, `-lc`, `-o pipefail -ec`; nil where the shell runs a file.
    private static func script(of words: ArraySlice<String>) -> String? {
        var rest = words
        while let word = rest.popFirst(), word.hasPrefix("-") || word.hasPrefix("+") {
            guard !word.hasPrefix("--") else { continue }
            if word.hasSuffix("o") { _ = rest.popFirst() }
            if word.hasPrefix("-"), word.contains("c") { return rest.first }
        }
        return nil
    }
}
