import Bus
import BusContract
import Domain
import Foundation
import Testing

/// What strangers publish in a worker's name. The ledger is built from these events, so each is refused as soon as it
/// contradicts itself; the rest the disk judges.
@Suite struct HostileEventTests {
    private static let segment: [String: any Sendable] = [
        "at": "2026-03-01T12:30:01.000Z", "seq": 7, "event": "closed", "session": "0123456789abcdef0123456789abcdef",
        "index": 2, "node": "attic", "file": "front/2026-03-01/12-00-00.000Z_01234567_2.mp4",
        "started_at": "2026-03-01T12:00:00.000Z", "ended_at": "2026-03-01T12:30:00.000Z", "duration_seconds": 1800,
        "frames": 54_000, "first_frame": 100, "last_frame": 54_099, "bytes": 900_123, "offset_seconds": 0.03,
        "reason": "rotation",
    ]

    private static let gap: [String: any Sendable] = [
        "at": "2026-03-01T12:30:01.000Z", "seq": 7, "session": "0123456789abcdef0123456789abcdef",
        "from": "2026-03-01T12:00:00.000Z", "to": "2026-03-01T12:00:02.500Z", "seconds": 2.5, "cause": "source_lost",
        "frames_lost": 3,
    ]

    struct Change: Sendable, CustomTestStringConvertible {
        var fields: [String: any Sendable]
        init(_ fields: [String: any Sendable]) { self.fields = fields }
        var testDescription: String { String("\(fields)".prefix(100)) }
    }

    private func code<M: BusMessage>(_ type: M.Type, _ base: [String: any Sendable], _ change: Change) throws
        -> ErrorCode?
    {
        let merged = base.merging(change.fields) { $1 }.filter { !($0.value is NSNull) }
        // Written by hand where Foundation cannot write the number.
        let bytes = [UInt8](try JSONSerialization.data(withJSONObject: merged))
        do throws(CodedError) {
            _ = try BusCodec.decode(type, from: bytes)
            return nil
        } catch {
            return error.code
        }
    }

    static let segments: [Change] = [
        Change(["file": "../../etc/passwd"]), Change(["file": "/etc/passwd"]), Change(["file": ""]),
        Change(["file": "front/../back/2026-03-01/12-00-00.000Z_01234567_2.mp4"]),
        Change(["file": "front/2026-03-01/12-00-00.000Z_01234567_2.mp4/"]),
        Change(["file": "front/2026-03-01/12-00-00.000Z_01234567_2.mp4\u{0}"]),
        Change(["file": "front/2026-03-01/12-00-00.000Z_01234567_2.partial.mp4"]),
        Change(["file": "front/2026-03-01/12-00-00.000Z_01234567_3.mp4"]),
        Change(["file": "front/2026-03-01/12-00-00.000Z_76543210_2.mp4"]),
        Change(["file": "front/2026-03-01/12-00-01.000Z_01234567_2.mp4"]),
        Change(["file": "front/fifo"]), Change(["file": "ledger.sqlite"]),
        Change(["bytes": UInt64(Int64.max)]), Change(["bytes": UInt64.max]), Change(["bytes": -1]),
        Change(["frames": UInt64.max]), Change(["frames": UInt64.max, "first_frame": 0, "last_frame": UInt64.max]),
        Change(["frames": 53_999]), Change(["last_frame": 99]), Change(["first_frame": UInt64.max]),
        Change(["first_frame": -1]), Change(["last_frame": NSNull()]), Change(["bytes": NSNull()]),
        Change(["frames": NSNull()]), Change(["ended_at": NSNull()]),
        Change(["index": -1]), Change(["index": Int.max]), Change(["index": 2.5]),
        Change(["duration_seconds": -1]), Change(["duration_seconds": 1e300]), Change(["duration_seconds": 60]),
        Change(["ended_at": "1970-01-01T00:00:00.000Z"]), Change(["ended_at": "2261-01-01T00:00:00.000Z"]),
        Change(["ended_at": "2026-02-30T00:00:00.000Z"]), Change(["started_at": "1970-01-01T00:00:00.000Z"]),
        Change(["started_at": "9999-01-01T00:00:00.000Z"]), Change(["offset_seconds": 1e300]),
        Change(["session": "01234567"]), Change(["session": "../"]), Change(["event": "deleted"]),
        Change(["reason": "because"]), Change(["node": "a/b"]),
        // An opened segment has no end yet.
        Change(["event": "opened"]),
        Change(["event": "opened", "file": "front/2026-03-01/12-00-00.000Z_01234567_2.partial.mp4"]),
    ]

