internal import BusContract
package import Domain

/// The series. Every name that the Grafana dashboard and the alert rules use is one of these; a test compares them.
extension MetricsCore {
    /// What Prometheus reads.
    package func exposition(at now: Now, own: ProcessCost?) -> String {
        var page = Exposition()
        let boards = cameras.sorted { $0.key < $1.key }.map { (camera: $0.key.rawValue, board: $0.value) }
        describeService(&page, own)
        describeBus(&page)
        describeStreams(&page, boards)
        describeStats(&page, boards, at: now)
        describeRecordings(&page, boards, at: now)
        describeEvents(&page, boards)
        describeHealth(&page, boards)
        describeNodes(&page)
        return page.text
    }

    typealias Boards = [(camera: String, board: CameraBoard)]

    // MARK: The service

    private func describeService(_ page: inout Exposition, _ own: ProcessCost?) {
        page.family("build_info", .gauge, "The version that runs; always 1.") { $0.add(1.0, [("version", version)]) }
        page.family("cameras", .gauge, "Cameras that are known, by where they were learned.") { family in
            family.add(UInt64(configured.count), [("origin", "configured")])
            family.add(UInt64(max(cameras.count - configured.count, 0)), [("origin", "bus")])
        }
        page.value(
            "ignored_messages_total", .counter, "Messages of cameras and nodes beyond the most that are kept.",
            Double(ignored))
        page.family("http_requests_total", .counter, "Answers over HTTP, by the hundred of their status.") { family in
            for (hundred, count) in requests.sorted(by: { $0.key < $1.key }) {
                family.add(count, [("status", "\(hundred)xx")])
            }
        }
        page.value("http_connections", .gauge, "Connections that are open.", Double(connections.open))
        page.value(
            "http_event_listeners", .gauge, "Connections that listen for events.", Double(connections.listeners))
        page.value(
            "history_samples_total", .counter, "Samples that were written to the history.", Double(historyWritten))
        page.value(
            "history_failures_total", .counter, "Batches that could not be written to the history.",
            Double(historyFailures))
        let costs = processes + (own.map { [$0] } ?? [])
        page.family(
            "service_cpu_seconds_total", .counter, "User and system time of a service of this node since its start."
        ) { family in
            for cost in costs { family.add(cost.cpuSeconds, [("service", cost.service.rawValue)]) }
        }
        page.family("service_resident_memory_bytes", .gauge, "Resident memory of a service of this node.") { family in
            for cost in costs { family.add(cost.residentBytes, [("service", cost.service.rawValue)]) }
        }
    }

    private func describeBus(_ page: inout Exposition) {
        page.value(
            "bus_connected", .gauge, "Whether there is a connection to the broker.", isBusConnected ? 1 : 0)
        page.family("bus_roundtrip_seconds", .histogram, "The way to the broker and back, by a heartbeat.") {
            $0.add(roundtrip)
        }
        page.value("bus_last_roundtrip_seconds", .gauge, "The last heartbeat's way.", lastRoundtrip)
        page.value(
            "bus_heartbeats_lost_total", .counter, "Heartbeats that did not come back.", Double(heartbeatsLost))
        page.value("bus_messages_total", .counter, "Messages that were taken in.", Double(messages))
        page.value(
            "bus_unreadable_messages_total", .counter, "Messages that were not what their topic carries.",
            Double(unreadable))
        page.family("command_seconds", .histogram, "From a command over HTTP to its answer on the bus.") { family in
            for noun in ControlNoun.allCases {
                if let histogram = commands[noun] { family.add(histogram, [("command", noun.rawValue)]) }
            }
        }
        page.family("command_errors_total", .counter, "Commands over HTTP that were refused or failed.") { family in
            for code in ErrorCode.allCases {
                if let count = commandErrors[code] { family.add(count, [("code", code.rawValue)]) }
            }
        }
        let states = configurations.sorted { $0.key < $1.key }.map(\.value.state)
        page.family("config_revision", .gauge, "The revision of the configuration that is in force.") { family in
            for state in states { family.add(Double(state.revision), [("node", state.node.rawValue)]) }
        }
        page.family("config_valid", .gauge, "Whether the newest text of the configuration is fit to be in force.") {
            family in
            for state in states { family.add(state.valid ? 1.0 : 0.0, [("node", state.node.rawValue)]) }
        }
    }

    // MARK: Streams

