import BusContract
import ConfigWriterCore
import Domain
import Testing

/// Transcripts: event, then expected effects.
struct MediaServerCoreTests {
    private var core = MediaServerUnderTest()
    private static let front = CameraID(unchecked: "front")

    @Test mutating func aMissingPathIsMadeAndReadBack() {
        core.configure()
        #expect(core.requests == [.look(.everything)])
        core.look(standings: [:])
        #expect(core.requests == [.change(.replace("front"))])
        core.handle(.changed(.replace("front"), nil))
        // The server has said yes and has not done it yet.
        #expect(core.requests == [])
        core.wake()
        #expect(core.requests == [.look(.everything)])
        core.look(standings: [:])
        #expect(core.requests == [])
        core.wake()
        core.look(standings: ["front": .equal])
        #expect(core.requests == [])
        #expect(core.published?.reachable == true)
        #expect(core.published?.paths["front"]?.ready == false)
    }

    @Test mutating func aChangeThatNeverShowsIsMadeAgainWithGrowingPauses() {
        core.configure()
        core.look(standings: [:])
        var changes: [MonotonicTime] = [core.now]
        core.handle(.changed(.replace("front"), nil))
        for _ in 0..<600 {
            core.wake()
            if core.requests.contains(.change(.replace("front"))) {
                changes.append(core.now)
                core.handle(.changed(.replace("front"), nil))
            } else if core.isLooking {
                core.look(standings: ["front": .differs(["record"])])
                if core.requests.contains(.change(.replace("front"))) {
                    changes.append(core.now)
                    core.handle(.changed(.replace("front"), nil))
                }
            }
        }
        let pauses = zip(changes.dropFirst(), changes).map { $0 - $1 }
        #expect(pauses.count > 3)
        #expect(pauses.allSatisfy { $0 >= .seconds(2) })
        #expect((pauses.last ?? .zero) > (pauses.first ?? .zero) * 2)
    }

    @Test mutating func aPathInUseWaitsAndSaysSo() {
        core.configure()
        core.look(viewers: 1, standings: ["front": .differs(["record"])])
        #expect(core.requests == [.startViewing(Self.front, .seconds(300))])
        #expect(core.published?.waiting == ["front"])
        core.wake()
        core.look(viewers: 1)
        #expect(!core.requests.contains(.change(.replace("front"))))
        // Its publisher is lost: the viewer may be on the way back.
        core.wake()
        core.look(ready: false)
        #expect(!core.requests.contains(.change(.replace("front"))))
        core.wake()
        core.look(ready: true, viewers: 0)
        #expect(core.requests.contains(.change(.replace("front"))))
        #expect(core.published?.waiting == [])
    }

    @Test mutating func aPulledPathIsInUseWhileItsCameraIsRecorded() {
        core.configure(kind: .pulled)
        core.handle(.streamReported(Self.front, StreamState.LeaseCounts(recording: 1)))
        core.look(ready: true, standings: ["front": .differs(["source"])])
        #expect(core.requests == [])
        #expect(core.published?.waiting == ["front"])
        // One that does not deliver is repaired: nobody can lose it.
        core.wake()
        core.look(ready: false)
        #expect(core.requests == [.change(.replace("front"))])
    }

    @Test mutating func poisonInAnotherPathIsFoundAndTakenOut() {
        core.configure(["front", "hall", "yard"])
        core.look(viewers: 0, standings: ["hall": .equal, "yard": .equal])
        #expect(core.requests == [.change(.replace("front"))])
        let error = CodedError(.mediaServerUnavailable, "recordPath")
        core.handle(.changed(.replace("front"), MediaServerFailure(.rejected, error)))
        #expect(core.requests == [.change(.replace("hall"))])
        core.handle(.changed(.replace("hall"), MediaServerFailure(.rejected, error)))
        #expect(core.requests == [.change(.replace("yard"))])
        core.handle(.changed(.replace("yard"), nil))
        // At once, since the poison is gone.
        #expect(core.requests == [.change(.replace("front"))])
        core.handle(.changed(.replace("front"), nil))
        core.wake()
        core.look(standings: ["front": .equal, "hall": .equal, "yard": .equal])
        #expect(core.published?.error == nil)
    }

    @Test mutating func poisonInAForeignPathIsSaidAndNotHammered() {
        core.configure(["front", "hall"])
        let error = CodedError(.mediaServerUnavailable, "recordPath")
        core.look(standings: ["hall": .equal])
        var changes = 0
        let begin = core.now
        while core.now - begin < .seconds(60) {
            if case .change(let change)? = core.requests.first(where: { if case .change = $0 { true } else { false } })
            {
                changes += 1
                core.handle(.changed(change, MediaServerFailure(.rejected, error)))
            } else if core.isLooking {
                core.look(standings: ["hall": .equal])
            } else {
                core.wake()
            }
        }
        #expect(changes < 12)
        #expect(core.published?.error?.message == "recordPath")
    }

    @Test mutating func leftOversOfOursGoAndForeignPathsStay() {
        core.configure()
        core.look(standings: ["front": .equal, "gone": .leftOver])
        #expect(core.requests == [.change(.delete("gone"))])
    }

    @Test mutating func anotherProcessOfTheServerIsReadAgainAtOnce() {
        core.configure()
        core.look(standings: ["front": .equal])
        core.wake()
        #expect(core.requests == [.look(.traffic)])
        core.look(started: "later", traffic: [:])
        let before = core.now
        core.wake()
        #expect(core.requests == [.look(.everything)])
        #expect(core.now - before <= .milliseconds(100))
        core.look(started: "later", traffic: [:], standings: [:])
        #expect(core.requests == [.change(.replace("front"))])
    }

