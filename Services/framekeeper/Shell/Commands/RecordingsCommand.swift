internal import ArgumentParser
internal import Bus
internal import Domain
internal import FramekeeperCore
internal import Ledger
internal import ServiceKit

struct RecordingsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recordings", abstract: "List, verify, join and repair what was recorded.",
        discussion: "Example: framekeeper recordings verify --camera front",
        subcommands: [
            RecordingsListCommand.self, RecordingsShowCommand.self, RecordingsVerifyCommand.self,
            RecordingsExportCommand.self, RecordingsRepairCommand.self,
        ])
}

/// A moment as a person gives it: RFC 3339, a date, or a time ago such as `2h`.
struct Moment: ExpressibleByArgument, Sendable, Hashable {
    let time: WallTime

    init?(argument: String) {
        if let time = WallTime(rfc3339: argument) ?? WallTime(rfc3339: "\(argument)T00:00:00Z") {
            self.time = time
        } else if let ago = Duration(written: argument) {
            time = ServiceClock.now().wall - ago
        } else {
            return nil
        }
    }
}

struct RecordingsListCommand: FramekeeperSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List sessions.",
        discussion: "Example: framekeeper recordings list --camera front --since 2h")

    @Option(help: "Only this camera.", completion: NameCompletion.cameras, transform: RecordingsListCommand.camera)
    var camera: CameraID?
    @Option(help: "Only what reaches beyond this moment: RFC 3339, a date, or a time ago such as 2h.")
    var since: Moment?
    @Option(help: "Only what began before this moment.")
    var until: Moment?
    @OptionGroup var options: CommandOptions

    static func camera(_ text: String) throws -> CameraID {
        guard let camera = CameraID(rawValue: text) else { throw ValidationError("\(text): not a camera's name") }
        return camera
    }

    private struct Row: Encodable, Sendable {
        var session: SessionID
        var camera: CameraID
        var startedAt: WallTime
        var endedAt: WallTime?
        var segments: Int
        var frames: UInt64
        var durationSeconds: Double
        var bytes: Int64
        var gaps: Int
    }

    func perform() async throws(CommandFailure) -> ServiceExit {
        let configuration = try options.configuration()
        let camera = camera
        let query = LedgerQuery(camera: camera, from: since?.time, to: until?.time)
        let rows = try await BlockingThread.run("ledger") { () throws(CommandFailure) in
            var rows: [Row] = []
            let archive = try RecordingArchive.open(configuration)
            try archive.check(camera, configuration)
            for folder in archive.folders {
                for session in try folder.sessions(query) { rows.append(try Self.row(session, folder)) }
            }
            return rows.sorted { $0.startedAt < $1.startedAt }
        }
        let terminal = Terminal()
        guard !options.json else {
            try terminal.print(json: rows)
            return .done
        }
        var table = TextTable("SESSION", "CAMERA", "STARTED", "ENDED", ">FILES", ">FRAMES", ">LENGTH", ">SIZE", ">GAPS")
        for row in rows {
            table.add(
                row.session.short, row.camera.rawValue, row.startedAt.rfc3339, row.endedAt?.rfc3339 ?? "-",
                "\(row.segments)", "\(row.frames)", row.durationSeconds.asTime,
                "\(ByteCount(row.bytes))", "\(row.gaps)")
        }
        if rows.isEmpty { terminal.print("nothing recorded") } else { terminal.print(table) }
        return .done
    }

    private static func row(
        _ session: SessionRecord, _ folder: RecordingArchive.Folder
    ) throws(CommandFailure) -> Row {
        let segments = try folder.segments(session.id).filter { $0.state == .open || $0.state == .closed }
        return Row(
            session: session.id, camera: session.camera, startedAt: session.startedAt, endedAt: session.endedAt,
            segments: segments.count, frames: segments.reduce(UInt64(0)) { $0.addingClamped($1.frames ?? 0) },
            durationSeconds: segments.reduce(.zero) { $0 + ($1.duration ?? .zero) }.publishedSeconds,
            bytes: segments.reduce(Int64(0)) { $0.addingClamped($1.bytes ?? 0) },
            gaps: try folder.gaps(session.id).count)
    }
}

struct RecordingsShowCommand: FramekeeperSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show the files and gaps of a session.",
        discussion: "Example: framekeeper recordings show 1a2b3c4d")

    @Argument(help: "The first digits of the session's id.")
    var session: String
    @OptionGroup var options: CommandOptions

    private struct Shown: Encodable, Sendable {
        struct File: Encodable, Sendable {
            var index: Int
            var state: SegmentRecord.State
            var file: String
            var startedAt: WallTime
            var durationSeconds: Double?
            var frames: UInt64?
            var firstFrame: UInt64
            var lastFrame: UInt64?
            var bytes: Int64?
            var offsetSeconds: Double?
            var reason: SegmentEnd?
        }

        struct Gap: Encodable, Sendable {
            var from: WallTime
            var to: WallTime
            var seconds: Double
            var cause: GapCause
            var framesLost: UInt64?
        }

        var session: SessionID
        var camera: CameraID
        var storage: String
        var segments: [File]
        var gaps: [Gap]
    }

    func perform() async throws(CommandFailure) -> ServiceExit {
        let configuration = try options.configuration()
        let prefix = session
        let shown = try await BlockingThread.run("ledger") { () throws(CommandFailure) in
            let (folder, session) = try RecordingArchive.open(configuration).session(prefix)
            return Shown(
                session: session.id, camera: session.camera, storage: folder.storage,
                segments: try folder.segments(session.id).map(Self.file),
                gaps: try folder.gaps(session.id).map { gap in
                    Shown.Gap(
                        from: gap.from, to: gap.to, seconds: gap.duration.publishedSeconds, cause: gap.cause,
                        framesLost: gap.framesLost)
                })
        }
        let terminal = Terminal()
        if options.json { try terminal.print(json: shown) } else { show(shown, terminal) }
        return .done
    }

    private static func file(_ row: SegmentRecord) -> Shown.File {
        Shown.File(
            index: row.index, state: row.state, file: row.path, startedAt: row.startedAt,
            durationSeconds: row.duration?.publishedSeconds, frames: row.frames, firstFrame: row.firstFrame,
            lastFrame: row.lastFrame, bytes: row.bytes, offsetSeconds: row.offsetSeconds, reason: row.reason)
    }

    private func show(_ shown: Shown, _ terminal: Terminal) {
        terminal.print("session \(shown.session), camera \(shown.camera), in \(shown.storage)")
        var files = TextTable(">FILE", "STATE", ">LENGTH", ">FRAMES", ">FROM", ">TO", ">SIZE", "ENDED BY", "PATH")
        for file in shown.segments {
            files.add(
                "\(file.index)", file.state.rawValue, file.durationSeconds?.asTime ?? "-",
                file.frames.map { "\($0)" } ?? "-", "\(file.firstFrame)", file.lastFrame.map { "\($0)" } ?? "-",
                file.bytes.map { "\(ByteCount($0))" } ?? "-", file.reason?.rawValue ?? "-", file.file)
        }
        terminal.print(files)
        guard !shown.gaps.isEmpty else { return }
        var gaps = TextTable("GAP FROM", "TO", ">LENGTH", "CAUSE", ">FRAMES LOST")
        for gap in shown.gaps {
            gaps.add(
                gap.from.rfc3339, gap.to.rfc3339, gap.seconds.asTime, gap.cause.rawValue,
                gap.framesLost.map { "\($0)" } ?? "unknown")
        }
        terminal.print("")
        terminal.print(gaps)
    }
}
