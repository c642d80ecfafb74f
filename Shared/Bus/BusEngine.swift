internal import BusContract
internal import Dispatch
internal import Domain
internal import Logging
internal import Synchronization

/// The client's one owner and one loop: every call and every event of its connections is a block on `queue`, in
/// order. Owns the links, the remembered states, the subscriptions, the requests that wait, and the window of
/// unacknowledged publications. Made by `BusClient` alone.
///
/// After a connect: subscriptions, birth, states, replies and requests that waited, then the outbox; the broker takes
/// one connection's packets in order, so nothing waits for anything.
///
/// Sendable is safe because every mutable member is touched on `queue` alone; the exceptions carry their own lock.
final class BusEngine: @unchecked Sendable {
    let settings: BusSettings
    let outbox: EventOutbox
    let now: @Sendable () -> WallTime
    let logger: Logger
    let inputs: AsyncStream<BusInput>.Continuation
    let queue: DispatchQueue
    /// The outbox syncs here, so that a slow disk delays events and nothing else.
    let diskQueue: DispatchQueue
    let counters = CounterBox()

    /// Carries everything; its will is the first presence.
    let main: BusLink
    /// One for each further presence.
    let others: [BusLink]
    var links: [BusLink] { [main] + others }

    /// The consumer's, whole.
    var filters: [String] = []
    var states: [String: RememberedState] = [:]
    /// Replies that found no connection, with the moment at which nobody waits for them any more.
    var waitingReplies: [(publication: Publication, until: ContinuousClock.Instant)] = []
    var requests: [[UInt8]: WaitingRequest] = [:]
    var events = EventWindow()
    /// QoS 1 publications that are not events and are not acknowledged; `stop` waits for them.
    var unacknowledged: Set<UInt64> = []
    let sequence: SequenceNumbers
    private var lastToken: UInt64 = 0
    /// Between the opening of the main link and the first acknowledgement of its subscriptions.
    var isSettling = false
    /// `disconnected` has been yielded since the last `connected`.
    var isOutageTold = false
    /// What the broker last showed on our own presence topics.
    var seenPresence: [String: [UInt8]] = [:]
    var stopping: StopProgress?
    /// Of our latest connections; a presence with another one is another process.
    private var sessions: [String] = []
    /// Of the newest of them, by a clock that nobody sets.
    private var openedAt = ContinuousClock.now
    private static let sessionsMax = 64
    var isFenced = false

    struct RememberedState {
        var message: AnyHashable
        var payload: [UInt8]
        /// Sent over the present connection.
        var isSent: Bool
    }

    init(
        settings: BusSettings, presences: [Presence], outbox: EventOutbox, network: any BusNetwork,
        now: @escaping @Sendable () -> WallTime, logger: Logger, inputs: AsyncStream<BusInput>.Continuation
    ) {
        self.settings = settings
        self.outbox = outbox
        self.now = now
        self.logger = logger
        self.inputs = inputs
        let queue = DispatchQueue(label: "bus.\(settings.clientID)")
        self.queue = queue
        diskQueue = DispatchQueue(label: "outbox.\(settings.clientID)")
        let sequence = SequenceNumbers(from: now())
        self.sequence = sequence
        func link(_ presence: Presence?, suffix: String) -> BusLink {
            BusLink(
                settings: settings, clientID: settings.clientID + suffix, presence: presence, network: network,
                queue: queue, stamp: { Presence.Stamp(session: "", at: now(), seq: sequence.next()) })
        }
        main = link(presences.first, suffix: "")
        others = presences.dropFirst().enumerated().map { index, presence in
            link(presence, suffix: index == 0 ? "-presence" : "-presence-\(index + 1)")
        }
        let told = presences.first { $0.namesSession }
        for link in [main] + others {
            link.takeoverQuestion = { [weak self] in
                guard let self, let told else { return nil }
                return TakeoverProbe.Question(topic: whole(told.topic), owner: told.owner) { [weak self] owner in
                    guard let self else { return false }
                    let since = now() - (ContinuousClock.now - openedAt)
                    return !sessions.contains(owner.session) && owner.at >= since
                }
            }
        }
        main.onEvent = { [weak self] event in self?.handleMain(event) }
        for other in others {
            other.onEvent = { [weak self, weak other] event in
                if let other { self?.handleOther(event, of: other) }
            }
        }
    }

    func remember(session: String) {
        openedAt = .now
        sessions.append(session)
        if sessions.count > Self.sessionsMax { sessions.removeFirst() }
    }

    func nextToken() -> UInt64 {
        lastToken += 1
        return lastToken
    }

    var replyTopic: String { "\(settings.topicRoot)/\(ReplyAddress.folder)/\(settings.clientID)" }

    func start() {
        queue.async {
            guard self.stopping == nil else { return }
            for link in self.links { link.open() }
        }
    }

    /// Ends without a word, for a client that is dropped instead of stopped.
    func abandon() {
        queue.async {
            for link in self.links { link.abandon() }
            self.inputs.finish()
        }
    }

    func yield(_ input: BusInput) {
        if case .dropped = inputs.yield(input) { count(\.inputsDropped, "inputs dropped", nil) }
    }

    /// Counts what went wrong and logs it at every power of two: a flood is told and does not become one itself.
    func count(
        _ counter: WritableKeyPath<BusCounters, Int>, by number: Int = 1, _ message: Logger.Message, _ cause: String?
    ) {
        let total = counters.add(counter, number)
        guard number > 0, (total - number + 1...total).contains(where: { $0 & ($0 - 1) == 0 }) else { return }
        var metadata: Logger.Metadata = ["total": "\(total)"]
        if let cause { metadata["cause"] = "\(cause)" }
        logger.error(message, metadata: metadata)
    }
}

/// The numbers of one publisher's messages: growing, also over restarts, since they begin with the clock's
/// microseconds; below 2^53 until the year 2255.
final class SequenceNumbers: Sendable {
    private let last: Atomic<UInt64>

    init(from start: WallTime) { last = Atomic(UInt64(clamping: start.milliseconds) * 1000) }

    func next() -> UInt64 { last.add(1, ordering: .relaxed).newValue }
}

/// The counters, readable from anywhere.
final class CounterBox: Sendable {
    private let counters = Mutex(BusCounters())

    var value: BusCounters { counters.withLock { $0 } }

    @discardableResult
    func add(_ counter: WritableKeyPath<BusCounters, Int>, _ count: Int = 1) -> Int {
        counters.withLock {
            $0[keyPath: counter] += count
            return $0[keyPath: counter]
        }
    }
}
