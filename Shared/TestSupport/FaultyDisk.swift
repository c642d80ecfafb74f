internal import Foundation

/// A disk that is slow or fails on demand, without a device and without rights: a library that is preloaded into the
/// processes of a node and stands before their writes to one folder. It is compiled when it is made.
package final class FaultyDisk: Sendable {
    package enum Fault: Sendable {
        case none
        /// Each write waits first.
        case slow(milliseconds: Int)
        /// Writes, syncs and new files fail with this errno.
        case fails(Int32)
    }

    /// What starts a node with it; to be given to `Cluster`.
    package let launcher: [String]
    private let folder: TestFolder

    package struct NotCompiled: Error, CustomStringConvertible {
        package let description: String
    }

    /// - Parameters:
    ///   - folder: exists.
    ///   - path: below `folder`; files below it are on the disk.
    package init(_ folder: String, path: String) async throws {
        // As the kernel names open files.
        guard let root = realpath(folder, nil) else { throw NotCompiled(description: "\(folder): no such folder") }
        defer { free(root) }
        let place = "\(String(cString: root))/\(path)/"
        let folder = try TestFolder()
        self.folder = folder
        let (library, log) = (folder.path("shim.so"), folder.path("cc.log"))
        // Where Swift is, there is a C compiler: it links with it.
        let compiler = try ChildProcess(
            [
                "cc", "-O1", "-shared", "-fPIC", "-o", library, try Products.project("Tests/Faults/storage-shim.c"),
                "-ldl",
            ], output: log)
        let status = try await eventually("the shim is compiled", within: .seconds(60)) { compiler.exitStatus() }
        guard status == 0 else {
            throw NotCompiled(description: String(decoding: (try? folder.bytes("cc.log")) ?? [], as: UTF8.self))
        }
        launcher = [
            "/usr/bin/env", "LD_PRELOAD=\(library)", "STORAGE_FAULT_PATH=\(place)",
            "STORAGE_FAULT_CONTROL=\(folder.path("control"))",
        ]
    }

    package func become(_ fault: Fault) throws {
        let text =
            switch fault {
            case .none: "none"
            case .slow(let milliseconds): "slow \(milliseconds)"
            case .fails(let number): "fail \(number)"
            }
        try folder.write(Array(text.utf8), to: "control.new")
        guard rename(folder.path("control.new"), folder.path("control")) == 0 else {
            throw ChildProcess.StartFailed(description: "cannot write the control file")
        }
    }
}
