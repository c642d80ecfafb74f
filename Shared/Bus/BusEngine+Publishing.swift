internal import BusContract
internal import Dispatch
internal import Domain
internal import Logging

/// What goes out: states, events, telemetry, replies.
extension BusEngine {
    func subscribe(_ patterns: [String]) {
        queue.async {
            let new = patterns.map(self.whole).filter { !self.filters.contains($0) }
            self.filters += new
            self.main.subscribe(new)
        }
    }

    func publish<M: BusMessage>(_ message: M, topic: String) {
        let at = now()
        queue.async { self.take(message, topic: self.whole(topic), at: at) }
    }

    private func take<M: BusMessage>(_ message: M, topic: String, at: WallTime) {
        switch M.delivery {
        case .state:
            if let known = states[topic], known.message == AnyHashable(message), known.isSent { return }
            guard let payload = encoded(message, at: at) else { return }
            states[topic] = RememberedState(message: AnyHashable(message), payload: payload, isSent: false)
            sendState(on: topic)
        case .event:
            guard let payload = encoded(message, at: at) else { return }
            events.waiting.append((topic, payload))
            storeEvents()
        case .telemetry:
            guard main.isOpen else { return drop() }
            guard let payload = encoded(message, at: at) else { return }
            main.publish(Publication(topic: topic, payload: payload, delivery: .telemetry), token: nextToken())
        case .command: preconditionFailure("a command is sent with request, in the words of the contract")
        }
    }

    private func drop() { counters.add(\.droppedOffline) }

    private func encoded<M: BusMessage>(_ message: M, at: WallTime) -> [UInt8]? {
        do throws(CodedError) {
            return try BusCodec.encode(message, at: at, seq: sequence.next())
        } catch {
            count(\.refused, "message not written", "\(M.self): \(error)")
            return nil
        }
    }

    func sendState(on topic: String) {
        guard main.isOpen, let state = states[topic], !state.isSent else { return }
        states[topic]?.isSent = true
        main.publish(Publication(topic: topic, payload: state.payload, delivery: .state), token: awaited())
    }

    /// An empty retained payload is how MQTT forgets (MQTT 5.0 section 3.3.1.3). While there is no connection it is
    /// remembered like a state, and dropped once it is sent.
    func clear(topic: String) {
        queue.async {
            let topic = self.whole(topic)
            self.states[topic] = RememberedState(message: AnyHashable(0), payload: [], isSent: false)
            self.sendState(on: topic)
        }
    }

    func forget(topic: String) {
        queue.async { self.states[self.whole(topic)] = nil }
    }

    func reply(_ address: ReplyAddress, _ payload: @escaping @Sendable () throws(CodedError) -> [UInt8]) {
        queue.async {
            do throws(CodedError) {
                self.send(
                    reply: Publication(
                        topic: address.topic, payload: try payload(), delivery: .command,
                        correlation: address.correlation, expirySeconds: CommandLimits.expirySeconds))
            } catch {
                self.count(\.refused, "reply not written", error.description)
            }
        }
    }

    private func send(reply: Publication) {
        if main.isOpen { return main.publish(reply, token: awaited()) }
        let until = ContinuousClock.now + .seconds(Int64(CommandLimits.expirySeconds))
        waitingReplies.append((reply, until))
        if waitingReplies.count > Self.waitingRepliesMax {
            waitingReplies.removeFirst()
            drop()
        }
    }

    func sendWaitingReplies() {
        let replies = waitingReplies
        waitingReplies = []
        for reply in replies {
            if reply.until > .now { send(reply: reply.publication) } else { drop() }
        }
    }

    private static let waitingRepliesMax = 256

    func published(_ token: UInt64, _ result: PublicationResult) {
        unacknowledged.remove(token)
        if let id = events.inFlight.removeValue(forKey: token) { return eventPublished(id, result) }
        switch result {
        case .delivered: break
        case .nobodySubscribed: requestUnheard(token)
        case .refused(let reason):
            count(\.refused, "publication refused", reason)
        }
    }
}
