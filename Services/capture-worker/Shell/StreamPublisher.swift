internal import CaptureWorkerCore
internal import Dispatch
internal import Domain
internal import Media
internal import ServiceKit
internal import Synchronization

/// Hands the stream to the media server, on a thread of its own.
///
/// Owns the connection to the media server and the queue before it. Invariants: one connection at a time; the first
/// frame of each is a key frame, the newest one when the server has taken the stream; `offer` never waits, so a server
/// that is slow or hangs costs its viewers frames and nobody else anything: a full queue is emptied and goes on with
/// the next key frame, counted. A change of format is a new connection under the same number. `CapturePipeline` calls
/// it under its own lock; what happens is reported as events of the Core, which decides when it is tried again.
final class StreamPublisher: Sendable {
    /// What waits for the server; some seconds of a fast stream.
    static let bytesMax = 16 * 1024 * 1024
    static let framesMax = 4096
    /// How often the connection is looked at when there is nothing to send.
    static let checkInterval: Duration = .seconds(1)
    /// Between the server's yes and the first frame. A server without a memory for frames, as MediaMTX is, lets the
    /// readers that it held go on only now; what came before their PLAY they would never see, and wait for the next key
    /// frame instead.
    static let readersHeadStart: Duration = .milliseconds(100)

    private let camera: CameraID
    private let address: RTSPAddress?
    private let report: @Sendable (WorkerEvent) -> Void
    private let connection = Mutex<Connection?>(nil)

    init(camera: CameraID, address: RTSPAddress?, report: @escaping @Sendable (WorkerEvent) -> Void) {
        self.camera = camera
        self.address = address
        self.report = report
    }

    /// Frames that viewers did not get since the worker started.
    var dropped: UInt64 { droppedCount.load(ordering: .relaxed) }
    private let droppedCount = Atomic<UInt64>(0)

    /// Connects and sends; `beginning` is the newest group of pictures, so that the first viewer sees one at once.
    func open(run: Int, beginning: [CapturePipeline.Kept]) {
        guard let address else { return report(.publisherFailed(Self.noServer, run: run)) }
        let opened = Connection(run: run)
        for kept in beginning { _ = opened.offer(kept) }
        connection.withLock { connection in
            connection?.end()
            connection = opened
        }
        do throws(CodedError) {
            try BlockingThread.attempt("publisher") { self.publish(opened, address) }
        } catch {
            close()
            report(.publisherFailed(error, run: run))
        }
    }

    func close() {
        connection.withLock { connection in
            connection?.end()
            connection = nil
        }
    }

    /// From the source's thread, for every frame.
    func offer(_ kept: CapturePipeline.Kept) {
        guard let open = connection.withLock({ $0 }) else { return }
        let lost = open.offer(kept)
        if lost > 0 { droppedCount.add(UInt64(lost), ordering: .relaxed) }
    }

    private static let noServer = CodedError(.mediaServerUnavailable, "no media server is configured")

    // MARK: The thread

    private func publish(_ connection: Connection, _ address: RTSPAddress) {
        while let first = connection.firstKeyFrame() {
            do throws(CodedError) {
                try send(first, connection, address)
            } catch {
                guard !connection.isEnded else { return }
                return report(.publisherFailed(error, run: connection.run))
            }
        }
    }

    /// Until the format changes or the connection is told to end.
    private func send(
        _ first: CapturePipeline.Kept, _ connection: Connection, _ address: RTSPAddress
    ) throws(CodedError) {
        let publisher = RTSPPublisher(RTSPPublisher.Settings(address: address, format: first.format))
        guard connection.use(publisher) else { return }
        defer {
            connection.drop()
            publisher.close()
        }
        try publisher.connect()
        report(.publisherConnected(run: connection.run))
        guard !connection.ends(within: Self.readersHeadStart), let beginning = connection.beginning(after: first)
        else { return }
        guard beginning.format === first.format else { return connection.putBack(beginning) }
        try publisher.write(beginning.packet)
        while !connection.isEnded {
            guard let kept = connection.take(within: Self.checkInterval) else {
                try publisher.checkConnection()
                continue
            }
            guard kept.format === first.format else { return connection.putBack(kept) }
            try publisher.write(kept.packet)
        }
    }

    /// The queue before one connection, and the one way to end it.
    private final class Connection: Sendable {
        let run: Int

