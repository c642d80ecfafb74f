import Bus
import Domain
import Glibc
import TestSupport
import Testing

/// The outbox's file: torn, damaged, full, repeated.
@Suite struct EventOutboxTests {
    private func event(_ index: Int) -> (topic: String, payload: [UInt8]) {
        ("framekeeper/cameras/front/segment", Array("{\"index\":\(index)}".utf8))
    }

    private func payloads(_ outbox: EventOutbox) -> [String] {
        outbox.entries(after: 0, atMost: .max).map { String(decoding: $0.payload, as: UTF8.self) }
    }

    @Test func everyTornTailKeepsAllWholeRecords() throws {
        let folder = try TestFolder()
        let path = folder.path("outbox")
        var lengths: [Int] = []
        do {
            let outbox = try EventOutbox(path: path)
            for index in 0..<3 {
                #expect(outbox.append([event(index)]).failure == nil)
                lengths.append(try folder.bytes("outbox").count)
            }
        }
        let whole = try folder.bytes("outbox")
        for length in 0...whole.count {
            try folder.write(Array(whole.prefix(length)), to: "torn")
            let outbox = try EventOutbox(path: folder.path("torn"))
            let kept = lengths.filter { $0 <= length }.count
            #expect(outbox.count == kept)
            #expect(outbox.discardedBytes == length - (kept == 0 ? 0 : lengths[kept - 1]))
            #expect(outbox.append([event(9)]).failure == nil)
            #expect(try payloads(EventOutbox(path: folder.path("torn"))).last == "{\"index\":9}")
            try folder.remove("torn")
        }
    }

    @Test func aFlippedBitEndsTheReadablePartAndNothingTraps() throws {
        let folder = try TestFolder()
        do {
            let outbox = try EventOutbox(path: folder.path("outbox"))
            _ = outbox.append((0..<4).map(event))
        }
        let whole = try folder.bytes("outbox")
        for position in whole.indices {
            var damaged = whole
            damaged[position] ^= 0x40
            try folder.write(damaged, to: "damaged")
            let outbox = try EventOutbox(path: folder.path("damaged"))
            #expect(outbox.count < 4)
            #expect(outbox.discardedBytes > 0)
            try folder.remove("damaged")
        }
    }

    @Test func whenFullTheOldestGoesAlsoFromTheFile() throws {
        let folder = try TestFolder()
        let limits = EventOutbox.Limits(countMax: 5, bytesMax: 10_000)
        do {
            let outbox = try EventOutbox(path: folder.path("outbox"), limits: limits)
            for index in 0..<8 { #expect(outbox.append([event(index)]).dropped == (index < 5 ? 0 : 1)) }
        }
        let reopened = try EventOutbox(path: folder.path("outbox"), limits: limits)
        #expect(payloads(reopened) == (3..<8).map { "{\"index\":\($0)}" })
    }

    @Test func bytesAreBoundedToo() {
        let outbox = EventOutbox(limits: .init(countMax: 100, bytesMax: 1000))
        let outcome = outbox.append((0..<10).map { _ in ("t", [UInt8](repeating: 1, count: 299)) })
        #expect(outcome.dropped == 7)
        #expect(outbox.count == 3)
    }

    @Test func acknowledgedEntriesAreGoneAfterARestartAndTheFileStaysSmall() throws {
        let folder = try TestFolder()
        let path = folder.path("outbox")
        let outbox = try EventOutbox(path: path)
        for round in 0..<300 {
            _ = outbox.append((0..<10).map { event(round * 10 + $0) })
            let ids = outbox.entries(after: 0, atMost: 10).map(\.id)
            #expect(outbox.acknowledge(Set(ids)) == nil)
        }
        #expect(try folder.bytes("outbox").isEmpty)
        _ = outbox.append([event(1), event(2)])
        outbox.acknowledge([outbox.entries(after: 0, atMost: 1)[0].id])
        #expect(try payloads(EventOutbox(path: path)) == ["{\"index\":2}"])
    }

    @Test func aDeadFileIsRewrittenAroundWhatLives() throws {
        let folder = try TestFolder()
        let outbox = try EventOutbox(path: folder.path("outbox"))
        _ = outbox.append([event(0)])
        for _ in 0..<40 {
            _ = outbox.append([("t", [UInt8](repeating: 7, count: 100_000))])
            let newest = outbox.entries(after: 0, atMost: .max).last
            outbox.acknowledge([try #require(newest).id])
        }
        #expect(try folder.bytes("outbox").count < 1_300_000)
        _ = outbox.append([event(1)])
        #expect(try payloads(EventOutbox(path: folder.path("outbox"))) == ["{\"index\":0}", "{\"index\":1}"])
    }

    @Test func aFullDiskIsReportedAndTheEventsAreStillSent() throws {
        let outbox = try EventOutbox(path: "/dev/full")
        let outcome = outbox.append([event(0)])
        #expect(outcome.failure != nil)
        #expect(payloads(outbox) == ["{\"index\":0}"])
    }

    @Test func aFolderThatIsNotThereIsAnError() {
        #expect(throws: CodedError.self) { try EventOutbox(path: "/nonexistent/outbox") }
    }
}
