internal import BusContract
package import Domain

/// Decides which text of the configuration is in force on a node, as a pure value: event and time in, effects out.
///
/// Owns the revision in force, the one that waits, and what is wrong with the file. Invariants: a text that does not
/// load is never in force; numbers grow by one with every wish that differs from the last; a recording is never
/// interrupted without `now`; the newest wish that loads is the one in force or the one that waits; what was said to be
/// in force is on the disk.
///
/// A revision is put in force as a whole or not at all: while one camera's recording would be interrupted, the changes
/// to idle cameras wait too. Half of a file would be a configuration that nobody wrote. What waits is said with the
/// cameras that it waits for; `now` does not wait. Who records is the `RecordingBook`'s to say. A change of the broker,
/// the state folder or the node's name waits until the node is started anew, `now` or not: its processes could not find
/// each other in between.
///
/// Without a supervisor nobody starts processes anew because of a revision, so nothing is interrupted and nothing
/// waits: they follow at their next start. Called by the Shell's one loop. Texts, files and sockets do not belong here.
package struct ConfigCore: Hashable, Sendable {
    /// Between attempts to write what the disk refused.
    package static let retryAfter: Duration = .seconds(5)
    /// Replies that wait for the disk at once; more commands are refused with `conflict`.
    package static let askersMax = 64

    package enum Setting: Hashable, Sendable {
        /// Before the node's processes run; nothing can be interrupted.
        case starting
        /// Somebody starts processes anew when their settings change.
        case supervised
        case alone
    }

    struct Waiting: Hashable, Sendable {
        var revision: ConfigRevision
        var now: Bool
    }

    let node: NodeID
    let setting: Setting
    package internal(set) var inForce: ConfigRevision?
    var waiting: Waiting?
    /// Being written to the disk.
    var activating: Waiting?
    var retryAt: MonotonicTime?
    var diskError: CodedError?
    var last = 0
    /// The file has been looked at; before that nobody knows the newest wish.
    private var hasLooked = false
    var fileSeen: ConfigText?
    /// Of the file as it was read last, unless a wish came after it.
    var faults: [String] = []
    private var recordings = RecordingBook()
    /// Asked for and not yet come.
    private var wakeAt: MonotonicTime?
    /// Whose reply waits for which revision.
    private var askers: [CommandToken: Int] = [:]
    private var published: ConfigState?

    package init(node: NodeID, setting: Setting) {
        self.node = node
        self.setting = setting
    }

    /// What the Shell must keep at hand.
    package var texts: Set<ConfigText> {
        Set([inForce?.text, waiting?.revision.text, activating?.revision.text].compactMap { $0 })
    }

    /// The revision that is wanted: in force unless it waits.
    var wanted: ConfigRevision? { waiting?.revision ?? activating?.revision ?? inForce }

    package mutating func handle(_ event: ConfigEvent, at now: Now) -> [ConfigEffect] {
        recordings.passed(to: now.monotonic)
        var effects: [ConfigEffect] = []
        switch event {
        case .started(let memory): effects = started(memory)
        case .fileRead(let reading): effects = fileRead(reading, at: now)
        case .commanded(let wish, let token): effects = commanded(wish, token, at: now)
        case .asked(let reading, let token): effects = [.reply(token, result(for: reading))]
        case .busConnected, .busLost: recordings.busLost()
        case .statesKnown: recordings.statesKnown()
        case .recordingReported(let camera, let word, let number):
            if isFollowed(camera) { recordings.reported(camera, word, number: number) }
        case .workerReported(let camera, let isOnline):
            if isFollowed(camera) { recordings.workerReported(camera, isOnline: isOnline) }
        case .activated(let number, let error): effects = activated(number, error, at: now)
        case .fileWritten(let text, let error): effects = fileWritten(text, error)
        case .woke:
            if let retryAt, now.monotonic >= retryAt { self.retryAt = nil }
            wakeAt = nil
        }
        effects += advance()
        return effects + publish() + wake()
    }

    /// The bus names other nodes' cameras as well, and this node's of tomorrow.
    private func isFollowed(_ camera: CameraID) -> Bool {
        inForce?.facts.workers[camera] != nil || recordings.hasRoom
    }

    /// For the disk, or for the end of a doubt that holds a revision up.
    private mutating func wake() -> [ConfigEffect] {
        let moment = [retryAt, recordings.nextMoment(of: waitsFor)].compactMap { $0 }.min()
        guard moment != wakeAt else { return [] }
        wakeAt = moment
        return [.wake(moment)]
    }

    // MARK: What was

    private mutating func started(_ memory: ConfigMemory) -> [ConfigEffect] {
        inForce = memory.inForce
        last = max(memory.last, memory.inForce?.number ?? 0, memory.pending?.number ?? 0)
        fileSeen = memory.fileSeen
        if let pending = memory.pending { waiting = Waiting(revision: pending, now: false) }
        return inForce.map { [.publishCameras($0.number)] } ?? []
    }

    // MARK: Wishes

    /// The file counts as a wish when it holds something else than at the last look; or the same, and a secret in it
    /// has changed.
    private mutating func fileRead(_ reading: ConfigReading, at now: Now) -> [ConfigEffect] {
        hasLooked = true
        switch reading.outcome {
        case .invalid(let errors):
            faults = errors
            // The same text is news again when a secret that it lacked has come.
            fileSeen = nil
            return [.recordRefused(reading.text)]
        case .valid(let facts):
            let isNews = reading.text != fileSeen
            fileSeen = reading.text
            faults = []
            let seen: [ConfigEffect] = isNews ? [.rememberFileSeen(reading.text)] : []
            let hasNewSecrets = wanted.map { $0.text == reading.text && !$0.says(reading.text, facts) } ?? true
            guard isNews || hasNewSecrets else { return [] }
            return wish(reading.text, facts, ConfigWish(reading, origin: .file), at: now) + seen
        }
    }

    private mutating func commanded(
        _ wish: ConfigWish, _ token: CommandToken, at now: Now
    ) -> [ConfigEffect] {
        guard askers.count < Self.askersMax else {
            return [.refuse(token, CodedError(.conflict, "too many changes wait for the disk; try again"), nil)]
        }
        switch wish.reading.outcome {
        case .invalid(let errors):
            let more = errors.count > 1 ? " (and \(errors.count - 1) more)" : ""
            let error = CodedError(.invalidArgument, (errors.first ?? "the text does not load") + more)
            var effects: [ConfigEffect] = [.refuse(token, error, result(for: wish.reading))]
            if wish.origin == .file { effects += fileRead(wish.reading, at: now) }
            return effects
        case .valid(let facts):
            faults = []
            var effects = self.wish(wish.reading.text, facts, wish, at: now)
            if wish.origin == .file {
                if fileSeen != wish.reading.text { effects.append(.rememberFileSeen(wish.reading.text)) }
                fileSeen = wish.reading.text
            } else if fileSeen != wish.reading.text {
                effects.append(.writeFile(wish.reading.text))
            }
            askers[token] = wanted?.number ?? last
            return effects
        }
    }

    /// Takes a text that loads as the newest wish.
    private mutating func wish(
        _ text: ConfigText, _ facts: ConfigFacts, _ wish: ConfigWish, at now: Now
    ) -> [ConfigEffect] {
        if let present = wanted, present.says(text, facts) {
            if wish.now { waiting?.now = true }
            return []
        }
        diskError = nil
        retryAt = nil
        var effects: [ConfigEffect] = []
        if let waiting {
            effects.append(.markSuperseded(waiting.revision.number))
            self.waiting = nil
        }
        // Back to what is in force: then there is nothing to do.
        if activating == nil, let inForce, inForce.says(text, facts) { return effects }
        last += 1
        let revision = ConfigRevision(number: last, text: text, facts: facts, at: now.wall)
        waiting = Waiting(revision: revision, now: wish.now)
        return effects + [.record(last, text, wish.origin, wish.note)]
    }

    // MARK: Putting in force

    /// Cameras whose recording the waiting revision would interrupt. Without the bus nobody can tell, so every camera
    /// that it concerns counts.
    var waitsFor: [CameraID] {
        guard setting == .supervised, let waiting, !waiting.now, let inForce else { return [] }
        return inForce.facts.workers.filter { camera, print in
            waiting.revision.facts.workers[camera] != print && recordings.mayRecord(camera)
        }.keys.sorted()
    }

    /// Only a start of the whole node can bring it in force.
    var needsStart: Bool {
        guard setting == .supervised, let waiting, let inForce else { return false }
        return waiting.revision.facts.node != inForce.facts.node
    }

    private mutating func advance() -> [ConfigEffect] {
        var effects: [ConfigEffect] = []
        if hasLooked, let waiting, activating == nil, retryAt == nil, waitsFor.isEmpty, !needsStart {
            activating = waiting
            self.waiting = nil
            effects.append(.activate(waiting.revision.number, waiting.revision.text))
        }
        // Whoever asked for what is neither being written nor in force has nothing more to wait for.
        for (token, number) in askers.sorted(by: { $0.key.number < $1.key.number })
        where number != activating?.revision.number {
            askers[token] = nil
            effects.append(answer(token))
        }
        return effects
    }

    private mutating func activated(_ number: Int, _ error: CodedError?, at now: Now) -> [ConfigEffect] {
        guard let written = activating, written.revision.number == number else { return [] }
        activating = nil
        // A newer wish takes its place, written or not.
        diskError = waiting == nil ? error : nil
        guard error == nil else {
            guard waiting == nil else { return [.markSuperseded(number)] }
            waiting = written
            retryAt = now.monotonic + Self.retryAfter
            return []
        }
        inForce = written.revision
        inForce?.at = now.wall
        return [.markApplied(number), .publishCameras(number)]
    }

    private mutating func fileWritten(_ text: ConfigText, _ error: CodedError?) -> [ConfigEffect] {
        guard error == nil else { return [] }
        fileSeen = text
        return [.rememberFileSeen(text)]
    }

    // MARK: Saying

    private func answer(_ token: CommandToken) -> ConfigEffect {
        let result = ConfigResult(node: node, revision: inForce?.number ?? 0, valid: true, pending: pending)
        guard let diskError else { return .reply(token, result) }
        return .refuse(token, diskError, result)
    }

    private func result(for reading: ConfigReading) -> ConfigResult {
        let errors: [String] = if case .invalid(let errors) = reading.outcome { errors } else { [] }
        return ConfigResult(
            node: node, revision: inForce?.number ?? 0, valid: errors.isEmpty, errors: errors, pending: pending)
    }

    private mutating func publish() -> [ConfigEffect] {
        let state = ConfigState(
            node: node, revision: inForce?.number ?? 0, appliedAt: inForce?.at ?? WallTime(nanoseconds: 0),
            valid: faults.isEmpty,
            errors: faults, pending: pending,
            fileDiffers: !faults.isEmpty || (wanted.map { $0.text != fileSeen } ?? false))
        // What is being written is neither in force nor does it wait; that takes no time to speak of.
        guard activating == nil, state != published, inForce != nil || !faults.isEmpty else { return [] }
        published = state
        return [.publish(state)]
    }

    var pending: ConfigState.Pending? {
        guard let waiting else { return nil }
        // Until the node is started, nobody's recording is what it waits for.
        let cameras = needsStart ? [] : waitsFor
        return ConfigState.Pending(
            revision: waiting.revision.number, waitsFor: cameras, reason: reason(cameras))
    }

    private func reason(_ cameras: [CameraID]) -> String {
        let hint = "framekeeper config apply --now does not wait"
        if needsStart {
            return "the broker, the state folder or the node's name differs: stop and start framekeeper up"
        }
        if let diskError { return "it cannot be written: \(diskError); it is tried again" }
        let untold = cameras.filter { !recordings.isTold($0) }.map(\.rawValue).joined(separator: ", ")
        guard untold.isEmpty else { return "the broker does not say whether \(untold) records; \(hint)" }
        let names = cameras.map(\.rawValue).joined(separator: ", ")
        if !cameras.isEmpty, cameras.allSatisfy(recordings.isDoubted) {
            return "nothing comes of the recording of \(names): it is in force within a minute unless that changes; "
                + hint
        }
        let always = cameras.filter { inForce?.facts.recordsAlways.contains($0) ?? false }
        guard !always.isEmpty else { return "it would interrupt the recording of \(names); \(hint)" }
        return "it would interrupt the recording of \(names), and \(always.map(\.rawValue).joined(separator: ", ")) "
            + "records always; \(hint)"
    }
}
