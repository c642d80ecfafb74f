internal import ArgumentParser
internal import Bus
internal import Domain
internal import FramekeeperCore
internal import Glibc
internal import Ledger
internal import ServiceKit

struct RecordingsVerifyCommand: FramekeeperSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Prove that no frame is missing, or name what is.",
        discussion: """
            Reads every file: frame numbers without a hole from file to file but where a gap is listed, frames and \
            lengths as in the ledger, every part readable. Exit 1 if a promise is broken.
            Example: framekeeper recordings verify --camera front --decode
            """)

    @Option(help: "Only this camera.", completion: NameCompletion.cameras, transform: RecordingsListCommand.camera)
    var camera: CameraID?
    @Option(help: "Only the session whose id begins so.")
    var session: String?
    @Flag(help: "Decode every frame too; slow.")
    var decode = false
    @OptionGroup var options: CommandOptions

    struct Report: Sendable {
        var verdicts: [SessionVerdict] = []
        /// Complete files that no ledger lists.
        var unlisted: [String] = []
        var isSound: Bool { unlisted.isEmpty && verdicts.allSatisfy(\.isSound) }
    }

    /// A file that was finished a moment ago is listed as soon as its event has arrived.
    private static let listedWithin: Duration = .seconds(3)

    func perform() async throws(CommandFailure) -> ServiceExit {
        let configuration = try options.configuration()
        let (camera, prefix, decode, terminal) = (camera, session, decode, Terminal())
        let report = try await BlockingThread.run("verify") { () throws(CommandFailure) in
            defer { terminal.progress("", isLast: true) }
            let archive = try RecordingArchive.open(configuration)
            try archive.check(camera, configuration)
            guard let prefix else { return try Self.check(archive, camera: camera, decodes: decode, terminal) }
            let (folder, session) = try archive.session(prefix)
            var report = Report()
            report.verdicts = [
                try Self.prove(session, folder, decodes: decode, terminal)
            ]
            return report
        }
        if options.json {
            try terminal.print(json: VerifyDocument(report))
        } else {
            show(report, terminal)
        }
        return report.isSound ? .done : .failed
    }

    private static func check(
        _ archive: RecordingArchive, camera: CameraID?, decodes: Bool, _ terminal: Terminal
    ) throws(CommandFailure) -> Report {
        var report = Report()
        for folder in archive.folders {
            for session in try folder.sessions(LedgerQuery(camera: camera)) {
                report.verdicts.append(try prove(session, folder, decodes: decodes, terminal))
            }
            report.unlisted += try unlisted(folder, camera)
        }
        return report
    }

    private static func prove(
        _ session: SessionRecord, _ folder: RecordingArchive.Folder, decodes: Bool, _ terminal: Terminal
    ) throws(CommandFailure) -> SessionVerdict {
        let total = max(try folder.segments(session.id).count, 1)
        return try SegmentProof(folder: folder, session: session, decodes: decodes).verdict { read in
            terminal.progress(
                ProgressBar.text(Double(read) / Double(total), "\(session.camera) \(session.id.short)"))
        }
    }

    private static func unlisted(
        _ folder: RecordingArchive.Folder, _ camera: CameraID?
    ) throws(CommandFailure) -> [String] {
        let files = folder.files(of: camera).filter { !$0.isPartial }.map(\.relativePath)
        let deadline = ServiceClock.now().monotonic + listedWithin
        while true {
            let listed: Set<String>
            do throws(CodedError) {
                listed = Set(try folder.ledger.segments(LedgerQuery(camera: camera)).map(\.path))
            } catch {
                throw CommandFailure(error)
            }
            let missing = files.filter { !listed.contains($0) && access("\(folder.storage)/\($0)", F_OK) == 0 }
            if missing.isEmpty || ServiceClock.now().monotonic >= deadline {
                return missing.map { "\(folder.storage)/\($0)" }
            }
            usleep(200_000)
        }
    }

    private func show(_ report: Report, _ terminal: Terminal) {
        var table = TextTable(
            "SESSION", "CAMERA", "STARTED", ">FILES", ">OPEN", ">FRAMES", ">LENGTH", ">GAPS", ">LOST", "RESULT")
        for verdict in report.verdicts {
            table.add(
                verdict.session.short, verdict.camera.rawValue, verdict.startedAt?.rfc3339 ?? "-",
                "\(verdict.closed)", "\(verdict.open)", "\(verdict.frames)", verdict.duration.written,
                "\(verdict.gaps.count)", verdict.lostText, verdict.isSound ? "complete" : "BROKEN")
        }
        if report.verdicts.isEmpty { terminal.print("nothing recorded") } else { terminal.print(table) }
        for verdict in report.verdicts {
            for gap in verdict.gaps {
                terminal.print(
                    "gap in \(verdict.session.short): \(gap.from) to \(gap.to), "
                        + "\((gap.to - gap.from).written), \(gap.cause.rawValue)")
            }
            if verdict.empty > 0 {
                terminal.print(
                    "in \(verdict.session.short): \(verdict.empty) files were begun by a worker that died before their "
                        + "first part was on disk; the gaps tell when")
            }
            for fault in verdict.faults {
                terminal.print(terminal.coloured("broken in \(verdict.session.short): \(fault)", .red))
            }
        }
        for file in report.unlisted {
            terminal.print(terminal.coloured("not in the ledger: \(file)", .red))
        }
        let frames = report.verdicts.reduce(UInt64(0)) { $0.addingClamped($1.frames) }
        let gaps = report.verdicts.reduce(0) { $0 + $1.gaps.count }
        let faults = report.verdicts.reduce(report.unlisted.count) { $0 + $1.faults.count }
        let total =
            "\(report.verdicts.count.counted("session")), \(frames.counted("frame")), \(gaps.counted("gap")) listed, "
            + "\(faults.counted("promise")) broken"
        terminal.print(terminal.coloured(total, report.isSound ? .green : .red))
        if !report.isSound {
            terminal.print("framekeeper recordings repair compares files and ledger and mends the ledger")
        }
    }
}

