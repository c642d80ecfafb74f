import BusContract
import Domain
import FramekeeperCore
import Testing

@Suite("A change of the configuration that is followed until it is in force")
struct ChangePursuitTests {
    private var pursuit = ChangePursuit(of: 6)

    private mutating func said(
        _ revision: Int, waits pending: Int? = nil, number: UInt64
    ) -> ChangePursuit.Verdict {
        pursuit.take(
            ConfigState(
                node: NodeID(unchecked: "attic"), revision: revision, appliedAt: WallTime(milliseconds: 1), valid: true,
                pending: pending.map(Self.pending)), number: number)
    }

    private static func pending(_ revision: Int) -> ConfigState.Pending {
        ConfigState.Pending(revision: revision, waitsFor: [CameraID(unchecked: "front")], reason: "it records")
    }

    @Test("What was said before the wish decides nothing; then it waits, and is in force")
    mutating func patient() {
        #expect(said(5, number: 1) == .unknown)
        #expect(said(5, waits: 4, number: 2) == .unknown)
        #expect(said(5, waits: 6, number: 3) == .waits(Self.pending(6)))
        #expect(said(5, waits: 6, number: 4) == .waits(Self.pending(6)))
        #expect(said(6, number: 5) == .inForce)
    }

    @Test("Somebody rolled back: an earlier revision is in force and nothing waits")
    mutating func rolledBack() {
        #expect(said(5, waits: 6, number: 3) == .waits(Self.pending(6)))
        #expect(said(5, number: 4) == .replaced(by: 5))
    }

    @Test("The same, where the state with the wish in it never came: another node's had taken its place at the broker")
    mutating func unseen() {
        pursuit.caughtUp()
        #expect(said(5, number: 4) == .replaced(by: 5))
    }

    @Test("Somebody pushed another text: a later revision is in force, or waits")
    mutating func pushed() {
        #expect(said(7, number: 4) == .replaced(by: 7))
        #expect(said(5, waits: 7, number: 5) == .replaced(by: 7))
    }

    @Test("A state that the broker kept from before the wish is none of an end")
    mutating func kept() {
        #expect(said(5, waits: 6, number: 30) == .waits(Self.pending(6)))
        #expect(said(5, number: 2) == .unknown)
        #expect(said(5, waits: 6, number: 30) == .waits(Self.pending(6)))
        #expect(said(6, number: 31) == .inForce)
    }
}
