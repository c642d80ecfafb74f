internal import BusContract
internal import Domain

/// The node's paths at the media server: how they stand, and which change is due next. Pure.
///
/// Invariants: a change that would cut off somebody who uses the path is not made, it waits and says so; a change
/// counts as made only when it has been read back; one that is refused is tried again with growing pauses, never at
/// once; one change is under way at a time (the Core sees to that).
struct PathBook: Hashable, Sendable {
    /// The server answers before it has carried a change out; for so long a reading may still show the old settings.
    static let settleMax: Duration = .seconds(2)
    /// Between the looks that wait for it.
    static let settlePause: Duration = .milliseconds(100)
    /// For a change that was refused, or that does not show.
    static let again = Backoff(first: .seconds(1), most: .seconds(60), jitter: 0)

    private enum Standing: Hashable {
        case unknown
        case missing
        case equal
        case differs([String])
    }

    private struct Path: Hashable {
        var wish: PathWish
        var standing: Standing = .unknown
        /// Set after a change until it shows.
        var settlesUntil: MonotonicTime?
        var attempts = 0
        var retryAt: MonotonicTime?
        var rejection: CodedError?
        /// Refused as it is wanted now. Outlives the server and everything else but other settings: in the server's
        /// file it would end the server.
        var isRefused = false
        /// Set again to what it is already, in search of poison.
        var isProbed = false
    }

    private struct LeftOver: Hashable {
        var attempts = 0
        var retryAt: MonotonicTime?
    }

    private var paths: [String: Path] = [:]
    /// Paths of cameras that are gone.
    private var leftOvers: [String: LeftOver] = [:]
    private(set) var waiting: Set<String> = []
    /// Every change is refused with this, whatever it is about: somebody's refused change stayed behind in the server's
    /// stored configuration.
    private var poison: CodedError?
    /// Every path of ours was tried in vain, or there was none: either the refused one is bad itself, or the server
    /// takes no change whatever.
    private var wantsProof = false
    /// The proof was refused as well: the poison is in a path that is not ours.
    private(set) var isPoisonedElsewhere = false

    // MARK: What is wanted, what there is

    mutating func configured(_ wishes: [String: PathWish]) {
        let before = paths
        paths = wishes.mapValues { Path(wish: $0) }
        for (name, wish) in wishes where before[name]?.wish.settings == wish.settings {
            paths[name]?.isRefused = before[name]?.isRefused ?? false
        }
        leftOvers = [:]
        forgetPoison()
    }

    /// The server has read its file again: a refused change that stayed behind in it is gone.
    mutating func reread() {
        for name in paths.keys where paths[name]?.rejection != nil { paths[name]?.retryAt = nil }
        forgetPoison()
    }

    private mutating func forgetPoison() {
        poison = nil
        wantsProof = false
        isPoisonedElsewhere = false
    }

    /// Another process answers, or none did for a while: nothing is known.
    mutating func forget() {
        for name in paths.keys {
            paths[name]?.standing = .unknown
            paths[name]?.settlesUntil = nil
            paths[name]?.attempts = 0
            paths[name]?.retryAt = nil
            paths[name]?.rejection = nil
            paths[name]?.isProbed = false
        }
        leftOvers = [:]
        forgetPoison()
    }

    /// Whether the list of running paths lacks one that was there: the server has read its file again.
    func lacks(in traffic: [String: MediaServerState.Path]) -> Bool {
        paths.contains { name, path in path.standing == .equal && traffic[name] == nil }
    }

    mutating func read(_ standings: [String: PathStanding], at now: MonotonicTime) {
        for name in paths.keys { read(name, standings[name], at: now) }
        let found = standings.filter { $0.value == .leftOver && paths[$0.key] == nil }.keys
        leftOvers = Dictionary(uniqueKeysWithValues: found.map { ($0, leftOvers[$0] ?? LeftOver()) })
    }

    private mutating func read(_ name: String, _ standing: PathStanding?, at now: MonotonicTime) {
        guard var path = paths[name] else { return }
        defer { paths[name] = path }
        let found: Standing
        switch standing {
        case .equal?: found = .equal
        case .differs(let keys)?: found = .differs(keys)
        case .leftOver?, nil: found = .missing
        }
        if found == .equal {
            path.standing = .equal
            path.settlesUntil = nil
            path.attempts = 0
            path.retryAt = nil
            if poison == nil {
                path.rejection = nil
                path.isRefused = false
            }
            return
        }
        if let until = path.settlesUntil, now < until { return }
        if path.settlesUntil != nil {
            // It was answered with yes and does not show.
            path.settlesUntil = nil
            path.attempts += 1
            path.retryAt = now + Self.again.delay(attempt: path.attempts, chance: 0.5)
        }
        path.standing = found
    }

