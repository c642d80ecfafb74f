import BusContract
import Domain
import FramekeeperCore
import Testing

@Suite("What a person reads")
struct TextTests {
    @Test("A table is as wide as its widest cells, numbers to the right, no trailing space")
    func table() {
        var table = TextTable("NAME", ">FRAMES", "STATE")
        table.add("front", "7", "ok")
        table.add("b", "12345678", "")
        #expect(
            table.lines == [
                "NAME     FRAMES  STATE",
                "front         7  ok",
                "b      12345678",
            ])
        #expect(TextTable("A", "B").lines == ["A  B"])
    }

    @Test("A progress bar stays within its frame, whatever it is given", arguments: [-1, 0, 0.5, 1, 7, Double.nan])
    func progress(fraction: Double) {
        let text = ProgressBar.text(fraction, "front")
        #expect(text.count == ProgressBar.width + 2 + 1 + 4 + 2 + 5)
        #expect(text.hasPrefix("[") && text.hasSuffix("%  front"))
    }

    @Test("The status of a cluster")
    func status() throws {
        let now = WallTime(milliseconds: 1_772_368_200_000)
        let front = CameraID(unchecked: "front")
        var board = StatusBoard()
        board.expect(CameraID(unchecked: "garage"))
        board.expect(front)
        board.update(front) { camera in
            camera.availability = .online
            camera.stream = StreamState(
                state: .active, leases: .init(recording: 1), source: "x", codec: "h264", width: 640, height: 360)
            camera.recording = RecordingState(
                state: .recording, session: SessionID(high: 0x1234_5678 << 32, low: 0), since: now - .seconds(90),
                leases: [.init(holder: .manual, since: now, until: now + .seconds(60))],
                segment: .init(index: 3, file: "f", startedAt: now))
            camera.viewing = ViewingState(state: .active, viewers: 2)
        }
        board.update(
            NodeID(unchecked: "attic"),
            MediaServerState(
                reachable: true, breaker: .closed, mode: .api, version: "v1.20.1",
                paths: ["front": .init(ready: true, viewers: 2, bytes: 1)]))
        board.update(
            NodeID(unchecked: "attic"),
            StorageState(
                totalBytes: 2_000_000_000, freeBytes: 1_000_000_000, usedBytes: 5000, oldestAt: nil, status: .low))
        #expect(
            board.lines(now: now) == [
                "CAMERA  STREAM               RECORDING  SESSION   SEGMENT  LEASES                 SINCE"
                    + "      VIEW",
                "front   active h264 640x360  recording  12345678        3  manual until 12:31:00  1m30s ago"
                    + "  active, 2 watching",
                "garage  no worker            -          -               -  -                      -          -",
                "",
                "STORAGE  STATE  RECORDED    FREE      OF  OLDEST",
                "attic    low      5.0 kB  1.0 GB  2.0 GB  -",
                "",
                "MEDIAMTX  STATE  MODE  VERSION  PATHS  VIEWERS  WAITING",
                "attic     ok     api   v1.20.1      1        2  -",
            ])
        #expect(StatusBoard().lines(now: now) == ["no cameras"])
    }

    @Test("A service that comes again takes the place of its old line")
    func services() {
        let now = WallTime(milliseconds: 1_772_368_200_000)
        var board = StatusBoard()
        let address = ServiceAddress(.rotationService, InstanceID(unchecked: "attic"))
        for state in [ServiceState.Presence.online, .offline] {
            board.update(
                address,
                ServiceState(
                    state: state, version: "1", node: NodeID(unchecked: "attic"), pid: 7, startedAt: now, session: "s"))
        }
        #expect(board.services.count == 1)
        #expect(board.services.first?.presence.state == .offline)
    }
}
