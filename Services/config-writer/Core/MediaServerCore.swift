internal import BusContract
package import Domain

/// A node's media server as a pure value: event and time in, effects out. Keeps one path per camera as it should be,
/// and a lease on every camera that is watched.
///
/// Owns what is known of the paths, the viewers and the server's health. Invariants: one request is under way at a
/// time, so that no reading is older than a change; nothing is asked while the breaker forbids it; a path that somebody
/// uses is never changed; viewers that were counted have a lease; nothing is published twice unchanged. Called by the
/// Shell's one loop. HTTP, files and the wording of settings do not belong here.
package struct MediaServerCore: Hashable, Sendable {
    /// Between looks while something is published or watched, and otherwise.
    package static let busyPeriod: Duration = .seconds(1)
    package static let idlePeriod: Duration = .seconds(2)
    /// Looks are never closer than this, however many ask for one.
    package static let spacing: Duration = .milliseconds(100)
    /// Nor are those that readers bring about: each may cost its camera's encoder a key frame.
    package static let arrivalSpacing: Duration = .milliseconds(250)
    /// The settings of all paths are read again at least so often: whoever changed one of ours changed it for a while.
    package static let driftPeriod: Duration = .seconds(5)
    /// How long the API may refuse before the paths go into the server's file. Who is denied will be denied again; a
    /// server that is away may only be starting.
    package static let deniedMax: Duration = .seconds(5)
    package static let awayMax: Duration = .seconds(30)
    /// In static mode the file is compared again so often.
    package static let filePeriod: Duration = .seconds(10)
    /// Byte counts alone are published no more often.
    package static let bytesPeriod: Duration = .seconds(10)
    /// Without a look for so long nobody knows who watches.
    package static let blindAfter: Duration = .seconds(10)
    package static let askersMax = 64

    /// Between the count of the viewers and the last of the changes that the count allowed.
    package static let freshMax: Duration = .milliseconds(500)

    struct Asker: Hashable {
        var camera: CameraID?
        var token: LookToken
    }

    enum Operation: Hashable {
        case looking(LookDepth)
        case changing
    }

    let node: NodeID
    var wish: MediaServerWish?
    var breaker = Breaker()
    var book = PathBook()
    var demand = DemandBook()
    var chance: SplitMix64
    var operation: Operation?

    var mode = MediaServerState.Mode.api
    var version: String?
    var started: String?
    var traffic: [String: MediaServerState.Path] = [:]
    var readers: [String: Set<String>] = [:]
    var readersTotal: [String: UInt64] = [:]
    /// Cameras of which the hook said that somebody has begun to read, since the last look began.
    var arrivals: Set<CameraID> = []
    /// Those whom the look under way will find.
    var arrivalsInLook: Set<CameraID> = []
    private var arrivalLookAt: MonotonicTime?
    var streamLeases: [CameraID: StreamState.LeaseCounts] = [:]
    /// Cameras whose workers read their sources; at a pulled path such a worker is one of the viewers.
    var running: Set<CameraID> = []
    var lookAt: MonotonicTime?
    var lookedAt: MonotonicTime?
    var readAt: MonotonicTime?
    var wantsEverything = true
    /// A look is due and has to wait for its distance from the last one.
    var isHeldBack = false
    /// The viewers were counted just now, and nothing but changes has happened since.
    var isCountFresh = false
    var failure: MediaServerFailure?
    /// Of the present row of failures or refusals.
    var refusedSince: MonotonicTime?
    /// Since when it takes no change, though none of our paths is to blame.
    var rejectedSince: MonotonicTime?

    var isWriting = false
    /// The file is written to have it read again.
    var isRereading = false
    var fileAt: MonotonicTime?
    var fileError: CodedError?
    var fileKept: [String] = []

    var askers: [Asker] = []
    /// Those whom the look under way will answer.
    var askersInLook: [Asker] = []
    var published: MediaServerState?
    var publishedAt: MonotonicTime?
    private var wakeAt: MonotonicTime?

    /// - Parameter seed: random, drawn once per process; the spread of retries comes from it.
    package init(node: NodeID, seed: UInt64) {
        self.node = node
        chance = SplitMix64(state: seed)
    }

    package mutating func handle(_ event: MediaServerEvent, at now: MonotonicTime) -> [MediaServerEffect] {
        var effects: [MediaServerEffect]
        switch event {
        case .configured(let wish):
            isCountFresh = false
            effects = configured(wish, at: now)
        case .looked(let result): effects = looked(result, at: now)
        case .changed(let change, let failure): effects = changed(change, failure, at: now)
        case .fileWritten(let result): effects = fileWritten(result, at: now)
        case .demanded(let camera):
            isCountFresh = false
            effects = demand.demanded(camera, at: now).map(MediaServerEffect.init)
        case .undemanded(let camera):
            effects = demand.undemanded(camera, canCount: canCount(at: now), at: now).map(MediaServerEffect.init)
        case .readerCame(let camera):
            // Who has just begun is in no count, and must not be cut off by a change that the count allowed.
            isCountFresh = false
            if demand.knows(camera) { arrivals.insert(camera) }
            effects = demand.readerCame(camera, canCount: canCount(at: now), at: now).map(MediaServerEffect.init)
        case .leaseAnswered(let camera, let error):
            demand.answered(camera, error, at: now)
            effects = []
        case .streamReported(let camera, let leases, let isRunning):
            streamReported(camera, leases, isRunning: isRunning)
            effects = []
        case .viewingReported(let camera, let phase, let isLeased):
            demand.reported(camera, isPublished: phase == .active, isLeased: isLeased, at: now)
            effects = []
        case .lookCommanded(let camera, let token): effects = lookCommanded(camera, token)
        case .woke:
            wakeAt = nil
            isCountFresh = false
            effects = []
        }
        return effects + settle(at: now)
    }

    // MARK: Events

    private mutating func configured(_ wish: MediaServerWish?, at now: MonotonicTime) -> [MediaServerEffect] {
        let (hadServer, isOther) = (self.wish != nil, self.wish?.server != wish?.server)
        self.wish = wish
        book.configured(wish?.paths ?? [:])
        streamLeases = streamLeases.filter { wish?.paths[$0.key.rawValue] != nil }
        running = running.filter { wish?.paths[$0.rawValue] != nil }
        arrivals = arrivals.filter { wish?.paths[$0.rawValue] != nil }
        readersTotal = readersTotal.filter { wish?.paths[$0.key] != nil }
        wantsEverything = true
        lookAt = now
        rejectedSince = nil
        fileKept = []
        // Whether another server or login needs the file at all is for the next look to say.
        if mode == .static { fileAt = isOther ? now + Self.filePeriod : now }
        if isOther { forgetServer() }
        var effects = demand.configured(Array((wish?.paths ?? [:]).values)).map(MediaServerEffect.init)
        if wish?.hasFile != true {
            mode = .api
            fileAt = nil
            fileError = nil
        }
        if wish == nil {
            effects += refuseAskers(Self.noServer)
            published = nil
            if hadServer { effects.append(.withdraw) }
        }
        return effects
    }

    /// Nothing that was learnt holds of another server or login, least of all how long to leave it alone. What is under
    /// way will not be answered.
    private mutating func forgetServer() {
        breaker = Breaker()
        operation = nil
        (failure, refusedSince, lookedAt, readAt, started) = (nil, nil, nil, nil, nil)
        (traffic, readers) = ([:], [:])
        (arrivals, arrivalsInLook) = ([], [])
        askers = askersInLook + askers
        askersInLook = []
    }

    private mutating func streamReported(_ camera: CameraID, _ leases: StreamState.LeaseCounts, isRunning: Bool) {
        guard wish?.paths[camera.rawValue] != nil else { return }
        streamLeases[camera] = leases
        if isRunning { running.insert(camera) } else { running.remove(camera) }
    }

    private static let noServer = CodedError(.notReady, "there is no media server: the section mediamtx is missing")

    private mutating func lookCommanded(_ camera: CameraID?, _ token: LookToken) -> [MediaServerEffect] {
        guard let wish else { return [.refuse(token, Self.noServer)] }
        if let camera, wish.paths[camera.rawValue] == nil {
            return [.refuse(token, CodedError(.unknownCamera, "\(camera): no path of this node at the media server"))]
        }
        guard breaker.isClosed else {
            return [.refuse(token, failure?.error ?? CodedError(.mediaServerUnavailable, "the media server is away"))]
        }
        guard askers.count + askersInLook.count < Self.askersMax else {
            return [.refuse(token, CodedError(.conflict, "too many wait for a look already"))]
        }
        askers.append(Asker(camera: camera, token: token))
        return []
    }

    mutating func refuseAskers(_ error: CodedError) -> [MediaServerEffect] {
        defer {
            askers = []
            askersInLook = []
        }
        return (askersInLook + askers).map { .refuse($0.token, error) }
    }

    // MARK: What is due by time alone

    private mutating func settle(at now: MonotonicTime) -> [MediaServerEffect] {
        guard wish != nil else { return wake(at: now) }
        var effects = demand.settle(canCount: canCount(at: now), at: now).map(MediaServerEffect.init)
        effects += fallBack(at: now)
        effects += nextOperation(at: now)
        effects += publish(at: now)
        return effects + wake(at: now)
    }

    /// A change if one is due and nobody is known to use its path, else a look if one is due.
    private mutating func nextOperation(at now: MonotonicTime) -> [MediaServerEffect] {
        guard operation == nil, breaker.mayTry(at: now) else { return [] }
        let waited = book.waiting
        let next = breaker.isClosed && failure == nil && readAt != nil ? nextChange(at: now) : nil
        let notes = book.waiting.subtracting(waited).sorted().map { MediaServerEffect.note(.waits($0)) }
        if let (change, keys) = next, isCountFresh, lookedAt.map({ $0 + Self.freshMax > now }) ?? false {
            breaker.begin(at: now)
            operation = .changing
            return notes + [.note(.repaired(change, keys)), .change(change)]
        }
        let isDue =
            next != nil || lookAt.map { $0 <= now } ?? true || !askers.isEmpty || demand.wantsLook
            || arrivalLookDue.map { $0 <= now } ?? false
        let isSpaced = lookedAt.map { $0 + Self.spacing <= now } ?? true
        isHeldBack = isDue && !isSpaced
        guard isDue, isSpaced else { return notes }
        breaker.begin(at: now)
        askersInLook += askers
        askers = []
        if !arrivals.isEmpty { arrivalLookAt = now }
        (arrivalsInLook, arrivals) = (arrivals, [])
        let isStale = readAt.map { $0 + Self.driftPeriod <= now } ?? true
        let depth: LookDepth = wantsEverything || isStale ? .everything : .traffic
        operation = .looking(depth)
        return notes + [.look(depth)]
    }

    /// When those who have begun to read are looked for; nil if there are none.
    private var arrivalLookDue: MonotonicTime? {
        guard !arrivals.isEmpty else { return nil }
        return arrivalLookAt.map { $0 + Self.arrivalSpacing } ?? MonotonicTime(nanoseconds: 0)
    }

    private mutating func nextChange(at now: MonotonicTime) -> (PathChange, [String])? {
        var book = book
        defer { self.book = book }
        return book.nextChange(at: now) { name, wish, keys in isUsed(name, wish, keys, at: now) }
    }

    /// Whether a change of the path's settings, if any are named, would cut somebody off who is to be spared.
    func isUsed(_ name: String, _ wish: PathWish?, _ keys: [String] = [], at now: MonotonicTime) -> Bool {
        // A path that does not run has nobody on it.
        guard let path = traffic[name] else { return false }
        if let wish, wish.kind == .pulled, keys.contains("source") {
            // Its worker is to go over to the other source: the configuration was not applied before that was right.
            return path.viewers > (running.contains(wish.camera) ? 1 : 0)
        }
        if path.viewers > 0 { return true }
        guard let wish else { return false }
        switch wish.kind {
        case .published: return demand.isWaiting(wish.camera, at: now)
        case .pulled:
            let leases = streamLeases[wish.camera]
            return path.ready && (leases.map { $0.recording + $0.viewing > 0 } ?? false)
        }
    }

    /// Whether the counts of viewers are to be trusted.
    func canCount(at now: MonotonicTime) -> Bool {
        breaker.isClosed && failure == nil && (lookedAt.map { $0 + Self.blindAfter > now } ?? false)
    }

    private mutating func wake(at now: MonotonicTime) -> [MediaServerEffect] {
        var moments = demand.moments + book.moments
        if wish != nil {
            moments += [breaker.tryAt, fileAt, fallBackAt].compactMap { $0 }
            if operation == nil {
                let held = isHeldBack ? lookedAt.map { $0 + Self.spacing } : nil
                moments += [lookAt, held, arrivalLookDue].compactMap { $0 }
            }
            if let publishedAt, published.map({ $0.paths != state.paths }) ?? false {
                moments.append(publishedAt + Self.bytesPeriod)
            }
        } else {
            moments = []
        }
        let first = moments.filter { $0 > now }.min()
        guard first != wakeAt else { return [] }
        wakeAt = first
        return [.wake(first)]
    }
}

extension MediaServerEffect {
    init(_ step: DemandBook.Step) {
        switch step {
        case .start(let camera, let duration): self = .startViewing(camera, duration)
        case .stop(let camera): self = .stopViewing(camera)
        }
    }
}
