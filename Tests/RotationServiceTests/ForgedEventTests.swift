import Bus
import BusContract
import Domain
import Foundation
import Ledger
import TestSupport
import Testing

/// One event in a worker's name, and what it must not do to the files.
@Suite(.timeLimit(.minutes(2))) struct ForgedEventTests {
    private func forged(_ row: SegmentRecord, bytes: UInt64? = nil, path: String? = nil) -> SegmentEvent {
        SegmentEvent(
            event: .closed, session: row.session, index: row.index, node: NodeID(unchecked: "node"),
            file: path ?? row.path, startedAt: row.startedAt, endedAt: row.startedAt, durationSeconds: 0,
            frames: row.frames, firstFrame: row.firstFrame, lastFrame: row.lastFrame,
            bytes: bytes ?? row.bytes.map { UInt64($0) }, reason: .stop)
    }

    /// `max_age` of one camera, a file of another; `max_size` and a size that no file has; numbers that overflow.
    @Test func noFileIsDeletedAndNothingTraps() async throws {
        let limits = RetentionLimits(maxAge: .seconds(366 * 86_400), maxSize: ByteCount(1_000_000_000))
        let fixture = try await ServiceFixture(retention: limits, hearing: [StorageState.template])
        let files = try fixture.record(seconds: 4)
        try fixture.start()
        try await eventually("both are in the ledger") { try fixture.rows([.closed]).count == 2 }
        let rows = try fixture.rows()
        let old = SegmentPath(
            camera: CameraID(unchecked: "back"), startedAt: WallTime(milliseconds: 1_000_000), session: rows[0].session,
            index: 0, isPartial: false)
        try fixture.write(old, bytes: 10)
        var theft = forged(rows[0], bytes: 10, path: old.relativePath)
        theft.startedAt = old.startedAt
        theft.endedAt = old.startedAt
        var overflow = forged(rows[1], bytes: UInt64(Int64.max))
        overflow.frames = .max
        overflow.lastFrame = .max
        for event in [
            theft, forged(rows[0], bytes: 1 << 50), overflow, forged(rows[1], path: "../../etc/passwd"),
            forged(rows[0]),
        ] {
            fixture.client.publish(event, to: fixture.front)
        }
        fixture.client.publish(
            GapEvent(
                session: rows[0].session, from: rows[0].startedAt, to: rows[0].startedAt + .milliseconds(500),
                cause: .overrun, framesLost: .max), to: fixture.front)
        for _ in 0..<3 {
            let reply = try await fixture.ask("REPAIR", "storage/node/set", expecting: StorageResult.self)
            #expect(reply.status == .ok)
        }
        for path in files + ["\(fixture.storage)/\(old)"] { #expect(FileManager.default.fileExists(atPath: path)) }
        // A file does not say why it ended, so that word is believed; nothing is deleted for it.
        let after = try fixture.rows().filter { $0.camera == fixture.front }.map { row in
            var row = row
            row.reason = nil
            return row
        }
        #expect(after == rows)
        try await fixture.stop()
    }
}
