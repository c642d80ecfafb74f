import BusContract
import Domain
import FramekeeperCore
import Testing

@Suite("What the doctor finds")
struct DoctorReportTests {
    private let node = NodeID(unchecked: "attic")
    private let front = CameraID(unchecked: "front")

    private static let nodeServices: [ServiceName] = [.rotationService, .configWriter, .healthMonitor, .metrics]

    private func presence(_ name: ServiceName, _ instance: String, into board: inout StatusBoard) {
        board.update(
            ServiceAddress(name, InstanceID(unchecked: instance)),
            ServiceState(
                state: .online, version: "1", node: node, pid: 1, startedAt: WallTime(milliseconds: 0), session: "s"))
    }

    @Test("A healthy node is said to be one")
    func healthy() {
        var board = StatusBoard()
        for name in Self.nodeServices { presence(name, "attic", into: &board) }
        presence(.captureWorker, "front", into: &board)
        var report = DoctorReport()
        report.brokerAnswers("embedded", after: .milliseconds(3))
        report.clock(isSynchronized: true)
        report.storage("/srv", .success(ByteCount(9_000_000_000)), minFree: ByteCount(5_000_000_000))
        report.services(board, node: node, cameras: [front])
        report.cameras(board, [front])
        report.mediaServer(
            api: "http://127.0.0.1:9997", .answers(version: "v1.20.1"), rtsp: "rtsp://127.0.0.1:8554", isRTSPOpen: true,
            state: MediaServerState(reachable: true, breaker: .closed, mode: .api))
        #expect(report.isHealthy && report.findings.allSatisfy { $0.verdict == .ok && $0.advice == nil })
        #expect(report.lines.first == "ok       broker: embedded answers in 0.003 s")
    }

    @Test("What is wrong is named with what to do about it")
    func sick() {
        var board = StatusBoard()
        presence(.captureWorker, "front", into: &board)
        board.update(front) {
            $0.stream = StreamState(
                state: .failed, leases: .init(), source: "rtsp://h",
                error: PublishedError(CodedError(.unauthorized, "401")))
        }
        var report = DoctorReport()
        report.brokerIsAway("no broker", advice: "start it")
        report.clock(isSynchronized: false)
        report.storage("/srv", .failure(CodedError(.storageFailed, "cannot be written")), minFree: nil)
        report.services(board, node: node, cameras: [front])
        report.cameras(board, [front])
        report.mediaServer(
            api: "http://h:1", .silent("refuses"), rtsp: "rtsp://h:2", isRTSPOpen: false, state: nil)
        #expect(!report.isHealthy)
        #expect(report.findings.allSatisfy { $0.verdict != .ok && $0.advice != nil })
        #expect(report.findings.contains { $0.detail.contains("config-writer/attic") })
        #expect(report.findings.contains { $0.check == "camera front" && $0.advice?.contains("password") == true })
    }

    @Test("Each process that a node runs is missed", arguments: nodeServices)
    func missing(service: ServiceName) {
        var board = StatusBoard()
        for name in Self.nodeServices where name != service { presence(name, "attic", into: &board) }
        // Of another node.
        presence(service, "cellar", into: &board)
        var report = DoctorReport()
        report.services(board, node: node, cameras: [])
        #expect(!report.isHealthy)
        #expect(report.findings.map(\.detail) == ["not there: \(service)/attic"])
    }

    @Test("A camera that records and that nobody can watch is not well")
    func refusedPublisher() {
        var board = StatusBoard()
        board.update(front) {
            $0.viewing = ViewingState(state: .failed, error: PublishedError(CodedError(.unauthorized, "401")))
        }
        var report = DoctorReport()
        report.cameras(board, [front])
        #expect(!report.isHealthy)
        #expect(report.findings.map(\.check) == ["camera front"])
        #expect(report.findings.first?.advice?.contains("publish") == true)
    }

    @Test("A fallback that works is a warning, and what waits is told")
    func fallback() {
        var report = DoctorReport()
        report.mediaServer(
            api: "http://h:1", .silent("refuses"), rtsp: "rtsp://h:2", isRTSPOpen: true,
            state: MediaServerState(
                reachable: false, breaker: .open, mode: .static, waiting: ["front"],
                error: PublishedError(CodedError(.mediaServerUnavailable, "refused"))))
        #expect(report.isHealthy)
        #expect(report.findings.map(\.verdict) == [.warning, .warning, .warning])
    }
}
