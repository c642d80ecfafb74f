internal import BusContract
internal import Dispatch
internal import Domain
internal import Logging

/// What the connections say, and what is said after a connect.
extension BusEngine {
    func handleMain(_ event: TransportEvent) {
        switch event {
        case .opened: opened()
        case .subscribed(let granted):
            if !granted { logger.error("the broker refused a subscription") }
            guard isSettling else { break }
            isSettling = false
            isOutageTold = false
            yield(.connected)
        case .published(let token, let result): published(token, result)
        case .message(let message): received(message)
        case .closed(let reason): closed(reason)
        }
        continueStop()
    }

    func handleOther(_ event: TransportEvent, of link: BusLink) {
        switch event {
        case .opened:
            counters.add(\.connects)
            remember(session: link.session)
            publishBirth(of: link)
        case .closed(.takenOver): fence()
        case .published(let token, _): unacknowledged.remove(token)
        case .closed, .subscribed, .message: break
        }
        continueStop()
    }

    private func opened() {
        counters.add(\.connects)
        logger.info("bus connected", metadata: ["client": "\(settings.clientID)"])
        isSettling = true
        remember(session: main.session)
        let own = links.compactMap { $0.presence.map { whole($0.topic) } }
        main.subscribe(Array(Set(filters + own + [replyTopic])).sorted())
        publishBirth(of: main)
        for topic in states.keys.sorted() { sendState(on: topic) }
        sendWaitingReplies()
        for key in requests.keys { sendRequest(key) }
        events.restart()
        sendEvents()
    }

    func publishBirth(of link: BusLink) {
        guard link.isOpen, link.presence != nil else { return }
        link.publishPresence(isOnline: true, token: awaited())
    }

    /// A token whose acknowledgement `stop` waits for.
    func awaited() -> UInt64 {
        let token = nextToken()
        unacknowledged.insert(token)
        return token
    }

    private func closed(_ reason: BusDisconnect) {
        unacknowledged.removeAll()
        isSettling = false
        for topic in states.keys { states[topic]?.isSent = false }
        if reason == .takenOver { return fence() }
        guard stopping == nil, !isOutageTold else { return }
        isOutageTold = true
        logger.warning("bus disconnected", metadata: ["client": "\(settings.clientID)", "reason": "\(reason)"])
        yield(.disconnected(reason))
    }

    /// Another process has our name: it speaks now, and we say nothing more.
    private func fence() {
        guard !isFenced else { return }
        isFenced = true
        for link in links { link.fence() }
        logger.error("bus taken over", metadata: ["client": "\(settings.clientID)"])
        yield(.disconnected(.takenOver))
    }

    func whole(_ topicBelowRoot: String) -> String { "\(settings.topicRoot)/\(topicBelowRoot)" }

    // MARK: What comes in

    private func received(_ message: InboundMessage) {
        let prefix = settings.topicRoot + "/"
        guard message.topic.hasPrefix(prefix) else { return }
        if message.topic == replyTopic { return receivedReply(message) }
        notePresence(message)
        guard filters.contains(where: { TopicFilter.matches($0, message.topic) }) else { return }
        var below = message
        below.topic = String(message.topic.dropFirst(prefix.count))
        yield(.message(below))
    }

    /// A will of an older connection may arrive after our birth, for instance when the broker gives an old, silent
    /// connection up. It would leave us `offline` for all to see; so we say `online` once more.
    private func notePresence(_ message: InboundMessage) {
        guard let link = links.first(where: { $0.presence.map { whole($0.topic) } == message.topic }) else { return }
        let isPending = seenPresence.updateValue(message.payload, forKey: message.topic) != nil
        guard !isPending else { return }
        // Waits a moment, since the present birth may be on its way, and so that two clients that wrongly share a
        // presence do not flood the broker.
        queue.asyncAfter(deadline: .now() + Self.birthAgainSeconds) {
            let seen = self.seenPresence.removeValue(forKey: message.topic)
            guard link.isOpen, self.stopping == nil, let birth = link.birth, let seen, seen != birth,
                link.presence?.isOffline(seen) == true
            else { return }
            self.logger.info("a late will is overruled", metadata: ["topic": "\(message.topic)"])
            self.publishBirth(of: link)
        }
    }

    private static let birthAgainSeconds = 0.2
}
