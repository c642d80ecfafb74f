/// A command as it is split into words: blanks, quotes, backslashes, and for a shell what divides one command from the
/// next. Nothing is expanded, and where a redirection goes is left out.
struct ShellLine {
    struct Command: Hashable {
        var words: [String] = []
        /// What the command before it writes.
        var readsPipe = false

        /// The program's name without its folder; assignments and words that only start another program do not count.
        var program: String? {
            let name = words.first { !Self.starters.contains($0) && !$0.contains("=") }
            return name?.split(separator: "/").last.map(String.init)
        }

        private static let starters: Set<String> = [
            "exec", "nohup", "nice", "env", "sudo", "stdbuf", "time", "do", "then", "while", "until", "if", "{",
        ]
    }

    private(set) var commands = [Command()]

    private var word: String?
    /// The next word is where a redirection goes.
    private var isRedirected = false
    /// The sign just before, if it divides.
    private var divider: Character?

    /// - Parameter isShell: false for the media server's own splitting, to which `|` is a letter.
    init(_ text: String, isShell: Bool) {
        var quote: Character?
        var isEscaped = false
        for character in text {
            var dividing: Character?
            if isEscaped {
                isEscaped = false
                if !character.isNewline { append(character) }
            } else if character == "\\", quote != "'" {
                isEscaped = true
            } else if let open = quote {
                if character == open { quote = nil } else { append(character) }
            } else if character == "'" || character == "\"" {
                quote = character
                word = word ?? ""
            } else if isShell, "|&;<>()".contains(character) || character.isNewline {
                divide(at: character)
                dividing = character
            } else if character.isWhitespace {
                endWord()
            } else {
                append(character)
            }
            divider = dividing
        }
        endWord()
        commands.removeAll { $0.words.isEmpty }
    }

    private mutating func append(_ character: Character) { word = (word ?? "") + String(character) }

    private mutating func endWord() {
        guard let done = word else { return }
        if !isRedirected { commands[commands.count - 1].words.append(done) }
        (word, isRedirected) = (nil, false)
    }

    private mutating func divide(at character: Character) {
        let follows = divider == ">" || divider == "<"
        switch character {
        case "<", ">":
            // `2>` is no word of its own.
            if word?.allSatisfy(\.isNumber) == true { word = nil }
            endWord()
            isRedirected = true
        // `>&1` and `>|`.
        case "&" where follows, "|" where follows: break
        // `|&` is a pipe.
        case "&" where divider == "|": break
        // `||` is none.
        case "|": endCommand(pipes: divider != "|")
        default: endCommand(pipes: false)
        }
    }

    private mutating func endCommand(pipes: Bool) {
        endWord()
        isRedirected = false
        let next = Command(readsPipe: pipes)
        if commands.last?.words.isEmpty ?? true { commands[commands.count - 1] = next } else { commands.append(next) }
    }
}
