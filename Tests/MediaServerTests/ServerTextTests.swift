import Domain
import MediaServer
import Testing

/// What an edit leaves alone, and what it refuses.
struct ServerTextTests {
    private func edit(
        _ text: String, _ names: [String] = ["front"], keeping: Set<String> = []
    ) throws -> ServerText.Edit {
        try ServerText([UInt8](text), name: "mediamtx.yml", node: Samples.node)
            .edited(names.map { try Samples.path($0) }, keeping: keeping)
    }

    /// The lines of `text` that `edited` still has, in order; the rest is ours.
    private func foreignLines(_ edited: String, _ lineEnd: String = "\n") -> [String] {
        var isOurs = false
        return edited.components(lineEnd).filter { line in
            if line.contains("# framekeeper: begin") { isOurs = true }
            defer { if line.contains("# framekeeper: end") { isOurs = false } }
            return !isOurs
        }
    }

    static let untouched = [
        "", "# nothing but a comment\n", "api: yes\n", "api: yes", "api: yes # without an end", "paths:\n",
        "paths:", "paths: # nothing yet\n  # commented:\n  #   source: publisher\n",
        "  api: yes\n  paths:\n    cam: {}\n",
        "\"paths\":\n  cam:\n    source: publisher\n", "'paths':\n  cam: {source: publisher}\n\n\n# the end\n",
        "paths:\n\n  # about cam\n  cam:\n      source: publisher\n  # about all\n  all_others:\nlogLevel: info\n",
        "paths: &p\n  cam: &c {source: publisher}\n  other: *c\n",
        "pathDefaults: {record: no}\npaths:\n    cam:\n        runOnReady: >-\n          curl\n\n          x\n    b:\n",
        "---\napi: yes\npaths:\n  cam:\n",
        // Words that stand for an encryption, as long as no reader of YAML takes them for a flag.
        "rtspEncryption: \"yes\"\nrtmpEncryption: 'true'\n", "rtspEncryption: \"false\"\nencryption: 'no'\n",
        "rtspEncryption: optional\nrtmpEncryption: strict\napi: True\nhls: NO\n",
    ]

    @Test(arguments: untouched) func everyForeignByteStays(_ text: String) throws {
        let once = try edit(text)
        let foreign = try ServerText(once.bytes, name: "f", node: Samples.node).foreignBytes.text
        // A text without a final newline gets one, since more follows.
        let isOpen = !text.isEmpty && !text.hasSuffix("\n")
        #expect(foreign == text || (isOpen && foreign == text + "\n"))
        // Again is the same, and taking everything out is the original.
        #expect(try edit(once.bytes.text).bytes == once.bytes)
        #expect(try edit(once.bytes.text, []).bytes.text == foreign)
        let two = try edit(once.bytes.text, ["front", "1"])
        #expect(two.bytes.text.contains("\"1\":"))
        #expect(try ServerText(two.bytes, name: "f", node: Samples.node).foreignBytes.text == foreign)
    }

    @Test func aNullOrEmptyValueMakesWay() throws {
        for value in ["~", "null", "{}", "{ }  ", "NULL"] {
            let text = "api: yes\npaths: \(value)# none\nlogLevel: info\n".replacingFirst("# none", with: " # none")
            let edited = try edit(text)
            #expect(foreignLines(edited.bytes.text).joined(separator: "\n").contains("# none\nlogLevel: info"))
            #expect(edited.bytes.text.contains("\n  \"front\":\n    overridePublisher: true"))
        }
    }

    @Test func lineEndsAreThoseOfTheFile() throws {
        let edited = try edit("api: yes\r\npaths:\r\n\tcam:\r\n".replacingFirst("\t", with: "  "))
        #expect(!edited.bytes.text.components("\r\n").contains { $0.contains("\n") })
        #expect(foreignLines(edited.bytes.text, "\r\n") == ["api: yes", "paths:", "  cam:", ""])
    }

