internal import BusContract
internal import Domain

/// What the server answers, and what follows from it.
extension MediaServerCore {
    // MARK: Looks

    mutating func looked(
        _ result: Result<MediaServerLook, MediaServerFailure>, at now: MonotonicTime
    ) -> [MediaServerEffect] {
        guard case .looking(let depth)? = operation else { return [] }
        operation = nil
        lookedAt = now
        switch result {
        case .failure(let failure): return failed(failure, at: now)
        case .success(let look): return succeeded(look, depth, at: now)
        }
    }

    private mutating func succeeded(
        _ look: MediaServerLook, _ depth: LookDepth, at now: MonotonicTime
    ) -> [MediaServerEffect] {
        var effects: [MediaServerEffect] = []
        let isOther = started != look.started
        if failure != nil || started == nil {
            effects.append(.note(.reached(version: look.version)))
        } else if isOther {
            effects.append(.note(.restarted))
        }
        if isOther || failure != nil { book.forget() }
        if isOther { demand.serverIsAnother(at: now) }
        // A look at the traffic alone that finds another process, or an old one back, is only the beginning.
        wantsEverything = (wantsEverything || isOther || failure != nil) && depth == .traffic
        breaker.succeeded()
        failure = nil
        refusedSince = nil
        version = look.version
        started = look.started
        traffic = look.traffic
        count(look.readers)
        // Who has begun since the look did may not be in it.
        isCountFresh = arrivals.isEmpty
        if book.lacks(in: look.traffic) { wantsEverything = true }
        if let standings = look.standings {
            book.read(standings, at: now)
            readAt = now
            wantsEverything = false
            if book.isAllEqual { rejectedSince = nil }
            if mode == .static, rejectedSince == nil {
                mode = .api
                fileAt = nil
                fileError = nil
                fileKept = []
                effects.append(.note(.mode(.api)))
            }
        }
        effects += demand.counted(look.traffic, at: now).map(MediaServerEffect.init)
        effects += answerAskers()
        lookAt = now + pause
        return effects
    }

    /// Those who were not there before; and one who was, and only now can take any frame: it was counted when it was
    /// set up, and has missed the key frame that it was given then.
    private mutating func count(_ present: [String: Set<String>]) {
        for (name, readers) in present where wish?.paths[name] != nil {
            let newcomers = readers.subtracting(self.readers[name] ?? []).count
            let hasBegun = arrivalsInLook.contains { $0.rawValue == name }
            readersTotal[name, default: 0] += UInt64(newcomers > 0 ? newcomers : hasBegun ? 1 : 0)
        }
        readers = present
        arrivalsInLook = []
        for name in traffic.keys where wish?.paths[name] != nil {
            traffic[name]?.readersTotal = readersTotal[name] ?? 0
        }
    }

    /// Until the next look.
    private var pause: Duration {
        if wantsEverything || book.isSettling { return PathBook.settlePause }
        let isBusy = demand.isAnyoneThere || traffic.contains { $0.value.ready && wish?.paths[$0.key] != nil }
        return isBusy ? Self.busyPeriod : Self.idlePeriod
    }

    private mutating func answerAskers() -> [MediaServerEffect] {
        defer { askersInLook = [] }
        let known = ownTraffic
        return askersInLook.map { asker in
            let wanted = asker.camera.map { camera in known.filter { $0.key == camera.rawValue } } ?? known
            return .reply(asker.token, MediaServerResult(node: node, paths: wanted))
        }
    }

    /// Of this node's cameras; other paths are nobody's business on the bus.
    var ownTraffic: [String: MediaServerState.Path] { traffic.filter { wish?.paths[$0.key] != nil } }

    // MARK: Failures

    private mutating func failed(_ failure: MediaServerFailure, at now: MonotonicTime) -> [MediaServerEffect] {
        let isNew = self.failure?.error != failure.error
        self.failure = failure
        refusedSince = refusedSince ?? now
        breaker.failed(failure.kind, at: now, chance: chance.unit())
        lookAt = now
        wantsEverything = true
        (traffic, readers, arrivalsInLook) = ([:], [:], [])
        return (isNew ? [.note(.lost(failure.error))] : []) + refuseAskers(failure.error)
    }

