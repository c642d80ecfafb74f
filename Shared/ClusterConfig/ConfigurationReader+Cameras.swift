internal import Domain

/// `cameras`.
extension ConfigurationReader {
    private static let cameraKeys = [
        "source", "ingest", "node", "groups", "record", "preroll", "encoder", "controls", "audio",
        "rotation", "lifecycle", "storage",
    ]
    /// What a ring may be asked to hold.
    static let prerollMax: Duration = .seconds(300)

    mutating func cameras(_ field: Field?, fleet: FleetDefaults) -> [CameraConfiguration] {
        let entries = entries(field)
        guard entries.count <= Self.camerasMax else {
            if let field { report("\(entries.count) cameras; at most \(Self.camerasMax) are read", at: field) }
            return []
        }
        return entries.compactMap { entry in
            let path = Self.join(field?.path ?? "", entry.key)
            guard let id = CameraID(rawValue: entry.key) else {
                report("a camera's name is \(Self.nameRule)", path: path, mark: entry.keyMark)
                return nil
            }
            guard !MediaServerSettings.namesOfMany.contains(entry.key) else {
                report("no camera's name, since at a media server it stands for many", path: path, mark: entry.keyMark)
                return nil
            }
            return camera(id, Field(node: entry.value, path: path), keyMark: entry.keyMark, fleet: fleet)
        }
    }

    private mutating func camera(
        _ id: CameraID, _ field: Field, keyMark: YAMLNode.Mark, fleet: FleetDefaults
    ) -> CameraConfiguration? {
        let fields = fields(field, known: Self.cameraKeys)
        secretNames = []
        let source = source(fields["source"])
        let secrets = secretNames
        if fields["source"] == nil { report("source: missing", path: field.path, mark: keyMark) }
        let camera = CameraConfiguration(
            id: id, source: source ?? .testPattern(SourceAddress.TestPattern()), secrets: secrets,
            ingest: ingest(fields["ingest"], source: source, at: fields["source"], fleet: fleet),
            node: value(fields["node"], or: fleet.node, expected: Self.nameRule, NodeID.init(rawValue:)),
            groups: groups(fields["groups"]), record: word(fields["record"], or: .onRequest),
            preroll: duration(fields["preroll"], or: .zero, in: .zero...Self.prerollMax),
            encoder: encoder(fields["encoder"]), controls: controls(fields["controls"], source: source),
            audio: flag(fields["audio"], or: true),
            rotation: rotation(fields["rotation"], over: fleet.rotation),
            lifecycle: lifecycle(fields["lifecycle"], over: fleet.lifecycle),
            storage: storage(fields["storage"], over: fleet.storage))
        return source == nil ? nil : camera
    }

    private mutating func source(_ field: Field?) -> SourceAddress? {
        guard let field, let text = resolved(field) else { return nil }
        do throws(CodedError) {
            return try SourceAddress(text)
        } catch {
            // The address itself may hold a password and is not quoted.
            report(error.message, at: field)
            return nil
        }
    }

    private mutating func ingest(
        _ field: Field?, source: SourceAddress?, at sourceField: Field?, fleet: FleetDefaults
    ) -> Ingest {
        let ingest: Ingest = word(field, or: .worker)
        guard let field, ingest == .mediaServer else { return ingest }
        guard fleet.hasMediaServer else {
            report("there is no media server: add a section mediamtx", at: field)
            return .worker
        }
        guard case .rtsp(let url)? = source?.kind else {
            if source != nil { report("only for rtsp:// sources", at: field) }
            return .worker
        }
        if let sourceField, let fault = Self.faultOfPulled(url) { report(fault, at: sourceField) }
        return ingest
    }

    private mutating func groups(_ field: Field?) -> [GroupID] {
        var groups: [GroupID] = []
        for item in items(field) {
            guard let group = value(item, or: nil, expected: Self.nameRule, { GroupID(rawValue: $0) as GroupID?? })
            else { continue }
            if group == .all {
                report("every camera is in the group \"all\"; it cannot be named", at: item)
            } else if groups.contains(group) {
                report("given twice", at: item)
            } else {
                groups.append(group)
            }
        }
        return groups
    }
}
