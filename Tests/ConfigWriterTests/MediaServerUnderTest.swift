import BusContract
import ConfigWriterCore
import Domain

/// The Core with its clock, and the last effects.
struct MediaServerUnderTest {
    private var core = MediaServerCore(node: NodeID(unchecked: "attic"), seed: 7)
    private(set) var now = MonotonicTime(nanoseconds: 1_000_000_000)
    private(set) var effects: [MediaServerEffect] = []
    private(set) var wakeAt: MonotonicTime?
    private(set) var published: MediaServerState?
    private(set) var isLooking = false

    mutating func handle(_ event: MediaServerEvent) {
        effects = core.handle(event, at: now)
        for effect in effects {
            switch effect {
            case .wake(let time): wakeAt = time
            case .publish(let state): published = state
            case .look: isLooking = true
            default: break
            }
        }
    }

    mutating func configure(
        _ names: [String] = ["front"], kind: PathWish.Kind = .published, hasFile: Bool = false, server: Int = 0,
        settings: Int = 0
    ) {
        let paths = names.map { name in
            let camera = CameraID(unchecked: name)
            return (name, PathWish(camera: camera, kind: kind, startTimeout: .seconds(15), settings: settings))
        }
        let wish = MediaServerWish(
            paths: Dictionary(uniqueKeysWithValues: paths), hasFile: hasFile, server: server)
        handle(.configured(wish))
    }

    /// Lets this much time pass; wakes the Core if it wanted that by then.
    mutating func wait(_ span: Duration) {
        now = now + span
        guard let wakeAt, wakeAt <= now else { return }
        self.wakeAt = nil
        handle(.woke)
    }

    /// Lets the time pass until the Core wants to be woken.
    mutating func wake() {
        now = max(now, wakeAt ?? now)
        wakeAt = nil
        handle(.woke)
    }

    mutating func look(
        started: String = "once", ready: Bool = false, viewers: Int = 0, bytes: UInt64 = 0,
        readers: Set<String> = [], traffic: [String: MediaServerState.Path]? = nil,
        standings: [String: PathStanding]? = nil
    ) {
        isLooking = false
        let path = MediaServerState.Path(ready: ready || viewers > 0, viewers: viewers, bytes: bytes)
        let look = MediaServerLook(
            version: "v1", started: started, traffic: traffic ?? ["front": path], readers: ["front": readers],
            standings: standings)
        now = now + .milliseconds(2)
        handle(.looked(.success(look)))
    }

    mutating func fail(_ kind: MediaServerFailure.Kind) {
        isLooking = false
        now = now + .milliseconds(2)
        handle(.looked(.failure(MediaServerFailure(kind, CodedError(.mediaServerUnavailable, "\(kind)")))))
    }

    /// What goes to the server, the file and the workers.
    var requests: [MediaServerEffect] {
        effects.filter { effect in
            switch effect {
            case .look, .change, .writeFile, .startViewing, .stopViewing: true
            case .publish, .withdraw, .reply, .refuse, .note, .wake: false
            }
        }
    }

    var replies: [MediaServerResult] {
        effects.compactMap { if case .reply(_, let result) = $0 { result } else { nil } }
    }

    var refusals: [ErrorCode] {
        effects.compactMap { if case .refuse(_, let error) = $0 { error.code } else { nil } }
    }

    struct Count: Equatable {
        var viewers: Int
        var total: UInt64?
        init(_ viewers: Int, total: UInt64?) { (self.viewers, self.total) = (viewers, total) }
    }

    /// Who watches the first camera, as often as it was published.
    var told: [Count] {
        effects.compactMap { effect in
            guard case .publish(let state) = effect, let path = state.paths["front"] else { return nil }
            return Count(path.viewers, total: path.readersTotal)
        }
    }

    var states: Int { effects.filter { if case .publish = $0 { true } else { false } }.count }
}