    // MARK: Changes

    mutating func changed(
        _ change: PathChange, _ failure: MediaServerFailure?, at now: MonotonicTime
    ) -> [MediaServerEffect] {
        guard operation == .changing else { return [] }
        operation = nil
        guard let failure else {
            breaker.succeeded()
            book.accepted(change, at: now)
            rejectedSince = nil
            wantsEverything = true
            lookAt = min(lookAt ?? now, now + PathBook.settlePause)
            return []
        }
        guard failure.kind == .rejected else { return failed(failure, at: now) }
        breaker.succeeded()
        let before = book.rejection
        book.rejected(change, failure.error, at: now)
        // A path that is bad itself would be the server's end in its file; the file only helps against foreign poison.
        rejectedSince = book.isPoisonedElsewhere ? rejectedSince ?? now : nil
        guard before != failure.error, change != .nothing else { return [] }
        return [.note(.rejected(change.name, failure.error))]
    }

    // MARK: The server's own file

    /// When the paths go into the file, if nothing gets better.
    var fallBackAt: MonotonicTime? {
        guard wish?.hasFile == true, mode == .api else { return nil }
        let refused = refusedSince.map { since in
            since + (failure?.kind == .denied ? Self.deniedMax : Self.awayMax)
        }
        return [refused, rejectedSince.map { $0 + Self.awayMax }].compactMap { $0 }.min()
    }

    mutating func fallBack(at now: MonotonicTime) -> [MediaServerEffect] {
        var effects: [MediaServerEffect] = []
        if let due = fallBackAt, due <= now {
            isRereading = rejectedSince.map { $0 + Self.awayMax <= now } ?? false
            mode = .static
            fileAt = now
            // Reading the file again also frees the server of a refused change that stayed behind.
            rejectedSince = nil
            effects.append(.note(.mode(.static)))
        }
        guard mode == .static, !isWriting, let fileAt, fileAt <= now else { return effects }
        isWriting = true
        self.fileAt = nil
        let used = (wish?.paths ?? [:]).filter { demand.isLeased($0.value.camera) || isUsed($0.key, $0.value, at: now) }
        return effects + [.writeFile(keeping: Set(used.keys), refused: book.refused, rereads: isRereading)]
    }

    mutating func fileWritten(_ result: Result<FileOutcome, CodedError>, at now: MonotonicTime) -> [MediaServerEffect] {
        isWriting = false
        if mode == .static { fileAt = now + Self.filePeriod }
        switch result {
        case .failure(let error):
            let isNew = fileError != error
            fileError = error
            return isNew ? [.note(.fileFailed(error))] : []
        case .success(let outcome):
            fileError = nil
            fileKept = outcome.kept
            if isRereading { book.reread() }
            isRereading = false
            if outcome.isWritten { wantsEverything = true }
            return []
        }
    }

    // MARK: What is published

    var state: MediaServerState {
        let isReachable = breaker.isClosed && failure == nil && lookedAt != nil
        let error = failure?.error ?? book.rejection ?? fileError
        return MediaServerState(
            reachable: isReachable, breaker: breaker.published, mode: mode, version: version,
            paths: isReachable ? ownTraffic : [:], waiting: book.waiting.union(fileKept).sorted(),
            error: (fileError ?? error).map(PublishedError.init))
    }

    /// On change; a change of nothing but byte counts can wait.
    mutating func publish(at now: MonotonicTime) -> [MediaServerEffect] {
        guard lookedAt != nil else { return [] }
        let state = state
        guard state != published else { return [] }
        let isOnlyBytes = published.map { $0.withoutBytes == state.withoutBytes } ?? false
        if isOnlyBytes, let publishedAt, publishedAt + Self.bytesPeriod > now { return [] }
        published = state
        publishedAt = now
        return [.publish(state)]
    }
}

extension MediaServerState {
    fileprivate var withoutBytes: MediaServerState {
        var state = self
        for name in paths.keys { state.paths[name]?.bytes = 0 }
        return state
    }
}
