package import Bus
package import BusContract
package import Domain
internal import Synchronization

/// Everything that came over the bus, with the newest of each state.
package final class MessageLog: Sendable {
    private struct Content {
        var messages: [InboundMessage] = []
        var newest: [String: InboundMessage] = [:]
        var connects = 0
    }

    private let content = Mutex(Content())

    package init() {}

    package func take(_ input: BusInput) {
        switch input {
        case .connected: content.withLock { $0.connects += 1 }
        case .message(let message):
            content.withLock { content in
                content.messages.append(message)
                content.newest[message.topic] = message
            }
        case .disconnected, .outboxOverflowed: break
        }
    }

    /// Of which something was said.
    package var topics: Set<String> { content.withLock { Set($0.newest.keys) } }
    package var connects: Int { content.withLock { $0.connects } }
    /// Forgets the newest states, so that only what is said from now on counts.
    package func forgetStates() { content.withLock { $0.newest = [:] } }

    package func state<M: BusMessage>(_ type: M.Type, at address: M.Address) -> M? {
        let message = content.withLock { $0.newest[M.topic(for: address)] }
        guard let message, let decoded = message.decoded(type) else { return nil }
        return (try? decoded.result.get())?.message
    }

    package func messages(on topic: String) -> [InboundMessage] {
        content.withLock { $0.messages.filter { $0.topic == topic } }
    }

    package func events<M: BusMessage>(_ type: M.Type, at address: M.Address) -> [M] {
        let topic = M.topic(for: address)
        let all = content.withLock { $0.messages.filter { $0.topic == topic } }
        return all.compactMap { ($0.decoded(type)?.result).flatMap { try? $0.get() }?.message }
    }

    /// When each `M` so far was said, by its own word.
    package func stamped<M: BusMessage>(_ type: M.Type, at address: M.Address) -> [WallTime] {
        messages(on: M.topic(for: address)).compactMap { ($0.decoded(type)?.result).flatMap { try? $0.get() }?.at }
    }
}
