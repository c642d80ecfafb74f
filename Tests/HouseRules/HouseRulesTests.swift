import Foundation
import Testing

/// The rules of the house, on samples that break them and on the project itself.
@Suite struct HouseRulesTests {
    @Test(arguments: HouseRule.all) func firesOnEveryBadSample(rule: HouseRule) {
        #expect(!rule.bad.isEmpty)
        for sample in rule.bad {
            let violations = rule.check(SourceFile(path: sample.path, text: sample.text))
            #expect(!violations.isEmpty, "not found in: \(sample.text.prefix(80))")
        }
    }

    @Test(arguments: HouseRule.all) func leavesGoodSamplesAlone(rule: HouseRule) {
        for sample in rule.good {
            let violations = rule.check(SourceFile(path: sample.path, text: sample.text))
            #expect(violations.isEmpty, "\(violations) in: \(sample.text.prefix(80))")
        }
    }

    @Test(arguments: HouseRule.all) func holdsInTheProject(rule: HouseRule) throws {
        let files = try ProjectTree.files.get()
        #expect(files.count > 50)
        let violations = files.flatMap(rule.check)
        #expect(violations.isEmpty, "\(violations.map(\.description).joined(separator: "\n"))")
    }

    @Test func theTopLevelHoldsNothingElse() throws {
        #expect(ProjectTree.strangers(among: ["Services", "Shared", "README.md", ".git", "Package.swift"]) == [])
        #expect(ProjectTree.strangers(among: ["Services", "scripts", "notes.txt"]) == ["notes.txt", "scripts"])
        let names = try FileManager.default.contentsOfDirectory(atPath: ProjectTree.root.path)
        #expect(ProjectTree.strangers(among: names) == [])
    }

    @Test func aCaptureWorkerLinksNoNIO() throws {
        let manifest = try String(contentsOf: ProjectTree.root.appending(path: "Package.swift"), encoding: .utf8)
        let linked = PackageGraph(manifest).closure(of: "CaptureWorkerMain")
        #expect(linked.isSuperset(of: ["CaptureWorkerCore", "Bus", "Media", "CAVFormat", "Logging", "Domain"]))
        #expect(Self.tooHeavy(linked) == [])
        let heavier = manifest.replacingOccurrences(
            of: "library(\"Bus\", \"Shared/Bus\", [",
            with: "library(\"Bus\", \"Shared/Bus\", [.product(name: \"NIOCore\", package: \"swift-nio\"), ")
        #expect(Self.tooHeavy(PackageGraph(heavier).closure(of: "CaptureWorkerMain")) == ["NIOCore"])
    }

    private static func tooHeavy(_ linked: Set<String>) -> [String] {
        linked.filter { name in
            name.hasPrefix("NIO") || name.hasPrefix("Hummingbird")
                || ["AsyncHTTPClient", "GRDB", "Ledger", "Subprocess", "ServiceLifecycle", "CAVDevice"].contains(name)
        }
        .sorted()
    }

    @Test func noLibraryOfDevicesIsLinked() throws {
        for file in try ProjectTree.files.get() where file.path.hasSuffix(".modulemap") || file.path == "Package.swift"
        {
            #expect(!file.lines.contains { $0.contains("avdevice") }, "\(file.path)")
        }
    }

    @Test func isFormatted() throws {
        let sample = FileManager.default.temporaryDirectory.appending(path: "house-rules-\(UUID().uuidString).swift")
        try "func  a( ) {\n let b=1 ; print( b )\n}\n".write(to: sample, atomically: true, encoding: .utf8)
        defer { #expect(throws: Never.self) { try FileManager.default.removeItem(at: sample) } }
        #expect(try ProjectTree.lint([sample.path]).status != 0)
        let places = ["Services", "Shared", "Tests", "Package.swift"]
        let outcome = try ProjectTree.lint(places.map { ProjectTree.root.appending(path: $0).path })
        #expect(outcome.status == 0, "\(outcome.output.prefix(4000))")
    }
}

/// The project's files on this disk.
enum ProjectTree {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private static let expected: Set<String> = [
        "Package.swift", "Package.resolved", "README.md", "LICENSE", "Services", "Shared", "Tests", "compose", "config",
    ]
    private static let textSuffixes: Set<String> = [
        "swift", "c", "h", "modulemap", "sh", "md", "yml", "yaml", "json", "conf", "py", "html", "css", "js", "run", "",
    ]
    /// Larger files are recordings and the like.
    private static let textBytesMax = 1 << 20

    static func strangers(among names: [String]) -> [String] {
        names.filter { !$0.hasPrefix(".") && !expected.contains($0) }.sorted()
    }

    static let files = Result { try read() }

    private static func read() throws -> [SourceFile] {
        let names = try FileManager.default.contentsOfDirectory(atPath: root.path)
        let tops = names.filter { expected.contains($0) || $0 == ".ci" }
        return try tops.sorted().flatMap { try read($0) }
    }

    private static func read(_ path: String) throws -> [SourceFile] {
        let place = root.appending(path: path)
        if try place.resourceValues(forKeys: [.isDirectoryKey]).isDirectory == true {
            return try FileManager.default.contentsOfDirectory(atPath: place.path).sorted()
                .flatMap { try read("\(path)/\($0)") }
        }
        let data = try Data(contentsOf: place)
        guard textSuffixes.contains(place.pathExtension), path != "LICENSE", path != "Package.resolved",
            data.count <= textBytesMax, let text = String(data: data, encoding: .utf8)
        else { return [] }
        return [SourceFile(path: path, text: text)]
    }

    static func lint(_ paths: [String]) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments =
            ["swift", "format", "lint", "--strict", "--parallel", "--recursive", "--configuration"]
            + [root.appending(path: ".swift-format").path] + paths
        let pipe = Pipe()
        process.standardError = pipe
        process.standardOutput = pipe
        try process.run()
        let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }
}
