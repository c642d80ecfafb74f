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

    @Test("A table fits the terminal, and colour moves nothing", arguments: 1...40)
    func fitted(width: Int) {
        var table = TextTable("NAME", ">FRAMES", "STATE")
        table.add("front", "7", "failed: the disk is full")
        table.add("ä", "12345678", "ok")
        let plain = table.lines(width: width) { $0 }
        #expect(plain.allSatisfy { $0.count <= width && $0.last != " " })
        for (cut, whole) in zip(plain, table.lines) where cut != whole {
            #expect(whole.hasPrefix(cut.last == "…" ? String(cut.dropLast()) : cut))
        }
        let painted = table.lines(width: width) { "<\($0)>" }
        #expect(painted.map { $0.filter { $0 != "<" && $0 != ">" } } == plain)
    }

    @Test(
        "A state's colour follows its first word",
        arguments: [
            ("active h264 640x360", StatusTone.good), ("recording", .good), ("closing", .passing),
            ("failed: storage_full", .bad), ("no worker", .bad), ("worker offline", .bad), ("degraded: slow", .passing),
            ("complete", .good), ("BROKEN", .bad), ("idle", nil), ("front", nil), ("12", nil), ("", nil),
        ] as [(String, StatusTone?)])
    func tones(cell: String, tone: StatusTone?) { #expect(StatusTone(cell: cell) == tone) }

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
            camera.health = CameraHealth(status: .ok)
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
                "CAMERA  HEALTH  STREAM               RECORDING  VIEW                WHY  SINCE      SESSION   SEGMENT"
                    + "  LEASES",
                "front   ok      active h264 640x360  recording  active, 2 watching  -    1m30s ago  12345678        3"
                    + "  manual until 12:31:00",
                "garage  -       no worker            -          -                   -    -          -               -"
                    + "  -",
                "",
                "STORAGE  STATE  RECORDED    FREE      OF  OLDEST",
                "attic    low      5.0 kB  1.0 GB  2.0 GB  -",
                "",
                "MEDIAMTX  STATE  MODE  VERSION  PATHS  VIEWERS  WAITING",
                "attic     ok     api   v1.20.1      1        2  -",
            ])
        #expect(StatusBoard().lines(now: now) == ["no cameras"])
    }

    @Test("A narrow terminal shows how a camera is, and the beginning of why, whatever else there is to say")
    func statusOnNarrowTerminal() throws {
        let now = WallTime(milliseconds: 1_772_368_200_000)
        let front = CameraID(unchecked: "front")
        var board = StatusBoard()
        board.update(front) { camera in
            camera.availability = .online
            camera.stream = StreamState(
                state: .failed, leases: .init(recording: 1), source: "x",
                error: PublishedError(CodedError(.sourceUnavailable, "gone")))
            camera.health = CameraHealth(
                status: .failing, reasons: [.init(.notRecording, String(repeating: "why ", count: 20))])
        }
        let lines = board.lines(now: now, width: 80)
        #expect(lines[0].contains("HEALTH") && lines[0].contains("VIEW") && lines[0].contains("WHY"))
        #expect(lines[1].hasPrefix("front   failing  failed: source_unavailable") && lines[1].contains("why why"))
    }

    @Test(
        "Seconds are written as people say them",
        arguments: [
            (31, "31s"), (31.066, "31s66ms"), (0, "0s"), (-1, "0s"), (5400, "1h30m"), (.nan, "-"),
            (1e300, "104166d16h"),
        ] as [(Double, String)])
    func times(seconds: Double, text: String) { #expect(seconds.asTime == text) }

    @Test("What came over the bus cannot steer the terminal")
    func controls() {
        var table = TextTable("NAME")
        table.add("\u{1B}[2J\u{9B}31mno\nroom\u{7F}ü")
        #expect(table.lines == ["NAME", " [2J 31mno room ü"])
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
