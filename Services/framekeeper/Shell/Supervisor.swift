internal import Domain
internal import FramekeeperCore
internal import Glibc
internal import Logging
internal import ServiceKit

/// One child of the node, as it is started.
struct ChildSpec: Sendable {
    /// Stages start in this order and stop in the reverse one.
    enum Stage: Int, Sendable, Hashable, CaseIterable {
        case broker, services, workers
    }

    /// `broker`, `rotation-service`, `capture-worker/front`.
    var name: String
    var executable: String
    var arguments: [String]
    var stage: Stage
    /// Whether it shows signs of life of its own accord.
    var beats = true
    /// Lines of its output that hold one of these are left out of the log.
    var mutedLines: [String] = []
    /// Called with each of its ends, on a thread of its own, before it is started again: to mend what keeps it down.
    var mend: (@Sendable (ChildExit) -> Void)?
}

/// Keeps the processes of one node running. Owns every child's `ChildMachine` and process and performs the machine's
/// effects; when to start and stop which stage is `NodeRun`'s business, which children a configuration wants is
/// `NodePlan`'s.
actor Supervisor {
    private struct Child {
        let spec: ChildSpec
        var machine: ChildMachine
        var process: ChildProcess?
        var isFinished = false
        /// No longer wanted; forgotten when it has ended.
        var isRemoved = false
    }

    private struct Waiter {
        let isOver: ([String: Child]) -> Bool
        let continuation: CheckedContinuation<Void, Never>
    }

    private var children: [String: Child] = [:]
    private var waiters: [Waiter] = []
    /// Nothing of these starts any more.
    private var stoppedStages: Set<ChildSpec.Stage> = []
    private let run: RunFolder
    private let logger: Logger
    private let output: @Sendable (String) -> Void

    init(run: RunFolder, logger: Logger, output: @escaping @Sendable (String) -> Void) {
        self.run = run
        self.logger = logger
        self.output = output
    }

    func start(_ spec: ChildSpec) {
        guard !stoppedStages.contains(spec.stage), children[spec.name] == nil else { return }
        children[spec.name] = Child(spec: spec, machine: ChildMachine())
        deliver(.woke, to: spec.name)
    }

    /// Ends a process and starts it again with its new settings.
    func renew(_ name: String) {
        logger.info("child renewed, its settings have changed", metadata: ["child": "\(name)"])
        deliver(.renewAsked, to: name)
    }

    /// Returns when the process has ended; nothing is left of it then.
    func remove(_ name: String) async {
        guard children[name] != nil else { return }
        logger.info("child removed, the configuration no longer has it", metadata: ["child": "\(name)"])
        children[name]?.isRemoved = true
        deliver(.stopAsked, to: name)
        await wait { !($0[name]?.isRemoved ?? false) }
    }

    /// Returns when nothing of the stage is left.
    func stop(_ stage: ChildSpec.Stage) async {
        stoppedStages.insert(stage)
        for name in names(of: stage) { deliver(.stopAsked, to: name) }
        await wait { children in children.values.allSatisfy { $0.spec.stage != stage || $0.isFinished } }
    }

    private func wait(until isOver: @escaping ([String: Child]) -> Bool) async {
        guard !isOver(children) else { return }
        await withCheckedContinuation { waiters.append(Waiter(isOver: isOver, continuation: $0)) }
    }

    /// Kills whatever runs; `stop` of each stage then returns soon.
    func kill() {
        for name in children.keys.sorted() { deliver(.killAsked, to: name) }
    }

    /// Whether the child is down for good or has failed so often that waiting for it is in vain.
    func isHopeless(_ name: String) -> Bool {
        guard let child = children[name] else { return true }
        return child.machine.state == .parked || child.machine.failures >= child.machine.policy.crashLoopFailures
    }

    // MARK: Signs of life

    /// Until the task is cancelled: starts children anew that hang.
    func watchBeats() async {
        var watch = BeatWatch(startMax: ChildMachine.Policy().silentStartMax)
        while (try? await Task.sleep(for: BeatWatch.every)) != nil {
            var signs: [String: BeatWatch.Signs] = [:]
            for (name, child) in children where child.spec.beats {
                guard let process = child.process else { continue }
                signs[name] = BeatWatch.Signs(startedAt: process.startedAt, lastAt: process.lastSign)
            }
            for name in watch.look(signs, at: ServiceClock.now().monotonic) { deliver(.fellSilent, to: name) }
        }
    }

    /// When the child's present process was started; nil: it does not run.
    func startedAt(_ name: String) -> MonotonicTime? { children[name]?.process?.startedAt }

    func fellSilent(_ name: String) { deliver(.fellSilent, to: name) }

    private func names(of stage: ChildSpec.Stage) -> [String] {
        children.values.filter { $0.spec.stage == stage }.map(\.spec.name).sorted()
    }

    private func deliver(_ event: ChildMachine.Event, to name: String) {
        guard var child = children[name] else { return }
        let effects = child.machine.handle(
            event, at: ServiceClock.now().monotonic, chance: Double.random(in: 0..<1))
        children[name] = child
        for effect in effects { perform(effect, for: child.spec) }
    }

    private func perform(_ effect: ChildMachine.Effect, for spec: ChildSpec) {
        switch effect {
        case .spawn: spawn(spec)
        case .wake(let time): wake(spec.name, at: time)
        case .terminate: children[spec.name]?.process?.send(SIGTERM)
        case .kill:
            logger.warning("killed", metadata: ["child": "\(spec.name)"])
            children[spec.name]?.process?.send(SIGKILL)
        case .reportEnd(let exit, let again, let failures):
            var fields: Logger.Metadata = ["child": "\(spec.name)", "reason": "\(exit)", "failures": "\(failures)"]
            if let again { fields["again_in"] = "\(again.written)" }
            let message: Logger.Message = again == nil ? "child ended and stays down" : "child ended, starts again"
            logger.log(level: again == nil ? .error : .warning, message, metadata: fields)
        case .reportCrashLoop(let failures):
            logger.error(
                "child fails again and again", metadata: ["child": "\(spec.name)", "failures": "\(failures)"])
        case .reportSilence: logger.error("child hangs", metadata: ["child": "\(spec.name)"])
        case .finished: finish(spec)
        }
    }

    private func spawn(_ spec: ChildSpec) {
        let name = spec.name
        let output = output
        do throws(CodedError) {
            let process = try ChildProcess.spawn(
                name, executable: spec.executable, arguments: spec.arguments,
                onLine: { line in
                    if !spec.mutedLines.contains(where: { line.contains($0) }) { output("[\(name)] \(line)") }
                },
                onExit: { exit in
                    spec.mend?(exit)
                    Task { await self.ended(name, exit) }
                })
            children[name]?.process = process
            deliver(.started, to: name)
            logger.info("child started", metadata: ["child": "\(name)", "pid": "\(process.pid)"])
            run.note(name, pid: process.pid) { [logger] error in
                // It runs; only a supervisor that is killed would miss the note.
                logger.warning("child not noted", metadata: ["child": "\(name)", "reason": "\(error)"])
            }
        } catch {
            deliver(.spawnFailed("\(error)"), to: name)
        }
    }

    private func ended(_ name: String, _ exit: ChildExit) {
        children[name]?.process = nil
        run.forget(name)
        deliver(.exited(exit), to: name)
    }

    private func wake(_ name: String, at time: MonotonicTime) {
        Task {
            while ServiceClock.now().monotonic < time {
                let rest = time - ServiceClock.now().monotonic
                guard (try? await Task.sleep(for: max(rest, .milliseconds(1)))) != nil else { return }
            }
            deliver(.woke, to: name)
        }
    }

    private func finish(_ spec: ChildSpec) {
        children[spec.name]?.isFinished = true
        logger.info("child stopped", metadata: ["child": "\(spec.name)"])
        if children[spec.name]?.isRemoved == true { children[spec.name] = nil }
        let over = waiters.filter { $0.isOver(children) }
        waiters.removeAll { $0.isOver(children) }
        for waiter in over { waiter.continuation.resume() }
    }
}
