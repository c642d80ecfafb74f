internal import ArgumentParser
internal import ClusterConfig
internal import Domain
internal import Glibc
internal import MediaServer
internal import ServiceKit

struct ConfigImportCommand: FramekeeperSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "import-mediamtx", abstract: "Translate a MediaMTX configuration into cameras.",
        discussion: """
            Prints the translation with passwords as ${CAMERA_…} variables; with -o it goes, passwords \
            included, into a new file that only you may read. What could not be translated is said, path by path.
            Example: framekeeper config import-mediamtx /etc/mediamtx/mediamtx.yml -o framekeeper.yml
            """)

    @Argument(help: "MediaMTX's own file.")
    var file: String
    @Option(
        name: [.customShort("o"), .long], help: ArgumentHelp("Where to write to; never over a file.", valueName: "file")
    )
    var output: String?
    @OptionGroup var options: CommandOptions

    private static let fileBytesMax = 1 << 20

    private struct Report: Encodable {
        struct Camera: Encodable {
            var camera: CameraID
            var path: String
            var source: String
        }

        var cameras: [Camera]
        var remarks: [MediaServerImport.Remark]
        /// To be set in the environment where the text is used; none if it was written to a file.
        var variables: [String]
        /// Nil if it was written to a file.
        var text: String?
        var output: String?
    }

    func perform() async throws(CommandFailure) -> ServiceExit {
        let imported = try translation()
        if let output { try write(imported.text(.written), to: output) }
        let terminal = Terminal()
        guard !options.json else {
            try terminal.print(json: report(imported))
            return .done
        }
        if output == nil { terminal.print(String(imported.text(.fromEnvironment).dropLast())) }
        // The text is standard output's; what a person should know goes beside it.
        for remark in imported.remarks {
            let mark = remark.isLoss ? "not translated: " : ""
            LineLogHandler.standardError("\(remark.path.map { "\($0): " } ?? "")\(mark)\(remark.text)")
        }
        if output == nil, !imported.variables.isEmpty {
            LineLogHandler.standardError("to be set in the environment: \(imported.variables.joined(separator: ", "))")
        }
        let place = output.map { " into \($0)" } ?? ""
        LineLogHandler.standardError("\(imported.cameras.count) cameras\(place)")
        return .done
    }

    private func translation() throws(CommandFailure) -> MediaServerImport {
        do throws(CodedError) {
            guard let bytes = try AtomicFile.read(file, atMost: Self.fileBytesMax) else {
                throw CodedError(.invalidArgument, "\(file): no such file")
            }
            return try MediaServerImport(bytes, name: file, folder: folder)
        } catch {
            throw CommandFailure(.configuration, error.description, code: error.code)
        }
    }

    /// Of the file, absolute.
    private var folder: String {
        let written = file.contains("/") ? String(file[...(file.lastIndex(of: "/") ?? file.startIndex)]) : "."
        guard let found = realpath(written, nil) else { return written }
        defer { free(found) }
        return String(cString: found)
    }

    private func write(_ text: String, to output: String) throws(CommandFailure) {
        do throws(CodedError) {
            guard try AtomicFile.read(output, atMost: .max) == nil else {
                throw CodedError(.conflict, "\(output) is there already; nothing is written over it")
            }
            try AtomicFile.write(Array(text.utf8), to: output)
        } catch {
            throw CommandFailure(.failed, error.description, code: error.code)
        }
    }

    private func report(_ imported: MediaServerImport) -> Report {
        Report(
            cameras: imported.cameras.map { camera in
                Report.Camera(camera: camera.id, path: camera.path, source: Self.shown(camera.source))
            }, remarks: imported.remarks, variables: output == nil ? imported.variables : [],
            text: output == nil ? imported.text(.fromEnvironment) : nil, output: output)
    }

    private static func shown(_ source: String) -> String {
        do throws(CodedError) {
            return try SourceAddress(source).publicText
        } catch {
            return MediaServerFault.masked(source)
        }
    }
}
