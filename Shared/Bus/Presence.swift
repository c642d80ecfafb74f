package import BusContract
package import Domain

/// What one connection says of its owner: the birth that is published after every connect, the same in `offline`
/// form as the connection's last will, and how to tell that somebody else's word stands in its place.
package struct Presence: Sendable {
    /// What the payloads of one connection have in common.
    package struct Stamp: Sendable, Hashable {
        /// Random per connection.
        package var session: String
        package var at: WallTime
        package var seq: UInt64
        /// Said by the owner itself before it ends, where the will says the rest.
        package var isFarewell = false
    }

    /// Below the root.
    package let topic: String
    package let payload: @Sendable (_ isOnline: Bool, Stamp) throws(CodedError) -> [UInt8]

    /// Whether the payload tells one connection from another.
    package let namesSession: Bool
    /// Whether a payload on the topic says `offline`, in whosever name.
    package let isOffline: @Sendable ([UInt8]) -> Bool

    /// A connection that is said to be `online`, and when it said so.
    package struct Owner: Sendable, Hashable {
        package var session: String
        package var at: WallTime
    }

    /// Whom a payload says `online` for; nil if it is `offline` or names no session.
    package let owner: @Sendable ([UInt8]) -> Owner?

    package init<M: BusMessage>(
        _ type: M.Type, at address: M.Address, isOffline: @escaping @Sendable (M) -> Bool,
        session: @escaping @Sendable (M) -> String?,
        message: @escaping @Sendable (_ isOnline: Bool, Stamp) -> M
    ) {
        topic = M.topic(for: address)
        namesSession = M.format == .json
        payload = { isOnline, stamp throws(CodedError) in
            try BusCodec.encode(message(isOnline, stamp), at: stamp.at, seq: stamp.seq)
        }
        let read: @Sendable ([UInt8]) -> Stamped<M>? = { bytes in
            do throws(CodedError) {
                return try BusCodec.decode(type, from: bytes)
            } catch {
                return nil
            }
        }
        // What is not a presence at all should be replaced by one.
        self.isOffline = { read($0).map { isOffline($0.message) } ?? true }
        owner = { bytes in
            guard let told = read(bytes), !isOffline(told.message), let session = session(told.message) else {
                return nil
            }
            return Owner(session: session, at: told.at)
        }
    }

    /// `cameras/<camera>/availability`.
    package static func availability(_ camera: CameraID) -> Presence {
        Presence(
            CameraAvailability.self, at: camera, isOffline: { $0 == .offline }, session: { _ in nil },
            message: { isOnline, _ in isOnline ? .online : .offline })
    }

    /// `services/<service>/<instance>`.
    package static func service(
        _ address: ServiceAddress, version: String, node: NodeID, pid: Int32, startedAt: WallTime
    ) -> Presence {
        Presence(
            ServiceState.self, at: address, isOffline: { $0.state == .offline }, session: { $0.session },
            message: { isOnline, stamp in
                ServiceState(
                    state: isOnline ? .online : .offline, version: version, node: node, pid: pid,
                    startedAt: startedAt, session: stamp.session, orderly: stamp.isFarewell ? true : nil)
            })
    }
}
