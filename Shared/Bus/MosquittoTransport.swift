internal import BusContract
internal import CMosquitto
internal import Dispatch
internal import Domain
internal import Glibc

/// One connection through libmosquitto 2.0, MQTT 5. Owns the library's handle and the thread that runs its loop.
///
/// Invariants: the handle is made, driven and destroyed by that one thread; other threads reach it only under `lock`
/// and only while it is published there. The lock is held across `mosquitto_publish_v5` and the insert of its
/// message id, since the acknowledgement may come before the call returns. Callbacks copy and pass on, nothing else.
/// Reconnecting does not belong here: see `BusLink`.
///
/// Sendable is safe because everything mutable lives in `shared` and is touched under `lock`, and what the callbacks
/// write (`reason`) is touched by the loop's thread alone.
final class MosquittoTransport: BusTransport, @unchecked Sendable {
    private struct Shared {
        var handle: OpaquePointer?
        var tokens: [Int32: UInt64] = [:]
        var isAbandoned = false
        var isClosing = false
    }

    private let settings: BusSettings
    private let lock = DispatchSemaphore(value: 1)
    private var shared = Shared()
    private var emit: @Sendable (TransportEvent) -> Void = { _ in }
    /// Why the connection ended, as far as the broker said so.
    private var reason: BusDisconnect?

    /// How long one turn of the loop may sleep; the loop is woken earlier by traffic both ways.
    private static let loopMilliseconds: Int32 = 1000

    init(settings: BusSettings) { self.settings = settings }

    private func withShared<Value>(_ body: (inout Shared) -> Value) -> Value {
        lock.wait()
        defer { lock.signal() }
        return body(&shared)
    }

    func open(_ connection: BusConnection, events: @escaping @Sendable (TransportEvent) -> Void) {
        emit = events
        // A serial queue of its own is a thread of its own for as long as the loop runs.
        DispatchQueue(label: "mqtt.\(connection.clientID)").async { self.run(connection) }
    }

    func subscribe(_ filters: [String]) {
        let result = withShared { shared -> Int32 in
            guard let handle = shared.handle else { return Int32(MOSQ_ERR_NO_CONN.rawValue) }
            var pointers: [UnsafeMutablePointer<CChar>?] = filters.map { strdup($0) }
            defer { for pointer in pointers { free(pointer) } }
            return pointers.withUnsafeMutableBufferPointer { list in
                mosquitto_subscribe_multiple(
                    handle, nil, Int32(list.count), Self.constant(list), 1,
                    Int32(MQTT_SUB_OPT_RETAIN_AS_PUBLISHED.rawValue), nil)
            }
        }
        if result != MOSQ_ERR_SUCCESS.rawValue { emit(.subscribed(granted: false)) }
    }

    /// The library wants `char *const *`, which Swift spells without the outer mutability.
    private static func constant(
        _ list: UnsafeMutableBufferPointer<UnsafeMutablePointer<CChar>?>
    ) -> UnsafePointer<UnsafeMutablePointer<CChar>?>? { UnsafePointer(list.baseAddress) }

    func publish(_ publication: Publication, token: UInt64) {
        let isAnswered = publication.delivery.qualityOfService > 0
        let result = withShared { shared -> Int32 in
            guard let handle = shared.handle else { return Int32(MOSQ_ERR_NO_CONN.rawValue) }
            var properties = MosquittoProperties(of: publication)
            var messageID: Int32 = 0
            let result = properties.withList { list in
                mosquitto_publish_v5(
                    handle, &messageID, publication.topic, Int32(clamping: publication.payload.count),
                    publication.payload, publication.delivery.qualityOfService, publication.delivery.isRetained, list)
            }
            if result == MOSQ_ERR_SUCCESS.rawValue, isAnswered { shared.tokens[messageID] = token }
            return result
        }
        if result != MOSQ_ERR_SUCCESS.rawValue, isAnswered {
            emit(.published(token: token, .refused(Self.text(of: result))))
        }
    }

    func close() {
        withShared { shared in
            shared.isClosing = true
            if let handle = shared.handle { mosquitto_disconnect_v5(handle, 0, nil) }
        }
    }

    func abandon() {
        withShared { shared in
            shared.isAbandoned = true
            // Ends the loop's select at once; the descriptor itself stays the library's.
            if let handle = shared.handle { shutdown(mosquitto_socket(handle), Int32(SHUT_RDWR)) }
        }
    }

    private static func text(of result: Int32) -> String {
        result == MOSQ_ERR_ERRNO.rawValue
            ? String(cString: strerror(errno)) : String(cString: mosquitto_strerror(result))
    }
}

// MARK: - The loop's thread

extension MosquittoTransport {
    private func run(_ connection: BusConnection) {
        let userdata = Unmanaged.passUnretained(self).toOpaque()
        guard let handle = mosquitto_new(connection.clientID, connection.sessionExpirySeconds == 0, userdata) else {
            return emit(.closed(.lost("libmosquitto: \(String(cString: strerror(errno)))")))
        }
        var result = configure(handle, for: connection)
        if result == MOSQ_ERR_SUCCESS.rawValue { result = connect(handle, connection) }
        while result == MOSQ_ERR_SUCCESS.rawValue, !withShared({ $0.isAbandoned }) {
            result = mosquitto_loop(handle, Self.loopMilliseconds, 1)
        }
        let failure = Self.text(of: result)
        withShared { $0.handle = nil }
        mosquitto_destroy(handle)
        emit(.closed(reason ?? .lost(failure)))
    }

