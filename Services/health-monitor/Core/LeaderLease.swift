package import BusContract
package import Domain

/// Which of several health-monitors speaks and acts: the lease that it holds on the bus.
///
/// Owns this one's part in it. Nobody reads anybody's clock: a lease holds for `span` after its newest renewal was
/// heard, each listener counting by its own monotonic clock, and the holder counts from when it sent the renewal that
/// it hears again itself. So a holder that was held, or that reaches nobody, has stopped acting before anyone takes
/// over. Of two leases the higher term holds, of equal terms that of the lesser name: who hears a stronger one steps
/// down, who hears a weaker one repeats its own, so that what is retained is right again after a broker that forgot
/// or a late word.
///
/// To speak and to act are two things. A new leader speaks at once; two that speak for a moment cost nothing. It acts
/// when no other can: the broker gives everyone its messages in one order, so whoever led has heard a new claim before
/// its own later renewals, and acts no longer than `span` after the last word of it that came before. Called by
/// `HealthCore`.
package struct LeaderLease: Hashable, Sendable {
    package enum Role: Hashable, Sendable {
        /// Not connected: not even what is retained is known. To `listening`.
        case away
        /// Connected; whoever leads renews before `claimAt`. To `following` when heard, to `claiming` when not.
        case listening(claimAt: MonotonicTime)
        /// Another one leads. To `claiming` when it was not heard until then.
        case following(InstanceID, until: MonotonicTime)
        /// Said and not heard back yet. To `leading`, or to `following` if somebody was stronger.
        case claiming
        /// To `following` when a stronger one is heard.
        case leading(from: MonotonicTime, until: MonotonicTime)
    }

    package enum Event: Hashable, Sendable {
        case connected
        case disconnected
        case heard(HealthLeader)
        /// The will or the farewell of another health-monitor.
        case wentOffline(InstanceID)
        case woke
    }

    package enum Effect: Hashable, Sendable {
        case publish(HealthLeader)
        /// What was said as the leader is another's to say: it is not sent again after a reconnect.
        case stepDown
    }

    /// How long a lease holds without a renewal.
    package static let span: Duration = .seconds(10)
    package static let renewEvery: Duration = .seconds(3)
    /// After a connect: longer than any leader waits to renew.
    package static let listenFor: Duration = .seconds(4)
    /// Of two who claim at once, both have heard both by then.
    package static let settleFor: Duration = .milliseconds(500)
    /// The most that a claim after a leader's end waits, so that not all claim in the same moment.
    package static let claimSpread: Duration = .milliseconds(400)

    package let own: InstanceID
    package private(set) var role = Role.away
    /// The strongest lease heard or said.
    private var newest: HealthLeader?
    private var renewAt: MonotonicTime?
    private var sentAt: MonotonicTime?
    /// Since when another leader's word would have been heard: since the connection, or since the last one.
    private var unledSince: MonotonicTime = .zero
    /// Since the connection.
    private var hasHeardNobody = true

    package init(own: InstanceID) { self.own = own }

    /// Whether this one may act at this moment: it leads, and nobody else can believe that it does.
    package func mayAct(at now: MonotonicTime) -> Bool { leads(at: now) && now >= unledSince + Self.span }

    /// Whether this one may speak at this moment.
    package func leads(at now: MonotonicTime) -> Bool {
        guard case .leading(let from, let until) = role else { return false }
        return from <= now && now < until
    }

    package func wakeAt(at now: MonotonicTime) -> MonotonicTime? {
        switch role {
        case .away: nil
        case .listening(let claimAt): claimAt
        case .following(_, let until): until
        case .claiming: renewAt
        case .leading(let from, let until):
            ([renewAt, until] + [from, unledSince + Self.span].filter { $0 > now }).compactMap { $0 }.min()
        }
    }

    /// - Parameter chance: 0..<1, spreads the claims of several.
    package mutating func handle(_ event: Event, at now: MonotonicTime, chance: Double) -> [Effect] {
        switch event {
        case .connected:
            role = .listening(claimAt: now + Self.listenFor + Self.claimSpread * chance)
            unledSince = now
            hasHeardNobody = true
            // It was this one's when the connection broke, or in an earlier life.
            return newest?.instance == own ? say(renewing: false, at: now) : []
        case .disconnected:
            let led = hasSpoken
            role = .away
            return led ? [.stepDown] : []
        case .heard(let lease): return heard(lease, at: now)
        case .wentOffline(let instance):
            guard case .following(instance, _) = role else { return [] }
            role = .following(instance, until: now + Self.claimSpread * chance)
            unledSince = now - Self.span
            return []
        case .woke: return woke(at: now)
        }
    }

    private var hasSpoken: Bool {
        switch role {
        case .claiming, .leading: true
        case .away, .listening, .following: false
        }
    }

    private mutating func heard(_ lease: HealthLeader, at now: MonotonicTime) -> [Effect] {
        guard role != .away else {
            // What is retained may come before the word that there is a connection.
            if newest.map({ !lease.isWeaker(than: $0) }) ?? true { newest = lease }
            return []
        }
        if lease.instance == own { return heardOwn(lease, at: now) }
        unledSince = now
        hasHeardNobody = false
        guard newest.map({ !lease.isWeaker(than: $0) }) ?? true else {
            // Said by one who does not know better; of the others only the leader answers.
            return hasSpoken ? say(renewing: true, at: now) : []
        }
        let spoke = hasSpoken
        newest = lease
        role = .following(lease.instance, until: now + Self.span)
        return spoke ? [.stepDown] : []
    }

    private mutating func heardOwn(_ lease: HealthLeader, at now: MonotonicTime) -> [Effect] {
        guard hasSpoken, let newest, lease.term == newest.term else {
            // Of an earlier life of this one, and still retained: nobody has said anything since.
            if hasHeardNobody { unledSince = now - Self.span }
            guard case .listening = role, newest.map({ !lease.isWeaker(than: $0) }) ?? true else { return [] }
            newest = lease
            return say(renewing: false, at: now)
        }
        guard lease.renewal == newest.renewal, let sentAt else { return [] }
        let until = sentAt + Self.span
        if case .leading(let from, _) = role {
            role = .leading(from: from, until: until)
        } else {
            role = .leading(from: now + Self.settleFor, until: until)
        }
        return []
    }

    private mutating func woke(at now: MonotonicTime) -> [Effect] {
        switch role {
        case .away: return []
        case .listening(let time), .following(_, let time):
            return time <= now ? say(renewing: false, at: now) : []
        case .claiming: return isRenewalDue(at: now) ? say(renewing: true, at: now) : []
        case .leading(_, let until):
            // Nobody has heard this one for too long, be it that it was held: others may lead by now.
            guard now < until else {
                role = .listening(claimAt: now + Self.listenFor)
                return [.stepDown]
            }
            return isRenewalDue(at: now) ? say(renewing: true, at: now) : []
        }
    }

    private func isRenewalDue(at now: MonotonicTime) -> Bool { renewAt.map { $0 <= now } ?? true }

    private mutating func say(renewing: Bool, at now: MonotonicTime) -> [Effect] {
        let term = newest?.term ?? 0
        let lease =
            renewing
            ? HealthLeader(
                instance: own, term: term, renewal: (newest?.renewal ?? 0) + 1, leaseSeconds: Self.span.seconds)
            : HealthLeader(
                instance: own, term: term == .max ? 1 : term + 1, renewal: 0, leaseSeconds: Self.span.seconds)
        newest = lease
        sentAt = now
        renewAt = now + Self.renewEvery
        if !renewing { role = .claiming }
        return [.publish(lease)]
    }
}

extension HealthLeader {
    /// Renewals of one lease do not differ in strength.
    func isWeaker(than other: HealthLeader) -> Bool {
        term != other.term ? term < other.term : instance > other.instance
    }
}
