import BusContract
import ConfigWriterCore
import Domain

/// A Core with a disk that does as it is told, and texts that mean what their names say: the settings of `front`, of
/// `yard` and of the node, `f1 y1 n1`. A missing camera is not configured; `?` does not load.
struct ConfigBench: Hashable {
    static let front = CameraID(unchecked: "front")
    static let yard = CameraID(unchecked: "yard")
    static let node = NodeID(unchecked: "attic")

    private(set) var core: ConfigCore
    private(set) var now = Now(monotonic: .zero, wall: WallTime(milliseconds: 1_772_368_200_000))
    private var nextToken: UInt64 = 0
    /// Of the workers' words.
    private(set) var number: UInt64 = 0
    /// When the Core wants to be woken.
    private(set) var wakeAt: MonotonicTime?
    /// Written to the disk by the Core's word, newest last.
    private(set) var active: [String] = []
    private(set) var state: ConfigState?
    var diskError: CodedError?
    var fileError: CodedError?

    init(_ setting: ConfigCore.Setting = .supervised) { core = ConfigCore(node: Self.node, setting: setting) }

    /// A node that runs with `text` as revision 1, and knows the bus; no camera records.
    static func running(_ text: String) -> ConfigBench {
        var bench = ConfigBench()
        bench.start(ConfigMemory(inForce: revision(1, text), last: 1, fileSeen: ConfigText(text)), file: text)
        bench.step(.busConnected)
        bench.record(front, false)
        bench.record(yard, false)
        bench.step(.statesKnown)
        return bench
    }

    static func facts(_ text: String) -> ConfigFacts {
        var workers: [CameraID: ConfigPrint] = [:]
        var node = 0
        var always: Set<CameraID> = []
        for word in text.split(separator: " ") {
            let print = ConfigPrint(word.dropFirst().hashValue)
            switch word.first {
            case "f": workers[front] = print
            case "y": workers[yard] = print
            case "n": node = print.number
            default: always.insert(front)
            }
        }
        return ConfigFacts(
            all: ConfigPrint(text.hashValue), node: ConfigPrint(node), workers: workers, recordsAlways: always)
    }

    static func reading(_ text: String) -> ConfigReading {
        let isBroken = text.contains("?")
        return ConfigReading(
            text: ConfigText(text), outcome: isBroken ? .invalid(["file:1:1: \(text)", "more"]) : .valid(facts(text)))
    }

    static func revision(_ number: Int, _ text: String) -> ConfigRevision {
        ConfigRevision(
            number: number, text: ConfigText(text), facts: facts(text), at: WallTime(milliseconds: Int64(number)))
    }

    var inForce: String? { core.inForce?.text.name }

    @discardableResult
    mutating func step(_ event: ConfigEvent, after time: Duration = .milliseconds(10)) -> [ConfigEffect] {
        now = Now(monotonic: now.monotonic + time, wall: now.wall + time)
        var all: [ConfigEffect] = []
        var events = [event]
        while !events.isEmpty {
            let effects = core.handle(events.removeFirst(), at: now)
            all += effects
            for effect in effects {
                switch effect {
                case .activate(let number, let text):
                    if diskError == nil { active.append(text.name) }
                    events.append(.activated(number, diskError))
                case .writeFile(let text): events.append(.fileWritten(text, fileError))
                case .publish(let state): self.state = state
                case .wake(let time): wakeAt = time
                case .record, .markSuperseded, .markApplied, .recordRefused, .rememberFileSeen, .publishCameras,
                    .reply, .refuse:
                    break
                }
            }
        }
        return all
    }

    mutating func start(_ memory: ConfigMemory, file: String) {
        step(.started(memory))
        step(.fileRead(Self.reading(file)))
    }

    @discardableResult
    mutating func file(_ text: String) -> [ConfigEffect] { step(.fileRead(Self.reading(text))) }

    /// - Returns: the reply and the other effects.
    @discardableResult
    mutating func apply(
        _ text: String, now: Bool = false, origin: ConfigOrigin = .command
    ) -> (answer: ConfigEffect?, effects: [ConfigEffect]) {
        nextToken += 1
        let token = CommandToken(number: nextToken)
        let effects = step(.commanded(ConfigWish(Self.reading(text), origin: origin, now: now), token))
        let answers = effects.filter { $0.answers(token) }
        precondition(answers.count <= 1, "a command is answered once")
        return (answers.first, effects)
    }

    mutating func record(_ camera: CameraID, _ isRecording: Bool) {
        say(camera, isRecording ? .recording : .over)
    }

    /// - Parameter number: nil: a new word; else one of before, as a broker kept it.
    mutating func say(_ camera: CameraID, _ word: RecordingWord, number old: UInt64? = nil) {
        if old == nil { number += 1 }
        step(.recordingReported(camera, word, number: old ?? number))
    }

    /// Time passes; the Core is woken when it wants to be, as the Shell does it.
    mutating func wait(_ span: Duration) {
        let end = now.monotonic + span
        while let wakeAt, wakeAt <= end {
            self.wakeAt = nil
            step(.woke, after: max(wakeAt - now.monotonic, .zero))
        }
        now = Now(monotonic: max(now.monotonic, end), wall: now.wall + max(end - now.monotonic, .zero))
    }
}

extension ConfigEffect {
    func answers(_ token: CommandToken) -> Bool {
        switch self {
        case .reply(token, _), .refuse(token, _, _): true
        case .reply, .refuse, .record, .markSuperseded, .markApplied, .recordRefused, .rememberFileSeen, .activate,
            .writeFile, .publishCameras, .publish, .wake:
            false
        }
    }

    var result: ConfigResult? {
        switch self {
        case .reply(_, let result): result
        case .refuse(_, _, let result): result
        case .record, .markSuperseded, .markApplied, .recordRefused, .rememberFileSeen, .activate, .writeFile,
            .publishCameras, .publish, .wake:
            nil
        }
    }

    var error: CodedError? { if case .refuse(_, let error, _) = self { error } else { nil } }
}
