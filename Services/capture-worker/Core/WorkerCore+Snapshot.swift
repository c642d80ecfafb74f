internal import BusContract
internal import Domain

/// Snapshots: from the newest picture of a stream that runs, from the first one of a stream that is started for it.
extension WorkerCore {
    mutating func takeSnapshot(
        _ wish: SnapshotCommand, token: CommandToken, at now: Now
    ) -> [WorkerEffect] {
        guard snapshots.count < SnapshotQueue.waitingMax else {
            return [.refuse(token, CodedError(.conflict, "\(SnapshotQueue.waitingMax) snapshots are wanted already"))]
        }
        let attempt: [WorkerEffect]
        do {
            attempt = try takeLease(.snapshot, holder: .manual, duration: nil, at: now)
        } catch {
            return [.refuse(token, error)]
        }
        snapshots.add(
            SnapshotQueue.Request(
                token: token, wish: wish, since: now.monotonic,
                deadline: now.monotonic + settings.policies.snapshot.startTimeout))
        return attempt
    }

    /// Begins what can begin, and ends the lease when nothing is left to do.
    mutating func settleSnapshots(at now: Now) -> [WorkerEffect] {
        var effects = snapshots.expire(at: now.monotonic).map { WorkerEffect.refuse($0.token, snapshotRefusal) }
        if case .failed(_, nil) = stream.state {
            effects += snapshots.giveUpWaiting().map { .refuse($0.token, snapshotRefusal) }
        }
        if stream.isDelivering, let job = snapshots.begin(at: now.monotonic) {
            effects.append(.takeSnapshot(job: job.number, job.wishes))
        }
        if snapshots.isEmpty, leases.release(.snapshot, holder: nil) { leaseEnded(.snapshot, at: now.monotonic) }
        return effects
    }

    mutating func snapshotTaken(
        job: Int, _ outcome: Result<[SnapshotFacts], CodedError>, at now: Now
    ) -> [WorkerEffect] {
        let requests = snapshots.end(job)
        switch outcome {
        case .failure(let error): return requests.map { .refuse($0.token, error) }
        case .success(let pictures):
            var effects: [WorkerEffect] = []
            for picture in pictures {
                let served = requests.filter { $0.wish == picture.wish }
                for request in served {
                    let state = picture.state(tookSeconds: (now.monotonic - request.since).publishedSeconds)
                    effects.append(.reply(request.token, .snapshot(SnapshotResult(camera: settings.camera, state))))
                }
                let since = served.map(\.since).min() ?? now.monotonic
                effects.append(
                    .publishSnapshot(picture.state(tookSeconds: (now.monotonic - since).publishedSeconds)))
            }
            return effects
        }
    }

    private var snapshotRefusal: CodedError {
        guard case .failed(let error, _) = stream.state else {
            return CodedError(.sourceUnavailable, "no picture came in time")
        }
        return CodedError(.sourceUnavailable, "the source gives no picture", cause: error.description)
    }
}

extension SnapshotFacts {
    fileprivate func state(tookSeconds: Double) -> SnapshotState {
        SnapshotState(
            file: file, capturedAt: capturedAt, width: width, height: height, bytes: bytes, imageBytes: imageBytes,
            tookSeconds: tookSeconds)
    }
}
