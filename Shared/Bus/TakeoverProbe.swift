internal import BusContract
internal import Dispatch
internal import Domain

/// Looks, before a lost connection is made again, whether another process has taken its name. The MQTT 5 reason 0x8E
/// would say so, but mosquitto 2.0.11 closes the older connection without a word; reconnecting then would drive the
/// newer process out, and the two would go on doing that to each other for ever.
///
/// The probe connects under a name of its own and reads the retained presence of its owner's service. If that says
/// `online` with a session that was never ours, and said so after we were connected last, somebody else is us. What is
/// older a broker remembers from before: its memory on disk may be that of an earlier process of ours. What is heard
/// is judged when it is heard: meanwhile another link of ours may have been born again. Lives for one look, on the
/// link's queue; a deadline is the link's business.
///
/// Sendable is safe because every member is touched on `queue` alone.
final class TakeoverProbe: @unchecked Sendable {
    enum Verdict: Sendable {
        case nobodyElse
        case takenOver
        case failed(BusDisconnect)
    }

    /// What to look at, and how to read it.
    struct Question {
        /// Whole.
        var topic: String
        /// Who an `online` presence is of.
        var owner: @Sendable ([UInt8]) -> Presence.Owner?
        /// Whether that is another process than ours, as far as is known now.
        var isForeign: (Presence.Owner) -> Bool
    }

    private let question: Question
    private let queue: DispatchQueue
    private let transport: any BusTransport
    private let echoTopic: String
    private let clientID: String
    private var isTaken = false
    private var tell: ((Verdict) -> Void)?

    init(
        _ question: Question, clientID: String, root: String, network: any BusNetwork, queue: DispatchQueue
    ) {
        self.question = question
        self.queue = queue
        self.clientID = "\(clientID)-probe-\(String(UInt32.random(in: .min ... .max), radix: 16))"
        echoTopic = "\(root)/\(ReplyAddress.folder)/\(self.clientID)"
        transport = network.makeTransport()
    }

    func look(_ tell: @escaping (Verdict) -> Void) {
        self.tell = tell
        transport.open(BusConnection(clientID: clientID)) { event in
            self.queue.async { self.handle(event) }
        }
    }

    /// Nothing is told any more.
    func cancel() {
        tell = nil
        transport.abandon()
    }

    private func handle(_ event: TransportEvent) {
        switch event {
        case .opened:
            transport.subscribe([question.topic, echoTopic])
            // Comes back behind the retained presence, if there is one: then everything has been seen.
            transport.publish(Publication(topic: echoTopic, payload: [], delivery: .event), token: 0)
        case .message(let message) where message.topic == echoTopic: finish(isTaken ? .takenOver : .nobodyElse)
        case .message(let message):
            guard let owner = question.owner(message.payload) else { break }
            isTaken = question.isForeign(owner)
        case .subscribed(granted: false): finish(.nobodyElse)
        case .subscribed(granted: true), .published: break
        case .closed(let reason): finish(.failed(reason))
        }
    }

    private func finish(_ verdict: Verdict) {
        guard let tell else { return }
        self.tell = nil
        transport.close()
        tell(verdict)
    }
}