extension SessionVerdict {
    /// Frames that gaps are known to have cost; `?` where nobody can know.
    fileprivate var lostText: String {
        let known = gaps.compactMap(\.framesLost).reduce(UInt64(0)) { $0.addingClamped($1) }
        return gaps.contains { $0.framesLost == nil } ? (known > 0 ? "\(known)+?" : "?") : "\(known)"
    }
}

/// The report as JSON.
private struct VerifyDocument: Encodable {
    struct Session: Encodable {
        var session: SessionID
        var camera: CameraID
        var startedAt: WallTime?
        var closed: Int
        var open: Int
        var deleted: Int
        var empty: Int
        var frames: UInt64
        var durationSeconds: Double
        var gaps: [Gap]
        var faults: [String]
        var sound: Bool
    }

    struct Gap: Encodable {
        var from: WallTime
        var to: WallTime
        var seconds: Double
        var cause: GapCause
        var framesLost: UInt64?
    }

    var sound: Bool
    var sessions: [Session]
    var unlisted: [String]

    init(_ report: RecordingsVerifyCommand.Report) {
        sound = report.isSound
        unlisted = report.unlisted
        sessions = report.verdicts.map { verdict in
            Session(
                session: verdict.session, camera: verdict.camera, startedAt: verdict.startedAt, closed: verdict.closed,
                open: verdict.open, deleted: verdict.deleted, empty: verdict.empty,
                frames: verdict.frames,
                durationSeconds: verdict.duration.publishedSeconds,
                gaps: verdict.gaps.map { gap in
                    Gap(
                        from: gap.from, to: gap.to, seconds: (gap.to - gap.from).publishedSeconds, cause: gap.cause,
                        framesLost: gap.framesLost)
                }, faults: verdict.faults.map(\.description), sound: verdict.isSound)
        }
    }
}
