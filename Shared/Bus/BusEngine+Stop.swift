internal import BusContract
internal import Dispatch
internal import Domain

/// How far `stop` has come.
struct StopProgress {
    enum Stage { case draining, leaving, closing, done }
    var stage = Stage.draining
    var waiters: [CheckedContinuation<Void, Never>] = []
}

/// The orderly end: drain, say `offline`, disconnect. Each stage has its deadline.
extension BusEngine {
    func stop() async {
        await withCheckedContinuation { continuation in
            queue.async { self.beginStop(continuation) }
        }
    }

    private func beginStop(_ waiter: CheckedContinuation<Void, Never>) {
        guard stopping == nil else {
            if stopping?.stage == .done { waiter.resume() } else { stopping?.waiters.append(waiter) }
            return
        }
        stopping = StopProgress(waiters: [waiter])
        queue.asyncAfter(deadline: .now() + BusClient.stopSecondsMax) { self.leave() }
        continueStop()
    }

    /// Looks whether the present stage is over; called after everything that could end one.
    func continueStop() {
        switch stopping?.stage {
        case .draining?:
            let isDrained = eventsAreDone && (unacknowledged.isEmpty || !main.isOpen)
            if isDrained { leave() }
        case .leaving?:
            if unacknowledged.isEmpty || !links.contains(where: \.isOpen) { closeLinks() }
        case .closing?:
            let isClosed = links.allSatisfy { $0.phase == .idle || $0.phase == .fenced }
            if isClosed { finishStop() }
        case .done?, nil: break
        }
    }

    /// Says `offline` and waits for the broker's word: it takes a connection that ends before it could answer for lost,
    /// and sends the will behind the farewell.
    private func leave() {
        guard stopping?.stage == .draining else { return }
        stopping?.stage = .leaving
        // What is not acknowledged by now has had its time.
        unacknowledged.removeAll()
        for link in links where link.isOpen && link.presence != nil {
            link.publishPresence(isOnline: false, token: awaited())
        }
        queue.asyncAfter(deadline: .now() + Self.closeSecondsMax) { self.closeLinks() }
        continueStop()
    }

    private func closeLinks() {
        guard stopping?.stage == .leaving else { return }
        stopping?.stage = .closing
        for link in links { link.close() }
        queue.asyncAfter(deadline: .now() + Self.closeSecondsMax) { self.finishStop() }
        continueStop()
    }

    /// How long the broker may take to answer the farewell, and then to end a connection.
    private static let closeSecondsMax = 1.0

    private func finishStop() {
        guard stopping?.stage == .closing else { return }
        for link in links { link.abandon() }
        inputs.finish()
        let waiters = stopping?.waiters ?? []
        stopping = StopProgress(stage: .done)
        for waiter in waiters { waiter.resume() }
    }
}
