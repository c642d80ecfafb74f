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
                "NODE          NAME       FORMATS                                     STATE               SOURCE",
                "/dev/video0   HD Webcam  MJPG 1920x1080@30, YUYV 640x480@12.5, H264  free                v"
                    + "4l2:///dev/video0?size=1280x720&fps=30",
                "/dev/video10  Desk       -                                           busy: vlc (pid 12)  -",
                "/dev/video11  -          -                                           no permission       -",
            ])
    }

    @Test("No camera is said in a sentence")
    func none() {
        #expect(DeviceList(devices: []).lines == ["no cameras: there is no /dev/video* that gives pictures"])
    }

    @Test("The doctor judges a webcam by what it is and who has it")
    func doctor() {
        let front = CameraID(unchecked: "front")
        let cases: [(DoctorReport.Webcam, DoctorReport.Verdict, String)] = [
            (.free(name: "Cam", mode: "MJPG 1280x720 at 30 fps"), .ok, "Cam: MJPG 1280x720 at 30 fps"),
            (.free(name: "Cam", mode: nil), .failed, "Cam has no format that is read here"),
            (.busy(name: "Cam", holders: ["capture-worker (pid 7)"]), .ok, "Cam, open by its worker"),
            (.busy(name: "Cam", holders: ["vlc (pid 8)"]), .failed, "Cam is in use by vlc (pid 8)"),
            (.busy(name: "Cam", holders: []), .failed, "Cam is in use by somebody"),
            (.other, .failed, "gives no pictures: metadata, an output or a codec"),
            (.failed(CodedError(.unauthorized, "no permission")), .failed, "no permission"),
        ]
        for (webcam, verdict, detail) in cases {
            var report = DoctorReport()
            report.webcam(front, webcam, ownWorker: "capture-worker")
            #expect(report.findings.map(\.check) == ["device of front"])
            #expect(report.findings.map(\.verdict) == [verdict] && report.findings.map(\.detail) == [detail])
            #expect((report.findings.first?.advice == nil) == (verdict == .ok))
        }
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
