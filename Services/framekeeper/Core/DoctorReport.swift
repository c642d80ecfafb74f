package import BusContract
package import Domain

/// What `framekeeper doctor` found, and what to do about it. Pure: the command collects the facts, this judges them.
package struct DoctorReport: Sendable, Hashable, Encodable {
    package enum Verdict: String, Sendable, Hashable, Encodable {
        case ok, warning, failed
    }

    package struct Finding: Sendable, Hashable, Encodable {
        package var check: String
        package var verdict: Verdict
        package var detail: String
        /// What a person can do; nil where nothing has to be done.
        package var advice: String?
    }

    /// What the media server itself answers, asked directly.
    package enum MediaServer: Sendable, Hashable {
        case answers(version: String)
        case silent(String)
    }

    package private(set) var findings: [Finding] = []

    package init() {}

    package var isHealthy: Bool { findings.allSatisfy { $0.verdict != .failed } }

    mutating func add(_ check: String, _ verdict: Verdict, _ detail: String, advice: String? = nil) {
        findings.append(Finding(check: check, verdict: verdict, detail: detail, advice: advice))
    }

    // MARK: Checks

    package mutating func brokerAnswers(_ url: String, after roundTrip: Duration) {
        add("broker", .ok, "\(url) answers in \(roundTrip.publishedSeconds) s")
    }

    package mutating func brokerIsAway(_ reason: String, advice: String?) {
        add("broker", .failed, reason, advice: advice)
    }

    /// - Parameter synchronized: whether the kernel says that its clock follows another; nil if it cannot tell.
    package mutating func clock(isSynchronized synchronized: Bool?) {
        switch synchronized {
        case true?: add("clock", .ok, "synchronized")
        case false?:
            add(
                "clock", .warning, "not synchronized; file names and schedules may be off",
                advice: "apt-get install chrony, or systemctl enable --now systemd-timesyncd")
        case nil: add("clock", .warning, "the kernel does not say whether the clock is synchronized")
        }
    }

    package mutating func storage(_ path: String, _ outcome: Result<ByteCount, CodedError>, minFree: ByteCount?) {
        switch outcome {
        case .failure(let error):
            add(
                "storage", .failed, "\(path): \(error)",
                advice: "create the folder and give it to the user that runs Framekeeper, or change storage.path")
        case .success(let free):
            let isLow = minFree.map { free < $0 } ?? false
            add(
                "storage", isLow ? .warning : .ok, "\(path): writable, \(free) free",
                advice: isLow
                    ? "retention will remove the oldest recordings; lower storage.retention.max_age or add room" : nil)
        }
    }

    /// What every node runs beside its workers.
    private static let nodeServices: [ServiceName] = [.rotationService, .configWriter, .healthMonitor, .metrics]

    package mutating func services(_ board: StatusBoard, node: NodeID, cameras: [CameraID]) {
        let expected: [(ServiceName, String)] =
            Self.nodeServices.map { ($0, node.rawValue) } + cameras.map { (.captureWorker, $0.rawValue) }
        let missing = expected.filter { name, instance in
            !board.services.contains {
                $0.service == name && $0.instance.rawValue == instance && $0.presence.state == .online
            }
        }
        guard !missing.isEmpty else { return add("services", .ok, "\(expected.count) online") }
        add(
            "services", .failed, "not there: " + missing.map { "\($0)/\($1)" }.joined(separator: ", "),
            advice: "framekeeper up starts them; its log says why one ends")
    }

    package mutating func cameras(_ board: StatusBoard, _ cameras: [CameraID]) {
        for camera in board.cameras where cameras.contains(camera.camera) {
            if let error = camera.stream?.error ?? camera.recording?.error {
                add(
                    "camera \(camera.camera)", .failed, error.message,
                    advice: Self.advice(on: error, source: camera.stream?.source ?? ""))
            } else if let error = camera.viewing?.error {
                add(
                    "camera \(camera.camera)", .failed, "nobody can watch it: \(error.message)",
                    advice: error.code == .unauthorized
                        ? "allow the user of mediamtx.username the action publish in mediamtx.yml"
                        : "the log of MediaMTX says what it refuses")
            }
        }
    }

    private static func advice(on error: PublishedError, source: String) -> String {
        if source.hasPrefix("v4l2://") { return "framekeeper devices shows what is there and who uses it" }
        return error.code == .unauthorized
            ? "check user and password in its source" : "check that the address answers: ffprobe ADDRESS"
    }

    /// The section `mediamtx`: the server itself, the port where streams go, and what the config-writer says.
    package mutating func mediaServer(
        api: String, _ server: MediaServer, rtsp: String, isRTSPOpen: Bool, state: MediaServerState?
    ) {
        switch server {
        case .answers(let version): add("mediamtx", .ok, "\(api) answers, \(version)")
        case .silent(let reason):
            let hasFallback = state?.mode == .static
            add(
                "mediamtx", hasFallback ? .warning : .failed,
                "\(api): \(reason)" + (hasFallback ? "; paths are written into its file" : ""),
                advice: "set api: yes in mediamtx.yml and allow the user of mediamtx.username the action api")
        }
        if !isRTSPOpen {
            add(
                "mediamtx", .failed, "\(rtsp) takes no connection",
                advice: "set rtsp: yes in mediamtx.yml, and mediamtx.rtsp here to its address")
        }
        guard let state else {
            return add(
                "mediamtx", .failed, "no config-writer says how it fares",
                advice: "framekeeper status shows whether config-writer runs")
        }
        if state.breaker == .open {
            add("mediamtx", .warning, "asked less often after failures" + (state.error.map { ": \($0.message)" } ?? ""))
        }
        if !state.waiting.isEmpty {
            add(
                "mediamtx", .warning,
                "settings wait until nobody uses the path: " + state.waiting.joined(separator: ", "))
        }
    }

    // MARK: Printed

    package var lines: [String] {
        findings.flatMap { finding -> [String] in
            let word = finding.verdict.rawValue
            let space = String(repeating: " ", count: max(1, 9 - word.count))
            let line = "\(word)\(space)\(finding.check): \(finding.detail)"
            return [line] + (finding.advice.map { ["         \($0)"] } ?? [])
        }
    }
}
