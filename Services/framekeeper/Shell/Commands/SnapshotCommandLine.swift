internal import ArgumentParser
internal import Bus
internal import BusContract
internal import ClusterConfig
internal import Domain
internal import FramekeeperCore
internal import Glibc
internal import ServiceKit

struct SnapshotCommandLine: FramekeeperSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot", abstract: "Take a picture now; an idle camera is started for it.",
        discussion: "Example: framekeeper snapshot front -o front.jpg --width 640")

    @Argument(help: "The camera.", completion: NameCompletion.cameras, transform: RecordingsListCommand.camera)
    var camera: CameraID
    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "Where the JPEG goes; - is standard output. Default: CAMERA-TIME.jpg here.", valueName: "file"))
    var output: String?
    @Option(help: ArgumentHelp("In pixels; without it, as the camera has it.", valueName: "pixels"))
    var width: Int?
    @Option(help: ArgumentHelp("Of the JPEG, 1 to 100.", valueName: "n"))
    var quality = SnapshotCommand.qualityDefault
    @Option(
        help: ArgumentHelp(
            "How old the picture may be, such as 1s; an older one comes sooner. Default: the newest.",
            valueName: "time"))
    var maxAge: String?
    @OptionGroup var options: CommandOptions

    mutating func validate() throws {
        guard width.map(SnapshotCommand.widthRange.contains) ?? true else {
            throw ValidationError("--width is \(Self.text(SnapshotCommand.widthRange))")
        }
        guard SnapshotCommand.qualityRange.contains(quality) else {
            throw ValidationError("--quality is \(Self.text(SnapshotCommand.qualityRange))")
        }
        if let maxAge, Duration(written: maxAge).map({ $0 > SnapshotCommand.maxAgeMax }) ?? true {
            throw ValidationError(
                "--max-age \(maxAge): expected a duration such as 1s, at most \(SnapshotCommand.maxAgeMax.written)")
        }
        if options.json, output == "-" { throw ValidationError("--json and -o - both want standard output") }
    }

    private static func text(_ range: ClosedRange<Int>) -> String { "\(range.lowerBound) to \(range.upperBound)" }

    func perform() async throws(CommandFailure) -> ServiceExit {
        let configuration = try options.configuration()
        let (visit, inputs) = try await BusVisit.begin(
            configuration, subscriptions: [TopicTemplate(pattern: SnapshotImage.topic(for: camera))])
        let outcome: Result<(SnapshotResult, [UInt8]), CommandFailure>
        do throws(CommandFailure) {
            let policies = configuration.camera(camera)?.lifecycle ?? configuration.lifecycle
            outcome = .success(try await take(visit, inputs, within: AnswerTime.within(.snapshot, [policies])))
        } catch {
            outcome = .failure(error)
        }
        await visit.end()
        let (result, jpeg) = try outcome.get()
        let file = try save(jpeg, result)
        try report(result, file)
        return .done
    }

    private func take(
        _ visit: BusVisit, _ inputs: AsyncStream<BusInput>.AsyncIterator, within: Duration
    ) async throws(CommandFailure) -> (SnapshotResult, [UInt8]) {
        let reply: Reply<SnapshotResult>
        do throws(CodedError) {
            var fields: [String: JSONValue] = ["quality": .number(Double(quality))]
            if let width { fields["width"] = .number(Double(width)) }
            if let maxAge { fields["max_age"] = .string(maxAge) }
            reply = try await visit.client.request(
                try BusCodec.json(JSONValue.object(fields)), to: SnapshotCommand.topic(for: camera),
                expecting: SnapshotResult.self, timeout: within)
        } catch {
            var failure = CommandFailure(error)
            failure.hint = "framekeeper status shows whether the worker of \(camera) runs"
            throw failure
        }
        guard let result = reply.result else { throw CommandFailure(refusal: reply.error) }
        // The picture came before the answer; the marker says that all that came has been seen.
        visit.sendMarker()
        var inputs = inputs
        var jpeg: [UInt8]?
        while let input = await inputs.next() {
            guard case .message(let message) = input else { continue }
            guard message.topic == SnapshotImage.topic(for: camera) else { break }
            if message.payload.count == result.imageBytes ?? result.bytes { jpeg = message.payload }
        }
        guard let jpeg else {
            let isTooLarge = result.bytes > SnapshotImage.bytesMax
            throw CommandFailure(
                .unavailable,
                "the picture \(isTooLarge ? "is too large for" : "did not come over") the bus; on its node it is "
                    + result.file, code: .notReady)
        }
        return (result, jpeg)
    }

    private func save(_ jpeg: [UInt8], _ result: SnapshotResult) throws(CommandFailure) -> String {
        if output == "-" {
            var rest = jpeg[...]
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw CommandFailure(.failed, "standard output is closed", code: .internal) }
                rest = rest.dropFirst(count)
            }
            return "standard output"
        }
        let time = "\(result.capturedAt.dateText)T\(result.capturedAt.timeText(separator: "-"))Z"
        let file = output ?? "\(camera)-\(time).jpg"
        do throws(CodedError) {
            try AtomicFile.deliver(jpeg, to: file, mode: 0o644)
        } catch {
            throw CommandFailure(error)
        }
        return file
    }

    private struct Row: Encodable {
        var camera: CameraID
        var file: String
        var capturedAt: WallTime
        var ageSeconds: Double
        var width: Int
        var height: Int
        var bytes: Int
        var tookSeconds: Double
    }

    private func report(_ result: SnapshotResult, _ file: String) throws(CommandFailure) {
        let age = max(.zero, ServiceClock.now().wall - result.capturedAt)
        let terminal = Terminal()
        if options.json {
            try terminal.print(
                json: Row(
                    camera: camera, file: file, capturedAt: result.capturedAt, ageSeconds: age.publishedSeconds,
                    width: result.width, height: result.height, bytes: result.imageBytes ?? result.bytes,
                    tookSeconds: result.tookSeconds))
            return
        }
        let line =
            "\(camera): \(result.width)x\(result.height), \(ByteCount(Int64(result.imageBytes ?? result.bytes))), "
            + "\(age.publishedSeconds) s old, taken in \(result.tookSeconds) s: \(file)"
        if result.imageBytes != nil {
            LineLogHandler.standardError("the bus carries a coarser copy; on its node the whole one is \(result.file)")
        }
        if output == "-" { LineLogHandler.standardError(line) } else { terminal.print(line) }
    }
}