    @Test(arguments: segments) func aSegmentIsRefused(_ change: Change) throws {
        #expect(try code(SegmentEvent.self, Self.segment, Change([:])) == nil)
        #expect(try code(SegmentEvent.self, Self.segment, change) == .invalidPayload)
    }

    static let gaps: [Change] = [
        Change(["to": "2026-03-01T11:59:59.000Z", "seconds": -1]), Change(["to": "2261-01-01T00:00:00.000Z"]),
        Change(["from": "1970-01-01T00:00:00.000Z"]), Change(["seconds": 1e300]), Change(["seconds": 99]),
        Change(["frames_lost": UInt64.max]), Change(["frames_lost": -1]), Change(["cause": "boredom"]),
        Change(["session": NSNull()]), Change(["session": "x"]),
    ]

    @Test(arguments: gaps) func aGapIsRefused(_ change: Change) throws {
        #expect(try code(GapEvent.self, Self.gap, Change([:])) == nil)
        #expect(try code(GapEvent.self, Self.gap, change) == .invalidPayload)
    }

    private static let stream: [String: any Sendable] = [
        "at": "2026-03-01T12:30:01.000Z", "seq": 7, "state": "idle", "source": "test:", "restarts": 2,
        "leases": ["recording": 1, "viewing": 0, "snapshot": 0] as [String: any Sendable],
    ]

    static let streams: [Change] =
        ([Int.min, -1, Int(Int32.max) + 1, Int.max] as [any Sendable]).flatMap { number in
            [
                Change(["restarts": number]),
                Change(["leases": ["recording": number, "viewing": 1, "snapshot": 0] as [String: any Sendable]]),
                Change(["leases": ["recording": 1, "viewing": number, "snapshot": 0] as [String: any Sendable]]),
                Change(["leases": ["recording": 1, "viewing": 0, "snapshot": number] as [String: any Sendable]]),
            ]
        }

    /// Who watches a camera calculates with its counts.
    @Test(arguments: streams) func aStreamThatNobodyCanHaveCountedIsRefused(_ change: Change) throws {
        #expect(try code(StreamState.self, Self.stream, Change(["restarts": Int(Int32.max)])) == nil)
        #expect(try code(StreamState.self, Self.stream, change) == .invalidPayload)
    }

    private static let storage: [String: any Sendable] = [
        "at": "2026-03-01T12:30:01.000Z", "seq": 7, "total_bytes": Int64.max, "free_bytes": 0, "used_bytes": 5,
        "min_free_bytes": NSNull(), "status": "ok",
    ]

    @Test(arguments: ["total_bytes", "free_bytes", "used_bytes", "min_free_bytes"])
    func aDiskOfLessThanNothingIsRefused(field: String) throws {
        #expect(try code(StorageState.self, Self.storage, Change([field: 7])) == nil)
        for number in [Int64.min, -1] {
            #expect(try code(StorageState.self, Self.storage, Change([field: number])) == .invalidPayload)
        }
        #expect(try code(StorageState.self, Self.storage, Change([field: UInt64.max])) == .invalidPayload)
    }

    @Test(arguments: [Int.min, -1, Int.max]) func aPathOfSoManyReadersIsRefused(viewers: Int) throws {
        func state(_ viewers: Int) -> [String: any Sendable] {
            [
                "at": "2026-03-01T12:30:01.000Z", "seq": 7, "reachable": true, "breaker": "closed", "mode": "api",
                "waiting": [String](),
                "paths": ["front": ["ready": true, "viewers": viewers, "bytes": 3] as [String: any Sendable]],
            ]
        }
        #expect(try code(MediaServerState.self, state(2), Change([:])) == nil)
        #expect(try code(MediaServerState.self, state(viewers), Change([:])) == .invalidPayload)
    }

    /// The topic says whose camera it is, so only there another camera's file is found out.
    @Test func aFileBelongsToOneCamera() throws {
        let bytes = [UInt8](try JSONSerialization.data(withJSONObject: Self.segment))
        let event = try BusCodec.decode(SegmentEvent.self, from: bytes).message
        #expect(event.path(of: CameraID(unchecked: "front")) != nil)
        #expect(event.path(of: CameraID(unchecked: "back")) == nil)
    }
}
