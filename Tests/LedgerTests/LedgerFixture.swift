import BusContract
import Domain
import Foundation
import Ledger
import Synchronization
import Testing

/// A storage folder with a ledger, and facts to tell it. Goes away with this object.
final class LedgerFixture {
    let storage: String
    let start = WallTime(milliseconds: 1_772_366_400_000)
    let node = NodeID(unchecked: "attic")
    let media = TableOfMedia()

    init() throws {
        storage = NSTemporaryDirectory() + "framekeeper-ledger-\(UUID().uuidString.lowercased())"
        try FileManager.default.createDirectory(atPath: storage, withIntermediateDirectories: true)
    }

    deinit {
        do { try FileManager.default.removeItem(atPath: storage) } catch { print("leftover of a test: \(error)") }
    }

    var ledgerPath: String { "\(storage)/\(LedgerStore.fileName)" }

    func open(_ access: LedgerStore.Access = .owner) throws -> LedgerStore {
        try LedgerStore(storage: storage, access: access, now: start)
    }

    static func session(_ number: UInt64) -> SessionID { SessionID(high: number << 32, low: number) }
    static let front = CameraID(unchecked: "front")
    static let back = CameraID(unchecked: "back")

    /// Segment `index` of a session that rotates every ten seconds, 25 frames a second.
    func manifest(
        _ index: Int, session: UInt64 = 1, camera: CameraID = front, gap: SegmentManifest.Gap? = nil
    ) -> SegmentManifest {
        SegmentManifest(
            session: Self.session(session), camera: camera, node: node, index: index,
            firstFrame: UInt64(index) * 250, startedAt: start + .seconds(index * 10), sessionStartedAt: start,
            sessionOffsetNanoseconds: Int64(index) * 10_000_000_000, offsetSeconds: index == 0 ? nil : 0.04, gap: gap)
    }

    func inspected(_ manifest: SegmentManifest, bytes: Int64 = 1000) -> InspectedFile {
        InspectedFile(manifest: manifest, frames: 250, duration: .seconds(10), bytes: bytes)
    }

    func opened(_ manifest: SegmentManifest) -> SegmentEvent {
        SegmentEvent(
            event: .opened, session: manifest.session, index: manifest.index, node: manifest.node,
            file: manifest.path.relativePath, startedAt: manifest.startedAt, firstFrame: manifest.firstFrame,
            offsetSeconds: manifest.offsetSeconds)
    }

    func closed(_ manifest: SegmentManifest, reason: SegmentEnd = .rotation) -> SegmentEvent {
        SegmentEvent(
            event: .closed, session: manifest.session, index: manifest.index, node: manifest.node,
            file: manifest.path.completed.relativePath, startedAt: manifest.startedAt,
            endedAt: manifest.startedAt + .seconds(10), durationSeconds: 10, frames: 250,
            firstFrame: manifest.firstFrame, lastFrame: manifest.firstFrame + 249, bytes: 1000,
            offsetSeconds: manifest.offsetSeconds, reason: reason)
    }

    func gap(before index: Int) -> SegmentManifest.Gap {
        let at = start + .seconds(index * 10)
        return SegmentManifest.Gap(from: at - .seconds(2), to: at, cause: .workerDied, framesLost: nil)
    }

    /// A file of `bytes` bytes that the table of media knows as this segment.
    @discardableResult
    func writeFile(_ manifest: SegmentManifest, partial: Bool = false, bytes: Int = 1000) throws -> String {
        let path = partial ? manifest.path : manifest.path.completed
        try writeRaw(path.relativePath, Data(repeating: 7, count: bytes))
        media.add("\(storage)/\(manifest.path.completed)", inspected(manifest, bytes: Int64(bytes)))
        return path.relativePath
    }

    func writeRaw(_ relative: String, _ data: Data) throws {
        let url = URL(fileURLWithPath: "\(storage)/\(relative)")
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try data.write(to: url)
    }

    /// Long after every file was written.
    func scan(
        _ store: LedgerStore, camera: CameraID? = nil, age: Duration = .seconds(3600),
        progress: (Double) -> Void = { _ in }
    ) throws -> ScanReport {
        let now = WallTime(milliseconds: Int64(Date().timeIntervalSince1970 * 1000)) + age
        return try DiskScan(store: store, inspector: media, now: { now }).run(
            camera: camera, progress: progress)
    }
}

/// Stands for the media library: knows by path what each file holds.
final class TableOfMedia: SegmentInspecting {
    private struct Table {
        var files: [String: InspectedFile] = [:]
        var busy: Set<String> = []
        var empty: Set<String> = []
        var inspections = 0
    }

    private let table = Mutex(Table())

    var inspections: Int { table.withLock { $0.inspections } }

    func add(_ path: String, _ file: InspectedFile) { table.withLock { $0.files[path] = file } }
    func setBusy(_ path: String, _ isBusy: Bool) {
        table.withLock { table in
            if isBusy { table.busy.insert(path) } else { table.busy.remove(path) }
        }
    }
    func setEmpty(_ path: String) { table.withLock { _ = $0.empty.insert(path) } }

    func inspect(path: String) throws(CodedError) -> InspectedFile {
        let file = table.withLock { table in
            table.inspections += 1
            return table.files[path]
        }
        guard let file else { throw CodedError(.storageFailed, "no readable manifest") }
        return file
    }

    func recover(partial path: String) throws(CodedError) -> PartialOutcome {
        let (isBusy, isEmpty) = table.withLock { ($0.busy.contains(path), $0.empty.contains(path)) }
        if isBusy { return .busy }
        if isEmpty {
            unlink(path)
            return .empty
        }
        let complete = path.dropLast(SegmentPath.partialSuffix.count) + SegmentPath.suffix
        guard rename(path, String(complete)) == 0 else { throw CodedError(.storageFailed, "cannot rename") }
        return .finished(path: String(complete))
    }
}

extension Array {
    /// Every order of the elements.
    var permutations: [[Element]] {
        guard count > 1 else { return [self] }
        return indices.flatMap { index in
            var rest = self
            let first = rest.remove(at: index)
            return rest.permutations.map { [first] + $0 }
        }
    }
}
