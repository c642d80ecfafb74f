internal import BusContract
internal import CaptureWorkerCore
internal import Domain
internal import FoundationEssentials
internal import Media
internal import ServiceKit

/// Makes the pictures of one snapshot job and writes them.
///
/// Owns the folder `<storage>/<camera>/snapshots`, where the newest `filesMax` pictures stay. `SnapshotThread` runs it,
/// with the group of pictures that the stream ends in.
struct SnapshotTaker: Sendable {
    /// More are no use without somebody who looks at them; the oldest go first.
    static let filesMax = 500
    /// What is tried for the copy of a picture that the bus does not carry.
    private static let coarserQualities = [60, 30, 10]

    let storage: String
    let camera: CameraID
    let folder: CameraFolder
    var imageBytesMax = SnapshotImage.bytesMax

    struct Picture: Sendable {
        var facts: SnapshotFacts
        /// What the bus carries of it: the file, or a coarser copy of a large one; or why it carries nothing.
        var image: Result<[UInt8], CodedError>
    }

    private var place: String { "\(camera)/snapshots" }

    /// Blocks on the decoder and on the disk. Errors: those of `SnapshotMaker`, `storageFull`, `storageFailed`.
    func take(
        _ wishes: [SnapshotCommand], from group: [CapturePipeline.Kept], follower: PictureFollower, at now: Now
    ) throws(CodedError) -> [Picture] {
        guard let format = group.last?.format else {
            throw CodedError(.notReady, "the stream has no picture yet")
        }
        let packets = group.filter { $0.format === format }.map(\.packet)
        // Nothing is written beneath a mount that is away.
        try folder.check()
        try AtomicFile.createFolder("\(storage)/\(place)")
        // All are made before the first is written: nobody would hear of the files if one cannot be made.
        var made: [(wish: SnapshotCommand, snapshot: Snapshot, image: Result<[UInt8], CodedError>)] = []
        for wish in wishes {
            let exact = SnapshotWish(
                moment: now.monotonic, leeway: wish.maxAge, width: wish.width, quality: wish.quality)
            let snapshot = try SnapshotMaker().make(exact, from: packets, format: format, follower: follower)
            let image = self.image(of: snapshot, exact) { wish throws(CodedError) in
                try SnapshotMaker().make(wish, from: packets, format: format, follower: follower)
            }
            made.append((wish, snapshot, image))
        }
        var pictures: [Picture] = []
        for (wish, snapshot, image) in made {
            let capturedAt = WallTime(milliseconds: now.wall(at: snapshot.arrival).milliseconds)
            let file = newPath(capturedAt)
            let bytes = snapshot.jpeg.count
            let imageBytes = (try? image.get())?.count
            try AtomicFile.write(snapshot.jpeg, to: "\(storage)/\(file)", mode: 0o644, isSynced: false)
            pictures.append(
                Picture(
                    facts: SnapshotFacts(
                        wish: wish, file: file, capturedAt: capturedAt, width: snapshot.width, height: snapshot.height,
                        bytes: bytes, imageBytes: imageBytes == bytes ? nil : imageBytes),
                    image: image))
        }
        prune()
        return pictures
    }

    /// Whoever asked has the whole picture, with or without a copy for the bus.
    /// - Parameter make: has what was decoded, and only encodes again.
    private func image(
        of snapshot: Snapshot, _ wish: SnapshotWish, _ make: (SnapshotWish) throws(CodedError) -> Snapshot
    ) -> Result<[UInt8], CodedError> {
        if snapshot.jpeg.count <= imageBytesMax { return .success(snapshot.jpeg) }
        for quality in Self.coarserQualities where quality < wish.quality {
            var coarser = wish
            coarser.quality = quality
            do throws(CodedError) {
                let copy = try make(coarser)
                if copy.pts == snapshot.pts, copy.jpeg.count <= imageBytesMax { return .success(copy.jpeg) }
            } catch {
                return .failure(error)
            }
        }
        return .failure(CodedError(.payloadTooLarge, "\(snapshot.jpeg.count) bytes, and a coarser copy is no smaller"))
    }

    /// A name that no picture has: two of one moment differ in their number.
    private func newPath(_ moment: WallTime) -> String {
        let name = "\(place)/\(moment.dateText)T\(moment.timeText(separator: "-"))Z"
        var path = "\(name).jpg"
        var number = 1
        while FileManager.default.fileExists(atPath: "\(storage)/\(path)") {
            number += 1
            path = "\(name)_\(number).jpg"
        }
        return path
    }

    /// A picture that cannot be removed now is tried again after the next one.
    private func prune() {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "\(storage)/\(place)")) ?? []
        let pictures = names.filter { $0.hasSuffix(".jpg") }.sorted()
        for name in pictures.dropLast(Self.filesMax) {
            try? FileManager.default.removeItem(atPath: "\(storage)/\(place)/\(name)")
        }
    }
}
