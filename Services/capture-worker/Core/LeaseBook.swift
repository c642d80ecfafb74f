package import BusContract
package import Domain

/// Who wants the stream, and for what.
///
/// Owns the leases of one camera. A repeated wish of the same holder extends its lease and never shortens it; a stop
/// names a holder or means all. Deadlines are monotonic, so a stepped clock ends no recording early. `WorkerCore` calls
/// it; what a lease leads to is not its business.
package struct LeaseBook: Hashable, Sendable {
    package struct Lease: Hashable, Sendable {
        package var holder: Holder
        package var since: WallTime
        /// Nil: until stopped.
        package var until: WallTime?
        package var deadline: MonotonicTime?
    }

    /// The most holders of one use case; a flood of invented names must not grow memory.
    package static let holdersMax = 64

    private var leases: [UseCase: [Lease]] = [:]

    package init() {}

    package func leases(for useCase: UseCase) -> [Lease] { leases[useCase] ?? [] }
    package func isLeased(_ useCase: UseCase) -> Bool { !leases(for: useCase).isEmpty }
    package var isEmpty: Bool { UseCase.allCases.allSatisfy { !isLeased($0) } }

    package var counts: StreamState.LeaseCounts {
        StreamState.LeaseCounts(
            recording: leases(for: .recording).count, viewing: leases(for: .viewing).count,
            snapshot: leases(for: .snapshot).count)
    }

    /// Takes a lease or extends the holder's. Throws `conflict` when there are too many holders; the configuration's
    /// own always fits.
    package mutating func take(
        _ useCase: UseCase, holder: Holder, duration: Duration?, at now: Now
    ) throws(CodedError) {
        let until = duration.map { now.wall + $0 }
        let deadline = duration.map { now.monotonic + $0 }
        var held = leases(for: useCase)
        if let place = held.firstIndex(where: { $0.holder == holder }) {
            guard let present = held[place].deadline else { return }
            if let deadline, deadline <= present { return }
            held[place].until = until
            held[place].deadline = deadline
        } else {
            guard held.count < Self.holdersMax || holder == .always else {
                throw CodedError(.conflict, "\(Self.holdersMax) holders have leases already")
            }
            held.append(Lease(holder: holder, since: now.wall, until: until, deadline: deadline))
        }
        leases[useCase] = held
    }

    /// Ends the holder's lease, or all if `holder` is nil. True if anything ended.
    package mutating func release(_ useCase: UseCase, holder: Holder?) -> Bool {
        let held = leases(for: useCase)
        let kept = holder.map { name in held.filter { $0.holder != name } } ?? []
        leases[useCase] = kept
        return kept.count != held.count
    }

    /// Ends what has run out; returns the use cases that lost a lease.
    package mutating func expire(at now: Now) -> [UseCase] {
        UseCase.allCases.filter { useCase in
            let held = leases(for: useCase)
            let kept = held.filter { lease in lease.deadline.map { $0 > now.monotonic } ?? true }
            leases[useCase] = kept
            return kept.count != held.count
        }
    }

    /// When `expire` will next have something to do.
    package var nextDeadline: MonotonicTime? { leases.values.joined().compactMap(\.deadline).min() }
}

extension LeaseBook {
    /// A lease as the worker's memory keeps it.
    package struct Record: Hashable, Sendable, Codable {
        package var useCase: UseCase
        package var holder: Holder
        package var since: WallTime
        package var until: WallTime?
    }

    /// Without snapshots: nobody would wait for their pictures after a restart, and a write to the disk would cost
    /// each of them a third of its time.
    package var records: [Record] {
        UseCase.allCases.filter { $0 != .snapshot }.flatMap { useCase in
            leases(for: useCase).map {
                Record(useCase: useCase, holder: $0.holder, since: $0.since, until: $0.until)
            }
        }
    }

    /// Takes up what a worker before this one had written down; what has run out meanwhile stays out, and so do
    /// snapshots that an older version wrote down.
    package init(_ records: [Record], at now: Now) {
        for record in records where record.useCase != .snapshot && record.until.map({ $0 > now.wall }) ?? true {
            leases[record.useCase, default: []].append(
                Lease(
                    holder: record.holder, since: record.since, until: record.until,
                    deadline: record.until.map(now.monotonic(at:))))
        }
    }
}
