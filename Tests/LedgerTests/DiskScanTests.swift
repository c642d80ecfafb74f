import BusContract
import Domain
import Foundation
import Ledger
import Testing

/// Files and ledger are brought together, whatever happened to either.
@Suite struct DiskScanTests {
    private let fixture: LedgerFixture
    private let store: LedgerStore

    init() throws {
        fixture = try LedgerFixture()
        store = try fixture.open()
    }

    private func record(_ events: SegmentEvent...) throws {
        try store.record(
            segments: events.map { SegmentRecord($0, camera: LedgerFixture.front) }, now: fixture.start)
    }

    private func row(_ index: Int) throws -> SegmentRecord? {
        try store.segment(LedgerFixture.session(1), index: index)
    }

    /// `touch -d 2400-01-01`: a moment that 64 bits of nanoseconds do not hold.
    @Test func aFileFromTheFarFutureIsAFileLikeAnyOther() throws {
        let path = "\(fixture.storage)/\(try fixture.writeFile(fixture.manifest(0), partial: true))"
        var times = [timespec](repeating: timespec(tv_sec: 13_569_465_600, tv_nsec: 0), count: 2)
        #expect(utimensat(AT_FDCWD, path, &times, 0) == 0)
        #expect(try fixture.scan(store).recovered.count == 1)
        #expect(try store.segments().map(\.state) == [.closed])
    }

