internal import ClusterConfig
internal import Domain
internal import Logging
internal import ServiceKit

/// Makes a running node follow what is put in force: starts the workers of new cameras, ends those of removed ones,
/// starts those anew whose settings have changed, and leaves every other process alone.
///
/// It learns of a revision from the file that holds the text in force and from nothing else: the file is on this host,
/// is whole at every moment, and is there without a broker. It never asks whether a recording runs: the config-writer
/// puts a text in force when it may be followed. Created and run by `NodeRun`.
struct NodeFollower: Sendable {
    let configuration: ClusterConfiguration
    let plan: NodePlan
    let logger: Logger

    /// Until the task is cancelled.
    func follow(_ supervisor: Supervisor) async {
        guard let path = plan.activePath else { return }
        let (changes, change) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        // Written by one rename: there is nothing to wait for.
        let watch = FileWatch([path], quiet: .zero) { change.yield() }
        defer { watch.stop() }
        // What was put in force between the start of the node and that of the watch.
        change.yield()
        var current = configuration
        for await _ in changes {
            guard !Task.isCancelled else { return }
            switch plan.load() {
            case .success(let next):
                guard next.seenByNode == current.seenByNode else {
                    logger.error("what is in force differs in the broker, the state folder or the node: start up anew")
                    continue
                }
                await apply(current, next, supervisor)
                current = next
            case .failure(let errors):
                logger.error("what is in force does not load here; nothing is changed")
                for error in errors.errors { LineLogHandler.standardError(error.description) }
            }
        }
    }

    /// The rotation-service goes on until removed workers have ended, so that it hears of their last files.
    private func apply(
        _ current: ClusterConfiguration, _ next: ClusterConfiguration, _ supervisor: Supervisor
    ) async {
        let changes = NodeChanges(from: current, to: next)
        guard !changes.isEmpty else { return }
        logger.info("following the configuration", metadata: ["changes": "\(changes)"])
        NodePlan.makeStorageFolder(next, logger)
        for camera in changes.changed { await supervisor.renew(NodePlan.worker(camera)) }
        for camera in changes.removed { await supervisor.remove(NodePlan.worker(camera)) }
        if changes.concernsHealth { await supervisor.renew(NodePlan.healthMonitor) }
        if changes.concernsRotation { await supervisor.renew(NodePlan.rotationService) }
        if changes.concernsMetrics { await supervisor.renew(NodePlan.metrics) }
        let added = Set(changes.added.map(NodePlan.worker))
        for spec in plan.children(next) where added.contains(spec.name) { await supervisor.start(spec) }
    }
}

/// What differs between two configurations for the processes of a node.
struct NodeChanges: Sendable, Hashable, CustomStringConvertible {
    /// Cameras of this node.
    var added: [CameraID]
    var removed: [CameraID]
    var changed: [CameraID]
    var concernsRotation: Bool
    var concernsHealth: Bool
    var concernsMetrics: Bool

    init(from old: ClusterConfiguration, to new: ClusterConfiguration) {
        let (before, after) = (Set(old.ownCameras.map(\.id)), Set(new.ownCameras.map(\.id)))
        added = after.subtracting(before).sorted()
        removed = before.subtracting(after).sorted()
        changed = after.intersection(before)
            .filter { old.seenByWorker(of: $0) != new.seenByWorker(of: $0) }.sorted()
        concernsRotation = old.seenByRotationService != new.seenByRotationService
        concernsHealth = old.seenByHealthMonitor != new.seenByHealthMonitor
        concernsMetrics = old.seenByMetrics != new.seenByMetrics
    }

    var isEmpty: Bool {
        added.isEmpty && removed.isEmpty && changed.isEmpty && !concernsRotation && !concernsHealth
            && !concernsMetrics
    }

    var description: String {
        let parts = [("added", added), ("removed", removed), ("changed", changed)].filter { !$0.1.isEmpty }
            .map { "\($0.0) \($0.1.map(\.rawValue).joined(separator: ","))" }
        let services = [
            ("rotation", concernsRotation), ("health", concernsHealth), ("metrics", concernsMetrics),
        ].filter(\.1).map(\.0)
        return (parts + services).joined(separator: "; ")
    }
}
