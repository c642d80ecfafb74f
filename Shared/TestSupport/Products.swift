internal import Domain
internal import Foundation

extension ChildProcess {
    /// The exit status; 128 and the signal's number for a process that a signal ended.
    package func wait(within deadline: Duration) async throws -> Int32 {
        try await eventually("process \(pid) ends", within: deadline) { exitStatus() }
    }
}

package enum Products {
    /// An executable of this package, beside the test bundle.
    package static func path(_ name: String) throws -> String {
        let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? CommandLine.arguments[0]
        var folder = URL(fileURLWithPath: bundle).deletingLastPathComponent()
        for _ in 0..<4 {
            let candidate = folder.appendingPathComponent(name).path
            if FileManager.default.isExecutableFile(atPath: candidate) { return candidate }
            folder.deleteLastPathComponent()
        }
        throw CodedError(.internal, "no \(name) near \(bundle)")
    }
}

extension Products {
    /// A file of the project's tree.
    package static func project(_ path: String, from file: String = #filePath) throws -> String {
        var folder = URL(fileURLWithPath: file)
        for _ in 0..<3 { folder.deleteLastPathComponent() }
        return folder.appendingPathComponent(path).path
    }
}

package enum Scratch {
    package static func folder() throws -> String {
        let path = NSTemporaryDirectory() + "/framekeeper-" + UUID().uuidString.prefix(8)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }
}

/// Runs a tool to its end and returns what it said.
package enum Tool {
    package static func run(_ name: String, _ arguments: [String], within: Duration = .seconds(300)) async throws
        -> String
    {
        let path = try Scratch.folder() + "/out"
        defer { try? FileManager.default.removeItem(atPath: (path as NSString).deletingLastPathComponent) }
        let child = try ChildProcess([name] + arguments, output: path)
        let status = try await child.wait(within: within)
        let output = try String(decoding: Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self)
        guard status == 0 else { throw CodedError(.internal, "\(name) ended with \(status): \(output.prefix(2000))") }
        return output
    }
}

/// Whether this run does the full forms: `Tests/run.sh --full`.
package let isFullRun = ProcessInfo.processInfo.environment["FRAMEKEEPER_TEST_FULL"] == "1"
