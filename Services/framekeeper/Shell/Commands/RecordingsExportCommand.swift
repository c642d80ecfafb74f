internal import ArgumentParser
internal import ClusterConfig
internal import Domain
internal import FramekeeperCore
internal import Glibc
internal import Ledger
internal import Media
internal import ServiceKit

struct RecordingsExportCommand: FramekeeperSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Join the files of a time range into one MP4, without coding anew.",
        discussion: """
            The range is widened to key frames. A session is exported whole without --from and --to. Several sessions of
            the range become one file; time without frames stays time, so that the clip's clock is the camera's. What a
            session repeats of the one before, as its pre-roll, stands in both. A file that is still being written is
            left out, and the command says so; framekeeper rotate CAMERA completes it.
            Example: framekeeper recordings export --camera front --from 10m --to 5m -o clip.mp4
            """)

    @Option(help: "The camera.", completion: NameCompletion.cameras, transform: RecordingsListCommand.camera)
    var camera: CameraID?
    @Option(help: "The session whose id begins so.")
    var session: String?
    @Option(help: "The beginning: RFC 3339, a date, or a time ago such as 10m.")
    var from: Moment?
    @Option(help: "The end.")
    var to: Moment?
    @Option(name: .shortAndLong, help: ArgumentHelp("The file to write; it must not exist.", valueName: "file"))
    var output: String
    @OptionGroup var options: CommandOptions

    mutating func validate() throws {
        guard camera != nil || session != nil else { throw ValidationError("Name a camera or a session.") }
        guard session != nil || from != nil else { throw ValidationError("Say from when, with --from.") }
        guard output != "-" else {
            throw ValidationError("An MP4 needs a file that can be sought in; name one with -o.")
        }
        if let from, let to, from.time >= to.time { throw ValidationError("--from lies after --to.") }
    }

    private struct Report: Encodable, Sendable {
        var file: String
        var sessions: Int
        var segments: Int
        var frames: Int
        var durationSeconds: Double
        var bytes: Int64
        /// Cameras of the range whose newest file is not complete and not in the clip.
        var stillWritten: [CameraID]
    }

    func perform() async throws(CommandFailure) -> ServiceExit {
        let configuration = try options.configuration()
        let (command, terminal, shutdown) = (self, Terminal(), Shutdown())
        // Ctrl-C leaves no half of a clip behind.
        await ProcessSignals.watch(shutdown, supervised: false)
        let report = try await BlockingThread.run("export") { () throws(CommandFailure) in
            defer { terminal.progress("", isLast: true) }
            return try command.join(configuration, terminal, shutdown)
        }
        for camera in report.stillWritten { terminal.remark(Self.leftOut(camera)) }
        if options.json {
            try terminal.print(json: report)
        } else {
            terminal.print(
                "\(report.file): \(report.frames) frames, \(report.durationSeconds.asTime), "
                    + "\(ByteCount(report.bytes)), from \(report.segments) files"
                    + (report.sessions > 1 ? " of \(report.sessions) sessions" : ""))
        }
        return .done
    }

    private static func leftOut(_ camera: CameraID) -> String {
        "the newest part of \(camera) is still being written and not in the clip; framekeeper rotate \(camera) "
            + "completes it"
    }

    private func join(
        _ configuration: ClusterConfiguration, _ terminal: Terminal, _ shutdown: Shutdown
    ) throws(CommandFailure) -> Report {
        let (folder, all) = try rows(configuration)
        let rows = all.filter { $0.state == .closed }
        var pieces: [SegmentJoiner.Piece] = []
        var start: WallTime?
        for row in rows {
            guard row.place != nil else {
                throw CommandFailure(
                    .failed, "the ledger's path is not this segment's: \(row.path.prefix(200))",
                    hint: "framekeeper recordings repair mends the ledger", code: .storageFailed)
            }
            let path = "\(folder.storage)/\(row.path)"
            let manifest = try manifest(path)
            let base = start ?? manifest.sessionStartedAt
            start = base
            pieces.append(
                SegmentJoiner.Piece(
                    path: path,
                    sessionOffset: manifest.sessionStartedAt - base
                        + .nanoseconds(manifest.sessionOffsetNanoseconds)))
        }
        let name = output
        let range = start.flatMap { ClipRange.onTimeline(startingAt: $0, from: from?.time, to: to?.time) }
        do throws(CodedError) {
            let joined = try SegmentJoiner.join(
                pieces, range: range, output: output,
                progress: { terminal.progress(ProgressBar.text($0, name)) }, isUnwanted: { shutdown.isRequested })
            return Report(
                file: output, sessions: Set(rows.map(\.session)).count, segments: pieces.count,
                frames: joined.videoFrames,
                durationSeconds: joined.duration.publishedSeconds, bytes: joined.bytes,
                stillWritten: Self.written(all))
        } catch {
            throw CommandFailure(.failed, error.description, hint: hint(error), code: error.code)
        }
    }

    private func hint(_ error: CodedError) -> String? {
        switch error.code {
        case .conflict where access(output, F_OK) == 0: return "choose another name, or remove \(output)"
        case .conflict: return "the camera's format changed on the way; export the parts with --from and --to"
        case .sourceUnavailable:
            return "framekeeper recordings verify names what is broken; --to before it exports what lies before"
        default: return nil
        }
    }

    private func manifest(_ path: String) throws(CommandFailure) -> SegmentManifest {
        do throws(CodedError) {
            if let manifest = try SegmentFileReader.inspect(path).manifest { return manifest }
            throw CodedError(.storageFailed, "\(path) does not say which segment it is")
        } catch {
            throw CommandFailure(
                .failed, error.description, hint: "framekeeper recordings verify names what is broken", code: error.code
            )
        }
    }

    /// By the sessions' beginnings, then by index: a session that began with pre-roll may overlap the one before.
    private static func inOrder(_ rows: [SegmentRecord]) -> [SegmentRecord] {
        let sessions = Dictionary(grouping: rows, by: \.session).values.map { $0.sorted { $0.index < $1.index } }
        return sessions.sorted { ($0[0].startedAt, $0[0].session) < ($1[0].startedAt, $1[0].session) }.flatMap { $0 }
    }

    private static func written(_ rows: [SegmentRecord]) -> [CameraID] {
        Set(rows.filter { $0.state == .open }.map(\.camera)).sorted { $0.rawValue < $1.rawValue }
    }

    /// The segments of the range, session after session; at least one is complete.
    private func rows(
        _ configuration: ClusterConfiguration
    ) throws(CommandFailure) -> (folder: RecordingArchive.Folder, rows: [SegmentRecord]) {
        let archive = try RecordingArchive.open(configuration)
        try archive.check(camera, configuration)
        let chosen = try session.map { prefix throws(CommandFailure) in try archive.session(prefix).session.id }
        let query = LedgerQuery(
            camera: camera, session: chosen, from: from?.time, to: to?.time, states: [.closed, .open])
        var found: [(folder: RecordingArchive.Folder, rows: [SegmentRecord])] = []
        var open: [CameraID] = []
        for folder in archive.folders {
            do throws(CodedError) {
                let rows = Self.inOrder(try folder.ledger.segments(query))
                open += Self.written(rows)
                if rows.contains(where: { $0.state == .closed }) { found.append((folder, rows)) }
            } catch {
                throw CommandFailure(error)
            }
        }
        guard let first = found.first else {
            throw CommandFailure(
                .failed, "no complete file lies in that range",
                hint: open.first.map(Self.leftOut) ?? "framekeeper recordings list shows what there is",
                code: .invalidArgument)
        }
        guard found.count == 1 else {
            let places = found.map(\.folder.storage).joined(separator: ", ")
            throw CommandFailure(
                .failed, "the range lies in several storage folders: \(places)", hint: "choose one with --session",
                code: .invalidArgument)
        }
        return first
    }
}
