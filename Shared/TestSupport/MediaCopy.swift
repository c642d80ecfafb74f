package import Domain
package import Media

/// Records a source into segments, as plainly as possible: cuts at the first key frame after `segmentSeconds`, and at
/// every change of format. It stands for the worker where a test is about files.
package struct MediaCopy {
    package var storage: String
    package var segmentSeconds: Duration
    package var durability: Durability = .processCrash
    package var audio = false
    /// Stops after this many video frames; the last segment is finished all the same.
    package var framesMax = Int.max

    package private(set) var reports: [SegmentReport] = []
    package private(set) var parts: [PartReport] = []
    package private(set) var formats: [StreamFormat] = []
    private var writer: SegmentWriter?
    private var segmentStart: Int64?
    private var frames = 0
    package private(set) var skipped = 0

    package init(storage: String, segmentSeconds: Duration) {
        self.storage = storage
        self.segmentSeconds = segmentSeconds
    }

    package static func manifest(index: Int, firstFrame: UInt64 = 0) -> SegmentManifest {
        let start = WallTime(milliseconds: 1_772_366_400_000)
        return SegmentManifest(
            session: SessionID(high: 0x0123_4567_89ab_cdef, low: 1), camera: CameraID(unchecked: "front"),
            node: NodeID(unchecked: "node"), index: index, firstFrame: firstFrame, startedAt: start,
            sessionStartedAt: start, sessionOffsetNanoseconds: 0, offsetSeconds: nil, gap: nil)
    }

    package var paths: [String] { reports.map { "\(storage)/\($0.path)" } }

    /// Reads the source to its end.
    package mutating func run(_ source: any MediaSource) throws {
        var format = try source.open()
        formats.append(format)
        defer { source.close() }
        var mustCut = false
        while frames < framesMax {
            switch try source.next() {
            case .end:
                try finish(next: nil)
                return
            case .formatChanged(let changed):
                format = changed
                formats.append(changed)
                mustCut = true
            case .skipped(let frames): skipped += frames
            case .packet(let packet):
                if packet.track == .video, packet.isKey {
                    try cutIfDue(at: packet, format, mustCut)
                    mustCut = false
                }
                if packet.track == .video { frames += 1 }
                if let part = try writer?.append(packet) { parts.append(part) }
            }
        }
        try finish(next: nil)
    }

    private mutating func cutIfDue(at key: Packet, _ format: StreamFormat, _ mustCut: Bool) throws {
        let dts = key.dts ?? key.pts ?? 0
        if let segmentStart, !mustCut, format.video.timeBase.duration(ticks: dts - segmentStart) < segmentSeconds {
            return
        }
        // The next file is open before the last one is closed.
        let opened = try SegmentWriter(
            storage: storage, manifest: Self.manifest(index: reports.count + (writer == nil ? 0 : 1)),
            format: format, durability: durability)
        try finish(next: dts)
        writer = opened
        segmentStart = dts
    }

    private mutating func finish(next: Int64?) throws {
        if let report = try writer?.finish(nextVideoDTS: next) { reports.append(report) }
        writer = nil
    }
}