    private func describeStreams(_ page: inout Exposition, _ boards: Boards) {
        page.family("camera_online", .gauge, "Whether the camera's worker is there.") { family in
            for (camera, board) in boards { family.add(board.isOnline ? 1.0 : 0.0, [("camera", camera)]) }
        }
        page.family("stream_state", .gauge, "The state of the live pipeline.") { family in
            for (camera, board) in boards {
                if let stream = board.stream { family.add(stream.state, "state", [("camera", camera)]) }
            }
        }
        page.family("stream_activation_seconds", .histogram, "From the wish for a stream to its first key frame.") {
            family in
            for (camera, board) in boards { family.add(board.activations, [("camera", camera)]) }
        }
        page.family("stream_restarts_total", .counter, "Restarts of the source since the worker's start.") { family in
            for (camera, board) in boards {
                if let stream = board.stream { family.add(Double(stream.restarts), [("camera", camera)]) }
            }
        }
        page.family("leases", .gauge, "Claims on the stream, by what it is wanted for.") { family in
            for (camera, board) in boards {
                guard let leases = board.stream?.leases else { continue }
                family.add(Double(leases.recording), [("camera", camera), ("use", "recording")])
                family.add(Double(leases.viewing), [("camera", camera), ("use", "viewing")])
                family.add(Double(leases.snapshot), [("camera", camera), ("use", "snapshot")])
            }
        }
        page.family("viewers", .gauge, "Readers that the media server counts.") { family in
            for (camera, board) in boards {
                if let viewers = board.viewers { family.add(Double(viewers), [("camera", camera)]) }
            }
        }
    }

    private func describeStats(_ page: inout Exposition, _ boards: Boards, at now: Now) {
        let running = boards.compactMap { camera, board in
            board.currentStats(at: now.monotonic).map { (camera, $0) }
        }
        func family(_ name: String, _ kind: Exposition.Kind, _ help: String, _ value: (StreamStats) -> Double?) {
            page.family(name, kind, help) { family in
                for (camera, stats) in running {
                    if let value = value(stats) { family.add(value, [("camera", camera)]) }
                }
            }
        }
        family("stream_frames_total", .counter, "Frames received since the worker's start.") { Double($0.framesTotal) }
        family("stream_bytes_total", .counter, "Bytes received since the worker's start.") { Double($0.bytesTotal) }
        family("stream_dropped_frames_total", .counter, "Frames received and not kept since the worker's start.") {
            Double($0.droppedTotal)
        }
        family("stream_timestamps_repaired_total", .counter, "Packets whose timestamps were repaired.") {
            $0.timestampsRepairedTotal.map { Double($0) }
        }
        family("preroll_dropped_groups_total", .counter, "Groups of pictures that found no room in the pre-roll.") {
            $0.prerollDroppedGroupsTotal.map { Double($0) }
        }
        family("publish_dropped_frames_total", .counter, "Frames that the media server did not take in time.") {
            $0.publishDroppedTotal.map { Double($0) }
        }
        family("stream_frames_per_second", .gauge, "Frames per second over the last 2 s.") { $0.fps }
        family("stream_bytes_per_second", .gauge, "Bytes per second over the last 2 s.") { $0.bitrateBps / 8 }
        family("stream_gop_seconds", .gauge, "The time between the last two key frames.") { $0.gopSeconds }
        family("stream_interarrival_max_seconds", .gauge, "The longest wait between two frames over the last 2 s.") {
            $0.maxInterarrivalSeconds
        }
        family("part_write_p99_seconds", .gauge, "The 99th percentile of the time that a part takes to the disk.") {
            $0.partWriteSecondsP99
        }
        family("recorder_queue_packets", .gauge, "Packets that wait for the segment writer.") {
            Double($0.queueDepth)
        }
        family("worker_resident_memory_bytes", .gauge, "Resident memory of the camera's worker.") {
            Double($0.rssBytes)
        }
        family("worker_cpu_seconds_total", .counter, "User and system time of the camera's worker since its start.") {
            $0.cpuSeconds
        }
    }

    // MARK: Recordings

    private func describeRecordings(_ page: inout Exposition, _ boards: Boards, at now: Now) {
        page.family("recording_state", .gauge, "The state of the recording session.") { family in
            for (camera, board) in boards {
                if let recording = board.recording { family.add(recording.state, "state", [("camera", camera)]) }
            }
        }
        page.family("recording_session_age_seconds", .gauge, "How long the present session goes on.") { family in
            for (camera, board) in boards {
                guard let since = board.recording?.since else { continue }
                family.add(max((now.wall - since).seconds, 0), [("camera", camera)])
            }
        }
        page.family("recording_session_seconds", .histogram, "The length of sessions that have ended.") { family in
            for (camera, board) in boards { family.add(board.sessions, [("camera", camera)]) }
        }
        page.family("rotation_offset_seconds", .histogram, "The cut between two files minus the wanted moment.") {
            family in
            for (camera, board) in boards { family.add(board.offsets, [("camera", camera)]) }
        }
        page.family("rotations_total", .counter, "Files that ended because the next one began.") { family in
            for (camera, board) in boards { family.add(board.segmentEnds[.rotation] ?? 0, [("camera", camera)]) }
        }
        page.family("segments_closed_total", .counter, "Files that were completed, by why they ended.") { family in
            for (camera, board) in boards {
                for reason in SegmentEnd.allCases {
                    guard let count = board.segmentEnds[reason] else { continue }
                    family.add(count, [("camera", camera), ("reason", reason.rawValue)])
                }
            }
        }
        page.family("recorded_frames_total", .counter, "Frames in completed files.") { family in
            for (camera, board) in boards { family.add(board.recordedFrames, [("camera", camera)]) }
        }
        page.family("recorded_bytes_total", .counter, "Bytes of completed files.") { family in
            for (camera, board) in boards { family.add(board.recordedBytes, [("camera", camera)]) }
        }
        page.family("recorded_seconds_total", .counter, "Length of completed files.") { family in
            for (camera, board) in boards { family.add(board.recordedSeconds, [("camera", camera)]) }
        }
    }

