import BusContract
import CaptureWorkerCore
import Domain
import TestSupport

/// What the simulation knows of the promises: what broke them, and what excuses a gap.
struct Promises {
    private(set) var broken: [String] = []
    private(set) var trace: [String] = []
    private var excuses: [(cause: GapCause, at: MonotonicTime)] = []
    var pictures = 0
    var segments = 0
    var gaps = 0
    var steppedAt = MonotonicTime.zero
    var newestOpening: SegmentCutter.Opening?
    var sessions: [SessionID: SessionRecord] = [:]
    private static let traceMax = 400

    /// - Parameter number: of the promise in the design.
    mutating func breaks(_ number: Int, _ text: String) { broken.append("promise \(number): \(text)") }

    mutating func note(_ text: String) {
        if trace.count >= Self.traceMax { trace.removeFirst() }
        trace.append(text)
    }

    mutating func excuse(_ cause: GapCause, at time: MonotonicTime) { excuses.append((cause, time)) }

    mutating func sessionBegan(_ session: SessionID) {
        newestOpening = nil
        if sessions[session] == nil { sessions[session] = SessionRecord() }
    }

    /// What one process was given of a session.
    mutating func gave(_ given: SimulatedWorker.Given, to session: SessionID) {
        guard let newest = given.newest, sessions[session] != nil else { return }
        if sessions[session]?.first == nil { sessions[session]?.first = given.first }
        sessions[session]?.newest = newest
    }

    /// Whether something happened between `from` and `to` that may cost frames in this way.
    func isExcused(_ cause: GapCause, from: MonotonicTime, to: MonotonicTime) -> Bool {
        excuses.reversed().contains { excuse in
            let isLike =
                excuse.cause == cause || Self.source.isSuperset(of: [cause, excuse.cause])
                || Self.storage.isSuperset(of: [cause, excuse.cause])
            return isLike && excuse.at >= from && excuse.at <= to
        }
    }

    private static let source: Set<GapCause> = [.sourceLost, .sourceStalled]
    private static let storage: Set<GapCause> = [.storageFull, .storageFailed]
}

/// What one session was given and told, whoever worked on it.
struct SessionRecord {
    /// The first picture that a file could begin with; what came before was never part of the recording.
    var first: SimulatedCamera.Picture?
    var newest: SimulatedCamera.Picture?
    /// When the worker that was told to end it knew of no picture that it had missed.
    var endedAt: MonotonicTime?
    /// Every file that was begun, by its index.
    var files: [Int: SegmentPath] = [:]
    /// Every gap that the worker spoke of.
    var told: [GapEvent] = []
    /// It is over, and what was lost at its end is known to be told.
    var isEndChecked = false
}

/// Participants broken on purpose, to prove that the checks find what they are for.
enum Sabotage: Sendable, CaseIterable {
    case none
    case dropsPictureAtBoundary, dropsPictureAtOpening, reusesNumbers, forgetsGaps, neverRotates, forgetsLeases
    case forgetsMissed, forgetsLastGap

    func applied(to decision: SegmentCutter.Decision) -> SegmentCutter.Decision {
        guard self == .reusesNumbers, case .cut(var opening) = decision else { return decision }
        opening.firstFrame -= 1
        return .cut(opening)
    }
}
