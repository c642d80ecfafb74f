internal import Domain

/// Which way a worker takes to the camera's pictures.
///
/// Of a camera that the media server reads, there are two. Invariants: what fails once it has given pictures is left at
/// once for the other way; a start is tried at the media server again where that costs little: a second time if it is
/// there, and a few times while nobody has said anything of it, for it may be starting itself. Whoever took the camera
/// for want of the media server owes the return once that is back, since a camera may have but one connection to give
/// and viewers depend on the media server's; a return that fails is owed again after a pause that grows. `WorkerCore`
/// says what happens, and returns when that costs no recording a frame. Any other camera has one way, and nothing
/// changes it.
struct SourceWay: Hashable, Sendable {
    /// A start that fails within this part of its time leaves enough of it for the camera's own.
    static let soonDivisor = 4
    /// At a media server of which nothing is known; they take two seconds in all.
    static let triesMax = 4

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
    private var triesLeft = 0
    /// Attempts at a media server that was there, and gave nothing; and until when there is none for their sake.
    private var refusals = 0
    private var refusedUntil: MonotonicTime?

    /// While it is tried, nothing comes of the camera.
    static let returnPause = Backoff(first: .seconds(600), most: .seconds(7200), jitter: 0)

    init(isOfMediaServer: Bool) {
        self.isOfMediaServer = isOfMediaServer
        route = isOfMediaServer ? .mediaServer : .camera
    }

    /// A stream starts. What failed the last time may have come back since.
    mutating func begin() {
        route = isOfMediaServer ? .mediaServer : .camera
        triesLeft = isOfMediaServer ? Self.triesMax - 1 : 0
        isReturnDue = false
    }

    /// What the media server does not give, the camera may, and the other way round.
    /// - Parameter isSoon: it failed to start, with most of the time for that left.
    mutating func failed(isSoon: Bool, at now: MonotonicTime) {
        guard isOfMediaServer else { return }
        let triesAgain = triesLeft > 0 && isSoon && server != .away
        triesLeft = triesAgain && server == .unknown ? triesLeft - 1 : 0
        if triesAgain { return }
        if server == .there, route == .mediaServer {
            refusals += 1
            refusedUntil = now + Self.returnPause.delay(attempt: refusals, chance: 0.5)
        }
        route = route == .mediaServer ? .camera : .mediaServer
        isReturnDue = false
    }

    /// - Parameter isThere: it answers, and has the camera's path.
    mutating func serverReported(isThere: Bool) {
        let wasThere = server == .there
        server = isThere ? .there : .away
        if isThere != wasThere {
            isReturnDue = isThere && isTaken
            (refusals, refusedUntil) = (0, nil)
        }
    }

    /// The media server has given pictures.
    mutating func delivered() {
        if route == .mediaServer { (refusals, refusedUntil) = (0, nil) }
    }

    /// A return that failed while it was owed is tried again.
    mutating func recordingEnded(at now: MonotonicTime) {
        if server == .there, isTaken, refusedUntil.map({ $0 <= now }) ?? true { isReturnDue = true }
    }

    private var isTaken: Bool { isOfMediaServer && route == .camera }
}
