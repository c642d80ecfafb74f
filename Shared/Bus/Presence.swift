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
    }

    /// Below the root.
    package let topic: String
    package let payload: @Sendable (_ isOnline: Bool, Stamp) throws(CodedError) -> [UInt8]

    /// Whether a payload on the topic says `offline`, in whosever name.
    package let isOffline: @Sendable ([UInt8]) -> Bool

    package init<M: BusMessage>(
        _ type: M.Type, at address: M.Address, isOffline: @escaping @Sendable (M) -> Bool,
        message: @escaping @Sendable (_ isOnline: Bool, Stamp) -> M
    ) {
        topic = M.topic(for: address)
        payload = { isOnline, stamp throws(CodedError) in
            try BusCodec.encode(message(isOnline, stamp), at: stamp.at, seq: stamp.seq)
        }
        self.isOffline = { bytes in
            do throws(CodedError) {
                return isOffline(try BusCodec.decode(type, from: bytes).message)
            } catch {
                // Not a presence at all, so it should be replaced by one.
                return true
            }
        }
    }

    /// `cameras/<camera>/availability`.
    package static func availability(_ camera: CameraID) -> Presence {
        Presence(
            CameraAvailability.self, at: camera, isOffline: { $0 == .offline },
            message: { isOnline, _ in isOnline ? .online : .offline })
    }

    /// `services/<service>/<instance>`.
    package static func service(
        _ address: ServiceAddress, version: String, node: NodeID, pid: Int32, startedAt: WallTime
    ) -> Presence {
        Presence(
            ServiceState.self, at: address, isOffline: { $0.state == .offline },
            message: { isOnline, stamp in
                ServiceState(
                    state: isOnline ? .online : .offline, version: version, node: node, pid: pid, startedAt: startedAt,
                    session: stamp.session)
            })
    }
}
