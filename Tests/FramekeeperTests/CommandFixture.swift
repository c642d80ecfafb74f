import Foundation
import TestSupport
import Testing

/// The built `framekeeper` as a person runs it, in a folder of its own with a configuration; a free port for its
/// broker.
final class CommandFixture {
    struct Answer {
        var exit: Int32
        var output: String
        var errors: String
    }

    let folder: String
    var configuration: String { folder + "/framekeeper.yml" }

    init(_ text: String? = nil) throws {
        folder = "/tmp/fk-command-" + UUID().uuidString.prefix(8)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try text?.write(toFile: configuration, atomically: true, encoding: .utf8)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    /// Beside the test program, wherever the build puts it.
    static func executable(_ name: String = "framekeeper") throws -> String {
        var folder = URL(fileURLWithPath: Bundle(for: CommandFixture.self).bundlePath)
        for _ in 0..<4 {
            let path = folder.appendingPathComponent(name).path
            if FileManager.default.isExecutableFile(atPath: path) { return path }
            folder.deleteLastPathComponent()
        }
        throw Missing(name: name)
    }

    struct Missing: Error { let name: String }

    /// Runs to the end. The environment is bare, so that this machine's own settings do not matter.
    func run(_ arguments: String..., environment: [String: String] = [:]) throws -> Answer {
        try run(arguments, environment: environment)
    }

    func run(_ arguments: [String], environment: [String: String] = [:]) throws -> Answer {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try Self.executable())
        process.arguments = arguments
        process.currentDirectoryURL = URL(fileURLWithPath: folder)
        process.environment = ["PATH": "/usr/bin:/bin:/usr/sbin"].merging(environment) { $1 }
        let (output, errors) = (folder + "/output", folder + "/errors")
        for path in [output, errors] { _ = FileManager.default.createFile(atPath: path, contents: nil) }
        process.standardOutput = FileHandle(forWritingAtPath: output)
        process.standardError = FileHandle(forWritingAtPath: errors)
        process.standardInput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return Answer(
            exit: process.terminationStatus, output: try String(contentsOfFile: output, encoding: .utf8),
            errors: try String(contentsOfFile: errors, encoding: .utf8))
    }
}
