internal import Foundation

/// The names of the databases in `folder` that were found damaged and moved aside. What SQLite keeps beside an open
/// database (`-wal`, `-shm`) goes with it and is not counted: it is there if somebody was reading at that moment.
package func databasesMovedAside(in folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder)
        .filter { $0.contains(".corrupt-") && !$0.hasSuffix("-wal") && !$0.hasSuffix("-shm") }
}
