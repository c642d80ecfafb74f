internal import ArgumentParser
internal import Bus
internal import BusContract
internal import ClusterConfig
internal import Domain
internal import FramekeeperCore
internal import Glibc
internal import Media
internal import MediaServer
internal import ServiceKit
internal import VideoDevices

struct DoctorCommand: FramekeeperSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Look for what is wrong, and say what to do about it.",
        discussion: """
            Example: framekeeper doctor

            Looks at the configuration, the broker, the services of this node, its cameras and their devices, storage,
            clock and MediaMTX.
            """)

    @OptionGroup var options: CommandOptions

    func perform() async throws(CommandFailure) -> ServiceExit {
        let configuration = try options.configuration()
        var report = DoctorReport()
        let board = await lookAtBus(configuration, &report)
        report.clock(isSynchronized: SystemClock.isSynchronized)
        for storage in Self.storages(configuration) {
            report.storage(storage.path, Self.room(in: storage.path), minFree: storage.retention.minFree)
        }
        for camera in configuration.ownCameras {
            guard case .v4l2(let source) = camera.source.kind else { continue }
            let worker = board.flatMap { DoctorReport.Worker(of: camera.id, on: $0) }
            let path = worker?.device ?? source.path
            report.webcam(
                camera.id, await BlockingThread.run("doctor") { Self.webcam(at: path, source) }, worker: worker)
        }
        if let board {
            let cameras = configuration.ownCameras.map(\.id)
            report.services(board, node: configuration.node, cameras: cameras)
            report.cameras(board, cameras)
        }
        if let settings = configuration.mediaServer {
            let state = board?.mediaServers.first { $0.node == configuration.node }?.mediaServer
            report.mediaServer(
                api: settings.api, await Self.ask(settings), rtsp: settings.rtsp,
                isRTSPOpen: await Self.takesConnections(settings.rtsp), state: state)
        }
        let terminal = Terminal()
        if options.json {
            try terminal.print(json: report.findings)
        } else {
            for line in report.lines { terminal.print(line) }
        }
        return report.isHealthy ? .done : .failed
    }

    private func lookAtBus(
        _ configuration: ClusterConfiguration, _ report: inout DoctorReport
    ) async -> StatusBoard? {
        do throws(CommandFailure) {
            let begin = ServiceClock.now().monotonic
            let board = try await StatusCommand.board(configuration)
            report.brokerAnswers(
                "\(configuration.broker.url)", after: ServiceClock.now().monotonic - begin)
            return board
        } catch {
            report.brokerIsAway(error.message, advice: error.hint)
            return nil
        }
    }

    // MARK: This machine

    private static func storages(_ configuration: ClusterConfiguration) -> [StorageSettings] {
        var found: [StorageSettings] = []
        for storage in [configuration.storage] + configuration.ownCameras.map(\.storage)
        where !found.contains(where: { $0.path == storage.path }) {
            found.append(storage)
        }
        return found
    }

    /// What a user may still write (statvfs(3), `f_bavail`).
    private static func room(in path: String) -> Result<ByteCount, CodedError> {
        var facts = statvfs()
        guard statvfs(path, &facts) == 0 else { return .failure(.lastSystemError("cannot be looked at")) }
        guard access(path, W_OK) == 0 else { return .failure(.lastSystemError("cannot be written")) }
        let unit = Int64(clamping: facts.f_frsize)
        return .success(ByteCount(Int64(clamping: facts.f_bavail).multipliedClamped(by: unit)))
    }

    private static func webcam(at path: String, _ source: SourceAddress.V4L2Source) -> DoctorReport.Webcam {
        switch VideoDevice.look(at: path, wish: source) {
        case nil: return .other
        case .failure(let error)?: return .failed(error)
        case .success(let device)?:
            if case .busy(let holders) = device.availability {
                return .busy(
                    name: device.card, holders: holders.map { DoctorReport.Holder(name: $0.name, pid: $0.pid) })
            }
            let choice = ModeChoice.best(for: ModeWish(source), among: device.modes)
            return .free(name: device.card, mode: choice?.description)
        }
    }

    // MARK: The media server

    private static func ask(_ settings: MediaServerSettings) async -> DoctorReport.MediaServer {
        do throws(MediaServerFault) {
            return .answers(version: try await MediaServerClient(settings).info().version)
        } catch {
            return .silent("\(error)")
        }
    }

    /// A name that does not resolve is a port that takes no connection.
    private static func takesConnections(_ rtsp: String) async -> Bool {
        guard let place = HostAndPort(written: String(rtsp.dropFirst("rtsp://".count)), portDefault: 554) else {
            return false
        }
        return await BlockingThread.run("doctor") { connects(to: place) }
    }

    private static func connects(to place: HostAndPort) -> Bool {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(place.host, String(place.port), &hints, &found) == 0 else { return false }
        defer { freeaddrinfo(found) }
        var next = found
        while let candidate = next {
            let type = candidate.pointee.ai_socktype | Int32(SOCK_CLOEXEC.rawValue)
            let descriptor = socket(candidate.pointee.ai_family, type, 0)
            if descriptor >= 0 {
                defer { close(descriptor) }
                var limit = timeval(tv_sec: 3, tv_usec: 0)
                setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
                if connect(descriptor, candidate.pointee.ai_addr, candidate.pointee.ai_addrlen) == 0 { return true }
            }
            next = candidate.pointee.ai_next
        }
        return false
    }
}