    private func configure(_ handle: OpaquePointer, for connection: BusConnection) -> Int32 {
        setCallbacks(of: handle)
        let will = connection.will
        let steps: [() -> Int32] = [
            // The loop runs on a thread that the library did not make; this lets other threads wake it.
            { mosquitto_threaded_set(handle, true) },
            { mosquitto_int_option(handle, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5) },
            // Without it Nagle's algorithm costs 40 ms a round trip.
            { mosquitto_int_option(handle, MOSQ_OPT_TCP_NODELAY, 1) },
            { self.setCredentials(of: handle) },
            { self.setTLS(of: handle) },
            {
                will.map {
                    mosquitto_will_set_v5(
                        handle, $0.topic, Int32(clamping: $0.payload.count), $0.payload,
                        $0.delivery.qualityOfService, $0.delivery.isRetained, nil)
                } ?? 0
            },
        ]
        return steps.lazy.map { $0() }.first { $0 != MOSQ_ERR_SUCCESS.rawValue } ?? 0
    }

    private func setCredentials(of handle: OpaquePointer) -> Int32 {
        guard let username = settings.username else { return 0 }
        return mosquitto_username_pw_set(handle, username, settings.password)
    }

    private func setTLS(of handle: OpaquePointer) -> Int32 {
        guard case .tcp(_, _, let tls?) = settings.endpoint else { return 0 }
        let systemCertificates = tls.ca == nil ? "/etc/ssl/certs" : nil
        return mosquitto_tls_set(handle, tls.ca, systemCertificates, tls.cert, tls.key, nil)
    }

    /// Blocks until the transport connection stands or fails; libmosquitto has no deadline of its own here, the
    /// kernel's holds.
    private func connect(_ handle: OpaquePointer, _ connection: BusConnection) -> Int32 {
        var properties = MosquittoProperties(of: connection)
        let keepAlive = Int32(clamping: max(5, settings.keepAlive.components.seconds))
        let result = properties.withList { list in
            switch settings.endpoint {
            case .unixSocket(let path): mosquitto_connect_bind_v5(handle, path, 0, keepAlive, nil, list)
            case .tcp(let host, let port, _):
                mosquitto_connect_bind_v5(handle, host, Int32(clamping: port), keepAlive, nil, list)
            }
        }
        if result == MOSQ_ERR_SUCCESS.rawValue { withShared { $0.handle = handle } }
        return result
    }

    private func setCallbacks(of handle: OpaquePointer) {
        mosquitto_connect_v5_callback_set(handle) { _, userdata, code, _, _ in
            MosquittoTransport.from(userdata)?.connected(code)
        }
        mosquitto_disconnect_v5_callback_set(handle) { _, userdata, code, _ in
            MosquittoTransport.from(userdata)?.disconnected(code)
        }
        mosquitto_publish_v5_callback_set(handle) { _, userdata, messageID, code, _ in
            MosquittoTransport.from(userdata)?.published(messageID, code)
        }
        mosquitto_subscribe_v5_callback_set(handle) { _, userdata, _, count, granted, _ in
            let codes = UnsafeBufferPointer(start: granted, count: Int(count))
            MosquittoTransport.from(userdata)?.emit(.subscribed(granted: codes.allSatisfy { $0 < 0x80 }))
        }
        mosquitto_message_v5_callback_set(handle) { _, userdata, message, properties in
            guard let message else { return }
            MosquittoTransport.from(userdata)?.emit(.message(InboundMessage(message.pointee, properties)))
        }
    }

    private static func from(_ userdata: UnsafeMutableRawPointer?) -> MosquittoTransport? {
        userdata.map { Unmanaged<MosquittoTransport>.fromOpaque($0).takeUnretainedValue() }
    }

    private func connected(_ code: Int32) {
        guard code == 0 else {
            reason = .refused(String(cString: mosquitto_reason_string(code)))
            return
        }
        if withShared({ $0.isClosing }) { close() } else { emit(.opened) }
    }

    /// `code` is an MQTT 5 reason if the broker sent DISCONNECT, an error of the library otherwise, and 0 if we did.
    private func disconnected(_ code: Int32) {
        guard reason == nil, code >= 0x80 else { return }
        reason =
            code == Int32(MQTT_RC_SESSION_TAKEN_OVER.rawValue)
            ? .takenOver : .lost(String(cString: mosquitto_reason_string(code)))
    }

    private func published(_ messageID: Int32, _ code: Int32) {
        guard let token = withShared({ $0.tokens.removeValue(forKey: messageID) }) else { return }
        let result: PublicationResult =
            switch code {
            case Int32(MQTT_RC_NO_MATCHING_SUBSCRIBERS.rawValue): .nobodySubscribed
            case 0x80...: .refused(String(cString: mosquitto_reason_string(code)))
            default: .delivered
            }
        emit(.published(token: token, result))
    }
}
