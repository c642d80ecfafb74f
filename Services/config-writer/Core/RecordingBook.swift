package import BusContract
internal import Domain

/// Which cameras' recordings a change would interrupt, by what the bus says of them. Pure.
///
/// Invariants: what was known survives the loss of the bus; a recording is over only by a word of its worker that is
/// known to be younger than the loss, or when nothing speaks for it any more for `doubtMax`. A word that is retained
/// may be older than the loss, since a broker that died comes back with what it had written down last: its number
/// tells. Kept by the config-writer's Core; who waits for whom does not belong here.
struct RecordingBook: Hashable, Sendable {
    /// A worker notices a broker that fell silent within twice its keep-alive of 20 s, connects again with pauses of at
    /// most 2 s, and then says everything again. One that has not done so is not at work.
    static let doubtMax: Duration = .seconds(60)
    /// A camera that blinks is back by then; one that is not may be what the change is for.
    static let framelessMax: Duration = .seconds(15)
    /// Cameras that are not configured; the bus may name any.
    static let camerasMax = 4096

    /// Why a recording may be none; each lasts until the contrary is heard, and for its time at most.
    private enum Doubt: Hashable {
        /// Nobody has spoken for the camera since the bus was there again.
        case unheard
        /// Said to be over, in a word that may be older than the loss of the bus.
        case contradicted
        /// Its worker is said to be gone. A late last will says that as well.
        case absent
        /// It takes no frames: what is changed may be what helps.
        case frameless
    }

    private struct Camera: Hashable {
        /// Of the worker's youngest word.
        var number: UInt64
        var doubts: [Doubt: MonotonicTime] = [:]
    }

    /// Those that record.
    private var cameras: [CameraID: Camera] = [:]
    /// Whose worker was heard since the bus is there.
    private var heard: Set<CameraID> = []
    /// Whose worker is said to be gone.
    private var away: Set<CameraID> = []
    /// Everything retained has come.
    private var isKnown = false
    /// Cameras of which nobody has said anything may record until then.
    private var unheardUntil: MonotonicTime?
    private var time: MonotonicTime = .zero

    /// Whether a change would, for all that is known, interrupt the camera's recording.
    func mayRecord(_ camera: CameraID) -> Bool {
        guard isKnown else { return true }
        if let known = cameras[camera] { return known.doubts.values.allSatisfy { time < $0 } }
        return !heard.contains(camera) && unheardUntil.map { time < $0 } ?? false
    }

    /// Whether there is a word of the camera.
    func isTold(_ camera: CameraID) -> Bool { isKnown && (heard.contains(camera) || cameras[camera] != nil) }

    /// Whether it is over by time alone unless somebody says that it is not.
    func isDoubted(_ camera: CameraID) -> Bool { cameras[camera]?.doubts.isEmpty == false }

    /// When one of these may be over without another word; nil: by a word only.
    func nextMoment(of waitedFor: [CameraID]) -> MonotonicTime? {
        guard isKnown else { return nil }
        let moments = waitedFor.flatMap { camera -> [MonotonicTime] in
            guard let known = cameras[camera] else { return unheardUntil.map { [$0] } ?? [] }
            return Array(known.doubts.values)
        }
        return moments.filter { time < $0 }.min()
    }

    var hasRoom: Bool { max(cameras.count, heard.count, away.count) < Self.camerasMax }

    mutating func passed(to now: MonotonicTime) { time = max(time, now) }

    mutating func busLost() {
        isKnown = false
        unheardUntil = nil
        heard = []
        away = []
        for camera in cameras.keys { cameras[camera]?.doubts = [:] }
    }

    mutating func statesKnown() {
        isKnown = true
        unheardUntil = time + Self.doubtMax
        for camera in cameras.keys where !heard.contains(camera) { doubt(camera, .unheard) }
    }

    mutating func reported(_ camera: CameraID, _ word: RecordingWord, number: UInt64) {
        heard.insert(camera)
        guard word != .over else { return ended(camera, number) }
        var known = cameras[camera] ?? Camera(number: number)
        known.number = max(known.number, number)
        known.doubts[.unheard] = nil
        known.doubts[.contradicted] = nil
        if word == .recording { known.doubts[.frameless] = nil }
        cameras[camera] = known
        if word == .frameless { doubt(camera, .frameless) }
        // What is retained is no sign of life.
        if isKnown { workerReported(camera, isOnline: true) }
        if away.contains(camera) { doubt(camera, .absent) }
    }

    private mutating func ended(_ camera: CameraID, _ number: UInt64) {
        guard let known = cameras[camera], !isKnown, number <= known.number else {
            cameras[camera] = nil
            return
        }
        doubt(camera, .contradicted)
    }

    /// A worker, or its last will.
    mutating func workerReported(_ camera: CameraID, isOnline: Bool) {
        if isOnline {
            away.remove(camera)
            cameras[camera]?.doubts[.absent] = nil
        } else {
            away.insert(camera)
            doubt(camera, .absent)
        }
    }

    /// A doubt that lasts goes on as it began.
    private mutating func doubt(_ camera: CameraID, _ doubt: Doubt) {
        guard cameras[camera]?.doubts[doubt] == nil else { return }
        cameras[camera]?.doubts[doubt] = time + (doubt == .frameless ? Self.framelessMax : Self.doubtMax)
    }
}

/// What a worker's recording state means for a change that would start the worker anew.
package enum RecordingWord: Hashable, Sendable, CaseIterable {
    case recording
    /// The session goes on, or its worker will take it up again, and no frames come.
    case frameless
    case over

    package init(_ state: RecordingState) {
        let isWanted = state.session != nil || !state.leases.isEmpty
        switch state.state {
        case .recording, .stopping: self = .recording
        case .starting: self = .frameless
        case .off, .failed: self = isWanted ? .frameless : .over
        }
    }
}
