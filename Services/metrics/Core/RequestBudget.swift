package import Domain

/// How often each address may ask: buckets that fill with time and are emptied by requests. Bounded: the addresses that
/// have been quiet the longest are forgotten.
package struct RequestBudget: Hashable, Sendable {
    package enum Kind: Hashable, Sendable, CaseIterable {
        case request
        case command
        /// A wrong token that somebody showed.
        case failure
        /// A wrong token in a cookie. One that has become wrong is no guess, and a page sends it with every request; so
        /// there are more of these, they take nothing from who shows the right token, and who signs in has them anew.
        case cookie

        /// Per second.
        var rate: Double {
            switch self {
            case .request: 100
            case .command: 5
            case .failure: 0.2
            case .cookie: 0.5
            }
        }

        /// At once.
        var most: Double {
            switch self {
            case .request: 300
            case .command: 20
            case .failure: 10
            case .cookie: 30
            }
        }
    }

    package static let addressesMax = 1024

    private struct Bucket: Hashable, Sendable {
        var level: Double
        var at: MonotonicTime
    }

    private struct Key: Hashable, Sendable {
        var address: String
        var kind: Kind
    }

    private var buckets: [Key: Bucket] = [:]

    package init() {}

    /// Buckets that are remembered.
    package var count: Int { buckets.count }

    /// Takes one from the address's bucket.
    /// - Returns: nil if it had one; else seconds until it has one again, rounded up.
    package mutating func take(_ kind: Kind, of address: String, at now: MonotonicTime) -> Int? {
        let key = Key(address: address, kind: kind)
        var bucket = level(key, at: now)
        guard bucket.level >= 1 else {
            buckets[key] = bucket
            return Int(((1 - bucket.level) / kind.rate).rounded(.up))
        }
        bucket.level -= 1
        if buckets[key] == nil, buckets.count >= Self.addressesMax { forgetOldest() }
        buckets[key] = bucket
        return nil
    }

    /// Fills the address's bucket.
    package mutating func forgive(_ kind: Kind, of address: String) {
        buckets[Key(address: address, kind: kind)] = nil
    }

    /// Whether the address has none left; takes nothing.
    package func isSpent(_ kind: Kind, of address: String, at now: MonotonicTime) -> Bool {
        level(Key(address: address, kind: kind), at: now).level < 1
    }

    private func level(_ key: Key, at now: MonotonicTime) -> Bucket {
        guard let bucket = buckets[key] else { return Bucket(level: key.kind.most, at: now) }
        let gained = max((now - bucket.at).seconds, 0) * key.kind.rate
        return Bucket(level: min(bucket.level + gained, key.kind.most), at: now)
    }

    /// Half of them at once, so that a flood of addresses does not search the table every time.
    private mutating func forgetOldest() {
        let kept = buckets.sorted { $0.value.at > $1.value.at }.prefix(Self.addressesMax / 2)
        buckets = Dictionary(uniqueKeysWithValues: kept.map { ($0.key, $0.value) })
    }
}
