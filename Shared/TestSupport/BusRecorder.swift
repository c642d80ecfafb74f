package import Bus
package import BusContract
internal import Synchronization

/// Reads a client's inputs and keeps them, so that a test can wait for what it expects in any order.
package final class BusRecorder: Sendable {
    private final class Log: Sendable {
        let inputs = Mutex<[BusInput]>([])
    }

    private let log = Log()
    private let reader: Task<Void, Never>

    package init(_ client: BusClient) {
        let log = log
        let stream = client.inputs
        reader = Task {
            for await input in stream { log.inputs.withLock { $0.append(input) } }
        }
    }

    deinit { reader.cancel() }

    package var inputs: [BusInput] { log.inputs.withLock { $0 } }

    package var messages: [InboundMessage] {
        inputs.compactMap { if case .message(let message) = $0 { message } else { nil } }
    }

    /// Topics below the root.
    package func payloads(on topic: String) -> [String] {
        messages.filter { $0.topic == topic }.map { String(decoding: $0.payload, as: UTF8.self) }
    }

    /// Every `M` so far that can be read, in order.
    package func decoded<M: BusMessage>(_ type: M.Type) -> [Stamped<M>] {
        messages.compactMap { message in
            if case .success(let stamped)? = message.decoded(type)?.result { stamped } else { nil }
        }
    }

    package var connects: Int {
        inputs.filter { if case .connected = $0 { true } else { false } }.count
    }

    package var disconnects: [BusDisconnect] {
        inputs.compactMap { if case .disconnected(let reason) = $0 { reason } else { nil } }
    }
}
