internal import Domain

/// Every message on the bus, once: what the reference prints and what the golden tests check. A message that is
/// missing here fails a test.
package enum MessageRegistry {
    /// One message type with what a reader wants to know of it.
    package struct Entry: Sendable {
        package var type: any BusMessage.Type
        package var sender: String
        package var sentence: String
        /// Payloads as they stand on the bus; the first of a state or event is complete.
        package var examples: [String]
        /// The result in the reply to a command, as JSON.
        package var result: String?

        init(
            _ type: any BusMessage.Type, from sender: String, _ sentence: String, _ examples: String...,
            result: String? = nil
        ) {
            self.type = type
            self.sender = sender
            self.sentence = sentence
            self.examples = examples
            self.result = result
        }
    }

    package static let all: [Entry] =
        cameraStates + viewStates + cameraEvents + commands + nodeStates + configuration
        + health

    private static let worker = ServiceName.captureWorker.rawValue
    private static let rotation = ServiceName.rotationService.rawValue
    /// The envelope of all examples.
    private static let at = #""at":"2026-03-01T12:30:00.250Z""#
    private static let seq = #""seq":1772368200250001"#
    private static let session = #""session":"0123456789abcdef0123456789abcdef""#

    private static let cameraStates = [
        Entry(
            CameraAvailability.self, from: "\(worker), or the broker by its last will",
            "Whether the camera's worker is there, in one word.", "online", "offline"),
        Entry(
            StreamState.self, from: worker,
            "The live pipeline: what the source delivers, who needs it, and when it closes or is tried again.",
            #"{\#(at),"codec":"h264","fps":29.97,"height":1080,"leases":{"recording":1,"snapshot":0,"viewing":2},"#
                + #""restarts":1,\#(seq),"source":"rtsp://10.0.0.7/stream","started_in_seconds":0.412,"#
                + #""state":"active","width":1920}"#,
            #"{\#(at),"codec":"h264","fps":30,"height":720,"input":{"device":"/dev/video0","encoder":"libx264","#
                + #""format":"MJPG","fps":30,"height":720,"wanted":"1920x1080","width":1280},"leases":"#
                + #"{"recording":1,"snapshot":0,"viewing":0},"restarts":0,\#(seq),"#
                + #""source":"v4l2:///dev/v4l/by-id/usb-cam-index0","started_in_seconds":0.3,"state":"active","#
                + #""width":1280}"#,
            #"{\#(at),"error":{"code":"source_unavailable","message":"connection refused"},"leases":"#
                + #"{"recording":1,"snapshot":0,"viewing":0},"restarts":4,"retry_at":"2026-03-01T12:30:08.250Z","#
                + #"\#(seq),"source":"rtsp://10.0.0.7/stream","state":"failed"}"#,
            #"{\#(at),"closes_at":"2026-03-01T12:35:00.250Z","leases":{"recording":0,"snapshot":0,"viewing":0},"#
                + #""restarts":0,\#(seq),"source":"test://pattern","state":"closing"}"#),
        Entry(
            RecordingState.self, from: worker,
            "The recording session: whether there is one, since when, for whom, and the file that is open.",
            #"{\#(at),"leases":[{"holder":"manual","since":"2026-03-01T12:00:00.000Z"},{"holder":"motion:hall","#
                + #""since":"2026-03-01T12:29:00.000Z","until":"2026-03-01T12:39:00.000Z"}],"preroll_seconds":5,"#
                + #""segment":{"file":"front/2026-03-01/12-30-00.000Z_01234567_3.partial.mp4","index":3,"#
                + #""started_at":"2026-03-01T12:30:00.000Z"},\#(seq),\#(session),"since":"2026-03-01T12:00:00.000Z","#
                + #""state":"recording"}"#,
            #"{\#(at),"leases":[],\#(seq),"state":"off"}"#),
        Entry(
            StreamStats.self, from: "\(worker), every 2 s while the stream is active", "How the pipeline fares.",
            #"{\#(at),"bitrate_bps":4000000,"bytes_total":15000000,"cpu_seconds":1.5,"dropped_total":0,"fps":30,"#
                + #""frames_total":900,"gop_seconds":2,"max_interarrival_seconds":0.041,"#
                + #""part_write_seconds_p99":0.003,"preroll_dropped_groups_total":0,"publish_dropped_total":0,"#
                + #""queue_depth":1,"rss_bytes":19000000,\#(seq),"timestamps_repaired_total":2,"#
                + #""written_bytes_total":14980000}"#),
    ]

    private static let brightness =
        #"{"default":128,"inactive":false,"kind":"number","max":255,"min":0,"name":"brightness","step":1,"#
        + #""value":140}"#

    private static let viewStates = [
        Entry(
            ControlsState.self, from: worker,
            "What a webcam lets one turn, and how it stands; with the wishes that it did not take when it was opened.",
            #"{\#(at),"controls":[\#(brightness),{"default":3,"inactive":false,"kind":"menu","max":3,"#
                + #""menu":[{"name":"Manual Mode","value":1},{"name":"Aperture Priority Mode","value":3}],"min":0,"#
                + #""name":"auto_exposure","step":1,"value":3}],"refused":[{"message":"brightness: expected 0 to 255","#
                + #""name":"brightness"}],\#(seq)}"#),
        Entry(
            ViewingState.self, from: worker, "Live view: who holds it open, who watches, and where a player finds it.",
            #"{\#(at),"leases":[{"holder":"mediamtx","since":"2026-03-01T12:29:00.000Z","#
                + #""until":"2026-03-01T12:34:00.000Z"}],\#(seq),"state":"active","#
                + #""urls":["rtsp://10.0.0.2:8554/front"],"viewers":2}"#,
            #"{\#(at),"closes_at":"2026-03-01T12:35:00.250Z","leases":[],\#(seq),"state":"closing","#
                + #""urls":["rtsp://10.0.0.2:8554/front"],"viewers":0}"#,
            #"{\#(at),"leases":[],\#(seq),"state":"off","urls":[]}"#),
        Entry(
            SnapshotState.self, from: worker, "The last snapshot: its file, its moment, its size.",
            #"{\#(at),"bytes":48211,"captured_at":"2026-03-01T12:30:00.100Z","#
                + #""file":"front/snapshots/2026-03-01T12-30-00.100Z.jpg","height":360,\#(seq),"#
                + #""took_seconds":0.018,"width":640}"#),
        Entry(
            SnapshotImage.self, from: worker,
            "The last snapshot itself: a JPEG file, nothing around it; of one above 4 MiB, a coarser copy."),
    ]

    private static let cameraEvents = [
        Entry(
            SegmentEvent.self, from: worker, "A file was opened or closed; the ledger is built from these.",
            #"{\#(at),"bytes":900123,"duration_seconds":1800.033,"ended_at":"2026-03-01T12:30:00.033Z","#
                + #""event":"closed","file":"front/2026-03-01/12-00-00.000Z_01234567_2.mp4","first_frame":3600,"#
                + #""frames":54001,"index":2,"last_frame":57600,"node":"attic","offset_seconds":0.033,"#
                + #""reason":"rotation",\#(seq),\#(session),"started_at":"2026-03-01T12:00:00.000Z"}"#,
            #"{\#(at),"event":"opened","file":"front/2026-03-01/12-30-00.033Z_01234567_3.partial.mp4","#
                + #""first_frame":57601,"index":3,"node":"attic","offset_seconds":0.033,\#(seq),\#(session),"#
                + #""started_at":"2026-03-01T12:30:00.033Z"}"#),
        Entry(
            GapEvent.self, from: "\(worker), \(rotation)",
            "A span of a session without frames, told when it has ended.",
            #"{\#(at),"cause":"source_stalled","frames_lost":12,"from":"2026-03-01T12:10:00.000Z","seconds":2.5,"#
                + #"\#(seq),\#(session),"to":"2026-03-01T12:10:02.500Z"}"#),
        Entry(
            CameraErrorEvent.self, from: "any service",
            "A refused command that named no place for the answer, or a fault worth telling.",
            #"{\#(at),"code":"invalid_argument","message":"duration: must be more than zero","request_id":"a1","#
                + #"\#(seq)}"#),
    ]

    private static let segmentExample =
        #""segment":{"file":"front/2026-03-01/12-30-00.000Z_01234567_3.partial.mp4","index":3,"#
        + #""started_at":"2026-03-01T12:30:00.000Z"}"#

    private static let commands = [
        Entry(
            RecordingCommand.self, from: "anyone",
            "Takes, extends or ends a recording lease. Without a duration it holds until it is stopped; a stop "
                + "without a holder ends all leases.",
            "ON", "OFF", #"{"command":"start","duration":"10m","holder":"motion:hall","preroll":"5s"}"#,
            #"{"command":"stop","holder":"motion:hall"}"#,
            result: #"{"camera":"front","preroll_seconds":5,\#(segmentExample),\#(session),"#
                + #""started_in_seconds":0.212,"state":"recording"}"#),
        Entry(
            ViewingCommand.self, from: "anyone, config-writer for the media server's viewers",
            "Takes, extends or ends a lease on live view, as `recording/set` does on recording.", "ON", "OFF",
            #"{"command":"start","duration":"5m","holder":"mediamtx"}"#, #"{"command":"stop","holder":"mediamtx"}"#,
            result: #"{"camera":"front","started_in_seconds":0.412,"state":"active","#
                + #""urls":["rtsp://10.0.0.2:8554/front"]}"#),
        Entry(
            SnapshotCommand.self, from: "anyone",
            "Takes a picture now: an empty payload, `PRESS`, or an object with width, quality and the age that the "
                + "picture may have. An idle camera is started for it.",
            "PRESS", #"{"max_age":"1s","quality":85,"width":640}"#,
            result: #"{"bytes":48211,"camera":"front","captured_at":"2026-03-01T12:30:00.100Z","#
                + #""file":"front/snapshots/2026-03-01T12-30-00.100Z.jpg","height":360,"took_seconds":0.018,"#
                + #""width":640}"#),
        Entry(
            RotationCommand.self, from: "\(rotation), anyone",
            "Ends the open segment at the first key frame at or after the moment; without one, now.",
            "ROTATE", #"{"at":"2026-03-01T12:30:00.000Z","command":"rotate"}"#,
            result: #"{"camera":"front","offset_seconds":0.033,"rotated":true,\#(segmentExample),\#(session)}"#),
        Entry(
            RestartCommand.self, from: "health-monitor, anyone",
            "Restarts the source; the recording session goes on. With `if_restarts`, only if the source has been "
                + "restarted just so often, so that two askers do not restart it twice.",
            "RESTART", #"{"command":"restart","if_restarts":1,"reason":"no frame for 6 s"}"#,
            result: #"{"camera":"front","restarts":2}"#),
        Entry(
            ControlsCommand.self, from: "anyone",
            "Turns controls of a webcam by their names in `controls`: a number, true or false, the words of a menu, or "
                + "`default`. They hold until the worker ends; lasting ones stand in the configuration. An empty "
                + "object changes nothing and is answered as well.",
            #"{"auto_exposure":"Manual Mode","brightness":140,"white_balance_automatic":false}"#, "{}",
            result: #"{"camera":"front","controls":[\#(brightness)]}"#),
        Entry(
            StorageCommand.self, from: "anyone", "Compares files and ledger now and mends what differs.",
            "REPAIR", #"{"command":"repair"}"#,
            result: #"{"imported":1,"missing":0,"node":"attic","quarantined":0,"recovered":1,"segments":96}"#),
    ]

    private static let nodeStates = [
        Entry(
            RotationState.self, from: rotation,
            "The plan of a camera's boundaries. Workers follow it by themselves, also when nobody reminds them.",
            #"{"align":"clock",\#(at),"interval_seconds":1800,"last":{"at":"2026-03-01T12:00:00.000Z","#
                + #""offset_seconds":0.033},"next_at":"2026-03-01T12:30:00.000Z",\#(seq),"stagger_seconds":0}"#),
        Entry(
            StorageState.self, from: rotation, "The folder that holds a node's recordings.",
            #"{\#(at),"free_bytes":400000000000,"min_free_bytes":20000000000,"#
                + #""oldest_at":"2026-02-01T00:00:00.000Z",\#(seq),"status":"ok","#
                + #""total_bytes":1000000000000,"used_bytes":500000000000}"#),
        Entry(
            ServiceState.self, from: "each service, or the broker by its last will",
            "Presence. `session` is random per connection: an `offline` of another session than the present one is "
                + "late and to be ignored. `orderly` tells a process that was asked to end from one whose last will it "
                + "is.",
            #"{\#(at),"node":"attic","pid":4711,\#(seq),"session":"89abcdef01234567","#
                + #""started_at":"2026-03-01T11:59:58.000Z","state":"online","version":"0.1.0"}"#,
            #"{\#(at),"node":"attic","orderly":true,"pid":4711,\#(seq),"session":"89abcdef01234567","#
                + #""started_at":"2026-03-01T11:59:58.000Z","state":"offline","version":"0.1.0"}"#),
    ]

    private static let healthMonitor = ServiceName.healthMonitor.rawValue

    private static let health = [
        Entry(
            CameraHealth.self, from: healthMonitor,
            "The verdict on a camera: `ok`, `degraded`, `failing`, `offline` or `unknown`, with every reason, and what "
                + "the health-monitor has done about it.",
            #"{\#(at),"backoff_until":"2026-03-01T12:30:20.200Z","breaker":"closed","failure_probability":0.07,"#
                + #""horizon_seconds":3600,"last_restart":{"at":"2026-03-01T12:29:50.200Z","outcome":"done","reason":"#
                + #"{"code":"stalled","message":"no frame for more than 6s"}},"reasons":[{"code":"stalled","message":"#
                + #""no frame for more than 6s"}],"restarts_1h":1,\#(seq),"status":"failing"}"#,
            #"{\#(at),"breaker":"closed","reasons":[],"restarts_1h":0,\#(seq),"status":"ok"}"#),
        Entry(
            ServiceHealth.self, from: healthMonitor, "The verdict on a process.",
            #"{\#(at),"reasons":[{"code":"service_offline","message":"its process is not there"}],"#
                + #""restarts_1h":2,\#(seq),"status":"offline"}"#),
        Entry(
            NodeHealth.self, from: healthMonitor, "The verdict on a host: its clock, and when its disk will be full.",
            #"{\#(at),"clock_offset_seconds":-0.1,"disk_full_at":"2026-03-01T15:30:00.000Z","reasons":[{"code":"#
                + #""disk_full_soon","message":"its disk will be full at 2026-03-01T15:30Z if it goes on so"}],"#
                + #"\#(seq),"status":"degraded"}"#),
        Entry(
            HealthLeader.self, from: healthMonitor,
            "Which of several health-monitors speaks and acts. It renews its lease every 3 s; who has heard nothing of "
                + "it for `lease_seconds` takes over with the next term.",
            #"{\#(at),"instance":"attic","lease_seconds":10,"renewal":412,\#(seq),"term":3}"#),
    ]

    private static let configWriter = ServiceName.configWriter.rawValue

    private static let pending =
        #""pending":{"reason":"it would interrupt the recording of front","revision":8,"waits_for":["front"]}"#

    private static let configuration = [
        Entry(
            ConfigState.self, from: configWriter,
            "The configuration in force, what is wrong with a newer text, and what a change waits for.",
            #"{"applied_at":"2026-03-01T12:00:00.000Z",\#(at),"errors":[],"file_differs":false,"node":"attic","#
                + #"\#(pending),"revision":7,\#(seq),"valid":true}"#,
            #"{"applied_at":"2026-03-01T12:00:00.000Z",\#(at),"errors":["framekeeper.yml:12:5: cameras.front.sorce: "#
                + #"no such key; did you mean \"source\"?"],"file_differs":true,"node":"attic","revision":7,\#(seq),"#
                + #""valid":false}"#),
        Entry(
            CameraConfigState.self, from: configWriter, "A camera's settings as they hold; secrets by name only.",
            #"{\#(at),"audio":true,"close_after_seconds":{"recording":0,"snapshot":60,"viewing":300},"#
                + #""groups":["outside"],"node":"attic","preroll_seconds":5,"record":"on_request","revision":7,"#
                + #""rotation":{"align":"clock","interval_seconds":1800},"secrets":["FRONT_PASSWORD"],\#(seq),"#
                + #""source":"rtsp://10.0.0.7/stream"}"#),
        Entry(
            MediaServerState.self, from: configWriter, "The media server beside a node, and who watches there.",
            #"{\#(at),"breaker":"closed","mode":"api","paths":{"front_door":{"bytes":1200345,"ready":true,"#
                + #""viewers":2}},"reachable":true,\#(seq),"version":"v1.20.1","waiting":[]}"#,
            #"{\#(at),"breaker":"open","error":{"code":"media_server_unavailable","message":"connection refused"},"#
                + #""mode":"static","paths":{},"reachable":false,\#(seq),"waiting":[]}"#),
        Entry(
            ConfigCommand.self, from: "anyone",
            "Puts a text in force, says what is wrong with it, or goes back to an earlier revision. Without a text, "
                + "the file as it stands. A change that would interrupt a recording waits for its end, unless `now`. "
                + "`node` names one node; `who` and `why` are for the history. A text that does not load is refused, "
                + "with every error in the result.",
            "APPLY", "VALIDATE", "ROLLBACK",
            #"{"command":"apply","node":"attic","now":true,"text":"cameras: {}\n","who":"anna","why":"no cameras"}"#,
            #"{"command":"validate","text":"cameras: {}\n"}"#, #"{"command":"rollback","revision":6}"#,
            result: #"{"errors":[],"node":"attic",\#(pending),"revision":7,"valid":true}"#),
        Entry(
            MediaServerCommand.self, from: "\(worker), anyone",
            "Looks at the media server now and answers who watches.",
            "LOOK", #"{"camera":"front","command":"look"}"#,
            result: #"{"node":"attic","paths":{"front":{"bytes":1200345,"ready":true,"viewers":2}}}"#),
    ]
}