    @Test func theLedgerIsRebuiltFromTheFilesAlone() throws {
        let manifests = (0..<6).map { index in
            var manifest = fixture.manifest(index, gap: index == 3 ? fixture.gap(before: 3) : nil)
            if index >= 3 { manifest.firstFrame += 1 }
            return manifest
        }
        for manifest in manifests {
            try fixture.writeFile(manifest)
            try record(fixture.opened(manifest), fixture.closed(manifest))
        }
        let event = GapRecord(manifests[3])
        try store.record(segments: [], gaps: [try #require(event)], now: fixture.start)
        let before = (try store.segments(), try store.gaps(), try store.sessions())
        try store.close()
        try FileManager.default.removeItem(atPath: fixture.ledgerPath)

        let rebuilt = try fixture.open()
        #expect(rebuilt.origin == .created)
        let report = try fixture.scan(rebuilt)
        #expect(report.imported.count == 6)
        #expect(try rebuilt.gaps() == before.1)
        #expect(try rebuilt.sessions() == before.2)
        // Events do not tell the place on the session's timeline, files do not tell why a segment ended.
        let comparable = try rebuilt.segments().map { segment in
            var segment = segment
            #expect(segment.sessionOffset == segment.startedAt - fixture.start)
            segment.sessionOffset = nil
            segment.sessionStartedAt = nil
            segment.reason = .rotation
            segment.knowledge = .closed
            return segment
        }
        #expect(comparable == before.0)
    }

    /// The worker was back before anybody listened to it.
    @Test func aGapWhoseEventWasLostIsReadFromTheFileAfterIt() throws {
        let manifests = (0..<4).map { index in
            var manifest = fixture.manifest(index, gap: index == 2 ? fixture.gap(before: 2) : nil)
            if index > 1 { manifest.firstFrame += 1 }
            return manifest
        }
        for manifest in manifests {
            try fixture.writeFile(manifest)
            try record(fixture.opened(manifest), fixture.closed(manifest))
        }
        #expect(try store.gaps().isEmpty)
        #expect(try fixture.scan(store).opened == 1)
        #expect(try store.gaps() == [try #require(GapRecord(manifests[2]))])
        #expect(try fixture.scan(store).opened == 0)
    }

    @Test func aSecondScanOpensNothingAndChangesNothing() throws {
        for index in 0..<5 { try fixture.writeFile(fixture.manifest(index)) }
        try fixture.writeRaw("front/2026-03-01/12-09-00.000Z_00000009_0.mp4", Data(repeating: 0, count: 100))
        #expect(try fixture.scan(store).opened == 6)
        let inspections = fixture.media.inspections
        let rows = try store.segments()
        let again = try fixture.scan(store)
        #expect(again.opened == 0)
        #expect(again.imported == [])
        #expect(again.quarantined.count == 1, "what cannot be read is still told")
        #expect(fixture.media.inspections == inspections)
        #expect(try store.segments() == rows)
    }

    @Test func aFileThatGrewIsReadAgain() throws {
        let manifest = fixture.manifest(0)
        try fixture.writeFile(manifest)
        _ = try fixture.scan(store)
        try fixture.writeFile(manifest, bytes: 2000)
        #expect(try fixture.scan(store).opened == 1)
        #expect(try row(0)?.bytes == 2000)
    }

    @Test func aDeadWorkersPartialIsFinishedAndImported() throws {
        let manifest = fixture.manifest(2)
        try fixture.writeFile(manifest, partial: true)
        try record(fixture.opened(manifest))
        let report = try fixture.scan(store)
        #expect(report.recovered == [manifest.path.completed.relativePath])
        let segment = try #require(try row(2))
        #expect(segment.state == .closed)
        #expect(segment.reason == .recovered)
        #expect(segment.path == manifest.path.completed.relativePath)
    }

    @Test func aPartialThatIsBeingWrittenIsLeftAlone() throws {
        let manifest = fixture.manifest(2)
        let path = try fixture.writeFile(manifest, partial: true)
        try record(fixture.opened(manifest))
        fixture.media.setBusy("\(fixture.storage)/\(path)", true)
        #expect(try fixture.scan(store).open == 1)
        #expect(try row(2)?.state == .open)
        fixture.media.setBusy("\(fixture.storage)/\(path)", false)
        #expect(try fixture.scan(store, age: .zero).open == 1, "too young: its worker may not have locked it yet")
        #expect(FileManager.default.fileExists(atPath: "\(fixture.storage)/\(path)"))
    }

    @Test func aPartialWithoutAFrameLeavesNoOpenRow() throws {
        let manifest = fixture.manifest(0)
        let path = try fixture.writeFile(manifest, partial: true, bytes: 0)
        try record(fixture.opened(manifest))
        fixture.media.setEmpty("\(fixture.storage)/\(path)")
        #expect(try fixture.scan(store).empty == 1)
        #expect(try row(0)?.state == .missing)
    }

    @Test func aRowWithoutAFileIsMissingUntilTheFileComesBack() throws {
        let manifest = fixture.manifest(0)
        let path = try fixture.writeFile(manifest)
        try record(fixture.opened(manifest), fixture.closed(manifest))
        let data = try Data(contentsOf: URL(fileURLWithPath: "\(fixture.storage)/\(path)"))
        try FileManager.default.removeItem(atPath: "\(fixture.storage)/\(path)")
        #expect(try fixture.scan(store).missing == [path])
        #expect(try row(0)?.state == .missing)
        #expect(try fixture.scan(store).missing == [], "told once")
        try record(fixture.closed(manifest))
        #expect(try row(0)?.state == .missing, "an old event brings no file back")
        try fixture.writeRaw(path, data)
        _ = try fixture.scan(store)
        #expect(try row(0)?.state == .closed)
    }

    @Test func aSegmentThatClosedWhileItsEventIsUnderWayIsFoundByItsFinalName() throws {
        let manifest = fixture.manifest(0)
        try record(fixture.opened(manifest))
        try fixture.writeFile(manifest)
        let report = try fixture.scan(store)
        #expect(report.missing == [])
        #expect(try row(0)?.state == .closed)
    }

    @Test func aCopyUnderAnotherNameDoesNotTakeTheOriginalsPlace() throws {
        let manifest = fixture.manifest(0)
        try fixture.writeFile(manifest)
        let copy = "front/2026-03-01/13-00-00.000Z_00000001_7.mp4"
        try fixture.writeRaw(copy, Data(repeating: 7, count: 1000))
        fixture.media.add("\(fixture.storage)/\(copy)", fixture.inspected(manifest))
        let report = try fixture.scan(store)
        #expect(report.quarantined.map(\.path) == [copy])
        #expect(try row(0)?.path == manifest.path.completed.relativePath)
        #expect(FileManager.default.fileExists(atPath: "\(fixture.storage)/\(copy)"))
    }

    @Test func linksAndForeignThingsAreLeftAlone() throws {
        let outside = try LedgerFixture()
        let manifest = fixture.manifest(0)
        try outside.writeFile(manifest)
        let files = FileManager.default
        // The camera's folder, a day's folder and a file as links to somewhere else.
        try files.createSymbolicLink(
            atPath: "\(fixture.storage)/front", withDestinationPath: "\(outside.storage)/front")
        try files.createDirectory(atPath: "\(fixture.storage)/back", withIntermediateDirectories: true)
        try files.createSymbolicLink(
            atPath: "\(fixture.storage)/back/2026-03-01", withDestinationPath: "\(outside.storage)/front/2026-03-01")
        try fixture.writeRaw("hall/2026-03-01/notes.txt", Data("x".utf8))
        try fixture.writeRaw("hall/2026-03-01/12-00-00.000Z_0000000A_0.mp4", Data("x".utf8))
        try fixture.writeRaw("hall/snapshots/a.jpg", Data("x".utf8))
        try fixture.writeRaw("..odd/2026-03-01/12-00-00.000Z_00000001_0.mp4", Data("x".utf8))
        try files.createDirectory(
            atPath: "\(fixture.storage)/hall/2026-03-01/12-00-00.000Z_00000001_0.mp4",
            withIntermediateDirectories: true)
        try files.createSymbolicLink(
            atPath: "\(fixture.storage)/hall/2026-03-01/12-00-00.000Z_00000001_1.mp4",
            withDestinationPath: "\(outside.storage)/\(manifest.path.completed)")
        #expect(mkfifo("\(fixture.storage)/hall/2026-03-01/12-00-00.000Z_00000001_2.mp4", 0o600) == 0)
        let report = try fixture.scan(store)
        #expect(report.segments == 0)
        #expect(report.opened == 0)
        #expect(report.foreign == 5)
        #expect(try store.segments().isEmpty)
    }

    @Test func onlyOneCameraIsLookedAtWhenOnlyOneIsMeant() throws {
        try fixture.writeFile(fixture.manifest(0))
        try fixture.writeFile(fixture.manifest(0, session: 2, camera: LedgerFixture.back))
        #expect(try fixture.scan(store, camera: LedgerFixture.back).imported.count == 1)
        #expect(try fixture.scan(store).imported.count == 1)
    }

    @Test func aStorageFolderThatIsAwayMakesNothingMissing() throws {
        try record(fixture.closed(fixture.manifest(0)))
        let away = try LedgerStore(storage: fixture.storage, access: .owner, now: fixture.start)
        try FileManager.default.moveItem(atPath: fixture.storage, toPath: fixture.storage + "-away")
        defer {
            do {
                try FileManager.default.moveItem(atPath: fixture.storage + "-away", toPath: fixture.storage)
            } catch { Issue.record("\(error)") }
        }
        #expect(throws: CodedError.self) { try fixture.scan(away) }
        #expect(try away.segments(LedgerQuery(states: [.missing])).isEmpty)
    }

    @Test func aScanTellsHowFarItIs() throws {
        for session: UInt64 in 1...3 {
            let camera = session < 3 ? LedgerFixture.front : LedgerFixture.back
            try fixture.writeFile(fixture.manifest(Int(session), session: session, camera: camera))
        }
        var told: [Double] = []
        _ = try fixture.scan(store) { told.append($0) }
        #expect(told == told.sorted() && told.first.map { $0 > 0 } == true && told.last == 1, "\(told)")
    }

    @Test func aFolderOfThousandsIsRead() throws {
        for index in 0..<3000 { try fixture.writeFile(fixture.manifest(index), bytes: 1) }
        #expect(try fixture.scan(store).imported.count == 3000)
        #expect(try fixture.scan(store).opened == 0)
        #expect(try store.segments().count == 3000)
    }

    @Test func deletingStaysInsideTheFolder() throws {
        let disk = StorageDisk(storage: fixture.storage)
        let old = fixture.manifest(0)
        try fixture.writeFile(old)
        let path = old.path.completed
        try disk.remove(path)
        try disk.remove(path)
        #expect(disk.file(at: path) == nil)
        disk.removeFolderIfEmpty(of: path, now: fixture.start + .seconds(3600))
        #expect(FileManager.default.fileExists(atPath: "\(fixture.storage)/\(path.folder)"), "a worker may need it")
        disk.removeFolderIfEmpty(of: path, now: fixture.start + .seconds(3 * 86_400))
        #expect(!FileManager.default.fileExists(atPath: "\(fixture.storage)/\(path.folder)"))

        let outside = try LedgerFixture()
        try outside.writeFile(old)
        try FileManager.default.createDirectory(
            atPath: "\(fixture.storage)/front", withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(
            atPath: "\(fixture.storage)/\(path.folder)", withDestinationPath: "\(outside.storage)/\(path.folder)")
        try disk.remove(path)
        #expect(FileManager.default.fileExists(atPath: "\(outside.storage)/\(path)"))
    }
}
