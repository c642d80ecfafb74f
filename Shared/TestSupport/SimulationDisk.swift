package import Domain

/// A storage folder: segment files with what is in them, who has them open, and whether the disk takes writes.
package struct SimulatedDisk: Sendable {
    package struct File: Hashable, Sendable {
        package var manifest: SegmentManifest
        /// The camera's own numbers of the pictures on disk: without a hole, or the simulation stops.
        package var pictures: Range<Int>
        package var startedAt: MonotonicTime
        package var duration: Duration
        package var isPartial: Bool
        /// The process that holds the lock of the open file.
        package var writer: Int?

        package var path: SegmentPath {
            var path = manifest.path
            path.isPartial = isPartial
            return path
        }
        package var frames: UInt64 { UInt64(pictures.count) }
        package var bytes: UInt64 { 1000 + 5000 * frames }
    }

    /// By the path of the complete segment.
    package private(set) var files: [SegmentPath: File] = [:]
    /// Refuses every write with this.
    package var failure: CodedError?
    /// What took a name that was taken, or left a hole inside a file.
    package private(set) var faults: [String] = []

    package init() {}

    package func file(_ path: SegmentPath) -> File? { files[path.completed] }

    package mutating func create(
        _ manifest: SegmentManifest, startedAt: MonotonicTime, writer: Int
    ) throws(CodedError) -> SegmentPath {
        if let failure { throw failure }
        let path = manifest.path
        if files[path.completed] != nil { faults.append("\(path) is there already") }
        files[path.completed] = File(
            manifest: manifest, pictures: 0..<0, startedAt: startedAt, duration: .zero, isPartial: true,
            writer: writer)
        return path
    }

    /// One part: written whole or not at all.
    package mutating func append(
        _ pictures: Range<Int>, until end: MonotonicTime, to path: SegmentPath
    ) throws(CodedError) {
        if let failure { throw failure }
        let key = path.completed
        guard var file = files[key] else { throw CodedError(.storageFailed, "\(path): no such file") }
        if file.pictures.isEmpty {
            file.pictures = pictures
        } else {
            if file.pictures.upperBound != pictures.lowerBound { faults.append("\(path): a hole inside the file") }
            file.pictures = file.pictures.lowerBound..<pictures.upperBound
        }
        file.duration = end - file.startedAt
        files[key] = file
    }

    /// Gives the file its final name.
    package mutating func complete(_ path: SegmentPath) throws(CodedError) {
        if let failure { throw failure }
        let key = path.completed
        files[key]?.isPartial = false
        files[key]?.writer = nil
    }

    /// The file is no longer open; it stays partial.
    package mutating func release(_ path: SegmentPath) { files[path.completed]?.writer = nil }

    package mutating func processDied(_ writer: Int) {
        for key in files.keys where files[key]?.writer == writer { files[key]?.writer = nil }
    }

    /// What recovery does: an empty file goes, any other gets its final name. Nil for a file that somebody writes.
    package mutating func recover(_ path: SegmentPath) throws(CodedError) -> File? {
        if let failure { throw failure }
        let key = path.completed
        guard let file = files[key], file.writer == nil else { return nil }
        guard !file.pictures.isEmpty else {
            files[key] = nil
            return nil
        }
        files[key]?.isPartial = false
        return files[key]
    }

    package mutating func remove(_ path: SegmentPath) { files[path.completed] = nil }
}