    /// The list of running paths is enough to see that a reload took ours away.
    @Test mutating func aReloadThatDropsAPathIsSeenInTheTraffic() {
        core.configure()
        core.look(standings: ["front": .equal])
        core.wake()
        core.look(traffic: [:])
        core.wake()
        #expect(core.requests == [.look(.everything)])
    }

    @Test mutating func asksForALookAreAnsweredByAYoungerOne() {
        core.configure()
        core.handle(.lookCommanded(nil, LookToken(number: 1)))
        // The look under way is older than the question.
        core.look(viewers: 3, standings: ["front": .equal])
        #expect(core.replies.isEmpty)
        core.wake()
        core.look(viewers: 4)
        #expect(core.replies.first?.paths["front"]?.viewers == 4)
        core.handle(.lookCommanded(CameraID(unchecked: "nobody"), LookToken(number: 2)))
        #expect(core.refusals == [.unknownCamera])
        for _ in 0..<8 {
            core.wake()
            core.fail(.unreachable)
        }
        core.handle(.lookCommanded(nil, LookToken(number: 3)))
        #expect(core.refusals == [.mediaServerUnavailable])
    }

    @Test(arguments: [MediaServerFailure.Kind.denied, .unreachable, .silent])
    mutating func aServerThatRefusesForLongHasItsFileWritten(_ kind: MediaServerFailure.Kind) {
        core.configure(hasFile: true)
        let begin = core.now
        while core.now - begin < .seconds(40), !core.requests.contains(.writeFile(keeping: [])) {
            if core.isLooking { core.fail(kind) } else { core.wake() }
        }
        let limit = kind == .denied ? MediaServerCore.deniedMax : MediaServerCore.awayMax
        #expect(core.requests.contains(.writeFile(keeping: [])))
        #expect(core.now - begin >= limit && core.now - begin < limit + .seconds(5))
        core.handle(.fileWritten(.success(FileOutcome(isWritten: true))))
        #expect(core.published?.mode == .static)
        while !core.isLooking { core.wake() }
        core.look(standings: ["front": .equal])
        // Nothing is made twice: what stands in the file stands there as it is wanted.
        #expect(core.published?.mode == .api)
        #expect(core.requests == [])
    }

    /// Poison in a path that is not ours: reading the file again is what frees the server.
    @Test mutating func aServerThatRefusesEveryChangeHasItsFileWritten() {
        core.configure(hasFile: true)
        let error = CodedError(.mediaServerUnavailable, "recordPath")
        let begin = core.now
        core.look(standings: [:])
        while core.now - begin < .seconds(60), !core.requests.contains(.writeFile(keeping: [])) {
            if core.requests.contains(.change(.replace("front"))) {
                core.handle(.changed(.replace("front"), MediaServerFailure(.rejected, error)))
            } else if core.isLooking {
                core.look(standings: [:])
            } else {
                core.wake()
            }
        }
        #expect(core.requests.contains(.writeFile(keeping: [])))
        #expect(core.now - begin >= MediaServerCore.awayMax)
        core.handle(.fileWritten(.success(FileOutcome(isWritten: true))))
        for _ in 0..<100 where !core.isLooking { core.wake() }
        core.look(standings: ["front": .equal])
        #expect(core.published?.mode == .api)
        #expect(core.published?.error == nil)
    }

    @Test mutating func withoutAFileThereIsNoFallback() {
        core.configure()
        for _ in 0..<200 {
            if core.isLooking { core.fail(.denied) } else { core.wake() }
            #expect(!core.requests.contains(.writeFile(keeping: [])))
        }
        #expect(core.published?.mode == .api)
        #expect(core.published?.reachable == false)
    }

    @Test mutating func bytesAloneAreNotPublishedAtEveryLook() {
        core.configure()
        core.look(standings: ["front": .equal])
        var states = 0
        let begin = core.now
        var bytes: UInt64 = 0
        while core.now - begin < .seconds(60) {
            core.wake()
            bytes += 1000
            if core.isLooking { core.look(ready: true, bytes: bytes) }
            states += core.states
        }
        #expect(states >= 5 && states <= 8)
    }

    @Test mutating func withoutTheSectionNothingIsDone() {
        core.configure()
        core.look(viewers: 1, standings: ["front": .equal])
        core.handle(.configured(nil))
        #expect(core.effects.contains(.withdraw))
        #expect(core.requests == [.stopViewing(Self.front)])
        core.handle(.lookCommanded(nil, LookToken(number: 9)))
        #expect(core.refusals == [.notReady])
        #expect(core.wakeAt == nil)
    }
}

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
        _ names: [String] = ["front"], kind: PathWish.Kind = .published, hasFile: Bool = false
    ) {
        let paths = names.map { name in
            (name, PathWish(camera: CameraID(unchecked: name), kind: kind, startTimeout: .seconds(15)))
        }
        handle(.configured(MediaServerWish(paths: Dictionary(uniqueKeysWithValues: paths), hasFile: hasFile)))
    }

    /// Lets the time pass until the Core wants to be woken.
    mutating func wake() {
        now = max(now, wakeAt ?? now)
        wakeAt = nil
        handle(.woke)
    }

    mutating func look(
        started: String = "once", ready: Bool = false, viewers: Int = 0, bytes: UInt64 = 0,
        traffic: [String: MediaServerState.Path]? = nil, standings: [String: PathStanding]? = nil
    ) {
        isLooking = false
        let path = MediaServerState.Path(ready: ready || viewers > 0, viewers: viewers, bytes: bytes)
        let look = MediaServerLook(
            version: "v1", started: started, traffic: traffic ?? ["front": path], standings: standings)
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

    var states: Int { effects.filter { if case .publish = $0 { true } else { false } }.count }
}
