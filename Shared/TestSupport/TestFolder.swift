internal import Glibc

/// A temporary folder, flat, that goes with this object.
package final class TestFolder: Sendable {
    package let path: String

    package init() throws {
        var template = Array("/tmp/framekeeper-test-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw ChildProcess.StartFailed(description: "mkdtemp") }
        path = String(cString: made)
    }

    deinit {
        if let folder = opendir(path) {
            while let entry = readdir(folder) {
                withUnsafePointer(to: &entry.pointee.d_name) { name in
                    name.withMemoryRebound(to: CChar.self, capacity: 256) {
                        _ = unlink(path + "/" + String(cString: $0))
                    }
                }
            }
            closedir(folder)
        }
        rmdir(path)
    }

    package func path(_ name: String) -> String { "\(path)/\(name)" }

    package func remove(_ name: String) throws {
        guard unlink(path(name)) == 0 else { throw ChildProcess.StartFailed(description: "cannot remove \(name)") }
    }

    package func bytes(_ name: String) throws -> [UInt8] {
        guard let file = fopen(path(name), "r") else {
            throw ChildProcess.StartFailed(description: "cannot open \(name)")
        }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while case let count = fread(&chunk, 1, chunk.count, file), count > 0 { bytes += chunk[..<count] }
        return bytes
    }

    package func write(_ bytes: [UInt8], to name: String) throws {
        guard let file = fopen(path(name), "w") else {
            throw ChildProcess.StartFailed(description: "cannot open \(name)")
        }
        defer { fclose(file) }
        guard fwrite(bytes, 1, bytes.count, file) == bytes.count else {
            throw ChildProcess.StartFailed(description: "cannot write \(name)")
        }
    }
}
