import BusContract
import Domain
import FramekeeperCore
import Testing

@Suite("Cameras of this machine, for people")
struct DeviceListTests {
    private static func device() -> DeviceList.Device {
        var device = DeviceList.Device(node: "/dev/video0", state: .free)
        device.name = "HD Webcam"
        device.source = "v4l2:///dev/video0?size=1280x720&fps=30"
        device.formats = [
            DeviceList.Format(
                format: "MJPG", kind: .mjpeg, emulated: false,
                sizes: [.init(width: 1280, height: 720, fps: [60, 30]), .init(width: 1920, height: 1080, fps: [30])]),
            DeviceList.Format(
                format: "YUYV", kind: .raw, emulated: false,
                sizes: [.init(width: 1280, height: 720, maxWidth: 640, maxHeight: 480, fps: [12.5])]),
            DeviceList.Format(format: "H264", kind: .h264, emulated: false, sizes: []),
            DeviceList.Format(
                format: "YU12", kind: .raw, emulated: true, sizes: [.init(width: 8, height: 8, fps: [])]),
        ]
        return device
    }

    @Test("A camera is one line: the largest size of each format, and what to write into the file")
    func table() {
        var busy = DeviceList.Device(node: "/dev/video10", state: .busy)
        busy.name = "Desk"
        busy.heldBy = ["vlc (pid 12)"]
        var denied = DeviceList.Device(node: "/dev/video11", state: .failed)
        denied.error = "no permission"
        #expect(
            DeviceList(devices: [Self.device(), busy, denied]).lines == [
                "NODE          NAME       FORMATS                                STATE               SOURCE",
                "/dev/video0   HD Webcam  MJPG 1920x1080@30, YUYV 640x480, H264  free                v"
                    + "4l2:///dev/video0?size=1280x720&fps=30",
                "/dev/video10  Desk       -                                      busy: vlc (pid 12)  -",
                "/dev/video11  -          -                                      no permission       -",
            ])
    }

    @Test("No camera is said in a sentence")
    func none() {
        #expect(DeviceList(devices: []).lines == ["no cameras: there is no /dev/video* that gives pictures"])
    }

    @Test("The doctor judges a webcam by what it is and who has it")
    func doctor() {
        typealias Holder = DoctorReport.Holder
        let idle = DoctorReport.Worker(pid: 7)
        let active = DoctorReport.Worker(pid: 7, device: "/dev/video3")
        let denied = CodedError(.unauthorized, "no permission")
        let cases: [(DoctorReport.Webcam, DoctorReport.Worker?, DoctorReport.Verdict, String)] = [
            (.free(name: "Cam", mode: "MJPG 1280x720 at 30 fps"), idle, .ok, "Cam: MJPG 1280x720 at 30 fps"),
            (.free(name: "Cam", mode: nil), idle, .failed, "Cam has no format that is read here"),
            (.busy(name: "Cam", holders: [Holder(name: "w", pid: 7)]), idle, .ok, "Cam, open by its worker"),
            (.busy(name: "Cam", holders: [Holder(name: "vlc", pid: 8)]), idle, .failed, "Cam is in use by vlc (pid 8)"),
            // The worker of another camera is not its own.
            (
                .busy(name: "Cam", holders: [Holder(name: "capture-worker", pid: 9)]), idle, .failed,
                "Cam is in use by capture-worker (pid 9)"
            ),
            (
                .busy(name: "Cam", holders: [Holder(name: "capture-worker", pid: 7)]), nil, .ok,
                "Cam, open by a worker"
            ),
            (.busy(name: "Cam", holders: []), idle, .failed, "Cam is in use by somebody"),
            // Its worker may be another user's, and cannot be seen then.
            (.busy(name: "Cam", holders: []), active, .ok, "Cam, /dev/video3, open by its worker"),
            (.failed(denied), active, .ok, "/dev/video3, open by its worker"),
            (.other, idle, .failed, "gives no pictures: metadata, an output or a codec"),
            (.failed(denied), idle, .failed, "no permission"),
        ]
        for (webcam, worker, verdict, detail) in cases {
            var report = DoctorReport()
            report.webcam(CameraID(unchecked: "front"), webcam, worker: worker)
            #expect(report.findings.map(\.check) == ["device of front"])
            #expect(report.findings.map(\.verdict) == [verdict] && report.findings.map(\.detail) == [detail])
            #expect((report.findings.first?.advice == nil) == (verdict == .ok))
        }
    }

    @Test("What the bus says of a camera's worker counts while that is there")
    func worker() {
        let front = CameraID(unchecked: "front")
        var board = StatusBoard()
        #expect(DoctorReport.Worker(of: front, on: board) == nil)
        func present(_ instance: String, pid: Int32, _ state: ServiceState.Presence = .online) {
            board.update(
                ServiceAddress(.captureWorker, InstanceID(unchecked: instance)),
                ServiceState(
                    state: state, version: "1", node: NodeID(unchecked: "attic"), pid: pid,
                    startedAt: WallTime(milliseconds: 0), session: "s"))
        }
        func stream(_ phase: StreamState.Phase) {
            let input = StreamState.Input(device: "/dev/video3", format: "MJPG", width: 1280, height: 720, fps: 30)
            board.update(front) {
                $0.stream = StreamState(state: phase, leases: .init(), source: "v4l2:///dev/video0", input: input)
            }
        }
        present("back", pid: 9)
        stream(.active)
        #expect(DoctorReport.Worker(of: front, on: board) == nil, "another camera's is not its own")
        present("front", pid: 7)
        #expect(DoctorReport.Worker(of: front, on: board) == DoctorReport.Worker(pid: 7, device: "/dev/video3"))
        stream(.failed)
        #expect(DoctorReport.Worker(of: front, on: board) == DoctorReport.Worker(pid: 7))
        stream(.active)
        present("front", pid: 7, .offline)
        #expect(DoctorReport.Worker(of: front, on: board) == nil)
    }

    @Test("A webcam that failed is not to be looked for with ffprobe")
    func advice() throws {
        var board = StatusBoard()
        let front = CameraID(unchecked: "front")
        board.update(front) {
            $0.stream = StreamState(
                state: .failed, leases: .init(), source: "v4l2:///dev/video0",
                error: PublishedError(CodedError(.unauthorized, "no permission")))
        }
        var report = DoctorReport()
        report.cameras(board, [front])
        #expect(report.findings.first?.advice == "framekeeper devices shows what is there and who uses it")
    }
}