    var isSettling: Bool { paths.values.contains { $0.settlesUntil != nil } }
    var isAllEqual: Bool { paths.values.allSatisfy { $0.standing == .equal } }
    var rejection: CodedError? { poison ?? paths.sorted { $0.key < $1.key }.lazy.compactMap(\.value.rejection).first }
    var refused: Set<String> { Set(paths.filter(\.value.isRefused).keys) }
    func wish(_ name: String) -> PathWish? { paths[name]?.wish }

    // MARK: The next change

    /// - Parameter isUsed: whether somebody would be cut off by a change of these settings.
    mutating func nextChange(
        at now: MonotonicTime, isUsed: (String, PathWish?, [String]) -> Bool
    ) -> (PathChange, [String])? {
        waiting = []
        var next: (PathChange, [String])?
        for (name, path) in paths.sorted(by: { $0.key < $1.key }) {
            let keys: [String]
            switch path.standing {
            case .unknown: continue
            case .equal:
                // Equal settings disturb nobody, and free the server if the poison is in this path.
                guard poison != nil, !path.isProbed else { continue }
                keys = []
            case .missing: keys = []
            case .differs(let differing): keys = differing
            }
            if path.standing != .equal, isUsed(name, path.wish, keys) {
                waiting.insert(name)
                continue
            }
            guard next == nil, path.settlesUntil == nil, path.retryAt.map({ $0 <= now }) ?? true else { continue }
            next = (.replace(name), keys)
        }
        for (name, leftOver) in leftOvers.sorted(by: { $0.key < $1.key }) {
            if isUsed(name, nil, []) {
                waiting.insert(name)
            } else if next == nil, leftOver.retryAt.map({ $0 <= now }) ?? true {
                next = (.delete(name), [])
            }
        }
        return wantsProof ? (.nothing, []) : next
    }

    /// All moments at which a change may become due.
    var moments: [MonotonicTime] { paths.values.compactMap(\.retryAt) + leftOvers.values.compactMap(\.retryAt) }

    mutating func accepted(_ change: PathChange, at now: MonotonicTime) {
        switch change {
        case .delete(let name): leftOvers[name] = nil
        case .replace(let name):
            paths[name]?.standing = .unknown
            paths[name]?.settlesUntil = now + Self.settleMax
            paths[name]?.rejection = nil
            paths[name]?.isRefused = false
        case .nothing: break
        }
        // A change went through, so the poison is gone with it.
        let wasProbing = poison != nil
        forgetPoison()
        guard wasProbing else { return }
        for name in paths.keys {
            paths[name]?.isProbed = false
            if paths[name]?.rejection != nil { paths[name]?.retryAt = nil }
        }
    }

    mutating func rejected(_ change: PathChange, _ error: CodedError, at now: MonotonicTime) {
        switch change {
        case .delete(let name):
            var leftOver = leftOvers[name] ?? LeftOver()
            leftOver.attempts += 1
            leftOver.retryAt = now + Self.again.delay(attempt: leftOver.attempts, chance: 0.5)
            leftOvers[name] = leftOver
            if leftOver.attempts == 1 { beginProbing(error) }
        case .replace(let name):
            guard paths[name]?.standing != .equal else {
                paths[name]?.isProbed = true
                break
            }
            rejectedOwn(name, error, at: now)
        case .nothing:
            wantsProof = false
            isPoisonedElsewhere = true
        }
        if poison != nil, !paths.values.contains(where: { $0.standing == .equal && !$0.isProbed }) {
            poison = nil
            wantsProof = true
        }
    }

    private mutating func rejectedOwn(_ name: String, _ error: CodedError, at now: MonotonicTime) {
        guard var path = paths[name] else { return }
        // The same words again after the others were tried: it is this path's own fault, or nobody's whom we may touch.
        let isKnown = path.rejection == error
        path.rejection = error
        path.isRefused = true
        path.attempts += 1
        path.retryAt = now + Self.again.delay(attempt: path.attempts, chance: 0.5)
        paths[name] = path
        if !isKnown { beginProbing(error) }
    }

    private mutating func beginProbing(_ error: CodedError) {
        guard poison == nil else { return }
        poison = error
        for name in paths.keys { paths[name]?.isProbed = false }
    }
}
