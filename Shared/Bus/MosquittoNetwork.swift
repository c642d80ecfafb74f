internal import CMosquitto

/// Makes connections to a real broker with libmosquitto.
package struct MosquittoNetwork: BusNetwork {
    private let settings: BusSettings

    /// `mosquitto_lib_init` is not thread safe and wanted once per process; a static is both.
    private static let initialised = mosquitto_lib_init()

    package init(settings: BusSettings) { self.settings = settings }

    package func makeTransport() -> any BusTransport {
        _ = Self.initialised
        return MosquittoTransport(settings: settings)
    }
}
