internal import BusContract
package import Domain

/// What the HTTP interface answers from memory. A state stands in its document as it stands on the bus.
extension MetricsCore {
    /// Everything at once: what a dashboard asks first. Under `rule` it may be of no use to press a button.
    package func statusDocument(at now: Now, under rule: AccessRule) -> String {
        var text = JSONText()
        text.add("node", node.rawValue)
        text.add("version", version)
        text.add("started_at", startedAt.rfc3339)
        text.add("bus_connected", isBusConnected)
        if let lastRoundtrip { text.add("bus_roundtrip_seconds", lastRoundtrip) }
        text.add("read_only", rule.isReadOnly)
        text.add("token_required", rule.token != nil)
        if let own = configurations[node] ?? configurations.min(by: { $0.key < $1.key })?.value {
            text.add("config", raw: own.text)
        }
        text.add("cameras", raw: cameraList(at: now))
        text.add("nodes", raw: nodeList)
        text.add("services", raw: serviceList(nodeServicesOnly: true))
        return text.closed
    }

    /// `{"cameras":[…]}`, in the order of their names.
    package func camerasDocument(at now: Now) -> String { "{\"cameras\":\(cameraList(at: now))}" }

    /// `{"services":[…]}`, workers included.
    package var servicesDocument: String { "{\"services\":\(serviceList(nodeServicesOnly: false))}" }

    /// Nil for a camera that nobody knows.
    package func cameraDocument(_ camera: CameraID, at now: Now) -> String? {
        cameras[camera].map { document(camera, $0, at: now) }
    }

    package func isKnown(_ camera: CameraID) -> Bool { cameras[camera] != nil }

    private func cameraList(at now: Now) -> String {
        JSONText.list(cameras.sorted { $0.key < $1.key }.map { document($0.key, $0.value, at: now) })
    }

    private static let nouns = ["stream", "recording", "viewing", "snapshot", "rotation", "health", "config"]

    private func document(_ camera: CameraID, _ board: CameraBoard, at now: Now) -> String {
        var text = JSONText()
        text.add("id", camera.rawValue)
        text.add("configured", configured.contains(camera))
        text.add("online", board.isOnline)
        for noun in Self.nouns {
            if let state = board.texts[noun] { text.add(noun, raw: state) }
        }
        if board.currentStats(at: now.monotonic) != nil, let stats = board.texts["stats"] {
            text.add("stats", raw: stats)
        }
        var gaps = JSONText()
        gaps.add("count", board.gapCounts.values.reduce(0, +))
        gaps.add("seconds", board.gapSeconds.values.reduce(0, +))
        text.add("gaps_since_start", raw: gaps.closed)
        return text.closed
    }

    private var nodeList: String {
        JSONText.list(
            nodes.sorted { $0.key < $1.key }.map { node, board in
                var text = JSONText()
                text.add("id", node.rawValue)
                if let storage = board.storageText { text.add("storage", raw: storage) }
                if let left = board.secondsLeft { text.add("storage_left_seconds", left) }
                if let server = board.mediaServerText { text.add("mediamtx", raw: server) }
                return text.closed
            })
    }

    private func serviceList(nodeServicesOnly: Bool) -> String {
        let shown = services.filter { !nodeServicesOnly || Self.nodeServices.contains($0.key.service) }
        return JSONText.list(
            shown.sorted { $0.key.text < $1.key.text }.map { address, entry in
                var text = JSONText()
                text.add("service", address.service.rawValue)
                text.add("instance", address.instance.rawValue)
                text.add("presence", raw: entry.text)
                return text.closed
            })
    }
}

extension MetricsCore {
    /// The node's own services that are there, with the process ids that they publish.
    package var ownServices: [(service: ServiceName, pid: Int32)] {
        Self.nodeServices.sorted().compactMap { service in
            let entry = services[ServiceAddress(service, InstanceID(unchecked: node.rawValue))]
            guard let state = entry?.state, state.state == .online, state.node == node, service != .metrics else {
                return nil
            }
            return (service, state.pid)
        }
    }
}
