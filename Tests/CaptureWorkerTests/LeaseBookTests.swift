import CaptureWorkerCore
import Domain
import Testing

private func now(_ seconds: Int) -> Now {
    Now(monotonic: MonotonicTime(nanoseconds: 0), wall: WallTime(milliseconds: 1_800_000_000_000)) + .seconds(seconds)
}

private func holder(_ name: String) throws -> Holder { try #require(Holder(rawValue: name)) }

@Suite struct LeaseBookTests {
    @Test func aRepeatedRequestExtendsAndNeverShortens() throws {
        var book = LeaseBook()
        try book.take(.recording, holder: .manual, duration: .seconds(60), at: now(0))
        try book.take(.recording, holder: .manual, duration: .seconds(10), at: now(1))
        #expect(book.leases(for: .recording).map(\.until) == [now(60).wall])
        try book.take(.recording, holder: .manual, duration: .seconds(60), at: now(30))
        #expect(book.leases(for: .recording).map(\.until) == [now(90).wall])
        try book.take(.recording, holder: .manual, duration: nil, at: now(31))
        try book.take(.recording, holder: .manual, duration: .seconds(5), at: now(32))
        #expect(book.leases(for: .recording).map(\.until) == [nil])
        #expect(book.leases(for: .recording).map(\.since) == [now(0).wall])
    }

    @Test func aHolderEndsOnlyItsOwnAndOffEndsAll() throws {
        var book = LeaseBook()
        try book.take(.recording, holder: .manual, duration: nil, at: now(0))
        try book.take(.recording, holder: try holder("motion:hall"), duration: .seconds(9), at: now(0))
        let result1 = book.release(.recording, holder: try holder("schedule:night"))
        #expect(result1 == false)
        let result2 = book.release(.recording, holder: .manual)
        #expect(result2)
        #expect(book.leases(for: .recording).map(\.holder.rawValue) == ["motion:hall"])
        let result3 = book.release(.recording, holder: nil)
        #expect(result3)
        #expect(book.isEmpty)
    }

    @Test func leasesRunOutByTheMonotonicClock() throws {
        var book = LeaseBook()
        try book.take(.viewing, holder: .manual, duration: .seconds(10), at: now(0))
        #expect(book.nextDeadline == now(10).monotonic)
        var stepped = now(5)
        stepped.wall = stepped.wall + .seconds(86_400)
        let result4 = book.expire(at: stepped)
        #expect(result4 == [])
        let result5 = book.expire(at: now(10))
        #expect(result5 == [.viewing])
        #expect(book.nextDeadline == nil)
    }

    @Test func inventedHoldersAreBounded() throws {
        var book = LeaseBook()
        for number in 0..<LeaseBook.holdersMax {
            try book.take(.recording, holder: try holder("h\(number)"), duration: nil, at: now(0))
        }
        #expect(throws: CodedError.self) {
            try book.take(.recording, holder: .manual, duration: nil, at: now(0))
        }
        #expect(book.leases(for: .recording).count == LeaseBook.holdersMax)
    }

    @Test func whatRanOutWhileNobodyLookedStaysOut() throws {
        var book = LeaseBook()
        try book.take(.recording, holder: .manual, duration: .seconds(10), at: now(0))
        try book.take(.recording, holder: .always, duration: nil, at: now(0))
        let later = LeaseBook(book.records, at: now(20))
        #expect(later.leases(for: .recording).map(\.holder) == [.always])
        #expect(LeaseBook(book.records, at: now(3)).nextDeadline == now(10).monotonic)
    }
}
