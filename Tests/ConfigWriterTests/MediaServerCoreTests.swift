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
        core.handle(.streamReported(Self.front, StreamState.LeaseCounts(recording: 1), isRunning: true))
        core.look(ready: true, standings: ["front": .differs(["rtspTransport"])])
        #expect(core.requests == [])
        #expect(core.published?.waiting == ["front"])
        // One that does not deliver is repaired: nobody can lose it.
        core.wake()
        core.look(ready: false)
        #expect(core.requests == [.change(.replace("front"))])
    }

    /// The worker is to go over to the new source; it and its leases must not keep it at the old one. A player may.
    @Test mutating func anotherSourceIsSetThoughTheWorkerReadsTheOldOne() {
        core.configure(kind: .pulled)
        core.handle(.streamReported(Self.front, StreamState.LeaseCounts(recording: 1), isRunning: true))
        core.look(viewers: 2, standings: ["front": .differs(["source"])])
        #expect(core.requests == [])
        #expect(core.published?.waiting == ["front"])
        core.wake()
        core.look(viewers: 1)
        #expect(core.requests == [.change(.replace("front"))])
    }

    @Test mutating func aPlayerAloneKeepsTheSourceThatItWatches() {
        core.configure(kind: .pulled)
        core.handle(.streamReported(Self.front, StreamState.LeaseCounts(), isRunning: false))
        core.look(viewers: 1, standings: ["front": .differs(["source"])])
        #expect(core.requests == [])
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
        let begin = core.now
        core.look(standings: [:])
        // The path may be bad itself as well, so the server reads the file again without it.
        let write = MediaServerEffect.writeFile(keeping: [], refused: ["front"], rereads: true)
        while core.now - begin < .seconds(60), !core.requests.contains(write) {
            go(standings: [:]) { _ in Self.rejection }
        }
        #expect(core.requests.contains(write))
        #expect(core.now - begin >= MediaServerCore.awayMax)
        core.handle(.fileWritten(.success(FileOutcome(isWritten: true))))
        for _ in 0..<100 where !core.isLooking { core.wake() }
        core.look(standings: ["front": .equal])
        #expect(core.published?.mode == .api)
        #expect(core.published?.error == nil)
    }

    /// In the file it would end the server, and every camera's live view with it.
    @Test(arguments: [["front"], ["front", "hall"]])
    mutating func aPathThatIsBadItselfStaysOutOfTheFile(_ names: [String]) {
        core.configure(names, hasFile: true)
        core.look(standings: ["hall": .equal])
        let begin = core.now
        while core.now - begin < .seconds(300) {
            #expect(!core.requests.contains { if case .writeFile = $0 { true } else { false } })
            go(standings: ["hall": .equal]) { $0.name == "front" ? Self.rejection : nil }
        }
        #expect(core.published?.error?.message == "recordPath" && core.published?.mode == .api)
        // What was refused stays refused under another login.
        core.configure(names, hasFile: true, server: 1)
        let write = MediaServerEffect.writeFile(keeping: [], refused: ["front"])
        while core.now - begin < .seconds(330), !core.requests.contains(write) {
            if core.isLooking { core.fail(.denied) } else { core.wake() }
        }
        #expect(core.requests.contains(write))
        core.handle(.fileWritten(.success(FileOutcome(isWritten: true))))
        // Other settings are another matter.
        core.configure(names, hasFile: true, server: 1, settings: 1)
        #expect(core.requests.contains(.writeFile(keeping: [])))
    }

    private static let rejection = MediaServerFailure(.rejected, CodedError(.mediaServerUnavailable, "recordPath"))

    /// One step of the Core, of a server that answers with these settings and refuses what `refuses` says.
    private mutating func go(
        standings: [String: PathStanding], refuses: (PathChange) -> MediaServerFailure?
    ) {
        for case .change(let change) in core.requests {
            return core.handle(.changed(change, refuses(change)))
        }
        if core.isLooking { core.look(standings: standings) } else { core.wake() }
    }

    /// A wrong password may have opened the breaker for half a minute; the right one is tried at once.
    @Test mutating func anotherLoginIsTriedAtOnceAndWithoutAnotherWriteOfTheFile() {
        core.configure(hasFile: true)
        var isWritten = false
        for _ in 0..<200 where !isWritten || core.isLooking {
            if core.isLooking { core.fail(.denied) } else { core.wake() }
            guard core.requests.contains(.writeFile(keeping: [])) else { continue }
            isWritten = true
            core.handle(.fileWritten(.success(FileOutcome(isWritten: true))))
        }
        #expect(core.published?.breaker == .open && core.published?.mode == .static && !core.isLooking)
        core.configure(hasFile: true, server: 1)
        #expect(core.requests == [.look(.everything)])
        core.look(standings: ["front": .equal])
        #expect(core.requests == [])
        #expect(core.published?.mode == .api && core.published?.breaker == .closed && core.published?.error == nil)
    }

    @Test mutating func whatWasAskedUnderTheOldLoginIsAskedAgain() {
        core.configure()
        core.handle(.lookCommanded(nil, LookToken(number: 1)))
        core.configure(server: 1)
        #expect(core.requests == [.look(.everything)])
        core.look(viewers: 3, standings: ["front": .equal])
        #expect(core.replies.first?.paths["front"]?.viewers == 3)
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
