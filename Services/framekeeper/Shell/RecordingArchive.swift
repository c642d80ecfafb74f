internal import ClusterConfig
internal import Domain
internal import FramekeeperCore
internal import Glibc
internal import Ledger
internal import Media
internal import ServiceKit

/// The recordings of this node as a person asks for them: the ledgers of its storage folders, opened for reading, and
/// the files beside them. Calls block on the disk.
struct RecordingArchive: Sendable {
    struct Folder: Sendable {
        let storage: String
        let ledger: LedgerStore
    }

    let folders: [Folder]

    /// The node's storage folder and those of its cameras, each once, in the order of the configuration.
    static func storagePaths(_ configuration: ClusterConfiguration) -> [String] {
        var paths: [String] = []
        for path in [configuration.storage.path] + configuration.ownCameras.map(\.storage.path)
        where !paths.contains(path) {
            paths.append(path)
        }
        return paths
    }

    static func open(_ configuration: ClusterConfiguration) throws(CommandFailure) -> RecordingArchive {
        let paths = storagePaths(configuration)
        var folders: [Folder] = []
        for path in paths where access("\(path)/\(LedgerStore.fileName)", F_OK) == 0 {
            do throws(CodedError) {
                let ledger = try LedgerStore(storage: path, access: .reader, now: ServiceClock.now().wall)
                folders.append(Folder(storage: path, ledger: ledger))
            } catch {
                throw CommandFailure(
                    .failed, "the ledger in \(path) cannot be read: \(error)",
                    hint: "framekeeper recordings repair rebuilds it from the files", code: error.code)
            }
        }
        guard !folders.isEmpty else {
            throw CommandFailure(
                .unavailable, "there is no ledger in \(paths.joined(separator: ", "))",
                hint: "framekeeper up creates it; framekeeper recordings repair builds it from files that are there",
                code: .notReady)
        }
        return RecordingArchive(folders: folders)
    }

    /// A camera that stands in no configuration, no ledger and no folder is a slip of the hand: that nothing of it is
    /// broken would be no answer.
    func check(_ camera: CameraID?, _ configuration: ClusterConfiguration) throws(CommandFailure) {
        guard let camera, configuration.camera(camera) == nil else { return }
        for folder in folders {
            if FolderListing.names(in: folder.storage).contains(camera.rawValue) { return }
            if try !folder.sessions(LedgerQuery(camera: camera)).isEmpty { return }
        }
        throw CommandFailure(
            .failed, "nothing is known of a camera \(camera)", hint: configuration.knownText, code: .unknownCamera)
    }

    /// The one session whose id begins with `prefix`.
    func session(_ prefix: String) throws(CommandFailure) -> (folder: Folder, session: SessionRecord) {
        let prefix = prefix.lowercased()
        var found: [(folder: Folder, session: SessionRecord)] = []
        for folder in folders {
            do throws(CodedError) {
                found += try folder.ledger.sessions(idPrefix: prefix).map { (folder, $0) }
            } catch {
                throw CommandFailure(error)
            }
        }
        guard let first = found.first else {
            throw CommandFailure(
                .failed, "no session begins with \(prefix.prefix(32))", hint: "framekeeper recordings list shows them",
                code: .invalidArgument)
        }
        guard found.count == 1 else {
            let ids = found.map(\.session.id.rawValue).joined(separator: ", ")
            throw CommandFailure(
                .failed, "several sessions begin with \(prefix): \(ids)", hint: "give more of its digits",
                code: .invalidArgument)
        }
        return first
    }
}

extension RecordingArchive.Folder {
    func segments(_ session: SessionID) throws(CommandFailure) -> [SegmentRecord] {
        do throws(CodedError) {
            return try ledger.segments(LedgerQuery(session: session)).sorted { $0.index < $1.index }
        } catch {
            throw CommandFailure(error)
        }
    }

    func gaps(_ session: SessionID) throws(CommandFailure) -> [GapRecord] {
        do throws(CodedError) {
            return try ledger.gaps(LedgerQuery(session: session))
        } catch {
            throw CommandFailure(error)
        }
    }

    func sessions(_ query: LedgerQuery) throws(CommandFailure) -> [SessionRecord] {
        do throws(CodedError) {
            return try ledger.sessions(query)
        } catch {
            throw CommandFailure(error)
        }
    }

    /// Segment files below the storage folder, complete and partial; other files are none of ours.
    func files(of camera: CameraID?) -> [SegmentPath] {
        var found: [SegmentPath] = []
        for name in FolderListing.names(in: storage) where camera.map({ $0.rawValue == name }) ?? true {
            guard CameraID(rawValue: name) != nil else { continue }
            for day in FolderListing.names(in: "\(storage)/\(name)") {
                found += FolderListing.names(in: "\(storage)/\(name)/\(day)")
                    .compactMap { SegmentPath(relativePath: "\(name)/\(day)/\($0)") }
            }
        }
        return found
    }
}
