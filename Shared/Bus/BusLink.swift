internal import BusContract
internal import Dispatch
internal import Domain

/// One connection and its renewal: opens a transport, gives it the will of its presence, waits after a failure, opens
/// the next. Every attempt has a session of its own, which stands in its will and in its birth. Before a lost
/// connection is made again, a probe looks whether another process has the name now.
///
/// Invariants: everything happens on the client's queue; at most one transport is in use; events of an older attempt
/// are ignored; a connection that was taken over is never renewed. What is said over the connection belongs to
/// `BusEngine`.
///
/// Sendable is safe because every member is touched on `queue` alone.
final class BusLink: @unchecked Sendable {
    enum Phase: Hashable {
        /// Not started, or ended in order.
        case idle
        /// To `open`, or through a failure to `waiting`, or to `fenced` if the probe finds another owner.
        case opening
        /// To `waiting` when lost, to `closing` on `close`.
        case open
        /// Until the backoff has passed.
        case waiting
        /// The broker is told; to `idle` when the transport says so.
        case closing
        /// Final.
        case fenced
    }

    private(set) var phase = Phase.idle
    let presence: Presence?
    /// What was last published as birth on this connection.
    private(set) var birth: [UInt8]?
    /// The transport's events, while they are this attempt's.
    var onEvent: (TransportEvent) -> Void = { _ in }

    /// What a probe is to look at; nil: nothing tells.
    var takeoverQuestion: () -> TakeoverProbe.Question? = { nil }
    /// Random per connection.
    private(set) var session = ""

    private let settings: BusSettings
    private let clientID: String
    private let network: any BusNetwork
    private let queue: DispatchQueue
    private let stamp: () -> Presence.Stamp
    private var transport: (any BusTransport)?
    private var probe: TakeoverProbe?
    private var hasBeenOpen = false
    /// Numbers the attempts, so that what an older one says is ignored.
    private var attempt = 0
    private var failuresInRow = 0

    /// The longest that a connection may take until the broker answers.
    private static let openSecondsMax = 10.0

    init(
        settings: BusSettings, clientID: String, presence: Presence?, network: any BusNetwork, queue: DispatchQueue,
        stamp: @escaping () -> Presence.Stamp
    ) {
        self.settings = settings
        self.clientID = clientID
        self.presence = presence
        self.network = network
        self.queue = queue
        self.stamp = stamp
    }

    func open() {
        guard phase == .idle || phase == .waiting else { return }
        phase = .opening
        attempt += 1
        let attempt = attempt
        queue.asyncAfter(deadline: .now() + Self.openSecondsMax) {
            if self.attempt == attempt, self.phase == .opening { self.giveUp() }
        }
        guard hasBeenOpen, let question = takeoverQuestion() else { return connect() }
        let probe = TakeoverProbe(
            question, clientID: clientID, root: settings.topicRoot, network: network, queue: queue)
        self.probe = probe
        probe.look { verdict in
            self.probe = nil
            switch verdict {
            case .nobodyElse: self.connect()
            case .takenOver: self.handle(.closed(.takenOver))
            case .failed(let reason): self.handle(.closed(reason))
            }
        }
    }

    private func connect() {
        session = Self.randomSession()
        birth = nil
        let attempt = attempt
        let transport = network.makeTransport()
        self.transport = transport
        let connection = BusConnection(
            clientID: clientID, sessionExpirySeconds: settings.sessionExpirySeconds,
            will: presencePublication(isOnline: false))
        transport.open(connection) { event in
            self.queue.async { if self.attempt == attempt { self.handle(event) } }
        }
    }

    /// Drops what is in use; what it still says is an older attempt's.
    private func drop() {
        probe?.cancel()
        probe = nil
        transport?.abandon()
        transport = nil
        attempt += 1
    }

    /// The broker does not answer: what the transport says from now on is an older attempt's.
    private func giveUp() {
        drop()
        handle(.closed(.lost("the broker did not answer within \(Int(Self.openSecondsMax)) s")))
    }

    private func handle(_ event: TransportEvent) {
        switch event {
        case .opened:
            phase = .open
            hasBeenOpen = true
            failuresInRow = 0
        case .closed(let reason): ended(reason)
        case .subscribed, .published, .message: break
        }
        onEvent(event)
    }

    private func ended(_ reason: BusDisconnect) {
        transport = nil
        birth = nil
        guard phase != .fenced else { return }
        guard phase != .closing else {
            phase = .idle
            return
        }
        guard reason != .takenOver else {
            phase = .fenced
            return
        }
        phase = .waiting
        failuresInRow += 1
        let attempt = attempt
        let wait = settings.reconnect.delay(attempt: failuresInRow, chance: .random(in: 0..<1))
        queue.asyncAfter(deadline: .now() + wait.seconds) {
            if self.attempt == attempt, self.phase == .waiting { self.open() }
        }
    }

    /// Ends in order if open, at once otherwise; no further attempt.
    func close() {
        switch phase {
        case .open:
            phase = .closing
            transport?.close()
        case .opening, .waiting:
            drop()
            phase = .idle
        case .idle, .closing, .fenced: break
        }
    }

    /// Ends without waiting for the broker.
    func abandon() {
        drop()
        if phase != .fenced { phase = .idle }
    }

    /// Ends for good because another of the owner's connections was taken over. In order, so that no will speaks
    /// against the new owner.
    func fence() {
        close()
        phase = .fenced
    }

    // MARK: While open

    var isOpen: Bool { phase == .open }

    func subscribe(_ filters: [String]) {
        guard isOpen, !filters.isEmpty else { return }
        transport?.subscribe(filters)
    }

    func publish(_ publication: Publication, token: UInt64) {
        guard isOpen else { return }
        transport?.publish(publication, token: token)
    }

    /// Not `isOnline` is the farewell.
    func publishPresence(isOnline: Bool, token: UInt64) {
        guard isOpen, let publication = presencePublication(isOnline: isOnline, isFarewell: !isOnline) else { return }
        birth = isOnline ? publication.payload : nil
        transport?.publish(publication, token: token)
    }

    private func presencePublication(isOnline: Bool, isFarewell: Bool = false) -> Publication? {
        guard let presence else { return nil }
        var stamp = stamp()
        stamp.session = session
        stamp.isFarewell = isFarewell
        do throws(CodedError) {
            return Publication(
                topic: "\(settings.topicRoot)/\(presence.topic)", payload: try presence.payload(isOnline, stamp),
                delivery: .state)
        } catch {
            // A presence is words and numbers of our own making.
            preconditionFailure("a presence that cannot be written: \(error)")
        }
    }

    private static func randomSession() -> String {
        let digits = String(UInt64.random(in: .min ... .max), radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}
