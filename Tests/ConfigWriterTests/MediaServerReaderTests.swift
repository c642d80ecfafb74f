import BusContract
import ConfigWriterCore
import Domain
import Testing

/// Readers who join a stream that runs: each of them waits for a key frame, which the worker gives when it hears of one
/// more.
struct MediaServerReaderTests {
    private static let front = CameraID(unchecked: "front")
    private typealias Count = MediaServerUnderTest.Count
    private var core = MediaServerUnderTest()

    /// The number of those who watch would hide the newcomer.
    @Test mutating func aReaderWhoTookTheOthersPlaceShows() {
        core.configure()
        core.look(viewers: 2, readers: ["a", "b"], standings: ["front": .equal])
        #expect(core.told == [Count(2, total: 2)])
        core.wake()
        core.look(viewers: 2, readers: ["b", "c"])
        #expect(core.told == [Count(2, total: 3)])
        core.wake()
        core.look(viewers: 1, readers: ["d"])
        #expect(core.told == [Count(1, total: 4)])
        core.wake()
        core.look(viewers: 1, readers: ["d"])
        #expect(core.told == [])
        core.wake()
        core.look(viewers: 0, readers: [])
        #expect(core.told == [Count(0, total: 4)])
    }

    /// One that was counted when it was set up, and asked for frames later, has missed the key frame that it was given.
    @Test mutating func aReaderWhoBeginsIsSaidAtOnceAlsoIfItWasCounted() {
        core.configure()
        core.look(viewers: 2, readers: ["a", "b"], standings: ["front": .equal])
        core.wait(.milliseconds(500))
        core.handle(.readerCame(Self.front))
        #expect(core.requests == [.look(.traffic)])
        core.look(viewers: 2, readers: ["a", "b"])
        #expect(core.told == [Count(2, total: 3)])
        // One who was not counted is one, and not two.
        core.wait(.milliseconds(500))
        core.handle(.readerCame(Self.front))
        core.look(viewers: 3, readers: ["a", "b", "c"])
        #expect(core.told == [Count(3, total: 4)])
        // It says nothing of the next count.
        core.wake()
        core.look(viewers: 3, readers: ["a", "b", "c"])
        #expect(core.told == [])
    }

    /// The count said that nobody uses the path, and then somebody began to.
    @Test mutating func aPathThatIsReadSinceTheCountIsNotChanged() {
        core.configure(["front", "hall"])
        let differs: [String: PathStanding] = ["front": .differs(["source"]), "hall": .differs(["source"])]
        func traffic(_ viewers: Int) -> [String: MediaServerState.Path] {
            [
                "front": MediaServerState.Path(ready: true, viewers: viewers, bytes: 0),
                "hall": MediaServerState.Path(ready: true, viewers: 0, bytes: 0),
            ]
        }
        core.look(traffic: traffic(0), standings: differs)
        while !core.requests.contains(where: { if case .change = $0 { true } else { false } }) { core.wake() }
        #expect(core.requests == [.change(.replace("front"))])
        core.handle(.readerCame(CameraID(unchecked: "hall")))
        core.handle(.changed(.replace("front"), nil))
        #expect(!core.requests.contains(.change(.replace("hall"))))
    }

    @Test mutating func readersWhoComeTogetherCostOneLook() {
        core.configure()
        core.look(viewers: 1, readers: ["a"], standings: ["front": .equal])
        core.wait(.milliseconds(500))
        let begin = core.now
        var looks: [Duration] = []
        for number in 0..<100 {
            core.handle(.readerCame(Self.front))
            core.handle(.readerCame(CameraID(unchecked: "nobody")))
            core.wait(.milliseconds(10))
            if core.isLooking {
                looks.append(core.now - begin)
                core.look(viewers: 1 + number, readers: ["a"])
            }
        }
        #expect(looks.count >= 4 && looks.count <= 5, "\(looks)")
        // The last of them is looked for too.
        core.handle(.readerCame(Self.front))
        core.wake()
        #expect(core.isLooking && core.now - begin < .milliseconds(1400))
    }

    /// What was said before a look began is not for the next one, and a look that began before is too old.
    @Test mutating func aReaderWhoBeginsDuringALookIsFoundByTheNext() {
        core.configure()
        core.look(viewers: 1, readers: ["a"], standings: ["front": .equal])
        core.wake()
        #expect(core.isLooking)
        core.handle(.readerCame(Self.front))
        core.look(viewers: 1, readers: ["a"])
        #expect(core.told == [])
        core.wake()
        core.look(viewers: 2, readers: ["a", "b"])
        #expect(core.told == [Count(2, total: 2)])
    }
}
