import Bus
import BusContract
import Domain
import Foundation
import Ledger
import ServiceKit
import TestSupport
import Testing

/// The service with its hands: real files, a real ledger, the bus's twin.
@Suite(.timeLimit(.minutes(2))) struct RotationServiceTests {
    @Test func aStartImportsWhatIsThereAndFinishesWhatWasLeft() async throws {
        let fixture = try await ServiceFixture()
        let paths = try fixture.record(seconds: 8)
        #expect(paths.count == 4)
        let last = try #require(paths.last)
        let wholeBytes = try Data(contentsOf: URL(fileURLWithPath: last)).count
        try fixture.makePartial(last)
        try fixture.start()
        try await eventually("all four are in the ledger") { try fixture.rows([.closed]).count == 4 }
        let rows = try fixture.rows()
        #expect(rows.map(\.reason).filter { $0 == .recovered }.count == 1)
        #expect(rows.compactMap(\.frames).reduce(0, +) == 200)
        #expect(rows.last?.bytes == Int64(wholeBytes), "the torn tail is cut off")
        #expect(FileManager.default.fileExists(atPath: last))
        #expect(try await fixture.stop() == .done)
    }

    @Test func aDamagedLedgerIsRebuiltFromTheFiles() async throws {
        let fixture = try await ServiceFixture()
        _ = try fixture.record(seconds: 6)
        try fixture.start()
        try await eventually("three are in the ledger") { try fixture.rows([.closed]).count == 3 }
        let before = try fixture.rows()
        try await fixture.stop()
        try Data("no ledger any more, but enough text to look like a file of some size".utf8)
            .write(to: URL(fileURLWithPath: fixture.ledgerPath))
        try fixture.start()
        try await eventually("three are in the new ledger") {
            do { return try fixture.rows([.closed]).count == 3 } catch let error as CodedError {
                // Until the damaged file has been moved aside.
                return error.code == .notReady
            }
        }
        #expect(try fixture.rows() == before)
        #expect(try databasesMovedAside(in: fixture.storage).count == 1)
        try await fixture.stop()
    }

    @Test func aRepairIsAskedForAndAnswered() async throws {
        let fixture = try await ServiceFixture()
        try fixture.start()
        _ = try await fixture.ask("REPAIR", "storage/node/set", expecting: StorageResult.self)
        let paths = try fixture.record(seconds: 4)
        try fixture.makePartial(try #require(paths.last))
        let reply = try await fixture.ask("REPAIR", "storage/node/set", expecting: StorageResult.self)
        #expect(reply.result?.recovered == 1)
        #expect(reply.result?.imported == 1)
        #expect(reply.result?.segments == 2)
        let refused = try await fixture.ask("DESTROY", "storage/node/set", expecting: StorageResult.self)
        #expect(refused.error?.code == .unknownCommand)
        try await fixture.stop()
    }

    @Test func camerasThatDoNotExistAreRefused() async throws {
        let fixture = try await ServiceFixture(hearing: [CameraErrorEvent.template])
        try fixture.start()
        for topic in ["cameras/ghost/recording/set", "cameras/FRONT/recording/set", "cameras/ghost/nonsense/set"] {
            let reply = try await fixture.ask("ON", topic, expecting: RecordingResult.self)
            #expect(reply.error?.code == .unknownCamera, "\(topic)")
        }
        for topic in ["groups/ghosts/recording/set", "groups/../recording/set", "storage/moon/set", "storage/../set"] {
            let reply = try await fixture.ask("ON", topic, expecting: RecordingResult.self)
            #expect(reply.status == .error, "\(topic)")
        }
        try await fixture.stop()
    }

    @Test func aRecordingGetsAPlanAndCommands() async throws {
        let fixture = try await ServiceFixture(hearing: [RotationState.template, RotationCommand.template])
        try fixture.start()
        let heard = fixture.heard
        try await eventually("a plan without a moment") {
            heard.decoded(RotationState.self).contains { $0.message.nextAt == nil }
        }
        let session = SessionID(high: 5, low: 5)
        fixture.client.publish(
            RecordingState(state: .recording, session: session, since: ServiceClock.now().wall), to: fixture.front)
        try await eventually("a boundary") { heard.decoded(RotationState.self).last?.message.nextAt != nil }
        try await eventually("two commands") { heard.payloads(on: "cameras/front/rotation/set").count >= 2 }
        let plans = heard.decoded(RotationState.self).compactMap { $0.message.nextAt }
        for payload in heard.payloads(on: "cameras/front/rotation/set") {
            #expect(plans.contains { payload == #"{"command":"rotate","at":"\#($0.rfc3339)"}"# })
        }
        fixture.client.publish(RecordingState(state: .off), to: fixture.front)
        try await eventually("the plan ends") { heard.decoded(RotationState.self).last?.message.nextAt == nil }
        try await fixture.stop()
    }

    @Test func eventsReachTheLedgerAlsoThoseThatCameWhileTheServiceWasAway() async throws {
        let fixture = try await ServiceFixture()
        try fixture.start()
        _ = try await fixture.ask("REPAIR", "storage/node/set", expecting: StorageResult.self)
        let session = SessionID(high: 5, low: 5)
        func publish(_ index: Int) throws {
            let at = WallTime(milliseconds: 1_772_366_400_000) + .seconds(index * 2)
            let path = SegmentPath(
                camera: fixture.front, startedAt: at, session: session, index: index, isPartial: false)
            try fixture.write(path, bytes: 1000)
            fixture.client.publish(
                SegmentEvent(
                    event: .closed, session: session, index: index, node: NodeID(unchecked: "node"),
                    file: path.relativePath, startedAt: at, endedAt: at + .seconds(2), durationSeconds: 2, frames: 50,
                    firstFrame: UInt64(index) * 60,
                    lastFrame: UInt64(index) * 60 + 49, bytes: 1000, reason: .rotation), to: fixture.front)
            fixture.client.publish(
                GapEvent(
                    session: session, from: at - .milliseconds(index * 500), to: at, cause: .sourceLost),
                to: fixture.front)
        }
        try publish(0)
        try await eventually("the first is there") { try fixture.rows().map(\.index) == [0] }
        try await fixture.stop()
        try publish(1)
        try publish(1)
        try fixture.start()
        try await eventually("the second is there, once") { try fixture.rows().map(\.index) == [0, 1] }
        let reader = try LedgerStore(storage: fixture.storage, access: .reader, now: ServiceClock.now().wall)
        try await eventually("the gaps too, once") { try reader.gaps().count == 2 }
        try await fixture.stop()
    }

    @Test func whatIsTooMuchGoesOldestFirst() async throws {
        let limits = RetentionLimits(maxSize: ByteCount(1))
        let fixture = try await ServiceFixture(retention: limits, hearing: [StorageState.template])
        let paths = try fixture.record(seconds: 4)
        try fixture.start()
        try await eventually("both are deleted") { try fixture.rows([.deleted]).count == 2 }
        for path in paths { #expect(!FileManager.default.fileExists(atPath: path)) }
        let folder = URL(fileURLWithPath: paths[0]).deletingLastPathComponent().path
        #expect(!FileManager.default.fileExists(atPath: folder), "an empty day goes too")
        let heard = fixture.heard
        try await eventually("the state says so") {
            heard.decoded(StorageState.self).last.map { $0.message.usedBytes == 0 && $0.message.status == .ok } ?? false
        }
        try await fixture.stop()
    }

    @Test func aSecondServiceOnTheFolderLeaves() async throws {
        let fixture = try await ServiceFixture()
        try fixture.start()
        _ = try await fixture.ask("REPAIR", "storage/node/set", expecting: StorageResult.self)
        #expect(try await fixture.runToEnd() == .fenced)
        let reply = try await fixture.ask("REPAIR", "storage/node/set", expecting: StorageResult.self)
        #expect(reply.status == .ok, "the first one goes on")
        try await fixture.stop()
        #expect(try await fixture.stop() == nil)
    }
}
