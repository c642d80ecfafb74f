package import Domain

/// Which segments have to go. A function of what there is, the limits and the clock.
///
/// Age binds each camera by its own limit, size each camera and the folder as a whole, free space the file system.
/// What goes is always the oldest of those that a limit binds. Open segments are not offered and cannot be chosen.
/// Called by `RotationCore` for each inventory; deleting does not belong here.
package struct RetentionPlan: Hashable, Sendable {
    /// The most that one plan deletes; the next inventory brings the rest.
    package static let deletionsMax = 500
    /// Once `min_free` is undershot, this share of it is freed on top, so that not every segment deletes one.
    package static let freeMarginDivisor: Int64 = 20
    package static let freeMarginMax: Int64 = 1_000_000_000

    /// Oldest first.
    package private(set) var deletions: [StoredSegment] = []

    private var chosen: Set<Key> = []
    private var bytesOfCamera: [CameraID: Int64] = [:]
    private var bytes: Int64
    private var free: Int64

    private struct Key: Hashable {
        var session: SessionID
        var index: Int
    }

    /// - Parameters:
    ///   - folder: the limits of all together.
    ///   - limits: those of each camera; of a camera that is not named here only the folder's hold.
    ///   - isAgeTrusted: whether the clock may be believed so far as to delete by age.
    package init(
        _ inventory: Inventory, folder: RetentionLimits, limits: [CameraID: RetentionLimits], now: WallTime,
        isAgeTrusted: Bool
    ) {
        bytes = inventory.usedBytes
        free = inventory.freeBytes
        for camera in inventory.cameras {
            bytesOfCamera[camera.camera] = camera.bytes
            let limits = limits[camera.camera] ?? folder
            if isAgeTrusted, let maxAge = limits.maxAge {
                choose(camera.oldest) { _, segment in now - segment.endedAt > maxAge }
            }
            if let maxSize = limits.maxSize {
                choose(camera.oldest) { plan, segment in plan.bytesOfCamera[segment.camera, default: 0] > maxSize.bytes
                }
            }
        }
        let all = inventory.cameras.flatMap(\.oldest).sorted(by: Self.isOlder)
        if let maxSize = folder.maxSize { choose(all) { plan, _ in plan.bytes > maxSize.bytes } }
        if let minFree = folder.minFree, free < minFree.bytes {
            let wanted = minFree.bytes + min(minFree.bytes / Self.freeMarginDivisor, Self.freeMarginMax)
            choose(all) { plan, _ in plan.free < wanted }
        }
        deletions = Array(deletions.sorted(by: Self.isOlder).prefix(Self.deletionsMax))
    }

    private static func isOlder(_ left: StoredSegment, _ right: StoredSegment) -> Bool {
        (left.startedAt, left.session, left.index) < (right.startedAt, right.session, right.index)
    }

    /// Takes from the front as long as the limit is broken.
    private mutating func choose(
        _ segments: [StoredSegment], while isBroken: (RetentionPlan, StoredSegment) -> Bool
    ) {
        for segment in segments {
            let key = Key(session: segment.session, index: segment.index)
            guard !chosen.contains(key) else { continue }
            guard isBroken(self, segment) else { return }
            chosen.insert(key)
            deletions.append(segment)
            bytesOfCamera[segment.camera] = bytesOfCamera[segment.camera, default: 0].addingClamped(-segment.bytes)
            bytes = bytes.addingClamped(-segment.bytes)
            free = free.addingClamped(segment.bytes)
        }
    }
}
