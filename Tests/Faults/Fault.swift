import Foundation
import TestSupport

/// One fault of the campaign: what is done to which process.
struct Fault: Hashable, CustomStringConvertible {
    enum Kind: String, CaseIterable {
        /// SIGKILL.
        case killed
        /// SIGSTOP, and SIGCONT before anybody has noticed.
        case held
        /// SIGSTOP for good: the supervisor has to notice.
        case hung
    }

    enum Target: String, CaseIterable {
        case broker
        case worker = "capture-worker"
        case rotation = "rotation-service"
        case configWriter = "config-writer"
        case monitor = "health-monitor"
        case metrics
        case supervisor
        case mediaServer = "media server"
    }

    var kind: Kind
    var target: Target
    var description: String { "\(target.rawValue) \(kind.rawValue)" }

    /// Nobody supervises the supervisor and the media server; in life, an init system does.
    static let all: [Fault] = Target.allCases.flatMap { target in
        Kind.allCases.map { Fault(kind: $0, target: target) }
    }.filter { $0.kind != .hung || ($0.target != .supervisor && $0.target != .mediaServer) }

    /// Whether frames of a camera may be missing after it: promise 2 for all others.
    var mayCostFrames: Bool { target == .worker || (target == .supervisor && kind == .killed) }
    /// Whether it stops all cameras of the node.
    var stopsAll: Bool { target == .supervisor && kind == .killed }
}

/// What one run of a fault cost.
struct FaultCost {
    /// Frames of the node's cameras that are in no file.
    var framesLost = 0
    var gapSeconds = 0.0
    /// From the end of the fault until everything was as before.
    var recoverySeconds = 0.0
    /// Of the gaps, how long before the fault the earliest began; promise 5 says at most a part.
    var lostBefore = 0.0
}

/// The campaign's result: a row for each fault.
struct FaultTable: CustomStringConvertible {
    private var costs: [Fault: [FaultCost]] = [:]

    mutating func add(_ cost: FaultCost, of fault: Fault) { costs[fault, default: []].append(cost) }

    subscript(_ fault: Fault) -> [FaultCost] { costs[fault] ?? [] }
    var recoveryMax: Double { costs.values.joined().map(\.recoverySeconds).max() ?? 0 }
    var runs: Int { costs.values.reduce(0) { $0 + $1.count } }

    var description: String {
        let head = "fault                       runs  frames lost  gap seconds  recovery median  recovery max"
        let rows = Fault.all.compactMap { fault -> String? in
            guard let costs = costs[fault] else { return nil }
            let recoveries = costs.map(\.recoverySeconds).sorted()
            return String(
                format: "%@  %4d  %11d  %11.1f  %13.2f s  %10.2f s",
                fault.description.padding(toLength: 26, withPad: " ", startingAt: 0), costs.count,
                costs.reduce(0) { $0 + $1.framesLost }, costs.reduce(0) { $0 + $1.gapSeconds },
                recoveries[recoveries.count / 2], recoveries.last ?? 0)
        }
        return ([head] + rows).joined(separator: "\n")
    }
}