        private struct Content {
            var frames: [CapturePipeline.Kept] = []
            var head = 0
            var bytes = 0
            /// After an overrun, and at the beginning.
            var awaitsKeyFrame = true
            var isEnded = false
            var publisher: RTSPPublisher?
        }

        private let content = Mutex(Content())
        private let filled = DispatchSemaphore(value: 0)
        private let ended = DispatchSemaphore(value: 0)

        init(run: Int) { self.run = run }

        var isEnded: Bool { content.withLock { $0.isEnded } }

        /// Waits that long, or until it ends.
        func ends(within time: Duration) -> Bool { ended.wait(timeout: .now() + time.seconds) == .success || isEnded }

        /// How many frames were dropped for it.
        func offer(_ kept: CapturePipeline.Kept) -> Int {
            let (lost, isNews) = content.withLock { content -> (Int, Bool) in
                guard !content.isEnded else { return (0, false) }
                let isKey = kept.frame?.isKey ?? false
                if content.awaitsKeyFrame, !isKey { return (kept.frame == nil ? 0 : 1, false) }
                content.awaitsKeyFrame = false
                var lost = 0
                if content.bytes > StreamPublisher.bytesMax
                    || content.frames.count - content.head >= StreamPublisher.framesMax
                {
                    lost = content.frames[content.head...].count { $0.frame != nil }
                    content.frames = []
                    content.head = 0
                    content.bytes = 0
                    content.awaitsKeyFrame = !isKey
                    guard isKey else { return (lost + 1, false) }
                }
                content.frames.append(kept)
                content.bytes += kept.packet.byteCount
                return (lost, true)
            }
            if isNews { filled.signal() }
            return lost
        }

        /// Nil if nothing comes in time or the connection has ended.
        func take(within timeout: Duration) -> CapturePipeline.Kept? {
            let deadline = DispatchTime.now() + timeout.seconds
            while !isEnded {
                if let kept = takeFirst() { return kept }
                // What was taken or dropped without waiting has left its signal.
                guard filled.wait(timeout: deadline) == .success else { return takeFirst() }
            }
            return nil
        }

        private func takeFirst() -> CapturePipeline.Kept? {
            content.withLock { content in
                guard !content.isEnded, content.head < content.frames.count else { return nil }
                let kept = content.frames[content.head]
                content.head += 1
                content.bytes -= kept.packet.byteCount
                if content.head == content.frames.count || content.head >= 256 {
                    content.frames.removeFirst(content.head)
                    content.head = 0
                }
                return kept
            }
        }

        /// The frame that a new format begins with.
        func putBack(_ kept: CapturePipeline.Kept) {
            content.withLock { content in
                content.frames.insert(kept, at: content.head)
                content.bytes += kept.packet.byteCount
            }
        }

        /// What cannot begin a stream is passed over; nil when the connection has ended.
        func firstKeyFrame() -> CapturePipeline.Kept? {
            while !isEnded {
                if let kept = take(within: StreamPublisher.checkInterval), kept.frame?.isKey == true { return kept }
            }
            return nil
        }

        /// What to send first, seconds after `first` where the server took its time: whoever is sent all that has come
        /// since stays behind by as much. Nil when the connection has ended.
        func beginning(after first: CapturePipeline.Kept) -> CapturePipeline.Kept? {
            if let newest = takeNewestKeyFrame() { return newest }
            // After an overrun, what followed the first one is lost.
            return content.withLock { $0.awaitsKeyFrame } ? firstKeyFrame() : first
        }

        /// Drops what lies before it, on all tracks; nil if no key frame waits.
        private func takeNewestKeyFrame() -> CapturePipeline.Kept? {
            content.withLock { content in
                let waiting = content.frames[content.head...]
                guard let newest = waiting.lastIndex(where: { $0.frame?.isKey == true }) else { return nil }
                let kept = content.frames[newest]
                content.bytes -= waiting[...newest].reduce(0) { $0 + $1.packet.byteCount }
                content.frames.removeFirst(newest + 1)
                content.head = 0
                return kept
            }
        }

        /// False if the connection has ended.
        func use(_ publisher: RTSPPublisher) -> Bool {
            content.withLock { content in
                guard !content.isEnded else { return false }
                content.publisher = publisher
                return true
            }
        }

        func drop() { content.withLock { $0.publisher = nil } }

        func end() {
            let publisher = content.withLock { content in
                content.isEnded = true
                content.frames = []
                content.head = 0
                return content.publisher
            }
            publisher?.interrupt()
            filled.signal()
            ended.signal()
        }
    }
}