    private func describeEvents(_ page: inout Exposition, _ boards: Boards) {
        page.family("gaps_total", .counter, "Spans of sessions without frames, by cause.") { family in
            for (camera, board) in boards {
                for cause in GapCause.allCases {
                    family.add(board.gapCounts[cause] ?? 0, [("camera", camera), ("cause", cause.rawValue)])
                }
            }
        }
        page.family("gap_seconds_total", .counter, "Length of spans of sessions without frames, by cause.") { family in
            for (camera, board) in boards {
                for cause in GapCause.allCases {
                    family.add(board.gapSeconds[cause] ?? 0, [("camera", camera), ("cause", cause.rawValue)])
                }
            }
        }
        page.family("snapshot_seconds", .histogram, "From the command to the picture's file.") { family in
            for (camera, board) in boards { family.add(board.snapshots, [("camera", camera)]) }
        }
        page.family("errors_total", .counter, "Refused commands and faults that were told on the bus.") { family in
            for (camera, board) in boards {
                for code in ErrorCode.allCases {
                    guard let count = board.errors[code] else { continue }
                    family.add(count, [("camera", camera), ("code", code.rawValue)])
                }
            }
        }
    }

    private func describeHealth(_ page: inout Exposition, _ boards: Boards) {
        let judged = boards.compactMap { camera, board in board.health.map { (camera, $0) } }
        page.family("health_status", .gauge, "The health-monitor's verdict.") { family in
            for (camera, health) in judged { family.add(health.status, "status", [("camera", camera)]) }
        }
        page.family("health_restarts_last_hour", .gauge, "Restarts of the source in the last hour.") { family in
            for (camera, health) in judged { family.add(Double(health.restarts1h), [("camera", camera)]) }
        }
        page.family("camera_breaker", .gauge, "Whether a failing camera is still restarted.") { family in
            for (camera, health) in judged { family.add(health.breaker, "state", [("camera", camera)]) }
        }
    }

    // MARK: Nodes

    private func describeNodes(_ page: inout Exposition) {
        let known = nodes.sorted { $0.key < $1.key }.map { (node: $0.key.rawValue, board: $0.value) }
        func family(_ name: String, _ help: String, _ value: (NodeBoard) -> Double?) {
            page.family(name, .gauge, help) { family in
                for (node, board) in known {
                    if let value = value(board) { family.add(value, [("node", node)]) }
                }
            }
        }
        family("storage_size_bytes", "Size of the file system that holds the recordings.") {
            $0.storage.map { Double($0.totalBytes) }
        }
        family("storage_free_bytes", "Free space of that file system.") { $0.storage.map { Double($0.freeBytes) } }
        family("storage_min_free_bytes", "Free space that retention keeps, where it does in every folder.") {
            $0.storage?.minFreeBytes.map(Double.init)
        }
        family("storage_used_bytes", "What recordings take.") { $0.storage.map { Double($0.usedBytes) } }
        family("storage_oldest_timestamp_seconds", "The beginning of the oldest file.") {
            $0.storage?.oldestAt.map { Double($0.milliseconds) / 1000 }
        }
        family("storage_left_seconds", "When the disk is full if it fills up as over the last day.") { $0.secondsLeft }
        family("media_server_reachable", "Whether the media server answers.") {
            $0.mediaServer.map { $0.reachable ? 1 : 0 }
        }
        page.family("storage_status", .gauge, "How the storage folder fares.") { family in
            for (node, board) in known {
                if let storage = board.storage { family.add(storage.status, "status", [("node", node)]) }
            }
        }
        page.family("media_server_breaker", .gauge, "Whether the media server is asked.") { family in
            for (node, board) in known {
                if let server = board.mediaServer { family.add(server.breaker, "state", [("node", node)]) }
            }
        }
        page.family("service_online", .gauge, "Whether a node's service is there.") { family in
            for (address, entry) in services.sorted(by: { $0.key.text < $1.key.text })
            where Self.nodeServices.contains(address.service) && isNode(address.instance) {
                family.add(
                    entry.state.state == .online ? 1.0 : 0.0,
                    [("service", address.service.rawValue), ("node", address.instance.rawValue)])
            }
        }
    }

    /// Of a node that says something of its storage too; a presence alone is quickly forged.
    private func isNode(_ instance: InstanceID) -> Bool {
        instance.rawValue == node.rawValue || nodes[NodeID(unchecked: instance.rawValue)] != nil
    }

    /// Those that exist once per node or fleet. Workers are cameras.
    package static let nodeServices: Set<ServiceName> = [
        .rotationService, .configWriter, .metrics, .framekeeper, .healthMonitor,
        ServiceName(unchecked: "automation-bridge"),
    ]
}

extension ServiceAddress {
    /// `rotation-service/attic`.
    var text: String { "\(service)/\(instance)" }
}
