internal import BusContract
internal import Domain
internal import MetricsCore
internal import ServiceKit
internal import Synchronization

/// Where the loop that folds messages and the threads that answer HTTP meet: one Core, the announcements, the pictures.
///
/// Invariants: events are folded one after the other; who reads takes a copy and works on that, so that a slow page
/// holds up nobody.
final class MetricsBoard: Sendable {
    /// Samples that wait for the history; more are dropped, oldest first.
    static let samplesMax = 50_000

    private let core: Mutex<MetricsCore>
    private let samples = Mutex<[HistorySample]>([])
    let fan: EventFan
    let pictures = PictureShelf()

    init(_ core: MetricsCore) {
        fan = EventFan(start: core.startedAt)
        self.core = Mutex(core)
    }

    var current: MetricsCore { core.withLock { $0 } }

    func take(_ event: MetricsEvent) {
        let now = ServiceClock.now()
        // Announced under the same lock, so that nobody hears of a change before its predecessor.
        let kept = core.withLock { core in
            var kept: [HistorySample] = []
            for effect in core.handle(event, at: now) {
                switch effect {
                case .announce(let announcement): fan.announce(announcement)
                case .keep(let samples): kept += samples
                }
            }
            return kept
        }
        guard !kept.isEmpty else { return }
        samples.withLock { samples in
            samples += kept
            if samples.count > Self.samplesMax { samples.removeFirst(samples.count - Self.samplesMax) }
        }
    }

    func takeSamples() -> [HistorySample] {
        samples.withLock { samples in
            defer { samples = [] }
            return samples
        }
    }

    /// What could not be written, for the next batch.
    func putBack(_ batch: [HistorySample]) {
        samples.withLock { samples in
            samples = batch + samples
            if samples.count > Self.samplesMax { samples.removeFirst(samples.count - Self.samplesMax) }
        }
    }
}

/// The newest picture of each camera, as the bus carries it.
final class PictureShelf: Sendable {
    /// Of all pictures together; the one that has been there the longest goes first.
    static let bytesMax = 64 * 1024 * 1024

    private struct Picture {
        var bytes: [UInt8]
        var tag: String
        var place: UInt64
    }

    private struct State {
        var pictures: [CameraID: Picture] = [:]
        var bytes = 0
        var next: UInt64 = 0
    }

    private let state = Mutex(State())

    func put(_ bytes: [UInt8], of camera: CameraID) {
        let tag = HTTPAnswer.tag(bytes)
        state.withLock { state in
            remove(camera, from: &state)
            guard bytes.count <= Self.bytesMax else { return }
            state.next += 1
            state.pictures[camera] = Picture(bytes: bytes, tag: tag, place: state.next)
            state.bytes += bytes.count
            while state.bytes > Self.bytesMax,
                let oldest = state.pictures.min(by: { $0.value.place < $1.value.place })?.key
            {
                remove(oldest, from: &state)
            }
        }
    }

    func remove(_ camera: CameraID) { state.withLock { remove(camera, from: &$0) } }

    func picture(of camera: CameraID) -> (bytes: [UInt8], tag: String)? {
        state.withLock { $0.pictures[camera].map { ($0.bytes, $0.tag) } }
    }

    private func remove(_ camera: CameraID, from state: inout State) {
        if let old = state.pictures.removeValue(forKey: camera) { state.bytes -= old.bytes.count }
    }
}
