import BusContract
import ConfigWriterCore
import Domain
import Testing

/// Readers who join a stream that runs: each of them waits for a key frame, which the worker gives when it hears of one
/// more.
struct MediaServerReaderTests {
    private static let front = CameraID(unchecked: "front")
    private var core = MediaServerUnderTest()

    /// Their number alone would hide the newcomer, who waits for a key frame.
    @Test mutating func aReaderWhoTookTheOthersPlaceShows() {
        core.configure()
        core.look(viewers: 2, readers: ["a", "b"], standings: ["front": .equal])
        #expect(core.toldViewers == [2])
        core.wake()
        core.look(viewers: 2, readers: ["b", "c"])
        #expect(core.toldViewers == [1, 2])
        core.wake()
        core.look(viewers: 1, readers: ["d"])
        #expect(core.toldViewers == [0, 1])
        core.wake()
        core.look(viewers: 2, readers: ["d", "e"])
        #expect(core.toldViewers == [2])
        core.wake()
        core.look(viewers: 1, readers: ["e"])
        #expect(core.toldViewers == [1])
    }

    /// One that was counted when it was set up, and asked for frames later, has missed the key frame that it was given.
    @Test mutating func aReaderWhoBeginsIsSaidAtOnceAlsoIfItWasCounted() {
        core.configure()
        core.look(viewers: 2, readers: ["a", "b"], standings: ["front": .equal])
        core.wait(.milliseconds(500))
        core.handle(.readerCame(Self.front))
        #expect(core.requests == [.look(.traffic)])
        core.look(viewers: 2, readers: ["a", "b"])
        #expect(core.toldViewers == [1, 2])
        // One who was not counted raises the number by itself, and one who has left again does not.
        core.wait(.milliseconds(500))
        core.handle(.readerCame(Self.front))
        core.look(viewers: 3, readers: ["a", "b", "c"])
        #expect(core.toldViewers == [3])
        core.wait(.milliseconds(500))
        core.handle(.readerCame(Self.front))
        core.look(viewers: 2, readers: ["a", "b"])
        #expect(core.toldViewers == [1, 2])
        // It says nothing of the next count.
        core.wake()
        core.look(viewers: 2, readers: ["a", "b"])
        #expect(core.toldViewers == [])
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
        #expect(core.toldViewers == [])
        core.wake()
        core.look(viewers: 2, readers: ["a", "b"])
        #expect(core.toldViewers == [2])
    }
}
