package import Domain

/// One part that reached the disk.
package struct PartReport: Sendable, Hashable {
    package var bytes: Int
    package var videoFrames: Int
    /// How long the write and, where asked for, the sync took.
    package var writeSeconds: Duration
    /// The file's first part: from now on there is something to play.
    package var isFirst: Bool
}

/// A segment that is complete and has its final name.
package struct SegmentReport: Sendable, Hashable {
    package var path: SegmentPath
    package var videoFrames: Int
    package var audioPackets: Int
    package var bytes: Int64
    /// Of the video, the last frame included.
    package var duration: Duration
}

/// What the boxes of a segment file say, read without decoding and without the media itself.
package struct SegmentInspection: Sendable, Hashable {
    /// Nil where the file has no readable manifest.
    package var manifest: SegmentManifest?
    package var videoFrames: Int
    package var audioPackets: Int
    /// Of the video, the last frame of the complete prefix included.
    package var duration: Duration
    package var parts: Int
    /// The length of the prefix that holds whole parts only.
    package var completeBytes: Int64
    package var fileBytes: Int64
    /// Whether something follows the last whole part.
    package var isTorn: Bool { completeBytes < fileBytes }
}

/// What a full read of a segment file found.
package struct SegmentVerification: Sendable, Hashable {
    package var inspection: SegmentInspection
    package var videoFrames: Int
    package var audioPackets: Int
    package var keyFrames: Int
    /// Of the video, the last frame included.
    package var duration: Duration
    /// Frames that decoded; nil where decoding was not asked for.
    package var decodedFrames: Int?
    /// Frames shown before the first key frame though stored after it: they belong to an open group of pictures and
    /// need the segment before to be decoded.
    package var leadingFrames = 0
    /// What is wrong, in sentences, at most `faultsMax`.
    package var faults: [String]

    package var isSound: Bool { faults.isEmpty }
    package static let faultsMax = 20
}

/// What became of a partial file that nobody writes any more.
package struct RecoveredSegment: Sendable, Hashable {
    /// The absolute path of the finished file; nil when there was nothing to keep and the file was removed.
    package var finalPath: String?
    package var inspection: SegmentInspection?
    /// The torn tail that was cut off.
    package var bytesCut: Int64
}

/// What a join wrote.
package struct JoinReport: Sendable, Hashable {
    package var videoFrames: Int
    package var audioPackets: Int
    package var bytes: Int64
    package var duration: Duration
}
