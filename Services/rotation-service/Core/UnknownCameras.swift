package import Domain

/// Answers for cameras that nobody answers for. A worker speaks for its own camera; a command for a camera that does
/// not exist would meet silence, so one rotation-service refuses it: of those that are online, the one whose node
/// comes first by name. A camera exists if it is configured or if a worker has ever announced it. The same goes for
/// groups, which the workers of their cameras answer for, and for nodes that nobody has heard of.
///
/// Right after a connect the retained announcements are still coming in; until `settle` has passed, commands wait.
/// Called by `RotationCore`.
package struct UnknownCameras: Hashable, Sendable {
    package static let settle: Duration = .seconds(1)
    /// Commands that wait; beyond it the oldest is judged at once.
    package static let waitingMax = 64
    /// Announced ids that are remembered beyond the configured ones.
    package static let announcedMax = 10_000

    package struct Verdict: Hashable, Sendable {
        package var token: CommandToken
        package var error: CodedError
        /// Nil if the id is not one that could have an error topic.
        package var camera: CameraID?
    }

    private let node: NodeID
    private let configured: Set<CameraID>
    private let groups: Set<GroupID>
    /// Configured, or heard of since; a node that is away may come back and is not refused.
    private var nodes: Set<NodeID>
    private var announced: Set<CameraID> = []
    private var peers: Set<NodeID> = []
    private var waiting: [(CommandedCamera, CommandToken)] = []
    private var settledAt: MonotonicTime = .zero

    package init(_ settings: NodeSettings) {
        node = settings.node
        configured = settings.knownCameras
        groups = settings.knownGroups
        nodes = settings.knownNodes
    }

    package static func == (left: Self, right: Self) -> Bool {
        left.node == right.node && left.configured == right.configured && left.announced == right.announced
            && left.groups == right.groups && left.nodes == right.nodes
            && left.peers == right.peers && left.settledAt == right.settledAt
            && left.waiting.map(\.1) == right.waiting.map(\.1)
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(waiting.map(\.1)) }

    package var wakeAt: MonotonicTime? { waiting.isEmpty ? nil : settledAt }

    package mutating func connected(at time: MonotonicTime) { settledAt = time + Self.settle }

    package mutating func announced(_ camera: CameraID) {
        guard announced.count < Self.announcedMax else { return }
        announced.insert(camera)
    }

    package mutating func peerReported(_ node: NodeID, isOnline: Bool) {
        if nodes.count < Self.announcedMax { nodes.insert(node) }
        if isOnline { peers.insert(node) } else { peers.remove(node) }
    }

    package mutating func commanded(
        _ camera: CommandedCamera, _ token: CommandToken, at time: MonotonicTime
    ) -> [Verdict] {
        switch camera {
        case .camera(let id): if configured.contains(id) { return [] }
        case .group(let group): if isKnown(group) { return [] }
        case .node(let node): if nodes.contains(node) { return [] }
        case .invalid, .invalidGroup, .invalidNode: break
        }
        waiting.append((camera, token))
        var verdicts = judge(at: time)
        if waiting.count > Self.waitingMax { verdicts += verdict(waiting.removeFirst()) }
        return verdicts
    }

    /// The refusals that are due.
    package mutating func judge(at time: MonotonicTime) -> [Verdict] {
        guard time >= settledAt else { return [] }
        defer { waiting = [] }
        return waiting.flatMap(verdict)
    }

    private func verdict(_ command: (CommandedCamera, CommandToken)) -> [Verdict] {
        guard peers.allSatisfy({ $0 >= node }) else { return [] }
        switch command.0 {
        case .camera(let id):
            guard !announced.contains(id), !configured.contains(id) else { return [] }
            let error = CodedError(.unknownCamera, "no camera '\(id)' in this cluster")
            return [Verdict(token: command.1, error: error, camera: id)]
        case .invalid(let text):
            return [refusal(command.1, .unknownCamera, "'\(Self.shown(text))' is not a camera id")]
        case .group(let group):
            return isKnown(group) ? [] : [refusal(command.1, .unknownCamera, "no camera belongs to a group '\(group)'")]
        case .invalidGroup(let text):
            return [refusal(command.1, .invalidArgument, "'\(Self.shown(text))' is not a group's name")]
        case .node(let node):
            return nodes.contains(node)
                ? [] : [refusal(command.1, .invalidArgument, "no node '\(node)' in this cluster")]
        case .invalidNode(let text):
            return [refusal(command.1, .invalidArgument, "'\(Self.shown(text))' is not a node's name")]
        }
    }

    /// A camera of another cluster's file may belong to any group, so none is refused beside one.
    private func isKnown(_ group: GroupID) -> Bool {
        if !announced.isSubset(of: configured) { return true }
        return group == .all ? !configured.isEmpty : groups.contains(group)
    }

    private func refusal(_ token: CommandToken, _ code: ErrorCode, _ message: String) -> Verdict {
        Verdict(token: token, error: CodedError(code, message), camera: nil)
    }

    private static func shown(_ text: String) -> String {
        text.unicodeScalars.prefix(40).map { $0.value < 32 ? "?" : String($0) }.joined()
    }
}
