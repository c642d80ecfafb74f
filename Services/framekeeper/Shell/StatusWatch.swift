internal import Bus
internal import ClusterConfig
internal import Domain
internal import FramekeeperCore
internal import ServiceKit

/// `framekeeper status --watch`: the table of the cluster, drawn again in its place whenever something has changed.
/// Where nobody looks, one JSON document or one table per change.
struct StatusWatch {
    let configuration: ClusterConfiguration
    let json: Bool

    /// Changes that come together are one.
    static let pause: Duration = .milliseconds(200)
    /// Ages grow without a change.
    static let tick: Duration = .seconds(1)

    private enum Input: Sendable {
        case bus(BusInput)
        case due
        case ticked
    }

    /// Until somebody ends it.
    func run() async throws(CommandFailure) -> ServiceExit {
        let (visit, inputs) = try await BusVisit.begin(configuration, subscriptions: StatusCommand.subscriptions)
        let shutdown = Shutdown()
        await ProcessSignals.watch(shutdown, supervised: false)
        let terminal = Terminal()
        let (queue, feed) = AsyncStream.makeStream(of: Input.self)
        let tasks = [
            Task {
                var inputs = inputs
                while let input = await inputs.next() { feed.yield(.bus(input)) }
                feed.finish()
            },
            Task {
                await shutdown.wait()
                await visit.end()
                feed.finish()
            },
            Task { [isLive = terminal.isTerminal && !json] in
                while isLive, (try? await Task.sleep(for: Self.tick)) != nil { feed.yield(.ticked) }
            },
        ]
        defer { for task in tasks { task.cancel() } }
        // The screen is wiped once; then each line is overwritten where it stands. The cursor would only blink there.
        if terminal.isTerminal, !json { terminal.print("\u{1B}[?25l\u{1B}[2J", end: "") }
        defer { if terminal.isTerminal, !json { terminal.print("\u{1B}[?25h", end: "") } }
        visit.sendMarker()
        try await show(queue, feed, own: visit.ownTopic, terminal)
        await visit.end()
        return .done
    }

    private func show(
        _ queue: AsyncStream<Input>, _ feed: AsyncStream<Input>.Continuation, own: String, _ terminal: Terminal
    ) async throws(CommandFailure) {
        var board = StatusBoard()
        for camera in configuration.cameras { board.expect(camera.id) }
        var drawn: StatusBoard?
        var isComplete = false
        var isDue = false
        var isAway = false
        for await input in queue {
            switch input {
            case .bus(.message(let message)):
                isComplete = isComplete || message.topic == own
                board.take(message)
            case .bus(.disconnected): isAway = true
            case .bus(.connected): isAway = false
            case .bus(.outboxOverflowed): break
            case .ticked: drawn = nil
            case .due: isDue = false
            }
            guard isComplete, !isDue, drawn != board else { continue }
            try draw(board, isAway: isAway, terminal)
            drawn = board
            isDue = true
            Task {
                // Cut short, it is due a little sooner.
                try? await Task.sleep(for: Self.pause)
                feed.yield(.due)
            }
        }
    }

    private func draw(_ board: StatusBoard, isAway: Bool, _ terminal: Terminal) throws(CommandFailure) {
        if json { return try terminal.print(json: board) }
        let now = ServiceClock.now().wall
        let table = board.lines(now: now, width: terminal.size?.columns, paint: terminal.painted)
        guard terminal.isTerminal else {
            for line in table + [""] { terminal.print(line) }
            return
        }
        let head =
            isAway
            ? terminal.coloured("the broker is away; this is what was known", .red)
            : "\(now.rfc3339)  Ctrl-C ends"
        terminal.redraw([head, ""] + table)
    }
}
