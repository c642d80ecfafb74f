/// Which way a worker takes to the camera's pictures.
///
/// Of a camera that the media server reads, there are two. Invariants: what fails once it has given pictures is left at
/// once for the other way; a start is tried at the media server a second time, where that costs little and nobody has
/// said that it is away, for it may be starting itself; whoever took the camera for want of the media server owes the
/// return once that is back, since a camera may have but one connection to give and viewers depend on the media
/// server's. `WorkerCore` says what happens, and returns when that costs no recording a frame. Any other camera has one
/// way, and nothing changes it.
struct SourceWay: Hashable, Sendable {
    /// A start that fails within this part of its time leaves enough of it for two more attempts.
    static let soonDivisor = 4

    private enum Server: Hashable {
        /// Nobody has said.
        case unknown
        /// Or without the camera's path.
        case away
        case there
    }

    private(set) var route: SourceRoute
    /// The camera has been taken, and the media server is there.
    private(set) var isReturnDue = false
    private let isOfMediaServer: Bool
    private var server = Server.unknown
    private var mayTryAgain = false

    init(isOfMediaServer: Bool) {
        self.isOfMediaServer = isOfMediaServer
        route = isOfMediaServer ? .mediaServer : .camera
    }

    /// A stream starts. What failed the last time may have come back since.
    mutating func begin() {
        route = isOfMediaServer ? .mediaServer : .camera
        mayTryAgain = isOfMediaServer
        isReturnDue = false
    }

    /// What the media server does not give, the camera may, and the other way round.
    /// - Parameter isSoon: it failed to start, with most of the time for that left.
    mutating func failed(isSoon: Bool) {
        guard isOfMediaServer else { return }
        let triesAgain = mayTryAgain && isSoon && server != .away
        mayTryAgain = false
        if triesAgain { return }
        route = route == .mediaServer ? .camera : .mediaServer
        isReturnDue = false
    }

    /// - Parameter isThere: it answers, and has the camera's path.
    mutating func serverReported(isThere: Bool) {
        let wasThere = server == .there
        server = isThere ? .there : .away
        if isThere != wasThere { isReturnDue = isThere && isTaken }
    }

    /// A return that failed while it was owed is tried again.
    mutating func recordingEnded() {
        if server == .there, isTaken { isReturnDue = true }
    }

    private var isTaken: Bool { isOfMediaServer && route == .camera }
}