    @Test func anEntryOfTheSameNameIsReplacedAndSaid() throws {
        let text = """
            paths:
              # the front door
              front:
                source: publisher
                # inside

                runOnReady: >
                  something
              # about the next one
              back: {source: publisher}

            """
        let edited = try edit(text)
        #expect(edited.replaced == ["front"])
        #expect(
            foreignLines(edited.bytes.text)
                == ["paths:", "  # the front door", "  # about the next one", "  back: {source: publisher}", ""])
        let last = try edit("paths:\n  front:\n    source: publisher\n# end\nlogLevel: info\n")
        #expect(foreignLines(last.bytes.text) == ["paths:", "# end", "logLevel: info", ""])
    }

    @Test func aFlowMappingIsEditedInPlaceAndBack() throws {
        let text = "paths: {cam: {source: publisher}, b: {}} # mine\nlogLevel: info\n"
        let edited = try edit(text, ["front", "yard"])
        #expect(edited.bytes.text.hasSuffix("cam: {source: publisher}, b: {}} # mine\nlogLevel: info\n"))
        #expect(edited.bytes.text.hasPrefix("paths: {\"front\": {\"overridePublisher\": true"))
        #expect(try edit(edited.bytes.text, ["front", "yard"]).bytes == edited.bytes)
        #expect(try edit(edited.bytes.text, []).bytes.text == text)
        #expect(throws: CodedError.self) { try edit("paths: {front: {source: publisher}}\n") }
    }

    @Test func aPathInUseStaysAsItStands() throws {
        let old = try edit("paths:\n", ["front", "yard"]).bytes.text
            .replacingFirst("runOnDemandCloseAfter: \"2s\"", with: "runOnDemandCloseAfter: \"9s\"")
        let edited = try edit(old, ["front", "yard"], keeping: ["front"])
        #expect(edited.kept == ["front"])
        #expect(edited.bytes.text == old)
        #expect(!(try edit(old, ["front", "yard"])).bytes.text.contains("9s"))
        // One that does not stand there yet is put in.
        #expect(try edit("paths:\n", ["front"], keeping: ["front"]).kept == [])
    }

    static let refused = [
        // Not YAML, so no server runs with it.
        "paths:\n\tcam:\n", "a: [\n", "api: yes\n---\napi: no\n",
        // The server would end at these.
        "apu: yes\napi: maybe\n", "paths: [a, b]\n", "paths:\n  cam: 5\n", "readTimeout: 10\n",
        "paths:\n  cam:\n    record: often\n",
        "rtspEncryption: no\n", "rtspEncryption: Yes\n", "rtmpEncryption: false\n", "rtspEncryption: \"off\"\n",
        "api: \"yes\"\n", "api: y\n", "api: yEs\n",
        "api: yes\napi: no\n", "pathDefaults:\n  maxReaders: many\n",
        // Nobody could say what our paths would mean there.
        "paths: *p\n", "x-a: &p {cam: {}}\npaths: *p\n", "{api: yes}\n", "api: yes\n...\n",
        "paths: !!map\n  cam:\n# framekeeper: begin\n", "# framekeeper: end\n# framekeeper: begin\n",
        "paths:\n  front: &f\n    source: publisher\n  other: *f\n",
    ]

    @Test(arguments: refused) func whatCannotBeEditedSafelyIsRefused(_ text: String) throws {
        #expect(throws: CodedError.self) { try edit(text) }
    }

    /// What the server has refused is not put in, and what it once took stays.
    @Test func aRefusedPathIsNotPutIn() throws {
        let front = PathSettings(name: "front", values: ["source": .text("publisher")])
        let bad = PathSettings(name: "bad", values: ["source": .text("rtsp://u:pa#ss@h/x")])
        func edit(_ bytes: [UInt8], _ paths: [PathSettings], refused: Set<String>) throws -> ServerText.Edit {
            try ServerText(bytes, name: "mediamtx.yml", node: NodeID(unchecked: "attic")).edited(
                paths, refused: refused)
        }
        let without = try edit(Array("api: yes\n".utf8), [bad, front], refused: ["bad"])
        #expect(without.bytes.text.contains("front") && !without.bytes.text.contains("bad") && without.kept == [])
        let good = PathSettings(name: "bad", values: ["source": .text("rtsp://h/y")])
        let before = try edit(Array("api: yes\n".utf8), [good, front], refused: [])
        let after = try edit(before.bytes, [bad, front], refused: ["bad"])
        #expect(after.bytes == before.bytes && after.kept == ["bad"])
    }

    @Test func anUnknownKeyIsOfANewerServer() throws {
        let edited = try edit("someNewKey: 5\npaths:\n  cam:\n    otherNewKey: x\n")
        #expect(edited.unknownKeys == ["someNewKey", "paths.cam.otherNewKey"])
    }

    @Test func whatSomebodyAddsBelowOurKeyStaysValid() throws {
        let edited = try edit("api: yes\n").bytes.text + "  cam:\n    source: publisher\n"
        let again = try edit(edited).bytes.text
        #expect(again.contains("  cam:\n    source: publisher\n"))
        #expect(foreignLines(again) == ["api: yes", "paths:", "  cam:", "    source: publisher", ""])
    }

    /// No text, however broken, becomes a result that says something else than it should: `edited` proves itself, so it
    /// is enough that it returns or throws.
    @Test func brokenTextsNeverTrap() throws {
        let whole = Self.untouched.joined() + Self.refused.joined()
        let bytes = [UInt8](whole)
        for start in stride(from: 0, to: bytes.count, by: 7) {
            for length in [5, 40, 160] {
                let piece = Array(bytes[start..<min(bytes.count, start + length)])
                _ = try? ServerText(piece, name: "f", node: Samples.node).edited([try Samples.path("front")])
            }
        }
    }
}

extension String {
    func components(_ separator: String) -> [String] {
        var parts: [String] = []
        var rest = unicodeScalars[...]
        var part = String.UnicodeScalarView()
        while !rest.isEmpty {
            if rest.starts(with: separator.unicodeScalars) {
                parts.append(String(part))
                part = String.UnicodeScalarView()
                rest = rest.dropFirst(separator.unicodeScalars.count)
            } else if let next = rest.popFirst() {
                part.append(next)
            }
        }
        return parts + [String(part)]
    }

    func replacingFirst(_ text: String, with other: String) -> String {
        guard let range = firstRange(of: text) else { return self }
        return replacingCharacters(range, other)
    }

    private func replacingCharacters(_ range: Range<Index>, _ other: String) -> String {
        self[..<range.lowerBound] + other + self[range.upperBound...]
    }
}
